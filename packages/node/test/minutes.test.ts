import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import process from 'node:process'
import { DatabaseSync } from 'node:sqlite'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { TokenError, type Clock, type ConnectionId, type DurationMs, type MonoMs, type UnixMs } from '@tokenkeep/core'
import type { Actor } from '../src/actor.ts'
import { keepMinutes } from '../src/keep-minutes.ts'
import {
  createHandOutCounts,
  createRefreshCounts,
  createWaiting,
  DISTINCT_MOST,
  HAND_OUT_ROWS,
  WAITING_MOST,
} from '../src/minute-counts.ts'
import { createRefreshes, percentileOf, type HandOutCount } from '../src/minute-reading.ts'
import { MINUTE_MS, ROWS_AT_ONCE, TOOK_MS, type HandOutMinute, type MinuteRows } from '../src/minute-rows.ts'
import type { Tokenkeep } from '../src/tokenkeep.ts'
import { openWorld } from './world.ts'

const CALLER: Actor = { kind: 'api_key', id: 'key_1', identity: null }
const WORKLOAD: Actor = { kind: 'api_key', id: 'key_1', identity: 'idn_1' }

/** Added up over minutes, for a test may run into the next one. */
async function counted(keep: Tokenkeep, query: Parameters<Tokenkeep['handOuts']['list']>[0] = {}) {
  const counts = new Map<string, number>()
  for (const { caller, identity, connection, count } of (await keep.handOuts.list(query)).handOuts) {
    const key = [caller, identity, connection].filter((each) => each !== null).join(' ')
    counts.set(key, (counts.get(key) ?? 0) + count)
  }
  return Object.fromEntries([...counts].toSorted())
}

suite('hand-outs', () => {
  test('every hand-out is counted for whom it was, by whatever way it went', async () => {
    await using world = await openWorld()
    const { keep, server } = world
    await world.connect('a')
    await world.connect('b')
    for (let call = 0; call < 5; call += 1) await keep.token('a')
    await Promise.all(Array.from({ length: 3 }, () => keep.token('b', { minTtlMs: 1_000 })))
    await keep.by(CALLER).token('a')
    await keep.by(WORKLOAD).token('a', { minTtlMs: 1_000 })
    await keep.by(WORKLOAD).token('a')
    assert.equal(
      (await keep.by({ kind: 'command', user: 'u', host: 'h', pid: 1 }).fetchFor('b')(server.demoApi)).status,
      200,
    )
    await assert.rejects(() => keep.token('nobody'), { code: 'unknown_connection' })
    assert.deepEqual(await counted(keep), {
      'command b': 1,
      'key_1 a': 1,
      'key_1 idn_1 a': 2,
      'library a': 5,
      'library b': 3,
    })
  })

  test('a hundred who wait for one refresh are a hundred hand-outs', async () => {
    await using world = await openWorld()
    await world.connect('a')
    await Promise.all(Array.from({ length: 100 }, () => world.keep.token('a', { resource: 'https://api.example/' })))
    assert.deepEqual(await counted(world.keep), { 'library a': 100 })
  })

  test('what this process forgot of a token, and what others took over, is counted all the same', async () => {
    await using world = await openWorld({ open: { cacheBytes: 1 } })
    await world.connect('a')
    await world.connect('b')
    for (const id of ['a', 'b', 'a', 'b', 'a']) await world.keep.token(id)
    await world.keep.rejected('a', (await world.keep.token('a')).accessToken)
    await world.keep.token('a')
    assert.deepEqual(await counted(world.keep), { 'library a': 5, 'library b': 2 })
  })

  test('what was handed out from memory and then dropped is counted all the same', async () => {
    await using world = await openWorld()
    await world.connect('a')
    for (let call = 0; call < 6; call += 1) await world.keep.token('a')
    await world.keep.rejected('a', (await world.keep.token('a')).accessToken)
    await world.keep.token('a')
    assert.deepEqual(await counted(world.keep), { 'library a': 8 })
  })

  test('an orderly end writes what was counted, and another process reads it', async () => {
    await using world = await openWorld()
    await world.connect('a')
    const first = await world.reopen()
    for (let call = 0; call < 7; call += 1) await first.token('a')
    await first.close()
    assert.deepEqual(await counted(world.keep), { 'library a': 7 })
  })

  test('a connection that was deleted is called as it was; another one of its id is another one', async () => {
    await using world = await openWorld()
    const { keep } = world
    await world.connect('a')
    await keep.token('a')
    await keep.handOuts.list()
    await keep.connections.delete('a')
    assert.deepEqual(await counted(keep, { connection: 'a' }), { 'library a': 1 })
    await world.connect('a')
    await keep.by(CALLER).token('a')
    assert.deepEqual(await counted(keep, { connection: 'a' }), { 'key_1 a': 1 })
    assert.equal(new Set((await keep.handOuts.list()).handOuts.map(({ uid }) => uid)).size, 2)
  })

  test('a page ends where its limit is, and the next goes on behind it', async () => {
    await using world = await openWorld()
    const { keep } = world
    for (const id of ['a', 'b', 'c']) {
      await world.connect(id)
      await keep.token(id)
      await keep.by(CALLER).token(id)
    }
    const whole = (await keep.handOuts.list({ caller: 'key_1' })).handOuts
    assert.equal(whole.length, 3)
    const found: HandOutCount[] = []
    let cursor: string | undefined
    for (let page = 0; page < 5; page += 1) {
      const { handOuts, nextCursor } = await keep.handOuts.list({ caller: 'key_1', limit: 1, cursor })
      found.push(...handOuts)
      if (nextCursor === null) break
      cursor = nextCursor
    }
    assert.deepEqual(found, whole)
    assert.deepEqual(await counted(keep, { to: whole[0]?.minute ?? 0 }), {})
    assert.deepEqual(await counted(keep, { from: Date.now() + 2 * MINUTE_MS, to: Date.now() + 3 * MINUTE_MS }), {})
  })

  test('a question that cannot be meant is refused with what is wrong in it', async () => {
    await using world = await openWorld()
    const { handOuts, refreshes } = world.keep
    for (const [query, words] of [
      [{ limit: 0 }, /limit is 1 to 1000/],
      [{ limit: 1.5 }, /limit/],
      [{ from: 5, to: 5 }, /from is before to/],
      [{ from: Number.NaN }, /from is a moment/],
      [{ to: 9e15 }, /to is a moment/],
      [{ cursor: 'x' }, /cursor/],
      [{ cursor: Buffer.from('[1,2,3,4]').toString('base64url') }, /cursor/],
      [{ connection: 'a b' }, /white space/],
      [{ caller: `tkk_${'canary'.repeat(7)}x` }, /^a caller is the id of an API key[^x]*$/],
    ] as const) {
      await assert.rejects(() => handOuts.list(query), { code: 'invalid_input', message: words })
    }
    for (const [query, words] of [
      [{ stepMs: 1 }, /whole number of minutes/],
      [{ stepMs: MINUTE_MS + 1 }, /whole number of minutes/],
      [{ from: 0, stepMs: MINUTE_MS }, /1500 at most/],
      [{ from: 9, to: 3 }, /from is before to/],
    ] as const) {
      await assert.rejects(() => refreshes.series(query), { code: 'invalid_input', message: words })
    }
    for (const actor of [
      { kind: 'nobody' },
      { ...CALLER, id: `tkk_${'canary'.repeat(8)}` },
      { ...CALLER, identity: 'x' },
      { kind: 'command', user: '', host: 'h', pid: 1 },
    ]) {
      assert.throws(
        () => world.keep.by(actor as Actor),
        (error: unknown) =>
          error instanceof TokenError && error.code === 'invalid_input' && !error.message.includes('canary'),
      )
    }
  })
})

suite('what goes wrong', () => {
  test('a process that is killed loses what it counted since it wrote, and nothing else', async () => {
    await using world = await openWorld()
    await world.connect('a')
    const child = spawn(
      process.execPath,
      [
        '--conditions=tokenkeep-source',
        '--disable-warning=ExperimentalWarning',
        fileURLToPath(new URL('minutes-child.ts', import.meta.url)),
      ],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    )
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    const keyFile = join(world.folder, 'config', 'test.key')
    child.stdin.end(`${JSON.stringify({ path: world.path, keyFile, id: 'a', written: 20, unwritten: 300 })}\n`)
    for await (const said of child.stdout.setEncoding('utf8')) if (String(said).includes('counted')) break
    child.kill('SIGKILL')
    await gone
    assert.deepEqual(await counted(world.keep), { 'library a': 20 })
  })

  test('while somebody else holds the lock, tokens are handed out, and their counts come later', async () => {
    await using world = await openWorld()
    const { keep } = world
    await world.connect('a')
    await keep.token('a')
    const other = new DatabaseSync(world.path)
    other.exec('BEGIN IMMEDIATE')
    const listed = counted(keep)
    for (let call = 0; call < 50; call += 1) await keep.token('a')
    other.exec('COMMIT')
    other.close()
    assert.ok(Number((await listed)['library a']) >= 1)
    assert.deepEqual(await counted(keep), { 'library a': 51 })
  })

  test('what a database refuses waits, is added up, and is written when there is room again', async () => {
    const written: HandOutMinute[] = []
    let full = true
    const { setup, minutes } = rounds({
      addHandOuts: async (rows) => {
        if (full) throw new TokenError('store_unavailable', 'the disk is full')
        written.push(...rows)
      },
    })
    const count = minutes.handedTo({ caller: 'library', identity: '' })
    for (let round = 0; round < 3; round += 1) {
      count('u' as never, 2)
      await minutes.flush()
    }
    assert.deepEqual(written, [])
    full = false
    await minutes.flush()
    assert.deepEqual(
      written.map(({ uid, count: times }) => [uid, times]),
      [['u', 6]],
    )
    await minutes.flush()
    assert.equal(written.length, 1, 'and no second time')
    setup.stop()
  })

  test('at an orderly end a database that does not answer is waited for two seconds', async () => {
    const { minutes, setup } = rounds({ addHandOuts: () => new Promise(() => undefined) })
    minutes.handedTo({ caller: 'library', identity: '' })('u' as never, 1)
    const stopped = minutes.stop()
    setup.ring(2_000)
    await stopped
  })
})

/** Rounds by hand, on a database that does what a test says. */
function rounds(does: Partial<MinuteRows>) {
  let wall = 1_800_000_000_000
  const alarms: { readonly afterMs: number; ring(): void }[] = []
  const clock = {
    now: () => ({ wall: wall as UnixMs, mono: wall as MonoMs }),
    alarm: (afterMs: DurationMs) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      alarms.push({ afterMs, ring: resolve })
      return { rung: promise, cancel: resolve }
    },
    tick: () => Promise.resolve(),
  } satisfies Clock
  const none = () => Promise.resolve(0)
  const rows: MinuteRows = {
    addHandOuts: () => Promise.resolve(),
    addRefreshes: () => Promise.resolve(),
    forgetHandOuts: none,
    forgetRefreshes: none,
    handOuts: () => Promise.resolve([]),
    uidOf: () => Promise.resolve(null),
    refreshes: () => Promise.resolve([]),
    readAtOnceMs: MINUTE_MS,
    ...does,
  }
  const minutes = keepMinutes({ rows, clock, background: clock })
  return {
    minutes,
    rows,
    setup: {
      clock,
      pass: (byMs: number) => void (wall += byMs),
      /** Rings what waits for so long. */
      ring: (afterMs: number) => alarms.filter((each) => each.afterMs === afterMs).forEach((each) => each.ring()),
      stop: () => void minutes.stop(),
    },
  }
}

suite('bounds', () => {
  test('what is counted belongs to the minute in which it was', async () => {
    const written: HandOutMinute[] = []
    const { minutes, setup } = rounds({ addHandOuts: async (rows) => void written.push(...rows) })
    const count = minutes.handedTo({ caller: 'library', identity: '' })
    const first = setup.clock.now().wall
    count('u' as never, 1)
    setup.pass(MINUTE_MS)
    // The round rings at the minute's begin.
    await minutes.flush()
    count('u' as never, 1)
    setup.pass(10_000)
    await minutes.flush()
    assert.deepEqual(
      written.map(({ minute }) => minute - first),
      [0, MINUTE_MS],
    )
    setup.stop()
  })

  test('no transaction has more than 100 rows, and as many are forgotten as were written', async () => {
    const sizes: number[] = []
    const forgotten: number[] = []
    let old = 1_000
    const { minutes, setup } = rounds({
      addHandOuts: async (rows) => void sizes.push(rows.length),
      forgetHandOuts: async (_before, most) => {
        const some = Math.min(most, old)
        old -= some
        forgotten.push(some)
        return some
      },
    })
    const count = minutes.handedTo({ caller: 'library', identity: '' })
    for (let n = 0; n < 250; n += 1) count(`u${n}` as never, 1)
    await minutes.flush()
    assert.deepEqual(sizes, [ROWS_AT_ONCE, ROWS_AT_ONCE, 50])
    assert.deepEqual(forgotten, [100, 100, 100, 100])
    setup.stop()
  })

  test('more callers and connections than are told apart are counted together, and none is lost', () => {
    const counts = createHandOutCounts()
    const add = counts.of({ caller: 'key_1', identity: '' })
    for (let n = 0; n < DISTINCT_MOST + 50; n += 1) add(`u${n}` as never, 1)
    add('u0' as never, 1)
    counts.of({ caller: 'key_2', identity: 'idn_2' })('u' as never, 5)
    const rows = counts.take(0)
    assert.equal(rows.length, DISTINCT_MOST + 2)
    assert.equal(rows.find(({ caller, uid }) => caller === 'key_1' && uid === '')?.count, 50)
    assert.deepEqual(rows.at(-1), { minute: 0, caller: 'other', identity: '', uid: '', count: 5 })
    assert.equal(rows.find(({ uid }) => uid === 'u0')?.count, 2)
    assert.deepEqual(counts.take(0), [])
  })

  test('a database that stays away costs a row a minute in the end', () => {
    const waiting = createWaiting(HAND_OUT_ROWS)
    const row = (n: number): HandOutMinute => ({ minute: 0, caller: 'c', identity: '', uid: `u${n}`, count: 1 })
    waiting.add(Array.from({ length: WAITING_MOST }, (_, n) => row(n)))
    waiting.add(Array.from({ length: 1_000 }, (_, n) => ({ ...row(n), minute: MINUTE_MS })))
    waiting.add([row(0)])
    assert.equal(waiting.size, WAITING_MOST + 1)
    const rows = waiting.take(Infinity)
    assert.equal(rows[0]?.count, 2)
    assert.deepEqual(rows.at(-1), { minute: MINUTE_MS, caller: 'other', identity: '', uid: '', count: 1_000 })
  })

  test('more providers than are told apart are counted together', () => {
    const counts = createRefreshCounts()
    for (let n = 0; n < 150; n += 1) counts.add(`p${n}`, 'granted', 10)
    const rows = counts.take(0)
    assert.equal(rows.length, 101)
    assert.deepEqual([rows.at(-1)?.provider, rows.at(-1)?.count, rows.at(-1)?.took[0]], ['other', 50, 50])
  })
})

suite('refreshes', () => {
  test('what becomes of refreshes is counted by provider and outcome, with how long the granted ones took', async () => {
    await using world = await openWorld()
    const { keep, server } = world
    await world.connect('a')
    const { sessionId } = await world.connect('b')
    for (let n = 0; n < 3; n += 1) await keep.token('a', { resource: `https://api.example/${n}` })
    await server.control.killSession('external', sessionId)
    await assert.rejects(() => keep.token('b', { resource: 'https://api.example/', waitMs: 2_000 }), {
      code: 'suspect',
    })
    const { starts, stepMs, providers } = await keep.refreshes.series()
    assert.deepEqual([stepMs, starts.length], [MINUTE_MS, 60])
    assert.ok(starts.every((start) => start % MINUTE_MS === 0))
    const [of, ...others] = providers
    assert.deepEqual([of?.provider, others], ['external', []])
    assert.equal(
      of?.granted.reduce((sum, each) => sum + each, 0),
      3,
    )
    assert.equal(of?.granted.length, 60)
    assert.equal(
      of?.refused.reduce((sum, each) => sum + each, 0),
      1,
    )
    const at = of?.granted.findLastIndex((count) => count > 0) ?? -1
    assert.ok((of?.p50Ms[at] ?? 0) > 0 && (of?.p95Ms[at] ?? 0) >= (of?.p50Ms[at] ?? 0))
    assert.equal(of?.p50Ms[0], null, 'where none was granted')
    assert.deepEqual((await keep.refreshes.series({ provider: 'another' })).providers, [])
  })

  test('a longer time is read in parts that are added up as if they were one', async () => {
    const stepMs = 2 * MINUTE_MS
    const asked: [number, number][] = []
    const { rows, setup } = rounds({
      readAtOnceMs: 5 * MINUTE_MS,
      refreshes: async ({ from, to, stepMs: step }) => {
        asked.push([from, to])
        const took = TOOK_MS.map((_, at) => (at === 0 ? 1 : 0)).concat(0)
        return [{ minute: Math.floor(from / step) * step, provider: 'p', outcome: 'granted', count: 1, took }]
      },
    })
    const refreshes = createRefreshes({
      rows,
      clock: setup.clock,
      connectionId: (id) => id as ConnectionId,
      flush: () => Promise.resolve(),
    })
    const from = setup.clock.now().wall
    const { providers, starts } = await refreshes.series({ from, to: from + 10 * MINUTE_MS, stepMs })
    assert.equal(starts.length, 5)
    assert.deepEqual(
      asked.map(([a, b]) => [a - from, b - from + 1]),
      [
        [0, 4 * MINUTE_MS],
        [4 * MINUTE_MS, 8 * MINUTE_MS],
        [8 * MINUTE_MS, 10 * MINUTE_MS],
      ],
    )
    assert.deepEqual(providers[0]?.granted, [1, 0, 1, 0, 1])
    assert.deepEqual(providers[0]?.refused, [0, 0, 0, 0, 0])
    setup.stop()
  })

  test('percentiles lie within their bucket, and what took longest is told as its least', () => {
    const took = (counts: Readonly<Record<number, number>>): number[] =>
      Array.from({ length: TOOK_MS.length + 1 }, (_, at) => counts[at] ?? 0)
    assert.equal(percentileOf(took({}), 0.5), null)
    assert.equal(percentileOf(took({ 2: 10 }), 0.5), 30, 'half way from 20 to 40')
    assert.equal(percentileOf(took({ 0: 90, 4: 10 }), 0.5), 6)
    assert.equal(percentileOf(took({ 0: 90, 4: 10 }), 0.95), 120, 'half way from 80 to 160')
    assert.equal(percentileOf(took({ 14: 1 }), 0.95), 81_920)
  })
})
