/** Counts by the minute in SQLite. */
import { text } from './cells.ts'
import { MINUTE_MS, type MinuteRows } from './minute-rows.ts'
import {
  ADDING_HAND_OUTS,
  ADDING_REFRESHES,
  HAND_OUT_COLUMNS,
  handOutsValues,
  handOutValues,
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
import type { SqliteDatabase } from './sqlite-database.ts'
import { preparedOnDemand } from './sqlite-on-demand.ts'

const TABLES: MinuteTables = { handOuts: 'handout_minute', refreshes: 'refresh_minute', connections: 'connection' }
const placeholders = (columns: readonly string[]): string => columns.map(() => '?').join(', ')

/** Every statement by what it is for. */
export const MINUTE_STATEMENTS = {
  addHandOuts: `INSERT INTO handout_minute AS t (${HAND_OUT_COLUMNS.join(', ')})
    VALUES (${placeholders(HAND_OUT_COLUMNS)}) ${ADDING_HAND_OUTS}`,
  addRefreshes: `INSERT INTO refresh_minute AS t (${REFRESH_COLUMNS.join(', ')})
    VALUES (${placeholders(REFRESH_COLUMNS)}) ${ADDING_REFRESHES}`,
  forgetHandOuts: `
    DELETE FROM handout_minute WHERE (minute, caller, identity, uid) IN (
      SELECT minute, caller, identity, uid FROM handout_minute WHERE minute < ? ORDER BY minute LIMIT ?)`,
  forgetRefreshes: `
    DELETE FROM refresh_minute WHERE (minute, provider, outcome) IN (
      SELECT minute, provider, outcome FROM refresh_minute WHERE minute < ? ORDER BY minute LIMIT ?)`,
  handOuts: selectHandOuts(TABLES, { uid: false, behind: false }),
  handOutsBehind: selectHandOuts(TABLES, { uid: false, behind: true }),
  handOutsOf: selectHandOuts(TABLES, { uid: true, behind: false }),
  handOutsOfBehind: selectHandOuts(TABLES, { uid: true, behind: true }),
  refreshes: selectRefreshes(TABLES, { provider: false }),
  refreshesOf: selectRefreshes(TABLES, { provider: true }),
  uidOf: selectUid(TABLES),
} as const

export function sqliteMinutes({ sql, read, write }: SqliteDatabase): MinuteRows {
  const prepared = preparedOnDemand(sql)
  const statement = (name: keyof typeof MINUTE_STATEMENTS) => prepared(MINUTE_STATEMENTS[name])
  return {
    addHandOuts: (rows) =>
      write(() => {
        for (const row of rows) statement('addHandOuts').run(...handOutValues(row))
      }),
    addRefreshes: (rows) =>
      write(() => {
        for (const row of rows) statement('addRefreshes').run(...refreshValues(row))
      }),
    forgetHandOuts: (before, most) => write(() => Number(statement('forgetHandOuts').run(before, most).changes)),
    forgetRefreshes: (before, most) => write(() => Number(statement('forgetRefreshes').run(before, most).changes)),
    handOuts: (asked) =>
      read(() => {
        const behind = asked.behind === null ? '' : 'Behind'
        const found = statement(asked.uid === null ? `handOuts${behind}` : `handOutsOf${behind}`)
        return found.all(...handOutsValues(asked)).map(readHandOutRow)
      }),
    uidOf: (connection) =>
      read(() => {
        const record = statement('uidOf').get(connection, connection)
        return record === undefined ? null : text(record, 'uid')
      }),
    refreshes: (asked) =>
      read(() =>
        statement(asked.provider === null ? 'refreshes' : 'refreshesOf')
          .all(...refreshesValues(asked))
          .map(readRefreshMinute),
      ),
    // With ten providers some 1,500 rows, 2 ms.
    readAtOnceMs: 120 * MINUTE_MS,
  }
}
