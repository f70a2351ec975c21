/** The settings of `tokenkeep serve`, as it would read them here, and where the data are by them. */
import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { isLoopback, type Configuration } from '../serve/configuration.ts'
import { CONFIG_VARIABLE, SETTINGS, variableOf } from '../serve/setting.ts'
import { DAY_MS } from './days.ts'
import { findingsOf, type Finding, type Kinds } from './finding.ts'

export const CONFIGURATION = {
  configuration: {
    is: 'ok',
    says: 'the settings of `serve` have no mistake; data: {place}',
    todo: null,
  },
  configuration_mistake: {
    is: 'wrong',
    says: '{mistake}',
    todo: 'Mend it: `tokenkeep serve` starts with no mistake in its settings (docs/serve.md).',
  },
  place_unclear: {
    is: 'wrong',
    says: 'where the data are cannot be said: {reason}',
    todo: 'Say it in one way: --data, --database, TOKENKEEP_DATA or TOKENKEEP_DATABASE (docs/cli.md).',
  },
  variable_unknown: {
    is: 'note',
    says: 'nobody reads the variable {variable}',
    todo: 'Look for a slip in its name; docs/serve.md lists the variables.',
  },
  plain_http: {
    is: 'wrong',
    says: '`serve` would speak plain http on {host}, beyond this machine: API keys and tokens can be read on the way',
    todo: 'Give --tls-cert-file and --tls-key-file, or let a proxy speak https and name it with --public-url.',
  },
  public_url_plain: {
    is: 'wrong',
    says: 'the public URL begins with http://, beyond this machine: whoever follows it sends its key in the clear',
    todo: 'Give a public URL with https://.',
  },
  certificate: {
    is: 'ok',
    says: 'the certificate of `serve` fits its key, and ends in {days} days',
    todo: null,
  },
  certificate_ends: {
    is: 'wrong',
    says: 'the certificate of `serve` ends in {days} days',
    todo: 'Renew it, and start `serve` anew: it reads the file once.',
  },
  certificate_ended: {
    is: 'wrong',
    says: 'the certificate of `serve` ended {days} days ago: no caller believes it',
    todo: 'Renew it, and start `serve` anew: it reads the file once.',
  },
  certificate_of_other_name: {
    is: 'note',
    says: 'the certificate of `serve` is not for {host}, the host of its public URL',
    todo: 'Give one that is, unless a proxy with its own certificate stands there.',
  },
  tls_key_open: {
    is: 'note',
    says: 'other users of this machine can read the private key of `serve` (mode {mode})',
    todo: 'Close it: `chmod 600`. Containers have no other files; there it is fine.',
  },
} as const satisfies Kinds

const found = findingsOf('configuration', CONFIGURATION)

export interface ConfigurationSeen {
  readonly mistakes: readonly string[]
  /** Null where there are mistakes. */
  readonly configuration: Configuration | null
  /** How people call the place of the data; null: it cannot be said, and why. */
  readonly place: string | { readonly unclear: string }
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The mode of the file with the TLS key; null: there is none, or the system has no modes. */
  readonly tlsKeyMode: number | null
  readonly now: number
}

export function judgeConfiguration(seen: ConfigurationSeen): readonly Finding[] {
  const { mistakes, configuration, place } = seen
  const where = typeof place === 'string' ? [] : [found('place_unclear', { reason: place.unclear })]
  const fine = mistakes.length === 0 && typeof place === 'string' ? [found('configuration', { place })] : []
  return [
    ...fine,
    ...mistakes.map((mistake) => found('configuration_mistake', { mistake })),
    ...where,
    ...unknownVariables(seen.environment).map((variable) => found('variable_unknown', { variable })),
    ...(configuration === null ? [] : exposure(configuration)),
    ...(configuration === null ? [] : certificate(configuration, seen)),
  ]
}

// ---- variables -----------------------------------------------------------------------------------------------------

const OTHER_VARIABLES: readonly string[] = [
  CONFIG_VARIABLE,
  'TOKENKEEP_KEY',
  'TOKENKEEP_URL',
  'TOKENKEEP_API_KEY',
  'TOKENKEEP_API_KEY_FILE',
  'TOKENKEEP_DEBUG',
]
/** What Kubernetes sets beside a service that is called tokenkeep, or begins so. */
const SERVICE_LINK = /^TOKENKEEP_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)$/

function unknownVariables(environment: ConfigurationSeen['environment']): readonly string[] {
  const known = new Set([...SETTINGS.map(variableOf), ...OTHER_VARIABLES])
  return Object.keys(environment)
    .filter((name) => name.startsWith('TOKENKEEP_') && environment[name] !== undefined)
    .filter((name) => !known.has(name) && !SERVICE_LINK.test(name))
    .map((name) => name.slice(0, NAME_LENGTH_MAX))
    .sort()
}
const NAME_LENGTH_MAX = 60

// ---- who can read along --------------------------------------------------------------------------------------------

function exposure({ listen, http }: Configuration): readonly Finding[] {
  const { publicUrl } = http
  const plainUrl = publicUrl !== null && publicUrl.startsWith('http:') && !isLoopbackUrl(publicUrl)
  // An https URL says that somebody before us speaks TLS.
  const plain = listen.tls === undefined && !isLoopback(listen.host) && publicUrl?.startsWith('https:') !== true
  return [
    ...(plain ? [found('plain_http', { host: listen.host })] : []),
    ...(plainUrl && !plain ? [found('public_url_plain', {})] : []),
  ]
}

function isLoopbackUrl(url: string): boolean {
  const { hostname } = new URL(url)
  return hostname === '[::1]' || isLoopback(hostname)
}

/** Time to notice, to order and to put in place; Let's Encrypt renews with 30 days left. */
const CERTIFICATE_DAYS_LEAST = 14

function certificate({ listen, http }: Configuration, { now, tlsKeyMode }: ConfigurationSeen): readonly Finding[] {
  if (listen.tls === undefined) return []
  const { validTo, host } = certificateIn(listen.tls.cert, http.publicUrl)
  const days = Math.floor((validTo - now) / DAY_MS)
  const lives =
    validTo <= now
      ? found('certificate_ended', { days: Math.ceil((now - validTo) / DAY_MS) })
      : found(days < CERTIFICATE_DAYS_LEAST ? 'certificate_ends' : 'certificate', { days })
  return [
    lives,
    ...(host === null ? [] : [found('certificate_of_other_name', { host })]),
    ...(tlsKeyMode !== null && (tlsKeyMode & 0o004) !== 0
      ? [found('tls_key_open', { mode: tlsKeyMode.toString(8) })]
      : []),
  ]
}

/** @returns with `host` where the certificate is not for that of the public URL */
function certificateIn(
  pem: Buffer,
  publicUrl: string | null,
): { readonly validTo: number; readonly host: string | null } {
  const own = new X509Certificate(pem)
  const url = publicUrl === null ? null : new URL(publicUrl)
  const host = url === null ? null : url.hostname.replace(/^\[|\]$/g, '')
  const covers = (name: string): boolean => (isIP(name) === 0 ? own.checkHost(name) : own.checkIP(name)) !== undefined
  const fits = host === null || covers(host)
  return { validTo: Date.parse(own.validTo), host: fits ? null : host }
}
