/** Recorded events as rows, the same for both engines. */
import {
  ROUTINE_EVENT,
  type ClientId,
  type ConnectionId,
  type NewEvent,
  type ProviderId,
  type RecordedEventType,
  type Uid,
  type UnixMs,
} from '@tokenkeep/core'
import { integer, json, text, textOrNull, type CellRecord } from './cells.ts'
import type { Ages, EventQuery, StoredEvent } from './event-rows.ts'

/** Position and id are given by the database. */
export const EVENT_COLUMNS = 'type, at, uid, connection, provider, client, labels, data'

export const eventValues = (event: NewEvent) =>
  [
    event.type,
    Math.round(event.at),
    event.uid,
    event.connection,
    event.provider,
    event.client,
    JSON.stringify(event.labels),
    JSON.stringify(event.data),
  ] as const

export const readEvent = (record: CellRecord): StoredEvent => ({
  position: integer(record, 'position'),
  id: text(record, 'id'),
  type: text(record, 'type') as RecordedEventType,
  at: integer(record, 'at') as UnixMs,
  uid: textOrNull(record, 'uid') as Uid | null,
  connection: textOrNull(record, 'connection') as ConnectionId | null,
  provider: textOrNull(record, 'provider') as ProviderId | null,
  client: textOrNull(record, 'client') as ClientId | null,
  labels: json(record, 'labels') as Readonly<Record<string, string>>,
  data: json(record, 'data') as Readonly<Record<string, unknown>>,
})

/** The conditions are those of the indices. */
export function eventQuery(
  table: string,
  { from, newestFirst, notableOnly, connection, limit }: EventQuery,
): { readonly text: string; readonly values: readonly (string | number)[] } {
  const conditions: string[] = []
  const values: (string | number)[] = []
  if (connection !== null) {
    conditions.push('connection = ?')
    values.push(connection)
  }
  conditions.push(`position ${newestFirst ? '<' : '>'} ?`)
  values.push(from ?? (newestFirst ? Number.MAX_SAFE_INTEGER : 0))
  if (notableOnly) conditions.push(NOTABLE)
  return {
    text: `SELECT position, id, ${EVENT_COLUMNS} FROM ${table} WHERE ${conditions.join(' AND ')}
      ORDER BY position ${newestFirst ? 'DESC' : 'ASC'} LIMIT ?`,
    values: [...values, limit],
  }
}

/** Up to where a page of the oldest events is looked through: what is too young for every end is where looking stops. */
export const lookedThrough = (page: readonly CellRecord[], { routine }: Ages): number | null => {
  const last = page.filter((each) => integer(each, 'at') < routine).at(-1)
  return last === undefined ? null : integer(last, 'position')
}

/** What of it goes, and what is only too young to go: after the place, the values of both engines. */
export const PRUNED = `position > ? AND position <= ? AND at < CASE type WHEN '${ROUTINE_EVENT}' THEN CAST(? AS bigint) ELSE CAST(? AS bigint) END`
export const prunedValues = (from: number, to: number, { routine, notable }: Ages): readonly number[] => [
  from,
  to,
  Math.floor(routine),
  Math.floor(notable),
]

/** As the partial index says it. */
const NOTABLE = `type <> '${ROUTINE_EVENT}'`
