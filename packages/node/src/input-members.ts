/** How members of what users write are read, and refused with a sentence that says what is wrong, where, and what to do. */
import { ms, parseName, TokenError, type ClientId, type DurationMs, type ProviderId } from '@tokenkeep/core'

/** Throws, with a sentence that says what is wrong. Values are not repeated: one in the wrong place may be a secret. */
export type Refuse = (sentence: string) => never
export type Given = Readonly<Record<string, unknown>>

export const refuser =
  (code: 'invalid_input' | 'provider_refused', where: string, subject: string): Refuse =>
  (sentence) => {
    throw new TokenError(code, `${where}: ${sentence}`, { subject })
  }

export const isRecord = (value: unknown): value is Given =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export function recordOf(what: string, value: unknown): Given {
  if (isRecord(value)) return value
  throw new TokenError('invalid_input', `${what} must be given as an object, such as { id: '...' }`)
}

export function nameOf<Name extends ProviderId | ClientId>(what: 'provider' | 'client', value: unknown): Name {
  const read = parseName<Name>(what, value)
  if ('id' in read) return read.id
  throw new TokenError('invalid_input', read.wrong)
}

/** @param inner what of the input it is; absent: all of it, which the sentence begins with anyway */
export function onlyMembers(given: Given, known: readonly string[], refuse: Refuse, inner?: string): void {
  const unknown = Object.keys(given).find((name) => !known.includes(name))
  if (unknown === undefined) return
  const wrong =
    inner === undefined ? `${spelled(unknown)} is not a member` : `${inner} has no member ${spelled(unknown)}`
  refuse(`${wrong}; known are ${known.join(', ')}`)
}

/** A name as a message may repeat it: no control characters, not endless, and nothing long enough to be a secret. */
export const spelled = (name: string): string =>
  /^[\w.-]{1,40}$/.test(name) ? `"${name}"` : 'one that is not a plain word of up to 40 characters'

export function textOf(name: string, value: unknown, lengthMax: number, refuse: Refuse): string {
  if (typeof value !== 'string' || value === '') return refuse(`${name} must be a string that is not empty`)
  if (value.length > lengthMax) {
    return refuse(`${name} must have at most ${lengthMax} characters, this one has ${value.length}`)
  }
  if (/\p{Cc}/u.test(value) || !value.isWellFormed()) {
    return refuse(`${name} must not contain control characters or broken Unicode; was a line feed copied with it?`)
  }
  return value
}

export function oneOf<Value extends string>(
  name: string,
  value: unknown,
  known: readonly Value[],
  refuse: Refuse,
): Value {
  return known.find((one) => one === value) ?? refuse(`${name} must be one of ${known.join(', ')}`)
}

export function flag(given: Given, name: string, fallback: boolean, refuse: Refuse): boolean {
  const value = given[name] ?? fallback
  return typeof value === 'boolean' ? value : refuse(`${name} must be true or false`)
}

const TEN_YEARS_MS = 10 * 365 * 24 * 3600 * 1000

/** A length of time in milliseconds; null: none. */
export function spanOf(given: Given, name: string, fallback: DurationMs | null, refuse: Refuse): DurationMs | null {
  const value = given[name]
  if (value === undefined) return fallback
  if (value === null) return null
  if (typeof value === 'number' && value >= 1000 && value <= TEN_YEARS_MS) return ms(value)
  return refuse(`${name} must be milliseconds, from 1000 (one second) to ${TEN_YEARS_MS} (ten years)`)
}

/** A whole number from 1; null: not limited. */
export function limitOf(
  given: Given,
  name: string,
  of: { readonly fallback: number | null; readonly most: number },
  refuse: Refuse,
): number | null {
  const value = given[name]
  if (value === undefined) return of.fallback
  if (value === null) return null
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= of.most) return value
  return refuse(`${name} must be a whole number from 1 to ${of.most}, or null: not limited`)
}
