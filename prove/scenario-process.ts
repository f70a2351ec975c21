/** One scenario on one database in a process of its own, which `run.ts` ends with all that it started. */
import process from 'node:process'
import { databaseMissing, DATABASES, type DatabaseKind } from './database.ts'
import { finding, notRun, type Finding, type Scenario } from './scenario.ts'
import { SCENARIOS } from './scenarios.ts'

const [name, given] = process.argv.slice(2)
const scenario = SCENARIOS.find((each) => each.name === name)
const database = DATABASES.find((each) => each === given)
if (scenario === undefined || database === undefined) throw new Error('started without a scenario and a database')

// What a scenario waits for need not keep this process alive by itself: a Postgres that ends does not.
setInterval(() => undefined, 60_000)
process.send?.({ findings: await played(scenario, database) }, () => process.exit(0))

async function played(what: Scenario, on: DatabaseKind): Promise<readonly Finding[]> {
  const missing = databaseMissing(on)
  if (missing !== null) return [notRun(`${what.title}, on ${on}`, missing)]
  try {
    return await what.run({ database: on, say: (line) => process.send?.({ line }) })
  } catch (error) {
    return [finding('the scenario comes to its end', error instanceof Error ? error.message : String(error), false)]
  }
}
