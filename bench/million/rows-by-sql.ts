/**
 * A million connections, written by the database itself from one that was imported: of two large providers and a small one, ten
 * of a thousand in doubt, two that need their user; labels of half of them, of a hundredth, and of one alone.
 */

/** Runs one statement. */
export type Run = (sql: string) => Promise<void>

/** What the engines call differently. `i` counts from 1. */
export interface Spelling {
  /** A table `n` with the numbers `i`. */
  numbers(count: number): string
  /** A number with leading zeros. */
  padded(number: string): string
}

export const SQLITE: Spelling = {
  numbers: (count) =>
    `(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) SELECT i FROM n) n`,
  padded: (number) => `printf('%07d', ${number})`,
}

export const POSTGRES: Spelling = {
  numbers: (count) => `generate_series(1, ${count}) AS n (i)`,
  padded: (number) => `lpad((${number})::text, 7, '0')`,
}

const SINCE = '{"boot":"b","at":0,"wall":1700000000000}'
const IN_DOUBT = `{"since":${SINCE},"promptRetry":null,"silentSince":null,"backOff":null}`

/** What differs from the template, by column. Each tenth of a thousand is in doubt, and so on. */
const differing = ({ padded }: Spelling, now: number): Readonly<Record<string, string>> => ({
  uid: `'00000000-0000-4000-8000-00000' || ${padded('n.i')}`,
  id: `'dealer-' || ${padded('n.i')}`,
  provider: `CASE WHEN n.i % 100000 = 7 THEN 'small' WHEN n.i % 2 = 0 THEN 'large' ELSE 'other' END`,
  client: `CASE WHEN n.i % 100000 = 7 THEN 'small' WHEN n.i % 2 = 0 THEN 'large' ELSE 'other' END`,
  subject: `'user-' || ${padded('1000001 - n.i')} || '@example.org'`,
  labels: `'{"number":"' || n.i || '"}'`,
  status: `CASE WHEN n.i % 100 = 1 THEN 'in_doubt' WHEN n.i % 1000 = 500 THEN 'needs_user' WHEN n.i % 50000 = 9 THEN 'blocked' ELSE 'ready' END`,
  reason: `CASE WHEN n.i % 100 = 1 THEN NULL WHEN n.i % 1000 = 500 THEN 'revoked' WHEN n.i % 50000 = 9 THEN 'client' END`,
  state: `CASE WHEN n.i % 100 = 1 THEN '${IN_DOUBT}' WHEN n.i % 1000 = 500 THEN '{"reason":"revoked","since":1700000000000}'
    WHEN n.i % 50000 = 9 THEN '{"from":{"status":"ready","backOff":null},"reason":"client","word":null,"failures":1,"retryAt":9000000000000,"clientRevision":1,"providerRevision":1}'
    ELSE '{"backOff":null}' END`,
  refresh_token_fingerprint: `'fingerprint ' || n.i`,
  due_at: `${now + 86_400_000} + n.i`,
  expiring_at: `CASE WHEN n.i % 5000 = 3 THEN ${now + 3_600_000} + n.i END`,
})

export interface Columns {
  readonly connection: readonly string[]
  readonly access_token: readonly string[]
}

/** @param table of a name as the engine finds it */
export async function writeMillion(
  run: Run,
  {
    spelling,
    count,
    columns,
    table,
  }: { spelling: Spelling; count: number; columns: Columns; table: (name: string) => string },
): Promise<void> {
  const values = differing(spelling, Date.now())
  const connection = columns.connection.map((column) => values[column] ?? `t.${column}`)
  const numbers = spelling.numbers(count)
  await run(`INSERT INTO ${table('connection')} (${columns.connection.join(', ')})
    SELECT ${connection.join(', ')} FROM ${numbers}, ${table('connection')} t WHERE t.id = 'template'`)
  const token = columns.access_token.map((column) => (column === 'uid' ? values['uid'] : `t.${column}`))
  await run(`INSERT INTO ${table('access_token')} (${columns.access_token.join(', ')})
    SELECT ${token.join(', ')} FROM ${numbers}, ${table('access_token')} t`)
  const trouble = `CASE WHEN c.status = 'ready' THEN NULL ELSE c.status END`
  for (const [name, value, of] of [
    ['number', `'' || n.i`, '1 = 1'],
    ['team', `'sales'`, 'n.i % 2 = 0'],
    ['region', `'north'`, 'n.i % 100 = 50'],
  ] as const) {
    await run(`INSERT INTO ${table('label')} (uid, name, value, id, trouble)
      SELECT c.uid, '${name}', ${value}, c.id, ${trouble} FROM ${numbers}
      JOIN ${table('connection')} c ON c.uid = ${values['uid'] ?? ''} WHERE ${of}`)
  }
  await run(`DELETE FROM ${table('connection_total')}`)
  await run(`INSERT INTO ${table('connection_total')} (provider, spread, living)
    SELECT provider, 0, count(*) FROM ${table('connection')} GROUP BY provider`)
}
