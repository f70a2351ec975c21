/**
 * `npm run gauntlet`: plays every scenario with every peer, prints one table and writes `results.md`;
 * `npm run gauntlet -- --only instant --peer openid-client` some of them, each option as often as you like.
 *
 * The exit code is 1 where a row of Tokenkeep could not be played, 2 for a name that does not exist. How anybody fares is
 * told and not judged.
 */
import { fork, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { postgresMissing, startPostgres, type PostgresServer } from '@tokenkeep/testpostgres'
import { PEERS, versionsOf, whyNot, type Peer } from './peers.ts'
import { resultsDocument, type Recorded } from './results-document.ts'
import type { Row, Scenario } from './scenario.ts'
import { SCENARIOS } from './scenarios.ts'
import { tableOf } from './table.ts'

const FOLDER = fileURLToPath(new URL('.', import.meta.url))
const RESULTS = new URL('results.json', import.meta.url)
const RESULTS_FOR_PEOPLE = new URL('results.md', import.meta.url)
const PLAY_PROCESS = fileURLToPath(new URL('play-process.ts', import.meta.url))
/** Every scenario waits nearly all of its time. */
const AT_ONCE = 4

/** By the process ids of their first processes. */
const groups = new Set<number>()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const pid of groups) killGroup(pid)
    process.exit(130)
  })
}

const { scenarios, peers, atOnce } = chosen()
install()
const startedAt = performance.now()
const postgres = await postgresFor(peers)
const rows: Row[] = []
/** After each row, one after another: a run that is stopped keeps what it has. */
let recorded = Promise.resolve()
const waiting = scenarios.flatMap((scenario) => peers.map((peer) => ({ scenario, peer })))
const all = waiting.length
await Promise.all(Array.from({ length: atOnce }, work))
if (typeof postgres === 'object') await postgres?.[Symbol.asyncDispose]()
process.stdout.write(`\n${tableOf(inOrder(rows))}\n`)
const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1)
process.stdout.write(`\nNode ${process.versions.node}, ${availableParallelism()} cores, ${minutes} min\n`)
const stuck = rows.filter(
  ({ peer, counts }) => counts === null && PEERS.some((each) => each.ours && each.name === peer),
)
for (const { scenario, peer, remark } of stuck) process.stderr.write(`tokenkeep: ${scenario}, ${peer}: ${remark}\n`)
process.exitCode = stuck.length === 0 ? 0 : 1

function chosen(): { scenarios: readonly Scenario[]; peers: readonly Peer[]; atOnce: number } {
  const options = {
    only: { type: 'string', multiple: true },
    peer: { type: 'string', multiple: true },
    'at-once': { type: 'string' },
  } as const
  try {
    const { values } = parseArgs({ options })
    const number = Number(values['at-once'] ?? AT_ONCE)
    if (!Number.isInteger(number) || number < 1 || number > 16) {
      throw new Error(`--at-once must be a whole number from 1 to 16`)
    }
    return {
      scenarios: named('scenario', SCENARIOS, values.only),
      peers: named('peer', PEERS, values.peer),
      atOnce: number,
    }
  } catch (error) {
    process.stderr.write(`tokenkeep: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(2)
  }
}

function named<Named extends { readonly name: string }>(
  what: string,
  existing: readonly Named[],
  asked: readonly string[] | undefined,
): readonly Named[] {
  if (asked === undefined) return existing
  const unknown = asked.filter((name) => existing.every((each) => each.name !== name))
  if (unknown.length > 0) {
    const known = existing.map(({ name }) => name).join('; ')
    throw new Error(`no ${what} is called ${unknown.join(', ')}; there are: ${known}`)
  }
  return existing.filter(({ name }) => asked.includes(name))
}

/** The peers belong to nobody who only uses Tokenkeep, so the root's `npm ci` does not bring them. */
function install(): void {
  if (existsSync(new URL('node_modules', import.meta.url))) return
  process.stdout.write('tokenkeep: installing the peers of the gauntlet\n')
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: FOLDER,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
  if (status === 0) return
  process.stderr.write('tokenkeep: the peers could not be installed: `npm ci` in gauntlet/ failed\n')
  process.exit(1)
}

/** @returns why there is none, where a peer needs it; null: nobody does */
async function postgresFor(playing: readonly Peer[]): Promise<PostgresServer | string | null> {
  if (!playing.some(({ onPostgres }) => onPostgres)) return null
  return postgresMissing() ?? (await startPostgres())
}

async function work(): Promise<void> {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const row = await rowOf(next.scenario, next.peer)
    const played = rows.push(row)
    recorded = recorded.then(() => record([...rows]))
    await recorded
    const { counts, remark } = row
    const came =
      counts === null
        ? `not played to the end: ${remark}`
        : `${counts.lost} of ${counts.logins} lost, ${counts.bad} bad`
    process.stdout.write(`${played}/${all} ${row.scenario}, ${row.peer}: ${came} (${row.tookSeconds} s)\n`)
  }
}

async function rowOf(scenario: Scenario, peer: Peer): Promise<Row> {
  const without = (remark: string): Row => ({
    scenario: scenario.name,
    peer: peer.name,
    counts: null,
    remark,
    tookSeconds: 0,
  })
  const because = whyNot(peer, scenario.name)
  if (because !== null) return without(`NOT RUN: ${because}`)
  if (!peer.onPostgres) return playApart(scenario, peer, '', without)
  if (postgres === null || typeof postgres === 'string') return without(`NOT RUN: ${postgres ?? 'no Postgres'}`)
  return playApart(scenario, peer, await postgres.createDatabase(), without)
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nobody is left in it.
  }
}

/** In a process group of its own, so that nobody outlives it, not even a frozen daemon. */
function playApart(scenario: Scenario, peer: Peer, database: string, without: (remark: string) => Row): Promise<Row> {
  return new Promise((resolve) => {
    const child = fork(PLAY_PROCESS, [scenario.name, peer.name, database], {
      execArgv: process.execArgv,
      detached: true,
    })
    const { pid } = child
    if (pid === undefined) return resolve(without('its process could not be started'))
    groups.add(pid)
    const endGroup = (): void => {
      groups.delete(pid)
      killGroup(pid)
    }
    let row: Row | null = null
    let late = false
    const limit = setTimeout(() => {
      late = true
      endGroup()
    }, scenario.limitSeconds * 1000)
    child.on('message', (message) => {
      // Sent by our own process: what `play` returned.
      row = message as Row
    })
    child.on('exit', (code, signal) => {
      clearTimeout(limit)
      endGroup()
      const because = late ? `no end within ${scenario.limitSeconds} s` : `ended by ${signal ?? `exit code ${code}`}`
      resolve(row ?? without(because))
    })
  })
}

/** What was not played this time keeps its last row. */
async function record(now: readonly Row[]): Promise<void> {
  const kept = (await earlier()).filter(
    (old) => !now.some(({ scenario, peer }) => scenario === old.scenario && peer === old.peer),
  )
  const day = new Date().toISOString().slice(0, 10)
  const recorded: Recorded = {
    node: process.versions.node,
    cores: availableParallelism(),
    system: process.platform,
    rows: inOrder([...kept, ...now.map((row) => ({ ...row, measuredOn: day, versions: versionsOfPeer(row.peer) }))]),
  }
  await writeFile(RESULTS, `${JSON.stringify(recorded, null, 2)}\n`)
  await writeFile(RESULTS_FOR_PEOPLE, resultsDocument(recorded))
}

function versionsOfPeer(name: string): string {
  const peer = PEERS.find((each) => each.name === name)
  return peer === undefined ? '' : versionsOf(peer)
}

async function earlier(): Promise<Recorded['rows']> {
  const text = await readFile(RESULTS, 'utf8').catch(() => null)
  // Written by this very program.
  return text === null ? [] : (JSON.parse(text) as Recorded).rows
}

/** By scenario, then by peer; a row whose scenario or peer is gone goes, too. */
function inOrder<Each extends Row>(unordered: readonly Each[]): readonly Each[] {
  return SCENARIOS.flatMap((scenario) =>
    PEERS.flatMap((peer) => unordered.filter((row) => row.scenario === scenario.name && row.peer === peer.name)),
  )
}
