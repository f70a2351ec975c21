/** Counts by the minute in Postgres. */
import { text } from './cells.ts'
import { HAND_OUT_ROWS, REFRESH_ROWS } from './minute-counts.ts'
import { MINUTE_MS, type MinuteRows } from './minute-rows.ts'
import {
  ADDING_HAND_OUTS,
  ADDING_REFRESHES,
  HAND_OUT_COLUMNS,
  handOutsValues,
  inOrder,
  readHandOutRow,
  readRefreshMinute,
  REFRESH_COLUMNS,
  refreshesValues,
  refreshValues,
  selectHandOuts,
  selectRefreshes,
  selectUid,
  type MinuteTables,
} from './minutes-codec.ts'
import type { PostgresDatabase } from './postgres-database.ts'
import { statement, tableIn } from './postgres-statement.ts'

/** Every statement by what it is for. */
export function minuteStatements(schema: string) {
  const tables: MinuteTables = {
    handOuts: tableIn(schema)('handout_minute'),
    refreshes: tableIn(schema)('refresh_minute'),
    connections: tableIn(schema)('connection'),
  }
  /** All rows in one statement, as JSON: a statement each would be a way each. */
  const add = (table: string, columns: readonly string[], words: readonly string[], adding: string) => {
    const typed = columns.map((column) => `${column} ${words.includes(column) ? 'text' : 'bigint'}`)
    return statement(`
      INSERT INTO ${table} AS t (${columns.join(', ')})
      SELECT ${columns.join(', ')} FROM json_to_recordset(?::json) AS r(${typed.join(', ')}) ${adding}`)
  }
  // Two that forget at once leave each other's to each other.
  const forget = (table: string, key: string) =>
    statement(`
      DELETE FROM ${table} WHERE (${key}) IN (
        SELECT ${key} FROM ${table} WHERE minute < ? ORDER BY minute LIMIT ? FOR UPDATE SKIP LOCKED) RETURNING 1`)
  return {
    addHandOuts: add(tables.handOuts, HAND_OUT_COLUMNS, ['caller', 'identity', 'uid'], ADDING_HAND_OUTS),
    addRefreshes: add(tables.refreshes, REFRESH_COLUMNS, ['provider', 'outcome'], ADDING_REFRESHES),
    forgetHandOuts: forget(tables.handOuts, 'minute, caller, identity, uid'),
    forgetRefreshes: forget(tables.refreshes, 'minute, provider, outcome'),
    handOuts: (by: { readonly uid: boolean; readonly behind: boolean }) => statement(selectHandOuts(tables, by)),
    refreshes: (by: { readonly provider: boolean }) => statement(selectRefreshes(tables, by)),
    uidOf: statement(selectUid(tables)),
  }
}

export function postgresMinutes({ schema, read, write }: PostgresDatabase): MinuteRows {
  const sql = minuteStatements(schema)
  const named = (columns: readonly string[], values: readonly (string | number)[]) =>
    Object.fromEntries(columns.map((column, at) => [column, values[at]]))
  return {
    addHandOuts: async (rows) => {
      const sorted = inOrder(rows, HAND_OUT_ROWS.keyOf)
      await write(sql.addHandOuts, [JSON.stringify(sorted)])
    },
    addRefreshes: async (rows) => {
      const sorted = inOrder(rows, REFRESH_ROWS.keyOf)
      await write(sql.addRefreshes, [JSON.stringify(sorted.map((row) => named(REFRESH_COLUMNS, refreshValues(row))))])
    },
    forgetHandOuts: async (before, most) => (await write(sql.forgetHandOuts, [before, most])).length,
    forgetRefreshes: async (before, most) => (await write(sql.forgetRefreshes, [before, most])).length,
    async handOuts(asked) {
      const found = sql.handOuts({ uid: asked.uid !== null, behind: asked.behind !== null })
      return (await read(found, handOutsValues(asked))).map(readHandOutRow)
    },
    async uidOf(connection) {
      const [record] = await read(sql.uidOf, [connection, connection])
      return record === undefined ? null : text(record, 'uid')
    },
    async refreshes(asked) {
      const found = await read(sql.refreshes({ provider: asked.provider !== null }), refreshesValues(asked))
      return found.map(readRefreshMinute)
    },
    // Its own process reads them. So many rows come at once.
    readAtOnceMs: 1440 * MINUTE_MS,
  }
}
