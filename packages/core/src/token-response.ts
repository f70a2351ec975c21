/**
 * What stands in a token response, however oddly it is written. Reads, and judges nothing.
 *
 * RFC 6749 sections 5.1 and 5.2; what servers do beside it is in the comments.
 */
import type { AnswerShape } from './provider.ts'
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

/** The value at a path of own members, such as `error.code`; undefined where there is none. */
function valueAt(body: Body, path: string): unknown {
  let value: unknown = body
  for (const name of path.split('.')) {
    if (!isRecord(value)) return undefined
    value = value[name]
  }
  return value
}

const WORD_PLACES = ['error', 'error.code', 'error.status', 'code', 'status']

/**
 * The words of an answer: `error`, `code`, `error.code`, `status`, then the provider's own places; some are numbers,
 * and some stand in a list.
 */
export function wordsIn(body: Body, shape: Pick<AnswerShape, 'words'>): string[] {
  return [...WORD_PLACES, ...shape.words].flatMap((place) => {
    const value = valueAt(body, place)
    return (Array.isArray(value) ? value : [value]).flatMap((word: unknown) =>
      typeof word === 'string' || typeof word === 'number' ? [String(word)] : [],
    )
  })
}

// ---- tokens --------------------------------------------------------------------------------------------------------

/** What a token response says, before anything is assumed. */
export interface TokensRead {
  readonly accessToken: AccessToken | null
  readonly tokenType: string | null
  readonly lifetimeMs: DurationMs | null
  readonly refreshToken: RefreshToken | null
  readonly refreshTokenLife: LifeSaid | null
  readonly scope: string | null
}

/** A life that was announced; null within: it was said that there is no fixed end. */
export interface LifeSaid {
  readonly lifetimeMs: DurationMs | null
}

const TOKEN_TYPE_LENGTH_MAX = 64

/**
 * The tokens of an answer, and what it says about them; null where it has none.
 *
 * @param at when the answer was given, by its own clock
 */
export function readTokens(body: Body, shape: AnswerShape, at: UnixMs): TokensRead | null {
  // One object for everything: an access token of one grant beside the refresh token of another would mix two sign-ins.
  const places = [body, ...shape.tokensIn.map((path) => valueAt(body, path)).filter(isRecord)]
  for (const place of places) {
    const first = <Value>(names: readonly string[], read: (value: unknown) => Value | null): Value | null => {
      for (const name of names) {
        const value = read(valueAt(place, name))
        if (value !== null) return value
      }
      return null
    }
    const accessText = first([...shape.accessToken, 'access_token'], visibleText)
    const refreshText = first([...shape.refreshToken, 'refresh_token'], refreshTokenText)
    if (accessText === null && refreshText === null) continue
    return {
      accessToken: accessText === null ? null : new Secret('access_token', accessText),
      tokenType: shape.tokenType ?? first(['token_type'], visibleText)?.slice(0, TOKEN_TYPE_LENGTH_MAX) ?? null,
      lifetimeMs:
        first([...shape.expiresIn, 'expires_in'], readDuration) ??
        first(['expires_at'], (value) => readUntil(value, at)),
      refreshToken: refreshText === null ? null : new Secret('refresh_token', refreshText),
      refreshTokenLife: readLife(place, shape, at),
      scope: first([...shape.scope, 'scope'], (value) => scopeText(value, shape.scopeSeparator)),
    }
  }
  return null
}

const LIFE_NAMES = ['refresh_expires_in', 'refresh_token_expires_in', 'x_refresh_token_expires_in']

function readLife(place: Body, shape: AnswerShape, at: UnixMs): LifeSaid | null {
  const said = [...shape.refreshTokenExpiresIn, ...LIFE_NAMES].map((name) => valueAt(place, name))
  const until = valueAt(place, 'refresh_token_expires_at')
  const lifetimeMs = said.map(readDuration).find((duration) => duration !== null) ?? readUntil(until, at) ?? null
  if (lifetimeMs !== null) return { lifetimeMs }
  // Keycloak says 0 for offline tokens: no fixed end, not an end that has come.
  return [...said, until].some((value) => value === 0 || value === '0') ? { lifetimeMs: null } : null
}

// RFC 6749 appendix A.12 and A.17: tokens are visible ASCII characters and space.
export const visibleText = (value: unknown): string | null =>
  typeof value === 'string' && /^[\x20-\x7E]+$/.test(value) ? value : null

/** A refresh token travels in a form, where every character has its place: whatever came is kept. */
export const refreshTokenText = (value: unknown): string | null =>
  typeof value === 'string' && value !== '' && value.isWellFormed() ? value : null

/**
 * Scopes with single spaces between them (RFC 6749 section 3.3), from a string or a list. One so long is not kept: it has
 * to fit into a spill slot beside the tokens, and nobody granted it on purpose.
 */
export function scopeText(value: unknown, separator: string): string | null {
  const listed = Array.isArray(value) && value.every((scope) => typeof scope === 'string') ? value.join(' ') : value
  if (typeof listed !== 'string') return null
  const scope =
    separator === ' '
      ? listed
      : listed
          .split(separator)
          .map((one) => one.trim())
          .join(' ')
  return scope !== '' && scope.length <= SCOPE_LENGTH_MAX ? scope : null
}

const SCOPE_LENGTH_MAX = 8 * 1024

/** A complete refresh token of a body that was cut: what is left of a sign-in, so it is kept. */
export function cutRefreshToken(cut: string, shape: Pick<AnswerShape, 'refreshToken'>): RefreshToken | null {
  for (const name of [...shape.refreshToken, 'refresh_token']) {
    const value = cutMember(cut, name)
    if (value !== null) return new Secret('refresh_token', value)
  }
  return null
}

function cutMember(cut: string, name: string): string | null {
  const spelled = (name.split('.').at(-1) ?? name).replaceAll(/\W/g, '\\$&')
  const member = new RegExp(`"${spelled}"\\s*:\\s*("(?:[^"\\\\]|\\\\.)*")`).exec(cut)?.[1]
  // In a form, only what follows shows that a value is complete.
  const field = member === undefined ? new RegExp(`^[^{<]*?(?:^|&)${spelled}=([^&\\s]+)&`).exec(cut)?.[1] : undefined
  try {
    if (field !== undefined) return refreshTokenText(decodeURIComponent(field.replaceAll('+', ' ')))
    return member === undefined ? null : refreshTokenText(JSON.parse(member))
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
