/**
 * Every number, with its unit, its reason, and the relations between them, which are asserted when this file loads.
 *
 * The source is `PROTOCOL.md` section 10. What depends on a provider's reuse policy is derived in `policyOf`.
 */
import { runsAgain, type Client, type GrantType, type Provider, type ReusePolicy } from './provider.ts'
import { fromSeconds, longer, ms, shorter, type DurationMs } from './time.ts'

const seconds = fromSeconds
const minutes = (count: number): DurationMs => seconds(count * 60)
const hours = (count: number): DurationMs => minutes(count * 60)
const days = (count: number): DurationMs => hours(count * 24)

/** The numbers that no provider changes. Handed in, so that a test can run the same rules on shorter ones. */
export interface Numbers {
  readonly leaseMs: DurationMs
  readonly grantDeadlineMs: DurationMs
  readonly commitDeadlineMs: DurationMs
  readonly connectDeadlineMs: DurationMs
  readonly listeningLimitMs: DurationMs
  readonly patienceMs: DurationMs
  readonly spillAfterMs: DurationMs
  readonly replayCapMs: DurationMs
  readonly promptRetryAfterMs: DurationMs
  readonly promptRetryAfterDeathMs: DurationMs
  readonly confirmAfterMs: readonly [DurationMs, DurationMs]
  readonly signOutTakesMs: DurationMs
  readonly backOffFirstMs: DurationMs
  readonly backOffCapWithCallerMs: DurationMs
  readonly backOffCapMs: DurationMs
  readonly blockedFirstMs: DurationMs
  readonly blockedCapMs: DurationMs
  readonly callerDeadlineMs: DurationMs
  readonly pollFirstMs: DurationMs
  readonly pollCapMs: DurationMs
  readonly aheadLeastMs: DurationMs
  readonly aheadMostMs: DurationMs
  readonly minTtlUnaskedMs: DurationMs
  readonly floorLeastMs: DurationMs
  readonly lifetimeUnknownMs: DurationMs
  readonly endMarginMostMs: DurationMs
  readonly keepAliveLeadMostMs: DurationMs
  readonly idleAssumedMs: DurationMs
  readonly usedLatelyLeastMs: DurationMs
  readonly usedLatelyMostMs: DurationMs
  readonly forcedRefreshApartMs: DurationMs
  readonly refusedHoldFirstMs: DurationMs
  readonly refusedHoldCapMs: DurationMs
  readonly cacheWithoutStoreMs: DurationMs
  readonly revokeTriedMs: DurationMs
  readonly tombstoneMs: DurationMs
  readonly breakerConnections: number
  readonly breakerWithinMs: DurationMs
  readonly breakerCallerEveryMs: DurationMs
  readonly breakerProbeFirstMs: DurationMs
  readonly breakerProbeCapMs: DurationMs
  readonly pauseMostMs: DurationMs
}

export const NUMBERS: Numbers = {
  leaseMs: seconds(30), // Must outlive grant and commit; nobody else presents before it is over.
  grantDeadlineMs: seconds(10), // Counted from sending; callers are told "slow" then, the answer is still awaited.
  commitDeadlineMs: seconds(2), // A store slower than this is treated as down: the answer lies in its slot.
  connectDeadlineMs: seconds(5), // Before the first byte nothing is lost by giving up.
  listeningLimitMs: seconds(90), // From acquire, or the renewal before sending. A strict provider's answer is worth waiting for that long.
  patienceMs: seconds(60), // After a silent owner: it may be frozen with the answer in its socket.
  spillAfterMs: ms(250), // An answer is in memory alone for no longer than this.
  replayCapMs: seconds(1), // A kept answer is first in line when the store comes back: before anybody takes over its attempt.
  promptRetryAfterMs: ms(200), // Inside any grace window that exists, after a connection that surely ended.
  promptRetryAfterDeathMs: seconds(2), // A killed process says nothing of the server, where its request may still be queued.
  confirmAfterMs: [seconds(15), seconds(60)], // After the first refusal; spurious refusals are over by then.
  signOutTakesMs: seconds(10), // A provider tells all its clients of a sign-out in turn, and ends the session last.
  backOffFirstMs: ms(200),
  backOffCapWithCallerMs: seconds(30), // Somebody waits: try more often than
  backOffCapMs: minutes(10), // when nobody does.
  blockedFirstMs: minutes(1), // Only a person mends it, so asking often helps nobody,
  blockedCapMs: hours(1), // but a mended registration should be noticed within the hour.
  callerDeadlineMs: seconds(20), // One whole refresh and a confirmation fit; shorter than a lease.
  pollFirstMs: ms(10), // For a holder in another process, doubling to
  pollCapMs: ms(250),
  aheadLeastMs: seconds(30), // The refresh-ahead window: a tenth of the lifetime within these two,
  aheadMostMs: minutes(10), // never over half of the lifetime.
  minTtlUnaskedMs: seconds(10), // What a caller gets who does not say; at most a quarter of the lifetime.
  floorLeastMs: seconds(1), // Between two refreshes: a provider with tiny lifetimes is not stormed.
  lifetimeUnknownMs: minutes(5), // No answer, no provider data and no earlier token says it.
  endMarginMostMs: seconds(30), // Before the refresh token's known end: the last moment to use it.
  keepAliveLeadMostMs: days(3), // Before idle death: room for an outage over a weekend.
  idleAssumedMs: days(14), // Nobody said when an unused refresh token dies: half of the shortest limit in days that is known of a provider.
  usedLatelyLeastMs: minutes(10), // Only what was used so lately is refreshed ahead.
  usedLatelyMostMs: days(1),
  forcedRefreshApartMs: seconds(10), // An API that refuses everything must not cause a storm of refreshes.
  refusedHoldFirstMs: minutes(5), // An API that refuses the forced refresh's token, too, refuses everything:
  refusedHoldCapMs: hours(1), // asked again after this, doubling up to that.
  cacheWithoutStoreMs: minutes(5), // Cached tokens are handed out while the store is away, for so long.
  revokeTriedMs: days(3), // Then a deleted connection is erased, revoked or not.
  tombstoneMs: days(30), // A late answer to a deleted connection is still recognised.
  breakerConnections: 3, // One connection can have trouble of its own, and two by chance.
  breakerWithinMs: seconds(30), // Older failures are of another trouble.
  breakerCallerEveryMs: seconds(1), // Callers notice the end of an outage at once; a server in trouble hardly notices them.
  breakerProbeFirstMs: seconds(1), // The most urgent due work goes now and then, too: first soon, for most outages are short,
  breakerProbeCapMs: seconds(30), // then rarely, and never more rarely than one lease.
  pauseMostMs: minutes(1), // After a 429: what it says of one client need not be true of all its connections for longer.
}

/** One tick of the running event loop (`Clock.tick`), in which the deadlines of an answer are counted. */
export const TICK_MS = ms(50)

/** Two clocks that were not set differ by their rounding, and by how far apart they are read. */
export const CLOCKS_AGREE_MS = ms(10)

/** Answers kept for one connection that lost to a later one: more than two presentations of a token in doubt are rare. */
export const SIBLINGS_MOST = 3

/** How often a source of notices that cannot ring by itself is looked at while somebody waits for another process. */
export const LOOK_WAITING_MS = ms(10)
/** The same while remembered tokens are being handed out. */
export const LOOK_REMEMBERING_MS = ms(50)
/** Between the end of a lease and a try of others: a look at what has been open, a takeover, a back-off, and sending. */
export const AFTER_A_LEASE_MS = seconds(2)
/** Work that is claimed is begun at once, or by whoever claimed it not at all. */
export const CLOSING_CLAIM_MS = seconds(2)
/** What is remembered is compared with the store this often, heard of or not. */
export const COMPARE_EVERY_MS = seconds(1)
/** A session that broke is opened again within this time or two; whose lock is missing for longer is taken for silent. */
export const LOCK_MISSING_MS = seconds(2)
/** How often a silent owner's lock is tried: the try takes well under a millisecond. */
export const PROBE_EVERY_MS = ms(250)
/**
 * Where a notice names nothing, everything is asked for, and then the next one has to wait: for each connection that was
 * asked for so much longer. A look at one takes a few microseconds, so looking takes less than a tenth of the time.
 */
export const PAUSE_AFTER_EACH_MS = ms(0.05)
/** Where the wall clock and the monotonic one count so differently, that is no drift: one of them jumped. */
export const CLOCK_JUMP_MS = seconds(2)

/** What a process remembers of the pairs that it committed, against a store that shows less afterwards. */
export const REMEMBERED_PAIRS = {
  forMs: minutes(10), // A failover is over by then, and whoever lost by it has been seen.
  againAfterMs: seconds(1), // What the store did not take is offered again so often, while somebody asks.
  ofOneMost: 8, // A standby that is behind is behind by seconds; a token that lives so shortly is rotated a few times.
  most: 10_000, // Of connections: those refreshed last.
  bytesMost: 16 * 1024 * 1024, // About five thousand pairs of 3 kB.
} as const

const check = (relation: boolean, sentence: string): void => {
  if (!relation) throw new Error(`policy: ${sentence}`)
}

/** A window that the refusal of late answers cannot protect: shorter ones are treated as strict. */
const GRACE_LEAST_MS = seconds(3)
/** `grace until the successor is used` has no length of its own; deadlines are derived as for this one. */
const GRACE_UNTIL_USED_MS = seconds(30)

/** The numbers as one provider's reuse policy makes them. */
export interface Policy extends Numbers {
  readonly reuse: ReusePolicy
  /** From acquire, by monotonic and by wall clock: past this nothing is sent. */
  readonly sendLimitMs: DurationMs
  /** After the first unanswered acquire: past this no retry in doubt is sent. Null: no window closes. */
  readonly windowMs: DurationMs | null
  /** In all, for one generation. Null: not limited. */
  readonly presentationsMost: number | null
  /** An unanswered connection is still listened to after the grant deadline, because a second presentation can kill. */
  readonly listensOn: boolean
}

function reuseOf(provider: Pick<Provider, 'reuse'>, grantType: GrantType): ReusePolicy {
  if (runsAgain(grantType)) return { kind: 'reusable' }
  const { reuse } = provider
  if (reuse.kind === 'grace' && 'seconds' in reuse && seconds(reuse.seconds) < GRACE_LEAST_MS) return { kind: 'strict' }
  return reuse
}

/**
 * The numbers for one connection.
 *
 * @param grantType a grant that runs again can always be presented again
 */
export function policyOf(provider: Pick<Provider, 'reuse'>, grantType: GrantType, numbers: Numbers = NUMBERS): Policy {
  const reuse = reuseOf(provider, grantType)
  const graceMs = reuse.kind === 'grace' ? ('seconds' in reuse ? seconds(reuse.seconds) : GRACE_UNTIL_USED_MS) : null
  const within = (value: DurationMs, part: number): DurationMs =>
    graceMs === null ? value : shorter(value, ms(graceMs / part))
  const leaseMs = within(numbers.leaseMs, 2)
  const policy: Policy = {
    ...numbers,
    reuse,
    leaseMs,
    grantDeadlineMs: within(numbers.grantDeadlineMs, 3),
    commitDeadlineMs: within(numbers.commitDeadlineMs, 8),
    connectDeadlineMs: within(numbers.connectDeadlineMs, 4),
    sendLimitMs: ms(leaseMs / 2),
    windowMs: reuse.kind === 'grace' && 'seconds' in reuse ? ms(seconds(reuse.seconds) * 0.75) : null,
    presentationsMost: reuse.kind === 'counted' ? 1 + reuse.n : null,
    listensOn: reuse.kind === 'strict' || reuse.kind === 'unknown',
  }
  assertRelations(policy)
  return policy
}

function assertRelations(policy: Policy): void {
  check(
    policy.grantDeadlineMs + policy.commitDeadlineMs < policy.leaseMs,
    'a lease must outlive the grant and the commit that it protects',
  )
  check(policy.connectDeadlineMs <= policy.leaseMs / 2, 'connecting must end before the send limit')
  check(policy.spillAfterMs < policy.commitDeadlineMs, 'an answer spills before its commit is given up')
  check(
    policy.grantDeadlineMs + policy.commitDeadlineMs < policy.callerDeadlineMs,
    "a caller's deadline holds one whole refresh",
  )
  check(policy.replayCapMs < policy.leaseMs, 'a kept answer is offered again before its attempt can be taken over')
  check(policy.confirmAfterMs[0] < policy.callerDeadlineMs, 'the first confirmation comes before a caller gives up')
  check(policy.signOutTakesMs < policy.callerDeadlineMs, 'what a sign-out came to is known before a caller gives up')
  if (policy.windowMs !== null) check(policy.leaseMs < policy.windowMs, 'the timer alone must come inside the window')
  // Inside a grace window a second presentation is answered, so an answer may come after the lease.
  if (policy.reuse.kind !== 'grace') {
    check(policy.callerDeadlineMs < policy.leaseMs, 'a caller has given up before a lease is over')
    check(
      policy.sendLimitMs + policy.grantDeadlineMs + policy.commitDeadlineMs < policy.leaseMs,
      'sending at the last moment, the answer and its commit fit into the lease',
    )
  }
  if (policy.listensOn) {
    check(
      policy.listeningLimitMs <= policy.leaseMs + policy.patienceMs,
      'no one presents while a holder may still listen',
    )
  }
}

// A wrong edit of this file fails at start, not on the day when two deadlines cross.
for (const reuse of [
  { kind: 'reusable' },
  { kind: 'grace', seconds: 3, winner: 'any' },
  { kind: 'grace', seconds: 3600, winner: 'any' },
  { kind: 'grace', until: 'successor_used', winner: 'any' },
  { kind: 'counted', n: 1 },
  { kind: 'strict' },
  { kind: 'unknown' },
] as const satisfies readonly ReusePolicy[]) {
  policyOf({ reuse }, 'refresh_token')
}

/** What a connection is judged by: its provider and client as they are now, and the numbers that follow. */
export interface Terms {
  readonly provider: Provider
  readonly client: Client
  readonly policy: Policy
}

/** How long before its end an access token of this lifetime is refreshed ahead. */
export const aheadWindowMs = (lifetimeMs: DurationMs, numbers: Numbers): DurationMs =>
  shorter(shorter(longer(ms(lifetimeMs / 10), numbers.aheadLeastMs), numbers.aheadMostMs), ms(lifetimeMs / 2))

/** The life left that a caller is owed: never more than half of the lifetime, or every request would refresh. */
export const owedTtlMs = (askedMs: DurationMs | null, lifetimeMs: DurationMs, numbers: Numbers): DurationMs =>
  askedMs === null ? shorter(numbers.minTtlUnaskedMs, ms(lifetimeMs / 4)) : shorter(askedMs, ms(lifetimeMs / 2))

/** The least time between a granted answer and the next refresh of the same connection. */
export const floorMs = (lifetimeMs: DurationMs, numbers: Numbers): DurationMs =>
  longer(numbers.floorLeastMs, ms(lifetimeMs / 10))

/** How long before its known end a refresh token is used for the last time. */
export const endMarginMs = (lifetimeMs: DurationMs, numbers: Numbers): DurationMs =>
  shorter(numbers.endMarginMostMs, ms(lifetimeMs / 4))

/** How long before idle death a quiet connection is refreshed. */
export const keepAliveLeadMs = (idleMs: DurationMs, numbers: Numbers): DurationMs =>
  shorter(ms(idleMs / 4), numbers.keepAliveLeadMostMs)

/** How long after its last use a connection is still refreshed ahead. */
export const usedLatelyMs = (lifetimeMs: DurationMs, numbers: Numbers): DurationMs =>
  shorter(longer(lifetimeMs, numbers.usedLatelyLeastMs), numbers.usedLatelyMostMs)

/** Exponential back-off with full jitter: the wait after the given number of failures. */
export const backOffMs = (failures: number, draw: number, capMs: DurationMs, numbers: Numbers): DurationMs =>
  ms(Math.ceil(draw * Math.min(capMs, numbers.backOffFirstMs * 2 ** Math.min(failures - 1, 30))))

/** The wait after the given number of answers that blame the registration. */
export const blockedMs = (failures: number, numbers: Numbers): DurationMs =>
  ms(Math.min(numbers.blockedCapMs, numbers.blockedFirstMs * 2 ** Math.min(failures - 1, 30)))
