/** A store that loses its last transactions after it acknowledged them, and what a process does that remembers them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  startScheduler,
  type At,
  type ConnectionRow,
  type ConnectionStore,
  type Kept,
  type MonoMs,
  type UnixMs,
} from '@tokenkeep/core'
import { REMEMBERED_PAIRS } from '../src/policy.ts'
import { rememberingPairs } from '../src/remembered-pairs.ts'
import { createWorld, follow, MIN, S, START, withX, type Process, type World } from './manager-world.ts'

/** Each refresh token that left, in order. */
const left = (world: World): readonly string[] => world.presented.map(({ refreshToken }) => refreshToken)

/** Refreshes, and lets the store lose what it wrote since `to` was read. */
async function refreshed(
  world: World,
  { manager }: Process,
): Promise<{ before: ConnectionRow; during: ConnectionRow }> {
  const before = world.row()
  const fate = follow(manager.token('x'))
  await world.pass(100)
  assert.ok(fate.token !== undefined)
  const during = world.presented.at(-1)?.row
  assert.ok(during !== undefined)
  return { before, during }
}

const hour = 60 * MIN
const short = { expiresIn: 60 }

for (const [what, of] of [
  ['its commit', 'during'],
  ['its intent and its commit', 'before'],
] as const) {
  test(`a store that lost ${what} is given the pair again, and the spent token does not leave a second time`, async () => {
    const world = createWorld()
    Object.assign(world.server, short)
    const process = await withX(world)
    world.lose((await refreshed(world, process))[of])
    await world.pass(2 * MIN)
    const fate = follow(process.manager.token('x'))
    await world.pass(S)
    assert.deepEqual([fate.token, left(world), world.server.dead], ['at-2', ['rt-0', 'rt-1'], false])
  })
}

test('the control: a process that does not remember presents the spent token, and the sign-in is over', async () => {
  const world = createWorld()
  Object.assign(world.server, short)
  const process = await withX(world)
  world.lose((await refreshed(world, process)).before)
  await world.pass(2 * MIN)
  const fate = follow(world.start('B').manager.token('x', { waitMs: 0 }))
  await world.pass(S)
  assert.deepEqual([fate.token, left(world), world.server.dead], [undefined, ['rt-0', 'rt-0'], true])
})

test('what was lost is handed out at once, as long as it lives', async () => {
  const world = createWorld()
  const process = await withX(world)
  const { before } = await refreshed(world, process)
  world.lose(before)
  process.manager.cache.clear()
  const fate = follow(process.manager.token('x'))
  await world.pass(S)
  assert.deepEqual([fate.token, left(world)], ['at-1', ['rt-0']])
})

test('several rotations that were lost together are given again in their order', async () => {
  const world = createWorld()
  Object.assign(world.server, short)
  const process = await withX(world)
  const { before } = await refreshed(world, process)
  for (let time = 0; time < 2; time += 1) {
    await world.pass(MIN)
    await refreshed(world, process)
  }
  world.lose(before)
  await world.pass(MIN)
  const fate = follow(process.manager.token('x'))
  await world.pass(S)
  assert.deepEqual([fate.token, left(world)], ['at-4', ['rt-0', 'rt-1', 'rt-2', 'rt-3']])
})

test('an answer to what the store lost meanwhile finds its place again: the pair before it is given back first', async () => {
  const world = createWorld()
  Object.assign(world.server, short)
  const process = await withX(world)
  const { before } = await refreshed(world, process)
  await world.pass(2 * MIN)
  world.scripts.push({ afterMs: 500 })
  const fate = follow(process.manager.token('x'))
  await world.pass(100)
  world.lose(before)
  await world.pass(2 * S)
  assert.deepEqual([fate.token, left(world), world.server.dead], ['at-2', ['rt-0', 'rt-1'], false])
  assert.equal(world.row().refreshToken?.fingerprint, 'fp-rt-2')
})

test('what is due by itself does not present it either', async () => {
  const world = createWorld()
  Object.assign(world.server, short)
  const process = await withX(world)
  const { before } = await refreshed(world, process)
  world.lose({ ...before, dueAt: before.createdAt })
  const scheduler = startScheduler(process.ports, process.manager, process.custody.finishDeletion)
  await world.pass(5 * S)
  assert.equal(world.row().refreshToken?.fingerprint, 'fp-rt-1')
  assert.deepEqual(left(world), ['rt-0'])
  void scheduler.stop()
})

test('an attempt of before, shown open again, is not put in doubt: the pair that ended it is given back', async () => {
  const world = createWorld()
  const process = await withX(world)
  world.lose((await refreshed(world, process)).during)
  const [view] = await process.ports.store.openAttempts(process.owner)
  assert.ok(view !== undefined)
  void process.manager.watches.watch(view, 'patiently')
  await world.pass(MIN)
  assert.deepEqual([world.row().state.status, world.row().refreshToken?.fingerprint], ['ready', 'fp-rt-1'])
  assert.ok(world.events.every(({ type }) => type !== 'in_doubt'))
})

test('who deletes a connection revokes the newest refresh token, also where the store forgot it', async () => {
  const world = createWorld()
  const process = await withX(world)
  world.lose((await refreshed(world, process)).before)
  void process.custody.delete('x')
  await world.pass(S)
  assert.deepEqual([world.revoked, world.row().state.status], [['rt-1'], 'erased'])
})

test('what is on its way out goes, also where a rotation of a process that is gone stays lost', async () => {
  const world = createWorld()
  Object.assign(world.server, short)
  const [a, b] = [await withX(world), world.start('B')]
  const { during } = await refreshed(world, a)
  await world.pass(MIN)
  await refreshed(world, b)
  world.kill(a)
  world.lose(during)
  const scheduler = startScheduler(b.ports, b.manager, b.custody.finishDeletion)
  void b.custody.delete('x')
  await world.pass(3 * MIN)
  assert.equal(world.row().state.status, 'erased')
  void scheduler.stop()
})

test('what is handed out is compared once a second, and given back before another process presents the spent token', async () => {
  const world = createWorld()
  Object.assign(world.server, short)
  const process = await withX(world)
  const scheduler = startScheduler(process.ports, process.manager, process.custody.finishDeletion)
  world.lose((await refreshed(world, process)).before)
  await world.pass(2 * S)
  const fate = follow(world.start('B').manager.token('x', { waitMs: 5 * S }))
  await world.pass(S)
  assert.deepEqual([fate.token, left(world), world.server.dead], ['at-1', ['rt-0'], false])
  void scheduler.stop()
})

test('while the store does not take it back, nothing is presented', async () => {
  const world = createWorld()
  Object.assign(world.server, short)
  const process = await withX(world)
  world.lose((await refreshed(world, process)).before)
  await world.pass(2 * MIN)
  world.fails.add('commit')
  const fate = follow(process.manager.token('x'))
  await world.pass(S)
  assert.deepEqual([fate.code, left(world)], ['store_unavailable', ['rt-0']])
  world.fails.clear()
  const later = follow(process.manager.token('x'))
  await world.pass(S)
  assert.equal(later.token, 'at-2')
})

test('after ten minutes it is forgotten', async () => {
  const world = createWorld()
  const process = await withX(world)
  const { before } = await refreshed(world, process)
  await world.pass(11 * MIN)
  world.lose(before)
  process.manager.cache.clear()
  void follow(process.manager.token('x', { waitMs: 0 }))
  await world.pass(S)
  assert.deepEqual(left(world), ['rt-0', 'rt-0'], 'a bound, not a wish')
})

/** A and B rotate in turn, and the store loses both rotations; A has seen that of B. */
async function rotatedInTurn(): Promise<{ world: World; a: Process; b: Process }> {
  const world = createWorld()
  Object.assign(world.server, short)
  const [a, b] = [await withX(world), world.start('B')]
  const { before } = await refreshed(world, a)
  await world.pass(MIN)
  await refreshed(world, b)
  a.manager.cache.clear()
  assert.equal((await a.manager.token('x')).accessToken, 'at-2')
  await world.pass(MIN)
  world.lose(before)
  for (const { manager } of [a, b]) manager.cache.clear()
  return { world, a, b }
}

for (const [who, first, second] of [
  ['the one who rotated first', 'a', 'b'],
  ['the one who rotated last', 'b', 'a'],
] as const) {
  test(`of two that rotated in turn neither presents what is spent; asked first ${who}, then the other, nothing is lost`, async () => {
    const { world, ...processes } = await rotatedInTurn()
    const one = follow(processes[first].manager.token('x', { waitMs: 10 * S }))
    await world.pass(2 * S)
    assert.deepEqual([one.token, left(world)], [undefined, ['rt-0', 'rt-1']])
    const other = follow(processes[second].manager.token('x', { waitMs: 10 * S }))
    await world.pass(5 * S)
    assert.deepEqual([one.token, other.token], ['at-3', 'at-3'])
    assert.deepEqual([left(world), world.server.dead], [['rt-0', 'rt-1', 'rt-2'], false])
  })
}

test('where a rotation in between stays lost, what is remembered is offered once a second, not at every look', async () => {
  const { world, b } = await rotatedInTurn()
  const replays: number[] = []
  const { replay } = b.ports.store
  Object.assign(b.ports.store, {
    replay: (entry: Kept) => {
      replays.push(world.at())
      return replay(entry)
    },
  })
  void follow(b.manager.token('x', { waitMs: 5 * S }))
  await world.pass(5 * S)
  assert.ok(replays.length > 1 && replays.length <= 6, `${replays.length} times in 5 s`)
})

test('a later generation or a new sign-in ends the remembering', async () => {
  const world = createWorld()
  Object.assign(world.server, short)
  const [process, other] = [await withX(world), world.start('B')]
  await refreshed(world, process)
  await world.pass(MIN)
  await refreshed(world, other)
  await world.pass(MIN)
  assert.equal((await refreshed(world, process)).during.generation, 3)

  const { custody } = process
  await custody.reconnect('x', { refreshToken: 'rt-3', accessToken: 'at-new', expiresAt: START + hour })
  const fate = follow(process.manager.token('x'))
  await world.pass(S)
  assert.deepEqual([world.row().grant, fate.code === undefined], [2, true])
})

test('of an answer that the store forgot, and a later attempt from before it, the later one counts where it is granted', async () => {
  const world = createWorld({ reuse: { kind: 'grace', seconds: 30, winner: 'newest' } })
  world.server.graceMs = hour
  const [one, two] = [await withX(world), world.start('B')]
  const { before } = await refreshed(world, one)
  // Its fences go back as well: the next attempt has that of the one which was lost.
  world.lose(before)
  world.scripts.push({ afterMs: 5 * S })
  const late = follow(two.manager.token('x'))
  await world.pass(S)
  assert.equal(world.row().state.status, 'presenting')
  one.manager.cache.clear()
  void follow(one.manager.token('x', { waitMs: 0 }))
  await world.pass(S)
  assert.equal(world.row().refreshToken?.fingerprint, 'fp-rt-0', 'it waits')
  await world.pass(5 * S)
  assert.deepEqual([late.token, world.row().refreshToken?.fingerprint], ['at-2', 'fp-rt-2'])
})

test('and where that one is refused, the answer that was forgotten is the pair', async () => {
  const world = createWorld({ reuse: { kind: 'grace', seconds: 30, winner: 'newest' } })
  const [one, two] = [await withX(world), world.start('B')]
  const { before } = await refreshed(world, one)
  world.lose(before)
  world.scripts.push({ afterMs: 5 * S, answer: { status: 400, body: { error: 'invalid_grant' } } })
  const late = follow(two.manager.token('x'))
  await world.pass(S)
  one.manager.cache.clear()
  void follow(one.manager.token('x', { waitMs: 0 }))
  await world.pass(10 * S)
  assert.deepEqual(
    [late.token, world.row().refreshToken?.fingerprint, world.row().state.status],
    ['at-1', 'fp-rt-1', 'ready'],
  )
})

// ---- the database restarts -----------------------------------------------------------------------------------------

test('a store that restarts between the intent and the sending: nothing is sent', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.connectIn(100)
  void follow(manager.token('x', { waitMs: 150 }))
  await world.pass(50)
  world.restartStore()
  await world.pass(200)
  assert.deepEqual(left(world), [])
  assert.equal(world.row().state.status, 'ready')
  assert.equal(world.row().refreshToken?.presentations, 0, 'and it does not count')
})

test('an answer that comes while the store restarts lies in its slot, and is committed when it is back', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push({ afterMs: 500 })
  const fate = follow(manager.token('x'))
  await world.pass(100)
  world.fails.add('commit').add('read').add('acquire')
  await world.pass(S)
  assert.deepEqual([fate.token, world.slots.size], ['at-1', 1])
  world.restartStore()
  world.fails.clear()
  await world.pass(5 * S)
  assert.deepEqual([world.row().refreshToken?.fingerprint, world.slots.size], ['fp-rt-1', 0])
})

// ---- bounds --------------------------------------------------------------------------------------------------------

test('it is bounded: the connections that were refreshed last are remembered', async () => {
  const asked: string[] = []
  const granted = (uid: string) => ({
    variant: '',
    refreshToken: { fingerprint: `next of ${uid}`, sealed: new Uint8Array(10) },
    accessToken: null,
    scope: null,
  })
  const store = rememberingPairs(
    {
      replay: async ({ uid, grant }: Kept) => ({
        kind: 'committed',
        view: { row: { uid, grant, generation: 2 }, refreshToken: granted(uid).refreshToken },
      }),
      acquire: async ({ uid }: At) => (asked.push(uid), { kind: 'busy' }),
    } as unknown as ConnectionStore,
    { now: () => ({ wall: 0 as UnixMs, mono: 0 as MonoMs }) },
  )
  const uids = Array.from({ length: REMEMBERED_PAIRS.most + 2 }, (_, index) => `uid ${index}`)
  for (const uid of uids) {
    await store.replay({ uid, grant: 1, answers: 'before', fence: 1, attempt: uid, granted: granted(uid) } as never)
  }
  const at = (uid: string | undefined): At => ({ uid, grant: 1, generation: 1, fence: 0 }) as unknown as At
  for (const uid of [uids[0], uids[1], uids[2], uids.at(-1)]) {
    await store.acquire(at(uid), 'fresh', 'attempt' as never, {} as never, null)
  }
  assert.deepEqual(asked, ['uid 0', 'uid 1'])
})
