/** Recorded events in SQLite: writers come one after another, so the order of the keys is that of the commits. */
import { text } from './cells.ts'
import {
  EVENT_COLUMNS,
  PRUNED,
  eventQuery,
  eventValues,
  lookedThrough,
  prunedValues,
  readEvent,
} from './event-codec.ts'
import type { EventQuery, EventRows } from './event-rows.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { preparedOnDemand } from './sqlite-on-demand.ts'

/** Every statement by what it is for; the queries are of {@link eventQuery}. */
export const EVENT_STATEMENTS = {
  // Also where all of them are gone.
  newest: `SELECT seq AS position FROM sqlite_sequence WHERE name = 'event'`,
  idAt: 'SELECT id FROM event WHERE position = ?',
  record: `INSERT INTO event (${EVENT_COLUMNS}, once) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (once) WHERE once IS NOT NULL DO NOTHING`,
  oldest: 'SELECT position, at FROM event WHERE position > ? ORDER BY position LIMIT ?',
  prune: `DELETE FROM event WHERE ${PRUNED}`,
} as const

export function sqliteEvents({ sql, read, write }: SqliteDatabase): EventRows {
  const statement = preparedOnDemand(sql)
  return {
    read: (query: EventQuery) =>
      read(() => {
        const { text: of, values } = eventQuery('event', query)
        return statement(of)
          .all(...values)
          .map(readEvent)
      }),
    newest: () => read(() => Number(statement(EVENT_STATEMENTS.newest).get()?.['position'] ?? 0)),
    idAt: (position) =>
      read(() => {
        const record = statement(EVENT_STATEMENTS.idAt).get(position)
        return record === undefined ? null : text(record, 'id')
      }),
    record: (event, once) => write(() => void statement(EVENT_STATEMENTS.record).run(...eventValues(event), once)),
    prune: async (from, before, limit) => {
      const page = await read(() => statement(EVENT_STATEMENTS.oldest).all(from, limit))
      const to = lookedThrough(page, before)
      if (to === null) return from
      await write(() => void statement(EVENT_STATEMENTS.prune).run(...prunedValues(from, to, before)))
      return to
    },
  }
}
