/** What is remembered stays the same as what other processes wrote: by their notices, and once a second without them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ms, startScheduler, type DurationMs } from '@tokenkeep/core'
import { createWorld, follow, MIN, S, withX, type Fate, type Process, type World } from './manager-world.ts'

const H = 60 * MIN

/** A and B both remember `at-0`, which has more than half of an hour's life behind it, and watch for what others write. */
async function remembering(provider: Parameters<typeof createWorld>[0] = {}) {
  const world = createWorld(provider)
  const a = await withX(world, H, 'A')
  const b = world.start('B')
  const schedulers = [a, b].map(({ ports, manager }) => startScheduler(ports, manager, null))
  await world.pass(31 * MIN)
  for (const each of [a, b]) assert.equal((await asked(world, each)).token, 'at-0')
  await world.pass(100)
  return {
    world,
    a,
    b,
    end: async () => {
      const stopped = schedulers.map((scheduler) => scheduler.stop())
      await world.pass(0)
      await Promise.all(stopped)
    },
  }
}

async function asked(world: World, { manager }: Process): Promise<Fate> {
  const fate = follow(manager.token('x'))
  await world.pass(0)
  return fate
}

/** A wants more life than the token has left. */
async function refreshBy(world: World, a: Process): Promise<void> {
  follow(a.manager.token('x', { minTtlMs: H }))
  await world.pass(10)
  assert.equal(world.presented.length, 1)
}

test('a process holds the token that another one brought, at its notice and without a reading of its own', async () => {
  for (const names of [true, false]) {
    const { world, a, b, end } = await remembering()
    if (!names) world.fails.add('names')
    await refreshBy(world, a)
    const reads = world.reads()
    assert.equal((await asked(world, b)).token, 'at-1')
    assert.equal(world.reads(), reads)
    await end()
  }
})

test('where its notice is lost, it is held within a second', async () => {
  const { world, a, b, end } = await remembering()
  world.fails.add('notices')
  await refreshBy(world, a)
  const reads = world.reads()
  await world.pass(S)
  assert.equal((await asked(world, b)).token, 'at-1')
  assert.equal(world.reads(), reads)
  await end()
})

test('a token that an API refused elsewhere is not handed out here any more', async () => {
  const { world, a, b, end } = await remembering()
  await a.custody.rejected('x', 'at-0')
  await world.pass(0)
  const fate = follow(b.manager.token('x'))
  await world.pass(10)
  assert.deepEqual([fate.token, world.presented.length], ['at-1', 1])
  await end()
})

test('what was deleted elsewhere is gone here', async () => {
  const { world, a, b, end } = await remembering()
  const deleted = a.custody.delete('x')
  await world.pass(10)
  await deleted
  assert.equal((await asked(world, b)).code, 'unknown_connection')
  await end()
})

test('what the store forgot is not handed out beyond a second, though nobody writes', async () => {
  const { world, a, b, end } = await remembering()
  const before = world.row()
  await refreshBy(world, a)
  assert.equal((await asked(world, b)).token, 'at-1')
  world.lose(before)
  await world.pass(S)
  const reads = world.reads()
  await asked(world, b)
  assert.equal(world.reads(), reads + 1)
  await end()
})

test('what is remembered goes on being handed out while another process refreshes', async () => {
  const { world, a, b, end } = await remembering()
  world.scripts.push({ afterMs: 5 * S })
  follow(a.manager.token('x', { minTtlMs: H }))
  await world.pass(2 * S)
  assert.equal(world.row().state.status, 'presenting')
  const reads = world.reads()
  for (const each of [a, b]) assert.equal((await asked(world, each)).token, 'at-0')
  assert.equal(world.reads(), reads)
  await end()
})

test('where a refresh ends the tokens before it, others wait for its end as soon as it begins', async () => {
  const { world, a, b, end } = await remembering({ refreshKillsAccessToken: true })
  world.scripts.push({ afterMs: 5 * S })
  const fates = [follow(a.manager.token('x', { minTtlMs: H })), follow(a.manager.token('x'))]
  await world.pass(10)
  assert.equal(world.row().state.status, 'presenting')
  fates.push(follow(a.manager.token('x')), follow(b.manager.token('x')))
  await world.pass(4 * S)
  assert.deepEqual(
    fates.map(({ token }) => token),
    [undefined, 'at-0', undefined, undefined],
    'only the one that asked in the same moment was handed what was remembered',
  )
  await world.pass(S)
  assert.deepEqual(
    fates.map(({ token }) => token),
    ['at-1', 'at-0', 'at-1', 'at-1'],
  )
  await end()
})

test('where a refresh ends the tokens before it, who is served before the intent is durable leaves nothing for those after', async () => {
  const { world, a, end } = await remembering({ refreshKillsAccessToken: true })
  const { store, clock } = a.ports
  const acquire = store.acquire.bind(store)
  const slowly: typeof acquire = async (...of) => (await clock.alarm(ms(100)).rung, acquire(...of))
  Object.assign(store, { acquire: slowly })
  world.scripts.push({ afterMs: 5 * S })
  follow(a.manager.token('x', { minTtlMs: H }))
  await world.pass(50)
  assert.equal((await asked(world, a)).token, 'at-0')
  await world.pass(100)
  assert.equal(world.row().state.status, 'presenting')
  const fate = follow(a.manager.token('x'))
  await world.pass(4 * S)
  assert.deepEqual(fate, {})
  await world.pass(2 * S)
  assert.deepEqual(fate, { token: 'at-1' })
  await end()
})

test('where a refresh ends the tokens before it, every hand-out near their end looks into the store', async () => {
  const { world, b, end } = await remembering({ refreshKillsAccessToken: true })
  b.manager.stopRefreshing()
  await world.pass(24 * MIN)
  for (let call = 0; call < 3; call += 1) {
    const reads = world.reads()
    assert.equal((await asked(world, b)).token, 'at-0')
    assert.equal(world.reads(), reads + 1)
  }
  await end()
})

test('a store that was away is asked as soon as it is back what was written meanwhile', async () => {
  const { world, a, b, end } = await remembering()
  const { store } = b.ports
  const changes = store.changes.bind(store)
  Object.assign(store, { changes: () => Promise.reject(new Error('away')) })
  await refreshBy(world, a)
  await world.pass(10 * S)
  assert.equal((await asked(world, b)).token, 'at-0')
  Object.assign(store, { changes })
  await world.pass(S)
  assert.equal((await asked(world, b)).token, 'at-1')
  await end()
})

test('what was not used for a minute is asked for no more', async () => {
  const { world, a, b, end } = await remembering()
  await world.pass(2 * MIN)
  let asks = 0
  const { store } = b.ports
  const changes = store.changes.bind(store)
  Object.assign(store, { changes: (uids: Parameters<typeof changes>[0]) => ((asks += uids.length), changes(uids)) })
  await refreshBy(world, a)
  await world.pass(5 * S)
  assert.equal(asks, 0)
  assert.equal((await asked(world, b)).token, 'at-1')
  await end()
})

test('notices are looked for closely from a hand-out on, and rarely where nothing is handed out', async () => {
  const world = createWorld()
  const a = await withX(world, H, 'A')
  const looks: number[] = []
  const all = (everyMs: number): boolean => looks.every((each) => each === everyMs)
  const listener = a.ports.notices.listen()
  const notices = {
    listen: () => ({ ...listener, bell: (everyMs: DurationMs) => (looks.push(everyMs), listener.bell(everyMs)) }),
  }
  const scheduler = startScheduler({ ...a.ports, notices }, a.manager, null)
  await world.pass(10 * S)
  assert.ok(all(S))
  looks.length = 0
  await asked(world, a)
  assert.equal(looks.join(), '50', 'at once')
  await world.pass(S)
  assert.ok(all(50))
  await world.pass(2 * S)
  looks.length = 0
  await world.pass(5 * S)
  assert.ok(looks.length > 0 && all(S))
  const stopped = scheduler.stop()
  await world.pass(0)
  await stopped
})
