/** An end that moves with each refresh is told from one that does not, and the latter is announced in time, once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startScheduler } from '@tokenkeep/core'
import type { RefreshTokenLife } from '../src/connection.ts'
import type { Fence } from '../src/ids.ts'
import { NUMBERS } from '../src/policy.ts'
import { announced, sessionEndAfter, type SessionEnd } from '../src/session-end.ts'
import { ms, type UnixMs } from '../src/time.ts'
import { createWorld, MIN, S, START } from './manager-world.ts'

const H = 60 * MIN
const at = (offset: number): UnixMs => (START + offset) as UnixMs
/** Announced at `said`: the end is `left` later. */
const life = (said: number, left: number): RefreshTokenLife => ({
  receivedAt: at(said),
  endsAt: at(said + left),
  lifetimeMs: ms(left),
})
const rowWith = (of: RefreshTokenLife, sessionEnd?: SessionEnd) => ({
  refreshToken: of as never,
  lastGrant: {
    at: of.receivedAt,
    attempt: null,
    fence: 1 as Fence,
    ...(sessionEnd === undefined ? {} : { sessionEnd }),
  },
})
const after = (before: ReturnType<typeof rowWith>, then: RefreshTokenLife | null, fixed = false): SessionEnd | null =>
  sessionEndAfter(before, then, fixed, NUMBERS, then?.receivedAt ?? at(0))

test('two answers with one end are the end of the session, announced a quarter of its life before', () => {
  assert.deepEqual(after(rowWith(life(0, 10 * H)), life(H, 9 * H)), { at: at(10 * H), announceAt: at(7.5 * H) })
})

test('an end that moves with the time that passed is none', () => {
  assert.equal(after(rowWith(life(0, 10 * H)), life(H, 10 * H)), null)
  assert.equal(after(rowWith(life(0, 10 * H)), life(20 * S, 10 * H)), null)
})

test('whole seconds and slow answers decide nothing', () => {
  assert.notEqual(after(rowWith(life(0, 10 * H)), life(H, 9 * H + 3 * S)), null)
  assert.equal(after(rowWith(life(0, 10 * H)), life(H, 10 * H - 3 * S)), null)
  assert.equal(after(rowWith(life(0, 10 * H)), life(2 * S, 10 * H - 2 * S)), null, 'too close together to tell')
})

test('the moment of the announcement stays where it was first, however often the rest is refreshed', () => {
  const end: SessionEnd = { at: at(10 * H), announceAt: at(7.5 * H) }
  assert.deepEqual(after(rowWith(life(H, 9 * H), end), life(7 * H, 3 * H)), end)
  assert.deepEqual(after(rowWith(life(7 * H, 3 * H), end), life(7.5 * H, 2.5 * H)), { ...end, announceAt: null })
  assert.deepEqual(
    after(rowWith(life(7 * H, 3 * H), end), life(7 * H + S, 3 * H - S)),
    end,
    'too close to tell otherwise',
  )
})

test('a session that goes on after all has its end no more', () => {
  assert.equal(after(rowWith(life(H, 9 * H), { at: at(10 * H), announceAt: null }), life(3 * H, 10 * H)), null)
  assert.equal(after(rowWith(life(H, 9 * H), { at: at(10 * H), announceAt: null }), null), null)
})

test("where the provider's data fixes the length of a sign-in, one end is enough", () => {
  const inherited = life(0, 10 * H)
  assert.deepEqual(after(rowWith(inherited), inherited, true), { at: at(10 * H), announceAt: at(7.5 * H) })
  assert.equal(after(rowWith(inherited), inherited), null)
})

test('it is told by the write that notes it, and by no other', () => {
  const noted = {
    lastGrant: { at: at(0), attempt: null, fence: 1 as Fence, sessionEnd: { at: at(H), announceAt: null } },
  }
  const known = {
    lastGrant: { at: at(0), attempt: null, fence: 1 as Fence, sessionEnd: { at: at(H), announceAt: at(MIN) } },
  }
  assert.equal(announced({ lastGrant: null }, noted), at(H))
  assert.equal(announced(known, noted), at(H))
  assert.equal(announced(noted, noted), null)
  assert.equal(announced(known, known), null)
})

/** A connection that nobody uses, imported with a refresh token that ends after two hours. */
async function unused(answers: (now: number) => object) {
  const world = createWorld()
  const process = world.start('A')
  world.server.every = () =>
    world.at() < 2 * H || 'moves' in answers(0)
      ? { with: { expires_in: 300, ...answers(world.at()) } }
      : { answer: { status: 400, body: { error: 'invalid_grant' } } }
  const scheduler = startScheduler(process.ports, process.manager, process.custody.finishDeletion)
  await process.custody.import({
    id: 'x',
    client: 'c',
    refreshToken: 'rt-0',
    accessToken: 'at-0',
    expiresAt: START + MIN,
    refreshTokenExpiresAt: START + 2 * H,
  })
  await world.pass(2.1 * H)
  const stopped = scheduler.stop()
  await world.pass(S)
  await stopped
  return world
}

test('a session with a fixed end that nobody uses costs one refresh, is announced once, and then needs its user', async () => {
  const world = await unused((now) => ({ refresh_expires_in: Math.max(1, Math.round((2 * H - now) / S)) }))
  assert.deepEqual(
    world.presented.map(({ at: sent }) => Math.round(sent / MIN)),
    [90, 120],
  )
  const expiring = world.events.filter(({ type }) => type === 'expiring')
  assert.equal(expiring.length, 1)
  assert.equal(Math.round(((expiring[0]?.at ?? 0) - START) / MIN), 90)
  assert.deepEqual(world.row().state.status === 'needs_user' && world.row().state, {
    status: 'needs_user',
    reason: 'expired',
    since: world.row().updatedAt,
  })
})

test('a session whose end moves is kept alive though nobody uses it, and nobody is told', async () => {
  const world = await unused(() => ({ refresh_expires_in: 3600, moves: true }))
  assert.deepEqual(
    world.presented.map(({ at: sent }) => Math.round(sent / MIN)),
    [90],
  )
  assert.equal(world.events.filter(({ type }) => type === 'expiring').length, 0)
  assert.equal(world.row().state.status, 'ready')
})
