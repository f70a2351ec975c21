/** A server of Tokenkeep as it is seen from outside: that of these settings on this machine, or the one that `--url` names. */
import { daysUntil } from './days.ts'
import type { ServerAnswer, ServerSeen } from './ask-server.ts'
import { findingsOf, type Finding, type Kinds } from './finding.ts'
import type { Refusal } from './refusal.ts'

export const SERVER = {
  server: {
    is: 'ok',
    says: '{url} answers{version}, and says: ready{tls}',
    todo: null,
  },
  server_silent: {
    is: 'note',
    says: 'no server answers at {url}',
    todo: 'Fine where none is to run. Else look at its log, and start it: `tokenkeep serve`.',
  },
  server_unreachable: {
    is: 'wrong',
    says: '{reason}',
    todo: 'Look at the URL, the network and what stands before the server; on its host, at its log.',
  },
  server_not_ready: {
    is: 'wrong',
    says: '{url}/readyz answers {status}: {line}',
    todo: 'Run `tokenkeep doctor` on its host, and look at its log.',
  },
  server_other: {
    is: 'wrong',
    says: 'what answers at {url} is no Tokenkeep (status {status})',
    todo: 'Look at the URL, and at what stands before the server.',
  },
  server_on_hold: {
    is: 'wrong',
    says: 'it says {line}',
    todo: 'When the original is off for good: `tokenkeep adopt`. If it is not, end this copy.',
  },
  server_short: {
    is: 'note',
    says: 'it says {line}',
    todo: 'Let it reach Postgres itself, without a pooler (docs/postgres.md).',
  },
  server_certificate_ends: {
    is: 'wrong',
    says: 'its certificate ends in {days} days',
    todo: 'Renew it, and start the server anew: it reads the file once.',
  },
  server_other_version: {
    is: 'note',
    says: 'it is Tokenkeep {version}, and this command {own}',
    todo: 'Update the older one.',
  },
  api_key: {
    is: 'ok',
    says: 'the API key is taken; it may {scopes}',
    todo: null,
  },
  api_key_missing: {
    is: 'note',
    says: 'no API key was given, so only what needs none was looked at',
    todo: 'Set TOKENKEEP_API_KEY, or name a file with --api-key-file.',
  },
  api_key_unusable: {
    is: 'wrong',
    says: '{reason}',
    todo: 'Make a new key on the host of the server: `tokenkeep key create`.',
  },
  api_key_may_little: {
    is: 'note',
    says: 'the API key may not list connections, so those in trouble are not told',
    todo: 'Give a key with connections:read.',
  },
  rest_on_host: {
    is: 'note',
    says: 'keys, database, disk, clocks and providers are looked at where the server runs',
    todo: 'Run `tokenkeep doctor` on its host, as its user and with its settings.',
  },
} as const satisfies Kinds

const found = findingsOf('server', SERVER)

/** Renewed by then by whoever does it by machine. */
const CERTIFICATE_DAYS_LEAST = 14

export interface ServerLooked {
  readonly url: string
  /** `here`: it would be that of these settings, and need not run. */
  readonly which: 'here' | 'named'
  readonly seen: ServerSeen
  readonly own: string
  readonly now: number
}

export function judgeServer({ url, which, seen, own, now }: ServerLooked): readonly Finding[] {
  const { ready, version, certificateEndsAt } = seen
  if ('failed' in ready) {
    return [which === 'here' ? found('server_silent', { url }) : found('server_unreachable', { reason: ready.failed })]
  }
  if (!isOurs(ready)) return [found('server_other', { url, status: ready.status })]
  const lines = ready.text.split('\n').filter((line) => line !== '')
  const days = certificateEndsAt === null ? null : daysUntil(certificateEndsAt, now)
  const ends = days !== null && days < CERTIFICATE_DAYS_LEAST ? [found('server_certificate_ends', { days })] : []
  if (ready.status !== 200)
    return [found('server_not_ready', { url, status: ready.status, line: detailOf(ready.text) }), ...ends]
  const told = lines.flatMap((line) => {
    if (line.startsWith('hold:')) return [found('server_on_hold', { line })]
    return line === 'ready' ? [] : [found('server_short', { line })]
  })
  const tls = days === null ? '' : `; its certificate has ${days} days`
  return [
    ...(lines.includes('ready')
      ? [found('server', { url, version: version === null ? '' : ` (${version})`, tls })]
      : []),
    ...told,
    ...ends,
    ...(version === null || version === own ? [] : [found('server_other_version', { version, own })]),
  ]
}

/** Whether Tokenkeep wrote it: nobody else is sent a key. */
export const isOurs = ({ status, mediaType, text }: ServerAnswer): boolean =>
  mediaType === 'application/problem+json' ? status >= 400 : mediaType === 'text/plain' && /^(ready|hold:)/.test(text)

/** RFC 9457 section 3.1.4, of an answer that Tokenkeep wrote. */
function detailOf(text: string): string {
  try {
    const problem: unknown = JSON.parse(text)
    const detail = typeof problem === 'object' && problem !== null && 'detail' in problem ? problem.detail : ''
    return typeof detail === 'string' ? detail.slice(0, DETAIL_LENGTH_MAX) : ''
  } catch {
    return 'it cannot say why'
  }
}
const DETAIL_LENGTH_MAX = 300

export interface KeyLooked {
  /** What the key is let do; null: none was given. */
  readonly scopes: readonly string[] | Refusal | null
}

export function judgeApiKey({ scopes }: KeyLooked): readonly Finding[] {
  if (scopes === null) return [found('api_key_missing', {})]
  if ('refused' in scopes) return [found('api_key_unusable', { reason: scopes.refused.message })]
  return [
    found('api_key', { scopes: scopes.length === 0 ? 'nothing that was tried' : scopes.join(', ') }),
    ...(scopes.includes('connections:read') ? [] : [found('api_key_may_little', {})]),
  ]
}

export const restOnHost = (): Finding => found('rest_on_host', {})
