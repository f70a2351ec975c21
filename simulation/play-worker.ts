/** One of the threads in which worlds are played: told which, it says what they came to. */
import process from 'node:process'
import { parentPort, workerData } from 'node:worker_threads'
import { countedWorld, type Counted, type Share } from './play-many.ts'

const policy = workerData as string | null
let playing = 0
// A promise of core that nobody waits for must not fail.
process.on('unhandledRejection', (error) => {
  throw new Error(`nobody heard of ${error instanceof Error ? error.message : 'what failed'} in seed ${playing}`)
})
parentPort?.on('message', (share: Share) => {
  if (share === null) parentPort?.close()
  else void playThem(share)
})

async function playThem({ fromSeed, count }: NonNullable<Share>): Promise<void> {
  const played: Counted[] = []
  for (playing = fromSeed; playing < fromSeed + count; playing += 1) played.push(await countedWorld(playing, policy))
  parentPort?.postMessage(played)
}
