/**
 * The pure halves of a grant: what is asked, and what an answer means (`PROTOCOL.md` section 5).
 *
 * RFC 6749 sections 4.4 (client credentials), 5.1 (success), 5.2 (errors) and 6 (refresh); RFC 8707 (resource).
 */
import type { BlockedReason, SealedGrant } from './connection.ts'
import type { GrantType, Provider, ProviderWords } from './provider.ts'
import { Secret, type AccessToken, type AnswerBody, type RefreshToken } from './secret.ts'
import type { DurationMs, Now } from './time.ts'
import {
  answeredAt,
  cutRefreshToken,
  jwtLifetime,
  readBody,
  readDuration,
  readRetryAfter,
  readUntil,
  refreshTokenText,
  scopeText,
  visibleText,
  wordsIn,
  type Body,
} from './token-response.ts'
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

const TOKEN_TYPE_LENGTH_MAX = 64

function readGranted(
  body: Body,
  answer: ResponseSeen,
  provider: Pick<Provider, 'accessTokenLifetimeMs'>,
  assume: Assumptions,
): GrantedTokens | null {
  const accessText = visibleText(body['access_token'])
  const accessToken = accessText === null ? null : new Secret('access_token', accessText)
  const refreshToken = refreshTokenText(body['refresh_token'])
  if (accessToken === null && refreshToken === null) return null
  const at = answeredAt(answer)
  const said = readDuration(body['expires_in']) ?? readUntil(body['expires_at'], at)
  return {
    kind: 'granted',
    accessToken:
      accessToken === null
        ? null
        : {
            token: accessToken,
            // RFC 6749 section 5.1 requires it; servers that leave it out mean Bearer.
            tokenType: (visibleText(body['token_type']) ?? 'Bearer').slice(0, TOKEN_TYPE_LENGTH_MAX),
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
      readUntil(body['refresh_token_expires_at'], at),
    scope: scopeText(body['scope']),
  }
}
