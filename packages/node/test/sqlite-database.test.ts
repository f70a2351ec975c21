import assert from 'node:assert/strict'
import { chmodSync, copyFileSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { createSystemClock } from '../src/clock-system.ts'
import { newMasterKey, type Keyring } from '../src/keyring.ts'
import { createSystemRandom } from '../src/random-system.ts'
import { inspectSqlite } from '../src/sqlite-database.ts'
import { APPLICATION_ID, VERSION } from '../src/sqlite-schema.ts'
import { backendOn, newFolder, openDatabase } from './contract/sqlite-backend.ts'
import { createWorld, newKeyring } from './contract/store-world.ts'

const parts = { clock: createSystemClock(), random: createSystemRandom() }

test('a new database is readable for its owner alone, and says what it is', async () => {
  const folder = await newFolder()
  assert.equal(await inspectSqlite({ path: folder.database, ...parts }), null)
  const database = await openDatabase(folder.database, newKeyring())
  for (const name of readdirSync(folder.path)) {
    assert.equal(statSync(join(folder.path, name)).mode & 0o777, 0o600, name)
  }
  const pragma = (name: string): unknown => Object.values(database.sql.prepare(`PRAGMA ${name}`).get() ?? {})[0]
  assert.equal(pragma('application_id'), APPLICATION_ID)
  assert.equal(pragma('user_version'), VERSION)
  assert.equal(pragma('page_size'), 8192)
  assert.equal(pragma('journal_mode'), 'wal')
  assert.equal(pragma('synchronous'), 2)
  assert.equal(pragma('temp_store'), 2)
  assert.equal(pragma('secure_delete'), 1)
  assert.equal(pragma('foreign_keys'), 1)
  assert.ok(Number(pragma('busy_timeout')) <= 20)
  await database.close()
  assert.deepEqual(readdirSync(folder.path), ['tokens.db'], 'one file is left')
  await folder.remove()
})

test('opened again it is the same installation in a later epoch and another session', async () => {
  const folder = await newFolder()
  const keys = newKeyring()
  const first = await openDatabase(folder.database, keys)
  const second = await openDatabase(folder.database, keys)
  assert.equal(second.installation, first.installation)
  assert.deepEqual([first.epoch, second.epoch], [1, 2])
  assert.notEqual(second.session, first.session)
  assert.equal(second.place, second.placeNow)
  const seen = await inspectSqlite({ path: folder.database, ...parts })
  assert.deepEqual([seen?.installation, seen?.epoch, seen?.version], [first.installation, 2, VERSION])
  await first.close()
  await second.close()
  await folder.remove()
})

test('of many first starters at once one makes the database, and all are the same installation', async () => {
  const folder = await newFolder()
  const keys = newKeyring()
  const all = await Promise.all(Array.from({ length: 6 }, () => openDatabase(folder.database, keys)))
  assert.equal(new Set(all.map(({ installation }) => installation)).size, 1)
  assert.deepEqual(all.map(({ epoch }) => epoch).sort(), [1, 2, 3, 4, 5, 6])
  for (const database of all) await database.close()
  await folder.remove()
})

test('of two first starters with different keys the second refuses', async () => {
  const folder = await newFolder()
  const both = await Promise.allSettled([
    openDatabase(folder.database, newKeyring()),
    openDatabase(folder.database, newKeyring()),
  ])
  const [opened] = both.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const [refused] = both.flatMap((each) => (each.status === 'rejected' ? [each.reason as { code: string }] : []))
  assert.equal(refused?.code, 'key_wrong')
  assert.equal(opened?.epoch, 1)
  await opened.close()
  await folder.remove()
})

/** Makes a database, lets `harm` change it, and asserts that opening fails so and touches nothing. */
async function refuses(
  expected: { readonly code: string; readonly message: RegExp },
  { harm, keys }: { harm?: (path: string) => void; keys?: (own: Keyring) => Keyring },
): Promise<void> {
  const folder = await newFolder()
  const own = newKeyring()
  await (await openDatabase(folder.database, own)).close()
  harm?.(folder.database)
  const before = readFileSync(folder.database)
  await assert.rejects(() => openDatabase(folder.database, keys?.(own) ?? own), expected)
  assert.ok(before.equals(readFileSync(folder.database)), 'untouched')
  await folder.remove()
}

const change = (statement: string) => (path: string) => {
  const sql = new DatabaseSync(path)
  sql.exec(statement)
  sql.close()
}

test('a database of a newer version is refused, untouched, and both versions are named', () =>
  refuses(
    { code: 'newer_database', message: new RegExp(`version ${VERSION + 7}, .*up to ${VERSION}`) },
    { harm: change(`PRAGMA user_version = ${VERSION + 7}`) },
  ))

test('another master key is refused, untouched', () =>
  refuses({ code: 'key_wrong', message: /Nothing was changed/ }, { keys: () => newKeyring() }))

test('another master key does not even merge the log that a killed process left', async () => {
  const folder = await newFolder()
  const database = await openDatabase(folder.database, newKeyring())
  const left = join(folder.path, 'left.db')
  for (const suffix of ['', '-wal']) copyFileSync(`${folder.database}${suffix}`, `${left}${suffix}`)
  await database.close()
  const content = (): string[] => ['', '-wal'].map((suffix) => readFileSync(`${left}${suffix}`).toString('base64'))
  const before = content()
  await assert.rejects(() => openDatabase(left, newKeyring()), { code: 'key_wrong' })
  assert.deepEqual(content(), before)
  await folder.remove()
})

test('a keyring without the key that sealed last is refused, untouched', () => {
  const other = newMasterKey('other')
  return refuses(
    { code: 'key_wrong', message: /missing/ },
    { keys: (own) => ({ ...own, current: other, keys: [other] }) },
  )
})

test('after a key rotation the new key must stay', async () => {
  const folder = await newFolder()
  const own = newKeyring()
  await (await openDatabase(folder.database, own)).close()
  const newer = newMasterKey('newer')
  const rotated: Keyring = { ...own, current: newer, keys: [newer, ...own.keys] }
  await (await openDatabase(folder.database, rotated)).close()
  await assert.rejects(() => openDatabase(folder.database, own), { code: 'key_wrong' })
  await folder.remove()
})

test('a file that is no database is refused, untouched', () =>
  refuses(
    { code: 'folder_unusable', message: /not a SQLite database; nothing was changed/ },
    {
      harm: (path) =>
        writeFileSync(path, 'a letter to a friend, longer than any header of a database could be'.repeat(20)),
    },
  ))

test('the database of another program is refused, untouched', async () => {
  const message = /another program; nothing was changed/
  await refuses({ code: 'folder_unusable', message }, { harm: change('PRAGMA application_id = 42') })
  await refuses({ code: 'folder_unusable', message }, { harm: change('PRAGMA application_id = 0') })
})

test('an empty file is a database that nobody has used yet', async () => {
  const folder = await newFolder()
  writeFileSync(folder.database, '')
  const database = await openDatabase(folder.database, newKeyring())
  assert.equal(database.epoch, 1)
  await database.close()
  await folder.remove()
})

test('a place where no database can be is named with the reason', async () => {
  const folder = await newFolder()
  await assert.rejects(() => openDatabase(folder.path, newKeyring()), {
    code: 'folder_unusable',
    message: /is a folder/,
  })
  await assert.rejects(() => openDatabase(join(folder.path, 'none', 'tokens.db'), newKeyring()), {
    code: 'folder_unusable',
    message: /does not exist/,
  })
  // Root may write everywhere but here.
  const shut = process.getuid?.() === 0 ? '/proc' : folder.path
  if (shut === folder.path) chmodSync(shut, 0o500)
  await assert.rejects(() => openDatabase(join(shut, 'tokens.db'), newKeyring()), { code: 'folder_unusable' })
  if (shut === folder.path) chmodSync(shut, 0o700)
  await folder.remove()
})

test('no secret stands in the files, and a deleted connection leaves no ciphertext behind', async () => {
  const folder = await newFolder()
  const world = await createWorld(() => backendOn(folder.database, newKeyring(), folder.remove))
  const draft = world.draft('a', { refreshToken: 'rt canary', accessToken: 'at canary', labels: { of: 'somebody' } })
  await world.one.store.create(draft)
  const everything = (): Buffer =>
    Buffer.concat(readdirSync(folder.path).map((name) => readFileSync(join(folder.path, name))))
  const { refreshToken, accessToken } = draft.granted
  assert.ok(refreshToken !== null && accessToken !== null)
  for (const canary of ['rt canary', 'at canary', 'a client secret']) assert.equal(everything().includes(canary), false)
  assert.equal(everything().includes(Buffer.from(refreshToken.sealed)), true, 'the control: it is there as ciphertext')

  const view = await world.one.store.read(draft.id)
  assert.ok(!('kind' in view))
  const deletion = await world.one.store.beginDelete(view.at)
  assert.ok(deletion.kind === 'deleting')
  await world.one.store.finishDelete(deletion, true)
  const outside = new DatabaseSync(folder.database)
  for (const table of ['access_token', 'held_answer', 'label']) {
    assert.deepEqual({ ...outside.prepare(`SELECT count(*) AS rows FROM ${table}`).get() }, { rows: 0 }, table)
  }
  outside.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  outside.close()
  assert.equal(everything().includes(Buffer.from(refreshToken.sealed)), false)
  assert.equal(everything().includes(Buffer.from(accessToken.sealed)), false)
  await world.end()
})

test('a database that this user may not write is refused with the reason, and left as it is', async () => {
  const folder = await newFolder()
  const keys = newKeyring()
  await (await openDatabase(folder.database, keys)).close()
  chmodSync(folder.database, 0o444)
  chmodSync(folder.path, 0o777)
  // Permissions do not bind root, so an ordinary user tries.
  const root = process.geteuid?.() === 0
  if (root) process.seteuid?.(65534)
  try {
    await assert.rejects(openDatabase(folder.database, keys), {
      code: 'folder_unusable',
      message: /its file and its folder must be writable/,
    })
  } finally {
    if (root) process.seteuid?.(0)
  }
  const database = await openDatabase(folder.database, keys).catch(() => null)
  if (database !== null) assert.equal(database.epoch, 2)
  await database?.close()
  await folder.remove()
})
