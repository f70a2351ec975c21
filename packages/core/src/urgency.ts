/**
 * How pressing a presentation is: the order in which a provider that takes only so many gets them, and the order in
 * which due work is claimed (`PROTOCOL.md` section 10, "Scheduler").
 */
import type { Moment, UnixMs } from './time.ts'
import type { Terms } from './policy.ts'
import { aheadAt, knownEndWithMargin, windowLeftMs, type Facts } from './schedule.ts'

/** From the most pressing. The numbers stand in databases: none is ever given another meaning. */
export const URGENCIES = {
  /** In doubt, and a window closes; or an attempt to watch, which may lead to that. */
  closing: 0,
  /** Somebody waits for it. No row says so: who waits refreshes by itself. */
  caller: 1,
  /** The refresh token is near its end. */
  nearEnd: 2,
  /** In doubt without a window, to be confirmed, blocked. */
  soon: 3,
  /** Ahead of the end of an access token that is in use. */
  ahead: 4,
  /** A quiet connection that is kept alive. */
  keepAlive: 5,
  /** Being deleted: nobody waits, and nothing is presented. */
  deletion: 6,
} as const
export type Urgency = (typeof URGENCIES)[keyof typeof URGENCIES]

/** What a provider that is limited or does not answer holds back. Everything else could be lost, or presents nothing. */
export const HELD_BACK: readonly Urgency[] = [URGENCIES.soon, URGENCIES.ahead, URGENCIES.keepAlive]

/** Held back it could be lost. */
export const isPressing = (urgency: Urgency): boolean => urgency === URGENCIES.closing || urgency === URGENCIES.nearEnd

/**
 * The urgency of what happens by itself to a connection.
 *
 * @param due when it happens
 */
export function urgencyOf(facts: Facts, terms: Terms, due: UnixMs, now: Moment): Urgency {
  const { state } = facts
  const { policy } = terms
  if (state.status === 'presenting') return URGENCIES.closing
  if (state.status === 'deleting' || state.status === 'erased') return URGENCIES.deletion
  if (state.status === 'in_doubt') {
    const closes = policy.windowMs !== null && windowLeftMs(state, policy, now) > 0
    if (closes || state.promptRetry !== null) return URGENCIES.closing
  }
  const endsAt = facts.refreshToken?.endsAt ?? null
  const lastMoment = knownEndWithMargin(facts, policy)
  if (endsAt !== null && lastMoment !== null && due >= lastMoment && due < endsAt) return URGENCIES.nearEnd
  if (state.status !== 'ready') return URGENCIES.soon
  const full = facts.accessTokens.find((token) => token.variant === '')
  const inUse = full !== undefined && facts.usedAt !== null && due >= aheadAt(facts.uid, full, policy)
  return inUse ? URGENCIES.ahead : URGENCIES.keepAlive
}

/** The urgency of a presentation that somebody waits for, whatever else it is for. */
export const wantedUrgency = (urgency: Urgency): Urgency =>
  urgency === URGENCIES.closing ? URGENCIES.closing : URGENCIES.caller
