/**
 * Recorded events in Postgres. Transactions commit in another order than they write, so an event has no position when it is
 * written: whoever reads gives one to all that can be seen, in one transaction at a time. What a reader has passed never
 * gets company, and of one connection they stay in the order of its writes.
 */
import { integer, text } from './cells.ts'
import {
  EVENT_COLUMNS,
  PRUNED,
  eventQuery,
  eventValues,
  lookedThrough,
  prunedValues,
  readEvent,
} from './event-codec.ts'
import type { EventRows } from './event-rows.ts'
import type { PostgresDatabase } from './postgres-database.ts'
import { statement, tableIn } from './postgres-statement.ts'

/** A reader places so many at once: a short transaction, and the next reader does the rest. */
const PLACED_AT_ONCE = 1000

/** Every statement by what it is for; the queries are of {@link eventQuery}. */
export function eventStatements(schema: string) {
  const table = tableIn(schema)
  const [event, placed] = [table('event'), table('event_placed')]
  return {
    unplaced: statement(`SELECT 1 AS found FROM ${event} WHERE position IS NULL LIMIT 1`),
    // Whoever finds it locked reads what the other one has placed, and the rest a moment later.
    lock: statement(`SELECT last FROM ${placed} FOR UPDATE SKIP LOCKED`),
    place: statement(`
      WITH fresh AS (
        SELECT number, row_number() OVER (ORDER BY number) AS n
        FROM (SELECT number FROM ${event} WHERE position IS NULL ORDER BY number LIMIT ?) AS first
      ), moved AS (
        UPDATE ${event} e SET position = (SELECT last FROM ${placed}) + fresh.n
        FROM fresh WHERE e.number = fresh.number RETURNING 1
      )
      UPDATE ${placed} SET last = last + (SELECT count(*) FROM moved) RETURNING last`),
    newest: statement(`SELECT last FROM ${placed}`),
    idAt: statement(`SELECT id FROM ${event} WHERE position = ?`),
    record: statement(`
      INSERT INTO ${event} (${EVENT_COLUMNS}, once) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (once) WHERE once IS NOT NULL DO NOTHING`),
    oldest: statement(`SELECT position, at FROM ${event} WHERE position > ? ORDER BY position LIMIT ?`),
    prune: statement(`DELETE FROM ${event} WHERE ${PRUNED}`),
  }
}

export function postgresEvents({ schema, read, write, transaction }: PostgresDatabase): EventRows {
  const sql = eventStatements(schema)
  const event = tableIn(schema)('event')

  async function place(): Promise<void> {
    if ((await read(sql.unplaced)).length === 0) return
    await transaction(async (ask) => {
      // By a statement of its own: what the one before has placed is seen only by the next.
      if ((await ask(sql.lock)).length > 0) await ask(sql.place, [PLACED_AT_ONCE])
    })
  }

  return {
    read: async (query) => {
      await place()
      const { text: of, values } = eventQuery(event, query)
      return (await read(statement(of), values)).map(readEvent)
    },
    newest: async () => {
      await place()
      return integer((await read(sql.newest))[0] ?? {}, 'last')
    },
    idAt: async (position) => {
      const [record] = await read(sql.idAt, [position])
      return record === undefined ? null : text(record, 'id')
    },
    record: async (given, once) => void (await write(sql.record, [...eventValues(given), once])),
    prune: async (from, before, limit) => {
      const to = lookedThrough(await read(sql.oldest, [from, limit]), before)
      if (to === null) return from
      await write(sql.prune, prunedValues(from, to, before))
      return to
    },
  }
}
