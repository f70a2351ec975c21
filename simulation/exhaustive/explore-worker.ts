/** A thread that explores one field, and says what it came to. */
import process from 'node:process'
import { parentPort, workerData } from 'node:worker_threads'
import type { Told } from './explore-thread.ts'
import { explore } from './explore.ts'
import { SCENES } from './scenes.ts'

// A promise of core that nobody waits for must not fail.
process.on('unhandledRejection', (error) => {
  throw new Error(`nobody heard of ${error instanceof Error ? error.message : 'what failed'}`)
})
// Where an error was made, nobody reads in a story that is only counted.
Error.stackTraceLimit = 0

const { setting, bounds, ...told } = workerData as Told
const scene = SCENES.find(({ name }) => name === told.scene)
if (scene === undefined) throw new Error(`no scene is called ${told.scene}`)
parentPort?.postMessage(await explore({ setting, bounds, scene }))
parentPort?.close()
