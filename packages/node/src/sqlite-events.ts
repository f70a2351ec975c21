/** Recorded events in SQLite: writers come one after another, so the order of the keys is that of the commits. */
import type { StatementSync } from 'node:sqlite'
import { ROUTINE_EVENT } from '@tokenkeep/core'
import { integer, text } from './cells.ts'
import { EVENT_COLUMNS, eventQuery, eventValues, readEvent } from './event-codec.ts'
import type { EventQuery, EventRows } from './event-rows.ts'
import type { SqliteDatabase } from './sqlite-database.ts'

/** Every statement by what it is for; the queries are of {@link eventQuery}. */
export const EVENT_STATEMENTS = {
  // Also where all of them are gone.
  newest: `SELECT seq AS position FROM sqlite_sequence WHERE name = 'event'`,
  idAt: 'SELECT id FROM event WHERE position = ?',
  record: `INSERT INTO event (${EVENT_COLUMNS}, once) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (once) WHERE once IS NOT NULL DO NOTHING`,
  oldest: 'SELECT position, type, at FROM event WHERE position > ? AND position <= ? ORDER BY position LIMIT ?',
  prune: `
    DELETE FROM event WHERE position > ? AND position <= ? AND at < CASE type WHEN '${ROUTINE_EVENT}' THEN ? ELSE ? END`,
} as const

export function sqliteEvents({ sql, read, write }: SqliteDatabase): EventRows {
  const known = new Map<string, StatementSync>()
  const statement = (of: string): StatementSync => {
    const prepared = known.get(of) ?? sql.prepare(of)
    known.set(of, prepared)
    return prepared
  }
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
    prune: async (from, before, readUpTo, limit) => {
      const page = await read(() => statement(EVENT_STATEMENTS.oldest).all(from, readUpTo, limit))
      // What is too young for every end is where looking stops; what is only too young to go is passed.
      const passed = page.filter((each) => integer(each, 'at') < before.routine)
      const last = passed.at(-1)
      if (last === undefined) return from
      const to = integer(last, 'position')
      await write(
        () =>
          void statement(EVENT_STATEMENTS.prune).run(from, to, Math.floor(before.routine), Math.floor(before.notable)),
      )
      return to
    },
  }
}
