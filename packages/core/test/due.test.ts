/** When something happens by itself (`PROTOCOL.md` section 10 and invariant 14): offsets are milliseconds from now. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Attempt, InDoubt, Ready, State, Suspect } from '../src/connection.ts'
import type { AttemptId, Fence, OwnerId, Revision, Uid } from '../src/ids.ts'
import { policyOf, type Terms } from '../src/policy.ts'
import { aheadAt, dueAt, jitterOf, type Facts } from '../src/schedule.ts'
import { later, laterMoment, ms, type DurationMs, type Moment, type MonoMs, type UnixMs } from '../src/time.ts'
import type { VariantKey } from '../src/variant.ts'

const S = 1_000
const MIN = 60 * S
const H = 60 * MIN
const D = 24 * H
const ME = 'me' as OwnerId
const NOW: Moment = { boot: 'a', at: 500_000_000 as MonoMs, wall: 1_790_000_000_000 as UnixMs }
// Its jitter is 0, so that the numbers below are exact.
const UID = '00000000-0000-4000-8000-000000000000' as Uid

const at = (offset: number): UnixMs => later(NOW.wall, ms(offset))
const moment = (offset: number): Moment => laterMoment(NOW, ms(offset))

const termsOf = (idleMs: DurationMs | null = null): Terms => ({
  provider: { revision: 1 as Revision, refreshTokenIdleMs: idleMs } as Terms['provider'],
  client: { revision: 1 as Revision } as Terms['client'],
  policy: policyOf({ reuse: { kind: 'strict' } }, 'refresh_token'),
})

const facts = (state: State, rest: Partial<Facts> = {}): Facts => ({
  uid: UID,
  grantType: 'refresh_token',
  state,
  refreshToken: { endsAt: null, lifetimeMs: null, presentations: 0, receivedAt: at(-H) },
  accessTokens: [
    { variant: '' as VariantKey, expiresAt: at(H), lifetimeMs: ms(H), refusedAt: null, fence: 1 as Fence },
  ],
  siblings: [],
  presentNow: null,
  signedOutAt: null,
  usedAt: null,
  lastGrant: { at: at(-MIN), attempt: null, fence: 1 as Fence },
  createdAt: at(-H),
  ...rest,
})
const due = (of: Facts, terms: Terms = termsOf()): number | null => {
  const found = dueAt(of, terms, ME, NOW)
  return found === null ? null : found - NOW.wall
}

const READY: Ready = { status: 'ready', backOff: null }
const attempt: Attempt = {
  id: 'x' as AttemptId,
  owner: ME,
  host: 'h',
  fence: 2 as Fence,
  why: 'fresh',
  sibling: null,
  acquiredAt: moment(-20 * S),
  heartbeat: 1,
  heartbeatAt: moment(-10 * S),
  leaseMs: ms(30 * S),
  blockedFailures: 0,
}
const doubt: InDoubt = { status: 'in_doubt', since: NOW, promptRetry: null, silentSince: null, backOff: null }
const suspect: Suspect = { status: 'suspect', firstRefusedAt: NOW, refusals: 1, believed: null, backOff: null }
const blocked: State = {
  status: 'blocked',
  from: READY,
  reason: 'client',
  word: null,
  failures: 1,
  retryAt: at(MIN),
  clientRevision: 1 as Revision,
  providerRevision: 1 as Revision,
}

const waiting: readonly [string, State, number][] = [
  ['presenting: when its lease is over', { status: 'presenting', from: READY, attempt }, 20 * S],
  ['in doubt: at its end', doubt, H],
  ['in doubt for an hour: still at its end', { ...doubt, since: moment(-H) }, H],
  ['suspect: at its confirmation', suspect, 15 * S],
  ['suspect, twice refused: a minute after the first', { ...suspect, refusals: 2 }, MIN],
  ['blocked: at its retry', blocked, MIN],
  [
    'deleting: a lease later, for whoever began it goes on',
    { status: 'deleting', since: NOW.wall, attempt: null },
    30 * S,
  ],
  ['deleting with an open attempt: when that lease is over', { status: 'deleting', since: NOW.wall, attempt }, 20 * S],
]
for (const [name, state, expected] of waiting) {
  test(`something happens by itself while ${name}`, () => assert.equal(due(facts(state)), expected))
}

test('every state that waits has its moment, whatever its tokens, its end or its refusals', () => {
  const states = waiting.map(([, state]) => state)
  const spans = [null, at(-D), at(10 * S), at(D)]
  for (const state of [...states, { ...blocked, from: doubt }, { ...blocked, from: suspect }]) {
    for (const endsAt of spans) {
      for (const accessTokens of [[], facts(READY).accessTokens]) {
        const refreshToken = { endsAt, lifetimeMs: null, presentations: 3, receivedAt: at(-2 * D) }
        const found = due(facts(state, { refreshToken, accessTokens }))
        assert.ok(found !== null && Number.isFinite(found), state.status)
      }
    }
  }
})

test('nothing happens by itself to what needs its user or is erased', () => {
  assert.equal(due(facts({ status: 'needs_user', reason: 'revoked', since: NOW.wall })), null)
  assert.equal(due(facts({ status: 'erased', since: NOW.wall })), null)
})

test('what was used lately is refreshed ahead, in the window before its end', () => {
  assert.equal(due(facts(READY, { usedAt: at(0) })), H - 6 * MIN)
  assert.equal(due(facts(READY, { usedAt: at(-6 * MIN) })), H - 6 * MIN)
})

test('what nobody used lately is not refreshed ahead, only kept alive', () => {
  const keptAlive = 11 * D - MIN
  assert.equal(due(facts(READY)), keptAlive)
  assert.equal(due(facts(READY, { usedAt: at(-6 * MIN - 1) })), keptAlive)
})

test('where nobody says when an unused refresh token dies, 14 days are assumed, from its last use or its coming', () => {
  assert.equal(due(facts(READY, { accessTokens: [] })), 11 * D - MIN)
  assert.equal(due(facts(READY, { accessTokens: [], lastGrant: null })), 11 * D - H)
  const announced = { endsAt: at(100 * D), lifetimeMs: ms(100 * D), presentations: 0, receivedAt: at(0) }
  assert.equal(due(facts(READY, { accessTokens: [], refreshToken: announced })), 97 * D, 'a known end says it')
})

test('a refresh ahead waits for a back-off that ends later', () => {
  const backOff = { failures: 1, draw: 0, failedAt: NOW, notBefore: at(2 * H) }
  assert.equal(due(facts({ ...READY, backOff }, { usedAt: NOW.wall })), 2 * H)
})

test('a quiet connection is used before its refresh token dies of idleness', () => {
  assert.equal(due(facts(READY, { accessTokens: [] }), termsOf(ms(60 * D))), 57 * D - MIN)
  assert.equal(due(facts(READY, { accessTokens: [] }), termsOf(ms(4 * H))), 3 * H - MIN)
})

const ENDING = { endsAt: at(2 * H), lifetimeMs: ms(3 * H), presentations: 0, receivedAt: at(-H) }

test('an end that may move is an idle limit: a refresh goes a quarter of its life ahead, at most 3 days', () => {
  assert.equal(due(facts(READY, { refreshToken: ENDING })), 75 * MIN)
  const long = { ...ENDING, endsAt: at(29 * D), lifetimeMs: ms(30 * D) }
  assert.equal(due(facts(READY, { refreshToken: long })), 26 * D)
})

test('refreshed ahead with no other end said, it is refreshed once more in its last moment, and then no more', () => {
  const granted = (offset: number) => ({ lastGrant: { at: at(offset), attempt: null, fence: 2 as Fence } })
  const refreshToken = { ...ENDING, endsAt: at(30 * MIN) }
  assert.equal(due(facts(READY, { refreshToken, ...granted(0) })), 30 * MIN - 30 * S)
  const inMargin = { ...ENDING, endsAt: at(20 * S) }
  assert.equal(due(facts(READY, { refreshToken: inMargin, ...granted(-5 * S) })), H, 'only to hear the last word')
})

test('once the sign-in is over, and its access tokens too, the provider has the last word, once', () => {
  const over = { ...ENDING, endsAt: at(-S) }
  const inMargin = { lastGrant: { at: at(-10 * S), attempt: null, fence: 1 as Fence } }
  assert.equal(due(facts(READY, { refreshToken: over, accessTokens: [], ...inMargin })), -S)
  assert.equal(due(facts(READY, { refreshToken: over, ...inMargin })), H)
  const lastGrant = { at: at(0), attempt: null, fence: 2 as Fence }
  assert.equal(due(facts(READY, { refreshToken: over, accessTokens: [], lastGrant })), null, 'it was granted since')
})

test('an end that no refresh moves is announced in time, and not run up against', () => {
  const capped = (announceAt: UnixMs | null) => ({
    lastGrant: { at: at(-MIN), attempt: null, fence: 2 as Fence, sessionEnd: { at: ENDING.endsAt, announceAt } },
  })
  assert.equal(due(facts(READY, { refreshToken: ENDING, ...capped(at(75 * MIN)) })), 75 * MIN)
  assert.equal(due(facts(READY, { refreshToken: ENDING, ...capped(null) })), 2 * H, 'only to hear the last word')
})

test('without a refresh token the end of the last access token is due, and nothing before; client credentials need none', () => {
  assert.equal(due(facts(READY, { refreshToken: null, usedAt: NOW.wall })), H)
  assert.equal(due(facts(READY, { refreshToken: null, accessTokens: [] })), -H, 'it never had one')
  const machine = facts(READY, { refreshToken: null, usedAt: NOW.wall, grantType: 'client_credentials' })
  assert.equal(due(machine), H - 6 * MIN)
})

test('the jitter is stable for a uid and moves the window by at most a fifth of it', () => {
  const token = { expiresAt: at(H), lifetimeMs: ms(H) }
  const offsets = ['00000000', '7fffffff', 'ffffffff'].map((tail) => {
    const uid = `00000000-0000-4000-8000-0000${tail}` as Uid
    assert.equal(jitterOf(uid), jitterOf(uid))
    assert.ok(jitterOf(uid) >= 0 && jitterOf(uid) < 1)
    return H - (aheadAt(uid, token, termsOf().policy) - NOW.wall)
  })
  assert.equal(offsets[0], 6 * MIN)
  assert.ok(Math.abs((offsets[1] ?? 0) - 5.4 * MIN) < 1 && Math.abs((offsets[2] ?? 0) - 4.8 * MIN) < 1)
})
