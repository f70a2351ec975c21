import type { ReceivedEventRows } from './received-events.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { FORGOTTEN_AT_ONCE } from './store-rows.ts'

/** Every statement by what it is for. */
export const RECEIVED_EVENT_STATEMENTS = {
  has: 'SELECT 1 AS found FROM received_event WHERE provider = ? AND jti = ?',
  add: 'INSERT INTO received_event (provider, jti, until) VALUES (?, ?, ?) ON CONFLICT (provider, jti) DO NOTHING',
  forget: `
    DELETE FROM received_event WHERE (provider, jti) IN (
      SELECT provider, jti FROM received_event WHERE until < ? ORDER BY until LIMIT ?)`,
} as const

export const sqliteReceivedEvents = ({ sql, read, write }: SqliteDatabase): ReceivedEventRows => ({
  // Prepared for each: they are rare, and most processes receive none.
  has: (provider, jti) => read(() => sql.prepare(RECEIVED_EVENT_STATEMENTS.has).get(provider, jti) !== undefined),
  add: (provider, jti, until, now) =>
    write(() => {
      sql.prepare(RECEIVED_EVENT_STATEMENTS.add).run(provider, jti, until)
      sql.prepare(RECEIVED_EVENT_STATEMENTS.forget).run(Math.floor(now), FORGOTTEN_AT_ONCE)
    }),
})
