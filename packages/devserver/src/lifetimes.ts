import type { RealmSettings } from './options.ts'

/** What one session brings along against the settings of its client and realm. */
export interface LifetimeWishes {
  readonly createdMs: number
  readonly sessionAccessSeconds: number | null
  readonly sessionRefreshSeconds: number | null
  readonly clientAccessSeconds: number | null
}

export interface Lifetimes {
  /** Whole seconds; 0 when the session is at its end. */
  readonly accessSeconds: number
  /** Whole seconds; null = no fixed end. */
  readonly refreshSeconds: number | null
}

/** A token without a fixed end is kept that long, in seconds: ten years. */
export const NO_END_SECONDS = 315_360_000

/** Settles how long new tokens live. Pure; the most particular setting wins, and no token outlives its session. */
export function settleLifetimes(realm: RealmSettings, wishes: LifetimeWishes, nowMs: number): Lifetimes {
  const access = wishes.sessionAccessSeconds ?? wishes.clientAccessSeconds ?? realm.accessTokenSeconds
  const refresh = wishes.sessionRefreshSeconds ?? realm.refreshTokenSeconds
  if (realm.sessionSeconds === 0) return { accessSeconds: access, refreshSeconds: refresh === 0 ? null : refresh }

  const left = Math.max(0, Math.floor((wishes.createdMs + realm.sessionSeconds * 1000 - nowMs) / 1000))
  return { accessSeconds: Math.min(access, left), refreshSeconds: refresh === 0 ? left : Math.min(refresh, left) }
}
