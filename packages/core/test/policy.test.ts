/** The numbers of `PROTOCOL.md` section 10: as they stand, as a provider's reuse policy makes them, and how they relate. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  aheadWindowMs,
  backOffMs,
  blockedMs,
  endMarginMs,
  floorMs,
  keepAliveLeadMs,
  NUMBERS,
  owedTtlMs,
  policyOf,
  usedLatelyMs,
  type Numbers,
  type Policy,
} from '../src/policy.ts'
import type { ReusePolicy } from '../src/provider.ts'
import { ms } from '../src/time.ts'

const S = 1_000
const MIN = 60 * S
const H = 60 * MIN
const D = 24 * H

const grace = (seconds: number): ReusePolicy => ({ kind: 'grace', seconds, winner: 'any' })
const UNTIL_USED: ReusePolicy = { kind: 'grace', until: 'successor_used', winner: 'any' }
const of = (reuse: ReusePolicy, numbers?: Numbers): Policy => policyOf({ reuse }, 'refresh_token', numbers)

test('the numbers are those of the protocol', () => {
  assert.deepEqual(NUMBERS, {
    leaseMs: 30 * S,
    grantDeadlineMs: 10 * S,
    commitDeadlineMs: 2 * S,
    connectDeadlineMs: 5 * S,
    listeningLimitMs: 90 * S,
    patienceMs: 60 * S,
    spillAfterMs: 250,
    replayCapMs: S,
    promptRetryAfterMs: 200,
    promptRetryAfterDeathMs: 2_000,
    confirmAfterMs: [15 * S, 60 * S],
    signOutTakesMs: 10 * S,
    backOffFirstMs: 200,
    backOffCapWithCallerMs: 30 * S,
    backOffCapMs: 10 * MIN,
    blockedFirstMs: MIN,
    blockedCapMs: H,
    callerDeadlineMs: 20 * S,
    pollFirstMs: 10,
    pollCapMs: 250,
    aheadLeastMs: 30 * S,
    aheadMostMs: 10 * MIN,
    minTtlUnaskedMs: 10 * S,
    floorLeastMs: S,
    lifetimeUnknownMs: 5 * MIN,
    endMarginMostMs: 30 * S,
    keepAliveLeadMostMs: 3 * D,
    idleAssumedMs: 14 * D,
    usedLatelyLeastMs: 10 * MIN,
    usedLatelyMostMs: D,
    forcedRefreshApartMs: 10 * S,
    refusedHoldFirstMs: 5 * MIN,
    refusedHoldCapMs: 60 * MIN,
    cacheWithoutStoreMs: 5 * MIN,
    revokeTriedMs: 3 * D,
    tombstoneMs: 30 * D,
    breakerConnections: 3,
    breakerWithinMs: 30 * S,
    breakerCallerEveryMs: S,
    breakerProbeFirstMs: S,
    breakerProbeCapMs: 30 * S,
    pauseMostMs: MIN,
  })
})

const derived: readonly [string, ReusePolicy, readonly number[]][] = [
  ['grace of 3 s', grace(3), [1.5 * S, S, 375, 750, 750, 2.25 * S]],
  ['grace of 10 s', grace(10), [5 * S, (10 * S) / 3, 1.25 * S, 2.5 * S, 2.5 * S, 7.5 * S]],
  ['grace of 30 s', grace(30), [15 * S, 10 * S, 2 * S, 5 * S, 7.5 * S, 22.5 * S]],
  ['grace of an hour', grace(3600), [30 * S, 10 * S, 2 * S, 5 * S, 15 * S, 2700 * S]],
]
for (const [name, reuse, expected] of derived) {
  test(`${name}: lease, deadlines of grant, commit and connect, send limit and window follow from it`, () => {
    const policy = of(reuse)
    const { leaseMs, grantDeadlineMs, commitDeadlineMs, connectDeadlineMs, sendLimitMs, windowMs } = policy
    assert.deepEqual([leaseMs, grantDeadlineMs, commitDeadlineMs, connectDeadlineMs, sendLimitMs, windowMs], expected)
    assert.deepEqual([policy.listensOn, policy.presentationsMost], [false, null])
  })
}

test('grace until the successor is used has the deadlines of 30 s, and no window that closes', () => {
  const policy = of(UNTIL_USED)
  const { leaseMs, grantDeadlineMs, commitDeadlineMs, connectDeadlineMs, sendLimitMs, windowMs } = policy
  assert.deepEqual(
    [leaseMs, grantDeadlineMs, commitDeadlineMs, connectDeadlineMs, sendLimitMs, windowMs],
    [15 * S, 10 * S, 2 * S, 5 * S, 7.5 * S, null],
  )
})

test('a grace window below 3 s is strict, for no late answer can be kept out of it', () => {
  for (const seconds of [2.999, 1, 0, -5]) assert.deepEqual(of(grace(seconds)).reuse, { kind: 'strict' })
  assert.equal(of(grace(3)).reuse.kind, 'grace')
})

test('client credentials can always be presented again, whatever the provider does with refresh tokens', () => {
  for (const reuse of [{ kind: 'strict' }, grace(10), { kind: 'unknown' }] as const) {
    const policy = policyOf({ reuse }, 'client_credentials')
    assert.deepEqual([policy.reuse, policy.leaseMs, policy.listensOn], [{ kind: 'reusable' }, 30 * S, false])
  }
})

test('only where a second presentation can kill is an answer awaited beyond the grant deadline', () => {
  const listening = ([{ kind: 'reusable' }, grace(10), UNTIL_USED, { kind: 'counted', n: 1 }] as const).map(
    (reuse) => of(reuse).listensOn,
  )
  assert.deepEqual(listening, [false, false, false, false])
  assert.deepEqual([of({ kind: 'strict' }).listensOn, of({ kind: 'unknown' }).listensOn], [true, true])
})

test('counted allows one presentation and n more', () => {
  for (const n of [0, 1, 5]) assert.equal(of({ kind: 'counted', n }).presentationsMost, n + 1)
})

test('the relations hold for every policy that a provider can have', () => {
  const reuse: fc.Arbitrary<ReusePolicy> = fc.oneof(
    fc.double({ min: 0, max: 1e6, noNaN: true }).map(grace),
    fc.nat({ max: 100 }).map((n) => ({ kind: 'counted', n }) as const),
    fc.constantFrom<ReusePolicy>(UNTIL_USED, { kind: 'reusable' }, { kind: 'strict' }, { kind: 'unknown' }),
  )
  fc.assert(
    fc.property(reuse, (each) => {
      const policy = of(each)
      assert.ok(policy.grantDeadlineMs + policy.commitDeadlineMs < policy.leaseMs)
      assert.ok(policy.connectDeadlineMs <= policy.leaseMs / 2)
      assert.equal(policy.sendLimitMs, policy.leaseMs / 2)
      assert.ok(policy.spillAfterMs < policy.commitDeadlineMs)
      if (policy.reuse.kind === 'grace') assert.ok(policy.leaseMs < (policy.windowMs ?? 22.5 * S))
      else assert.ok(policy.sendLimitMs + policy.grantDeadlineMs + policy.commitDeadlineMs < policy.leaseMs)
      if (policy.listensOn) assert.ok(policy.listeningLimitMs <= policy.leaseMs + policy.patienceMs)
      assert.ok(policy.confirmAfterMs[0] < policy.callerDeadlineMs)
      assert.ok(policy.signOutTakesMs < policy.callerDeadlineMs)
    }),
  )
})

const crossed: readonly [string, Partial<Numbers>][] = [
  ['a lease that ends before its answer is committed', { leaseMs: ms(12 * S) }],
  ['connecting that lasts beyond the send limit', { connectDeadlineMs: ms(15.001 * S) }],
  ['sending so late that answer and commit do not fit', { grantDeadlineMs: ms(13 * S) }],
  ['spilling after the commit deadline', { spillAfterMs: ms(2 * S) }],
  ['a caller that gives up before one refresh ends', { callerDeadlineMs: ms(12 * S) }],
  ["a caller's deadline as long as the lease", { callerDeadlineMs: ms(30 * S) }],
  ['a confirmation that comes after callers gave up', { confirmAfterMs: [ms(20 * S), ms(60 * S)] }],
  ['a sign-out that is looked into after callers gave up', { signOutTakesMs: ms(20 * S) }],
  ['listening while somebody else may present', { listeningLimitMs: ms(90.001 * S) }],
]
for (const [name, wrong] of crossed) {
  test(`${name} is refused at start`, () =>
    assert.throws(() => of({ kind: 'strict' }, { ...NUMBERS, ...wrong }), /^Error: policy: /))
}

const lengths: readonly [string, (life: number) => number, readonly (readonly [number, number])[]][] = [
  [
    'the refresh-ahead window is a tenth of the life, at least 30 s, at most 10 min, never over half',
    (life) => aheadWindowMs(ms(life), NUMBERS),
    [
      [10 * S, 5 * S],
      [60 * S, 30 * S],
      [5 * MIN, 30 * S],
      [H, 6 * MIN],
      [100 * MIN, 10 * MIN],
      [D, 10 * MIN],
    ],
  ],
  [
    'the floor between refreshes is a tenth of the life, at least 1 s',
    (life) => floorMs(ms(life), NUMBERS),
    [
      [S, S],
      [10 * S, S],
      [H, 6 * MIN],
    ],
  ],
  [
    "the margin before a refresh token's end is a quarter of its life, at most 30 s",
    (life) => endMarginMs(ms(life), NUMBERS),
    [
      [20 * S, 5 * S],
      [2 * MIN, 30 * S],
      [30 * D, 30 * S],
    ],
  ],
  [
    'the keep-alive lead is a quarter of the idle limit, at most 3 days',
    (idle) => keepAliveLeadMs(ms(idle), NUMBERS),
    [
      [H, 15 * MIN],
      [12 * D, 3 * D],
      [60 * D, 3 * D],
    ],
  ],
  [
    'used lately is within one life, at least 10 min, at most 24 h',
    (life) => usedLatelyMs(ms(life), NUMBERS),
    [
      [10 * S, 10 * MIN],
      [H, H],
      [60 * D, D],
    ],
  ],
]
for (const [name, rule, rows] of lengths) {
  test(name, () => {
    for (const [given, expected] of rows) assert.equal(rule(given), expected, `${given}`)
  })
}

test('a caller is owed the life it asks for, at most half of the lifetime', () => {
  assert.equal(owedTtlMs(ms(30 * S), ms(H), NUMBERS), 30 * S)
  assert.equal(owedTtlMs(ms(H), ms(H), NUMBERS), 30 * MIN)
  assert.equal(owedTtlMs(ms(0), ms(H), NUMBERS), 0)
  assert.ok(owedTtlMs(null, ms(10 * S), NUMBERS) <= 5 * S)
})

test('back-off doubles from 200 ms to its cap, and the draw takes its part of it', () => {
  const whole = [1, 2, 3, 8, 100].map((failures) => backOffMs(failures, 1, NUMBERS.backOffCapWithCallerMs, NUMBERS))
  assert.deepEqual(whole, [200, 400, 800, 25_600, 30_000])
  assert.equal(backOffMs(1_000_000, 1, NUMBERS.backOffCapMs, NUMBERS), 10 * MIN)
  assert.equal(backOffMs(3, 0.5, NUMBERS.backOffCapMs, NUMBERS), 400)
  assert.equal(backOffMs(3, 0, NUMBERS.backOffCapMs, NUMBERS), 0)
})

test('a block is retried after a minute, doubling to an hour', () => {
  assert.deepEqual(
    [1, 2, 3, 7, 1_000_000].map((failures) => blockedMs(failures, NUMBERS)),
    [MIN, 2 * MIN, 4 * MIN, H, H],
  )
})
