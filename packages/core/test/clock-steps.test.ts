/** The wall clock is set an hour forward or back, while tokens are remembered, leases are open and doubts wait. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startScheduler, type Scheduler } from '@tokenkeep/core'
import { createWorld, follow, MIN, S, withX, type Fate, type Process, type World } from './manager-world.ts'

const H = 60 * MIN

async function asked(world: World, { manager }: Process): Promise<Fate> {
  const fate = follow(manager.token('x'))
  await world.pass(20)
  return fate
}

async function stop(world: World, ...schedulers: Scheduler[]): Promise<void> {
  const stopped = schedulers.map((scheduler) => scheduler.stop())
  await world.pass(0)
  await Promise.all(stopped)
}

const run = ({ ports, manager, custody }: Process): Scheduler => startScheduler(ports, manager, custody.finishDeletion)

test('set back: a token that a process remembers is no younger for it, and is replaced at its true end', async () => {
  const world = createWorld()
  const process = await withX(world)
  const scheduler = run(process)
  assert.equal((await asked(world, process)).token, 'at-1')
  await world.pass(10 * MIN)
  world.setClock(-H)
  for (let minute = 10; minute < 70; minute += 1) {
    await world.pass(MIN)
    const { token } = await asked(world, process)
    assert.equal(token, minute < 53 ? 'at-1' : minute < 60 ? token : 'at-2', `after ${minute} minutes`)
  }
  assert.equal(world.presented.length, 2)
  await stop(world, scheduler)
})

test('set back: what is handed out says when it ends by the clock of now', async () => {
  const world = createWorld()
  const process = await withX(world)
  const scheduler = run(process)
  await asked(world, process)
  await world.pass(10 * MIN)
  world.setClock(-H)
  await world.pass(2 * S)
  const { expiresAt } = await process.manager.token('x')
  const leftMs = expiresAt - process.ports.clock.now().wall
  assert.ok(Math.abs(leftMs - 50 * MIN) < 5 * S, `${leftMs} ms left`)
  await stop(world, scheduler)
})

test('set forward: what has ended by the clock of now is refreshed once, and handed out again', async () => {
  const world = createWorld()
  const process = await withX(world)
  const scheduler = run(process)
  assert.equal((await asked(world, process)).token, 'at-1')
  await world.pass(10 * MIN)
  world.setClock(H)
  for (let minute = 0; minute < 10; minute += 1) {
    assert.equal((await asked(world, process)).token, 'at-2')
    await world.pass(MIN)
  }
  assert.equal(world.presented.length, 2)
  await stop(world, scheduler)
})

for (const by of [H, -H]) {
  const way = by > 0 ? 'forward' : 'back'

  test(`set ${way}: what is remembered is looked up again`, async () => {
    const world = createWorld()
    const process = await withX(world, 5 * H)
    const scheduler = run(process)
    await asked(world, process)
    world.setClock(by)
    await world.pass(S)
    const reads = world.reads()
    assert.equal((await asked(world, process)).token, 'at-0')
    assert.equal(world.reads(), reads + 1)
    assert.equal((await asked(world, process)).token, 'at-0')
    assert.equal(world.reads(), reads + 1, 'once')
    await stop(world, scheduler)
  })

  test(`set ${way}: a lease does not end by it, and the answer reaches everybody`, async () => {
    const world = createWorld()
    const a = await withX(world, -1, 'A')
    const b = world.start('B')
    const schedulers = [run(a), run(b)]
    world.server.expiresIn = 3 * 3_600
    world.scripts.push({ afterMs: 15 * S })
    const fates = [follow(a.manager.token('x')), follow(b.manager.token('x'))]
    await world.pass(S)
    world.setClock(by)
    await world.pass(13 * S)
    assert.equal(world.row().state.status, 'presenting')
    await world.pass(2 * S)
    assert.deepEqual(fates, [{ token: 'at-1' }, { token: 'at-1' }])
    assert.equal(world.presented.length, 1)
    await stop(world, ...schedulers)
  })

  test(`set ${way}: a silent owner is taken over after one lease, no sooner and no later`, async () => {
    const world = createWorld()
    // Ended by either clock.
    const a = await withX(world, -2 * H, 'A')
    const b = world.start('B')
    world.scripts.push({ afterMs: H })
    follow(a.manager.token('x'))
    await world.pass(10)
    world.freeze(a)
    const waits = follow(b.manager.token('x', { waitMs: 5 * MIN }))
    await world.pass(5 * S)
    world.setClock(by)
    await world.pass(24 * S)
    assert.equal(world.row().state.status, 'presenting')
    await world.pass(2 * S)
    assert.equal(world.row().state.status, 'in_doubt')
    assert.deepEqual(waits, {})
  })

  test(`set ${way} between the intent and the last check: nothing that a clock calls too late is sent`, async () => {
    const world = createWorld()
    const a = await withX(world, -1, 'A')
    world.connectIn(2 * S)
    const fate = follow(a.manager.token('x'))
    await world.pass(S)
    world.setClock(by)
    await world.pass(10 * S)
    assert.equal(world.presented.length, 1)
    assert.equal(fate.token, 'at-1')
  })

  test(`set ${way}: a doubt inside a grace window is tried again before the window closes, also where nobody asks`, async () => {
    const world = createWorld({ reuse: { kind: 'grace', seconds: 30, winner: 'any' } })
    const a = await withX(world, -1, 'A')
    world.server.graceMs = 30 * S
    const scheduler = run(a)
    world.scripts.push({ reset: 'after' })
    const fate = follow(a.manager.token('x', { waitMs: 0 }))
    await world.pass(20)
    assert.equal(fate.code, 'unavailable')
    assert.equal(world.row().state.status, 'in_doubt')
    world.setClock(by)
    await world.pass(25 * S)
    assert.deepEqual([world.row().state.status, world.server.dead], ['ready', false])
    await stop(world, scheduler)
  })
}
