/** An owner that falls silent inside a grace window, where nobody waits: the timer alone comes before the window closes (`PROTOCOL.md` section 10). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createConnections,
  createManager,
  ms,
  NUMBERS,
  startScheduler,
  TokenError,
  type ConnectionStore,
  type Ports,
  type ReusePolicy,
} from '@tokenkeep/core'
import { createWorld, follow, S, withX, type Process, type World } from './manager-world.ts'

const grace = (seconds: number): ReusePolicy => ({ kind: 'grace', seconds, winner: 'any' })
const inBackground = (of: Process): Process => {
  startScheduler(of.ports, of.manager, of.custody.finishDeletion)
  return of
}

/** A is asked for `x`, and B does what is due. */
async function worldOf(seconds: number): Promise<{ world: World; a: Process; b: Process }> {
  const world = createWorld({ reuse: grace(seconds) })
  world.server.graceMs = seconds * S
  const a = await withX(world)
  return { world, a, b: inBackground(world.start('B')) }
}

/** The same process, its store changed. */
function over(of: Process, changed: (store: ConnectionStore) => Partial<ConnectionStore>): Process {
  const ports: Ports = { ...of.ports, store: { ...of.ports.store, ...changed(of.ports.store) } }
  const manager = createManager(ports, { owner: of.owner, numbers: NUMBERS, cacheBytes: 1_000_000 })
  return { ...of, ports, manager, custody: createConnections(ports, manager, () => false) }
}

/** After the rounds of B, and by how much: the one that sees it first may be a second away. */
const PHASES = [0, 250, 500, 999]
for (const seconds of [6, 10, 30, 60, 90, 600]) {
  test(`a grace of ${seconds} s: who freezes with its request on the way is followed inside the window, whenever it began`, async () => {
    for (const phase of PHASES) {
      const { world, a } = await worldOf(seconds)
      await world.pass(phase)
      world.scripts.push({ afterMs: 10 * S })
      follow(a.manager.token('x'))
      await world.pass(50)
      const begun = world.at()
      world.freeze(a)
      await world.pass(seconds * 750 - 50)
      assert.equal(world.presented.length, 2, `B began ${phase} ms after its round`)
      assert.ok((world.presented[1]?.at ?? 0) - begun < seconds * 750)
      assert.deepEqual([world.row().state.status, world.server.dead], ['ready', false])
    }
  })
}

test('who freezes after half of its lease is followed inside the window as well: it renewed nothing', async () => {
  const { world, a } = await worldOf(10)
  world.scripts.push({ afterMs: 10 * S })
  follow(a.manager.token('x'))
  await world.pass(3 * S)
  world.freeze(a)
  await world.pass(4.5 * S)
  assert.deepEqual([world.presented.length, world.row().state.status, world.server.dead], [2, 'ready', false])
})

test('what took half of its lease before it could leave does not leave where a window closes, and is tried again', async () => {
  const { world, a } = await worldOf(10)
  let slowMs = 2.6 * S
  const slow = over(a, (store) => ({
    async acquire(...of) {
      const acquired = await store.acquire(...of)
      await a.ports.clock.alarm(ms(slowMs)).rung
      slowMs = 0
      return acquired
    },
  }))
  const fate = follow(slow.manager.token('x'))
  await world.pass(2.65 * S)
  assert.deepEqual([world.presented.length, world.row().state.status], [0, 'ready'])
  await world.pass(2 * S)
  assert.deepEqual([world.presented.length, fate.token], [1, 'at-1'])
})

test('who freezes with a try in doubt leaves time for one more: its lease is shorter', async () => {
  const { world, a, b } = await worldOf(10)
  const c = inBackground(world.start('C'))
  world.scripts.push({ afterMs: 2 * S, reset: 'after' }, { afterMs: 20 * S })
  follow(a.manager.token('x', { waitMs: 0 }))
  await world.pass(2 * S)
  world.freeze(a)
  await world.pass(1.2 * S)
  assert.equal(world.presented.length, 2, 'in doubt, and tried again')
  const { state } = world.row()
  assert.ok(state.status === 'presenting' && state.attempt.owner !== a.owner)
  assert.ok(state.attempt.leaseMs < 4 * S)
  world.freeze(state.attempt.owner === c.owner ? c : b)
  await world.pass(4.3 * S)
  assert.deepEqual([world.presented.length, world.row().state.status, world.server.dead], [3, 'ready', false])
})

test('what is claimed while the end of its attempt is still being told is done when that is over', async () => {
  const world = createWorld({ reuse: grace(10) })
  world.server.graceMs = 10 * S
  const a = await withX(world)
  let unheard = 2
  const slow = over(a, (store) => ({
    async commit(...of) {
      const done = await store.commit(...of)
      if (of[1].kind !== 'in_doubt' || unheard === 0) return done
      unheard -= 1
      await a.ports.clock.alarm(ms(S)).rung
      throw new TokenError('store_unavailable', 'written, and no answer')
    },
  }))
  inBackground(slow)
  world.scripts.push({ reset: 'after' })
  follow(slow.manager.token('x', { waitMs: 0 }))
  await world.pass(4 * S)
  assert.deepEqual([world.presented.length, world.row().state.status, world.server.dead], [2, 'ready', false])
})

test('who could keep no answer claims nothing, and so keeps nobody else from a window that closes', async () => {
  const world = createWorld({ reuse: grace(10) })
  world.server.graceMs = 10 * S
  const a = await withX(world)
  const spill: Ports['spill'] = { ...a.ports.spill, reserve: async () => ({ kind: 'no_room', because: 'disk' }) }
  const manager = createManager({ ...a.ports, spill }, { owner: a.owner, numbers: NUMBERS, cacheBytes: 1_000_000 })
  startScheduler(a.ports, manager, a.custody.finishDeletion)
  // Its rounds come a little before those of the other one, always.
  await world.pass(50)
  inBackground(world.start('B'))
  await world.pass(S)
  world.scripts.push({ reset: 'after' })
  follow(world.start('C').manager.token('x', { waitMs: 0 }))
  await world.pass(7 * S)
  assert.deepEqual([world.presented.length, world.row().state.status, world.server.dead], [2, 'ready', false])
})

test('whoever claimed a try in a window, and met a store that failed, makes it as soon as the store does not', async () => {
  const world = createWorld({ reuse: grace(10) })
  world.server.graceMs = 10 * S
  const a = await withX(world)
  const b = world.start('B')
  let failures = 4
  const registry: Ports['registry'] = {
    ...b.ports.registry,
    async client(id) {
      if ((failures -= 1) >= 0) throw new TokenError('store_unavailable', 'no client')
      return b.ports.registry.client(id)
    },
  }
  const manager = createManager({ ...b.ports, registry }, { owner: b.owner, numbers: NUMBERS, cacheBytes: 1_000_000 })
  startScheduler(b.ports, manager, b.custody.finishDeletion)
  world.scripts.push({ reset: 'after' })
  follow(a.manager.token('x', { waitMs: 0 }))
  await world.pass(7.4 * S)
  assert.deepEqual([world.presented.length, world.row().state.status, world.server.dead], [2, 'ready', false])
})

test('silence while the store is away for everybody proves nothing: an answer that came meanwhile is committed, not doubted', async () => {
  for (const phase of [0, 100, 250, 400, 500, 600, 750, 900]) {
    const world = createWorld({ reuse: grace(10) })
    const a = await withX(world)
    const b = inBackground(world.start('B'))
    await world.pass(1.5 * S)
    world.scripts.push({ afterMs: 2 * S })
    const fate = follow(a.manager.token('x', { waitMs: 50 * S }))
    await world.pass(1.5 * S)
    // B has seen it, and sees nothing any more.
    const verbs = ['read', 'acquire', 'renew', 'commit', 'changes', 'takeOver', 'due'] as const
    for (const verb of verbs) world.fails.add(verb)
    await world.pass(90 * S + phase)
    world.fails.clear()
    const other = follow(b.manager.token('x'))
    await world.pass(10 * S)
    assert.deepEqual([world.presented.length, world.row().state.status, world.server.dead], [1, 'ready', false])
    assert.deepEqual([fate.token, other.token], ['at-1', 'at-1'])
    assert.ok(world.events.every(({ type }) => type !== 'in_doubt'))
  }
})
