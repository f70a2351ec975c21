import { TokenError } from '@tokenkeep/core'

/** What a token endpoint's answer says about a sign-in, as `connections.import` takes it. */
export interface TokenResponse {
  readonly refreshToken: string | undefined
  readonly accessToken: string | undefined
  readonly tokenType: string | undefined
  readonly expiresAt: number | undefined
  readonly refreshTokenExpiresAt: number | undefined
  readonly scope: string | undefined
}

/**
 * Reads a token endpoint's answer, as it was received.
 *
 * @param nowMs epoch milliseconds; the answer's durations are counted from here, so it should be a fresh one
 * @throws TokenError `invalid_input`, which never repeats a part of the answer
 * @see RFC 6749 section 5.1; `refresh_expires_in` is Keycloak's and 0 there means no end; others call it
 *   `refresh_token_expires_in`
 */
export function readTokenResponse(text: string, nowMs: number): TokenResponse {
  const answer = parse(text)
  if (answer['error'] !== undefined) {
    throw wrong('the token response is an error answer (it has "error"): there is no sign-in in it')
  }
  const lifetime = seconds(answer, 'expires_in')
  const refreshLifetime = seconds(answer, 'refresh_expires_in') ?? seconds(answer, 'refresh_token_expires_in')
  return {
    refreshToken: member(answer, 'refresh_token'),
    accessToken: member(answer, 'access_token'),
    tokenType: member(answer, 'token_type'),
    expiresAt: lifetime === undefined ? undefined : nowMs + lifetime * 1000,
    // 0 is Keycloak's word for "no fixed end".
    refreshTokenExpiresAt:
      refreshLifetime === undefined || refreshLifetime === 0 ? undefined : nowMs + refreshLifetime * 1000,
    scope: member(answer, 'scope'),
  }
}

type Answer = Readonly<Record<string, unknown>>

function parse(text: string): Answer {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's own message quotes the text, and with it perhaps a token.
    throw wrong('the token response is not JSON: give the whole answer, from { to }')
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Answer
  throw wrong('the token response is not a JSON object')
}

function member(answer: Answer, name: string): string | undefined {
  const value = answer[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw wrong(`"${name}" in the token response is not a string`)
  return value === '' ? undefined : value
}

function seconds(answer: Answer, name: string): number | undefined {
  const value = answer[name]
  if (value === undefined || value === null) return undefined
  // Some servers write the number as a string.
  const number = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value
  if (typeof number === 'number' && Number.isFinite(number) && number >= 0) return number
  throw wrong(`"${name}" in the token response is not a number of seconds`)
}

const wrong = (message: string): TokenError => new TokenError('invalid_input', message)
