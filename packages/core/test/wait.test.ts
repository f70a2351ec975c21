/** Who waits for another process: woken by notices, right without them, and cheap however many wait. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ms,
  TokenError,
  type AttemptId,
  type Lease,
  type OwnerId,
  type Ports,
  type Room,
  type View,
} from '@tokenkeep/core'
import { createWatches } from '../src/wait.ts'
import { createWorld, follow, MIN, S, withX, type Process, type World } from './manager-world.ts'

const ROOM: Room = { sealer: {} as Room['sealer'], release: () => undefined }

/** Connections that A presents at this moment, as B reads them. */
async function presenting(world: World, count: number): Promise<{ a: Process; b: Process; open: Open[] }> {
  const [a, b] = [world.start('A'), world.start('B')]
  const open: Open[] = []
  for (let index = 0; index < count; index += 1) {
    const id = `c${index}`
    await a.custody.import({ id, client: 'c', refreshToken: `of ${id}` })
    const before = await read(a, id)
    const acquired = await a.ports.store.acquire(before.at, 'fresh', `attempt ${id}` as AttemptId, ROOM, null)
    assert.ok(acquired.kind === 'acquired')
    open.push({ lease: acquired.lease, view: await read(b, id) })
  }
  return { a, b, open }
}
interface Open {
  readonly lease: Lease
  readonly view: View
}

async function read({ ports }: Process, id: string): Promise<View> {
  const view = await ports.store.read(id as never)
  assert.ok(!('kind' in view))
  return view
}

/** The same ports, which count what the watches ask for. */
function counting(ports: Ports): { ports: Ports; asked: number[]; probes: () => number; alarms: () => number } {
  const asked: number[] = []
  let probes = 0
  const alarms = new Set<object>()
  const { store, liveness, clock } = ports
  return {
    asked,
    probes: () => probes,
    alarms: () => alarms.size,
    ports: {
      ...ports,
      store: {
        ...store,
        changes: (uids) => {
          asked.push(uids.length)
          return store.changes(uids)
        },
      },
      liveness: { ...liveness, judge: (...of) => ((probes += 1), liveness.judge(...of)) },
      clock: {
        ...clock,
        alarm: (afterMs) => {
          const alarm = clock.alarm(afterMs)
          alarms.add(alarm)
          void alarm.rung.then(() => alarms.delete(alarm))
          return { rung: alarm.rung, cancel: () => (alarm.cancel(), void alarms.delete(alarm)) }
        },
      },
    },
  }
}

const NOT_SENT = { kind: 'not_sent', because: 'refused' } as const

test('who waits for another process is handed its token at the moment of the commit', async () => {
  const world = createWorld()
  const a = await withX(world, -1, 'A')
  world.scripts.push({ afterMs: 5 * S })
  follow(a.manager.token('x'))
  await world.pass(S)
  const waits = follow(world.start('B').manager.token('x'))
  await world.pass(4 * S - 1)
  assert.deepEqual(waits, {})
  await world.pass(1)
  assert.deepEqual(waits, { token: 'at-1' })
})

test('a notice that names nothing wakes as well', async () => {
  const world = createWorld()
  const a = await withX(world, -1, 'A')
  world.fails.add('names')
  world.scripts.push({ afterMs: 5 * S })
  follow(a.manager.token('x'))
  await world.pass(S)
  const waits = follow(world.start('B').manager.token('x'))
  await world.pass(4 * S)
  assert.deepEqual(waits, { token: 'at-1' })
})

test('where notices are lost, polling finds the commit within a quarter of a second', async () => {
  const world = createWorld()
  const a = await withX(world, -1, 'A')
  world.fails.add('notices')
  world.scripts.push({ afterMs: 5 * S })
  follow(a.manager.token('x'))
  await world.pass(S)
  const waits = follow(world.start('B').manager.token('x'))
  await world.pass(4 * S)
  assert.deepEqual(waits, {})
  await world.pass(250)
  assert.deepEqual(waits, { token: 'at-1' })
})

test('a thousand connections that are waited for are one query a look, one probe of their owner, and a timer or two', async () => {
  const world = createWorld()
  world.fails.add('notices')
  const { b, open } = await presenting(world, 1_000)
  const { ports, asked, probes, alarms } = counting(b.ports)
  const watches = createWatches(ports, b.owner)
  for (const { view } of open) void watches.watch(view)
  await world.pass(10 * S)
  // 10, 20, 40, 80, 160 and then 250 ms apart.
  assert.ok(asked.length <= 5 + 40, `${asked.length} queries`)
  assert.ok(asked.every((count) => count === 1_000))
  assert.ok(probes() <= 41, `${probes()} probes`)
  assert.ok(alarms() <= 2, `${alarms()} alarms`)
  watches.close()
})

test('whoever comes in the very instant in which nobody is waited for any more is waited for as well', async () => {
  // The loop ends some turns of the microtask queue after the last answer; each of them is tried.
  for (let turns = 0; turns < 12; turns += 1) {
    const world = createWorld()
    world.fails.add('notices')
    const { a, b, open } = await presenting(world, 2)
    const [first, second] = open
    assert.ok(first !== undefined && second !== undefined)
    let over = false
    let added = false
    const { store } = b.ports
    const watches = createWatches(
      {
        ...b.ports,
        store: {
          ...store,
          async changes(uids) {
            const changed = await store.changes(uids)
            if (changed.length === 0 || added) return changed
            added = true
            let later = Promise.resolve()
            for (let turn = 0; turn < turns; turn += 1) later = later.then(() => undefined)
            void later.then(() => watches.watch(second.view)).then(() => (over = true))
            return changed
          },
        },
      },
      b.owner,
    )
    const firstOver = watches.watch(first.view)
    await a.ports.store.commit(first.lease, NOT_SENT)
    await a.ports.store.commit(second.lease, NOT_SENT)
    await world.pass(S)
    await firstOver
    assert.ok(over, `after ${turns} turns nobody looked any more`)
    watches.close()
  }
})

test('connections that are waited for since different moments come to be asked for together', async () => {
  const world = createWorld()
  world.fails.add('notices')
  const { b, open } = await presenting(world, 100)
  const { ports, asked } = counting(b.ports)
  const watches = createWatches(ports, b.owner)
  for (const { view } of open) {
    void watches.watch(view)
    await world.pass(7)
  }
  await world.pass(S)
  asked.length = 0
  await world.pass(5 * S)
  assert.ok(asked.length <= 40, `${asked.length} queries in 5 s`)
  watches.close()
})

test('a notice that names a connection asks for that one alone', async () => {
  const world = createWorld()
  const { a, b, open } = await presenting(world, 50)
  await world.pass(S)
  const { ports, asked } = counting(b.ports)
  const watches = createWatches(ports, b.owner)
  const over = open.map(({ view }) => watches.watch(view))
  let ended = 0
  for (const each of over) void each.then(() => (ended += 1))
  await world.pass(2)
  const [first] = open
  assert.ok(first)
  await a.ports.store.commit(first.lease, NOT_SENT)
  await world.pass(0)
  assert.deepEqual([asked, ended], [[1], 1])
  watches.close()
  await world.pass(0)
  assert.equal(ended, 50)
})

test('notices that name nothing do not keep a process busy that waits for many', async () => {
  const world = createWorld()
  world.fails.add('names')
  const { a, b, open } = await presenting(world, 1_000)
  await withX(world, -1, 'C')
  const { ports, asked } = counting(b.ports)
  const watches = createWatches(ports, b.owner)
  for (const { view } of open) void watches.watch(view)
  await world.pass(S)
  asked.length = 0
  for (let write = 0; write < 1_000; write += 1) {
    await a.ports.store.reject((await read(a, 'x')).at, 'unknown' as never)
    await world.pass(1)
  }
  // Each costs about 2 ms of work, and 50 ms pass before the next.
  assert.ok(asked.length <= 30, `${asked.length} queries in 1 s`)
  watches.close()
})

// ---- what nobody waits for -----------------------------------------------------------------------------------------

const GRACE = { reuse: { kind: 'grace', seconds: 30, winner: 'any' } } as const

test('what nobody waits for is asked for once a second, and taken over in the moment in which its lease is over', async () => {
  const world = createWorld(GRACE)
  world.fails.add('notices')
  const { b, open } = await presenting(world, 100)
  const { ports, asked } = counting(b.ports)
  const watches = createWatches(ports, b.owner)
  const begun = world.at()
  const doubts = open.map(({ view }) => watches.watch(view, 'patiently'))
  await world.pass(15 * S - 1)
  assert.ok(asked.length <= 15, `${asked.length} queries in 15 s`)
  assert.equal((await read(b, 'c7')).row.state.status, 'presenting')
  await world.pass(1)
  const taken = await Promise.all(doubts)
  assert.ok(
    taken.every((view) => view?.row.state.status === 'in_doubt'),
    'whoever took it over goes on from there',
  )
  assert.equal(world.at() - begun, 15 * S)
})

test('who begins to wait for what was watched without haste is served at once', async () => {
  const world = createWorld(GRACE)
  world.fails.add('notices')
  const { a, b, open } = await presenting(world, 1)
  const [first] = open
  assert.ok(first)
  const watches = createWatches(b.ports, b.owner)
  void watches.watch(first.view, 'patiently')
  await world.pass(2.5 * S)
  const over = watches.watch(first.view)
  await a.ports.store.commit(first.lease, NOT_SENT)
  await world.pass(10)
  assert.equal(await Promise.race([over.then(() => 'over'), world.pass(0).then(() => 'not yet')]), 'over')
  watches.close()
})

test('only what is open in silence from one look to the next is read, and only what a window closes over is told', async () => {
  const world = createWorld(GRACE)
  const { a, b, open } = await presenting(world, 1_000)
  const { ports, asked } = counting(b.ports)
  const watches = createWatches(ports, b.owner)
  assert.deepEqual([await watches.fellSilent(), asked], [[], []], 'seen for the first time')
  for (const { lease } of open.slice(10)) await a.ports.store.commit(lease, NOT_SENT)
  const [renewed] = open
  assert.ok(renewed && (await a.ports.store.renew(renewed.lease)) !== 'lost')
  await world.pass(S)
  const silent = await watches.fellSilent()
  assert.deepEqual(silent.map(({ row }) => row.id).sort(), ['c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8', 'c9'])
  assert.deepEqual(asked, [9])
  for (const view of silent) void watches.watch(view, 'patiently')
  await world.pass(S)
  assert.deepEqual(
    (await watches.fellSilent()).map(({ row }) => row.id),
    ['c0'],
    'those that are watched are not told again',
  )
  watches.close()
})

for (const reuse of [{ kind: 'strict' }, { kind: 'grace', seconds: 600, winner: 'any' }] as const)
  test(`where no window closes soon (${JSON.stringify(reuse)}) silence is read once, and left to the end of its lease`, async () => {
    const world = createWorld({ reuse })
    const { b } = await presenting(world, 3)
    const { ports, asked } = counting(b.ports)
    const watches = createWatches(ports, b.owner)
    for (let round = 0; round < 10; round += 1) {
      assert.deepEqual(await watches.fellSilent(), [])
      await world.pass(S)
    }
    assert.deepEqual(asked, [3])
  })

test('a lease that was seen open by name is watched since then, and one that proved not to be over from anew', async () => {
  const world = createWorld(GRACE)
  const { b, open } = await presenting(world, 1)
  const [first] = open
  assert.ok(first)
  const { store } = b.ports
  const watched: number[] = []
  const takeOver: typeof store.takeOver = async (at, evidence) => {
    if (evidence.kind === 'lease_over') watched.push(evidence.watchedMs)
    return watched.length < 2 ? { kind: 'moved' } : store.takeOver(at, evidence)
  }
  const watches = createWatches({ ...b.ports, store: { ...store, takeOver } }, b.owner)
  await watches.fellSilent()
  await world.pass(6 * S)
  void watches.watch(await read(b, 'c0'))
  await world.pass(9 * S)
  assert.deepEqual(watched, [15 * S], 'six of them before the watch began')
  void watches.watch(await read(b, 'c0'))
  await world.pass(15 * S - 1)
  assert.deepEqual(watched, [15 * S], 'the store did not take that for over')
  await world.pass(1)
  assert.deepEqual(watched, [15 * S, 15 * S])
})

test('of a store that was away nobody knows what it forgot: what was seen before counts no more', async () => {
  const world = createWorld(GRACE)
  const { b } = await presenting(world, 1)
  let away = false
  const { store } = b.ports
  const openElsewhere: typeof store.openElsewhere = async () => {
    if (away) throw new TokenError('store_unavailable', 'away')
    return store.openElsewhere()
  }
  const watches = createWatches({ ...b.ports, store: { ...store, openElsewhere } }, b.owner)
  await watches.fellSilent()
  away = true
  await assert.rejects(watches.fellSilent())
  away = false
  assert.deepEqual(await watches.fellSilent(), [], 'seen for the first time again')
  assert.equal((await watches.fellSilent()).length, 1)
})

test('a renewed lease is watched anew, and one that falls silent is taken over', async () => {
  const world = createWorld()
  const { a, b, open } = await presenting(world, 1)
  const [first] = open
  assert.ok(first)
  const { ports, alarms } = counting(b.ports)
  let over = false
  void createWatches(ports, b.owner)
    .watch(first.view)
    .then(() => (over = true))
  await world.pass(20 * S)
  assert.notEqual(await a.ports.store.renew(first.lease), 'lost')
  await world.pass(29 * S)
  assert.deepEqual([over, (await read(b, 'c0')).row.state.status], [false, 'presenting'])
  await world.pass(2 * S)
  assert.deepEqual([over, (await read(b, 'c0')).row.state.status], [true, 'in_doubt'])
  assert.equal(alarms(), 0, 'and nothing keeps the process alive any more')
})

test('who begins to wait is asked for soon, however long others have waited', async () => {
  const world = createWorld()
  world.fails.add('notices')
  const { a, b, open } = await presenting(world, 2)
  const watches = createWatches(b.ports, b.owner)
  const [patient, late] = open
  assert.ok(patient && late)
  void watches.watch(patient.view)
  await world.pass(20 * S)
  const over = watches.watch(late.view)
  await a.ports.store.commit(late.lease, NOT_SENT)
  await world.pass(10)
  assert.equal(await Promise.race([over.then(() => 'over'), world.pass(0)]), 'over')
  watches.close()
})

test('whoever waits for a process that is dead hears of it within a probe', async () => {
  const world = createWorld()
  const { a, b, open } = await presenting(world, 20)
  const watches = createWatches(b.ports, b.owner)
  let ended = 0
  for (const { view } of open) void watches.watch(view).then(() => (ended += 1))
  await world.pass(S)
  assert.equal(ended, 0)
  world.kill(a)
  await world.pass(250)
  assert.equal(ended, 20)
  assert.equal((await read(b, 'c7')).row.state.status, 'in_doubt')
})

test('whoever waits for a process that lost its lock hears of it within a probe, and one that had none is watched', async () => {
  const world = createWorld()
  world.locked.add('A' as OwnerId)
  const { a, b, open } = await presenting(world, 20)
  const c = world.start('C')
  await c.custody.import({ id: 'bare', client: 'c', refreshToken: 'of bare' })
  const before = await read(c, 'bare')
  const bare = await c.ports.store.acquire(before.at, 'fresh', 'attempt bare' as AttemptId, ROOM, null)
  assert.ok(bare.kind === 'acquired')
  const { ports, probes } = counting(b.ports)
  const watches = createWatches(ports, b.owner)
  let ended = 0
  for (const { view } of open) void watches.watch(view).then(() => (ended += 1))
  let bareEnded = false
  void watches.watch(await read(b, 'bare')).then(() => (bareEnded = true))
  world.loseHost(a)
  world.loseHost(c)
  await world.pass(250)
  assert.deepEqual([ended, bareEnded], [20, false])
  assert.equal((await read(b, 'c7')).row.state.status, 'in_doubt')
  assert.deepEqual(
    new Set(world.events.flatMap((event) => (event.type === 'in_doubt' ? [event.because] : []))),
    new Set(['owner_silent']),
  )
  const soFar = probes()
  await world.pass(29 * S)
  assert.ok(probes() - soFar <= 29 * 4 + 1, 'it is not looked at again and again')
  assert.equal(bareEnded, false)
  await world.pass(S)
  assert.deepEqual([bareEnded, (await read(b, 'bare')).row.state.status], [true, 'in_doubt'])
})

test('what an owner without its lock had open is in doubt also where nobody waits for it', async () => {
  const world = createWorld()
  world.locked.add('A' as OwnerId)
  const { a, b } = await presenting(world, 3)
  world.loseHost(a)
  await createWatches(b.ports, b.owner).buryTheDead()
  for (const id of ['c0', 'c1', 'c2']) assert.equal((await read(b, id)).row.state.status, 'in_doubt')
})

test('a dead process with much on its way is buried in little more than the time of one write', async () => {
  const world = createWorld()
  const { a, b } = await presenting(world, 100)
  const { store, clock } = b.ports
  const slowly: Ports = {
    ...b.ports,
    store: {
      ...store,
      takeOver: async (at, evidence) => {
        await clock.alarm(ms(100)).rung
        if (at.uid === failing.at.uid) throw new TokenError('store_unavailable', 'this one fails')
        return store.takeOver(at, evidence)
      },
    },
  }
  const failing = await read(b, 'c3')
  world.kill(a)
  const buried = createWatches(slowly, b.owner).buryTheDead()
  await world.pass(S)
  await buried
  const states = await Promise.all(
    Array.from({ length: 100 }, async (_, index) => (await read(b, `c${index}`)).row.state.status),
  )
  assert.equal(states.filter((status) => status === 'in_doubt').length, 99, 'one that fails holds back no other')
  assert.equal(states[3], 'presenting')
})

test('a watch that ended in two ways at once does not take the next one of its connection with it', async () => {
  const world = createWorld()
  const { a, b, open } = await presenting(world, 1)
  const [first] = open
  assert.ok(first)
  const held = Promise.withResolvers<void>()
  const judging = Promise.withResolvers<void>()
  const { store, liveness } = b.ports
  let taking = false
  const watches = createWatches(
    {
      ...b.ports,
      liveness: {
        ...liveness,
        judge: async (...of) => {
          if (world.at() >= 29 * S) await judging.promise
          return liveness.judge(...of)
        },
      },
      store: {
        ...store,
        takeOver: async (at, evidence) => {
          if (evidence.kind === 'lease_over') {
            taking = true
            await held.promise
          }
          return store.takeOver(at, evidence)
        },
      },
    },
    b.owner,
  )
  void watches.watch(first.view)
  await world.pass(31 * S)
  assert.ok(taking, 'its lease is over, and the takeover is on its way')
  world.kill(a)
  judging.resolve()
  await world.pass(0)
  const c = world.start('C')
  const doubted = await read(c, 'c0')
  assert.equal(doubted.row.state.status, 'in_doubt')
  await world.pass(2 * MIN)
  const again = await c.ports.store.acquire((await read(c, 'c0')).at, 'in_doubt', 'again' as AttemptId, ROOM, null)
  assert.equal(again.kind, 'acquired')
  let ended = false
  void watches.watch(await read(b, 'c0')).then(() => (ended = true))
  held.resolve()
  await world.pass(0)
  assert.ok(again.kind === 'acquired')
  await c.ports.store.commit(again.lease, NOT_SENT)
  await world.pass(S)
  assert.equal(ended, true)
})

test('an owner is judged by the boot of its last sign of life, too', async () => {
  const world = createWorld()
  const { b, open } = await presenting(world, 1)
  const judged: unknown[] = []
  const { liveness } = b.ports
  const judge: typeof liveness.judge = (of, seenOn) => (judged.push([of, seenOn]), liveness.judge(of, seenOn))
  const watches = createWatches({ ...b.ports, liveness: { ...liveness, judge } }, b.owner)
  for (const { view } of open) void watches.watch(view)
  await world.pass(1)
  assert.deepEqual(judged, [['A', 'b']])
  watches.close()
})

test('a store that is away fails who was asked for, and who begins to wait again is served', async () => {
  const world = createWorld()
  const { b, open } = await presenting(world, 2)
  const watches = createWatches(b.ports, b.owner)
  world.fails.add('changes')
  const codes: string[] = []
  for (const { view } of open)
    void watches.watch(view).catch((error: unknown) => codes.push(error instanceof TokenError ? error.code : ''))
  await world.pass(20)
  assert.deepEqual(codes, ['store_unavailable', 'store_unavailable'])
  world.fails.clear()
  let ended = 0
  for (const { view } of open) void watches.watch(view).then(() => (ended += 1))
  await world.pass(MIN)
  assert.equal(ended, 2)
})

test('a process does not put its own attempt in doubt while its answer waits for the store', async () => {
  const world = createWorld()
  const { b, open } = await presenting(world, 1)
  const [first] = open
  assert.ok(first)
  const { owner } = first.lease
  let isKept = true
  const watches = createWatches(b.ports, owner, () => isKept)
  void watches.watch(first.view)
  await world.pass(2 * MIN)
  assert.equal((await read(b, 'c0')).row.state.status, 'presenting')
  isKept = false
  await world.pass(MIN)
  assert.equal((await read(b, 'c0')).row.state.status, 'in_doubt')
})

test('after the last one stops waiting nothing is looked at any more', async () => {
  const world = createWorld()
  const { a, b, open } = await presenting(world, 1)
  const { ports, asked, alarms } = counting(b.ports)
  const watches = createWatches(ports, b.owner)
  const [first] = open
  assert.ok(first)
  const over = watches.watch(first.view)
  await world.pass(5)
  await a.ports.store.commit(first.lease, NOT_SENT)
  await world.pass(0)
  await over
  asked.length = 0
  await world.pass(MIN)
  assert.deepEqual([asked.length, alarms()], [0, 0])
})
