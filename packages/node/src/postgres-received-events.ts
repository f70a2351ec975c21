import type { PostgresDatabase } from './postgres-database.ts'
import { statement, tableIn } from './postgres-statement.ts'
import type { ReceivedEventRows } from './received-events.ts'
import { FORGOTTEN_AT_ONCE } from './store-rows.ts'

/** Every statement by what it is for. */
export function receivedEventStatements(schema: string) {
  const table = tableIn(schema)('received_event')
  return {
    has: statement(`SELECT 1 AS found FROM ${table} WHERE provider = ? AND jti = ?`),
    add: statement(`
      INSERT INTO ${table} (provider, jti, until) VALUES (?, ?, ?) ON CONFLICT (provider, jti) DO NOTHING`),
    // Two that forget at once leave each other's to each other.
    forget: statement(`
      DELETE FROM ${table} WHERE (provider, jti) IN (
        SELECT provider, jti FROM ${table} WHERE until < ? ORDER BY until LIMIT ? FOR UPDATE SKIP LOCKED)`),
  }
}

export function postgresReceivedEvents({ schema, read, write }: PostgresDatabase): ReceivedEventRows {
  const sql = receivedEventStatements(schema)
  return {
    has: async (provider, jti) => (await read(sql.has, [provider, jti])).length > 0,
    add: async (provider, jti, until, now) => {
      await write(sql.add, [provider, jti, until])
      await write(sql.forget, [Math.floor(now), FORGOTTEN_AT_ONCE])
    },
  }
}
