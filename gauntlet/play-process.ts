/** One scenario with one peer in a process of its own, which `run.ts` ends with all that it started. */
import process from 'node:process'
import { PEERS } from './peers.ts'
import { play } from './play.ts'
import { SCENARIOS } from './scenarios.ts'

const [scenarioName, peerName, postgres = ''] = process.argv.slice(2)
const scenario = SCENARIOS.find(({ name }) => name === scenarioName)
const peer = PEERS.find(({ name }) => name === peerName)
if (scenario === undefined || peer === undefined) throw new Error('started without a scenario and a peer')

// Whoever would end it is gone. Its own processes notice the same.
process.once('disconnect', () => process.exit())
const row = await play(scenario, peer.name, { driver: peer.driver, postgres: postgres === '' ? null : postgres })
process.send?.(row, () => process.exit(0))
