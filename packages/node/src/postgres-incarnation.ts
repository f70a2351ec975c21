/** The life of a database, as its one row in `installation` keeps it. */
import type { Incarnation, Moment } from '@tokenkeep/core'
import { INCARNATION_COLUMNS, INCARNATION_PUT, incarnationIn, incarnationValues } from './incarnation-codec.ts'
import type { Ask, PostgresDatabase } from './postgres-database.ts'
import { statement, tableIn, type Statement } from './postgres-statement.ts'
import type { IncarnationRows } from './store-rows.ts'

/** To be asked inside a transaction. */
export function writingOf(
  schema: string,
  life: Incarnation,
): { statement: Statement; values: (string | number | null)[] } {
  return {
    statement: statement(`UPDATE ${tableIn(schema)('installation')} SET ${INCARNATION_PUT}`),
    values: incarnationValues(life),
  }
}

export function postgresIncarnation({
  database: { schema, placeNow, read, transaction },
  now,
}: {
  readonly database: PostgresDatabase
  readonly now: (ask: Ask) => Promise<Moment>
}): IncarnationRows {
  const kept = `SELECT ${INCARNATION_COLUMNS} FROM ${tableIn(schema)('installation')}`
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
