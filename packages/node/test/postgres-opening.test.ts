/** Opening waits for another process that changes the tables of a big database, for as long as that takes; an examination opens nothing. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { createSystemClock } from '../src/clock-system.ts'
import { lookIntoPostgres } from '../src/examination/look-into-postgres.ts'
import { readPostgresUrl } from '../src/postgres-address.ts'
import { inspectPostgres } from '../src/postgres-database.ts'
import { openPostgresSession } from '../src/postgres-session.ts'
import { createSystemRandom } from '../src/random-system.ts'
import { freshUrl, lacksPostgres, openDatabase, postgres } from './contract/postgres-backend.ts'
import { newKeyring } from './contract/store-world.ts'

/** Holds what `lock` takes while `act` waits for it, by every clock longer than a statement of ours may take. */
async function heldFor<Result>(
  t: TestContext,
  { url, lock }: { readonly url: string; readonly lock: string },
  act: () => Promise<Result>,
): Promise<Result> {
  const { server } = await postgres()
  const holder = await openPostgresSession(readPostgresUrl(url))
  await holder.ask('BEGIN')
  await holder.ask(lock)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const acting = act()
  const settled = acting.then(
    () => 'opened',
    (error: unknown) => String(error),
  )
  const waiting = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'tokenkeep'`
  while ((await server.admin(waiting)).length === 0);
  t.mock.timers.tick(600_000)
  // Longer than the 50 ms that the server was told.
  await holder.ask('SELECT pg_sleep(0.2)')
  t.mock.timers.reset()
  assert.equal(await Promise.race([settled, holder.ask('SELECT 1').then(() => 'waiting')]), 'waiting')
  await holder.ask('COMMIT')
  await holder.close()
  return acting
}

test('whoever opens a database waits for a migration of another process, whatever the server thinks of its length', async (t) => {
  if (lacksPostgres(t)) return
  const url = await freshUrl()
  const { schema } = readPostgresUrl(url)
  const lock = `SELECT pg_advisory_xact_lock(hashtextextended('tokenkeep open ${schema}', 0))`
  const impatient = `${url}&options=-c%20statement_timeout%3D50%20-c%20lock_timeout%3D50`
  const database = await heldFor(t, { url, lock }, () => openDatabase(impatient, newKeyring()))
  assert.equal(database.schema, schema)
  await database.close()
})

test('whoever looks at a database waits for a table that another process changes', async (t) => {
  if (lacksPostgres(t)) return
  const url = await freshUrl()
  const address = readPostgresUrl(url)
  await (await openDatabase(url, newKeyring())).close()
  const lock = `LOCK TABLE ${address.schema}.installation IN ACCESS EXCLUSIVE MODE`
  const seen = await heldFor(t, { url, lock }, () => inspectPostgres({ address, random: createSystemRandom() }))
  assert.equal(seen?.epoch, 1)
})

test('nothing can be written by an examination, and its session is as it was', async (t) => {
  if (lacksPostgres(t)) return
  const url = await freshUrl()
  const ring = newKeyring()
  const database = await openDatabase(url, ring)
  const looked = await lookIntoPostgres({ url, ring, markers: () => [], clock: createSystemClock() })
  const { reading, server } = looked
  assert.ok(reading)
  assert.deepEqual(
    [reading.seen.keys, reading.seen.version, server.listens, server.showsLocks, server.pooled],
    ['fit', reading.seen.newest, true, true, false],
  )
  const table = reading.table('installation')
  const writing = reading.all(`UPDATE ${table} SET epoch = epoch + 1`, [])
  await assert.rejects(writing, ({ state }: { state?: string }) => state === '25006')
  const settings = await reading.all(
    `SELECT current_setting('default_transaction_read_only') AS kept, (SELECT count(*)::int FROM pg_locks
       WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks`,
    [],
  )
  assert.deepEqual(settings, [{ kept: 'off', locks: 0 }])
  await looked.close()
  await database.close()
})
