/**
 * The circuit breaker of one client at its token endpoint (`PROTOCOL.md` section 10). Pure.
 *
 * Closed, it counts connections that got no answer or were put off. Three within 30 s, with no answer in between that
 * shows the endpoint at work, open it. Open, it holds back everything that can wait, and lets through: what could be lost,
 * one waiting caller a second, and now and then the most urgent due work. That is its probe; nothing is sent for its sake.
 *
 * A provider that says 429 with `Retry-After` opens it for that time, a minute at most: most of them count by client.
 * After either it opens the door by degrees: in the first second 2, in the next 4, until nobody notices any more.
 */
import type { Outcome } from './grant.ts'
import type { Uid } from './ids.ts'
import type { Numbers } from './policy.ts'
import { later, ms, since, type DurationMs, type MonoMs } from './time.ts'
import { isPressing, URGENCIES, type Urgency } from './urgency.ts'

export interface Closed {
  readonly kind: 'closed'
  /** Connections that failed lately with nothing granted in between, each with its last failure. */
  readonly failed: readonly { readonly uid: Uid; readonly at: MonoMs }[]
  /** Since it was closed after an outage: when that was, and when the next may go. Null: as many as come. */
  readonly recovering: { readonly since: MonoMs; readonly nextAt: MonoMs } | null
}

export interface Open {
  readonly kind: 'open'
  readonly since: MonoMs
  /** When the next waiting caller is let through. */
  readonly callerAt: MonoMs
  /** When the next due work is. */
  readonly probeAt: MonoMs
  readonly probes: number
}

/** The provider named the time: it is obeyed, and over by itself. */
export interface ToldToWait {
  readonly kind: 'told_to_wait'
  readonly since: MonoMs
  readonly until: MonoMs
}

export type Breaker = Closed | Open | ToldToWait

export const CLOSED: Closed = { kind: 'closed', failed: [], recovering: null }

/** What an outcome says about the endpoint. `nothing`: it says something about us, or about one request. */
export type Said = 'works' | 'failed' | { readonly waitMs: DurationMs } | 'nothing'

const OURS: readonly string[] = [
  'send_limit',
  'client',
  'client_assertion_file',
  'client_certificate_expired',
  'grant_file',
  'source_connection',
  'closed',
  'address_refused',
]

export function saidBy(outcome: Outcome): Said {
  switch (outcome.kind) {
    case 'granted':
    case 'rejected':
      return 'works'
    case 'misconfigured':
      return outcome.reason === 'endpoint' ? 'nothing' : 'works'
    case 'not_sent':
      return OURS.includes(outcome.because) ? 'nothing' : 'failed'
    case 'unavailable':
      return outcome.status === 429 && outcome.retryAfterMs !== null ? { waitMs: outcome.retryAfterMs } : 'failed'
    case 'in_doubt':
      return 'failed'
  }
}

/**
 * The breaker after an outcome.
 *
 * @param draw for the moment of the first probe, from 0 to 1: many processes do not probe together
 * @param went when the request left: what was sent before the provider said "wait" does not say that it is over
 */
export function heard(
  before: Breaker,
  said: Said,
  of: { readonly uid: Uid; readonly now: MonoMs; readonly went: MonoMs; readonly draw: number },
  numbers: Numbers,
): Breaker {
  const { uid, now, went, draw } = of
  const breaker = settled(before, now)
  if (said === 'nothing') return breaker
  if (said === 'works') {
    if (breaker.kind === 'closed') return breaker.failed.length === 0 ? breaker : { ...breaker, failed: [] }
    return breaker.kind === 'told_to_wait' && went <= breaker.since ? breaker : closedNow(now)
  }
  if (said !== 'failed') {
    const waitMs = ms(Math.min(said.waitMs, numbers.pauseMostMs))
    // An open one stays open: it has probes of its own, and who opened it first knows more than one answer does.
    if (breaker.kind === 'open') return breaker
    const until = later(now, waitMs)
    return breaker.kind === 'told_to_wait' && breaker.until >= until
      ? breaker
      : { kind: 'told_to_wait', since: now, until }
  }
  if (breaker.kind !== 'closed') return breaker
  const failed = [
    ...breaker.failed.filter((each) => each.uid !== uid && since(each.at, now) < numbers.breakerWithinMs),
    { uid, at: now },
  ]
  if (failed.length < numbers.breakerConnections) return { ...breaker, failed }
  const open = { kind: 'open', since: now, callerAt: later(now, numbers.breakerCallerEveryMs), probes: 0 } as const
  return { ...open, probeAt: later(now, probeAfterMs(0, draw, numbers)) }
}

/** The same breaker at a later moment: a wait that was named ends by itself. */
export function settled(breaker: Breaker, now: MonoMs): Breaker {
  if (breaker.kind === 'told_to_wait' && now >= breaker.until) return closedNow(breaker.until)
  if (breaker.kind === 'closed' && breaker.recovering !== null && recoveredBy(breaker.recovering.since) <= now) {
    return { ...breaker, recovering: null }
  }
  return breaker
}

const closedNow = (now: MonoMs): Closed => ({ kind: 'closed', failed: [], recovering: { since: now, nextAt: now } })

/** When something as pressing as this may go, as far as the breaker tells; a moment that has passed: now. */
export function whenLet(breaker: Breaker, urgency: Urgency): MonoMs {
  if (isPressing(urgency)) return Number.NEGATIVE_INFINITY as MonoMs
  switch (breaker.kind) {
    case 'closed':
      return breaker.recovering?.nextAt ?? (Number.NEGATIVE_INFINITY as MonoMs)
    case 'told_to_wait':
      return breaker.until
    case 'open':
      return urgency === URGENCIES.caller ? breaker.callerAt : breaker.probeAt
  }
}

/**
 * The breaker after it let something through.
 *
 * @param draw for the moment of the next probe, from 0 to 1
 * @param callerEveryMs how long the next waiting caller waits
 */
export function letThrough(
  breaker: Breaker,
  urgency: Urgency,
  of: { readonly now: MonoMs; readonly draw: number; readonly callerEveryMs: DurationMs },
  numbers: Numbers,
): Breaker {
  const { now, draw, callerEveryMs } = of
  if (isPressing(urgency) || breaker.kind === 'told_to_wait') return breaker
  if (breaker.kind === 'closed') {
    if (breaker.recovering === null) return breaker
    return {
      ...breaker,
      recovering: { ...breaker.recovering, nextAt: nextWhileRecovering(breaker.recovering.since, now) },
    }
  }
  if (urgency === URGENCIES.caller) return { ...breaker, callerAt: later(now, callerEveryMs) }
  const probes = breaker.probes + 1
  return { ...breaker, probes, probeAt: later(now, probeAfterMs(probes, draw, numbers)) }
}

/** Between half and the whole of a time that doubles: never at once, and never all processes together. */
const probeAfterMs = (probes: number, draw: number, numbers: Numbers): DurationMs =>
  ms(Math.min(numbers.breakerProbeCapMs, numbers.breakerProbeFirstMs * 2 ** Math.min(probes, 30)) * (0.5 + draw / 2))

const SECOND_MS = 1000
/** In the sixth second 64 may go, which is what a round of due work claims. */
const RECOVERY_SECONDS = 6
const recoveredBy = (closedAt: MonoMs): MonoMs => later(closedAt, ms(RECOVERY_SECONDS * SECOND_MS))

/** 2 in the first second, 4 in the next, evenly. */
function nextWhileRecovering(closedAt: MonoMs, now: MonoMs): MonoMs {
  const second = Math.floor(since(closedAt, now) / SECOND_MS)
  return later(now, ms(SECOND_MS / 2 ** (second + 1)))
}
