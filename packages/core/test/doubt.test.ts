/** In doubt under each reuse policy (`PROTOCOL.md` section 6), with real managers in virtual time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startScheduler, type ReusePolicy } from '@tokenkeep/core'
import { createWorld, follow, MIN, S, START, withX, type Fate, type Process, type World } from './manager-world.ts'

const GRACE: ReusePolicy = { kind: 'grace', seconds: 30, winner: 'any' }
const STORE_AWAY = ['read', 'acquire', 'renew', 'commit', 'takeOver', 'due', 'changes'] as const

function away(world: World): () => void {
  for (const verb of STORE_AWAY) world.fails.add(verb)
  return () => world.fails.clear()
}
const inBackground = (of: Process): Process => {
  startScheduler(of.ports, of.manager, async () => undefined)
  return of
}
const stateOf = (world: World): string => {
  const { state } = world.row()
  return state.status === 'needs_user' ? `needs_user: ${state.reason}` : state.status
}
const told = (world: World, type: string): number => world.events.filter((event) => event.type === type).length
async function asked(world: World, { manager }: Process, waitMs = 2 * S): Promise<Fate> {
  const fate = follow(manager.token('x'))
  await world.pass(waitMs)
  return fate
}

// ---- a store that is away ------------------------------------------------------------------------------------------

test('with a grace, a slow connection is not reset while the store is away: the answer that comes is kept', async () => {
  const world = createWorld({ reuse: GRACE })
  world.server.graceMs = 30 * S
  const a = inBackground(await withX(world))
  world.scripts.push({ afterMs: 25 * S })
  void follow(a.manager.token('x'))
  await world.pass(5 * S)
  const back = away(world)
  await world.pass(55 * S)
  assert.deepEqual([world.slots.size, world.presented.length], [1, 1], 'it lies in its slot')
  back()
  await world.pass(30 * S)
  assert.deepEqual([(await asked(world, a)).token, stateOf(world), world.presented.length], ['at-1', 'ready', 1])
})

test('with a grace, a slow connection is reset once the doubt about it is durable, and tried again inside the window', async () => {
  const world = createWorld({ reuse: GRACE })
  world.server.graceMs = 30 * S
  const a = inBackground(await withX(world))
  world.scripts.push({ afterMs: 25 * S })
  const fate = follow(a.manager.token('x'))
  await world.pass(9 * S)
  assert.equal(stateOf(world), 'presenting')
  await world.pass(3 * S)
  assert.deepEqual([fate.token, stateOf(world), world.presented.length], ['at-2', 'ready', 2])
  assert.equal(told(world, 'in_doubt'), 1)
})

test('with a grace, a freeze uses up nothing of the time for the answer: one that comes after it is kept', async () => {
  const world = createWorld({ reuse: GRACE })
  world.server.graceMs = 30 * S
  const a = await withX(world)
  world.scripts.push({ afterMs: 14 * S })
  const fate = follow(a.manager.token('x'))
  await world.pass(S)
  const thaw = world.freeze(a)
  await world.pass(11 * S)
  thaw()
  await world.pass(3 * S)
  assert.deepEqual([fate.token, stateOf(world), world.presented.length], ['at-1', 'ready', 1])
})

test('an answer that comes while the doubt about it is being written is kept all the same', async () => {
  const world = createWorld({ reuse: GRACE })
  world.server.graceMs = 30 * S
  const a = inBackground(await withX(world))
  world.scripts.push({ afterMs: 12 * S })
  void follow(a.manager.token('x'))
  await world.pass(9 * S)
  world.fails.add('commit')
  await world.pass(2 * S)
  world.fails.clear()
  await world.pass(20 * S)
  assert.deepEqual([(await asked(world, a)).token !== undefined, stateOf(world)], [true, 'ready'])
  assert.equal(world.server.dead, false)
})

test('how often it failed before its request left does not hold back a try in a window that closes', async () => {
  const world = createWorld({ reuse: GRACE })
  world.server.graceMs = 30 * S
  const a = inBackground(await withX(world))
  world.fails.add('connect')
  for (let nth = 0; nth < 8; nth += 1) await asked(world, a, 30 * S)
  world.fails.clear()
  world.scripts.push({ reset: 'after' })
  await asked(world, a, 40 * S)
  assert.equal(world.presented.length, 2)
  assert.ok((world.presented[1]?.at ?? 0) - (world.presented[0]?.at ?? 0) < 22_500, 'inside the window')
  assert.deepEqual([stateOf(world), world.server.dead], ['ready', false])
})

test('what is due is done also where the look at what others wrote fails', async () => {
  const world = createWorld({ reuse: GRACE })
  world.server.graceMs = 30 * S
  const a = inBackground(await withX(world, MIN))
  world.scripts.push({ reset: 'after' })
  world.fails.add('changes')
  await asked(world, a, 30 * S)
  await asked(world, a, 40 * S)
  assert.deepEqual([stateOf(world), world.server.dead], ['ready', false])
})

// ---- each policy ---------------------------------------------------------------------------------------------------

test('reusable: presented again with back-off until it is answered', async () => {
  const world = createWorld({ reuse: { kind: 'reusable' } })
  const a = await withX(world, 10 * MIN)
  world.scripts.push({ reset: 'before' }, { reset: 'before' }, { reset: 'before' })
  void follow(a.manager.token('x', { minTtlMs: 5 * MIN + 1 }))
  await a.custody.rejected('x', 'at-0')
  const fate = await asked(world, a, 5 * S)
  assert.deepEqual([fate.token, world.presented.length], ['at-1', 4])
})

test('counted: one presentation and n more, then as strict; the count is durable before each is sent', async () => {
  const world = createWorld({ reuse: { kind: 'counted', n: 2 } })
  const a = inBackground(await withX(world, 40 * S))
  for (let nth = 0; nth < 5; nth += 1) world.scripts.push({ reset: 'before' })
  await world.pass(36 * S)
  await asked(world, a, 3 * S)
  assert.equal(world.presented.length, 3)
  assert.deepEqual(
    world.presented.map(({ row }) => row.refreshToken?.presentations),
    [1, 2, 3],
    'counted in the row when the request left',
  )
  await world.pass(10 * S)
  assert.ok(world.presented.length > 3, 'from the end of its access token on, as strict')
})

test('grace: when its window is closed it counts as strict, and a refusal then is a lost answer, said once', async () => {
  const world = createWorld({ reuse: GRACE })
  world.server.graceMs = 30 * S
  const a = inBackground(await withX(world, 5 * MIN))
  await world.pass(4 * MIN + 40 * S)
  world.scripts.push({ reset: 'after' })
  void follow(a.manager.token('x'))
  await world.pass(50)
  const back = away(world)
  await world.pass(5)
  back()
  world.fails.add('connect')
  await world.pass(15 * MIN)
  assert.equal(world.presented.length, 1, 'nothing left while the provider could not be reached')
  world.fails.clear()
  await world.pass(15 * MIN)
  assert.deepEqual([stateOf(world), world.presented.length], ['needs_user: answer_lost', 2])
  await world.pass(60 * MIN)
  await asked(world, a)
  assert.deepEqual([world.presented.length, told(world, 'needs_user')], [2, 1])
})

test('grace until the successor is used: no window closes', async () => {
  const world = createWorld({ reuse: { kind: 'grace', until: 'successor_used', winner: 'same' } })
  world.server.graceMs = 60 * MIN
  const a = inBackground(await withX(world))
  world.scripts.push({ reset: 'after' })
  void follow(a.manager.token('x'))
  await world.pass(50)
  world.fails.add('connect')
  await world.pass(5 * MIN)
  world.fails.clear()
  await world.pass(11 * MIN)
  assert.deepEqual([stateOf(world), world.server.dead], ['ready', false])
})

test('strict: not while an access token lives; from its end on once, and then a lost answer', async () => {
  const world = createWorld({ reuse: { kind: 'strict' } })
  const a = inBackground(await withX(world, 2 * MIN))
  world.scripts.push({ reset: 'after' })
  await world.pass(MIN + 45 * S)
  await asked(world, a)
  assert.deepEqual([stateOf(world), world.presented.length], ['in_doubt', 1])
  assert.equal((await asked(world, a)).token, 'at-0', 'which is handed out meanwhile')
  await world.pass(2 * MIN - world.at() - S)
  assert.equal(world.presented.length, 1)
  await world.pass(10 * S)
  assert.deepEqual([stateOf(world), world.presented.length], ['needs_user: answer_lost', 2])
  await world.pass(60 * MIN)
  assert.deepEqual([world.presented.length, told(world, 'needs_user')], [2, 1])
})

test('strict: a 401 for the living token ends the wait', async () => {
  const world = createWorld({ reuse: { kind: 'strict' } })
  const a = inBackground(await withX(world, 2 * MIN))
  world.scripts.push({ reset: 'before' })
  await world.pass(MIN + 45 * S)
  await asked(world, a)
  assert.equal(stateOf(world), 'in_doubt')
  await a.custody.rejected('x', 'at-0')
  assert.deepEqual([(await asked(world, a)).token, stateOf(world)], ['at-1', 'ready'])
})

test('unknown: one prompt retry by the process that saw the end, and no other process makes one', async () => {
  const world = createWorld({ reuse: { kind: 'unknown' } })
  const a = inBackground(await withX(world, 2 * MIN))
  const b = inBackground(world.start('B'))
  await world.pass(MIN + 45 * S)
  world.scripts.push({ reset: 'before' }, { reset: 'before' })
  await asked(world, a, 50)
  await world.pass(5 * S)
  assert.equal((await asked(world, b)).token, 'at-0')
  assert.deepEqual([world.presented.length, stateOf(world)], [2, 'in_doubt'])
  const { state } = world.presented[1]?.row ?? assert.fail('no retry')
  assert.ok(state.status === 'presenting')
  assert.equal(state.attempt.owner, a.owner)
})

test('unknown: the retry after a killed process waits until its request has left every queue', async () => {
  const world = createWorld({ reuse: { kind: 'unknown' } })
  // What nobody knows: there is a grace, and the newest pair alone lives.
  world.server.graceMs = 10 * S
  const a = await withX(world)
  world.scripts.push({ queuedMs: S, afterMs: MIN })
  void follow(a.manager.token('x'))
  await world.pass(100)
  world.kill(a)
  const b = world.start('B')
  await b.manager.watches.buryTheDead()
  const fate = await asked(world, b, 30 * S)
  assert.deepEqual([stateOf(world), world.presented.length], ['ready', 2])
  await b.custody.rejected('x', fate.token ?? 'none')
  await asked(world, b)
  assert.deepEqual([world.presented.length, world.server.dead, stateOf(world)], [3, false, 'ready'])
})

test('a frozen owner is waited for with patience, also where no access token lives any more', async () => {
  const world = createWorld({ reuse: { kind: 'strict' } })
  const a = await withX(world)
  const b = inBackground(world.start('B'))
  world.scripts.push({ afterMs: S })
  void follow(a.manager.token('x'))
  await world.pass(20)
  const thaw = world.freeze(a)
  await world.pass(80 * S)
  void follow(b.manager.token('x'))
  assert.deepEqual([stateOf(world), world.presented.length], ['in_doubt', 1])
  thaw()
  await world.pass(S)
  assert.deepEqual([stateOf(world), world.presented.length, world.server.dead], ['ready', 1, false])
})

// ---- people --------------------------------------------------------------------------------------------------------

test('an operator lets a doubt be resolved now, by the one path that presents', async () => {
  const world = createWorld({ reuse: { kind: 'strict' } })
  const a = await withX(world, 2 * MIN)
  await world.pass(MIN + 45 * S)
  world.scripts.push({ reset: 'before' })
  await asked(world, a)
  assert.equal(stateOf(world), 'in_doubt')
  const resolved = a.custody.resolve('x', 'present')
  await world.pass(S)
  assert.deepEqual([(await resolved).status, world.presented.length], ['ready', 2])
  const unchanged = await a.custody.resolve('x', 'present')
  await world.pass(S)
  assert.deepEqual([unchanged.status, world.presented.length], ['ready', 2], 'nothing is left to resolve')
})

test('signed out, nothing is handed out any more, and the next presentation decides', async () => {
  const world = createWorld({ reuse: { kind: 'strict' } })
  const a = world.start('A')
  const sign = { refreshToken: 'rt-0', accessToken: 'at-0', expiresAt: START + 10 * MIN }
  await a.custody.import({ id: 'x', client: 'c', ...sign, sessionId: 's1' })
  assert.equal((await asked(world, a)).token, 'at-0')
  const logout = { provider: 'p', sessionId: 's1', issuedAt: START + world.at() }
  world.fails.add('connect')
  assert.deepEqual(await a.custody.logout({ ...logout, sessionId: 's2' }), { signedOut: [] })
  assert.deepEqual(await a.custody.logout(logout), { signedOut: ['x'] })
  assert.notEqual((await asked(world, a)).token, 'at-0', 'not from memory either')
  world.fails.clear()
  world.scripts.push({ answer: { status: 400, body: { error: 'invalid_grant' } } })
  await asked(world, a, MIN)
  assert.deepEqual([stateOf(world), told(world, 'signed_out')], ['needs_user: signed_out', 1])
})
