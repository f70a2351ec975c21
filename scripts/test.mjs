// Runs every test from source, each file in a process of its own: `npm test`, or `npm test -- <files>`.
//
// A test that lacks a part of the machine (an older Node, an ordinary user, ...) says so by a diagnostic that begins
// with "NOT RUN: ". It is repeated in the last lines, so that a green run does not claim more than it showed.
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { finished } from 'node:stream/promises'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'
import { relative } from 'node:path'

const FILE_LIMIT_MS = 240_000
// The whole suite takes about five minutes on 2 cores. A process that never ends is ended, and named, after this.
const RUN_LIMIT_MS = 13 * 60_000
const NOT_RUN = 'NOT RUN: '

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
const chosen = process.argv.slice(2)
// From the end of the alphabet: the server's tests start processes and take longest, so they do not come last and alone.
const found = () =>
  globSync([
    'packages/*/test/**/*.test.ts',
    'checks/**/*.test.ts',
    'gauntlet/test/**/*.test.ts',
    'simulation/test/**/*.test.ts',
  ])
    .sort()
    .reverse()
const files = chosen.length > 0 ? chosen : found()
if (files.length === 0) {
  console.error('tokenkeep: no test file was found, so nothing was proven')
  process.exit(1)
}

const notRun = new Set()
let whole = null
const events = run({
  files,
  // Many tests wait for other processes, so one for each core is not too many. The default leaves one core idle.
  concurrency: Math.max(2, availableParallelism()),
  timeout: FILE_LIMIT_MS,
  signal: AbortSignal.timeout(RUN_LIMIT_MS),
  execArgv: ['--conditions=tokenkeep-source', '--disable-warning=ExperimentalWarning'],
})
events.on('test:diagnostic', ({ message, file }) => {
  if (message.startsWith(NOT_RUN)) notRun.add(`${message.slice(NOT_RUN.length)} (${relative(root, file ?? root)})`)
})
events.on('test:summary', (summary) => {
  if (summary.file === undefined) whole = summary
})
const report = events.compose(new spec())
report.pipe(process.stdout)
await finished(report)

// The last lines: with failures, the runner's own numbers stand far above the failures' texts.
const { counts, duration_ms: tookMs, success } = whole ?? { counts: {}, duration_ms: 0, success: false }
const passed = success && counts.passed > 0 && counts.skipped === 0 && counts.todo === 0
const seconds = (tookMs / 1000).toFixed(1)
const left = counts.skipped + counts.todo > 0 ? `, ${counts.skipped + counts.todo} left out, which is not allowed` : ''
console.log(
  `\ntokenkeep: ${counts.passed} of ${counts.tests} tests passed${left} (files: ${files.length}, ${seconds} s)`,
)
if (notRun.size > 0) console.log('tokenkeep: could not be run here, for lack of a part:')
for (const sentence of notRun) console.log(`  - ${sentence}`)
process.exitCode = passed ? 0 : 1
