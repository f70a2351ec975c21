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
import { relative, resolve } from 'node:path'

const FILE_LIMIT_MS = 240_000
// The whole suite takes about thirteen minutes on 2 cores. A process that never ends is ended, and named, after this.
const RUN_LIMIT_MS = 16 * 60_000
const NOT_RUN = 'NOT RUN: '
/** How many files are named with their time, so that whoever wants a shorter run knows where to look. */
const LONGEST = 10
// It shows the more the more it plays in its time, so it has the machine for itself.
const ALONE = 'simulation/test/worlds.test.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
const chosen = process.argv.slice(2)
// From the end of the alphabet: the server's tests start processes and take longest, so they do not come last and alone.
const found = () =>
  globSync([
    'packages/*/test/**/*.test.ts',
    'checks/**/*.test.ts',
    'gauntlet/test/**/*.test.ts',
    'interop/test/**/*.test.ts',
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
const lasted = new Map()
const signal = AbortSignal.timeout(RUN_LIMIT_MS)

/** @returns its numbers, and null where it ended before it could count */
async function runThem(some, concurrency) {
  let whole = null
  const events = run({
    files: some,
    concurrency,
    timeout: FILE_LIMIT_MS,
    signal,
    execArgv: ['--conditions=tokenkeep-source', '--disable-warning=ExperimentalWarning'],
  })
  events.on('test:diagnostic', ({ message, file }) => {
    if (message.startsWith(NOT_RUN)) notRun.add(`${message.slice(NOT_RUN.length)} (${relative(root, file ?? root)})`)
  })
  events.on('test:summary', (summary) => {
    if (summary.file === undefined) whole = summary
    else lasted.set(relative(root, summary.file), summary.duration_ms)
  })
  const report = events.compose(new spec())
  report.pipe(process.stdout)
  await finished(report)
  return whole
}

const isAlone = (file) => relative(root, resolve(file)) === ALONE
const parts = [
  // Many tests wait for other processes, so one for each core is not too many. The default leaves one core idle.
  { some: files.filter((file) => !isAlone(file)), concurrency: Math.max(2, availableParallelism()) },
  { some: files.filter(isAlone), concurrency: 1 },
].filter(({ some }) => some.length > 0)
const wholes = []
for (const { some, concurrency } of parts) wholes.push(await runThem(some, concurrency))

// The last lines: with failures, the runner's own numbers stand far above the failures' texts.
const count = (name) => wholes.reduce((sum, whole) => sum + (whole?.counts[name] ?? 0), 0)
const leftOut = count('skipped') + count('todo')
const tookMs = wholes.reduce((sum, whole) => sum + (whole?.duration_ms ?? 0), 0)
const passed = wholes.every((whole) => whole?.success === true && whole.counts.passed > 0) && leftOut === 0
const seconds = (tookMs / 1000).toFixed(1)
const left = leftOut > 0 ? `, ${leftOut} left out, which is not allowed` : ''
console.log(
  `\ntokenkeep: ${count('passed')} of ${count('tests')} tests passed${left} (files: ${files.length}, ${seconds} s)`,
)
const longest = [...lasted].sort(([, one], [, other]) => other - one).slice(0, LONGEST)
for (const [file, ms] of longest) console.log(`${(ms / 1000).toFixed(1).padStart(8)} s  ${file}`)
if (notRun.size > 0) console.log('tokenkeep: could not be run here, for lack of a part:')
for (const sentence of notRun) console.log(`  - ${sentence}`)
process.exitCode = passed ? 0 : 1
