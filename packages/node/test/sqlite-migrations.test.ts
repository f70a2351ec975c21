import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { createSystemClock } from '../src/clock-system.ts'
import type { Keyring } from '../src/keyring.ts'
import { createSystemRandom } from '../src/random-system.ts'
import { sqliteCallers } from '../src/sqlite-callers.ts'
import { inspectSqlite } from '../src/sqlite-database.ts'
import { APPLICATION_ID, MIGRATIONS, VERSION } from '../src/sqlite-schema.ts'
import { createSqliteStore } from '../src/store-sqlite.ts'
import { BACKGROUND, newFolder, openDatabase, type Folder } from './contract/sqlite-backend.ts'
import { accessTokensOf, createWorld, mustAcquire, mustRead, newKeyring, type World } from './contract/store-world.ts'

const parts = { clock: createSystemClock(), random: createSystemRandom() }

/** Rows of version 1, by what has come since: columns that it had not, and members of JSON that it did not know. */
function asFirstVersion(target: DatabaseSync, current: string): void {
  target.prepare('ATTACH ? AS current').run(current)
  const tables = target.prepare(`SELECT name FROM main.sqlite_schema WHERE type = 'table'`).all()
  for (const { name } of tables) {
    const columns = target.prepare('SELECT name FROM pragma_table_info(?)').all(String(name))
    const list = columns.map((column) => String(column['name'])).join(', ')
    target.exec(`INSERT INTO main.${String(name)} (${list}) SELECT ${list} FROM current.${String(name)}`)
  }
  target.exec('DETACH current')
  target.exec(`UPDATE connection SET state = json_remove(state, '$.believed', '$.from.believed', '$.attempt.sibling')`)
}

/** A database of version 1 in use: four connections, one with history, one with labels, one deleted, one that presents. */
async function firstVersion(keys: Keyring): Promise<{ folder: Folder; world: World; ended(): Promise<void> }> {
  const [folder, source] = [await newFolder(), await newFolder()]
  const current = await openDatabase(source.database, keys)
  const world = await createWorld(async () => ({
    installation: current.installation,
    keys,
    open: async (of, bootNow) => createSqliteStore({ ...of, database: current, bootNow, background: of.clock }),
    swapRefreshTokens: async () => undefined,
    end: async () => undefined,
  }))
  const { at } = await world.connect('used')
  const { lease } = await mustAcquire(world.one, at)
  await world.one.store.commit(lease, world.granted(at, { refreshToken: 'the second', accessToken: 'its token' }))
  await world.connect('labelled', { client: 'grace', labels: { team: 'sales' } })
  const gone = await world.connect('gone')
  const deletion = await world.one.store.beginDelete(gone.at)
  assert.ok(deletion.kind === 'deleting')
  await world.one.store.finishDelete(deletion, true)
  const refused = await mustAcquire(world.one, (await world.connect('presenting')).at)
  await world.one.store.commit(refused.lease, { kind: 'rejected', word: 'invalid_grant' })
  world.time.pass(60_000)
  await mustAcquire(world.one, (await mustRead(world.one, 'presenting')).at, 'confirm')
  await world.end()

  const sql = new DatabaseSync(folder.database)
  sql.exec('PRAGMA page_size = 8192; PRAGMA journal_mode = WAL')
  sql.exec(MIGRATIONS[0] ?? assert.fail('there is no first migration'))
  asFirstVersion(sql, source.database)
  sql.exec(`UPDATE installation SET epoch = 1`)
  sql.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = 1`)
  sql.close()
  await source.remove()
  return { folder, world, ended: folder.remove }
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

const CALLER_TABLES = ['api_key', 'api_key_source', 'local_refresh_token', 'api_key_identity']

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
  assert.equal(database.hold, null, 'a place as it was noted before says nothing')
  const after = dump(folder.database)
  for (const table of CALLER_TABLES) assert.deepEqual(after[table], [])
  for (const [table, rows] of Object.entries(before)) assert.equal(after[table]?.length, rows.length, table)
  const unchanged = (rows: readonly object[] = [], names: readonly string[]) =>
    rows.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => names.includes(name))))
  for (const [table, rows] of Object.entries(before)) {
    // What a migration may change: the epoch of this opening, the place, and members that the state had not.
    const names = Object.keys(rows[0] ?? {}).filter((name) => !['epoch', 'place', 'state'].includes(name))
    assert.deepEqual(unchanged(after[table], names), unchanged(rows, names), table)
  }
  assert.equal(after['connection']?.length, 4)
  assert.equal((await inspectSqlite({ path: folder.database, ...parts }))?.version, VERSION)

  const { cipher, numbers, time } = world
  const { owner } = world.one
  const { random } = parts
  const { clock, moment: bootNow } = time
  const store_ = { owner, host: 'a host', process: 'a program (1)', cipher, clock, random, numbers }
  const { store } = createSqliteStore({ ...store_, database, bootNow, background: BACKGROUND })
  const view = await mustRead({ store }, 'used')
  assert.deepEqual(accessTokensOf(view), ['its token'], 'its secrets open')
  const { state } = (await mustRead({ store }, 'presenting')).row
  assert.ok(state.status === 'presenting' && state.from.status === 'suspect')
  assert.deepEqual([state.attempt.sibling, state.from.believed], [null, null], 'members that it had not')
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
