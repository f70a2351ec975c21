/** A line to Postgres that nothing comes through any more, though neither side knows that it is cut. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { createPostgresPool, type PostgresPool } from '../src/postgres-pool.ts'
import { statement } from '../src/postgres-statement.ts'
import { createSystemRandom } from '../src/random-system.ts'
import { freshUrl, lacksPostgres, openDatabase, postgres } from './contract/postgres-backend.ts'
import { newKeyring } from './contract/store-world.ts'
import { mutingProxy, type MutingProxy } from './fixtures/muting-proxy.ts'

async function behindProxy(t: TestContext): Promise<{ proxy: MutingProxy; url: string }> {
  const url = new URL(await freshUrl())
  const proxy = await mutingProxy(Number(url.port))
  t.after(() => proxy.close())
  url.port = String(proxy.port)
  return { proxy, url: url.href }
}

const poolOn = (url: string): PostgresPool =>
  createPostgresPool({ connectionString: url.replace(/\?.*/, ''), name: 'a database', random: createSystemRandom() })

test('a read whose session says nothing any more is asked again in another one', { timeout: 60_000 }, async (t) => {
  if (lacksPostgres(t)) return
  const { proxy, url } = await behindProxy(t)
  const database = await openDatabase(url, newKeyring())
  const { lines } = proxy
  proxy.mute()
  assert.deepEqual(await database.read(statement('SELECT 1 AS one')), [{ one: 1 }])
  assert.equal(proxy.lines, lines + 1)
  await database.close()
})

test('a session whose COMMIT is not answered is lost, so that nothing is sent by what it had', async (t) => {
  if (lacksPostgres(t)) return
  const { proxy, url } = await behindProxy(t)
  const pool = poolOn(url)
  const { life } = pool
  const lost = pool.run(async (session) => {
    await session.ask('BEGIN')
    assert.equal(pool.life, life, 'the control')
    proxy.mute()
    await session.ask('COMMIT')
  })
  await assert.rejects(lost, { code: 'store_unavailable' })
  assert.notEqual(pool.life, life)
  await pool.close()
})

test('a session that the server ended while it was asked is lost as soon as that is known', async (t) => {
  if (lacksPostgres(t)) return
  const { server, url } = await postgres()
  const pool = poolOn(url)
  const { life } = pool
  const asked = pool.run(async (session) => {
    await session.ask('BEGIN')
    const answer = session.ask('SELECT pg_sleep(60)')
    const ended = assert.rejects(answer, { state: '57P01' }).then(() => pool.life)
    let ending = 0
    while (ending === 0) {
      const done = await server.admin(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ${session.processId} AND query LIKE '%pg_sleep%'`,
      )
      ending = done.length
    }
    return ended
  })
  assert.notEqual(await asked, life)
  await pool.close()
})
