/** Sessions of the web page in Postgres. */
import { readPageSession } from './page-sessions-codec.ts'
import type { PageSessionRows } from './page-sessions.ts'
import type { PostgresDatabase } from './postgres-database.ts'
import { statement, tableIn } from './postgres-statement.ts'

/** Every statement by what it is for. */
export function pageSessionStatements(schema: string) {
  const table = tableIn(schema)('page_session')
  return {
    add: statement(`INSERT INTO ${table} (digest, api_key, created_at, expires_at) VALUES (?, ?, ?, ?)`),
    forget: statement(`DELETE FROM ${table} WHERE expires_at <= ?`),
    // One beyond the newest so many is the oldest of them, for each sign-in adds one.
    keepNewest: statement(`
      DELETE FROM ${table} WHERE digest IN (
        SELECT s.digest FROM ${table} s WHERE s.api_key = ? ORDER BY s.created_at DESC, s.digest OFFSET ?)`),
    find: statement(`SELECT digest, api_key, created_at, expires_at FROM ${table} WHERE digest = ?`),
    remove: statement(`DELETE FROM ${table} WHERE digest = ?`),
  }
}

export function postgresPageSessions({ schema, read, write, transaction }: PostgresDatabase): PageSessionRows {
  const sql = pageSessionStatements(schema)
  return {
    add: ({ digest, apiKey, createdAt, expiresAt }, most) =>
      transaction(async (ask) => {
        await ask(sql.forget, [createdAt])
        await ask(sql.keepNewest, [apiKey, most - 1])
        await ask(sql.add, [digest, apiKey, createdAt, expiresAt])
      }),
    async find(digest) {
      const [record] = await read(sql.find, [digest])
      return record === undefined ? null : readPageSession(record)
    },
    remove: async (digest) => void (await write(sql.remove, [digest])),
  }
}
