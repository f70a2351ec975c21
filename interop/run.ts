/**
 * `npm run interop`: fetches and starts Keycloak, plays every row, and writes `results.md`;
 * `npm run interop -- --only refresh --only curl` some of them, `npm run interop -- --list` says which there are.
 *
 * The exit code is 1 where a row did not come as it must, or something that is needed is missing; 2 for wrong arguments.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, homedir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { CLIENTS, javaVersion, type InteropClient, type Prepared } from './clients.ts'
import { killPrograms } from './fleet.ts'
import { killServed } from './installation.ts'
import { fetchKeycloak, killKeycloaks, KEYCLOAK_VERSION, startKeycloak, type Keycloak } from './keycloak.ts'
import { keycloakAdmin } from './keycloak-admin.ts'
import { readOptions } from './options.ts'
import { playClient } from './play-client.ts'
import { realm } from './realm.ts'
import { REALMS } from './realms.ts'
import { resultsDocument, type Recorded } from './results-document.ts'
import type { ClientResult, KeycloakResult, KeycloakRow, Stage } from './row.ts'
import { KEYCLOAK_ROWS } from './rows.ts'

const RESULTS = new URL('results.json', import.meta.url)
const RESULTS_FOR_PEOPLE = new URL('results.md', import.meta.url)
// On the disk of the clone: in a folder in memory a sync would cost nothing.
const SCRATCH = fileURLToPath(new URL('../node_modules/.cache/tokenkeep-interop', import.meta.url))
const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'tokenkeep-interop')
/** Rows that wait most of their time; two cores bear so many. */
const AT_ONCE = 3
const CLIENT_LIMIT_S = 1_200

const NEEDED_BY_ALL = ['java', 'mvn', 'tar']
const HOW_TO_ASK: Readonly<Record<string, string>> = { java: '-version', go: 'version' }

type Task =
  | { readonly kind: 'row'; readonly row: KeycloakRow }
  | { readonly kind: 'client'; readonly client: InteropClient; readonly prepared: Prepared }

const say = (line: string): void => void process.stdout.write(`${line}\n`)
const fail = (message: string, code: number): never => {
  process.stderr.write(`tokenkeep: ${message}\n`)
  process.exit(code)
}

const endEverybody = (): void => {
  killPrograms()
  killServed()
  killKeycloaks()
}
// Also after an error that nobody caught.
process.once('exit', endEverybody)
let scratch: string | null = null
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    endEverybody()
    if (scratch !== null) rmSync(scratch, { recursive: true, force: true })
    process.exit(130)
  })
}

const names = chosen()
const rows = KEYCLOAK_ROWS.filter(({ name }) => names.includes(name))
const clients = CLIENTS.filter(({ name }) => names.includes(name))
requirePrograms([...NEEDED_BY_ALL, ...clients.flatMap(({ needs }) => needs)])

const startedAt = performance.now()
await mkdir(CACHE, { recursive: true })
await mkdir(SCRATCH, { recursive: true })
const folder = await mkdtemp(join(SCRATCH, 'run-'))
scratch = folder
const results: (KeycloakResult | ClientResult)[] = []
let keycloak: Keycloak | null = null
try {
  const home = await fetchKeycloak(CACHE, say)
  const tasks: Task[] = rows.map((row) => ({ kind: 'row', row }))
  for (const client of clients) {
    say(`preparing ${client.name}`)
    tasks.push({ kind: 'client', client, prepared: await client.prepare(CACHE) })
  }
  say(`starting Keycloak ${KEYCLOAK_VERSION}`)
  keycloak = await startKeycloak(home, folder)
  const admin = keycloakAdmin(keycloak.url)
  for (const settings of REALMS) await admin.createRealm(realm(settings))
  const stage = { keycloak, admin, cache: CACHE }
  const isAlone = (task: Task): boolean => task.kind === 'row' && task.row.alone === true
  // The long ones first, so that the last does not run by itself.
  const together = tasks.filter((task) => !isAlone(task)).sort((one, other) => limitOf(other) - limitOf(one))
  await Promise.all(Array.from({ length: AT_ONCE }, () => work(together, stage)))
  await work(tasks.filter(isAlone), stage)
} catch (error) {
  endEverybody()
  fail(error instanceof Error ? error.message : String(error), 1)
}
await keycloak?.close()
await rm(folder, { recursive: true, force: true, maxRetries: 5 })
const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1)
const wrong = results.filter(({ failed }) => failed !== '')
say(`\n${results.length - wrong.length} of ${results.length} rows came as they must, in ${minutes} min`)
for (const { name, failed } of wrong) process.stderr.write(`tokenkeep: ${name}: ${failed}\n`)
process.exit(wrong.length === 0 ? 0 : 1)

function chosen(): readonly string[] {
  const all = [...KEYCLOAK_ROWS, ...CLIENTS].map(({ name }) => name)
  try {
    const asked = readOptions(process.argv.slice(2), all)
    if (!asked.list) return asked.names
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error), 2)
  }
  for (const { name, about } of KEYCLOAK_ROWS) say(`${name.padEnd(20)} ${about}`)
  for (const { name } of CLIENTS)
    say(`${name.padEnd(20)} an unmodified client, straight at Keycloak and at the drop-in`)
  process.exit(0)
}

function requirePrograms(needed: readonly string[]): void {
  const missing = [...new Set(needed)].filter((name) => {
    const { error } = spawnSync(name, [HOW_TO_ASK[name] ?? '--version'], { stdio: 'ignore' })
    return error !== undefined
  })
  if (missing.length === 0) return
  fail(`this machine lacks ${missing.join(', ')}; install that, or name rows that do without by --only`, 1)
}

function limitOf(task: Task): number {
  return task.kind === 'row' ? task.row.limitSeconds : CLIENT_LIMIT_S
}

async function work(waiting: Task[], stage: Omit<Stage, 'folder'>): Promise<void> {
  for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
    const result = await resultOf(task, { ...stage, folder: await mkdtemp(join(folder, 'row-')) })
    results.push(result)
    await record(result)
    say(`${result.failed === '' ? 'ok    ' : 'FAILED'} ${result.name} (${result.tookSeconds} s) ${result.failed}`)
  }
}

async function resultOf(task: Task, stage: Stage): Promise<KeycloakResult | ClientResult> {
  const began = performance.now()
  const took = (): number => Math.round((performance.now() - began) / 1000)
  switch (task.kind) {
    case 'row': {
      const { name } = task.row
      const ended = await within(task.row.limitSeconds, () => task.row.play(stage))
      const told = 'failed' in ended ? { played: null, failed: ended.failed } : { played: ended.value, failed: '' }
      return { name, ...told, tookSeconds: took() }
    }
    case 'client': {
      const { name } = task.client
      const { version } = task.prepared
      const ended = await within(CLIENT_LIMIT_S, () => playClient(stage, task.prepared))
      if ('failed' in ended) {
        return { name, version, straight: null, dropIn: null, failed: ended.failed, tookSeconds: took() }
      }
      const { dropIn } = ended.value
      const isLost = dropIn !== null && (dropIn.lost > 0 || dropIn.bad > 0)
      const failed = isLost
        ? `at the drop-in ${dropIn.lost} processes lost the login, ${dropIn.bad} tokens were bad`
        : ''
      return { name, version, ...ended.value, failed, tookSeconds: took() }
    }
  }
}

async function within<Value>(
  seconds: number,
  play: () => Promise<Value>,
): Promise<{ readonly value: Value } | { readonly failed: string }> {
  let limit: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    limit = setTimeout(() => reject(new Error(`no end within ${seconds} s`)), seconds * 1000)
  })
  try {
    return { value: await Promise.race([play(), late]) }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { failed: message.split('\n')[0] ?? '' }
  } finally {
    clearTimeout(limit)
  }
}

/** After each row: a run that is stopped keeps what it has, and what was not played this time keeps its last row. */
async function record(result: KeycloakResult | ClientResult): Promise<void> {
  const text = await readFile(RESULTS, 'utf8').catch(() => null)
  // Written by this very program.
  const before = text === null ? { rows: [], clients: [] } : (JSON.parse(text) as Recorded)
  const measured = { measuredOn: new Date().toISOString().slice(0, 10), tokenkeep: tokenkeepVersion() }
  const others = <Each extends { readonly name: string }>(all: readonly Each[]): readonly Each[] =>
    all.filter(({ name }) => name !== result.name)
  const recorded: Recorded = {
    keycloak: KEYCLOAK_VERSION,
    java: javaVersion(),
    node: process.versions.node,
    system: process.platform,
    cores: availableParallelism(),
    rows: KEYCLOAK_ROWS.flatMap(({ name, about }) => {
      if ('played' in result && result.name === name) return [{ ...result, about, ...measured }]
      return others(before.rows).filter((row) => row.name === name)
    }),
    clients: CLIENTS.flatMap(({ name }) => {
      if ('straight' in result && result.name === name) return [{ ...result, ...measured }]
      return others(before.clients).filter((row) => row.name === name)
    }),
  }
  await writeFile(RESULTS, `${JSON.stringify(recorded, null, 2)}\n`)
  await writeFile(RESULTS_FOR_PEOPLE, resultsDocument(recorded))
}

function tokenkeepVersion(): string {
  const manifest = readFileSync(new URL('../packages/server/package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(manifest) as { readonly version: string }
  const cwd = fileURLToPath(new URL('.', import.meta.url))
  const { stdout } = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd, encoding: 'utf8' })
  return [version, (stdout ?? '').trim()].filter((each) => each !== '').join(' at ')
}
