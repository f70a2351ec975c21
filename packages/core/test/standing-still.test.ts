/** A process that stands still between reading and answering, and a caller whose refresh others went past. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createConnections, createManager, NUMBERS, type ConnectionStore, type Ports } from '@tokenkeep/core'
import { createWorld, follow, MIN, S, START, withX, type Process, type World } from './manager-world.ts'

/** The same process, its store changed. */
function over(of: Process, changed: (store: ConnectionStore) => Partial<ConnectionStore>): Process {
  const ports: Ports = { ...of.ports, store: { ...of.ports.store, ...changed(of.ports.store) } }
  const manager = createManager(ports, { owner: of.owner, numbers: NUMBERS, cacheBytes: 1_000_000 })
  return { ...of, ports, manager, custody: createConnections(ports, manager, () => false) }
}
/** Its first reading comes back only after the gate is open. */
const readsLate = (of: Process, gate: Promise<void>): Process =>
  over(of, (store) => ({
    async read(id) {
      const view = await store.read(id)
      await gate
      return view
    },
  }))

test('a token that ended while the process stood still after reading it is not handed out: there is a newer one', async () => {
  const world = createWorld()
  const a = await withX(world, MIN)
  const { promise, resolve } = Promise.withResolvers<void>()
  const fate = follow(readsLate(a, promise).manager.token('x', { waitMs: 5 * MIN }))
  await world.pass(MIN)
  resolve()
  await world.pass(S)
  assert.deepEqual([fate.token, world.presented.length], ['at-1', 1])
})

test('a token that ended while a better one was waited for is not handed out in its place', async () => {
  const world = createWorld()
  const a = await withX(world, 20 * S)
  await world.pass(12 * S)
  world.scripts.push({ afterMs: 70 * S })
  const fate = follow(a.manager.token('x', { minTtlMs: 30 * S, waitMs: 3 * MIN }))
  await world.pass(S)
  const thaw = world.freeze(a)
  await world.pass(30 * S)
  thaw()
  await world.pass(0)
  assert.equal(fate.token, undefined, 'it has ended, and the caller has time left')
  await world.pass(MIN)
  assert.equal(fate.token, 'at-1')
})

test('a caller whose time is up when the process goes on is told so, and gets nothing that has ended', async () => {
  const world = createWorld()
  const a = await withX(world, 20 * S)
  await world.pass(12 * S)
  world.scripts.push({ afterMs: 5 * MIN })
  const fate = follow(a.manager.token('x', { minTtlMs: 30 * S }))
  await world.pass(S)
  const thaw = world.freeze(a)
  await world.pass(MIN)
  thaw()
  await world.pass(S)
  assert.deepEqual([fate.token, fate.code], [undefined, 'unavailable'])
})

async function waiting(world: World, callers: number) {
  const a = await withX(world)
  const b = world.start('B')
  world.scripts.push({ afterMs: MIN })
  const fates = Array.from({ length: callers }, () => follow(a.manager.token('x')))
  await world.pass(2 * S)
  return { a, b, fates }
}
const signIn = { refreshToken: 'rt-new', accessToken: 'at-new', expiresAt: START + 60 * MIN, scope: 'a b' }

test('whoever waits for a refresh of its own process gets the token of a new sign-in that another process brought meanwhile', async () => {
  const world = createWorld()
  const { b, fates } = await waiting(world, 1)
  await b.custody.reconnect('x', signIn)
  await world.pass(S)
  assert.deepEqual(fates, [{ token: 'at-new' }])
})

test('and so does who comes while that refresh is on its way already', async () => {
  const world = createWorld()
  const { a, b } = await waiting(world, 1)
  const fate = follow(a.manager.token('x'))
  await world.pass(2 * S)
  await b.custody.reconnect('x', signIn)
  await world.pass(S)
  assert.deepEqual(fate, { token: 'at-new' })
})

test('so does who asks for more while a refresh for a narrower scope is on its way', async () => {
  const world = createWorld({ narrowing: 'token_only' })
  const a = await withX(world)
  const b = world.start('B')
  world.scripts.push({ afterMs: MIN })
  void follow(a.manager.token('x', { scope: 'a' }))
  await world.pass(S)
  const fate = follow(a.manager.token('x'))
  await world.pass(S)
  await b.custody.reconnect('x', signIn)
  await world.pass(S)
  assert.deepEqual([fate, world.presented.length], [{ token: 'at-new' }, 1])
})

test('however many wait for one refresh, whether others went past it is asked once a second', async () => {
  const world = createWorld()
  const process = await withX(world)
  let looks = 0
  const a = over(process, (store) => ({ changes: (uids) => ((looks += 1), store.changes(uids)) }))
  world.scripts.push({ afterMs: MIN })
  const fates = []
  for (let nth = 0; nth < 200; nth += 1) {
    fates.push(follow(a.manager.token('x')))
    await world.pass(1)
  }
  const readBefore = world.reads()
  await world.pass(10 * S)
  assert.ok(looks <= 11, `${looks} looks in 10 s`)
  assert.equal(world.reads(), readBefore)
})

test('whoever waits for a refresh that was taken for lost gets what another process brought since', async () => {
  const world = createWorld({ reuse: { kind: 'grace', seconds: 30, winner: 'any' } })
  world.server.graceMs = 30 * S
  const { b, fates } = await waiting(world, 1)
  // A's own connection is silent; B sees its lock missing, and presents.
  world.scripts.push({})
  const [open] = await b.ports.store.openAttempts('A' as never)
  assert.ok(open)
  await b.ports.store.takeOver(open.at, { kind: 'dead', owner: 'A', release: () => undefined } as never)
  follow(b.manager.token('x'))
  await world.pass(2 * S)
  assert.equal(fates[0]?.token, 'at-2')
})

test('whoever waits for its turn at a provider gets what another process was granted meanwhile', async () => {
  const world = createWorld()
  const a = await withX(world)
  const b = world.start('B')
  const tooMany = { status: 429, body: {}, retryAfter: '15' }
  world.scripts.push({ answer: tooMany })
  // Another connection's request tells this process to wait.
  await a.custody.import({ id: 'y', client: 'c', refreshToken: 'of y' })
  follow(a.manager.token('y', { waitMs: 0 }))
  await world.pass(S)
  const fate = follow(a.manager.token('x'))
  await world.pass(S)
  follow(b.manager.token('x'))
  await world.pass(2 * S)
  assert.deepEqual(fate, { token: 'at-1' })
})

test('a token from a slot is handed out no more once the store has said that a later one took its place', async () => {
  const world = createWorld({ refreshKillsAccessToken: true, reuse: { kind: 'grace', seconds: 60, winner: 'newest' } })
  world.server.graceMs = MIN
  const { promise, resolve } = Promise.withResolvers<void>()
  const a = over(await withX(world), ({ commit }) => ({ commit: async (...of) => (await promise, commit(...of)) }))
  const early = follow(a.manager.token('x'))
  await world.pass(S)
  assert.deepEqual([early.token, world.slots.size], ['at-1', 1])
  const later = follow(world.start('B').manager.token('x', { waitMs: MIN }))
  await world.pass(40 * S)
  assert.deepEqual([later.token, world.row().state.status], ['at-2', 'ready'])
  resolve()
  await world.pass(0)
  const fate = follow(a.manager.token('x'))
  await world.pass(0)
  assert.deepEqual([fate.token, world.presented.length, world.slots.size], ['at-2', 2, 0])
})
