import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { sqliteCallers } from '../src/sqlite-callers.ts'
import { callersContract } from './contract/callers.ts'
import { callersWorld, refusal, type CallersBackend } from './contract/callers-world.ts'
import { backendOn, newFolder, openDatabase } from './contract/sqlite-backend.ts'
import { newKeyring } from './contract/store-world.ts'
import { openWorld } from './world.ts'

/** A new database for each call; every opening is one of its own, as each process has it. */
async function sqliteCallersBackend(): Promise<CallersBackend & { readonly path: string }> {
  const folder = await newFolder()
  const keys = newKeyring()
  return {
    ...(await backendOn(folder.database, keys, folder.remove)),
    path: folder.database,
    openCallers: async () => {
      const database = await openDatabase(folder.database, keys)
      return { rows: sqliteCallers(database), close: () => database.close() }
    },
  }
}

callersContract('sqlite', sqliteCallersBackend)

test('no key and no local refresh token stands in the database, its log or its index', async () => {
  const backend = await sqliteCallersBackend()
  await using world = await callersWorld(async () => backend)
  await world.store.connect('erp')
  const { apiKey, key } = await world.key({ name: 'a name that is stored' })
  const { apiKey: ended, key: revoked } = await world.key()
  const living = await world.one.localRefreshTokens.share('erp', { with: apiKey.id })
  const dead = await world.one.localRefreshTokens.share('erp', { with: ended.id })
  await world.one.localRefreshTokens.revoke(dead.localRefreshToken.id)
  await world.one.apiKeys.revoke(ended.id)
  const secrets = [key, revoked, living.refreshToken, dead.refreshToken]
  for (const secret of secrets) await world.other.callers.byKey(secret)
  for (const secret of secrets) await world.other.callers.byLocalRefreshToken(secret)

  const names = readdirSync(dirname(backend.path))
  assert.deepEqual(names.toSorted(), ['tokens.db', 'tokens.db-shm', 'tokens.db-wal'])
  const everything = Buffer.concat(names.map((name) => readFileSync(join(dirname(backend.path), name))))
  assert.ok(everything.includes('a name that is stored'), 'the control')
  for (const secret of secrets) {
    const random = secret.slice(secret.indexOf('_') + 1)
    const bytes = Buffer.from(random, 'base64url')
    for (const form of [random, bytes, bytes.toString('hex'), bytes.toString('base64')]) {
      assert.equal(everything.includes(form), false)
    }
  }
})

test('a key whose sources cannot be written is not made', async () => {
  const backend = await sqliteCallersBackend()
  await using world = await callersWorld(async () => backend)
  await world.store.connect('erp')
  const sql = new DatabaseSync(backend.path)
  sql.exec(`CREATE TRIGGER no_source BEFORE INSERT ON api_key_source BEGIN SELECT RAISE(ABORT, 'no'); END`)
  assert.equal((await refusal(() => world.key({ sources: { strict: 'erp' } }))).code, 'store_unavailable')
  assert.deepEqual(await world.other.apiKeys.list(), [])
  sql.exec('DROP TRIGGER no_source')
  sql.close()
  await world.key({ sources: { strict: 'erp' } })
  assert.equal((await world.other.apiKeys.list()).length, 1)
})

test('what one Tokenkeep ends is unknown at once to another that has the same file open', async () => {
  await using world = await openWorld()
  const other = await world.reopen()
  await world.connect('dealer-1')
  const { apiKey, key } = await world.keep.apiKeys.create({ name: 'n', sources: { external: 'dealer-1' } })
  const { refreshToken } = await world.keep.localRefreshTokens.share('dealer-1', { with: apiKey.id })
  assert.deepEqual(await other.callers.byKey(key), apiKey)
  assert.equal((await other.callers.byLocalRefreshToken(refreshToken))?.connection, 'dealer-1')
  assert.equal(await other.callers.source(apiKey, 'external'), 'dealer-1')

  await world.keep.apiKeys.setSource(apiKey.id, 'external', null)
  assert.equal(await other.callers.source(apiKey, 'external'), null)
  await other.connections.delete('dealer-1')
  assert.equal(await world.keep.callers.byLocalRefreshToken(refreshToken), null)
  await other.apiKeys.revoke(apiKey.id)
  assert.equal(await world.keep.callers.byKey(key), null)
})

test('a key of a Tokenkeep ends with its clock', async () => {
  await using world = await openWorld()
  const expiresAt = world.clocks.clock.now().wall + 60_000
  const { key } = await world.keep.apiKeys.create({ name: 'n', expiresAt })
  assert.ok((await world.keep.callers.byKey(key)) !== null)
  world.clocks.forward(60_000)
  assert.equal(await world.keep.callers.byKey(key), null)
})

test('a reconnected connection keeps its local refresh token, and a deleted one takes it along', async () => {
  await using world = await openWorld()
  await world.connect('dealer-1')
  const { apiKey } = await world.keep.apiKeys.create({ name: 'n' })
  const { refreshToken } = await world.keep.localRefreshTokens.share('dealer-1', { with: apiKey.id })
  const stands = async (): Promise<string | undefined> =>
    (await world.keep.callers.byLocalRefreshToken(refreshToken))?.connection
  const session = await world.server.control.seedSession('external', { clientId: 'app' })
  await world.keep.connections.reconnect('dealer-1', { refreshToken: session.refreshToken ?? '' })
  assert.equal(await stands(), 'dealer-1')
  await world.keep.connections.delete('dealer-1')
  assert.equal(await stands(), undefined)
  await world.connect('dealer-1')
  assert.equal(await stands(), undefined)
})

test('a closed Tokenkeep knows nobody', async () => {
  await using world = await openWorld()
  const { key } = await world.keep.apiKeys.create({ name: 'n' })
  await world.keep.close()
  await assert.rejects(() => world.keep.callers.byKey(key), { code: 'closed' })
  await assert.rejects(() => world.keep.apiKeys.create({ name: 'n' }), { code: 'closed' })
})
