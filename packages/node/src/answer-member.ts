/** Single members of answers that hold no tokens, and the error word of any. */
import type { ResponseSeen } from '@tokenkeep/core'

/** One member of a JSON object; undefined where there is none, or no object. */
export function memberOf(answer: ResponseSeen, name: string): unknown {
  try {
    const body: unknown = JSON.parse(answer.body.reveal())
    return typeof body === 'object' && body !== null && Object.hasOwn(body, name) ? Reflect.get(body, name) : undefined
  } catch {
    return undefined
  }
}

/** RFC 6749 section 5.2 `error`, where it is a plain word: whatever else stands there could be a secret. */
export function wordOf(answer: ResponseSeen): string | null {
  const word = memberOf(answer, 'error')
  return typeof word === 'string' && /^[a-z_.-]{1,60}$/i.test(word) ? word : null
}
