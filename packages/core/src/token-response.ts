/**
 * What stands in a token response, however oddly it is written. Reads, and judges nothing.
 *
 * RFC 6749 sections 5.1 and 5.2; what servers do beside it is in the comments.
 */
import { Secret, type AccessToken, type RefreshToken } from './secret.ts'
import { fromSeconds, ms, type DurationMs, type Now, type UnixMs } from './time.ts'

export type Body = Readonly<Record<string, unknown>>

const isRecord = (value: unknown): value is Body => typeof value === 'object' && value !== null && !Array.isArray(value)

/** JSON whatever the content type says, else a form: GitHub answers one unless asked otherwise. */
export function readBody(text: string): Body | null {
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
export function wordsIn(body: Body): string[] {
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
export const visibleText = (value: unknown): string | null =>
  typeof value === 'string' && /^[\x20-\x7E]+$/.test(value) ? value : null

/** A refresh token travels in a form, where every character has its place: whatever came is kept. */
export const refreshTokenText = (value: unknown): string | null =>
  typeof value === 'string' && value !== '' && value.isWellFormed() ? value : null

/** A scope so long is not kept: it has to fit into a spill slot beside the tokens, and nobody granted it on purpose. */
export const scopeText = (value: unknown): string | null =>
  typeof value === 'string' && value !== '' && value.length <= SCOPE_LENGTH_MAX ? value : null

const SCOPE_LENGTH_MAX = 8 * 1024

/** A complete `refresh_token` member of a body that was cut: what is left of a sign-in, so it is kept. */
export function cutRefreshToken(cut: string): RefreshToken | null {
  const member = /"refresh_token"\s*:\s*("(?:[^"\\]|\\.)*")/.exec(cut)?.[1]
  if (member === undefined) return null
  try {
    const value = refreshTokenText(JSON.parse(member))
    return value === null ? null : new Secret('refresh_token', value)
  } catch {
    return null
  }
}

// Ten years: longer announced lives are treated as said wrongly by unit, and would overflow dates downstream.
const LIFETIME_MAX_MS = 10 * 365 * 24 * 3600 * 1000

/** Seconds as a number or a string; 0, absent and nonsense are all "not said". */
export function readDuration(value: unknown): DurationMs | null {
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
export function readUntil(value: unknown, from: UnixMs): DurationMs | null {
  const epoch =
    typeof value === 'number' || (typeof value === 'string' && /^\d+$/.test(value))
      ? Number(value) * (Number(value) < 1e11 ? 1000 : 1)
      : typeof value === 'string'
        ? Date.parse(/(?:Z|[+-]\d{2}:?\d{2})$/i.test(value) ? value : `${value}Z`)
        : Number.NaN
  const left = epoch - from
  return Number.isFinite(left) && left > 0 ? ms(Math.round(Math.min(left, LIFETIME_MAX_MS))) : null
}

/** When the answer was given, by its own clock, else by ours when the request left. */
export const answeredAt = ({ date, sentAt }: AnsweredAt): UnixMs => readDate(date) ?? sentAt.wall

export interface AnsweredAt {
  readonly date: string | null
  readonly sentAt: Now
}

function readDate(date: string | null): UnixMs | null {
  // RFC 9110 section 5.6.7: it begins with the name of a day. `Date.parse` alone reads a date into nearly anything.
  const at = date === null || !/^[A-Z][a-z]{2,8},? /.test(date) ? Number.NaN : Date.parse(date)
  return Number.isFinite(at) ? (at as UnixMs) : null
}

const RETRY_AFTER_MAX_MS = 24 * 3600 * 1000

/** `Retry-After` as seconds or an HTTP date; the date is read by the answer's own clock. */
export function readRetryAfter(answer: AnsweredAt & { readonly retryAfter: string | null }): DurationMs | null {
  const value = answer.retryAfter?.trim() ?? ''
  if (/^\d{1,9}$/.test(value)) return ms(Math.min(fromSeconds(Number(value)), RETRY_AFTER_MAX_MS))
  const at = readDate(value === '' ? null : value)
  if (at === null) return null
  const left = at - answeredAt(answer)
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
