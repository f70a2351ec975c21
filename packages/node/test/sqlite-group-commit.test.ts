import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import type { ConnectionId, MonoMs, UnixMs } from '@tokenkeep/core'
import { createSystemClock } from '../src/clock-system.ts'
import { createSystemRandom } from '../src/random-system.ts'
import { groupCommit } from '../src/sqlite-group-commit.ts'
import { backendOn, newFolder, type SqliteBackend } from './contract/sqlite-backend.ts'
import { createWorld, mustAcquire, mustRead, newKeyring, tryAcquire, type World } from './contract/store-world.ts'

async function worldOnDisk(): Promise<{ world: World; backend: SqliteBackend; path: string }> {
  const folder = await newFolder()
  const backend = await backendOn(folder.database, newKeyring(), folder.remove)
  return { world: await createWorld(async () => backend), backend, path: folder.database }
}

/** The database of the world's first manager. */
const databaseOf = (backend: SqliteBackend) => {
  const [, database] = backend.databases
  if (database === undefined) throw new Error('no store was opened')
  return database
}

const ids = (count: number): string[] => Array.from({ length: count }, (_, index) => `c${index}`)

test('what is asked in one turn of the event loop is one transaction', async () => {
  const { world, backend } = await worldOnDisk()
  const database = databaseOf(backend)
  const created = await Promise.all(ids(64).map((id) => world.connect(id)))
  const before = database.committed()
  const leases = await Promise.all(created.map(({ at }) => mustAcquire(world.one, at)))
  assert.equal(database.committed(), before + 1)
  assert.equal(new Set(leases.map(({ lease }) => lease.uid)).size, 64)
  await world.end()
})

test('nobody is told before the transaction is durable', async () => {
  const { world, path } = await worldOnDisk()
  const created = await Promise.all(ids(8).map((id) => world.connect(id)))
  const outside = new DatabaseSync(path, { readOnly: true })
  const status = outside.prepare('SELECT status FROM connection WHERE uid = ?')
  await Promise.all(
    created.map(async ({ at }) => {
      await mustAcquire(world.one, at)
      assert.equal(status.get(at.uid)?.['status'], 'presenting')
    }),
  )
  outside.close()
  await world.end()
})

function scratch() {
  const sql = new DatabaseSync(':memory:')
  sql.exec('CREATE TABLE item (name TEXT PRIMARY KEY) STRICT')
  const insert = sql.prepare('INSERT INTO item (name) VALUES (?)')
  const commits = groupCommit({
    sql,
    path: 'scratch',
    clock: createSystemClock(),
    random: createSystemRandom(),
    before: () => undefined,
    first: () => undefined,
  })
  return {
    sql,
    commits,
    put: (...names: string[]) => commits.write(() => names.forEach((name) => insert.run(name))),
    names: () =>
      sql
        .prepare('SELECT name FROM item ORDER BY name')
        .all()
        .map(({ name }) => name),
  }
}

test('a write that fails half-way leaves nothing, and fails alone', async () => {
  const { put, names, commits } = scratch()
  const results = await Promise.allSettled([put('a'), put('b', 'a'), put('c'), put('d')])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  )
  assert.deepEqual(names(), ['a', 'c', 'd'])
  assert.equal(commits.committed(), 1)
})

test('where a full disk makes SQLite undo a whole transaction, the writes that did no wrong run again', async () => {
  const { put, names, sql } = scratch()
  sql.exec('PRAGMA max_page_count = 4')
  const results = await Promise.allSettled([put('a'), put('x'.repeat(100_000)), put('b')])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  assert.deepEqual(names(), ['a', 'b'])
})

test('a COMMIT that fails fails everybody in it', async () => {
  const { commits, put, names, sql } = scratch()
  sql.exec('CREATE TABLE child (name TEXT REFERENCES item (name) DEFERRABLE INITIALLY DEFERRED) STRICT')
  const orphan = commits.write(() => sql.exec(`INSERT INTO child VALUES ('nobody')`))
  const results = await Promise.allSettled([put('a'), orphan, put('b')])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  )
  assert.deepEqual(names(), [])
  await put('c')
  assert.deepEqual(names(), ['c'])
})

test('closing waits for what is queued, and refuses what comes later', async () => {
  const { put, names, commits } = scratch()
  const queued = put('a')
  const closed = commits.close()
  await assert.rejects(() => put('b'), { code: 'closed' })
  await closed
  await queued
  assert.deepEqual(names(), ['a'])
})

test('while another program holds the lock the event loop goes on, and the write follows', async () => {
  const { world, path } = await worldOnDisk()
  const { at } = await world.connect('a')
  const other = new DatabaseSync(path)
  other.exec('BEGIN IMMEDIATE')
  const happened: string[] = []
  // A blocked event loop would never come to let the lock go.
  setTimeout(() => {
    happened.push('released')
    other.exec('COMMIT')
    other.close()
  }, 1_000)
  assert.equal((await world.one.store.read('a' as ConnectionId)) !== null, true, 'readers do not wait')
  await mustAcquire(world.one, at)
  happened.push('acquired')
  assert.deepEqual(happened, ['released', 'acquired'])
  await world.end()
})

test('a lock that is held for too long fails those who waited for 5 s, and later writes go on', async () => {
  const folder = await newFolder()
  const sql = new DatabaseSync(folder.database, { timeout: 1 })
  sql.exec('PRAGMA journal_mode = WAL; CREATE TABLE item (name TEXT) STRICT')
  const system = createSystemClock()
  let elapsed = 0
  const clock = {
    now: () => ({ wall: elapsed as UnixMs, mono: elapsed as MonoMs }),
    alarm: (afterMs: Parameters<typeof system.alarm>[0]) => {
      elapsed += 1_000
      return system.alarm(afterMs)
    },
  }
  const commits = groupCommit({
    sql,
    path: 'the-file',
    clock,
    random: createSystemRandom(),
    before: () => undefined,
    first: () => undefined,
  })
  const other = new DatabaseSync(folder.database)
  other.exec('BEGIN IMMEDIATE')
  await assert.rejects(() => commits.write(() => undefined), {
    code: 'store_unavailable',
    message: /the-file.*lock for too long/,
  })
  assert.equal(elapsed, 5_000)
  other.exec('COMMIT')
  await commits.write(() => undefined)
  await commits.close()
  other.close()
  sql.close()
  await folder.remove()
})

test('a full disk fails what does not fit, and nothing that was stored is lost', async () => {
  const { world, backend } = await worldOnDisk()
  const { at } = await world.connect('a')
  const { sql } = databaseOf(backend)
  const pages = Number(Object.values(sql.prepare('PRAGMA page_count').get() ?? {})[0])
  sql.exec(`PRAGMA max_page_count = ${pages}`)

  const big = { accessToken: 'x'.repeat(200_000) }
  const [first, acquired, second] = await Promise.allSettled([
    world.connect('big-1', big),
    tryAcquire(world.one, at),
    world.connect('big-2', big),
  ])
  assert.ok(first.status === 'rejected' && second.status === 'rejected')
  assert.equal((first.reason as { code: string }).code, 'store_unavailable')
  assert.match((first.reason as Error).message, /disk is full/)
  assert.ok(acquired.status === 'fulfilled' && acquired.value.kind === 'acquired', 'what fits is written')
  assert.equal((await mustRead(world.one, 'a')).row.state.status, 'presenting')
  assert.deepEqual(await world.one.store.read('big-1' as ConnectionId), { kind: 'gone', because: 'unknown' })

  sql.exec('PRAGMA max_page_count = 1000000')
  await world.connect('big-1', big)
  await world.end()
})

test('a granted answer that found the disk full is committed when there is room again', async () => {
  const { world, backend } = await worldOnDisk()
  const { at } = await world.connect('a')
  const { lease } = await mustAcquire(world.one, at)
  const { sql } = databaseOf(backend)
  const end = world.granted(at, { refreshToken: 'rt 2', accessToken: 'x'.repeat(200_000) })
  sql.exec(`PRAGMA max_page_count = ${Number(Object.values(sql.prepare('PRAGMA page_count').get() ?? {})[0])}`)
  await assert.rejects(() => world.one.store.commit(lease, end), { code: 'store_unavailable', retryable: true })
  assert.equal((await mustRead(world.one, 'a')).row.state.status, 'presenting')
  sql.exec('PRAGMA max_page_count = 1000000')
  assert.equal((await world.one.store.commit(lease, end)).kind, 'committed')
  assert.equal((await mustRead(world.one, 'a')).at.generation, 2)
  await world.end()
})

test('a database that breaks in the middle of a group fails those who wait, and not the process', async () => {
  const { sql, put, commits } = scratch()
  const results = await Promise.allSettled([put('a'), commits.write(() => sql.close()), put('b')])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  )
  await assert.rejects(put('c'))
  await commits.close()
})
