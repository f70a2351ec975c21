import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TokenError, type Clock, type ConnectionId, type UnixMs } from '@tokenkeep/core'
import { createSystemClock } from '../src/clock-system.ts'
import { createEvents, type Events, type FollowOptions, type FollowedEvent, type RecordedEvent } from '../src/events.ts'
import type { EventRows } from '../src/event-rows.ts'
import { createMemoryEvents, memoryEvents, tellMemory } from '../src/memory-events.ts'
import { openWorld } from './world.ts'

const typesOf = (events: readonly RecordedEvent[]): string[] => events.map(({ type }) => type)
const isInvalid = (pattern: RegExp) => (error: unknown) =>
  error instanceof TokenError && error.code === 'invalid_input' && pattern.test(error.message)

/** Reads until `count` came. */
async function take(events: Events, count: number, options: FollowOptions = {}): Promise<FollowedEvent[]> {
  const taken: FollowedEvent[] = []
  for await (const event of events.follow(options)) {
    taken.push(event)
    if (taken.length === count) break
  }
  return taken
}

/** Waits for what comes a moment later, and not for ever. */
async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let looks = 0; looks < 500; looks += 1) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.fail('it did not come within ten seconds')
}

/** Events in memory, and how often they were read. */
function inMemory(clock: Clock = createSystemClock()) {
  const kept = createMemoryEvents()
  const rows = memoryEvents(kept, () => undefined)
  let reads = 0
  const counted: EventRows = {
    ...rows,
    read: (query) => {
      reads += 1
      return rows.read(query)
    },
  }
  return {
    rows,
    events: createEvents({ rows: counted, clock }),
    reads: () => reads,
    tell(connection: string, type: 'connection.signed_out' | 'connection.updated' = 'connection.updated') {
      tellMemory(kept, {
        uid: null,
        connection: connection as ConnectionId,
        provider: null,
        client: null,
        labels: {},
        at: 1 as UnixMs,
        type,
        data: {},
      })
    },
  }
}

test('what happens to a connection is read page by page, whatever process it happened in', async () => {
  await using world = await openWorld()
  const other = await world.reopen()
  await world.connect('dealer-42')
  const { accessToken } = await other.token('dealer-42')
  await other.rejected('dealer-42', accessToken)
  await world.keep.token('dealer-42')
  await other.connections.delete('dealer-42')
  const first = await world.keep.events.list({ limit: 2 })
  assert.deepEqual(typesOf(first.events), ['connection.created', 'connection.access_token_rejected'])
  assert.equal(first.more, true)
  const rest = await other.events.list({ after: first.cursor ?? undefined })
  assert.deepEqual(typesOf(rest.events), ['connection.refreshed', 'connection.revoked'])
  assert.equal(rest.more, false)
  const none = await other.events.list({ after: rest.cursor ?? undefined })
  assert.deepEqual(none, { events: [], cursor: rest.cursor, more: false })
  const all = [...first.events, ...rest.events]
  assert.ok(all.every(({ connection, provider, client }) => connection === 'dealer-42' && provider && client === 'app'))
  const text = JSON.stringify(all)
  for (const secret of world.secrets) assert.ok(!text.includes(secret), 'an event holds a secret')
  assert.ok(!text.includes(accessToken))
})

test('newest first goes back to the first event, and says that there is nothing before it', async () => {
  const { events, tell } = inMemory()
  for (const name of ['a', 'b', 'c']) tell(name)
  const page = await events.list({ newestFirst: true, limit: 2 })
  assert.deepEqual(
    page.events.map(({ connection }) => connection),
    ['c', 'b'],
  )
  const last = await events.list({ newestFirst: true, limit: 2, after: page.cursor ?? undefined })
  assert.deepEqual([last.events.map(({ connection }) => connection), last.cursor, last.more], [['a'], null, false])
})

test('a sharp filter looks through a bounded number of events, and goes on from its cursor', async () => {
  const { events, tell } = inMemory()
  for (let index = 0; index < 2100; index += 1) tell('a')
  tell('b', 'connection.signed_out')
  const types = ['connection.signed_out'] as const
  const first = await events.list({ types })
  assert.deepEqual([first.events, first.more], [[], true])
  const second = await events.list({ types, after: first.cursor ?? undefined })
  assert.deepEqual([second.events.map(({ connection }) => connection), second.more], [['b'], false])
})

test('labels are matched as they were when it happened', async () => {
  await using world = await openWorld()
  await world.connect('other')
  const { refreshToken } = await world.server.control.seedSession('external', { clientId: 'app' })
  await world.keep.connections.import({
    id: 'mine',
    client: 'app',
    refreshToken: refreshToken ?? '',
    labels: { team: 'blue' },
  })
  const { events } = await world.keep.events.list({ labels: { team: 'blue' } })
  assert.deepEqual(
    events.map(({ connection }) => connection),
    ['mine'],
  )
  assert.deepEqual((await world.keep.events.list({ labels: { constructor: 'x' } })).events, [])
})

test('a cursor that is none of this database is refused, and so is nonsense', async () => {
  const { events, tell } = inMemory()
  tell('a')
  const wrong = isInvalid(/cursor is none of this database/)
  for (const after of ['2-00000000', '1-ffffffff', '-1', '1', 'x', '1-00000001-2', `${'9'.repeat(17)}-00000000`])
    await assert.rejects(events.list({ after }), wrong, after)
  await assert.rejects(take(events, 1, { after: '1-ffffffff' }), wrong)
  await assert.rejects(events.list({ limit: 0 }), isInvalid(/from 1 to 1000/))
  await assert.rejects(events.list({ limit: 1001 }), isInvalid(/from 1 to 1000/))
  await assert.rejects(events.list({ types: ['connection.exploded' as never] }), isInvalid(/no such type of event/))
  await assert.rejects(events.list({ connection: ' ' }), isInvalid(/id/))
  assert.equal((await events.list({ after: '0' })).events.length, 1, 'the beginning')
})

test('who follows hears of what another process does, and goes on after a cursor without a gap', async () => {
  await using world = await openWorld()
  const other = await world.reopen()
  const heard = take(world.keep.events, 2)
  await new Promise((resolve) => setTimeout(resolve, 50))
  await world.connect('a')
  const { accessToken } = await other.token('a')
  await other.rejected('a', accessToken)
  const [created, rejected] = await heard
  assert.ok(created && rejected)
  assert.deepEqual(typesOf([created, rejected]), ['connection.created', 'connection.access_token_rejected'])
  await other.token('a')
  const [again, refreshed] = await take(other.events, 2, { after: created.cursor })
  assert.deepEqual(again, rejected)
  assert.equal(refreshed?.type, 'connection.refreshed')
})

test('fifty who follow cost as many reads as one', async () => {
  const { events, tell, reads } = inMemory()
  const heard = Array.from({ length: 50 }, () => take(events, 3))
  await new Promise((resolve) => setTimeout(resolve, 50))
  for (const name of ['a', 'b', 'c']) tell(name)
  for (const taken of await Promise.all(heard))
    assert.deepEqual(
      taken.map(({ connection }) => connection),
      ['a', 'b', 'c'],
    )
  assert.ok(reads() <= 4, `${reads()} reads`)
})

test('who is behind, and is meant by nothing of what was missed, waits like everybody', async () => {
  const { events, tell, reads } = inMemory()
  tell('a')
  const { cursor } = await events.list()
  tell('a')
  const all = take(events, 1)
  await new Promise((resolve) => setTimeout(resolve, 50))
  const before = reads()
  const one = take(events, 1, { after: cursor ?? undefined, connection: 'b' })
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(reads(), before + 1, 'what was missed is read once')
  tell('b')
  assert.deepEqual(
    (await Promise.all([all, one])).flat().map(({ connection }) => connection),
    ['b', 'b'],
  )
})

test('a burst is told at once, however many it is', async () => {
  const system = createSystemClock()
  let looks = 0
  const alarm: Clock['alarm'] = (afterMs) => {
    looks += 1
    return system.alarm(afterMs)
  }
  const { events, tell } = inMemory({ ...system, alarm })
  const heard = take(events, 1_600)
  await new Promise((resolve) => setTimeout(resolve, 50))
  for (let index = 0; index < 1_600; index += 1) tell('a')
  assert.equal((await heard).length, 1_600)
  assert.equal(looks, 1)
})

test('who is slower than what happens misses nothing', async () => {
  const { events, tell } = inMemory()
  const seen: string[] = []
  const slow = (async () => {
    for await (const { connection } of events.follow()) {
      if (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 700))
      seen.push(connection ?? '')
      if (seen.length === 5001) return
    }
  })()
  const quick = take(events, 5001)
  await new Promise((resolve) => setTimeout(resolve, 50))
  tell('0')
  await new Promise((resolve) => setTimeout(resolve, 300))
  for (let index = 1; index <= 5000; index += 1) tell(String(index))
  const all = Array.from({ length: 5001 }, (_, index) => String(index))
  assert.deepEqual(
    (await quick).map(({ connection }) => connection),
    all,
  )
  await slow
  assert.deepEqual(seen, all)
})

test('following ends when it is aborted, also while nothing happens, and the process may end then', async () => {
  const { events } = inMemory()
  const ends = new AbortController()
  const following = take(events, 1, { signal: ends.signal })
  setTimeout(() => ends.abort(), 20)
  assert.deepEqual(await following, [])
  assert.deepEqual(await take(events, 1, { signal: ends.signal }), [], 'aborted before')
})

test('a client that its provider refuses is told once, though two processes see it', async () => {
  await using world = await openWorld()
  const other = await world.reopen()
  for (const id of ['a', 'b', 'c', 'd']) await world.connect(id)
  await world.keep.clients.put({ id: 'app', provider: 'external', clientId: 'app', clientSecret: 'another' })
  world.clocks.forward(3_600_000)
  for (const keep of [world.keep, other])
    for (const id of ['a', 'b', 'c', 'd']) await keep.token(id).catch(() => undefined)
  const told = async () => (await other.events.list({ types: ['provider.misconfigured'] })).events
  await eventually(async () => (await told()).length > 0)
  const [event, ...more] = await told()
  assert.deepEqual(more, [])
  assert.deepEqual([event?.provider, event?.client, event?.data['word']], ['external', 'app', 'invalid_client'])
})

test('the end of a sign-in that cannot be refreshed is told by the background, to the process and to everybody', async () => {
  await using world = await openWorld({ open: { background: true } })
  const { accessToken, expiresIn } = await world.server.control.seedSession('external', { clientId: 'app' })
  const expiresAt = world.clocks.clock.now().wall + expiresIn * 1000
  await world.keep.connections.import({ id: 'short', client: 'app', accessToken, expiresAt })
  const told = take(world.keep.events, 1, { types: ['connection.needs_user'] })
  world.clocks.forward(expiresIn * 1000)
  const [event] = await told
  assert.deepEqual([event?.connection, event?.data], ['short', { reason: 'no_refresh_token' }])
  const heard = () => world.events.filter(({ type }) => type === 'needs_user')
  await eventually(() => heard().length > 0)
  assert.deepEqual(
    heard().map((each) => 'reason' in each && each.reason),
    ['no_refresh_token'],
  )
})

test('a store that goes away ends following with its error, and whoever comes back misses nothing', async () => {
  const { rows, tell } = inMemory()
  let away = false
  const read: typeof rows.read = async (query) => {
    if (away) throw new TokenError('store_unavailable', 'the database is away')
    return rows.read(query)
  }
  const events = createEvents({ rows: { ...rows, read }, clock: createSystemClock() })
  tell('a')
  const { cursor } = await events.list()
  const following = take(events, 1)
  await new Promise((resolve) => setTimeout(resolve, 50))
  away = true
  await assert.rejects(following, { code: 'store_unavailable' })
  tell('b')
  away = false
  const [event] = await take(events, 1, { after: cursor ?? undefined })
  assert.equal(event?.connection, 'b')
})
