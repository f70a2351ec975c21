/**
 * `npm run prove`: plays every scenario on every database, prints the table, writes `results.json` and `results.md`;
 * `npm run prove -- --only 3 --database sqlite` some of them.
 *
 * The exit code is 1 where something does not hold, 2 for a name that does not exist.
 */
import { fork } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { DATABASES, type DatabaseKind } from './database.ts'
import type { Finding, Result, Scenario } from './scenario.ts'
import { SCENARIOS } from './scenarios.ts'
import { tableOf } from './table.ts'

const RESULTS = new URL('results.json', import.meta.url)
const RESULTS_FOR_PEOPLE = new URL('results.md', import.meta.url)
const SCENARIO_PROCESS = fileURLToPath(new URL('scenario-process.ts', import.meta.url))

interface Recorded {
  readonly node: string
  readonly cores: number
  readonly system: string
  readonly results: readonly Result[]
}

const { only, databases } = chosen()
const results: Result[] = []
for (const scenario of SCENARIOS) {
  for (const database of scenario.databases) {
    if (!only.includes(scenario.name) || !databases.includes(database)) continue
    results.push(await play(scenario, database))
    await record(results)
  }
}
process.stdout.write(`\n${tableOf(results)}\n`)
const failed = results.filter(({ findings }) => findings.some(({ verdict }) => verdict === 'fails'))
for (const { scenario, database } of failed)
  process.stderr.write(`tokenkeep: ${scenario} on ${database} does not hold\n`)
process.exitCode = failed.length === 0 ? 0 : 1

function chosen(): { only: readonly string[]; databases: readonly string[] } {
  const names = SCENARIOS.map(({ name }) => name)
  let values: { only?: string[] | undefined; database?: string[] | undefined }
  try {
    const options = { only: { type: 'string', multiple: true }, database: { type: 'string', multiple: true } } as const
    values = parseArgs({ options }).values
  } catch {
    refuse(`give --only <scenario> and --database <database>, each as often as you like`)
  }
  const asked = { only: values.only ?? names, databases: values.database ?? DATABASES }
  for (const name of asked.only) {
    if (names.includes(name)) continue
    const known = SCENARIOS.map(({ name: each, title }) => `\n  ${each}  ${title}`).join('')
    refuse(`no scenario is called ${name}; there are${known}`)
  }
  for (const name of asked.databases) {
    if (!DATABASES.some((each) => each === name))
      refuse(`no database is called ${name}; there are ${DATABASES.join(', ')}`)
  }
  return asked
}

function refuse(message: string): never {
  process.stderr.write(`tokenkeep: ${message}\n`)
  process.exit(2)
}

async function play(scenario: Scenario, database: DatabaseKind): Promise<Result> {
  process.stdout.write(`\n${scenario.name} on ${database}: ${scenario.title}\n`)
  const begun = performance.now()
  const findings = await playApart(scenario, database)
  const tookSeconds = Math.round((performance.now() - begun) / 1000)
  for (const { claim, measured, verdict } of findings) {
    process.stdout.write(`  ${verdict === 'holds' ? 'ok' : verdict.toUpperCase()}  ${claim}: ${measured}\n`)
  }
  process.stdout.write(`  ${tookSeconds} s\n`)
  const { name, title } = scenario
  return { scenario: name, title, database, findings, tookSeconds, measuredOn: new Date().toISOString().slice(0, 10) }
}

/** In a process group of its own, so that one signal ends everything it started, also what is frozen. */
function playApart(scenario: Scenario, database: DatabaseKind): Promise<readonly Finding[]> {
  return new Promise((resolve) => {
    const child = fork(SCENARIO_PROCESS, [scenario.name, database], { execArgv: process.execArgv, detached: true })
    const endGroup = (): void => {
      if (child.pid === undefined) return
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {
        // Nobody is left in it.
      }
    }
    let findings: readonly Finding[] | null = null
    let late = false
    const limit = setTimeout(() => {
      late = true
      endGroup()
    }, scenario.limitSeconds * 1000)
    const interrupted = (): void => {
      endGroup()
      process.exit(130)
    }
    process.once('SIGINT', interrupted)
    process.once('SIGTERM', interrupted)
    child.on('message', (message) => {
      // Sent by our own scenario process.
      const said = message as { line: string } | { findings: readonly Finding[] }
      if ('line' in said) process.stdout.write(`  ${said.line}\n`)
      else findings = said.findings
    })
    child.on('exit', (code, signal) => {
      clearTimeout(limit)
      process.off('SIGINT', interrupted)
      process.off('SIGTERM', interrupted)
      endGroup()
      const because = late ? `ended after ${scenario.limitSeconds} s` : `ended by ${signal ?? `exit code ${code}`}`
      resolve(findings ?? [{ claim: 'the scenario comes to its end', measured: because, verdict: 'fails' }])
    })
  })
}

/** What was not played this time keeps its last result, with its date. */
async function record(played: readonly Result[]): Promise<void> {
  const is = (one: Result) => (other: Result) => one.scenario === other.scenario && one.database === other.database
  const kept = (await earlier()).filter((old) => !played.some(is(old)))
  const all = [...kept, ...played]
  const order = (each: Result): number =>
    SCENARIOS.findIndex(({ name }) => name === each.scenario) * DATABASES.length + DATABASES.indexOf(each.database)
  const recorded: Recorded = {
    node: process.versions.node,
    cores: availableParallelism(),
    system: process.platform,
    results: all.sort((one, other) => order(one) - order(other)),
  }
  await writeFile(RESULTS, `${JSON.stringify(recorded, null, 2)}\n`)
  const machine = `Node ${recorded.node} on ${recorded.system}, ${recorded.cores} cores.`
  await writeFile(
    RESULTS_FOR_PEOPLE,
    `# What was proven\n\nWritten by \`npm run prove\`. ${machine}\n\n${tableOf(recorded.results)}\n`,
  )
}

async function earlier(): Promise<readonly Result[]> {
  const text = await readFile(RESULTS, 'utf8').catch(() => null)
  if (text === null) return []
  // Written by this very program.
  const { results: old } = JSON.parse(text) as Recorded
  return old.filter((each) => SCENARIOS.some(({ name }) => name === each.scenario))
}
