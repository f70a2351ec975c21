/** The audit log in Postgres. */
import { askedValues, AUDIT_COLUMNS, END_OF_LINE, endValues, lineValues, readLine, selectLines } from './audit-codec.ts'
import type { AuditRows } from './audit.ts'
import { integer } from './cells.ts'
import type { PostgresDatabase } from './postgres-database.ts'
import { statement, tableIn } from './postgres-statement.ts'
import { FORGOTTEN_AT_ONCE } from './store-rows.ts'

/** Every statement by what it is for. */
export function auditStatements(schema: string) {
  const table = tableIn(schema)('audit')
  return {
    add: statement(`INSERT INTO ${table} (${AUDIT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING no`),
    // Two that forget at once leave each other's to each other.
    forget: statement(`
      DELETE FROM ${table} WHERE no IN (
        SELECT no FROM ${table} WHERE at < ? ORDER BY at LIMIT ? FOR UPDATE SKIP LOCKED)`),
    end: statement(`UPDATE ${table} ${END_OF_LINE}`),
    list: (asked: Parameters<typeof selectLines>[1]) => statement(selectLines(table, asked)),
  }
}

export function postgresAudit({ schema, read, write, transaction }: PostgresDatabase): AuditRows {
  const sql = auditStatements(schema)
  return {
    add: (line, forgetBefore) =>
      transaction(async (ask) => {
        await ask(sql.forget, [forgetBefore, FORGOTTEN_AT_ONCE])
        const [record = {}] = await ask(sql.add, lineValues(line))
        return integer(record, 'no')
      }),
    end: async (end) => void (await write(sql.end, endValues(end))),
    list: async (asked) => (await read(sql.list(asked), askedValues(asked))).map(readLine),
  }
}
