/**
 * How many presentations a provider gets from this process: so many at once, so many in a minute. Pure.
 *
 * Counted is what may go, when it may go. `requestsPerMinute` is exact: in no minute, wherever it begins, may more go. A
 * tenth of it may go at once, the rest evenly, so that nobody who waits is told to wait for a whole minute.
 */
import { later, ms, type DurationMs, type MonoMs } from './time.ts'

export interface Limits {
  /** Null: not limited. */
  readonly requestsPerMinute: number | null
  /** Null: not limited. */
  readonly concurrency: number | null
}

export interface Pace {
  /** When the next one would be, if they came evenly; a burst runs ahead of it. */
  readonly evenly: MonoMs
}

export const RESTED: Pace = { evenly: Number.NEGATIVE_INFINITY as MonoMs }

const MINUTE_MS = 60_000

/** How many may go at once after a rest. */
export const burstOf = (requestsPerMinute: number): number => Math.max(1, Math.floor(requestsPerMinute / 10))

/** The time between two that come evenly: a whole burst and what follows in the same minute are not too many together. */
export const spacingMs = (requestsPerMinute: number): DurationMs =>
  ms(MINUTE_MS / (requestsPerMinute - burstOf(requestsPerMinute) + 1))

/** When the next one may go, as far as the minute tells; a moment that has passed: now. */
export function whenPaced({ evenly }: Pace, { requestsPerMinute }: Limits): MonoMs {
  if (requestsPerMinute === null) return Number.NEGATIVE_INFINITY as MonoMs
  return later(evenly, ms(-(burstOf(requestsPerMinute) - 1) * spacingMs(requestsPerMinute)))
}

/**
 * Whether one more may be on its way.
 *
 * @param onTheirWay how many are, without those that are only listened to and do not count
 */
export const hasRoom = (onTheirWay: number, { concurrency }: Limits): boolean =>
  concurrency === null || onTheirWay < concurrency

/** Nothing is counted any more: a whole burst may go. */
export const isRested = ({ evenly }: Pace, now: MonoMs): boolean => evenly <= now

/** One goes now. */
export function withOneMore(pace: Pace, { requestsPerMinute }: Limits, now: MonoMs): Pace {
  if (requestsPerMinute === null) return pace
  const from = pace.evenly > now ? pace.evenly : now
  return { evenly: later(from, spacingMs(requestsPerMinute)) }
}
