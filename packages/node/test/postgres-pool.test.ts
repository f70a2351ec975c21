/** The few sessions of one process: what becomes of those that are opened while it closes, that are all busy, or lost again. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { TokenError, type Alarm } from '@tokenkeep/core'
import { isSilence } from '../src/postgres-failures.ts'
import { createPostgresPool, type PostgresPool } from '../src/postgres-pool.ts'
import type { PostgresSession } from '../src/postgres-session.ts'
import { openStandingSession } from '../src/postgres-standing-session.ts'
import { createSystemRandom } from '../src/random-system.ts'
import { lacksPostgres, postgres } from './contract/postgres-backend.ts'

async function poolIn(t: TestContext, sessionsMost: number): Promise<PostgresPool> {
  const { url } = await postgres()
  const pool = createPostgresPool({
    connectionString: url,
    name: 'a database',
    random: createSystemRandom(),
    sessionsMost,
  })
  t.after(() => pool.close())
  return pool
}

test('a session that is open only when the pool is closed already is ended, and does nothing', async (t) => {
  if (lacksPostgres(t)) return
  const pool = await poolIn(t, 2)
  let ran = false
  const opening = Promise.allSettled([pool.run(() => Promise.resolve((ran = true))), pool.dedicated()])
  await pool.close()
  for (const each of await opening) {
    assert.equal(each.status === 'rejected' && each.reason instanceof TokenError && each.reason.code, 'closed')
  }
  assert.equal(ran, false)
  await assert.rejects(pool.dedicated(), { code: 'closed' })
})

test('that all sessions are busy is no silence of the database, which would be asked again at once', async (t) => {
  if (lacksPostgres(t)) return
  const pool = await poolIn(t, 1)
  await pool.run(async () => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const waiting = pool.run(() => Promise.resolve())
    t.mock.timers.tick(60_000)
    t.mock.timers.reset()
    await assert.rejects(waiting, (error) => {
      assert.match(String(error), /all sessions are busy/)
      assert.equal(isSilence(error), false)
      return true
    })
  })
})

test('a standing session that is lost again at once is replaced by one, not by two', async (t) => {
  if (lacksPostgres(t)) return
  const pool = await poolIn(t, 1)
  const begun: PostgresSession[] = []
  const third = Promise.withResolvers<void>()
  let alarms = 0
  const standing = await openStandingSession({
    pool,
    bound: [
      {
        begin: async (session) => {
          begun.push(session)
          if (begun.length === 2) await session.close()
          if (begun.length === 3) third.resolve()
        },
        end: () => undefined,
      },
    ],
    background: {
      alarm: (): Alarm => {
        alarms += 1
        return { rung: Promise.resolve(), cancel: () => undefined }
      },
    },
  })
  await begun[0]?.close()
  await third.promise
  assert.equal(alarms, 2)
  await standing.close()
})
