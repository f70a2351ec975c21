/** Every scenario, in the order of the table. */
import type { Scenario } from './scenario.ts'
import { atOneInstant, herd, inTurn, sessions, spread } from './scenarios/expiries.ts'
import { frozen, killedStrict, killedWithGrace } from './scenarios/holders.ts'
import { lostAnswer, oddAnswers, once500, slowAnswer, threeTimes503, tooMany } from './scenarios/servers.ts'

export const SCENARIOS: readonly Scenario[] = [
  atOneInstant,
  spread,
  inTurn,
  herd,
  sessions,
  killedWithGrace,
  killedStrict,
  frozen,
  lostAnswer,
  threeTimes503,
  tooMany,
  once500,
  slowAnswer,
  oddAnswers,
]
