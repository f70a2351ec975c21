/** Runs chosen tests of one file in a process group of its own, for a bounded time. */
import { spawn } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const REPORTER = fileURLToPath(new URL('reporter.mjs', import.meta.url))
// Each of these tests takes a few seconds at most, also on a machine that is busy.
const LIMIT_MS = 60_000
// What a process said last is enough to see why it did not come to its tests.
const SAID_MOST = 2_000

/** How one test ended, as the reporter says it. */
interface Ended {
  readonly name: string
  readonly passed: boolean
  /** The beginning of what it failed with; empty where it passed. */
  readonly because: string
}

export interface Played {
  readonly passed: readonly string[]
  /** Each test that failed, with the beginning of why. */
  readonly failed: ReadonlyMap<string, string>
  /** It was ended after its time. */
  readonly hung: boolean
  readonly said: string
}

/** Every group that runs now, so that an interrupted run leaves none. */
const running = new Set<number>()
let over = false

/** Ends all that was started and runs still; nothing is started any more. */
export function endAll(): void {
  over = true
  for (const pid of running) endGroup(pid)
}

/**
 * @param root of the working copy
 * @param file from there
 * @param tests by their names; null: all of the file
 */
export async function play(root: string, file: string, tests: readonly string[] | null): Promise<Played> {
  if (over) return new Promise(() => undefined)
  // What tests print does not get in between.
  const report = join(root, 'report.jsonl')
  await rm(report, { force: true })
  const args = [
    '--conditions=tokenkeep-source',
    '--disable-warning=ExperimentalWarning',
    `--test-reporter=${REPORTER}`,
    `--test-reporter-destination=${report}`,
    ...(tests ?? []).map((name) => `--test-name-pattern=/^${escaped(name)}$/`),
    file,
  ]
  // Under a test runner Node's own tests would report to that one.
  const { NODE_TEST_CONTEXT: _context, ...env } = process.env
  const child = spawn(process.execPath, args, { cwd: root, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-SAID_MOST)))
  const { pid } = child
  if (pid === undefined) throw new Error('no process could be started')
  running.add(pid)
  const hung = await new Promise<boolean>((resolve) => {
    let late = false
    const limit = setTimeout(() => {
      late = true
      endGroup(pid)
    }, LIMIT_MS)
    // Not `close`: a process that a test left behind may hold the pipes.
    child.once('exit', () => {
      clearTimeout(limit)
      resolve(late)
    })
  })
  endGroup(pid)
  running.delete(pid)
  const ended = (await readFile(report, 'utf8').catch(() => ''))
    .split('\n')
    .filter((line) => line.endsWith('}'))
    // Written by our own reporter.
    .map((line) => JSON.parse(line) as Ended)
  const passed = ended.filter((each) => each.passed).map(({ name }) => name)
  const failed = new Map(ended.filter((each) => !each.passed).map(({ name, because }) => [name, because]))
  return { passed, failed, hung, said }
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nobody is left in it.
  }
}

/** As it stands in a regular expression that means this text. */
const escaped = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
