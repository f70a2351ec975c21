/**
 * `npm run bench:million`: writes a million connections, asks what an operator asks, prints how long that took, and how long the
 * event loop stood still; `-- --postgres` in Postgres, `-- --count 100000` fewer, `-- --folder FOLDER` those
 * that are there. Results go into `bench/million/results.json`.
 */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import process from 'node:process'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openTokenkeep, type OpenOptions, type Tokenkeep } from '@tokenkeep/node'
import { startPostgres, type PostgresServer } from '@tokenkeep/testpostgres'
import { issueToken, ACCESS_TOKEN_BYTES, REFRESH_TOKEN_BYTES } from '../issued-token.ts'
import { makeScratch } from '../scratch.ts'
import { QUESTIONS } from './questions.ts'
import { POSTGRES, SQLITE, writeMillion, type Columns, type Run } from './rows-by-sql.ts'

const RESULTS = new URL('results.json', import.meta.url)
const ROUNDS = 50
const OVERVIEWS = 20
/** Of one page at the server. */
const PAGE_MOST_MS = 100
const OVERVIEW_MOST_MS = 1_000

const { values: given } = parseArgs({
  options: { postgres: { type: 'boolean' }, count: { type: 'string' }, folder: { type: 'string' } },
})
const count = Number(given.count ?? 1_000_000)
const say = (text: string): void => void process.stdout.write(`${text}\n`)

interface Figure {
  readonly question: string
  readonly medianMs: number
  readonly p99Ms: number
  readonly worstMs: number
  /** The longest that the event loop stood still meanwhile. */
  readonly stoodStillMs: number
}

await main()

async function main(): Promise<void> {
  await using scratch = given.folder === undefined ? await makeScratch() : null
  const folder = given.folder ?? scratch?.folder ?? ''
  await using server = given.postgres === true ? await startPostgres({ fsync: false }) : null
  const engine = server === null ? 'SQLite' : 'Postgres'
  const path = join(folder, 'data', 'tokenkeep.db')
  const postgres = await server?.createDatabase()
  const options: OpenOptions = {
    keyFile: join(folder, 'configuration', 'tokenkeep.key'),
    background: false,
    ...(postgres === undefined ? { path } : { postgres, stateFolder: join(folder, 'state') }),
  }
  if (postgres !== undefined || !existsSync(path)) {
    const began = performance.now()
    await makeTemplate(options)
    await (server === null || postgres === undefined ? fillSqlite(path) : fillPostgres(server, postgres))
    say(`${engine}: ${count} connections written in ${((performance.now() - began) / 1000).toFixed(0)} s`)
  }
  await using keep = await openTokenkeep(options)
  const figures = await measured(keep)
  say(tableOf(figures))
  await keepResults(engine, figures)
  const most = (question: string): number => (question.startsWith('overview') ? OVERVIEW_MOST_MS : PAGE_MOST_MS)
  const slow = figures.filter(({ question, p99Ms }) => p99Ms > most(question))
  if (slow.length > 0) say(`too slow: ${slow.map(({ question }) => question).join('; ')}`)
  process.exitCode = slow.length === 0 ? 0 : 1
}

async function makeTemplate(options: OpenOptions): Promise<void> {
  await using keep = await openTokenkeep(options)
  for (const id of ['large', 'other', 'small']) {
    await keep.providers.put({ id, tokenEndpoint: 'http://127.0.0.1:9/token', reuse: { kind: 'strict' } })
    await keep.clients.put({ id, provider: id, clientId: 'bench', clientSecret: 'bench-client-secret' })
  }
  await keep.connections.import({
    id: 'template',
    client: 'large',
    refreshToken: issueToken('rt', REFRESH_TOKEN_BYTES),
    accessToken: issueToken('at', ACCESS_TOKEN_BYTES),
    expiresAt: Date.now() + 3_600_000,
    scope: 'openid offline_access',
  })
}

async function fillSqlite(path: string): Promise<void> {
  const sql = new DatabaseSync(path)
  const columnsOf = (table: string): string[] =>
    sql
      .prepare('SELECT name FROM pragma_table_info(?)')
      .all(table)
      .map(({ name }) => String(name))
  const columns: Columns = { connection: columnsOf('connection'), access_token: columnsOf('access_token') }
  sql.exec('PRAGMA synchronous = OFF; PRAGMA cache_size = -500000')
  const run: Run = async (text) => sql.exec(text)
  await writeMillion(run, { spelling: SQLITE, count, columns, table: (name) => name })
  sql.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  sql.close()
}

async function fillPostgres({ admin }: PostgresServer, url: string): Promise<void> {
  const database = new URL(url).pathname.slice(1)
  const columnsOf = async (table: string): Promise<string[]> => {
    const rows = await admin(
      `SELECT column_name FROM information_schema.columns WHERE table_schema = 'tokenkeep' AND table_name = '${table}'`,
      database,
    )
    return rows.map((row) => String(row['column_name']))
  }
  const columns: Columns = { connection: await columnsOf('connection'), access_token: await columnsOf('access_token') }
  const run: Run = async (text) => void (await admin(text, database))
  await writeMillion(run, { spelling: POSTGRES, count, columns, table: (name) => `tokenkeep.${name}` })
  // As autovacuum would within a minute.
  await run('VACUUM ANALYZE tokenkeep.connection')
  await run('VACUUM ANALYZE tokenkeep.label')
}

async function measured({ connections }: Tokenkeep): Promise<readonly Figure[]> {
  const figures = [await timed('overview', OVERVIEWS, () => connections.overview())]
  figures.push(await timed('overview of a label of 500,000', OVERVIEWS, () => connections.overview({ team: 'sales' })))
  for (const { name, options } of QUESTIONS) {
    figures.push(
      await timed(name, ROUNDS, () =>
        connections.page(options(String(1 + Math.floor(Math.random() * count)).padStart(7, '0'))),
      ),
    )
  }
  return figures
}

async function timed(question: string, rounds: number, ask: () => Promise<unknown>): Promise<Figure> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const times: number[] = []
  delay.enable()
  for (let round = 0; round < rounds; round += 1) {
    const began = performance.now()
    await ask()
    times.push(performance.now() - began)
    // Lets the look at the event loop happen, also where the answer came in one go.
    await sleep(3)
  }
  delay.disable()
  times.sort((a, b) => a - b)
  const at = (part: number): number => times[Math.min(times.length - 1, Math.floor(part * times.length))] ?? 0
  return {
    question,
    medianMs: rounded(at(0.5)),
    p99Ms: rounded(at(0.99)),
    worstMs: rounded(times.at(-1) ?? 0),
    stoodStillMs: rounded(delay.max / 1e6),
  }
}

function tableOf(figures: readonly Figure[]): string {
  const lines = figures.map(
    ({ question, medianMs, p99Ms, worstMs, stoodStillMs }) =>
      `| ${question} | ${medianMs} | ${p99Ms} | ${worstMs} | ${stoodStillMs} |`,
  )
  return [
    '| asked | median ms | p99 ms | worst ms | event loop stood still, ms |',
    '| --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n')
}

async function keepResults(engine: string, figures: readonly Figure[]): Promise<void> {
  const before = JSON.parse(await readFile(RESULTS, 'utf8').catch(() => '{}')) as Record<string, unknown>
  const measuredOn = new Date().toISOString().slice(0, 10)
  await writeFile(RESULTS, `${JSON.stringify({ ...before, [engine]: { measuredOn, count, figures } }, null, 2)}\n`)
}

function rounded(value: number): number {
  return Number(value.toFixed(1))
}
