/** Counts in windows of fixed length. The libraries for this are promises or timers for each key; the hot path has neither. */
import type { MonoMs } from '@tokenkeep/core'

export interface RateWindow {
  /** Counts one more. @returns null, or the milliseconds until the next window where this one is used up */
  take(now: MonoMs): number | null
}

export function createRateWindow(limit: number, windowMs: number): RateWindow {
  let began = -Infinity
  let taken = 0
  return {
    take(now) {
      if (now - began >= windowMs) {
        began = now
        taken = 0
      }
      taken += 1
      return taken > limit ? Math.max(1, began + windowMs - now) : null
    },
  }
}

/** A window for each key, of so many keys that a flood of them cannot fill the memory: the oldest is forgotten. */
export function createRateWindows(of: { readonly limit: number; readonly windowMs: number; readonly keysMax: number }) {
  const windows = new Map<string, RateWindow>()
  return {
    take(key: string, now: MonoMs): number | null {
      const known = windows.get(key)
      if (known !== undefined) return known.take(now)
      const oldest = windows.size >= of.keysMax ? windows.keys().next().value : undefined
      if (oldest !== undefined) windows.delete(oldest)
      const window = createRateWindow(of.limit, of.windowMs)
      windows.set(key, window)
      return window.take(now)
    },
  }
}
