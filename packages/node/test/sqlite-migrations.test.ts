import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { createSystemClock } from '../src/clock-system.ts'
import { checkOf, type Keyring } from '../src/keyring.ts'
import { createSystemRandom } from '../src/random-system.ts'
import { sqliteCallers } from '../src/sqlite-callers.ts'
import { inspectSqlite, type SqliteDatabase } from '../src/sqlite-database.ts'
import { groupCommit } from '../src/sqlite-group-commit.ts'
import { APPLICATION_ID, MIGRATIONS, VERSION } from '../src/sqlite-schema.ts'
import { createSqliteStore } from '../src/store-sqlite.ts'
import { BACKGROUND, newFolder, openDatabase, type Folder } from './contract/sqlite-backend.ts'
import { accessTokensOf, createWorld, mustAcquire, mustRead, newKeyring, type World } from './contract/store-world.ts'

const parts = { clock: createSystemClock(), random: createSystemRandom() }

/** Opens a file of version 1 as the program of that time did, which knew nothing of later migrations. */
function openFirstVersion(path: string): SqliteDatabase {
  const sql = new DatabaseSync(path, { timeout: 20, enableForeignKeyConstraints: true })
  const { installation } = sql.prepare('SELECT installation FROM installation').get() ?? {}
  const commits = groupCommit({ sql, path, before: () => undefined, ...parts })
  return {
    path,
    installation: String(installation),
    place: null,
    epoch: 1,
    placeNow: '',
    session: randomUUID(),
    sql,
    write: commits.write,
    read: async (query) => query(),
    committed: commits.committed,
    close: async () => {
      await commits.close()
      if (sql.isOpen) sql.close()
    },
  }
}

/** A database of version 1 in use: three connections, one of them with history, one with labels, one deleted. */
async function firstVersion(keys: Keyring): Promise<{ folder: Folder; world: World; ended(): Promise<void> }> {
  const folder = await newFolder()
  const sql = new DatabaseSync(folder.database)
  sql.exec('PRAGMA page_size = 8192; PRAGMA journal_mode = WAL')
  sql.exec('BEGIN IMMEDIATE')
  for (const migration of MIGRATIONS.slice(0, 1)) sql.exec(migration)
  sql.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = 1`)
  const { value, sealedWith } = checkOf(keys)
  sql
    .prepare(
      `INSERT INTO installation (only_row, installation, key_check, sealed_with, place, epoch, created_at)
       VALUES (1, ?, ?, ?, NULL, 1, 0)`,
    )
    .run(randomUUID(), value, sealedWith)
  const { installation } = sql.prepare('SELECT installation FROM installation').get() ?? {}
  sql.exec('COMMIT')
  sql.close()

  const world = await createWorld(async () => ({
    installation: String(installation),
    keys,
    open: async (of, bootNow) =>
      createSqliteStore({ ...of, database: openFirstVersion(folder.database), bootNow, background: BACKGROUND }),
    swapRefreshTokens: async () => undefined,
    end: folder.remove,
  }))
  const { at } = await world.connect('used')
  const { lease } = await mustAcquire(world.one, at)
  await world.one.store.commit(lease, world.granted(at, { refreshToken: 'the second', accessToken: 'its token' }))
  await world.connect('labelled', { client: 'grace', labels: { team: 'sales' } })
  const gone = await world.connect('gone')
  const deletion = await world.one.store.beginDelete(gone.at)
  assert.ok(deletion.kind === 'deleting')
  await world.one.store.finishDelete(deletion)
  return { folder, world, ended: () => world.end() }
}

type Dump = Readonly<Record<string, readonly object[]>>

/** Every row of every table. */
function dump(path: string): Dump {
  const sql = new DatabaseSync(path, { readOnly: true })
  const tables = sql.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`).all()
  const rowsOf = (table: string) =>
    sql
      .prepare(`SELECT * FROM "${table}"`)
      .all()
      .map((row) => ({ ...row }))
  const rows = tables.map(({ name }) => [String(name), rowsOf(String(name))] as const)
  sql.close()
  return Object.fromEntries(rows)
}

const schemaOf = (sql: DatabaseSync): readonly unknown[] =>
  sql.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name').all()

const CALLER_TABLES = ['api_key', 'api_key_source', 'local_refresh_token']

test('a database of version 1 opens with every row that it had, and the tables that it lacked', async () => {
  const keys = newKeyring()
  const { folder, world, ended } = await firstVersion(keys)
  const before = dump(folder.database)
  assert.deepEqual(
    CALLER_TABLES.filter((table) => table in before),
    [],
  )
  assert.equal((await inspectSqlite({ path: folder.database, ...parts }))?.version, 1, 'looking changes nothing')

  const database = await openDatabase(folder.database, keys)
  assert.equal(database.epoch, 2)
  const { installation: kept = [], ...after } = dump(folder.database)
  const { installation: had = [], ...rows } = before
  assert.deepEqual(kept, [{ ...had[0], epoch: 2 }])
  assert.deepEqual(after, { ...rows, ...Object.fromEntries(CALLER_TABLES.map((table) => [table, []])) })
  assert.equal(after['connection']?.length, 3)
  assert.equal(after['presentation']?.length, 1)
  assert.equal((await inspectSqlite({ path: folder.database, ...parts }))?.version, VERSION)

  const { cipher, numbers, time } = world
  const { owner } = world.one
  const { random } = parts
  const { clock, moment: bootNow } = time
  const store_ = { owner, host: 'a host', cipher, clock, random, numbers }
  const { store } = createSqliteStore({ ...store_, database, bootNow, background: BACKGROUND })
  const view = await mustRead({ store }, 'used')
  assert.deepEqual(accessTokensOf(view), ['its token'], 'its secrets open')
  assert.equal((await store.list({ limit: 10, labels: { team: 'sales' } })).length, 1)

  const rowsOf = sqliteCallers(database)
  assert.equal(await rowsOf.admits('labelled', { team: 'sales' }), true)
  assert.equal(await rowsOf.admits('gone', {}), false)
  const deletion = await store.beginDelete(view.at)
  assert.ok(deletion.kind === 'deleting')
  assert.deepEqual(
    deletion.toRevoke.map((token) => token.reveal()),
    ['the second'],
  )
  await database.close()
  await ended()
})

test('a migrated database has the schema of a new one', async () => {
  const keys = newKeyring()
  const { folder, ended } = await firstVersion(keys)
  const migrated = await openDatabase(folder.database, keys)
  const other = await newFolder()
  const fresh = await openDatabase(other.database, keys)
  assert.deepEqual(schemaOf(migrated.sql), schemaOf(fresh.sql))
  assert.deepEqual(migrated.sql.prepare('PRAGMA foreign_key_check').all(), [])
  await migrated.close()
  await fresh.close()
  await other.remove()
  await ended()
})

test('of many that open a database of version 1 at once one migrates it, and all can use it', async () => {
  const keys = newKeyring()
  const { folder, ended } = await firstVersion(keys)
  const all = await Promise.all(Array.from({ length: 6 }, () => openDatabase(folder.database, keys)))
  assert.deepEqual(all.map(({ epoch }) => epoch).sort(), [2, 3, 4, 5, 6, 7])
  for (const database of all) assert.deepEqual(await sqliteCallers(database).apiKeys(), [])
  for (const database of all) await database.close()
  await ended()
})

test('a database of version 1 is refused with another key, and stays as it is', async () => {
  const { folder, ended } = await firstVersion(newKeyring())
  const before = [readFileSync(folder.database), dump(folder.database)]
  await assert.rejects(() => openDatabase(folder.database, newKeyring()), { code: 'key_wrong' })
  assert.deepEqual([readFileSync(folder.database), dump(folder.database)], before)
  assert.equal((await inspectSqlite({ path: folder.database, ...parts }))?.version, 1)
  await ended()
})

test('a migration that fails leaves a database of version 1 as it was', async () => {
  const keys = newKeyring()
  const { folder, ended } = await firstVersion(keys)
  const sql = new DatabaseSync(folder.database)
  // The last index of the migration: all that stands before it has been done by then.
  sql.exec('CREATE TABLE local_refresh_token_of_api_key (only_in_the_way TEXT)')
  sql.close()
  const before = dump(folder.database)
  await assert.rejects(() => openDatabase(folder.database, keys))
  assert.deepEqual(dump(folder.database), before)
  assert.equal((await inspectSqlite({ path: folder.database, ...parts }))?.version, 1)
  await ended()
})
