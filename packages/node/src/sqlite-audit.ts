/** The audit log in SQLite. */
import { askedValues, AUDIT_COLUMNS, END_OF_LINE, endValues, lineValues, readLine, selectLines } from './audit-codec.ts'
import type { AuditRows } from './audit.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { FORGOTTEN_AT_ONCE } from './store-rows.ts'

/** Every statement by what it is for. */
export const AUDIT_STATEMENTS = {
  add: `INSERT INTO audit (${AUDIT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  forget: 'DELETE FROM audit WHERE no IN (SELECT no FROM audit WHERE at < ? ORDER BY at LIMIT ?)',
  end: `UPDATE audit ${END_OF_LINE}`,
} as const

export const sqliteAudit = ({ sql, read, write }: SqliteDatabase): AuditRows => ({
  // Prepared for each: acts are rare, and what they do costs more.
  add: (line, forgetBefore) =>
    write(() => {
      sql.prepare(AUDIT_STATEMENTS.forget).run(forgetBefore, FORGOTTEN_AT_ONCE)
      return Number(sql.prepare(AUDIT_STATEMENTS.add).run(...lineValues(line)).lastInsertRowid)
    }),
  end: (end) => write(() => void sql.prepare(AUDIT_STATEMENTS.end).run(...endValues(end))),
  list: (asked) =>
    read(() =>
      sql
        .prepare(selectLines('audit', asked))
        .all(...askedValues(asked))
        .map(readLine),
    ),
})
