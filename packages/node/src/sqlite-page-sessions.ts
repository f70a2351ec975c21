/** Sessions of the web page in SQLite. */
import { readPageSession } from './page-sessions-codec.ts'
import type { PageSessionRows } from './page-sessions.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { preparedOnDemand } from './sqlite-on-demand.ts'

/** Every statement by what it is for. */
export const PAGE_SESSION_STATEMENTS = {
  add: 'INSERT INTO page_session (digest, api_key, created_at, expires_at) VALUES (?, ?, ?, ?)',
  forget: 'DELETE FROM page_session WHERE expires_at <= ?',
  // One beyond the newest so many is the oldest of them, for each sign-in adds one.
  keepNewest: `
    DELETE FROM page_session WHERE digest IN (
      SELECT s.digest FROM page_session s WHERE s.api_key = ? ORDER BY s.created_at DESC, s.digest LIMIT -1 OFFSET ?)`,
  find: 'SELECT digest, api_key, created_at, expires_at FROM page_session WHERE digest = ?',
  remove: 'DELETE FROM page_session WHERE digest = ?',
} as const

export function sqlitePageSessions({ sql, read, write }: SqliteDatabase): PageSessionRows {
  const prepared = preparedOnDemand(sql)
  const statement = (name: keyof typeof PAGE_SESSION_STATEMENTS) => prepared(PAGE_SESSION_STATEMENTS[name])
  return {
    add: ({ digest, apiKey, createdAt, expiresAt }, most) =>
      write(() => {
        statement('forget').run(createdAt)
        statement('keepNewest').run(apiKey, most - 1)
        statement('add').run(digest, apiKey, createdAt, expiresAt)
      }),
    find: (digest) =>
      read(() => {
        const record = statement('find').get(digest)
        return record === undefined ? null : readPageSession(record)
      }),
    remove: (digest) => write(() => void statement('remove').run(digest)),
  }
}
