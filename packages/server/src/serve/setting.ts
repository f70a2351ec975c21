/**
 * Every setting of `tokenkeep serve`, once: its flag, its variable, its member in the file, the help and the table of
 * `docs/serve.md` are made from what stands here. How a value is checked stands in `setting-value.ts`.
 */
import { HTTP_SETTINGS } from '../http/settings.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export type SettingKind =
  | { readonly of: 'whole' | 'seconds'; readonly min: number; readonly max: number }
  | { readonly of: 'host' | 'url' | 'postgres' | 'path' | 'hosts' | 'proxies' | 'log_level' }

export interface Setting {
  /** The member in the file. Flag and variable are made from it. */
  readonly name: string
  readonly kind: SettingKind
  /** Undefined: what is absent then, the help says. */
  readonly default: number | string | undefined
  readonly help: string
  /** One of a list, as its flag calls it; the flag may be repeated. */
  readonly one?: string
  /** The flag belongs to every command. */
  readonly everywhere?: true
}

export const SETTINGS = [
  {
    name: 'host',
    kind: { of: 'host' },
    default: '127.0.0.1',
    help: 'the address to listen on; beyond this machine it needs a public URL or allowed hosts',
  },
  { name: 'port', kind: { of: 'whole', min: 0, max: 65_535 }, default: 7420, help: '0 takes a free one' },
  {
    name: 'publicUrl',
    kind: { of: 'url' },
    default: undefined,
    help: 'where callers find this server, if another server stands before it or it is known by a name',
  },
  {
    name: 'allowedHosts',
    one: 'allowedHost',
    kind: { of: 'hosts' },
    default: undefined,
    help: "further names that callers use for it (Host); loopback and the public URL's are known",
  },
  {
    name: 'trustedProxies',
    one: 'trustedProxy',
    kind: { of: 'proxies' },
    default: undefined,
    help: 'addresses or networks of proxies whose X-Forwarded-For is believed',
  },
  {
    name: 'tlsCertFile',
    kind: { of: 'path' },
    default: undefined,
    help: 'the certificate and its chain (PEM): then https is spoken; read once, at the start',
  },
  { name: 'tlsKeyFile', kind: { of: 'path' }, default: undefined, help: 'its private key (PEM, without passphrase)' },
  {
    name: 'database',
    everywhere: true,
    kind: { of: 'postgres' },
    default: undefined,
    help: 'keep the data in Postgres, by its URL; better in the variable, because others can see the options of a program',
  },
  {
    name: 'data',
    everywhere: true,
    kind: { of: 'path' },
    default: undefined,
    help: 'the data folder; absent: ./.tokenkeep if `dev` made it, else the folder of the user',
  },
  {
    name: 'keyFile',
    everywhere: true,
    kind: { of: 'path' },
    default: undefined,
    help: 'the master key; absent: TOKENKEEP_KEY, else the file in the configuration folder of the user',
  },
  {
    name: 'bodyBytesMax',
    kind: { of: 'whole', min: 1024, max: 16 * 1024 * 1024 },
    default: HTTP_SETTINGS.bodyBytesMax,
    help: 'a larger request body is refused',
  },
  {
    name: 'requestTimeoutSeconds',
    kind: { of: 'seconds', min: 1, max: 3600 },
    default: HTTP_SETTINGS.requestTimeoutMs / 1000,
    help: 'a request must have arrived whole within this',
  },
  {
    name: 'callerRequestsPer10s',
    kind: { of: 'whole', min: 0, max: 100_000_000 },
    default: HTTP_SETTINGS.callerRequestsPer10s,
    help: 'requests that one API key may make in 10 seconds; 0: no limit',
  },
  {
    name: 'wrongKeysPerMinute',
    kind: { of: 'whole', min: 0, max: 1_000_000 },
    default: HTTP_SETTINGS.wrongKeysPerMinute,
    help: 'wrong API keys and signed tokens that one address may try in a minute; 0: no limit',
  },
  {
    name: 'eventLoopDelayMsMax',
    kind: { of: 'whole', min: 0, max: 60_000 },
    default: HTTP_SETTINGS.eventLoopDelayMsMax,
    help: 'a process that is later than this refuses requests until it has caught up; 0: never',
  },
  {
    name: 'dropInWaitSeconds',
    kind: { of: 'seconds', min: 1, max: 120 },
    default: HTTP_SETTINGS.dropInWaitMs / 1000,
    help: 'how long an OAuth client is kept waiting for a refresh; less than the client itself waits',
  },
  {
    name: 'proxyIdleSeconds',
    kind: { of: 'seconds', min: 1, max: 3600 },
    default: HTTP_SETTINGS.proxyIdleMs / 1000,
    help: 'a proxied call on which nothing moves for so long is ended',
  },
  {
    name: 'cacheBytes',
    kind: { of: 'whole', min: 1024 * 1024, max: 64 * 1024 * 1024 * 1024 },
    default: 32 * 1024 * 1024,
    help: 'the most that remembered access tokens take in memory',
  },
  {
    name: 'drainSeconds',
    kind: { of: 'seconds', min: 0, max: 600 },
    default: 0,
    help: 'how long to go on handing out what lives after a signal, /readyz being 503 already',
  },
  {
    name: 'logLevel',
    kind: { of: 'log_level' },
    default: 'info',
    help: `the least that is logged: ${LOG_LEVELS.join(', ')}`,
  },
] as const satisfies readonly Setting[]

export type SettingName = (typeof SETTINGS)[number]['name']

/** The file that settings may stand in. */
export const CONFIG_FLAG = '--config'
export const CONFIG_VARIABLE = 'TOKENKEEP_CONFIG'

/** `--allowed-host` */
export const flagOf = ({ name, one }: Setting): string => `--${wordsOf(one ?? name).join('-')}`

/** `TOKENKEEP_ALLOWED_HOSTS` */
export const variableOf = ({ name }: Setting): string => ['tokenkeep', ...wordsOf(name)].join('_').toUpperCase()

/** What commander calls the value of the flag. */
export const attributeOf = ({ name, one }: Setting): string => one ?? name

/** A line of `tokenkeep help serve`. */
export function helpOf(setting: Setting): string {
  const more = setting.one === undefined ? '' : '; may be repeated'
  const otherwise = setting.default === undefined ? '' : `; default ${setting.default}`
  return `${setting.help}${more}${otherwise} (${variableOf(setting)})`
}

const wordsOf = (name: string): readonly string[] =>
  name.split(/(?=[A-Z])|(?<=[a-z])(?=\d)/).map((word) => word.toLowerCase())

/** What a value of a kind is called where the help shows its place. */
export const PLACEHOLDERS = {
  whole: 'number',
  seconds: 'seconds',
  host: 'address',
  url: 'url',
  postgres: 'url',
  path: 'file',
  hosts: 'name',
  proxies: 'address',
  log_level: 'level',
} as const satisfies Record<SettingKind['of'], string>
