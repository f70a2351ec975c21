/**
 * `npm run bench`: measures every row, prints the table, writes `results.json`; `npm run bench -- <rows>` some of them.
 *
 * The exit code is 1 where a row misses its bound by more than noise explains, 2 for a row that does not exist.
 */
import { fork } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import type { Result, Row, Series } from './row.ts'
import { ROWS } from './rows.ts'
import { tableOf } from './table.ts'
import { judge } from './verdict.ts'

const RESULTS = new URL('results.json', import.meta.url)
const ROW_PROCESS = fileURLToPath(new URL('row-process.ts', import.meta.url))
/** A row takes well under a minute. One that hangs is ended. */
const PROCESS_LIMIT_MS = 120_000

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !ROWS.some((row) => row.name === name))
if (unknown.length > 0) {
  const known = ROWS.map((row) => row.name).join(', ')
  process.stderr.write(`tokenkeep: no row is called ${unknown.join(', ')}; there are ${known}\n`)
  process.exit(2)
}

const startedAt = performance.now()
const results: Result[] = []
for (const row of ROWS) if (asked.length === 0 || asked.includes(row.name)) results.push(...(await resultsOf(row)))
await writeFile(RESULTS, `${JSON.stringify(inOrder([...(await earlier()), ...results]), null, 2)}\n`)

process.stdout.write(`${tableOf(results)}\n`)
const took = ((performance.now() - startedAt) / 1000).toFixed(0)
process.stdout.write(`\nNode ${process.versions.node}, ${availableParallelism()} cores, ${took} s\n`)
const missed = results.filter((result) => !result.ok)
if (missed.length > 0) process.stderr.write(`tokenkeep: missed: ${missed.map(({ row }) => row).join(', ')}\n`)
process.exitCode = missed.length === 0 ? 0 : 1

async function resultsOf(row: Row): Promise<readonly Result[]> {
  const parts: Readonly<Record<string, Series>>[] = []
  for (let each = 0; each < row.processes; each += 1) parts.push(await measureApart(row))
  const measuredOn = new Date().toISOString().slice(0, 10)
  return Object.entries(row.figures).map(([name, figure]) => {
    const series = parts.flatMap((part) => part[name] ?? [])
    const rounds = series.flatMap((each) => each.rounds)
    const noise = series.flatMap((each) => each.noise)
    return judge(figure, { rounds, noise }, measuredOn)
  })
}

function measureApart(row: Row): Promise<Readonly<Record<string, Series>>> {
  return new Promise((resolve, reject) => {
    const child = fork(ROW_PROCESS, [row.name], {
      execArgv: [...process.execArgv, '--expose-gc'],
      timeout: PROCESS_LIMIT_MS,
    })
    let measured: Readonly<Record<string, Series>> | null = null
    child.on('message', (message) => {
      // Sent by our own row process: what `measure` returned.
      measured = message as Readonly<Record<string, Series>>
    })
    child.on('error', reject)
    child.on('exit', (code) => {
      if (code === 0 && measured !== null) resolve(measured)
      else reject(new Error(`the row ${row.name} ended with exit code ${code ?? 'none'} and without a result`))
    })
  })
}

/** What was measured before and not again now. */
async function earlier(): Promise<readonly Result[]> {
  const text = await readFile(RESULTS, 'utf8').catch(() => '[]')
  const kept = JSON.parse(text) as readonly Result[]
  return kept.filter(({ row }) => !results.some((result) => result.row === row))
}

/** In the order of the rows; a result whose row is gone goes, too. */
function inOrder(unordered: readonly Result[]): readonly Result[] {
  const names = ROWS.flatMap((row) => Object.values(row.figures).map((figure) => figure.name))
  return names.flatMap((name) => unordered.filter(({ row }) => row === name))
}
