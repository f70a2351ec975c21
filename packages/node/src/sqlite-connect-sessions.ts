/** Connect sessions in SQLite. */
import {
  CONNECT_SESSION_CHANGE,
  CONNECT_SESSION_COLUMNS,
  connectSessionChange,
  connectSessionValues,
  readConnectSession,
} from './connect-sessions-codec.ts'
import type { ConnectSessionRows } from './connect-sessions.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { preparedOnDemand } from './sqlite-on-demand.ts'

/** Every statement by what it is for. */
export const CONNECT_SESSION_STATEMENTS = {
  add: `INSERT INTO connect_session (${CONNECT_SESSION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  forget: 'DELETE FROM connect_session WHERE expires_at < ?',
  byId: `SELECT ${CONNECT_SESSION_COLUMNS} FROM connect_session WHERE id = ?`,
  byLink: `SELECT ${CONNECT_SESSION_COLUMNS} FROM connect_session WHERE link = ?`,
  byState: `SELECT ${CONNECT_SESSION_COLUMNS} FROM connect_session WHERE state = ?`,
  change: `UPDATE connect_session ${CONNECT_SESSION_CHANGE}`,
} as const

export function sqliteConnectSessions({ sql, read, write }: SqliteDatabase): ConnectSessionRows {
  const prepared = preparedOnDemand(sql)
  const statement = (name: keyof typeof CONNECT_SESSION_STATEMENTS) => prepared(CONNECT_SESSION_STATEMENTS[name])
  return {
    add: (stored, forgetBefore) =>
      write(() => {
        statement('forget').run(forgetBefore)
        statement('add').run(...connectSessionValues(stored))
      }),
    find: (by) =>
      read(() => {
        const record =
          'id' in by
            ? statement('byId').get(by.id)
            : 'link' in by
              ? statement('byLink').get(by.link)
              : statement('byState').get(by.state)
        return record === undefined ? null : readConnectSession(record)
      }),
    change: (stored) => write(() => Number(statement('change').run(...connectSessionChange(stored)).changes) === 1),
  }
}
