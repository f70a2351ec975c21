/** The life of a database, as its one row in `installation` keeps it. */
import type { DatabaseSync } from 'node:sqlite'
import type { Hold, Incarnation, Moment } from '@tokenkeep/core'
import { integer, jsonOrNull, text, textOrNull, type CellRecord } from './cells.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import type { IncarnationRows } from './store-rows.ts'

const SELECT = 'SELECT installation, place, epoch, branch, hold FROM installation'

/** Reads it within a transaction or a query. */
export function incarnationReader(sql: DatabaseSync): () => Incarnation {
  const select = sql.prepare(SELECT)
  return () => incarnationIn(select.get() ?? {})
}

export const incarnationIn = (record: CellRecord): Incarnation => ({
  installation: text(record, 'installation'),
  place: textOrNull(record, 'place'),
  epoch: integer(record, 'epoch'),
  branch: textOrNull(record, 'branch'),
  // What this program wrote; the schema checks that it is JSON.
  hold: jsonOrNull(record, 'hold') as Hold | null,
})

/** To be called inside a transaction. */
export function writeIncarnation(sql: DatabaseSync, { place, epoch, branch, hold }: Incarnation): void {
  sql
    .prepare('UPDATE installation SET place = ?, epoch = ?, branch = ?, hold = ?')
    .run(place, epoch, branch, hold === null ? null : JSON.stringify(hold))
}

export function sqliteIncarnation(
  { sql, read, write, placeNow }: SqliteDatabase,
  { kept, bootNow }: { readonly kept: () => Incarnation; readonly bootNow: () => Moment },
): IncarnationRows {
  return {
    placeNow,
    read: () => read(kept),
    change: (decide) =>
      write(() => {
        const before = kept()
        const after = decide(before, bootNow())
        if (after !== before) writeIncarnation(sql, after)
        return after
      }),
  }
}
