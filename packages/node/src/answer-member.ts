/** Members of answers that are no tokens: whose account it is, and the error word of any. */
import type { ResponseSeen } from '@tokenkeep/core'

/** One member of a JSON object, or of one within, `outer.inner`; undefined where there is none, or no object. */
export function memberOf(answer: ResponseSeen, path: string): unknown {
  try {
    return path.split('.').reduce<unknown>(memberNamed, JSON.parse(answer.body.reveal()))
  } catch {
    return undefined
  }
}

const memberNamed = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined

/** Whose account it is, by the first of these members that is there; null: none is. */
export function accountIn(answer: ResponseSeen, paths: readonly string[]): string | null {
  const named = paths.map((path) => {
    const value = memberOf(answer, path)
    return shownText(Number.isSafeInteger(value) ? String(value) : value)
  })
  return named.find((account) => account !== null) ?? null
}

const TEXT_LENGTH_MAX = 200

/** A text that can be kept and shown to people. */
export const shownText = (value: unknown): string | null =>
  typeof value === 'string' && value !== '' && value.length <= TEXT_LENGTH_MAX && !/\p{C}/u.test(value) ? value : null

/** RFC 6749 section 5.2 `error`, where it is a plain word: whatever else stands there could be a secret. */
export function wordOf(answer: ResponseSeen): string | null {
  const word = memberOf(answer, 'error')
  return typeof word === 'string' && /^[a-z_.-]{1,60}$/i.test(word) ? word : null
}
