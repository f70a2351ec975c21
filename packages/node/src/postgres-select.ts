/** The queries about connections as Postgres takes them. What it shares with the other engine is in `connection-select.ts`. */
import { HELD_BACK, NUMBERS, URGENCIES } from '@tokenkeep/core'
import { connectionQueries, type Dialect } from './connection-select.ts'
import { walkQueries } from './connection-walk.ts'
import { overviewQueries } from './overview-select.ts'
import { CLOCK, statement, tableIn, type Statement } from './postgres-statement.ts'
import { CLIENT_COLUMNS } from './registry-codec.ts'

const CLIENT_CELLS = CLIENT_COLUMNS.split(',')
  .map((column) => column.trim())
  .map((column) => `k.${column} AS client_${column}`)
  .join(', ')

export function postgresQueries(schema: string) {
  const table = tableIn(schema)
  const connection = table('connection')
  const dialect: Dialect = {
    table,
    besides: `p.revision AS provider_revision, p.settings AS provider_settings, ${CLIENT_CELLS}, ${CLOCK} AS store_now,
      (SELECT hold FROM ${table('installation')}) AS hold`,
    siblings: `(SELECT coalesce(json_agg(json_build_array(s.attempt, s.fence, s.sibling::json,
        s.refresh_token_facts::json, encode(s.refresh_token, 'hex')) ORDER BY s.fence DESC), '[]'::json)::text
      FROM ${table('held_answer')} s WHERE s.uid = c.uid AND s.kind = 'sibling')`,
    labelled: `${table('label')} l JOIN ${connection} c ON c.uid = l.uid`,
    inOrder: 'JOIN',
    given: 'json_array_elements_text(?::json) AS j (value)',
    uids: (condition) => `coalesce(json_agg(c.uid ORDER BY c.id) FILTER (WHERE ${condition}), '[]'::json)::text`,
    presenting: `${connection} c`,
    heartbeat: `(c.state::json #>> '{attempt,heartbeat}')::bigint`,
  }
  const { whole, ...shared } = connectionQueries(dialect)
  const prepared = Object.fromEntries(Object.entries(shared).map(([name, text]) => [name, statement(text)]))
  return {
    ...(prepared as Record<keyof typeof shared, Statement>),
    walk: walkQueries(dialect),
    overview: overviewQueries(dialect),
    clock: statement(`SELECT ${CLOCK} AS store_now`),
    /** Of two arrays, uids and the revisions that were seen of them: the connections that have another one now. */
    other: statement(`
      ${whole(`unnest(?::text[], ?::bigint[]) AS j (uid, revision) JOIN ${connection} c ON c.uid = j.uid`)}
      WHERE c.revision <> j.revision`),
    /**
     * The most urgent that are due, the longest due first, without what some providers hold back. One short range of the index
     * for each urgency: what is not due is never looked at.
     *
     * Values: store time or null for the server's own, providers to leave out, how many.
     */
    due: statement(dueText(connection, whole)),
    lock: statement(`SELECT uid FROM ${connection} WHERE uid = ? FOR UPDATE`),
    /** Held until the transaction ends: who else is about to write this refresh token waits. */
    lockToken: statement(`SELECT pg_advisory_xact_lock(hashtextextended(?, 0))`),
    termsOf: statement(`
      SELECT p.id AS provider, k.id AS client, p.revision AS provider_revision, p.settings AS provider_settings,
        ${CLIENT_CELLS}, (SELECT hold FROM ${table('installation')}) AS hold
      FROM ${table('client')} k JOIN ${table('provider')} p ON p.id = k.provider WHERE k.id = ?`),
  }
}

/** What is in its last moment meanwhile is left out of no provider. */
const HELD_BACK_TEXT = `AND (provider <> ALL ((SELECT out FROM moment)::text[])
         OR refresh_token_ends_at <= (SELECT at FROM moment) + ${NUMBERS.endMarginMostMs})`

function dueText(connection: string, whole: (source: string) => string): string {
  const ranges = Object.values(URGENCIES).map((urgency) => {
    const without = HELD_BACK.includes(urgency) ? HELD_BACK_TEXT : ''
    return `
      (SELECT uid, urgency, due_at FROM ${connection}
       WHERE urgency = ${urgency} AND due_at <= (SELECT at FROM moment) ${without}
       ORDER BY due_at LIMIT (SELECT most FROM moment))`
  })
  return `
    WITH moment AS MATERIALIZED (SELECT coalesce(?::bigint, floor(${CLOCK})::bigint) AS at, ?::text[] AS out, ?::bigint AS most),
    due AS MATERIALIZED (
      SELECT * FROM (${ranges.join(' UNION ALL ')}) ranges ORDER BY urgency, due_at LIMIT (SELECT most FROM moment))
    ${whole(`due JOIN ${connection} c ON c.uid = due.uid`)} ORDER BY due.urgency, due.due_at, c.uid`
}
