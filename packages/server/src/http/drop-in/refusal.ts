/** What goes wrong at the drop-in, as OAuth clients understand it: RFC 6749 section 5.2, and never anything that was sent. */
import { TokenError, type FailureCode } from '@tokenkeep/core'
import type { ProblemCode } from '../../api/problem-codes.ts'
import { HttpProblem, retryAfter } from '../problem.ts'

/** RFC 6749 sections 4.1.2.1 and 5.2, RFC 7009 section 2.2.1, RFC 8707 section 2; each with its status. */
const STATUS = {
  invalid_request: 400,
  invalid_client: 401,
  invalid_grant: 400,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
  invalid_scope: 400,
  invalid_target: 400,
  unsupported_token_type: 400,
  temporarily_unavailable: 503,
  server_error: 500,
} as const satisfies Record<string, number>
export type OAuthError = keyof typeof STATUS

/** A refusal that is about the request or its client; what the library refuses is a `TokenError`. */
export class OAuthRefusal extends Error {
  override readonly name = 'OAuthRefusal'
  readonly error: OAuthError
  /** What it counts as. */
  readonly code: FailureCode
  readonly headers: Readonly<Record<string, string>>

  constructor(
    error: OAuthError,
    description: string,
    more: { readonly code?: FailureCode; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(description)
    this.error = error
    this.code = more.code ?? 'invalid_input'
    this.headers = more.headers ?? {}
  }
}

export interface RefusalAnswer {
  readonly code: ProblemCode
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: { readonly error: OAuthError; readonly error_description: string }
}

interface Meaning {
  readonly error: OAuthError
  readonly description: string
  readonly status?: number
}

const MISTAKE: Meaning = {
  error: 'server_error',
  description: 'this is a mistake in Tokenkeep or in its installation; its log says more',
}

/**
 * What a failure of the library means to an OAuth client. `invalid_grant` makes clients forget a login, so it is said
 * only where the login is over or was never there; whatever may pass is `temporarily_unavailable`.
 */
export const MEANINGS = {
  unknown_connection: { error: 'invalid_grant', description: 'the connection behind this is gone' },
  deleting: { error: 'invalid_grant', description: 'the connection behind this is being deleted' },
  needs_user: { error: 'invalid_grant', description: 'the user has to sign in again at the provider' },
  unknown_local_refresh_token: {
    error: 'invalid_grant',
    description: 'this refresh token is unknown or revoked, or was not issued to this client for this realm',
  },
  blocked: {
    error: 'temporarily_unavailable',
    description: 'the operator has to mend the registration at the provider; the login is not hurt',
  },
  in_doubt: {
    error: 'temporarily_unavailable',
    description: 'an answer of the provider is missing, and asking again at once could end the login',
  },
  suspect: {
    error: 'temporarily_unavailable',
    description: 'the provider refused a refresh, which is confirmed before anybody has to sign in again',
  },
  on_hold: {
    error: 'temporarily_unavailable',
    description: 'the database is a copy or was put back, and the operator has to adopt it; no login is given up',
  },
  unavailable: {
    error: 'temporarily_unavailable',
    description: 'the provider granted no access token in time',
  },
  unreadable: {
    error: 'temporarily_unavailable',
    description: 'the operator has to put a key or a damaged row right; the login is not given up',
  },
  store_unavailable: {
    error: 'temporarily_unavailable',
    description: 'the database cannot be read or written now',
  },
  closed: { error: 'temporarily_unavailable', description: 'this server is about to end' },
  server_unreachable: { error: 'temporarily_unavailable', description: 'a server that is needed cannot be reached' },
  rate_limited: { error: 'temporarily_unavailable', description: 'too many requests', status: 429 },
  variant_unsupported: {
    error: 'invalid_scope',
    description: 'no narrower tokens are handed out for this provider: leave scope and resource out',
  },
  scope_refused: {
    error: 'invalid_scope',
    description: 'the provider refuses what was asked for: ask for a part of what was granted',
  },
  // Of all that is asked of the library here, only scope and resource were written by the client.
  invalid_input: { error: 'invalid_scope', description: 'scope or resource is not of the form that RFC 6749 has' },
  unauthorized: { error: 'invalid_client', description: 'this client is not known here' },
  forbidden: { error: 'unauthorized_client', description: 'this client may not do this' },
  unknown_client: MISTAKE,
  unknown_provider: MISTAKE,
  unknown_api_key: MISTAKE,
  unknown_connect_session: MISTAKE,
  connection_exists: MISTAKE,
  sign_in_failed: MISTAKE,
  refresh_token_held: MISTAKE,
  changed_meanwhile: MISTAKE,
  provider_refused: MISTAKE,
  in_use: MISTAKE,
  key_missing: MISTAKE,
  key_wrong: MISTAKE,
  newer_database: MISTAKE,
  folder_unusable: MISTAKE,
  database_unusable: MISTAKE,
  node_too_old: MISTAKE,
} as const satisfies Record<FailureCode, Meaning>

/**
 * What a failure is answered with at an endpoint of the drop-in.
 *
 * @param nowMs epoch milliseconds, for `Retry-After` (RFC 9110 section 10.2.3)
 * @returns null: it is about the transport, and not ours to say
 */
export function refusalAnswer(error: unknown, nowMs: number): RefusalAnswer | null {
  if (error instanceof OAuthRefusal) {
    return answerOf(error.code, error.error, error.message, { headers: error.headers })
  }
  if (error instanceof TokenError) {
    const meaning: Meaning = MEANINGS[error.code]
    const status = meaning.status ?? STATUS[meaning.error]
    const headers = meaning.error === 'temporarily_unavailable' ? retryAfter('unavailable', error.retryAt, nowMs) : {}
    return answerOf(error.code, meaning.error, describe(error, meaning.description), { status, headers })
  }
  if (error instanceof HttpProblem) {
    if (error.code !== 'overloaded') return null
    const headers = retryAfter(error.code, null, nowMs)
    return answerOf(error.code, 'temporarily_unavailable', 'this server has more to do than it can', { headers })
  }
  switch (codeOfFastify(error)) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return answerOf('body_too_large', 'invalid_request', 'the body is larger than this server takes', { status: 413 })
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return refusalAnswer(otherContentType(), nowMs)
    case 'other':
      return answerOf('malformed_request', 'invalid_request', 'the body did not arrive as it was announced', {})
    case null:
      return answerOf('unexpected', MISTAKE.error, MISTAKE.description, {})
  }
}

/** What makes clients forget a login. */
export const isInvalidGrant = (error: unknown): boolean =>
  error instanceof OAuthRefusal
    ? error.error === 'invalid_grant'
    : error instanceof TokenError && MEANINGS[error.code].error === 'invalid_grant'

/** RFC 6749 section 4.1.3 and appendix B. */
export const otherContentType = (): OAuthRefusal =>
  new OAuthRefusal(
    'invalid_request',
    'the body must be a form, sent as Content-Type: application/x-www-form-urlencoded',
    { code: 'invalid_input' },
  )

/** The same for one that is unknown, revoked, another client's or another realm's. */
export const unknownLocalRefreshToken = (): TokenError =>
  new TokenError('unknown_local_refresh_token', 'this local refresh token is not in force for this caller here.')

/** What an older state of the database does not know, or knows as over, may live in the newer one. */
export const onHold = (): TokenError =>
  new TokenError(
    'on_hold',
    'this database is a copy or was put back: until it is adopted, no login is given up for it.',
  )

/** `scope_refused` and the like, where only `resource` was asked for (RFC 8707 section 2). */
export function aboutResource(error: unknown): unknown {
  if (!(error instanceof TokenError)) return error
  const meaning: Meaning = MEANINGS[error.code]
  if (meaning.error !== 'invalid_scope') return error
  return new OAuthRefusal('invalid_target', describe(error, meaning.description), { code: error.code })
}

function describe(error: TokenError, description: string): string {
  // The library's sentences about scope and resource repeat nothing; all others name the connection.
  if (error.code === 'invalid_input') return error.message
  return error.reason === null ? description : `${description} (${error.reason})`
}

function answerOf(
  code: ProblemCode,
  error: OAuthError,
  description: string,
  of: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> },
): RefusalAnswer {
  return {
    code,
    status: of.status ?? STATUS[error],
    headers: of.headers ?? {},
    body: { error, error_description: allowed(description) },
  }
}

/** RFC 6749 section 5.2: %x20-21 / %x23-5B / %x5D-7E. */
const allowed = (text: string): string => text.replaceAll(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, "'")

/** Fastify's refusals of a body, and what happened to its stream; null: nothing of the kind. */
function codeOfFastify(
  error: unknown,
): 'FST_ERR_CTP_BODY_TOO_LARGE' | 'FST_ERR_CTP_INVALID_MEDIA_TYPE' | 'other' | null {
  if (!(error instanceof Error)) return null
  const { code, statusCode } = error as Error & { readonly code?: unknown; readonly statusCode?: unknown }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE' || code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return code
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500 ? 'other' : null
}
