/**
 * The pure halves of a grant: what is asked, and what an answer means (`PROTOCOL.md` section 5).
 *
 * RFC 6749 sections 4.4 (client credentials), 5.1 (success), 5.2 (errors) and 6 (refresh); RFC 8707 (resource).
 */
import type { BlockedReason, SealedGrant } from './connection.ts'
import type { GrantType, Provider, ProviderWords } from './provider.ts'
import { Secret, type AccessToken, type AnswerBody, type RefreshToken } from './secret.ts'
import { fromSeconds, ms, type DurationMs, type Now, type UnixMs } from './time.ts'
import type { Variant } from './variant.ts'

// ---- asking --------------------------------------------------------------------------------------------------------

/** The parameters of a token request but for the client's proof and the refresh token, which the ticket brings. */
export interface Form {
  readonly grantType: GrantType
  /** Absent: the original scope is meant (RFC 6749 section 6). */
  readonly scope: string | null
  readonly resources: readonly string[]
}

/**
 * The form for one variant.
 *
 * @param grantScope for client credentials, which have no original scope at the server: the connection's own
 */
export function formFor(grantType: GrantType, variant: Variant, grantScope: string | null): Form {
  const narrowed = variant.scopes.length > 0 ? variant.scopes.join(' ') : null
  return {
    grantType,
    scope: narrowed ?? (grantType === 'client_credentials' ? grantScope : null),
    resources: variant.resources,
  }
}

// ---- what came back ------------------------------------------------------------------------------------------------

export type NotSentBecause =
  'dns' | 'refused' | 'tls' | 'timeout' | 'address_refused' | 'discovery' | 'send_limit' | 'client' | 'closed'

/** Nothing left this machine: the refresh token is as it was. Made only by a token endpoint or the last check. */
export interface NotSent {
  readonly kind: 'not_sent'
  readonly because: NotSentBecause
}

export interface ResponseSeen {
  readonly kind: 'response'
  readonly status: number
  readonly retryAfter: string | null
  readonly date: string | null
  /** At most 64 KiB of it. */
  readonly body: AnswerBody
  /** False: the connection ended, or 64 KiB were read, before the end of the body. */
  readonly complete: boolean
  /** It was cut by our own reset: the server may still be at work. */
  readonly abandoned?: true
  readonly sentAt: Now
}

export interface NoAnswer {
  readonly kind: 'no_answer'
  /** `abandoned` is our own reset; the others are ends that we saw. */
  readonly because: 'reset' | 'closed' | 'malformed' | 'abandoned'
  readonly sentAt: Now
}

export type Answer = ResponseSeen | NoAnswer

// ---- what it means -------------------------------------------------------------------------------------------------

/** `forbidden`: 401 or 403 or an error word that we do not know; the other words are those of a line that was not had. */
export type UnavailableBecause = 'busy' | 'forbidden' | NotSentBecause
export type InDoubtBecause = NoAnswer['because'] | 'cut' | 'server_error' | 'no_tokens' | 'not_understood'

export interface GrantedTokens {
  readonly kind: 'granted'
  readonly accessToken: {
    readonly token: AccessToken
    readonly tokenType: string
    readonly lifetimeMs: DurationMs
    readonly assumed: boolean
  } | null
  readonly refreshToken: RefreshToken | null
  /** The life announced for the refresh token (the one that came, or the one that stays); null: none or not said. */
  readonly refreshTokenLifetimeMs: DurationMs | null
  readonly scope: string | null
}

export interface Rejected {
  readonly kind: 'rejected'
  readonly word: 'invalid_grant' | 'reused' | 'interaction_required'
}
export interface Unavailable {
  readonly kind: 'unavailable'
  readonly because: UnavailableBecause
  readonly status: number | null
  readonly retryAfterMs: DurationMs | null
}
export interface Misconfigured {
  readonly kind: 'misconfigured'
  /** `asked`: the scope or resource of this one request; it hurts nobody else. */
  readonly reason: BlockedReason | 'asked'
  readonly word: string | null
}
export interface LeftInDoubt {
  readonly kind: 'in_doubt'
  readonly because: InDoubtBecause
  readonly status: number | null
  /** We saw the exchange end. Our own reset is no such end: the server may still be at work. */
  readonly endSeen: boolean
  readonly retryAfterMs: DurationMs | null
}

export type Outcome = GrantedTokens | Rejected | Unavailable | NotSent | Misconfigured | LeftInDoubt
/** What a commit takes: an outcome whose tokens are sealed. */
export type End = { readonly kind: 'granted'; readonly granted: SealedGrant } | Exclude<Outcome, GrantedTokens>

/** What a granted answer may leave out, and what is then assumed. */
export interface Assumptions {
  readonly lastLifetimeMs: DurationMs | null
  readonly unknownLifetimeMs: DurationMs
  /** The caller asked for a scope or resource of its own. */
  readonly asked: boolean
}

const REJECTED_WORDS = ['invalid_grant']
const INTERACTION_WORDS = ['interaction_required', 'consent_required', 'login_required']
const ASKED_WORDS = ['invalid_scope', 'invalid_target']
// A nonce is asked for where DPoP is expected; until a connection can have a key, only the operator can mend that.
const CLIENT_WORDS = [
  'invalid_client',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_request',
  'use_dpop_nonce',
]
const BUSY_WORDS = ['temporarily_unavailable', 'server_error']

/**
 * What an answer of a token endpoint means for the refresh token that was presented.
 *
 * Rows are tried from the top, as in `PROTOCOL.md` section 5; network trouble, 5xx and HTML never mean that a sign-in is
 * dead. A body that carries tokens is never read as an error.
 *
 * @param answer what came, with the moment of our sending
 * @param provider its own words come before the standard ones
 * @see RFC 6749 section 5.2 (error words), RFC 9110 section 10.2.3 (Retry-After)
 */
export function judge(
  answer: Answer | NotSent,
  provider: Pick<Provider, 'words' | 'accessTokenLifetimeMs'>,
  assume: Assumptions,
): Outcome {
  if (answer.kind === 'not_sent') return answer
  if (answer.kind === 'no_answer') {
    return inDoubt(answer.because, null, answer.because !== 'abandoned', null)
  }
  const { status } = answer
  const success = status >= 200 && status < 300
  const retryAfterMs = readRetryAfter(answer)
  const text = answer.body.reveal()

  if (!answer.complete) {
    const saved = success ? cutRefreshToken(text) : null
    return saved === null ? inDoubt('cut', status, answer.abandoned !== true, retryAfterMs) : withoutAccessToken(saved)
  }

  const body = readBody(text)
  if (success && body === null) {
    // Complete by its length and cut all the same, by a proxy for example.
    const saved = cutRefreshToken(text)
    if (saved !== null) return withoutAccessToken(saved)
  }
  if (success && body !== null) {
    const granted = readGranted(body, answer, provider, assume)
    if (granted !== null) return granted
  }

  const words = body === null ? [] : wordsIn(body)
  const among = (...lists: readonly (readonly string[])[]): string | null =>
    words.find((word) => lists.some((list) => list.includes(word))) ?? null
  const own: ProviderWords = provider.words
  const passing = status === 408 || status === 425 || status === 429 || status >= 500

  if (among(own.reused) !== null) return { kind: 'rejected', word: 'reused' }
  if (among(own.unavailable) !== null) return unavailable('busy', status, retryAfterMs)
  if (!passing && among(own.interactionRequired) !== null) return { kind: 'rejected', word: 'interaction_required' }
  if (!passing && among(own.rejected) !== null) return { kind: 'rejected', word: 'invalid_grant' }
  const ownFault = among(own.misconfigured)
  if (!passing && ownFault !== null) return { kind: 'misconfigured', reason: 'client', word: ownFault }

  if (!passing) {
    if (among(REJECTED_WORDS) !== null) return { kind: 'rejected', word: 'invalid_grant' }
    if (among(INTERACTION_WORDS) !== null) return { kind: 'rejected', word: 'interaction_required' }
    const asked = among(ASKED_WORDS)
    if (asked !== null) return { kind: 'misconfigured', reason: assume.asked ? 'asked' : 'request', word: asked }
    const client = among(CLIENT_WORDS)
    if (client !== null)
      return { kind: 'misconfigured', reason: client === 'invalid_request' ? 'request' : 'client', word: client }
  }
  if ((status >= 300 && status < 400) || status === 404 || status === 405 || status === 410) {
    return { kind: 'misconfigured', reason: 'endpoint', word: null }
  }
  if (success) return inDoubt('no_tokens', status, true, retryAfterMs)
  const busy = among(BUSY_WORDS) !== null
  if (status === 425 || status === 429) return unavailable('busy', status, retryAfterMs)
  if ((status === 503 || busy) && retryAfterMs !== null) return unavailable('busy', status, retryAfterMs)
  if (status === 408 || status >= 500 || busy) return inDoubt('server_error', status, true, retryAfterMs)
  if (status === 401 || status === 403 || words.length > 0) return unavailable('forbidden', status, retryAfterMs)
  return inDoubt('not_understood', status, true, retryAfterMs)
}

const unavailable = (because: UnavailableBecause, status: number, retryAfterMs: DurationMs | null): Unavailable => ({
  kind: 'unavailable',
  because,
  status,
  retryAfterMs,
})

const inDoubt = (
  because: InDoubtBecause,
  status: number | null,
  endSeen: boolean,
  retryAfterMs: DurationMs | null,
): LeftInDoubt => ({ kind: 'in_doubt', because, status, endSeen, retryAfterMs })

const withoutAccessToken = (refreshToken: RefreshToken): GrantedTokens => ({
  kind: 'granted',
  accessToken: null,
  refreshToken,
  refreshTokenLifetimeMs: null,
  scope: null,
})

// ---- reading -------------------------------------------------------------------------------------------------------

type Body = Readonly<Record<string, unknown>>

const isRecord = (value: unknown): value is Body => typeof value === 'object' && value !== null && !Array.isArray(value)

/** JSON whatever the content type says, else a form: GitHub answers one unless asked otherwise. */
function readBody(text: string): Body | null {
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) ? value : null
  } catch {
    const form = text.trim()
    return /^[\w.~%+-]+=[^\s<>{}"]*$/.test(form) ? readForm(form) : null
  }
}

function readForm(text: string): Body {
  const fields: Record<string, string> = {}
  for (const pair of text.split('&')) {
    const equals = pair.indexOf('=')
    const [name, value] = equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
    try {
      fields[decodeURIComponent(name)] = decodeURIComponent(value.replaceAll('+', ' '))
    } catch {
      // A broken escape is one field that we do not have.
    }
  }
  return fields
}

/** Where servers put their word: `error`, `code`, `error.code`, `status`; some as numbers. */
function wordsIn(body: Body): string[] {
  const error = body['error']
  const places = [
    isRecord(error) ? error['code'] : error,
    isRecord(error) ? error['status'] : null,
    body['code'],
    body['status'],
  ]
  return places.flatMap((place) => (typeof place === 'string' || typeof place === 'number' ? [String(place)] : []))
}

// RFC 6749 appendix A.12 and A.17: tokens are visible ASCII characters and space.
const token = (value: unknown): string | null =>
  typeof value === 'string' && /^[\x20-\x7E]+$/.test(value) ? value : null

/** A refresh token travels in a form, where every character has its place: whatever came is kept. */
const refreshTokenText = (value: unknown): string | null =>
  typeof value === 'string' && value !== '' && value.isWellFormed() ? value : null

/** A scope so long is not kept: it has to fit into a spill slot beside the tokens, and nobody granted it on purpose. */
const scopeText = (value: unknown): string | null =>
  typeof value === 'string' && value !== '' && value.length <= SCOPE_LENGTH_MAX ? value : null

const SCOPE_LENGTH_MAX = 8 * 1024
const TOKEN_TYPE_LENGTH_MAX = 64

/** A complete `refresh_token` member of a body that was cut: what is left of a sign-in, so it is kept. */
function cutRefreshToken(cut: string): RefreshToken | null {
  const member = /"refresh_token"\s*:\s*("(?:[^"\\]|\\.)*")/.exec(cut)?.[1]
  if (member === undefined) return null
  try {
    const value = refreshTokenText(JSON.parse(member))
    return value === null ? null : new Secret('refresh_token', value)
  } catch {
    return null
  }
}

function readGranted(
  body: Body,
  answer: ResponseSeen,
  provider: Pick<Provider, 'accessTokenLifetimeMs'>,
  assume: Assumptions,
): GrantedTokens | null {
  const accessText = token(body['access_token'])
  const accessToken = accessText === null ? null : new Secret('access_token', accessText)
  const refreshToken = refreshTokenText(body['refresh_token'])
  if (accessToken === null && refreshToken === null) return null
  const answeredAt = readDate(answer.date) ?? answer.sentAt.wall
  const said = readDuration(body['expires_in']) ?? readUntil(body['expires_at'], answeredAt)
  return {
    kind: 'granted',
    accessToken:
      accessToken === null
        ? null
        : {
            token: accessToken,
            // RFC 6749 section 5.1 requires it; servers that leave it out mean Bearer.
            tokenType: (token(body['token_type']) ?? 'Bearer').slice(0, TOKEN_TYPE_LENGTH_MAX),
            lifetimeMs:
              said ??
              provider.accessTokenLifetimeMs ??
              jwtLifetime(accessToken) ??
              assume.lastLifetimeMs ??
              assume.unknownLifetimeMs,
            assumed: said === null,
          },
    refreshToken: refreshToken === null ? null : new Secret('refresh_token', refreshToken),
    refreshTokenLifetimeMs:
      readDuration(body['refresh_expires_in']) ??
      readDuration(body['refresh_token_expires_in']) ??
      readDuration(body['x_refresh_token_expires_in']) ??
      readUntil(body['refresh_token_expires_at'], answeredAt),
    scope: scopeText(body['scope']),
  }
}

// Ten years: longer announced lives are treated as said wrongly by unit, and would overflow dates downstream.
const LIFETIME_MAX_MS = 10 * 365 * 24 * 3600 * 1000

/** Seconds as a number or a string; 0, absent and nonsense are all "not said". */
function readDuration(value: unknown): DurationMs | null {
  const seconds =
    typeof value === 'number'
      ? value
      : typeof value === 'string' && /^\d{1,12}(\.\d+)?$/.test(value.trim())
        ? Number(value)
        : Number.NaN
  if (!Number.isFinite(seconds) || seconds <= 0) return null
  return ms(Math.round(Math.min(fromSeconds(seconds), LIFETIME_MAX_MS)))
}

/** An absolute end (epoch seconds, epoch milliseconds or ISO 8601) as a duration by the answer's own clock. */
function readUntil(value: unknown, answeredAt: UnixMs): DurationMs | null {
  const epoch =
    typeof value === 'number' || (typeof value === 'string' && /^\d+$/.test(value))
      ? Number(value) * (Number(value) < 1e11 ? 1000 : 1)
      : typeof value === 'string'
        ? Date.parse(/(?:Z|[+-]\d{2}:?\d{2})$/i.test(value) ? value : `${value}Z`)
        : Number.NaN
  const left = epoch - answeredAt
  return Number.isFinite(left) && left > 0 ? ms(Math.min(left, LIFETIME_MAX_MS)) : null
}

function readDate(date: string | null): UnixMs | null {
  // RFC 9110 section 5.6.7: it begins with the name of a day. `Date.parse` alone reads a date into nearly anything.
  const at = date === null || !/^[A-Z][a-z]{2,8},? /.test(date) ? Number.NaN : Date.parse(date)
  return Number.isFinite(at) ? (at as UnixMs) : null
}

const RETRY_AFTER_MAX_MS = 24 * 3600 * 1000

/** `Retry-After` as seconds or an HTTP date; the date is read by the answer's own clock. */
function readRetryAfter(answer: ResponseSeen): DurationMs | null {
  const value = answer.retryAfter?.trim() ?? ''
  if (/^\d{1,9}$/.test(value)) return ms(Math.min(fromSeconds(Number(value)), RETRY_AFTER_MAX_MS))
  const at = readDate(value === '' ? null : value)
  if (at === null) return null
  const left = at - (readDate(answer.date) ?? answer.sentAt.wall)
  return ms(Math.min(Math.max(left, 0), RETRY_AFTER_MAX_MS))
}

// A Web API in every runtime that we know of, named here so that core needs no runtime's types.
declare const atob: (base64: string) => string

/** `exp - iat` of a JWT access token (RFC 9068), unverified: a hint about lifetime, nothing else. */
export function jwtLifetime(token: AccessToken): DurationMs | null {
  const parts = token.reveal().split('.')
  const payload = parts[1]
  if (payload === undefined || parts.length !== 3) return null
  try {
    const claims: unknown = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')))
    if (!isRecord(claims)) return null
    const { exp, iat } = claims
    return typeof exp === 'number' && typeof iat === 'number' ? readDuration(exp - iat) : null
  } catch {
    return null
  }
}
