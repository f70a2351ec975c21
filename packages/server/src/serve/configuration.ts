/**
 * The configuration of `tokenkeep serve`: flags over variables over the file over defaults. Whatever is said is checked,
 * also where something else wins over it, and all mistakes are told at once. No value is repeated: it could be a secret
 * that somebody put into the wrong place.
 */
import { isIPv4 } from 'node:net'
import { dirname, resolve } from 'node:path'
import type { PlaceOptions } from '../cli/place.ts'
import type { Surroundings } from '../cli/surroundings.ts'
import type { HttpSettings } from '../http/settings.ts'
import { readConfigurationFile } from './configuration-file.ts'
import {
  attributeOf,
  CONFIG_FLAG,
  CONFIG_VARIABLE,
  flagOf,
  SETTINGS,
  variableOf,
  type LogLevel,
  type Setting,
  type SettingName,
} from './setting.ts'
import { fromText, hasPassword, schemaOf, type ValueOf } from './setting-value.ts'
import { readTlsFiles, type TlsFiles } from './tls-files.ts'

export interface Configuration {
  readonly listen: { readonly host: string; readonly port: number; readonly tls?: TlsFiles }
  readonly http: HttpSettings
  /** For `findPlace`, which knows the variables itself. */
  readonly place: PlaceOptions
  readonly cacheBytes: number
  readonly drainMs: number
  readonly logLevel: LogLevel
}

/** Each mistake is a sentence: where it was said, what is wrong, and what to do. */
export type ConfigurationRead =
  | { readonly kind: 'read'; readonly configuration: Configuration }
  | {
      readonly kind: 'mistaken'
      readonly mistakes: readonly [string, ...string[]]
      /** As far as it is not mistaken itself; null: something is wrong about it. */
      readonly place: PlaceOptions | null
    }

/**
 * @param flags as commander has them, with `config`
 */
export async function readConfiguration(
  flags: Readonly<Record<string, unknown>>,
  around: Pick<Surroundings, 'environment' | 'folder'>,
): Promise<ConfigurationRead> {
  const mistakes: string[] = []
  const heard = await hear(flags, around, mistakes)
  const { said } = heard
  const tls = await tlsOf(heard, mistakes)
  mistakes.push(...exposureMistakes(heard))
  const [first, ...more] = mistakes
  if (first !== undefined) {
    const unclear = PLACE_NAMES.some((name) => heard.wrong.has(name)) || heard.fileUnread
    return { kind: 'mistaken', mistakes: [first, ...more], place: unclear ? null : placeOf(said, around) }
  }

  const number = (name: NumberName): number => said(name)?.value ?? defaultNumber(name)
  return {
    kind: 'read',
    configuration: {
      listen: { host: hostOf(said), port: number('port'), ...(tls === null ? {} : { tls }) },
      http: {
        publicUrl: said('publicUrl')?.value ?? null,
        allowedHosts: said('allowedHosts')?.value ?? [],
        trustedProxies: said('trustedProxies')?.value ?? [],
        bodyBytesMax: number('bodyBytesMax'),
        requestTimeoutMs: number('requestTimeoutSeconds') * 1000,
        callerRequestsPer10s: number('callerRequestsPer10s'),
        wrongKeysPerMinute: number('wrongKeysPerMinute'),
        eventLoopDelayMsMax: number('eventLoopDelayMsMax'),
        dropInWaitMs: number('dropInWaitSeconds') * 1000,
        proxyIdleMs: number('proxyIdleSeconds') * 1000,
      },
      place: placeOf(said, around),
      cacheBytes: number('cacheBytes'),
      drainMs: number('drainSeconds') * 1000,
      logLevel: said('logLevel')?.value ?? settingOf('logLevel').default,
    },
  }
}

/** Whether only programs of this machine reach it. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))

// ---- what was said -------------------------------------------------------------------------------------------------

interface Said<Value> {
  readonly value: Value
  /** As a sentence about it begins. */
  readonly where: string
  readonly by: 'flag' | 'variable' | 'file'
  /** What relative paths are relative to. */
  readonly folder: string
}

type SettingOf<Name extends SettingName> = Extract<(typeof SETTINGS)[number], { readonly name: Name }>
type ValueNamed<Name extends SettingName> = ValueOf<SettingOf<Name>['kind']['of']>
type Saying = <Name extends SettingName>(name: Name) => Said<ValueNamed<Name>> | undefined
interface Heard {
  /** What wins; undefined: nothing was said, or something wrong. */
  readonly said: Saying
  /** Something wrong was said, so what is missing is not missed. */
  readonly wrong: ReadonlySet<SettingName>
  /** A file is named, and nobody knows what it says. */
  readonly fileUnread: boolean
}

const PLACE_NAMES = ['database', 'data', 'keyFile'] as const satisfies readonly SettingName[]

async function hear(
  flags: Readonly<Record<string, unknown>>,
  around: Pick<Surroundings, 'environment' | 'folder'>,
  mistakes: string[],
): Promise<Heard> {
  const { environment, folder } = around
  const file = await membersOfFile(flags, around, mistakes)
  const known = new Map<SettingName, Said<unknown>>()
  const wrong = new Set<SettingName>()
  for (const setting of SETTINGS) {
    const all: Said<unknown>[] = []
    const flag = flags[attributeOf(setting)]
    if (typeof flag === 'string' || Array.isArray(flag)) {
      const value = fromText(setting.kind, String(flag))
      all.push({ value, where: flagOf(setting), by: 'flag', folder })
    }
    const variable = environment[variableOf(setting)]
    if (variable !== undefined && variable !== '' && !isServiceLink(setting, variable)) {
      all.push({ value: fromText(setting.kind, variable), where: variableOf(setting), by: 'variable', folder })
    }
    if (file !== null && Object.hasOwn(file.members, setting.name)) {
      const where = `"${setting.name}" in ${file.path}`
      all.push({ value: file.members[setting.name], where, by: 'file', folder: dirname(file.path) })
    }
    const checked = all.map((one) => checkedValue(setting, one, mistakes))
    mistakes.push(...secretsInFile(setting, checked))
    const winner = checked[0]
    if (winner === null) wrong.add(setting.name)
    else if (winner !== undefined) known.set(setting.name, winner)
  }
  const said = <Name extends SettingName>(name: Name) => known.get(name) as Said<ValueNamed<Name>> | undefined
  return { said, wrong, fileUnread: file?.unread ?? false }
}

async function membersOfFile(
  flags: Readonly<Record<string, unknown>>,
  { environment, folder }: Pick<Surroundings, 'environment' | 'folder'>,
  mistakes: string[],
) {
  const flag = flags['config']
  const variable = environment[CONFIG_VARIABLE]
  const [given, where] =
    typeof flag === 'string' ? [flag, CONFIG_FLAG] : variable ? [variable, CONFIG_VARIABLE] : [null, '']
  if (given === null) return null
  if (given === '') {
    mistakes.push(`${where} is empty: leave it out, or name a file.`)
    return { path: '', members: {}, mistakes: [], unread: true }
  }
  const read = await readConfigurationFile(resolve(folder, given), where)
  mistakes.push(...read.mistakes)
  return read
}

/** Kubernetes sets `TOKENKEEP_PORT=tcp://10.0.0.1:7420` in every pod beside a service that is called tokenkeep. */
const isServiceLink = ({ name }: Setting, variable: string): boolean => name === 'port' && variable.startsWith('tcp://')

/** Files are kept in version control and shown to others, so a secret that stands there is told, also where it does not count. */
function secretsInFile(setting: Setting, checked: readonly (Said<unknown> | null)[]): readonly string[] {
  if (setting.kind.of !== 'postgres') return []
  return checked
    .filter((one) => one?.by === 'file' && typeof one.value === 'string' && hasPassword(one.value))
    .map(
      (one) =>
        `${one?.where} has a password, and no secret belongs into this file: say the URL in ${variableOf(setting)}, or ` +
        'leave the password out and give it by PGPASSWORD or in the file that PGPASSFILE names.',
    )
}

function checkedValue(setting: Setting, said: Said<unknown>, mistakes: string[]): Said<unknown> | null {
  const read = schemaOf(setting.kind).safeParse(said.value)
  if (read.success) return { ...said, value: read.data }
  mistakes.push(`${said.where} ${read.error.issues[0]?.message ?? 'is wrong'}.`)
  return null
}

// ---- what belongs together -----------------------------------------------------------------------------------------

async function tlsOf({ said, wrong }: Heard, mistakes: string[]): Promise<TlsFiles | null> {
  if (wrong.has('tlsCertFile') || wrong.has('tlsKeyFile')) return null
  const [cert, key] = [said('tlsCertFile'), said('tlsKeyFile')]
  if (cert === undefined && key === undefined) return null
  if (cert === undefined || key === undefined) {
    const [there, missing] =
      cert === undefined ? [key?.where ?? '', settingOf('tlsCertFile')] : [cert.where, settingOf('tlsKeyFile')]
    mistakes.push(`${there} is given alone: https needs ${flagOf(missing)} (${variableOf(missing)}) as well.`)
    return null
  }
  const read = await readTlsFiles({ cert: resolve(cert.folder, cert.value), key: resolve(key.folder, key.value) })
  if ('cert' in read) return read
  for (const { of, says } of read) mistakes.push(`${of === 'cert' ? cert.where : key.where} ${says}.`)
  return null
}

function exposureMistakes({ said, wrong }: Heard): readonly string[] {
  if (wrong.has('publicUrl') || wrong.has('allowedHosts')) return []
  const host = said('host')
  if (host === undefined || isLoopback(host.value)) return []
  if (said('publicUrl') !== undefined || (said('allowedHosts')?.value ?? []).length > 0) return []
  const [url, hosts] = [settingOf('publicUrl'), settingOf('allowedHosts')]
  return [
    `${host.where} opens the server beyond this machine, where nobody could tell a caller from a web page that had its ` +
      `own name pointed here (DNS rebinding): say by which names callers know it, with ${flagOf(url)} ` +
      `(${variableOf(url)}) or ${flagOf(hosts)} (${variableOf(hosts)}).`,
  ]
}

/** The variables win over the file, and `findPlace` reads them itself. */
function placeOf(said: Saying, { environment }: Pick<Surroundings, 'environment'>): PlaceOptions {
  const path = (name: 'data' | 'keyFile'): string | undefined => {
    const given = said(name)
    return given === undefined || given.by === 'variable' ? undefined : resolve(given.folder, given.value)
  }
  const data = path('data')
  const dataSaidBy = said('data')?.by === 'file' ? 'file' : undefined
  const keyFile = said('keyFile')?.by === 'file' && environment['TOKENKEEP_KEY'] ? undefined : path('keyFile')
  const url = said('database')
  const database = url === undefined || url.by === 'variable' ? undefined : url.value
  return {
    ...(database === undefined ? {} : { database }),
    ...(data === undefined ? {} : { data }),
    ...(dataSaidBy === undefined ? {} : { dataSaidBy }),
    ...(keyFile === undefined ? {} : { keyFile }),
  }
}

const hostOf = (said: Saying): string => said('host')?.value ?? settingOf('host').default

type NumberName = Extract<(typeof SETTINGS)[number], { readonly default: number }>['name']
const defaultNumber = (name: NumberName): number => settingOf(name).default

function settingOf<Name extends SettingName>(name: Name): SettingOf<Name> {
  const found = SETTINGS.find((setting): setting is SettingOf<Name> => setting.name === name)
  if (found === undefined) throw new Error('a setting that is not in the table')
  return found
}
