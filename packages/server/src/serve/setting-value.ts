/** What a value of each kind of setting must be. Messages are the ends of sentences, and never repeat the value. */
import { isIP } from 'node:net'
import { nameOfPostgres } from '@tokenkeep/node'
import { z } from 'zod'
import { LOG_LEVELS, type SettingKind } from './setting.ts'

/** What a setting's value is once it was read. */
export type ValueOf<Kind extends SettingKind['of']> = z.infer<ReturnType<(typeof SCHEMAS)[Kind]>>

/** The schema of the values of a kind: as they stand in the file, and as {@link fromText} makes them. */
export const schemaOf = (kind: SettingKind): z.ZodType =>
  kind.of === 'whole' || kind.of === 'seconds' ? SCHEMAS[kind.of](kind) : SCHEMAS[kind.of]()

/** A flag or a variable as the file would have it; what is no number stays text, and is refused as such. */
export function fromText(kind: SettingKind, text: string): unknown {
  switch (kind.of) {
    case 'whole':
    case 'seconds':
      return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text
    case 'hosts':
    case 'proxies':
      return text
        .split(',')
        .map((one) => one.trim())
        .filter((one) => one !== '')
    case 'host':
    case 'url':
    case 'postgres':
    case 'path':
    case 'log_level':
      return text
  }
}

interface Bounds {
  readonly min: number
  readonly max: number
}

const within = ({ min, max }: Bounds, what: string) => {
  const says = `must be ${what} from ${min} to ${max}`
  return z.number(says).min(min, says).max(max, says)
}

const list = (one: (text: string) => boolean, what: string) => {
  const says = `must be a list of ${what}`
  return z.array(z.string(says).max(300, says).refine(one, says), says).max(1000, 'must have 1000 entries at most')
}

const SCHEMAS = {
  whole: (bounds: Bounds) => {
    const what = 'a whole number'
    return within(bounds, what).int(`must be ${what} from ${bounds.min} to ${bounds.max}`)
  },
  seconds: (bounds: Bounds) => within(bounds, 'a number of seconds'),
  host: () => {
    const says = 'must be an IP address or a host name, without a port'
    return z.string(says).refine((text) => isIP(text) !== 0 || isHostName(text), says)
  },
  url: () => {
    const says = 'must be a URL that begins with https:// or http://, without user, query and fragment'
    return z.string(says).refine(isPlainUrl, says).transform(withoutSlash)
  },
  postgres: () => {
    const says = 'must be the URL of a Postgres database: postgres://user:password@host:port/database'
    return z.string(says).max(4096, 'is too long').refine(isPostgresUrl, says)
  },
  path: () => z.string('must be the path of a file or folder').min(1, 'must not be empty').max(4096, 'is too long'),
  hosts: () =>
    list(
      (text) => /^(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9._-]*[a-z0-9])?)(:\d{1,5})?$/i.test(text),
      'host names as they stand in the header Host, with or without a port: no scheme, no path, no *',
    ),
  proxies: () =>
    list(isAddressOrNetwork, 'IP addresses or networks (10.0.0.0/8), or of loopback, linklocal, uniquelocal'),
  log_level: () => z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`),
} satisfies Record<SettingKind['of'], (bounds: Bounds) => z.ZodType>

/** RFC 1123 section 2.1. A last label of digits alone is a mistyped address. */
const isHostName = (text: string): boolean =>
  /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(text) &&
  !/(^|\.)\d+$/.test(text)

function isPostgresUrl(text: string): boolean {
  try {
    nameOfPostgres(text)
    return true
  } catch {
    return false
  }
}

/** Whether a Postgres URL holds a password: beside the user, or as a parameter for the driver. */
export function hasPassword(url: string): boolean {
  const { password, searchParams } = new URL(url)
  return password !== '' || searchParams.has('password')
}

function isPlainUrl(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || !/^https?:\/\/[^/]/i.test(text)) return false
  return url.username === '' && url.password === '' && !/[?#\s]/.test(text)
}

function withoutSlash(text: string): string {
  const { origin, pathname } = new URL(text)
  return `${origin}${pathname}`.replace(/\/+$/, '')
}

function isAddressOrNetwork(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true
  const [address = '', bits, ...more] = text.split('/')
  const version = isIP(address)
  if (version === 0 || more.length > 0) return false
  // A network of 0 bits is everybody, and whom everybody may be is believed nothing.
  return bits === undefined || (/^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}
