/** Every scenario, in the order in which they are run. */
import type { Scenario } from './scenario.ts'
import { expiries } from './scenarios/expiries.ts'
import { frozenHolder } from './scenarios/frozen-holder.ts'
import { killedHolder } from './scenarios/killed-holder.ts'
import { lateAnswer } from './scenarios/late-answer.ts'
import { notice } from './scenarios/notice.ts'
import { oneDatabase } from './scenarios/one-database.ts'
import { outages } from './scenarios/outages.ts'
import { randomKills } from './scenarios/random-kills.ts'

export const SCENARIOS: readonly Scenario[] = [
  expiries,
  killedHolder,
  frozenHolder,
  lateAnswer,
  randomKills,
  outages,
  notice,
  oneDatabase,
]
