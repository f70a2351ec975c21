/** Memory that cannot be filled by whoever asks for many different things. */
import { NUMBERS, since, TokenError, type MonoMs } from '@tokenkeep/core'

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
  /** @param saidAt when the database was asked */
  put(key: string, value: Value, saidAt: MonoMs): void
  forget(key: string): void
  forgetAll(): void
}

export const BELIEVED_MS = 1_000

/**
 * Whether what the database said last is believed on.
 *
 * @param error what came instead of its answer
 * @param saidAt when it said so
 */
export const isBelievedWithout = (error: unknown, saidAt: MonoMs, now: MonoMs): boolean =>
  error instanceof TokenError && error.code === 'store_unavailable' && since(saidAt, now) < NUMBERS.cacheWithoutStoreMs

export function createBelieved<Value>(most: number): Believed<Value> {
  const entries = new Map<string, { readonly value: Value; readonly saidAt: MonoMs }>()
  return {
    get(key, now) {
      const entry = entries.get(key)
      return entry === undefined || since(entry.saidAt, now) >= BELIEVED_MS ? undefined : entry.value
    },
    instead(key, error, now) {
      const entry = entries.get(key)
      if (entry === undefined || !isBelievedWithout(error, entry.saidAt, now)) throw error
      return entry.value
    },
    put(key, value, saidAt) {
      entries.delete(key)
      forgetOldest(entries, most)
      entries.set(key, { value, saidAt })
    },
    forget: (key) => void entries.delete(key),
    forgetAll: () => entries.clear(),
  }
}
