import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { postgresMissing } from '@tokenkeep/testpostgres'
import type { UnixMs } from '@tokenkeep/core'
import { createCallers, type CallerRows } from '../src/callers.ts'
import { createPageSessions, PAGE_SESSION_MS, PAGE_SESSIONS_MOST, type PageSessionRows } from '../src/page-sessions.ts'
import { postgresCallers } from '../src/postgres-callers.ts'
import { postgresPageSessions } from '../src/postgres-page-sessions.ts'
import { sqliteCallers } from '../src/sqlite-callers.ts'
import { sqlitePageSessions } from '../src/sqlite-page-sessions.ts'
import { lacksPostgres, openDatabase as openPostgres, postgresBackend } from './contract/postgres-backend.ts'
import { newFolder, openDatabase } from './contract/sqlite-backend.ts'
import { newKeyring } from './contract/store-world.ts'

interface Opened {
  readonly callers: CallerRows
  readonly rows: PageSessionRows
  close(): void | Promise<void>
}

/** Two openings of one database, as two servers have it, at a moment that moves. */
async function world(open: () => Promise<Opened>) {
  let now = Date.now()
  const clock = { now: () => ({ wall: now as UnixMs, mono: 0 as never }) }
  const openings = [await open(), await open()] as const
  const [one, other] = openings.map(({ callers, rows }) => {
    const { apiKeys } = createCallers({
      rows: callers,
      clock,
      connectionId: (id) => id as never,
      shownJwts: () => Promise.reject(new Error('no JWT is shown here')),
    })
    return { apiKeys, sessions: createPageSessions({ rows, apiKey: apiKeys.get, clock }), rows }
  }) as [Side, Side]
  return {
    one,
    other,
    forward: (byMs: number) => void (now += byMs),
    now: () => now,
    close: async () => {
      for (const each of openings) await each.close()
    },
  }
}
type Side = {
  readonly apiKeys: ReturnType<typeof createCallers>['apiKeys']
  readonly sessions: ReturnType<typeof createPageSessions>
  readonly rows: PageSessionRows
}

function contract(engine: string, make: () => Promise<{ open(): Promise<Opened>; end(): Promise<unknown> }>): void {
  test(`${engine}: a session is known to every server on the database until somebody signs out`, async () => {
    const backend = await make()
    const { one, other, close } = await world(backend.open)
    const { apiKey } = await one.apiKeys.create({ name: 'a person', scopes: ['connections:read'] })
    const { secret, session } = await one.sessions.create(apiKey.id)
    assert.match(secret, /^tks_[\w-]{43}$/)
    const found = await other.sessions.bySecret(secret)
    assert.deepEqual(found, session)
    assert.deepEqual(found?.apiKey, apiKey)
    for (const wrong of ['', 'tks_', `tks_${'a'.repeat(43)}`, secret.slice(0, -1), `${secret}x`])
      assert.equal(await one.sessions.bySecret(wrong), null)
    await other.sessions.end(secret)
    await other.sessions.end(secret)
    assert.equal(await one.sessions.bySecret(secret), null)
    await close()
    await backend.end()
  })

  test(`${engine}: a session ends after twelve hours, with its key, and with the revocation of it`, async () => {
    const backend = await make()
    const { one, other, forward, now, close } = await world(backend.open)
    const hour = 3600_000
    const { apiKey: lasting } = await one.apiKeys.create({ name: 'lasting' })
    const { apiKey: short } = await one.apiKeys.create({ name: 'short', expiresAt: now() + hour })
    const { apiKey: revoked } = await one.apiKeys.create({ name: 'revoked' })
    const of = async (id: string) => (await one.sessions.create(id)).secret
    const [a, b, c] = [await of(lasting.id), await of(short.id), await of(revoked.id)]
    const living = async () =>
      (await Promise.all([a, b, c].map((secret) => other.sessions.bySecret(secret)))).map((found) => found !== null)
    assert.deepEqual(await living(), [true, true, true])
    await one.apiKeys.revoke(revoked.id)
    assert.deepEqual(await living(), [true, true, false])
    forward(hour)
    assert.deepEqual(await living(), [true, false, false])
    forward(PAGE_SESSION_MS - hour - 1)
    assert.deepEqual(await living(), [true, false, false])
    forward(1)
    assert.deepEqual(await living(), [false, false, false])
    await assert.rejects(() => one.sessions.create(revoked.id), { code: 'unknown_api_key' })
    await assert.rejects(() => one.sessions.create('key_none'), { code: 'unknown_api_key' })
    await close()
    await backend.end()
  })

  test(`${engine}: of one key the newest sessions live, and another key's are left alone`, async () => {
    const backend = await make()
    const { one, forward, close } = await world(backend.open)
    const { apiKey: busy } = await one.apiKeys.create({ name: 'busy' })
    const { apiKey: calm } = await one.apiKeys.create({ name: 'calm' })
    const { secret: other } = await one.sessions.create(calm.id)
    const secrets: string[] = []
    for (let at = 0; at < PAGE_SESSIONS_MOST + 2; at += 1) {
      forward(1)
      secrets.push((await one.sessions.create(busy.id)).secret)
    }
    const living = await Promise.all(secrets.map((secret) => one.sessions.bySecret(secret)))
    assert.deepEqual(
      living.map((found) => found !== null),
      secrets.map((_, at) => at >= 2),
    )
    assert.notEqual(await one.sessions.bySecret(other), null)
    await close()
    await backend.end()
  })
}

async function sqlite() {
  const folder = await newFolder()
  const keys = newKeyring()
  return {
    path: folder.database,
    open: async () => {
      const database = await openDatabase(folder.database, keys)
      return { callers: sqliteCallers(database), rows: sqlitePageSessions(database), close: () => database.close() }
    },
    end: () => folder.remove(),
  }
}

contract('sqlite', sqlite)

test('there is a Postgres for the contract', (t) => void lacksPostgres(t))
if (postgresMissing() === null)
  contract('postgres', async () => {
    const backend = await postgresBackend()
    return {
      open: async () => {
        const database = await openPostgres(backend.url, backend.keys)
        return {
          callers: postgresCallers(database),
          rows: postgresPageSessions(database),
          close: () => database.close(),
        }
      },
      end: () => backend.end(),
    }
  })

test('the secret of a session stands in no file of the database, and its row goes with the key', async () => {
  const backend = await sqlite()
  const { one, close } = await world(backend.open)
  const { apiKey } = await one.apiKeys.create({ name: 'a name that is stored' })
  const { secret } = await one.sessions.create(apiKey.id)
  const folder = dirname(backend.path)
  const everything = Buffer.concat(
    readdirSync(folder)
      .filter((name) => name.startsWith('tokens.db'))
      .map((name) => readFileSync(join(folder, name))),
  )
  assert.ok(everything.includes('a name that is stored'), 'the control')
  const random = secret.slice('tks_'.length)
  for (const form of [random, Buffer.from(random, 'base64url')]) assert.equal(everything.includes(form), false)
  await close()
  const sql = new DatabaseSync(backend.path)
  const count = () => sql.prepare('SELECT count(*) AS n FROM page_session').get()?.['n']
  assert.equal(count(), 1)
  sql.prepare('DELETE FROM api_key WHERE id = ?').run(apiKey.id)
  assert.equal(count(), 0)
  sql.close()
  await backend.end()
})
