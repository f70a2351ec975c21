/** The life of a database, as its one row in `installation` keeps it. */
import type { DatabaseSync } from 'node:sqlite'
import type { Incarnation, Moment } from '@tokenkeep/core'
import { INCARNATION_COLUMNS, INCARNATION_PUT, incarnationIn, incarnationValues } from './incarnation-codec.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import type { IncarnationRows } from './store-rows.ts'

const SELECT = `SELECT ${INCARNATION_COLUMNS} FROM installation`

/** Reads it within a transaction or a query. */
export function incarnationReader(sql: DatabaseSync): () => Incarnation {
  const select = sql.prepare(SELECT)
  return () => incarnationIn(select.get() ?? {})
}

/** To be called inside a transaction. */
export function writeIncarnation(sql: DatabaseSync, life: Incarnation): void {
  sql.prepare(`UPDATE installation SET ${INCARNATION_PUT}`).run(...incarnationValues(life))
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
