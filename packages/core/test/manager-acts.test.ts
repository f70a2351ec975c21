/** What people do to a connection while it is refreshed, cached, or cut off from its store. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ms, NUMBERS, startScheduler, type TokenOptions } from '@tokenkeep/core'
import { createWorld, follow, MIN, S, withX, type Fate, type Process, type World } from './manager-world.ts'

async function asked(world: World, { manager }: Process, options?: TokenOptions): Promise<Fate> {
  const fate = follow(manager.token('x', options))
  await world.pass(2 * S)
  return fate
}

test('what a refresh brings to a connection that was deleted meanwhile is handed out to nobody', async () => {
  const world = createWorld()
  const deleter = await withX(world)
  const holder = world.start('B')
  world.scripts.push({ afterMs: 3 * S })
  const waiting = follow(holder.manager.token('x'))
  await world.pass(S)
  void deleter.ports.store.read('x' as never).then(async (view) => {
    if (!('kind' in view)) await deleter.ports.store.beginDelete(view.at)
  })
  await world.pass(4 * S)
  assert.deepEqual([world.presented.length, world.row().state.status], [1, 'deleting'])
  assert.deepEqual([waiting.token, waiting.code], [undefined, 'deleting'])
  assert.equal((await asked(world, holder)).code, 'deleting')
})

test('an access token that another process has replaced already is not handed out again after it was refused', async () => {
  const world = createWorld()
  const late = await withX(world)
  assert.equal((await asked(world, late)).token, 'at-1')
  const early = world.start('B')
  await early.custody.rejected('x', 'at-1')
  assert.equal((await asked(world, early)).token, 'at-2')

  assert.deepEqual(await late.custody.rejected('x', 'at-1'), {
    current: false,
    stillRefused: false,
    retryAt: null,
  })
  assert.equal((await asked(world, late)).token, 'at-2')
  assert.equal(world.presented.length, 2)
})

test('a caller whose view was being read when it is closed presents nothing any more', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  const fate = follow(manager.token('x'))
  void manager.close(ms(12 * S))
  await world.pass(S)
  assert.deepEqual([world.presented.length, fate.code], [0, 'closed'])
})

test('a living token is handed out when the store goes away between reading and refreshing', async () => {
  const world = createWorld()
  const process = await withX(world, 40 * S)
  await world.pass(25 * S)
  world.fails.add('client')
  const fate = follow(process.manager.token('x', { minTtlMs: 18 * S }))
  await world.pass(S)
  assert.deepEqual(fate, { token: 'at-0' })
})

test('remembered tokens are handed out without the store for five minutes and no longer', async () => {
  const world = createWorld()
  const process = await withX(world)
  const scheduler = startScheduler(process.ports, process.manager, async () => undefined)
  assert.equal((await asked(world, process)).token, 'at-1')
  world.fails.add('changes').add('read')
  await world.pass(NUMBERS.cacheWithoutStoreMs - 10 * S)
  assert.equal((await asked(world, process)).token, 'at-1')
  await world.pass(MIN)
  assert.equal((await asked(world, process)).code, 'store_unavailable')
  world.fails.clear()
  await world.pass(2 * S)
  assert.equal((await asked(world, process)).token, 'at-1')
  assert.equal(world.presented.length, 1)
  const stopped = scheduler.stop()
  await world.pass(S)
  await stopped
})

test('a store that was away for a moment, and is again after a while in which nobody read it, has not been away all the time', async () => {
  const world = createWorld()
  const process = await withX(world)
  const scheduler = startScheduler(process.ports, process.manager, async () => undefined)
  assert.equal((await asked(world, process)).token, 'at-1')
  world.fails.add('read')
  // More life than is remembered as fresh: the store is read, in vain.
  const more = { minTtlMs: 58 * MIN }
  await world.pass(5 * MIN)
  assert.equal((await asked(world, process, more)).token, 'at-1')
  world.fails.clear()
  await world.pass(NUMBERS.cacheWithoutStoreMs + S)
  world.fails.add('read')
  assert.equal((await asked(world, process, more)).token, 'at-1')
  void scheduler.stop()
})

test('an attempt that was taken over is announced in doubt once, whatever its owner hears later', async () => {
  const world = createWorld()
  const frozen = await withX(world)
  world.fails.add('renew')
  world.scripts.push({ afterMs: 40 * S, reset: 'before' })
  follow(frozen.manager.token('x'))
  await world.pass(S)
  follow(world.start('B').manager.token('x', { waitMs: 50 * S }))
  await world.pass(45 * S)
  assert.deepEqual(
    world.events.flatMap((event) => (event.type === 'in_doubt' ? [event.because] : [])),
    ['owner_silent'],
  )
})

test('a deletion that is under way is not done a second time by the scheduler', async () => {
  const world = createWorld()
  const process = await withX(world)
  const scheduler = startScheduler(process.ports, process.manager, process.custody.finishDeletion)
  const { registry } = process.ports
  const client = await registry.client('c' as never)
  const slow = process.ports.clock.alarm(ms(5 * S)).rung
  Object.assign(registry, { client: () => slow.then(() => client) })
  const deleted = process.custody.delete('x')
  await world.pass(10 * S)
  await deleted
  assert.equal(world.events.filter(({ type }) => type === 'connection_deleted').length, 1)
  const stopped = scheduler.stop()
  await world.pass(S)
  await stopped
})

test('a defect while presenting takes no room for good, and leaves the attempt to its lease', async () => {
  const world = createWorld()
  const process = await withX(world)
  world.fails.add('present')
  assert.match(String((await asked(world, process)).error), /a defect/)
  assert.deepEqual([world.roomsTaken(), world.row().state.status], [0, 'presenting'])
  world.fails.clear()
  const later = follow(process.manager.token('x', { waitMs: 2 * MIN }))
  await world.pass(2 * MIN)
  assert.equal(later.token, 'at-1')
})

test('a database that does not take the intent is named as the reason with what it said, nothing is sent, and it goes on afterwards', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.fails.add('acquire')
  const refused = follow(manager.token('x', { waitMs: 2_000 }))
  await world.pass(3_000)
  assert.equal(refused.code, 'store_unavailable')
  assert.match(
    refused.error instanceof Error ? refused.error.message : '',
    /the intent to refresh cannot be written down: no acquire/,
  )
  assert.equal(world.presented.length, 0)
  world.fails.delete('acquire')
  const served = follow(manager.token('x'))
  await world.pass(1_000)
  assert.equal(served.token, 'at-1')
})

test('what a refresh of the sign-in before brings is given to nobody who asks after a new sign-in', async () => {
  const world = createWorld()
  const { manager, custody } = await withX(world)
  world.scripts.push({ afterMs: 5 * S })
  void follow(manager.token('x'))
  await world.pass(S)
  await custody.reconnect('x', { refreshToken: 'rt-new' })
  world.server.current = 'rt-new'
  const fate = follow(manager.token('x'))
  await world.pass(S)
  // Neither is taken by the store: what is in its slot may be handed out by the process that holds it.
  world.fails.add('commit')
  await world.pass(8 * S)
  assert.deepEqual([fate.token, world.presented.map(({ refreshToken }) => refreshToken)], ['at-2', ['rt-0', 'rt-new']])
})
