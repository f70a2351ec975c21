/** A Postgres database that is a copy or was put back starts in hold, as a file does, and goes on when it is adopted. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TokenError } from '@tokenkeep/core'
import type { Tokenkeep } from '../src/tokenkeep.ts'
import { lacksPostgres, postgres } from './contract/postgres-backend.ts'
import { openWorld, type World } from './world.ts'

const because = async (keep: Tokenkeep): Promise<string | null> => (await keep.incarnation()).hold?.because ?? null
const tried = (act: Promise<unknown>): Promise<string> =>
  act.then(
    () => 'done',
    (error: unknown) => (error instanceof TokenError ? (error.reason ?? error.code) : String(error)),
  )
const databaseOf = (url: string): string => new URL(url).pathname.slice(1)
const presentations = async (world: World, sessionId: string): Promise<number> =>
  (await world.server.control.counters('external', sessionId)).presentations

async function worldOn(url: string): Promise<World> {
  return openWorld({
    realm: { rotation: { kind: 'strict' } },
    provider: { reuse: { kind: 'strict' } },
    open: { path: undefined, postgres: url },
  })
}

/** A sign-in without an access token: whoever asks causes a refresh. The store's clock is the server's and cannot be moved. */
async function connectEnded(world: World, id: string): Promise<string> {
  const { sessionId, refreshToken } = await world.server.control.seedSession('external', { clientId: 'app' })
  assert.ok(refreshToken !== null)
  await world.keep.connections.import({ id, client: 'app', refreshToken })
  return sessionId
}

/** A whole copy beside it, made as an operator makes one; nobody may have the original open. */
async function copied(url: string): Promise<string> {
  const { server } = await postgres()
  const copy = new URL(url)
  copy.pathname = `/copy_of_${databaseOf(url)}`
  await server.admin(`CREATE DATABASE ${databaseOf(copy.href)} TEMPLATE ${databaseOf(url)} OWNER ${copy.username}`)
  return copy.href
}

const TABLES = `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'tokenkeep'`

/** What `pg_dump` and `pg_restore --data-only` do, within one database. The returned function puts it back. */
async function dumped(url: string): Promise<() => Promise<void>> {
  const { server } = await postgres()
  const database = databaseOf(url)
  const names = (await server.admin(TABLES, database)).map(({ name }) => String(name))
  assert.ok(names.includes('installation') && names.includes('connection'))
  const each = (statement: (name: string) => string): string => names.map(statement).join(';')
  await server.admin(
    `CREATE SCHEMA dump; ${each((name) => `CREATE TABLE dump.${name} AS TABLE tokenkeep.${name}`)}`,
    database,
  )
  return async () => {
    const all = names.map((name) => `tokenkeep.${name}`).join(', ')
    const fill = each((name) => `INSERT INTO tokenkeep.${name} OVERRIDING SYSTEM VALUE SELECT * FROM dump.${name}`)
    await server.admin(
      `BEGIN; SET LOCAL session_replication_role = replica; TRUNCATE ${all}; ${fill}; COMMIT`,
      database,
    )
  }
}

test('a restart is no hold, nor is a second process', async (t) => {
  if (lacksPostgres(t)) return
  const { server } = await postgres()
  await using world = await worldOn(await server.createDatabase())
  const second = await world.reopen()
  assert.deepEqual([await because(world.keep), await because(second)], [null, null])
  await world.connect('dealer-42')
  await world.keep.close()
  await second.close()
  assert.equal(await because(await world.reopen()), null)
})

test('a copy of the whole database is held, its original is not, and adoption ends it', async (t) => {
  if (lacksPostgres(t)) return
  const { server } = await postgres()
  const url = await server.createDatabase()
  await using world = await worldOn(url)
  const { accessToken } = await world.connect('living')
  const sessionId = await connectEnded(world, 'ended')
  await world.keep.close()
  const copy = await copied(url)
  const original = await world.reopen()
  assert.equal(await because(original), null)
  const held = await world.reopen({ postgres: copy })
  assert.equal(await because(held), 'another_place')
  assert.equal((await held.token('living')).accessToken, accessToken, 'what lives is handed out')
  assert.equal(await tried(held.token('ended')), 'on_hold')
  assert.equal(await tried(held.connections.delete('ended')), 'on_hold')
  assert.equal(await presentations(world, sessionId), 0)
  await held.close()
  const again = await world.reopen({ postgres: copy })
  assert.equal(await because(again), 'another_place', 'and opening it again does not end that')

  // Nobody had refreshed since: one presentation, and all is as if nothing had been.
  await original.close()
  const { wasOnHold, inDoubt } = await again.adopt()
  assert.deepEqual([wasOnHold, inDoubt, await because(again)], [true, 2, null])
  assert.equal(await tried(again.token('ended')), 'done')
  assert.equal((await again.connections.get('ended')).status, 'ready')
  assert.equal(await presentations(world, sessionId), 1)
  await again.close()
  assert.equal(await because(await world.reopen({ postgres: copy })), null, 'it has its own place now')
})

test('what was dumped and put back into the same database is held, and adopted it says once that the answer is lost', async (t) => {
  if (lacksPostgres(t)) return
  const { server } = await postgres()
  const url = await server.createDatabase()
  await using world = await worldOn(url)
  const sessionId = await connectEnded(world, 'ended')
  await world.keep.close()
  const restore = await dumped(url)
  const later = await world.reopen()
  assert.equal(await tried(later.token('ended')), 'done')
  assert.equal(await presentations(world, sessionId), 1)
  await later.close()
  await restore()

  const held = await world.reopen()
  assert.equal(await because(held), 'older_epoch')
  assert.equal(await tried(held.token('ended')), 'on_hold')
  assert.equal(await presentations(world, sessionId), 1)
  assert.equal((await held.adopt()).inDoubt, 1)
  for (const time of ['first', 'second']) assert.equal(await tried(held.token('ended')), 'answer_lost', time)
  assert.equal(await presentations(world, sessionId), 2, 'one of the life that is gone, and one after adoption')
})
