/**
 * The pure halves of a grant: what is asked, and what an answer means (`PROTOCOL.md` section 5).
 *
 * RFC 6749 sections 4.4 (client credentials), 5.1 (success), 5.2 (errors) and 6 (refresh); RFC 8707 (resource).
 */
import type { BlockedReason, SealedGrant } from './connection.ts'
import { runsAgain, type GrantType, type Provider, type ProviderWords, type Sign } from './provider.ts'
import type { AccessToken, AnswerBody, RefreshToken } from './secret.ts'
import type { DurationMs, Now } from './time.ts'
import {
  answeredAt,
  cutRefreshToken,
  jwtLifetime,
  readBody,
  readRetryAfter,
  readTokens,
  wordsIn,
  type LifeSaid,
  type TokensRead,
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
 * @param grantScope for a grant that runs again, which has no original scope at the server: the connection's own
 */
export function formFor(grantType: GrantType, variant: Variant, grantScope: string | null): Form {
  const narrowed = variant.scopes.length > 0 ? variant.scopes.join(' ') : null
  return {
    grantType,
    scope: narrowed ?? (runsAgain(grantType) ? grantScope : null),
    resources: variant.resources,
  }
}

// ---- what came back ------------------------------------------------------------------------------------------------

export type NotSentBecause =
  | 'dns'
  | 'refused'
  | 'tls'
  | 'timeout'
  | 'address_refused'
  | 'discovery'
  | 'send_limit'
  | 'closed'
  | ClientUnusable
  | GrantUnusable

/** Why a client cannot prove itself: the operator's to mend, and no refresh token is spent on it. */
export type ClientUnusable = 'client' | 'client_assertion_file' | 'client_certificate_expired'

/** Why a grant has nothing to run with: its file holds no JWT, or the connection whose token is exchanged has none now. */
export type GrantUnusable = 'grant_file' | 'source_connection'

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
  /** `DPoP-Nonce`: proofs are to name it from now on (RFC 9449 section 8). Absent: there was none that can be used. */
  readonly dpopNonce?: string
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
  /** The life announced for the refresh token, the one that came or the one that stays; null: not said. */
  readonly refreshTokenLife: LifeSaid | null
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
  /** Of a token exchange: an answer may hold something else than an access token (RFC 8693 section 2.2.1). */
  readonly exchanged?: boolean
}

const REJECTED_WORDS = ['invalid_grant']
const INTERACTION_WORDS = ['interaction_required', 'consent_required', 'login_required']
const ASKED_WORDS = ['invalid_scope', 'invalid_target']
const CLIENT_WORDS = [
  'invalid_client',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_request',
  // RFC 9449 section 5: our proof is wrong, or our clock.
  'invalid_dpop_proof',
]
const NONCE_WORD = 'use_dpop_nonce'
const BUSY_WORDS = ['temporarily_unavailable', 'server_error']

/**
 * What an answer of a token endpoint means for the refresh token that was presented.
 *
 * Rows are tried from the top, as in `PROTOCOL.md` section 5; network trouble, 5xx and HTML never mean that a sign-in is
 * dead. A body that carries tokens is never read as an error.
 *
 * @param answer what came, with the moment of our sending
 * @param provider its own words come before the standard ones, and its own statuses after every word
 * @see RFC 6749 section 5.2 (error words), RFC 9110 section 10.2.3 (Retry-After)
 */
export function judge(
  answer: Answer | NotSent,
  provider: Pick<Provider, 'words' | 'answer' | 'accessTokenLifetimeMs'>,
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
    const saved = success ? cutRefreshToken(text, provider.answer) : null
    return saved === null ? inDoubt('cut', status, answer.abandoned !== true, retryAfterMs) : withoutAccessToken(saved)
  }

  const body = readBody(text)
  if (success && body === null) {
    // Complete by its length and cut all the same, by a proxy for example.
    const saved = cutRefreshToken(text, provider.answer)
    if (saved !== null) return withoutAccessToken(saved)
  }
  if (success && body !== null) {
    const tokens = readTokens(body, provider.answer, answeredAt(answer))
    const noAccessToken = assume.exchanged === true && tokens?.tokenType?.toUpperCase() === 'N_A'
    if (noAccessToken) return { kind: 'misconfigured', reason: 'grant', word: 'N_A' }
    if (tokens !== null) return granted(tokens, provider, assume)
  }

  const heard: Heard = {
    status,
    words: body === null ? [] : wordsIn(body, provider.answer),
    passing: status === 408 || status === 425 || status === 429 || status >= 500,
    retryAfterMs,
  }
  // Once it is asked for and given the same attempt tries again; asked twice, or without a key, only the operator can mend it.
  if (heard.words.includes(NONCE_WORD)) return { kind: 'misconfigured', reason: 'client', word: NONCE_WORD }
  const meant =
    meantBy(provider.words, heard, wordShown) ??
    standardMeaning(heard, assume) ??
    // A page of a proxy has a status, too; only an answer of the server itself can end a sign-in.
    meantBy(body === null ? { ...provider.words, ...NOT_FROM_PAGES } : provider.words, heard, statusShown)
  if (meant !== null) return meant

  if ((status >= 300 && status < 400) || status === 404 || status === 405 || status === 410) {
    return { kind: 'misconfigured', reason: 'endpoint', word: null }
  }
  if (success) return inDoubt('no_tokens', status, true, retryAfterMs)
  const busy = heard.words.some((word) => BUSY_WORDS.includes(word))
  if (status === 425 || status === 429) return unavailable('busy', status, retryAfterMs)
  if ((status === 503 || busy) && retryAfterMs !== null) return unavailable('busy', status, retryAfterMs)
  if (status === 408 || status >= 500 || busy) return inDoubt('server_error', status, true, retryAfterMs)
  if (status === 401 || status === 403 || heard.words.length > 0) return unavailable('forbidden', status, retryAfterMs)
  return inDoubt('not_understood', status, true, retryAfterMs)
}

declare const proofRefused: unique symbol

/** The server refused the proof for want of a nonce, and gave one: it has not looked at the refresh token (RFC 9449 section 8). */
export interface NonceAsked {
  readonly [proofRefused]: true
  readonly status: number
}

/** Whether an answer asks for the same request once more, with the nonce that it brings. An answer with tokens asks nothing. */
export function nonceAsked(answer: Answer | NotSent, provider: Pick<Provider, 'answer'>): NonceAsked | null {
  if (answer.kind !== 'response' || !answer.complete || answer.dpopNonce === undefined) return null
  const body = readBody(answer.body.reveal())
  if (body === null || readTokens(body, provider.answer, answeredAt(answer)) !== null) return null
  return wordsIn(body, provider.answer).includes(NONCE_WORD) ? ({ status: answer.status } as NonceAsked) : null
}

/** What an answer without tokens shows. */
interface Heard {
  readonly status: number
  readonly words: readonly string[]
  /** A status that speaks of the moment, not of the refresh token, whatever the body says. */
  readonly passing: boolean
  readonly retryAfterMs: DurationMs | null
}

const NOT_FROM_PAGES = { reused: [], rejected: [], interactionRequired: [] } as const

/** The first outcome whose signs the answer shows, from the provider's own lists. */
function meantBy(
  own: ProviderWords,
  heard: Heard,
  shown: (signs: readonly Sign[], heard: Heard) => string | null,
): Outcome | null {
  const { status, passing, retryAfterMs } = heard
  if (shown(own.reused, heard) !== null) return { kind: 'rejected', word: 'reused' }
  if (shown(own.unavailable, heard) !== null) return unavailable('busy', status, retryAfterMs)
  if (shown(own.inDoubt, heard) !== null) return inDoubt('server_error', status, true, retryAfterMs)
  if (passing) return null
  if (shown(own.interactionRequired, heard) !== null) return { kind: 'rejected', word: 'interaction_required' }
  if (shown(own.rejected, heard) !== null) return { kind: 'rejected', word: 'invalid_grant' }
  const fault = shown(own.misconfigured, heard)
  return fault === null ? null : { kind: 'misconfigured', reason: 'client', word: fault }
}

/** The word of the answer that is one of these signs. */
const wordShown = (signs: readonly Sign[], { words, status }: Heard): string | null =>
  words.find((word) =>
    signs.some((sign) => (typeof sign === 'string' ? sign === word : sign.word === word && sign.status === status)),
  ) ?? null

const statusShown = (signs: readonly Sign[], { status }: Heard): string | null =>
  signs.some((sign) => typeof sign !== 'string' && sign.word === undefined && sign.status === status)
    ? String(status)
    : null

/** What the words of RFC 6749, RFC 8707 and OpenID Connect mean. */
function standardMeaning({ words, passing }: Heard, assume: Assumptions): Outcome | null {
  if (passing) return null
  const among = (list: readonly string[]): string | null => words.find((word) => list.includes(word)) ?? null
  if (among(REJECTED_WORDS) !== null) return { kind: 'rejected', word: 'invalid_grant' }
  if (among(INTERACTION_WORDS) !== null) return { kind: 'rejected', word: 'interaction_required' }
  const asked = among(ASKED_WORDS)
  if (asked !== null) return { kind: 'misconfigured', reason: assume.asked ? 'asked' : 'request', word: asked }
  const client = among(CLIENT_WORDS)
  if (client === null) return null
  return { kind: 'misconfigured', reason: client === 'invalid_request' ? 'request' : 'client', word: client }
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
  refreshTokenLife: null,
  scope: null,
})

/** The tokens of an answer, with what it left out filled in. */
function granted(
  read: TokensRead,
  provider: Pick<Provider, 'accessTokenLifetimeMs'>,
  assume: Assumptions,
): GrantedTokens {
  const { accessToken: token } = read
  return {
    kind: 'granted',
    accessToken: token && {
      token,
      // RFC 6749 section 5.1 requires it; servers that leave it out mean Bearer.
      tokenType: read.tokenType ?? 'Bearer',
      lifetimeMs:
        read.lifetimeMs ??
        provider.accessTokenLifetimeMs ??
        jwtLifetime(token) ??
        assume.lastLifetimeMs ??
        assume.unknownLifetimeMs,
      assumed: read.lifetimeMs === null,
    },
    refreshToken: read.refreshToken,
    refreshTokenLife: read.refreshTokenLife,
    scope: read.scope,
  }
}
