/** The life of a database, as its one row in `installation` keeps it. */
import type { Hold, Incarnation, Moment } from '@tokenkeep/core'
import { integer, jsonOrNull, text, textOrNull, type CellRecord } from './cells.ts'
import type { Ask, PostgresDatabase } from './postgres-database.ts'
import { statement, tableIn, type Statement } from './postgres-statement.ts'
import type { IncarnationRows } from './store-rows.ts'

// What this program wrote; the schema checks that it is JSON.
export const holdIn = (record: CellRecord): Hold | null => jsonOrNull(record, 'hold') as Hold | null

export const incarnationIn = (record: CellRecord): Incarnation => ({
  installation: text(record, 'installation'),
  place: textOrNull(record, 'place'),
  epoch: integer(record, 'epoch'),
  branch: textOrNull(record, 'branch'),
  hold: holdIn(record),
})

/** To be asked inside a transaction. */
export function writingOf(
  schema: string,
  life: Incarnation,
): { statement: Statement; values: (string | number | null)[] } {
  const { place, epoch, branch, hold } = life
  return {
    statement: statement(`UPDATE ${tableIn(schema)('installation')} SET place = ?, epoch = ?, branch = ?, hold = ?`),
    values: [place, epoch, branch, hold === null ? null : JSON.stringify(hold)],
  }
}

export function postgresIncarnation({
  database: { schema, placeNow, read, transaction },
  now,
}: {
  readonly database: PostgresDatabase
  readonly now: (ask: Ask) => Promise<Moment>
}): IncarnationRows {
  const kept = `SELECT installation, place, epoch, branch, hold FROM ${tableIn(schema)('installation')}`
  return {
    placeNow,
    read: async () => incarnationIn((await read(statement(kept)))[0] ?? {}),
    change: (decide) =>
      transaction(async (ask) => {
        const [[record = {}], at] = await Promise.all([ask(statement(`${kept} FOR UPDATE`)), now(ask)])
        const before = incarnationIn(record)
        const after = decide(before, at)
        if (after === before) return before
        const writing = writingOf(schema, after)
        await ask(writing.statement, writing.values)
        return after
      }),
  }
}
