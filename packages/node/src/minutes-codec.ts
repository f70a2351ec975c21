/** How rows of a minute are read and written, the same in both databases. */
import { REFRESH_OUTCOMES } from '@tokenkeep/core'
import { integer, json, text, textOrNull, type CellRecord } from './cells.ts'
import {
  TOOK_COLUMNS,
  type HandOutMinute,
  type HandOutRow,
  type HandOutsAsked,
  type RefreshesAsked,
  type RefreshMinute,
} from './minute-rows.ts'

export const HAND_OUT_COLUMNS = ['minute', 'caller', 'identity', 'uid', 'count'] as const
export const REFRESH_COLUMNS: readonly string[] = ['minute', 'provider', 'outcome', 'count', ...TOOK_COLUMNS]

/** Two that write at once lock rows in one order. */
export const inOrder = <Row>(rows: readonly Row[], keyOf: (row: Row) => string): Row[] =>
  rows.toSorted((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1))

/** @returns the text behind the table's name */
const adding = (key: readonly string[], counts: readonly string[]): string =>
  `ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${counts.map((column) => `${column} = t.${column} + excluded.${column}`).join(', ')}`
export const ADDING_HAND_OUTS = adding(['minute', 'caller', 'identity', 'uid'], ['count'])
export const ADDING_REFRESHES = adding(['minute', 'provider', 'outcome'], ['count', ...TOOK_COLUMNS])

export const handOutValues = ({ minute, caller, identity, uid, count }: HandOutMinute): (string | number)[] => [
  minute,
  caller,
  identity,
  uid,
  count,
]
export const refreshValues = ({ minute, provider, outcome, count, took }: RefreshMinute): (string | number)[] => [
  minute,
  provider,
  outcome,
  count,
  ...took,
]

export interface MinuteTables {
  readonly handOuts: string
  readonly refreshes: string
  readonly connections: string
}

/** Newest first. What is called by an id is joined behind the limit, so that a page costs the same wherever it begins. */
export function selectHandOuts(of: MinuteTables, by: { readonly uid: boolean; readonly behind: boolean }): string {
  const conditions = [
    ...(by.uid ? ['uid = ?'] : []),
    'minute >= ?',
    'minute <= ?',
    ...(by.behind ? ['(minute, caller, identity, uid) < (?, ?, ?, ?)'] : []),
  ]
  const order = (table: string) =>
    ['minute', 'caller', 'identity', 'uid'].map((column) => `${table}${column} DESC`).join(', ')
  return `
    SELECT h.minute, h.caller, h.identity, h.uid, h.count, c.id AS connection, c.labels
    FROM (SELECT minute, caller, identity, uid, count FROM ${of.handOuts}
      WHERE ${conditions.join(' AND ')} ORDER BY ${order('')} LIMIT ?) h
    LEFT JOIN ${of.connections} c ON c.uid = h.uid
    ORDER BY ${order('h.')}`
}

export const handOutsValues = ({ from, to, uid, behind, most }: HandOutsAsked): (string | number)[] => [
  ...(uid === null ? [] : [uid]),
  from,
  to,
  ...(behind === null ? [] : [behind.minute, behind.caller, behind.identity, behind.uid]),
  most,
]

export function selectRefreshes(of: MinuteTables, by: { readonly provider: boolean }): string {
  const sums = ['count', ...TOOK_COLUMNS].map((column) => `CAST(SUM(${column}) AS bigint) AS ${column}`)
  return `
    SELECT s.start AS minute, s.provider, s.outcome, ${sums.join(', ')}
    FROM (SELECT minute - minute % ? AS start, t.* FROM ${of.refreshes} t
      WHERE minute >= ? AND minute <= ?${by.provider ? ' AND provider = ?' : ''}) s
    GROUP BY s.start, s.provider, s.outcome`
}

export const refreshesValues = ({ from, to, stepMs, provider }: RefreshesAsked): (string | number)[] => [
  stepMs,
  from,
  to,
  ...(provider === null ? [] : [provider]),
]

/** The one that has the id, else the one that was erased last. */
export const selectUid = ({ connections }: MinuteTables): string => `
  SELECT uid FROM (
    SELECT uid, 1 AS living, updated_at FROM ${connections} WHERE id = ? AND status <> 'erased'
    UNION ALL SELECT uid, 0, updated_at FROM ${connections} WHERE id = ? AND status = 'erased') c
  ORDER BY living DESC, updated_at DESC LIMIT 1`

export function readHandOutRow(record: CellRecord): HandOutRow {
  return {
    minute: integer(record, 'minute'),
    caller: text(record, 'caller'),
    identity: text(record, 'identity'),
    uid: text(record, 'uid'),
    count: integer(record, 'count'),
    connection: textOrNull(record, 'connection'),
    labels: record['labels'] === null ? {} : (json(record, 'labels') as HandOutRow['labels']),
  }
}

export function readRefreshMinute(record: CellRecord): RefreshMinute {
  const outcome = REFRESH_OUTCOMES.find((each) => each === record['outcome'])
  if (outcome === undefined) throw new Error('the database holds an outcome that this program does not write')
  return {
    minute: integer(record, 'minute'),
    provider: text(record, 'provider'),
    outcome,
    count: integer(record, 'count'),
    took: TOOK_COLUMNS.map((column) => integer(record, column)),
  }
}
