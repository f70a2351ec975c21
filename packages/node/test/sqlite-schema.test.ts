import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { MIGRATIONS } from '../src/sqlite-schema.ts'

function schema(): DatabaseSync {
  const sql = new DatabaseSync(':memory:')
  for (const migration of MIGRATIONS) sql.exec(migration)
  return sql
}

const names = (sql: DatabaseSync, query: string): string[] =>
  sql
    .prepare(query)
    .all()
    .map(({ name }) => String(name))

const tables = (sql: DatabaseSync): string[] =>
  names(sql, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'sqlite_sequence'`)

/** The first cells of the tables in `docs/storage.md`, under the heading that names the table. */
function documented(): Record<string, string[]> {
  const text = readFileSync(new URL('../../../docs/storage.md', import.meta.url), 'utf8')
  const sections = text.split(/^## /m).filter((section) => section.startsWith('`'))
  return Object.fromEntries(
    sections.map((section) => {
      const rows = section.split('\n').filter((line) => line.startsWith('| `'))
      const columns = rows.flatMap((line) =>
        [...(line.split(' | ')[0] ?? '').matchAll(/`(\w+)`/g)].map(([, name = '']) => name),
      )
      return [section.slice(1, section.indexOf('`', 1)), columns]
    }),
  )
}

test('docs/storage.md lists exactly the tables and columns that there are', () => {
  const sql = schema()
  const stored = Object.fromEntries(
    tables(sql).map((table) => [table, names(sql, `SELECT name FROM pragma_table_info('${table}')`)]),
  )
  const sorted = (lists: Record<string, string[]>) =>
    Object.fromEntries(Object.entries(lists).map(([table, columns]) => [table, columns.toSorted()]))
  assert.deepEqual(sorted(documented()), sorted(stored))
})

test('docs/storage.md marks as sealed exactly the columns that hold bytes', () => {
  const sql = schema()
  const text = readFileSync(new URL('../../../docs/storage.md', import.meta.url), 'utf8')
  const marked = text
    .split('\n')
    .filter((line) => /\|\s*\*\*sealed\*\*\s*\|/.test(line))
    .flatMap((line) => [...(line.split(' | ')[0] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name))
  const bytes = tables(sql).flatMap((table) =>
    names(sql, `SELECT name FROM pragma_table_info('${table}') WHERE type = 'BLOB'`),
  )
  assert.deepEqual(marked.toSorted(), bytes.toSorted())
})

test('the tables refuse what no rule writes', () => {
  const sql = schema()
  sql.exec(`
    INSERT INTO provider VALUES ('p', 1, '{}');
    INSERT INTO client (id, revision, provider, client_id, token_endpoint_auth_method) VALUES ('c', 1, 'p', 'c', 'none')`)
  const row = { uid: `'u'`, id: `'a'`, status: `'ready'`, state: `'{}'`, due_at: 'NULL' }
  const insert = (changes: Partial<typeof row>): void => {
    const { uid, id, status, state, due_at } = { ...row, ...changes }
    sql.exec(`INSERT INTO connection (uid, id, provider, client, grant_type, labels, grant_no, generation, revision, fence,
        status, state, due_at, urgency, created_at, updated_at)
      VALUES (${uid}, ${id}, 'p', 'c', 'refresh_token', '{}', 1, 1, 1, 0, ${status}, ${state}, ${due_at}, 1, 0, 0)`)
  }
  insert({})
  assert.throws(() => insert({ uid: `'v'` }), /UNIQUE/, 'a second living connection of one id')
  insert({ uid: `'v'`, status: `'erased'` })
  insert({ uid: `'w'`, status: `'erased'` })
  assert.throws(() => insert({ uid: `'x'`, id: `'b'`, status: `'lost'` }), /CHECK/, 'a state that is none')
  assert.throws(() => insert({ uid: `'x'`, id: `'b'`, state: `'{'` }), /CHECK/, 'what is no JSON')
  for (const status of [`'presenting'`, `'in_doubt'`, `'suspect'`, `'blocked'`, `'deleting'`]) {
    assert.throws(() => insert({ uid: `'x'`, id: `'b'`, status }), /CHECK/, 'a state that nothing would ever end')
    insert({ uid: status, id: status, status, due_at: '5' })
  }
})
