/** Who lives on other hosts, as `pg_locks` shows it: locks of sessions that end. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { LOCK_MISSING_MS, type Clock, type MonoMs, type OwnerId, type UnixMs } from '@tokenkeep/core'
import { createSystemClock } from '../src/clock-system.ts'
import { postgresOwnerLocks, type OwnerLocks } from '../src/postgres-owner-locks.ts'
import { openStandingSession, type SessionBound } from '../src/postgres-standing-session.ts'
import type { PostgresSession } from '../src/postgres-session.ts'
import { freshUrl, lacksPostgres, openDatabase, postgres } from './contract/postgres-backend.ts'
import { newKeyring } from './contract/store-world.ts'
import { eventually } from './processes-world.ts'

/** A clock that stands until it is put forward, so that two seconds need not pass. */
function ownClock(): Pick<Clock, 'now'> & { forward(byMs: number): void } {
  let at = 0
  return {
    now: () => ({ mono: at as MonoMs, wall: at as UnixMs }),
    forward: (byMs) => void (at += byMs),
  }
}

interface Host {
  readonly locks: OwnerLocks
  readonly clock: ReturnType<typeof ownClock>
  /** Of its standing session, which may be another one by now. */
  sessionId(): number
  /** From now on nothing can be asked of the database; the lock stays. */
  deafen(): Promise<void>
  /** Ends without a word, as the kernel ends the sockets of a process that was killed. */
  end(): Promise<void>
}

const keys = newKeyring()

async function host(t: TestContext, url: string, owner: string): Promise<Host> {
  const database = await openDatabase(url, keys)
  const clock = ownClock()
  const locks = postgresOwnerLocks({ database, owner: owner as OwnerId, clock })
  let session: PostgresSession | null = null
  const noting: SessionBound = { begin: async (opened) => void (session = opened), end: () => void (session = null) }
  const background = createSystemClock({ alarms: 'background' })
  const standing = await openStandingSession({ pool: database.pool, bound: [noting, locks], background })
  const end = async (): Promise<void> => {
    await standing.close()
    await database.close()
  }
  t.after(end)
  return {
    locks,
    clock,
    end,
    deafen: () => database.close(),
    sessionId: () => session?.processId ?? assert.fail('it has no session now'),
  }
}

/** Another look, not what was seen a moment ago. */
const judged = async ({ locks, clock }: Host, owner: string): Promise<string> => {
  clock.forward(500)
  const found = await locks.judge(owner as OwnerId)
  return typeof found === 'string' ? found : found.kind
}

async function upForLong(): Promise<void> {
  const { server } = await postgres()
  await eventually('the server is up for five seconds', async () => {
    const [row] = await server.admin(`SELECT clock_timestamp() - pg_postmaster_start_time() > '5.1 s' AS long`)
    return row?.['long'] === true || row?.['long'] === 't'
  })
}

test('whoever lives elsewhere is seen, and whoever ended is missed after two seconds', async (t) => {
  if (lacksPostgres(t)) return
  await upForLong()
  const url = await freshUrl()
  const [a, b] = [await host(t, url, 'A'), await host(t, url, 'B')]
  assert.deepEqual([a.locks.isShown(), b.locks.isShown()], [true, true])
  assert.equal(await judged(b, 'A'), 'alive')
  await a.end()
  assert.equal(await judged(b, 'A'), 'unknown')
  b.clock.forward(LOCK_MISSING_MS - 501)
  assert.equal(await judged(b, 'A'), 'unknown', 'not yet two seconds')
  b.clock.forward(1)
  assert.equal(await judged(b, 'A'), 'lock_missing')
  await host(t, url, 'A')
  assert.equal(await judged(b, 'A'), 'alive')
})

test('an owner of another schema, whose installation is another one, does not stand for ours', async (t) => {
  if (lacksPostgres(t)) return
  await upForLong()
  const here = await host(t, await freshUrl(), 'B')
  await host(t, await freshUrl(), 'A')
  assert.equal(await judged(here, 'A'), 'unknown')
  here.clock.forward(LOCK_MISSING_MS)
  assert.equal(await judged(here, 'A'), 'lock_missing')
})

test('a session that was ended from outside is opened again, and its lock is back before anybody misses it', async (t) => {
  if (lacksPostgres(t)) return
  await upForLong()
  const url = await freshUrl()
  const [a, b] = [await host(t, url, 'A'), await host(t, url, 'B')]
  const { server } = await postgres()
  const before = a.sessionId()
  await server.admin(`SELECT pg_terminate_backend(${before})`)
  await eventually('it is noticed', () => !a.locks.isShown())
  assert.equal(await judged(b, 'A'), 'unknown')
  await eventually('it is back', () => a.locks.isShown())
  assert.notEqual(a.sessionId(), before)
  b.clock.forward(LOCK_MISSING_MS)
  assert.equal(await judged(b, 'A'), 'alive')
})

test('after a restart of the server nobody is missed until whoever lives had time to come back', async (t) => {
  if (lacksPostgres(t)) return
  const url = await freshUrl()
  const [a, b] = [await host(t, url, 'A'), await host(t, url, 'B')]
  const { server } = await postgres()
  await server.stop('immediate')
  await server.start()
  await a.end()
  await eventually('it is back', () => b.locks.isShown())
  assert.equal(await judged(b, 'A'), 'unknown')
  b.clock.forward(LOCK_MISSING_MS)
  assert.equal(await judged(b, 'A'), 'unknown', 'the server is not up for five seconds yet')
  await upForLong()
  assert.equal(await judged(b, 'A'), 'unknown')
  b.clock.forward(LOCK_MISSING_MS)
  assert.equal(await judged(b, 'A'), 'lock_missing')
})

test('a database that cannot be asked says nothing about anybody', async (t) => {
  if (lacksPostgres(t)) return
  await upForLong()
  const url = await freshUrl()
  const [a, b] = [await host(t, url, 'A'), await host(t, url, 'B')]
  await a.end()
  assert.equal(await judged(b, 'A'), 'unknown')
  b.clock.forward(LOCK_MISSING_MS)
  await b.deafen()
  assert.ok(b.locks.isShown())
  assert.equal(await judged(b, 'A'), 'unknown')
  assert.deepEqual(await b.locks.unseen(), [])
})
