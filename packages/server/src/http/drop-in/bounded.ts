/** Memory that cannot be filled by whoever asks for many different things. */
import type { MonoMs } from '@tokenkeep/core'

/** Makes room for one more: the entry that was put first goes. */
export function forgetOldest(entries: Map<string, unknown>, most: number): void {
  if (entries.size < most) return
  const oldest = entries.keys().next()
  if (oldest.done !== true) entries.delete(oldest.value)
}

/** What the database said, believed for a second: as long as a revocation by another process may take to be noticed. */
export interface Believed<Value> {
  get(key: string, now: MonoMs): Value | undefined
  /** @param since when the database was asked */
  put(key: string, value: Value, since: MonoMs): void
  forget(key: string): void
  forgetAll(): void
}

const BELIEVED_MS = 1_000

export function createBelieved<Value>(most: number): Believed<Value> {
  const entries = new Map<string, { readonly value: Value; readonly since: MonoMs }>()
  return {
    get(key, now) {
      const entry = entries.get(key)
      return entry === undefined || now - entry.since >= BELIEVED_MS ? undefined : entry.value
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
