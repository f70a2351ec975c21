/** The right to present one refresh token until a moment (`PROTOCOL.md` sections 4.3, 4.5 and 7), and how it is lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { born } from '../src/acts.ts'
import { commit } from '../src/commit.ts'
import type { At, ConnectionRow, InDoubt, SealedGrant, Why } from '../src/connection.ts'
import type { LeftInDoubt, NonceAsked, NotSent, Unavailable } from '../src/grant.ts'
import type { AttemptId, ClientId, ConnectionId, Fence, Fingerprint, OwnerId, Revision, Uid } from '../src/ids.ts'
import { acquire, lend, mayRenew, maySend, openAttempt, renew, type AcquireDecision, type Lease } from '../src/lease.ts'
import { policyOf, type Terms } from '../src/policy.ts'
import type { Evidence, ProofOfDeath } from '../src/ports.ts'
import type { Sealed } from '../src/secret.ts'
import type { ReusePolicy } from '../src/provider.ts'
import { schedule } from '../src/schedule.ts'
import { Secret } from '../src/secret.ts'
import { takeOver } from '../src/takeover.ts'
import { ms, type Moment, type MonoMs, type Now, type UnixMs } from '../src/time.ts'
import { FULL } from '../src/variant.ts'

const S = 1_000
const H = 3_600 * S
const MINUTES = 60 * S
const ME = 'me' as OwnerId
const OTHER = 'other' as OwnerId
const WALL = 1_790_000_000_000

/** Store time and this process's clocks: they start at different numbers, and run alike unless a test says otherwise. */
const store = (at: number): Moment => ({ boot: 'a', at: (7_000_000 + at) as MonoMs, wall: (WALL + at) as UnixMs })
const local = (at: number): Now => ({ wall: (WALL + at) as UnixMs, mono: at as MonoMs })

const termsOf = (reuse: ReusePolicy): Terms => ({
  provider: { revision: 1 as Revision, refreshTokenIdleMs: null, refreshKillsAccessToken: false } as Terms['provider'],
  client: { revision: 1 as Revision } as Terms['client'],
  policy: policyOf({ reuse }, 'refresh_token'),
})
const STRICT = termsOf({ kind: 'strict' })
const UNKNOWN = termsOf({ kind: 'unknown' })
const GRACE = termsOf({ kind: 'grace', seconds: 10, winner: 'any' })

const secret = { sealed: new Uint8Array() as Sealed, serial: 's' as never }
const granted = (tokens: { living?: number }): SealedGrant => ({
  variant: FULL.key,
  refreshToken: {
    ...secret,
    fingerprint: 'rt' as Fingerprint,
    receivedAt: WALL as UnixMs,
    endsAt: null,
    lifetimeMs: null,
  },
  accessToken:
    tokens.living === undefined
      ? null
      : {
          ...secret,
          variant: FULL.key,
          fingerprint: 'at' as Fingerprint,
          tokenType: 'Bearer',
          scope: null,
          lifetimeMs: ms(H),
          assumed: false,
          sentAt: WALL as UnixMs,
          expiresAt: (WALL + tokens.living) as UnixMs,
        },
  scope: null,
})
const rowOf = (terms: Terms, tokens: { living?: number } = {}): ConnectionRow =>
  born(
    {
      uid: '00000000-0000-4000-8000-000000000000' as Uid,
      id: 'x' as ConnectionId,
      client: 'c' as ClientId,
      grantType: 'refresh_token',
      grantRequest: null,
      subject: null,
      sessionId: null,
      labels: {},
      granted: granted(tokens),
    },
    terms,
    { owner: ME, now: store(0), draw: 0 },
  )

interface Ask {
  readonly showsLock?: boolean
  readonly why?: Why
  readonly attempt?: string
  readonly owner?: OwnerId
  readonly now?: number
  readonly at?: Partial<At>
}
const ask = (
  row: ConnectionRow,
  terms: Terms,
  { why = 'fresh', attempt = 'a1', owner = ME, now = 0, at, showsLock = true }: Ask = {},
): AcquireDecision =>
  acquire(
    row,
    terms,
    {
      at: { uid: row.uid, grant: row.grant, generation: row.generation, fence: row.fence, ...at } as At,
      why,
      attempt: attempt as AttemptId,
      owner,
      host: 'h',
      session: 's1',
      showsLock,
      usedAt: null,
      t0: local(now),
    },
    store(now),
  )
const acquired = (row: ConnectionRow, terms: Terms, of: Ask = {}): { row: ConnectionRow; lease: Lease } => {
  const decision = ask(row, terms, of)
  return decision.kind === 'acquired' ? decision : assert.fail(decision.kind)
}

test('acquire writes the intent: attempt, owner, fence, store time, and one presentation more', () => {
  const { row, lease } = acquired(rowOf(STRICT), STRICT, { now: 5 * S })
  const { state } = row
  assert.ok(state.status === 'presenting')
  assert.deepEqual([state.attempt.id, state.attempt.owner, state.attempt.fence], ['a1', ME, 1])
  assert.deepEqual([state.attempt.acquiredAt, state.attempt.heartbeatAt], [store(5 * S), store(5 * S)])
  assert.deepEqual([row.fence, row.refreshToken?.presentations, lease.answers], [1, 1, 'rt'])
  assert.ok(row.revision > rowOf(STRICT).revision)
  assert.equal(row.dueAt, WALL + 35 * S)
})

test('a second attempt finds it busy, and nothing is written for it', () => {
  const { row } = acquired(rowOf(STRICT), STRICT)
  const second = ask(row, STRICT, { attempt: 'a2', owner: OTHER })
  assert.deepEqual(second, { kind: 'busy', owner: ME, fence: 1, heartbeat: 0, leaseMs: 30 * S, over: false })
  assert.equal(ask(row, STRICT, { attempt: 'a2' }).kind, 'busy')
  assert.equal(ask(row, STRICT, { attempt: 'a1', owner: OTHER }).kind, 'busy')
})

test('a lease that is over frees nothing: whoever asks still finds it busy', () => {
  const { row } = acquired(rowOf(STRICT), STRICT)
  const much = ask(row, STRICT, { attempt: 'a2', owner: OTHER, now: H })
  assert.ok(much.kind === 'busy' && much.over)
  assert.equal(openAttempt(row, store(30 * S - 1))?.over, false)
  assert.equal(openAttempt(row, store(30 * S))?.over, true)
})

test('the same attempt asked for again is the same intent: one fence, one presentation', () => {
  const first = acquired(rowOf(STRICT), STRICT)
  const again = acquired(first.row, STRICT)
  assert.equal(again.row, first.row)
  assert.equal(again.lease.fence, first.lease.fence)
})

test('asked for again after its reply was lost, the lease still counts from the first acquire', () => {
  const first = acquired(rowOf(STRICT), STRICT)
  const again = acquired(first.row, STRICT, { now: 14 * S })
  assert.equal(maySend(again.lease, local(15 * S - 1)), true)
  assert.equal(maySend(again.lease, local(15 * S)), false)
})

const moved: readonly [string, Partial<At>][] = [
  ['another sign-in', { grant: 9 as At['grant'] }],
  ['another refresh token', { generation: 9 as At['generation'] }],
  ['another attempt', { fence: 9 as Fence }],
]
for (const [name, at] of moved) {
  test(`whoever read before ${name} has to read again`, () =>
    assert.equal(ask(rowOf(STRICT), STRICT, { at }).kind, 'moved'))
}

test('a reason that the row does not bear out is refused', () => {
  for (const why of ['in_doubt', 'confirm', 'sibling', 'last'] as const) {
    assert.equal(ask(rowOf(STRICT), STRICT, { why }).kind, 'moved')
  }
})

test('acquire enforces the time: not a millisecond before the schedule allows it', () => {
  const doubt: InDoubt = { status: 'in_doubt', since: store(0), promptRetry: null, silentSince: null, backOff: null }
  const row: ConnectionRow = { ...rowOf(STRICT, { living: H }), state: doubt }
  assert.deepEqual(ask(row, STRICT, { why: 'in_doubt', now: H - 1 }), { kind: 'not_yet', at: WALL + H })
  assert.equal(ask(row, STRICT, { why: 'in_doubt', now: H }).kind, 'acquired')
})

test('what needs its user, is being deleted or is erased is never acquired', () => {
  const state = (each: ConnectionRow['state']): string => ask({ ...rowOf(STRICT), state: each }, STRICT).kind
  assert.equal(state({ status: 'needs_user', reason: 'revoked', since: WALL as UnixMs }), 'not_yet')
  assert.equal(state({ status: 'deleting', since: WALL as UnixMs, attempt: null }), 'gone')
  assert.equal(state({ status: 'erased', since: WALL as UnixMs }), 'gone')
})

const sendable: readonly [string, Now, boolean][] = [
  ['at once', local(0), true],
  ['1 ms before half of the lease', local(15 * S - 1), true],
  ['at half of the lease', local(15 * S), false],
  ['late by the monotonic clock alone', { ...local(15 * S), wall: WALL as UnixMs }, false],
  ['late by the wall clock alone: the machine slept', { ...local(15 * S), mono: 0 as MonoMs }, false],
  ['early, the wall clock stepping back', { ...local(1), wall: (WALL - H) as UnixMs }, true],
]
for (const [name, now, expected] of sendable) {
  test(`${name}, the first byte ${expected ? 'may' : 'must not'} leave`, () => {
    const { lease } = acquired(rowOf(STRICT), STRICT)
    assert.equal(maySend(lease, now), expected)
    const presented = { kind: 'refresh_token', refreshToken: new Secret('refresh_token', 'r') } as const
    assert.equal(lend(presented, () => 's1').take(lease, now), expected ? presented : 'over')
  })
}

test('a ticket is taken once, also by one who was told that it is over', () => {
  const { lease } = acquired(rowOf(STRICT), STRICT)
  for (const now of [local(0), local(H)]) {
    const ticket = lend({ kind: 'client_credentials' }, () => 's1')
    ticket.take(lease, now)
    assert.throws(() => ticket.take(lease, local(0)), /taken once/)
  }
})

const ASKED = { status: 400 } as NonceAsked

test('a second ticket is had once, for a first one that was taken, and is taken once itself', () => {
  const { lease } = acquired(rowOf(STRICT), STRICT)
  const first = lend({ kind: 'client_credentials' }, () => 's1')
  assert.throws(() => first.again(ASKED), /repeats once/)
  first.take(lease, local(0))
  const second = first.again(ASKED)
  assert.throws(() => first.again(ASKED), /repeats once/)
  assert.deepEqual(second.take(lease, local(1)), { kind: 'client_credentials' })
  assert.throws(() => second.take(lease, local(2)), /taken once/)
  assert.throws(() => second.again(ASKED), /repeats once/)
})

test('a second ticket has the last check, too', () => {
  const { lease } = acquired(rowOf(STRICT), STRICT)
  let session = 's1'
  for (const over of [() => local(15 * S), () => ((session = 's2'), local(0))]) {
    const first = lend({ kind: 'client_credentials' }, () => session)
    first.take(lease, local(0))
    assert.equal(first.again(ASKED).take(lease, over()), 'over')
  }
})

test('in another store session nothing is sent: that session may have lost the intent', () => {
  const { lease } = acquired(rowOf(STRICT), STRICT)
  let session = 's1'
  const ticket = lend({ kind: 'client_credentials' }, () => session)
  session = 's2'
  assert.equal(ticket.take(lease, local(0)), 'over')
})

test('a try in doubt is not sent once its window has closed', () => {
  const doubt: InDoubt = {
    status: 'in_doubt',
    since: store(-7 * S),
    promptRetry: null,
    silentSince: null,
    backOff: null,
  }
  const { lease, row } = acquired({ ...rowOf(GRACE), state: doubt }, GRACE, { why: 'in_doubt' })
  assert.equal(maySend(lease, local(499)), true)
  assert.equal(maySend(lease, local(500)), false)
  const renewed = renew(row, GRACE, lease, local(400), store(400))
  assert.ok(renewed !== 'lost')
  assert.deepEqual([maySend(renewed.lease, local(499)), maySend(renewed.lease, local(500))], [true, false])
})

test('a try in doubt has a shorter lease, so that others can come once more, unless it is too late for them anyway', () => {
  const leaseWith = (leftMs: number, terms = GRACE): readonly number[] => {
    const since = store(leftMs - (terms.policy.windowMs ?? 0))
    const doubt: InDoubt = { status: 'in_doubt', since, promptRetry: null, silentSince: null, backOff: null }
    const { lease, row } = acquired({ ...rowOf(terms), state: doubt }, terms, { why: 'in_doubt' })
    assert.ok(row.state.status === 'presenting')
    return [row.state.attempt.leaseMs, lease.sendLimitMs]
  }
  assert.deepEqual(leaseWith(7.4 * S), [5 * S, 2.5 * S])
  assert.deepEqual(leaseWith(6 * S), [4 * S, 2.5 * S])
  assert.deepEqual(leaseWith(4 * S), [2 * S, 1.5 * S], 'sent well before it is over')
  assert.deepEqual(leaseWith(4 * S - 1), [5 * S, 2.5 * S])
  assert.deepEqual(leaseWith(5 * S, termsOf({ kind: 'grace', seconds: 30, winner: 'any' })), [3 * S, 2.25 * S])
  assert.deepEqual(leaseWith(-S), [5 * S, 2.5 * S], 'its window is closed')
  const untilUsed = termsOf({ kind: 'grace', until: 'successor_used', winner: 'any' })
  assert.deepEqual(leaseWith(-MINUTES, untilUsed), [15 * S, 7.5 * S], 'no window closes')
})

test('whoever held that shorter lease in silence gets as long to wake as anybody', () => {
  const doubt: InDoubt = {
    status: 'in_doubt',
    since: store(-3 * S),
    promptRetry: null,
    silentSince: null,
    backOff: null,
  }
  const { row } = acquired({ ...rowOf(GRACE, { living: S }), state: doubt }, GRACE, { why: 'in_doubt' })
  const after = taken(row, GRACE, over(2.5 * S), 2.5 * S)
  assert.ok(after !== 'moved')
  assert.equal(next(after, GRACE, OTHER, 5 * S), `+${60 * S}`, 'a whole lease and patience after its last sign of life')
})

test('a lease is renewed only while others could still come inside the window after it', () => {
  const may = (terms: Terms, at: number): boolean =>
    mayRenew(acquired(rowOf(terms), terms).lease, terms.policy, local(at))
  const of90 = termsOf({ kind: 'grace', seconds: 90, winner: 'any' })
  assert.deepEqual([may(GRACE, 499), may(GRACE, 500)], [true, false], '7.5 s, less a lease of 5 s and 2 s')
  assert.deepEqual([may(of90, 35.5 * S - 1), may(of90, 35.5 * S)], [true, false])
  for (const terms of [STRICT, UNKNOWN, termsOf({ kind: 'grace', until: 'successor_used', winner: 'any' })])
    assert.equal(may(terms, H), true)
  const doubt: InDoubt = { status: 'in_doubt', since: store(-S), promptRetry: null, silentSince: null, backOff: null }
  const { lease } = acquired({ ...rowOf(of90), state: doubt }, of90, { why: 'in_doubt' })
  assert.equal(mayRenew(lease, of90.policy, local(34.5 * S)), false, 'the window of a doubt counts from its beginning')
  const after = renew(
    { ...acquired(rowOf(of90), of90).row },
    of90,
    acquired(rowOf(of90), of90).lease,
    local(20 * S),
    store(20 * S),
  )
  assert.ok(after !== 'lost')
  assert.equal(mayRenew(after.lease, of90.policy, local(35.5 * S)), false, 'and that of a lease from its acquire')
})

test('a renewed lease begins anew: heartbeat, send limit, and the time at which it is due', () => {
  const { row, lease } = acquired(rowOf(STRICT), STRICT)
  const renewed = renew(row, STRICT, lease, local(20 * S), store(20 * S))
  assert.ok(renewed !== 'lost')
  assert.deepEqual([maySend(renewed.lease, local(35 * S - 1)), maySend(renewed.lease, local(35 * S))], [true, false])
  assert.deepEqual([renewed.lease.heartbeat, renewed.lease.acquiredAt, renewed.row.dueAt], [1, local(0), WALL + 50 * S])
  assert.equal(openAttempt(renewed.row, store(50 * S - 1))?.over, false)
})

const over = (watchedMs: number, rest: object = {}): Evidence => ({
  kind: 'lease_over',
  fence: 1 as Fence,
  heartbeat: 0,
  watchedMs: ms(watchedMs),
  ...rest,
})
const missing = (owner: OwnerId, rest: object = {}): Evidence => ({
  kind: 'lock_missing',
  owner,
  fence: 1 as Fence,
  heartbeat: 0,
  ...rest,
})
const dead = (owner: OwnerId): Evidence =>
  ({ kind: 'dead', owner, release: () => undefined }) as unknown as ProofOfDeath
const taken = (row: ConnectionRow, terms: Terms, evidence: Evidence, now: number): ConnectionRow | 'moved' =>
  takeOver(row, terms, evidence, OTHER, 0, store(now))

const evidence: readonly [string, Evidence, number, boolean][] = [
  ['over by the store and watched for one lease', over(30 * S), 30 * S, true],
  ['over by the store, watched 1 ms too short', over(30 * S - 1), 30 * S, false],
  ['watched long enough, not over by the store', over(H), 30 * S - 1, false],
  ['watched under another heartbeat', over(H, { heartbeat: 1 }), H, false],
  ['watched under another fence', over(H, { fence: 2 }), H, false],
  ['proven dead: no wait', dead(ME), 1, true],
  ['proof of another death', dead(OTHER), H, false],
  ['whose owner lost its lock: no wait', missing(ME), 1, true],
  ['that another owner has, who lost its lock', missing(OTHER), H, false],
  ['renewed since the lock was missed', missing(ME, { heartbeat: 1 }), H, false],
  ['lost with its lock under another fence', missing(ME, { fence: 2 }), H, false],
]
for (const [name, proof, now, expected] of evidence) {
  test(`a lease ${name} is ${expected ? 'lost, and its attempt in doubt' : 'kept'}`, () => {
    const { row, lease } = acquired(rowOf(STRICT), STRICT)
    const after = taken(row, STRICT, proof, now)
    if (!expected) assert.equal(after, 'moved')
    else {
      assert.ok(after !== 'moved' && after.state.status === 'in_doubt')
      assert.deepEqual(after.state.since, store(0))
      assert.equal(renew(after, STRICT, lease, local(now), store(now)), 'lost')
    }
  })
}

test('an owner that never showed a lock misses none: the timer alone tells of its end', () => {
  const { row } = acquired(rowOf(STRICT), STRICT, { showsLock: false })
  assert.equal(taken(row, STRICT, missing(ME), H), 'moved')
  assert.notEqual(taken(row, STRICT, over(30 * S), 30 * S), 'moved')
})

test('a missing lock is no proof: at a strict provider patience counts from the last heartbeat, and nobody retries promptly', () => {
  const { row } = acquired(rowOf(UNKNOWN, { living: 40 * S }), UNKNOWN)
  const after = taken(row, UNKNOWN, missing(ME), 2 * S)
  assert.ok(after !== 'moved')
  // One lease and patience after the last heartbeat, and not at the end of the access token, which is earlier.
  assert.equal(next(after, UNKNOWN, OTHER, 2 * S), `+${88 * S}`)
})

const unsure: LeftInDoubt = { kind: 'in_doubt', because: 'reset', status: null, endSeen: true, retryAfterMs: null }
const busy: Unavailable = { kind: 'unavailable', because: 'busy', status: 429, retryAfterMs: null }
const unsent: NotSent = { kind: 'not_sent', because: 'refused' }
const ended = (
  row: ConnectionRow,
  terms: Terms,
  lease: Lease,
  end: LeftInDoubt | Unavailable | NotSent,
  now: number,
): ConnectionRow => commit(row, terms, lease, end, { owner: lease.owner, now: store(now), draw: 0.5 }).row
const next = (row: ConnectionRow, terms: Terms, owner: OwnerId, now: number): string => {
  const found = schedule(row, terms, owner, store(now), true)
  return found.kind === 'later' ? `+${found.at - WALL - now}` : found.kind
}

test('proof of death brings a prompt retry to the one who holds it, a silent owner brings none', () => {
  const { row } = acquired(rowOf(UNKNOWN, { living: H }), UNKNOWN)
  const afterDeath = taken(row, UNKNOWN, dead(ME), S)
  const afterSilence = taken(row, UNKNOWN, over(30 * S), 30 * S)
  assert.ok(afterDeath !== 'moved' && afterSilence !== 'moved')
  assert.equal(next(afterDeath, UNKNOWN, OTHER, S), `+${2 * S}`, 'its request may still be queued at the server')
  assert.equal(next(afterDeath, UNKNOWN, ME, S), `+${H - S}`)
  assert.equal(next(afterSilence, UNKNOWN, OTHER, 30 * S), `+${H - 30 * S}`)
})

test('one doubt has one prompt retry, whatever becomes of it', () => {
  for (const end of [unsure, busy]) {
    const first = acquired(rowOf(UNKNOWN, { living: H }), UNKNOWN)
    const doubted = ended(first.row, UNKNOWN, first.lease, unsure, S)
    assert.equal(next(doubted, UNKNOWN, ME, S), '+200')
    const prompt = acquired(doubted, UNKNOWN, { why: 'in_doubt', attempt: 'a2', now: S + 200 })
    assert.equal(
      next(ended(prompt.row, UNKNOWN, prompt.lease, end, 2 * S), UNKNOWN, ME, 2 * S),
      `+${H - 2 * S}`,
      end.kind,
    )
  }
})

test('a prompt retry that could not connect does not hammer: it backs off or is used up', () => {
  const first = acquired(rowOf(UNKNOWN, { living: H }), UNKNOWN)
  const doubted = ended(first.row, UNKNOWN, first.lease, unsure, S)
  const prompt = acquired(doubted, UNKNOWN, { why: 'in_doubt', attempt: 'a2', now: S + 200 })
  assert.notEqual(next(ended(prompt.row, UNKNOWN, prompt.lease, unsent, 2 * S), UNKNOWN, ME, 2 * S), 'now')
})

test('a doubt counts its own failures: what failed before it was sent holds back no try in its window', () => {
  let row = rowOf(GRACE)
  for (let nth = 0; nth < 12; nth += 1) {
    const tried = acquired(row, GRACE, { attempt: `before ${nth}`, now: nth * 60 * S })
    row = ended(tried.row, GRACE, tried.lease, unsent, nth * 60 * S)
  }
  const sent = acquired(row, GRACE, { attempt: 'sent', now: 720 * S })
  assert.equal(next(ended(sent.row, GRACE, sent.lease, unsure, 720 * S), GRACE, ME, 720 * S), '+100')
})

test('a doubt lasts from its first unanswered acquire, however often it is tried', () => {
  const first = acquired(rowOf(GRACE), GRACE)
  const doubted = ended(first.row, GRACE, first.lease, unsure, S)
  const second = acquired(doubted, GRACE, { why: 'in_doubt', attempt: 'a2', now: 3 * S })
  const { state } = ended(second.row, GRACE, second.lease, unsure, 4 * S)
  assert.ok(state.status === 'in_doubt')
  assert.deepEqual(state.since, store(0))
})

test('a silent owner is still waited for after a later try in its window ended in sight', () => {
  const silent = acquired(rowOf(GRACE), GRACE)
  const over5 = { kind: 'lease_over', fence: 1 as Fence, heartbeat: 0, watchedMs: ms(5 * S) } as const
  const doubted = taken(silent.row, GRACE, over5, 5 * S)
  assert.ok(doubted !== 'moved')
  const retry = acquired(doubted, GRACE, { why: 'in_doubt', attempt: 'a2', owner: OTHER, now: 6 * S })
  const after = ended(retry.row, GRACE, retry.lease, unsure, 7 * S)
  // Its lease was 5 s, patience is 60 s: it may wake with the answer until then, and the window is closed by now.
  assert.equal(next(after, GRACE, OTHER, 20 * S), `+${45 * S}`)
})

test('only what surely never left is uncounted', () => {
  for (const [end, count] of [
    [unsent, 0],
    [busy, 1],
    [unsure, 1],
  ] as const) {
    const { row, lease } = acquired(rowOf(STRICT), STRICT)
    assert.equal(ended(row, STRICT, lease, end, S).refreshToken?.presentations, count, end.kind)
  }
})
