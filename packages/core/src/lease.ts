/**
 * The right to present one refresh token until a moment: acquired with the intent durable, renewed, taken over.
 *
 * Everything here is pure: a store reads the row, calls one of these, and writes what comes back, all in one atomic
 * durable write. Who may present when stands in `schedule.ts`.
 */
import type { At, Attempt, ConnectionRow, InDoubt, Presenting, Resting, State, Why } from './connection.ts'
import {
  next,
  type AttemptId,
  type Fence,
  type Fingerprint,
  type Generation,
  type GrantNo,
  type OwnerId,
  type Uid,
} from './ids.ts'
import type { NonceAsked } from './grant.ts'
import { AFTER_A_LEASE_MS, type Policy, type Terms } from './policy.ts'
import { dueAt, schedule, windowLeftMs } from './schedule.ts'
import type { GrantRunAgain } from './provider.ts'
import type { RefreshToken } from './secret.ts'
import { counted, presentedRefreshToken, siblingToTry, swappedIn } from './sibling.ts'
import { urgencyOf } from './urgency.ts'
import {
  later,
  laterMoment,
  ms,
  perhapsElapsed,
  shorter,
  since,
  surelyElapsed,
  type DurationMs,
  type Moment,
  type Now,
  type UnixMs,
} from './time.ts'

declare const held: unique symbol

/** Proof that this process may run one attempt. Made only by a store. */
export interface Lease {
  readonly [held]: true
  readonly uid: Uid
  readonly grant: GrantNo
  readonly generation: Generation
  readonly attempt: AttemptId
  readonly owner: OwnerId
  readonly fence: Fence
  readonly why: Why
  /** Fingerprint of the refresh token that an answer will answer; null where a grant runs again. */
  readonly answers: Fingerprint | null
  /** This process's clocks when the verb that made or renewed it was called: all limits count from here. */
  readonly t0: Now
  /** The first acquire, also after renewals: a window counts from here. */
  readonly acquiredAt: Now
  readonly heartbeat: number
  readonly leaseMs: DurationMs
  /** From `t0`: past this nothing is sent. */
  readonly sendLimitMs: DurationMs
  /** From `t0`, for a try in doubt: its window closes. Endless where none does. */
  readonly windowMs: DurationMs
  /** The store session that acquired it. Another session may have lost the intent. */
  readonly session: string
}

/** What a presentation carries. */
export type Presented =
  { readonly kind: 'refresh_token'; readonly refreshToken: RefreshToken } | { readonly kind: GrantRunAgain }

/** The refresh token, lent once. */
export interface Ticket {
  /**
   * The last check, and what to present. To be called in the tick in which the first byte is written.
   *
   * @returns `over` past the send limit, past the window, or in another store session: nothing may be sent
   * @throws Error taken before: a second presentation would leave
   */
  take(lease: Lease, now: Now): Presented | 'over'
  /**
   * Another ticket for the same attempt, once: the server refused the proof before it looked at what was presented.
   *
   * @throws Error not taken yet, or asked for before: two presentations would leave that nobody counts
   */
  again(asked: NonceAsked): Ticket
}

/**
 * Wraps what an acquire lends. For stores alone.
 *
 * @param session says the store session of now; the lease has that of its acquire
 */
export function lend(presented: Presented, session: () => string): Ticket {
  return ticketFor(presented, session, true)
}

function ticketFor(presented: Presented, session: () => string, repeatable: boolean): Ticket {
  let taken = false
  let left = repeatable
  return {
    take(lease, now) {
      if (taken) throw new Error('a ticket is taken once: this refresh token may have been presented already')
      taken = true
      return maySend(lease, now) && session() === lease.session ? presented : 'over'
    },
    again() {
      if (!taken || !left) throw new Error('an attempt repeats once, after its request was refused for want of a nonce')
      left = false
      return ticketFor(presented, session, false)
    },
  }
}

/** Whether the first byte may still leave: by the monotonic and by the wall clock, each of which can stand still alone. */
export function maySend(lease: Lease, now: Now): boolean {
  const elapsed = passedSince(lease.t0, now)
  return elapsed < lease.sendLimitMs && elapsed < lease.windowMs
}

export interface AcquireRequest {
  readonly at: At
  readonly why: Why
  readonly attempt: AttemptId
  readonly owner: OwnerId
  readonly host: string
  readonly session: string
  /** Whether this owner holds a lock in the store now, for others to see. */
  readonly showsLock: boolean
  readonly usedAt: UnixMs | null
  /** This process's clocks when acquire was called. */
  readonly t0: Now
}

export interface Gone {
  readonly kind: 'gone'
  readonly because: 'unknown' | 'deleting' | 'erased'
}

/** Another attempt is open; its lease as it was read, for whoever watches it. */
export interface Busy {
  readonly kind: 'busy'
  readonly owner: OwnerId
  readonly fence: Fence
  readonly heartbeat: number
  readonly leaseMs: DurationMs
  /** The store's clock says that the lease is over. Not enough: a watcher must have seen it for one lease, too. */
  readonly over: boolean
}

export interface Moved {
  readonly kind: 'moved'
}

export interface NotYet {
  readonly kind: 'not_yet'
  readonly at: UnixMs | null
}

/** This database is a copy, or was restored: nothing of it is presented until it is adopted. */
export interface OnHold {
  readonly kind: 'on_hold'
}

export type AcquireDecision =
  { readonly kind: 'acquired'; readonly row: ConnectionRow; readonly lease: Lease } | Busy | Moved | NotYet | Gone

/**
 * Decides an acquire.
 *
 * @param now store time
 * @returns with `acquired` the row to write before anybody hears of the lease
 */
export function acquire(row: ConnectionRow, terms: Terms, request: AcquireRequest, now: Moment): AcquireDecision {
  const { state } = row
  if (state.status === 'deleting' || state.status === 'erased') return { kind: 'gone', because: state.status }
  if (state.status === 'presenting') {
    const mine = state.attempt.id === request.attempt && state.attempt.owner === request.owner
    return mine ? { kind: 'acquired', row, lease: leaseFor(row, state, terms, request, now) } : busy(state.attempt, now)
  }
  if (state.status === 'needs_user' && siblingToTry(row.siblings) === null) return { kind: 'not_yet', at: null }
  if (row.grant !== request.at.grant || row.generation !== request.at.generation || row.fence !== request.at.fence) {
    return { kind: 'moved' }
  }
  // A caller may be waiting, who tries more often than the scheduler would: the lower cap is the limit.
  const allowed = schedule(row, terms, request.owner, now, true)
  if (allowed.kind === 'never') return { kind: 'not_yet', at: null }
  if (allowed.kind === 'later') return { kind: 'not_yet', at: allowed.at }
  if (allowed.why !== request.why) return { kind: 'moved' }

  const fence = next(row.fence)
  const from = state.status === 'blocked' ? state.from : state
  const attempt: Attempt = {
    id: request.attempt,
    owner: request.owner,
    host: request.host,
    fence,
    why: request.why,
    sibling: request.why === 'sibling' ? (siblingToTry(row.siblings)?.attempt ?? null) : null,
    acquiredAt: now,
    heartbeat: 0,
    heartbeatAt: now,
    leaseMs: leaseOf(from, terms.policy, now),
    ...(request.showsLock ? { showsLock: true } : {}),
    blockedFailures: state.status === 'blocked' ? state.failures : 0,
  }
  const presenting: Presenting = {
    status: 'presenting',
    // The one prompt retry of a doubt is this attempt or none, whatever becomes of it.
    from: from.status === 'in_doubt' ? { ...from, promptRetry: null } : from,
    attempt,
  }
  const acquired = {
    ...counted(row, attempt, 1),
    fence,
    state: presenting,
    presentNow: null,
    usedAt: request.usedAt ?? row.usedAt,
  }
  return {
    kind: 'acquired',
    row: written(acquired, terms, request.owner, now),
    lease: leaseFor(acquired, presenting, terms, request, now),
  }
}

function leaseFor(row: ConnectionRow, state: Presenting, terms: Terms, request: AcquireRequest, now: Moment): Lease {
  // A repeated acquire gets the lease that runs already, not a new one: limits count from its last heartbeat.
  const running = perhapsElapsed(state.attempt.heartbeatAt, now)
  const ran = perhapsElapsed(state.attempt.acquiredAt, now)
  const ago = (by: DurationMs): Now => ({
    wall: later(request.t0.wall, ms(-by)),
    mono: later(request.t0.mono, ms(-by)),
  })
  const window =
    state.from.status === 'in_doubt'
      ? windowLeftMs(state.from, terms.policy, state.attempt.heartbeatAt)
      : ms(Number.POSITIVE_INFINITY)
  return {
    uid: row.uid,
    grant: row.grant,
    generation: row.generation,
    attempt: state.attempt.id,
    owner: state.attempt.owner,
    fence: state.attempt.fence,
    why: state.attempt.why,
    answers: presentedRefreshToken(row)?.fingerprint ?? null,
    t0: ago(running),
    acquiredAt: ago(ran),
    heartbeat: state.attempt.heartbeat,
    leaseMs: state.attempt.leaseMs,
    // A shorter lease still has a margin between the last moment to send and its end.
    sendLimitMs: shorter(terms.policy.sendLimitMs, ms(state.attempt.leaseMs * 0.75)),
    // A closed window does not forbid a try that strict rules allow afterwards: then it no longer counts.
    windowMs: window > 0 ? window : ms(Number.POSITIVE_INFINITY),
    session: request.session,
  } as Lease
}

/** A try in doubt leaves others time for one more inside the window, if they can come at all. */
function leaseOf(from: Resting, policy: Policy, now: Moment): DurationMs {
  if (from.status !== 'in_doubt' || policy.windowMs === null) return policy.leaseMs
  const leftMs = windowLeftMs(from, policy, now)
  const alone = leftMs < 2 * AFTER_A_LEASE_MS
  return alone ? policy.leaseMs : shorter(policy.leaseMs, ms(leftMs - AFTER_A_LEASE_MS))
}

/**
 * Whether others can still come inside the window after a renewal: it is watched anew from its heartbeat on. Where no window
 * closes a lease can always be renewed.
 *
 * @param now this process's clocks
 */
export function mayRenew(lease: Lease, policy: Policy, now: Now): boolean {
  if (policy.windowMs === null) return true
  const leftMs = Math.min(
    policy.windowMs - passedSince(lease.acquiredAt, now),
    lease.windowMs - passedSince(lease.t0, now),
  )
  return leftMs > lease.leaseMs + AFTER_A_LEASE_MS
}

/** By whichever clock of this process counts more: one stands still while the machine sleeps, one can be set. */
const passedSince = (from: Now, now: Now): number => Math.max(since(from.mono, now.mono), since(from.wall, now.wall))

const busy = (attempt: Attempt, now: Moment): Busy => ({
  kind: 'busy',
  owner: attempt.owner,
  fence: attempt.fence,
  heartbeat: attempt.heartbeat,
  leaseMs: attempt.leaseMs,
  over: isOver(attempt, now),
})

/** The open attempt as a watcher needs to see it; null where none is open. */
export function openAttempt({ state }: Pick<ConnectionRow, 'state'>, now: Moment): Busy | null {
  const attempt = attemptOf(state)
  return attempt === null ? null : busy(attempt, now)
}

/** The attempt that is open, also one that a deletion waits for. */
export const attemptOf = (state: State): Attempt | null =>
  state.status === 'presenting' || state.status === 'deleting' ? state.attempt : null

/** By the store's clock alone: whoever acts on it must have watched the lease, too. */
export const isOver = (attempt: Attempt, now: Moment): boolean =>
  surelyElapsed(attempt.heartbeatAt, now) >= attempt.leaseMs

/** The attempt of this lease or answer, if it is the open one. */
export function openAttemptOf({ state }: ConnectionRow, of: Pick<Lease, 'attempt' | 'fence'>): Attempt | null {
  const attempt = attemptOf(state)
  return attempt?.id === of.attempt && attempt.fence === of.fence ? attempt : null
}

/** A heartbeat: the lease begins anew at `now`. It sends nothing any more where an answer to its refresh token is held. */
export function renew(
  row: ConnectionRow,
  terms: Terms,
  lease: Lease,
  t0: Now,
  now: Moment,
): { readonly row: ConnectionRow; readonly lease: Lease } | 'lost' {
  const attempt = openAttemptOf(row, lease)
  const { state } = row
  if (attempt === null || state.status !== 'presenting' || row.uid !== lease.uid) return 'lost'
  const renewed: Attempt = { ...attempt, heartbeat: attempt.heartbeat + 1, heartbeatAt: now }
  const passed = passedSince(lease.t0, t0)
  return {
    row: written({ ...row, state: { ...state, attempt: renewed } }, terms, lease.owner, now),
    lease: {
      ...lease,
      t0,
      heartbeat: renewed.heartbeat,
      // An earlier attempt was answered meanwhile: what this one has not sent yet is spent.
      sendLimitMs: row.successor === null ? lease.sendLimitMs : ms(0),
      windowMs: ms(Math.max(0, lease.windowMs - passed)),
    },
  }
}

/** The row after an attempt without an answer: a sibling that it presented is the current refresh token from now on. */
export function doubted(
  before: ConnectionRow,
  state: Presenting,
  terms: Terms,
  end: {
    readonly by: OwnerId
    /** The end was seen, or the owner's death is proven: how long the prompt retry waits then. Null: neither. */
    readonly promptAfterMs: DurationMs | null
    readonly silentSince: InDoubt['silentSince']
    readonly notBefore: UnixMs | null
    readonly draw: number
    readonly now: Moment
  },
): ConnectionRow {
  const { from } = state
  const row = swappedIn(before, state)
  // One prompt retry for a doubt, wherever it is made: a doubt that comes from a doubt has none left.
  const promptAfterMs = terms.policy.reuse.kind === 'unknown' && from.status !== 'in_doubt' ? end.promptAfterMs : null
  const doubt: InDoubt = {
    status: 'in_doubt',
    since: from.status === 'in_doubt' ? from.since : state.attempt.acquiredAt,
    ...(from.status === 'in_doubt' && from.adopted === true ? { adopted: true } : {}),
    promptRetry: promptAfterMs === null ? null : { by: end.by, from: laterMoment(end.now, promptAfterMs) },
    // Somebody who fell silent in this doubt may still wake with the answer, whatever later tries saw.
    silentSince: end.silentSince ?? (from.status === 'in_doubt' ? from.silentSince : null),
    backOff: {
      // What failed before this doubt says nothing about how often to ask in it, and a window may be closing.
      failures: from.status === 'in_doubt' ? (from.backOff?.failures ?? 0) + 1 : 1,
      failedAt: end.now,
      draw: end.draw,
      notBefore: end.notBefore,
    },
  }
  return { ...row, state: doubt }
}

/** What every write does: raise the revision, and say when something has to happen by itself. */
export function written(row: ConnectionRow, terms: Terms, owner: OwnerId, now: Moment): ConnectionRow {
  const due = dueAt(row, terms, owner, now)
  // Jitter makes fractions; a whole millisecond later is never too early.
  const whole = due === null ? null : (Math.ceil(due) as UnixMs)
  const urgency = urgencyOf(row, terms, whole ?? now.wall, now)
  return { ...row, revision: next(row.revision), dueAt: whole, urgency, updatedAt: now.wall }
}
