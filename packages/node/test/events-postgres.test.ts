import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConnectionId, NewEvent, UnixMs } from '@tokenkeep/core'
import { eventValues } from '../src/event-codec.ts'
import { postgresEvents, eventStatements } from '../src/postgres-events.ts'
import { lacksPostgres, openDatabase, postgresBackend } from './contract/postgres-backend.ts'

const eventOf = (name: string): NewEvent => ({
  uid: null,
  connection: name as ConnectionId,
  provider: null,
  client: null,
  labels: {},
  at: 1 as UnixMs,
  type: 'connection.updated',
  data: {},
})
const ALL = { from: null, newestFirst: false, notableOnly: false, connection: null, limit: 1000 }

test('whoever has read up to a position misses nothing of a transaction that began before and commits later', async (t) => {
  if (lacksPostgres(t)) return
  const backend = await postgresBackend()
  const writer = await openDatabase(backend.url, backend.keys)
  const reader = await openDatabase(backend.url, backend.keys)
  const { record } = eventStatements(writer.schema)
  const rows = postgresEvents(reader)
  const commits = Promise.withResolvers<void>()
  const written = Promise.withResolvers<void>()
  const early = writer.transaction(async (ask) => {
    await ask(record, [...eventValues(eventOf('early')), 'early'])
    written.resolve()
    await commits.promise
  })
  await written.promise
  await postgresEvents(writer).record(eventOf('late'), 'late')
  const first = await rows.read(ALL)
  assert.deepEqual(
    first.map(({ connection }) => connection),
    ['late'],
  )
  commits.resolve()
  await early
  const rest = await rows.read({ ...ALL, from: first.at(-1)?.position ?? null })
  assert.deepEqual(
    rest.map(({ connection }) => connection),
    ['early'],
  )
  await writer.close()
  await reader.close()
  await backend.end()
})

test('many who write and read at once see one order without gaps or repetition', async (t) => {
  if (lacksPostgres(t)) return
  const backend = await postgresBackend()
  const databases = await Promise.all([1, 2, 3].map(() => openDatabase(backend.url, backend.keys)))
  const rows = databases.map((database) => postgresEvents(database))
  const [one, two, three] = rows
  assert.ok(one && two && three)
  let writing = true
  const write = Promise.all(
    Array.from({ length: 300 }, (_, index) => (index % 2 ? one : two).record(eventOf(String(index)), String(index))),
  ).then(() => (writing = false))
  const follow = async (by: typeof one): Promise<readonly string[]> => {
    const seen: string[] = []
    let from: number | null = null
    for (;;) {
      const over = !writing
      const page = await by.read({ ...ALL, from, limit: 7 })
      seen.push(...page.map(({ position, connection }) => `${position} ${connection}`))
      from = page.at(-1)?.position ?? from
      if (over && page.length === 0) return seen
    }
  }
  const [a, b, c] = await Promise.all([follow(one), follow(two), follow(three)])
  await write
  assert.deepEqual(b, a)
  assert.deepEqual(c, a)
  assert.equal(a.length, 300)
  assert.deepEqual(
    a.map((line) => Number(line.split(' ')[0])),
    Array.from({ length: 300 }, (_, index) => index + 1),
  )
  for (const database of databases) await database.close()
  await backend.end()
})
