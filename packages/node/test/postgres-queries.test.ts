import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  TROUBLES,
  URGENCIES,
  type ClientId,
  type ConnectionId,
  type ListQuery,
  type ProviderId,
  type UnixMs,
} from '@tokenkeep/core'
import { callerStatements } from '../src/postgres-callers.ts'
import { eventQuery } from '../src/event-codec.ts'
import { eventStatements } from '../src/postgres-events.ts'
import { receivedEventStatements } from '../src/postgres-received-events.ts'
import { connectSessionStatements } from '../src/postgres-connect-sessions.ts'
import { pageSessionStatements } from '../src/postgres-page-sessions.ts'
import { postgresQueries } from '../src/postgres-select.ts'
import { passing, statement, type Statement } from '../src/postgres-statement.ts'
import { postgresWriter } from '../src/postgres-write.ts'
import { lacksPostgres, postgres, postgresBackend } from './contract/postgres-backend.ts'

/** `installation` has one row. */
const WALKED = /Seq Scan on (?!installation)/

/** Asks for plans in a schema of our own, in which every sequential scan costs more than any index. */
async function planner() {
  const backend = await postgresBackend()
  const { server } = await postgres()
  const [database] = backend.databases
  assert.ok(database !== undefined)
  const name = new URL(backend.url).pathname.slice(1)
  return {
    schema: database.schema,
    plan: async ({ text }: Statement): Promise<string> => {
      const rows = await server.admin(
        `SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; EXPLAIN (GENERIC_PLAN, COSTS OFF) ${text}`,
        name,
      )
      return rows.map((row) => String(row['QUERY PLAN'])).join('\n')
    },
    columns: async (): Promise<Record<string, string[]>> => {
      const rows = await server.admin(
        `SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = '${database.schema}'`,
        name,
      )
      const tables: Record<string, string[]> = {}
      for (const { table_name: table, column_name: column } of rows) (tables[String(table)] ??= []).push(String(column))
      return tables
    },
    end: backend.end,
  }
}

test('what is asked about one connection, and what is due, is found by an index in every table', async (t) => {
  if (lacksPostgres(t)) return
  const { schema, plan, end } = await planner()
  const { walk: _, overview: __, clock: ___, ...queries } = postgresQueries(schema)
  const statements = Object.entries({
    ...queries,
    forget: postgresWriter({ schema }).forget(0 as UnixMs).statement,
  })
  for (const [name, query] of statements) {
    assert.doesNotMatch(await plan(query), WALKED, name)
  }
  const due = await plan(queries.due)
  assert.equal(
    [...due.matchAll(/Index (?:Only )?Scan using connection_due/g)].length,
    Object.values(URGENCIES).length,
    due,
  )
  await end()
})

test('of recorded events, everything is found by an index, and pages walk one', async (t) => {
  if (lacksPostgres(t)) return
  const { schema, plan, end } = await planner()
  const { record: _, ...statements } = eventStatements(schema)
  // `event_placed` has one row.
  const walked = /Seq Scan on (?!event_placed)/
  for (const [name, text] of Object.entries(statements)) assert.doesNotMatch(await plan(text), walked, name)
  const all = { from: null, newestFirst: false, notableOnly: false, connection: null, limit: 10 }
  for (const [query, index] of [
    [{}, 'event_position_key'],
    [{ notableOnly: true }, 'event_notable'],
    [{ connection: 'a' as ConnectionId, newestFirst: true }, 'event_of_connection'],
  ] as const) {
    const text = await plan(passing(eventQuery(`"${schema}".event`, { ...all, ...query }).text))
    assert.ok(text.includes(index) && !text.includes('Sort'), `${JSON.stringify(query)}\n${text}`)
  }
  await end()
})

test('a list walks the index that is made for it', async (t) => {
  if (lacksPostgres(t)) return
  const { schema, plan, end } = await planner()
  const { walk: queries } = postgresQueries(schema)
  const lists: readonly (readonly [Partial<ListQuery>, readonly string[]])[] = [
    [{}, ['connection_living']],
    [{ provider: 'p' as ProviderId }, ['connection_of_provider']],
    [{ client: 'c' as ClientId }, ['connection_of_client']],
    [{ status: 'in_doubt' }, ['connection_troubled']],
    [{ status: ['blocked', 'needs_user'], after: 'x' as ConnectionId }, ['connection_troubled']],
    [{ labels: { team: 'blue' } }, ['label_value']],
    [{ status: 'needs_user', labels: { team: 'blue' } }, ['label_troubled', 'connection_troubled', 'label_value']],
    [{ search: 'dealer' }, ['connection_subject', 'connection_living']],
    [{ search: 'dealer' }, ['label_of_any_name', 'connection_living']],
  ]
  for (const [query, indexes] of lists) {
    const walk = queries.walk({ limit: 10, ...query }, 0 as UnixMs)
    assert.equal(walk?.sources.length, indexes.length)
    for (const [at, source] of (walk?.sources ?? []).entries()) {
      const stretch = { after: '', most: 10 }
      for (const page of [walk?.measure(source, stretch), walk?.look(source, stretch)]) {
        const text = await plan(passing(page?.text ?? assert.fail()))
        assert.ok(text.includes(indexes[at] ?? ''), `${JSON.stringify(query)}\n${text}`)
        assert.doesNotMatch(text, WALKED, JSON.stringify(query))
      }
    }
    assert.doesNotMatch(await plan(passing(walk?.whole(['u']).text ?? '')), WALKED)
  }
  const searched = await plan(passing(queries.measureSearch('dealer', 10).text))
  assert.ok(searched.includes('connection_subject') && searched.includes('label_of_any_name'), searched)
  await end()
})

test('an overview walks the indexes that are made for it', async (t) => {
  if (lacksPostgres(t)) return
  const { schema, plan, end } = await planner()
  const { overview } = postgresQueries(schema)
  const [now, until] = [0 as UnixMs, 1 as UnixMs]
  const from = { after: '', most: 10 }
  const labels = { team: 'blue', tier: '1' }
  for (const [name, page, index] of [
    ['labelled', overview.labelled(labels, from), 'label_value'],
    ...TROUBLES.map((each) => [each, overview.troubled(each, {}, now, from), 'connection_troubled'] as const),
    ...TROUBLES.map((each) => [each, overview.troubledInAll(each, from), 'connection_troubled'] as const),
    ['in doubt, labelled', overview.troubled('in_doubt', labels, now, from), 'label_troubled'],
    ['lapsing, labelled', overview.troubled('lapsing', labels, now, from), 'label_troubled'],
    ['presenting', overview.presenting(labels, 10), 'connection_attempt'],
    ['lapsed', overview.lapsed(now, 10), 'connection_expiring'],
    ['expiring', overview.expiring(labels, [now, until], 10), 'connection_expiring'],
    ['next', overview.next(labels, [now, until], 10), 'connection_expiring'],
  ] as const) {
    const text = await plan(statement(page.text))
    assert.ok(text.includes(index), `${name}\n${text}`)
    assert.doesNotMatch(text, WALKED, name)
  }
  await end()
})

test('of received events, everything is found by an index', async (t) => {
  if (lacksPostgres(t)) return
  const { schema, plan, end } = await planner()
  for (const [name, query] of Object.entries(receivedEventStatements(schema)))
    assert.doesNotMatch(await plan(query), WALKED, name)
  await end()
})

test('of callers, everything but the list of keys is found by an index', async (t) => {
  if (lacksPostgres(t)) return
  const { schema, plan, end } = await planner()
  const { apiKeys: _, ...statements } = callerStatements(schema)
  for (const [name, query] of Object.entries(statements)) assert.doesNotMatch(await plan(query), WALKED, name)
  await end()
})

test('of connect sessions, everything is found by an index', async (t) => {
  if (lacksPostgres(t)) return
  const { schema, plan, end } = await planner()
  for (const [name, query] of Object.entries(connectSessionStatements(schema)))
    assert.doesNotMatch(await plan(query), WALKED, name)
  await end()
})

test('of sessions of the page, everything is found by an index', async (t) => {
  if (lacksPostgres(t)) return
  const { schema, plan, end } = await planner()
  for (const [name, query] of Object.entries(pageSessionStatements(schema)))
    assert.doesNotMatch(await plan(query), WALKED, name)
  await end()
})

/** A file's version stands in its header, and a file belongs to one machine at a time; a database is for many. */
const installationOf = (documented: readonly string[]): string[] => [
  ...documented.filter((column) => column !== 'boot' && column !== 'boot_seen_at'),
  'version',
]

test('the tables and columns are those of docs/storage.md, but for what only a file needs, the version, and the order of events', async (t) => {
  if (lacksPostgres(t)) return
  const { columns, end } = await planner()
  const text = readFileSync(new URL('../../../docs/storage.md', import.meta.url), 'utf8')
  const documented = Object.fromEntries(
    text
      .split(/^## /m)
      .filter((section) => section.startsWith('`'))
      .map((section) => {
        const rows = section.split('\n').filter((line) => line.startsWith('| `'))
        const names = rows.flatMap((line) =>
          [...(line.split(' | ')[0] ?? '').matchAll(/`(\w+)`/g)].map(([, name = '']) => name),
        )
        const table = section.slice(1, section.indexOf('`', 1))
        if (table === 'event') return [table, [...names, 'number'].toSorted()]
        return [table, (table === 'installation' ? installationOf(names) : names).toSorted()]
      }),
  )
  documented['event_placed'] = ['last', 'only_row']
  const stored = Object.fromEntries(Object.entries(await columns()).map(([table, names]) => [table, names.toSorted()]))
  assert.deepEqual(stored, documented)
  await end()
})
