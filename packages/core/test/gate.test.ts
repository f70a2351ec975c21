/** Who goes to a provider and who waits (`PROTOCOL.md` section 10): the whole core in virtual time, with many connections. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ms, NUMBERS, startScheduler, TokenError } from '@tokenkeep/core'
import { createWorld, follow, MIN, S, START, type Fate, type Process, type World } from './manager-world.ts'

const H = 60 * MIN

/** So many connections, the access token of each with `livesMs` left. Every refresh token is good. */
async function withMany(world: World, count: number, livesMs: (index: number) => number = () => -1): Promise<Process> {
  const process = world.start('A')
  world.server.every ??= () => ({})
  for (let index = 0; index < count; index += 1) {
    const tokens = { refreshToken: `rt of ${index}`, accessToken: `at of ${index}`, expiresAt: START + livesMs(index) }
    await process.custody.import({ id: `c${index}`, client: 'c', ...tokens, scope: 'a b' })
  }
  return process
}
const told = (world: World, type: World['events'][number]['type']) =>
  world.events.filter((event) => event.type === type)
const sentAt = (world: World): number[] => world.presented.map(({ at }) => at)
const ids = (world: World): string[] => world.presented.map(({ row }) => row.id)
const ask = (process: Process, index: number, waitMs: number = NUMBERS.callerDeadlineMs): Fate =>
  follow(process.manager.token(`c${index}`, { waitMs }))

test('no more presentations are on their way at once than the provider takes, and all callers are served', async () => {
  const world = createWorld({ concurrency: 2 })
  world.server.every = () => ({ afterMs: S })
  const process = await withMany(world, 7)
  const fates = [0, 1, 2, 3, 4, 5, 6].map((index) => ask(process, index))
  await world.pass(5 * S)
  assert.equal(Math.max(...world.presented.map(({ open }) => open)), 2)
  assert.deepEqual(
    fates.map(({ code }) => code),
    Array(7).fill(undefined),
  )
})

test('no more presentations go in a minute than the provider takes, and who waits too long is told', async () => {
  const world = createWorld({ requestsPerMinute: 9 })
  const process = await withMany(world, 5)
  const fates = [0, 1, 2, 3, 4].map((index) => ask(process, index))
  await world.pass(25 * S)
  assert.deepEqual(sentAt(world).map(Math.round), [0, 6_667, 13_333])
  assert.deepEqual(
    fates.map(({ code }) => code ?? 'served'),
    ['served', 'served', 'served', 'unavailable', 'unavailable'],
  )
})

test('those that come one after another, each when the one before is answered, are no more in a minute than the provider takes', async () => {
  const world = createWorld({ requestsPerMinute: 20 })
  const process = await withMany(world, 40)
  for (let index = 0; index < 40; index += 1) {
    ask(process, index, MIN)
    await world.pass(2 * S)
  }
  const sent = sentAt(world)
  const most = Math.max(...sent.map((from) => sent.filter((at) => at >= from && at < from + MIN).length))
  assert.ok(sent.length > 20)
  assert.ok(most <= 20, `${most} in a minute`)
})

test('what waits for its turn has acquired nothing', async () => {
  const world = createWorld({ concurrency: 1 })
  world.server.every = () => ({ afterMs: 5 * S })
  const process = await withMany(world, 2)
  ask(process, 0)
  ask(process, 1)
  await world.pass(2 * S)
  const waiting = await process.ports.store.read('c1' as never)
  assert.ok(!('kind' in waiting) && waiting.row.state.status === 'ready' && waiting.row.fence === 0)
  assert.equal(world.roomsTaken(), 1)
})

test('a waiting caller goes before everything that nobody waits for, also where it was in the queue for something less', async () => {
  const world = createWorld({ concurrency: 1 })
  world.server.every = () => ({ afterMs: S })
  // In the refresh-ahead window, so that the hand-out begins a refresh that nobody waits for.
  const process = await withMany(world, 5, (index) => (index === 0 ? -1 : index === 4 ? -1 : 20 * S))
  await world.pass(15 * S)
  ask(process, 0)
  await world.pass(1)
  for (const index of [1, 2, 3]) ask(process, index)
  await world.pass(1)
  ask(process, 4)
  const wide = follow(process.manager.token('c3', { minTtlMs: H }))
  await world.pass(10 * S)
  assert.deepEqual(ids(world), ['c0', 'c4', 'c1', 'c2', 'c3'])
  assert.equal(wide.token, 'at of 3', 'with a living token in hand nobody waits for a turn')
})

test('a caller raises what is in the queue already', async () => {
  const world = createWorld({ concurrency: 1 })
  world.server.every = () => ({ afterMs: S })
  const process = await withMany(world, 3, (index) => (index === 0 ? -1 : 5 * S))
  await world.pass(3 * S)
  for (const index of [0, 1, 2]) ask(process, index)
  await world.pass(1)
  await process.custody.rejected('c2', 'at of 2')
  const raised = ask(process, 2)
  await world.pass(4 * S)
  assert.deepEqual(ids(world).slice(0, 3), ['c0', 'c2', 'c1'])
  assert.equal(raised.token?.startsWith('at-'), true)
})

test('what another process did while it waited is not done again', async () => {
  const world = createWorld({ concurrency: 1 })
  world.server.every = () => ({ afterMs: 3 * S })
  const process = await withMany(world, 2)
  const other = world.start('B')
  ask(process, 0)
  const waiting = ask(process, 1)
  await world.pass(1)
  const quick = follow(other.manager.token('c1'))
  await world.pass(10 * S)
  assert.deepEqual(ids(world), ['c0', 'c1'])
  assert.ok(waiting.token !== undefined && waiting.token === quick.token)
})

test('what waited goes to where its provider is by then', async () => {
  const world = createWorld({ concurrency: 1 })
  world.server.every = () => ({ afterMs: S })
  const process = await withMany(world, 2)
  for (const index of [0, 1]) ask(process, index)
  await world.pass(1)
  world.changeTokenEndpoint('https://new.example.org/token')
  await world.pass(3 * S)
  assert.deepEqual(world.dialledTo, ['https://id.example.org/token', 'https://new.example.org/token'])
})

test('whoever waits for a turn when it is closed, or stops refreshing, is told so at once', async () => {
  for (const end of ['close', 'stopRefreshing'] as const) {
    const world = createWorld({ concurrency: 1 })
    world.server.every = () => ({ afterMs: 5 * S })
    const process = await withMany(world, 2)
    ask(process, 0)
    const waiting = ask(process, 1)
    await world.pass(1)
    if (end === 'close') void process.manager.close(ms(12 * S))
    else process.manager.stopRefreshing()
    await world.pass(S)
    assert.equal(waiting.code, 'closed', end)
    assert.deepEqual(ids(world), ['c0'])
  }
})

test('a limited provider does not keep the due work of others waiting', async () => {
  const world = createWorld({ requestsPerMinute: 1 })
  const process = await withMany(world, 4)
  ask(process, 0)
  await world.pass(1)
  assert.deepEqual(await process.manager.gate.excepted(() => process.ports.registry.clients()), ['p'])
  await world.pass(MIN)
  assert.deepEqual(await process.manager.gate.excepted(() => process.ports.registry.clients()), [])
})

// ---- an endpoint that is down --------------------------------------------------------------------------------------

/** How many of these moments fall into each second from `from` on. */
function eachSecond(moments: readonly number[], from: number, to: number): number[] {
  const counts = Array<number>(Math.ceil((to - from) / S)).fill(0)
  for (const at of moments) {
    const second = Math.floor((at - from) / S)
    if (at >= from && at < to) counts[second] = (counts[second] ?? 0) + 1
  }
  return counts
}
const sum = (counts: readonly number[]): number => counts.reduce((all, each) => all + each, 0)

/** 200 connections in use, their access tokens ending within a minute, and callers who ask for one of them every 500 ms. */
async function outage(kind: 'refused' | 'hangs' | 'fails', downMs: number) {
  const world = createWorld({ reuse: { kind: 'strict' } })
  let down = false
  world.server.every = () => {
    if (!down) return {}
    return kind === 'hangs' ? { afterMs: 10 * MIN, reset: 'before' } : { answer: { status: 500, body: {} } }
  }
  const process = await withMany(world, 200, (index) => MIN + index * 300)
  const scheduler = startScheduler(process.ports, process.manager, process.custody.finishDeletion)
  for (let index = 0; index < 200; index += 1) ask(process, index)
  await world.pass(S)
  const start = world.at()
  down = true
  if (kind === 'refused') world.fails.add('connect')
  const fates: Fate[] = []
  const callers = async (forMs: number): Promise<void> => {
    const until = world.at() + forMs
    while (world.at() < until) {
      fates.push(ask(process, fates.length % 200, 10 * S))
      await world.pass(500)
    }
  }
  await callers(downMs)
  const end = world.at()
  down = false
  world.fails.delete('connect')
  await callers(40 * S)
  const stopped = scheduler.stop()
  await world.pass(S)
  await stopped
  const tries = kind === 'refused' ? world.dialled : sentAt(world)
  return { world, start, end, tries, fates }
}

// What hangs is listened to in ticks of 50 ms: so long a wait is not repeated here.
for (const [kind, downMs] of [
  ['refused', 5 * MIN],
  ['fails', 5 * MIN],
  ['hangs', 90 * S],
] as const) {
  test(`an endpoint of 200 connections that is down for ${downMs / S} s (${kind}) is hardly asked, and recovers without a rush`, async (t) => {
    const { world, start, end, tries, fates } = await outage(kind, downMs)
    const opened = told(world, 'circuit_opened')[0]?.at ?? assert.fail('the breaker did not open')
    const closed = told(world, 'circuit_closed').at(-1)?.at ?? assert.fail('the breaker did not close')
    const down = eachSecond(tries, opened - START, end)
    const recovery = eachSecond(tries, Math.max(end, closed - START), world.at())
    t.diagnostic(
      `${kind}: ${sum(eachSecond(tries, start, end))} tries in ${downMs / S} s, at most ${Math.max(...down)} a second once open; ` +
        `then ${recovery.slice(0, 8).join(' ')}; closed ${closed - START - end} ms after the end`,
    )
    // One waiting caller a second, and a probe. Whoever was in doubt before adds a try of its own now and then.
    assert.ok(Math.max(...down.slice(1)) <= 4, `at most ${Math.max(...down.slice(1))} in a second`)
    assert.ok(sum(down) < 2 * down.length, 'on the whole less than two a second')
    // Known to work again within the longest pause of the breaker and one answer.
    assert.ok(closed - START - end <= NUMBERS.breakerCallerEveryMs + NUMBERS.callerDeadlineMs)
    for (const [second, count] of recovery.slice(0, 5).entries()) {
      assert.ok(count <= 2 ** (second + 1) + 2, `${count} in second ${second} of the recovery`)
    }
    const last = fates.slice(-20)
    assert.deepEqual(
      last.filter(({ token }) => token === undefined).map(({ code }) => code),
      [],
      'all are served again',
    )
  })
}

test('callers of a provider that is down get what lives at once, and else an answer by their deadline', async () => {
  const world = createWorld()
  const process = await withMany(world, 10, (index) => (index < 5 ? -1 : 20 * S))
  world.fails.add('connect')
  for (const index of [0, 1, 2]) ask(process, index)
  await world.pass(100)
  assert.equal(told(world, 'circuit_opened').length, 1)
  const living = follow(process.manager.token('c7', { minTtlMs: H }))
  const none = ask(process, 4, 300)
  await world.pass(1)
  assert.equal(living.token, 'at of 7')
  await world.pass(300)
  assert.equal(none.code, 'unavailable')
  assert.ok(none.error instanceof TokenError && none.error.retryAt !== null)
})

test('a refresh token at its end, and a window that closes, go while the breaker is open', async () => {
  const world = createWorld({ reuse: { kind: 'grace', seconds: 30, winner: 'any' } })
  world.server.every = () => ({ answer: { status: 403, body: {} } })
  const process = await withMany(world, 6)
  const expiresAt = START - 1
  const ending = { refreshToken: 'rt of e', accessToken: 'at of e', expiresAt, refreshTokenExpiresAt: START + 40 * S }
  await process.custody.import({ id: 'ending', client: 'c', ...ending })
  world.scripts.push({ reset: 'after', afterMs: 100 })
  for (const index of [0, 1, 2, 3]) ask(process, index, 0)
  await world.pass(50)
  assert.equal(told(world, 'circuit_opened').length, 1)
  // Nobody asks any more: what goes now is due.
  const scheduler = startScheduler(process.ports, process.manager, process.custody.finishDeletion)
  const before = world.presented.length
  await world.pass(39 * S)
  const since = world.presented.slice(before)
  const tries = (id: string): number[] => since.filter(({ row }) => row.id === id).map(({ at }) => at)
  assert.ok(tries('c0').filter((at) => at < 22.5 * S).length >= 3, 'inside its grace window')
  assert.ok(tries('ending').filter((at) => at >= 10 * S).length >= 3, 'inside its last 30 s')
  const others = since.filter(({ row, at }) => row.id !== 'ending' && !(row.id === 'c0' && at < 22.5 * S))
  assert.ok(others.length <= 6, `${others.length} others: a probe now and then`)
  const stopped = scheduler.stop()
  await world.pass(S)
  await stopped
})

// ---- a provider that asks to wait ----------------------------------------------------------------------------------

test('a 429 with Retry-After slows the whole client for that time', async () => {
  const world = createWorld()
  const process = await withMany(world, 6)
  world.scripts.push({ answer: { status: 429, body: {}, retryAfter: '15' } })
  ask(process, 0)
  await world.pass(100)
  const fates = [1, 2, 3].map((index) => ask(process, index))
  const hasty = ask(process, 4, 5 * S)
  await world.pass(1)
  assert.equal(hasty.code, 'unavailable', 'beyond its deadline it is told at once')
  await world.pass(14 * S)
  assert.equal(world.presented.length, 1)
  await world.pass(4 * S)
  assert.deepEqual(
    fates.map(({ code }) => code),
    [undefined, undefined, undefined],
  )
  assert.equal(told(world, 'rate_limited').length, 1)
})

// ---- a client that is refused --------------------------------------------------------------------------------------

const INVALID_CLIENT = { answer: { status: 401, body: { error: 'invalid_client' } } }

test('two connections whose client is refused mark it: told once, and nothing goes for it but now and then', async () => {
  const world = createWorld()
  world.server.every = () => INVALID_CLIENT
  const process = await withMany(world, 20)
  for (let index = 0; index < 2; index += 1) {
    ask(process, index)
    await world.pass(100)
  }
  assert.equal(told(world, 'client_refused').length, 1)
  const fates = Array.from({ length: 18 }, (_, index) => ask(process, index + 2))
  await world.pass(10)
  assert.deepEqual([...new Set(fates.map(({ code }) => code))], ['blocked'])
  assert.equal(world.presented.length, 2)
  for (let minute = 0; minute < 60; minute += 1) {
    for (let index = 0; index < 20; index += 1) ask(process, index, 0)
    await world.pass(MIN)
  }
  assert.equal(told(world, 'client_refused').length, 1)
  // After 1, 3, 7, 15 and 31 minutes, at the pace of a block.
  assert.ok(world.presented.length <= 2 + 6, `${world.presented.length} presentations`)
})

test('a client that was mended is taken again at once, by all its connections', async () => {
  const world = createWorld()
  world.server.every = () => INVALID_CLIENT
  const process = await withMany(world, 5)
  for (let index = 0; index < 3; index += 1) {
    ask(process, index)
    await world.pass(100)
  }
  world.server.every = () => ({})
  world.changeClient()
  const fates = [0, 1, 2, 3, 4].map((index) => ask(process, index))
  await world.pass(S)
  assert.deepEqual(
    fates.map(({ code }) => code),
    Array(5).fill(undefined),
  )
})
