/** Why the last try of this process did not bring a token: what an error alone does not say, and its reader has to mend. */
import { TokenError, type TokenkeepEvent } from '@tokenkeep/core'

export interface LastTry {
  /** For `openTokenkeep`. */
  heard(event: TokenkeepEvent): void
  /** The error again, with what is known about the last try; anything else as it is. */
  explained(error: unknown): unknown
}

export function watchLastTry(): LastTry {
  const last = new Map<string, string>()
  return {
    heard(event) {
      const said = reason(event)
      if (said !== null && 'connection' in event) last.set(event.connection, said)
    },
    explained(error) {
      if (!(error instanceof TokenError) || !error.retryable || error.subject === null) return error
      const said = last.get(error.subject)
      if (said === undefined) return error
      const { code, message, subject, reason, blocked, retryAt } = error
      return new TokenError(code, `${message} At the last try ${said}.`, {
        subject,
        retryAt,
        reason: reason ?? undefined,
        blocked: blocked ?? undefined,
      })
    },
  }
}

type Unavailable = Extract<TokenkeepEvent, { type: 'unavailable' }>

/** Where nothing was sent; `busy` and `forbidden` are the provider's own answers, and come with a status. */
const NOT_SENT = {
  dns: 'its host name was not found',
  refused: 'its host refused the connection or was not reached',
  tls: 'its certificate or TLS was not accepted',
  timeout: 'its host did not answer in time',
  address_refused: 'its host name led into a private network, which is not allowed for it',
  discovery: 'its endpoints could not be discovered from its issuer',
  busy: 'it was busy',
  forbidden: 'it refused without a word that says why',
  send_limit: 'the request was not sent, for this process had stood still',
  client: 'the client could not be used',
  client_assertion_file: 'the assertion file of its client was missing, unreadable or held no signed JWT',
  client_certificate_expired: 'the certificate of its client had expired',
  grant_file: 'the file of its assertion or subject token was missing, unreadable or held no signed JWT',
  source_connection: 'the connection whose token is exchanged for it had none',
  closed: 'the connection ended before the request was sent',
} as const satisfies Record<Unavailable['because'], string>

function reason(event: TokenkeepEvent): string | null {
  if (event.type === 'blocked') return event.word === null ? null : `the provider said ${event.word}`
  if (event.type !== 'unavailable' && event.type !== 'in_doubt') return null
  const { status } = event
  if (status !== null) return `the provider answered with status ${status}`
  return event.type === 'unavailable' ? NOT_SENT[event.because] : `no whole answer came (${event.because})`
}
