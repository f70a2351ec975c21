/** What keeps an API that refuses everything from causing a storm (`PROTOCOL.md` section 10, "401 reports"). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refused } from '../src/acts.ts'
import { commit } from '../src/commit.ts'
import type { ConnectionRow } from '../src/connection.ts'
import type { Fingerprint } from '../src/ids.ts'
import { createWorld, follow, START as WORLD_START, withX } from './manager-world.ts'
import { momentAt, granted, ME, present, situation, START, STRICT } from './transitions-world.ts'

const S = 1_000
const MIN = 60 * S
const REFUSED_SCOPE = { status: 400, body: { error: 'invalid_scope' } }

/** The access token that the row hands out. */
const current = (row: ConnectionRow): Fingerprint => row.accessTokens[0]?.fingerprint ?? assert.fail('no access token')
const report = (row: ConnectionRow, elapsed: number): ConnectionRow =>
  refused(row, STRICT, current(row), { owner: ME, now: momentAt(elapsed), draw: 0 }).row
const isForced = (row: ConnectionRow): boolean => row.accessTokens[0]?.refusedAt != null

/** A refresh that brings another pair. */
function refreshed(row: ConnectionRow, elapsed: number, wall = elapsed): ConnectionRow {
  const { row: presenting, lease } = present(row, elapsed)
  const tokens = granted(`rt at ${elapsed}`, `at at ${elapsed}`, wall)
  return commit(
    presenting,
    STRICT,
    lease,
    { kind: 'granted', granted: tokens },
    { owner: ME, now: momentAt(wall), draw: 0 },
  ).row
}

test('one access token forces one refresh, however often it is reported', () => {
  const once = report(situation('ready').row, 0)
  assert.ok(isForced(once))
  assert.equal(refused(once, STRICT, current(once), { owner: ME, now: momentAt(MIN), draw: 0 }).row, once)
})

test('two refreshes are forced 10 s apart, and what is reported in between changes nothing', () => {
  const row = refreshed(report(situation('ready').row, 0), S)
  assert.equal(report(row, 10 * S - 1), row)
  assert.equal(report(row, 10 * S).forced?.since, 'holding')
})

test('an API that refuses what a forced refresh brought is asked again after 5 minutes, doubling to an hour', () => {
  let { row } = situation('ready')
  let elapsed = 0
  const holds: number[] = []
  for (let round = 0; round < 7; round += 1) {
    row = report(row, elapsed)
    assert.ok(isForced(row), `round ${round} forces a refresh`)
    row = refreshed(row, elapsed + S)
    elapsed += 10 * S
    row = report(row, elapsed)
    assert.ok(!isForced(row), `round ${round} is held`)
    const until = (row.forced?.notBefore ?? 0) - START
    assert.equal(report(row, until - 1), row, 'held to the last millisecond')
    holds.push((until - elapsed) / MIN)
    elapsed = until
  }
  assert.deepEqual(holds, [5, 10, 20, 40, 60, 60, 60])
})

test('a refresh that no report asked for ends the hold', () => {
  const held = report(refreshed(report(situation('ready').row, 0), S), 10 * S)
  assert.equal(held.forced?.since, 'holding')
  assert.equal(refreshed(held, 11 * S).forced, null)
})

test('a wall clock that was put back prolongs no hold', () => {
  const forced = refreshed(report(situation('ready').row, 0), S)
  assert.equal(report(forced, -24 * 60 * MIN).forced?.since, 'holding', 'the report is heard')
})

test('a report says whether it will bring another token, and if not, from when on one is heard', async () => {
  const world = createWorld()
  const { manager, custody } = await withX(world)
  const fresh = follow(manager.token('x'))
  await world.pass(S)
  assert.deepEqual(await custody.rejected('x', fresh.token ?? ''), {
    current: true,
    stillRefused: false,
    retryAt: null,
  })
  const forced = follow(manager.token('x'))
  await world.pass(S)
  const early = await custody.rejected('x', forced.token ?? '')
  assert.deepEqual([early.current, early.stillRefused], [true, true], 'within 10 s of the last one')
  await world.pass(10 * S)
  const held = await custody.rejected('x', forced.token ?? '')
  assert.deepEqual(held, { current: true, stillRefused: true, retryAt: WORLD_START + world.at() + 5 * MIN })
  assert.equal((await custody.rejected('x', fresh.token ?? '')).current, false)
})

test('a scope that was refused is presented again after a minute, doubling, and at once for another sign-in', async () => {
  const world = createWorld()
  world.server.every = () => ({ answer: REFUSED_SCOPE })
  const process = await withX(world, 60 * MIN)
  const ask = async (): Promise<string | undefined> => {
    const fate = follow(process.manager.token('x', { scope: 'a' }))
    await world.pass(S)
    return fate.code
  }
  for (let minute = 0; minute < 8; minute += 1) {
    for (let again = 0; again < 5; again += 1) assert.equal(await ask(), 'scope_refused')
    await world.pass(55 * S)
  }
  const minutes = world.presented.map(({ at }) => Math.round(at / MIN))
  assert.deepEqual(minutes, [0, 1, 3, 7])
  await process.custody.reconnect('x', { refreshToken: 'rt-n', accessToken: 'at-n', scope: 'a b' })
  assert.equal(await ask(), 'scope_refused')
  assert.equal(world.presented.length, 5)
})
