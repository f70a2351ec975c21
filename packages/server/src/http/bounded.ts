/** Memory that cannot be filled by whoever asks for many different things. */
import { NUMBERS, TokenError, type MonoMs } from '@tokenkeep/core'

/** Makes room for one more: the entry that was put first goes. */
export function forgetOldest(entries: Map<string, unknown>, most: number): void {
  if (entries.size < most) return
  const oldest = entries.keys().next()
  if (oldest.done !== true) entries.delete(oldest.value)
}

/**
 * What the database said, believed for a second: as long as a revocation by another process may take to be noticed. While
 * it does not answer, for as long as remembered tokens are handed out without it: a living access token beats an error.
 */
export interface Believed<Value> {
  get(key: string, now: MonoMs): Value | undefined
  /**
   * What it said last, where it does not answer now.
   *
   * @param error what came instead of its answer
   * @throws unknown `error`, where it is another one, or nothing was said lately
   */
  instead(key: string, error: unknown, now: MonoMs): Value
  /** @param since when the database was asked */
  put(key: string, value: Value, since: MonoMs): void
  forget(key: string): void
  forgetAll(): void
}

export const BELIEVED_MS = 1_000
/** From when the database said so last. */
export const BELIEVED_WITHOUT_STORE_MS = NUMBERS.cacheWithoutStoreMs

export function createBelieved<Value>(most: number): Believed<Value> {
  const entries = new Map<string, { readonly value: Value; readonly since: MonoMs }>()
  return {
    get(key, now) {
      const entry = entries.get(key)
      return entry === undefined || now - entry.since >= BELIEVED_MS ? undefined : entry.value
    },
    instead(key, error, now) {
      const entry = entries.get(key)
      const away = error instanceof TokenError && error.code === 'store_unavailable'
      if (!away || entry === undefined || now - entry.since >= BELIEVED_WITHOUT_STORE_MS) throw error
      return entry.value
    },
    put(key, value, since) {
      entries.delete(key)
      forgetOldest(entries, most)
      entries.set(key, { value, since })
    },
    forget: (key) => void entries.delete(key),
    forgetAll: () => entries.clear(),
  }
}
