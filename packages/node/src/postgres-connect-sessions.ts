/** Connect sessions in Postgres. */
import {
  CONNECT_SESSION_CHANGE,
  CONNECT_SESSION_COLUMNS,
  connectSessionChange,
  connectSessionValues,
  readConnectSession,
} from './connect-sessions-codec.ts'
import type { ConnectSessionRows } from './connect-sessions.ts'
import type { PostgresDatabase } from './postgres-database.ts'
import { statement, tableIn } from './postgres-statement.ts'

/** Every statement by what it is for. */
export function connectSessionStatements(schema: string) {
  const table = tableIn(schema)('connect_session')
  const select = `SELECT ${CONNECT_SESSION_COLUMNS} FROM ${table}`
  return {
    add: statement(`INSERT INTO ${table} (${CONNECT_SESSION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    forget: statement(`DELETE FROM ${table} WHERE expires_at < ?`),
    byId: statement(`${select} WHERE id = ?`),
    byLink: statement(`${select} WHERE link = ?`),
    byState: statement(`${select} WHERE state = ?`),
    change: statement(`UPDATE ${table} ${CONNECT_SESSION_CHANGE} RETURNING 1`),
  }
}

export function postgresConnectSessions({ schema, read, write, transaction }: PostgresDatabase): ConnectSessionRows {
  const sql = connectSessionStatements(schema)
  return {
    add: (stored, forgetBefore) =>
      transaction(async (ask) => {
        await ask(sql.forget, [forgetBefore])
        await ask(sql.add, connectSessionValues(stored))
      }),
    async find(by) {
      const [record] = await ('id' in by
        ? read(sql.byId, [by.id])
        : 'link' in by
          ? read(sql.byLink, [by.link])
          : read(sql.byState, [by.state]))
      return record === undefined ? null : readConnectSession(record)
    },
    change: async (stored) => (await write(sql.change, connectSessionChange(stored))).length === 1,
  }
}
