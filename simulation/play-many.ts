/** Plays many worlds, in this thread or in several, and says of each what it came to. */
import { Worker } from 'node:worker_threads'
import { drawPlan } from './plan.ts'
import { play, type Verdict } from './play.ts'

/** What one world came to, without its story: whoever wants that plays the seed again. */
export interface Counted extends Pick<Verdict, 'losses' | 'happened' | 'presentations' | 'steps'> {
  readonly seed: number
  readonly policy: string
  readonly broken: boolean
}

export interface ManyOptions {
  readonly fromSeed: number
  readonly count: number
  /** The name of one, or null: drawn as well. */
  readonly policy: string | null
  /** So many threads of their own; null: this one. */
  readonly workers: number | null
  /** Called for each world, in no order where several play. */
  counted(one: Counted): void
  /** Asked before each world, or before each few of them where several play. */
  goesOn(): boolean
}

/** Worlds that a worker plays before it says what they came to. */
const AT_ONCE = 20

/** What a worker is asked to play: seeds from the first on; null: nothing more. */
export type Share = { readonly fromSeed: number; readonly count: number } | null

/** Resolves when the last one was counted; fails where a worker does. */
export async function playMany(options: ManyOptions): Promise<void> {
  const { fromSeed, count, policy, workers, counted, goesOn } = options
  const end = fromSeed + count
  if (workers === null) {
    for (let seed = fromSeed; seed < end && goesOn(); seed += 1) counted(await countedWorld(seed, policy))
    return
  }
  let next = fromSeed
  const share = (): Share => {
    if (next >= end || !goesOn()) return null
    const from = next
    next = Math.min(end, from + AT_ONCE)
    return { fromSeed: from, count: next - from }
  }
  await Promise.all(
    Array.from({ length: workers }, () => {
      const { promise: done, resolve, reject } = Promise.withResolvers<void>()
      const worker = new Worker(new URL('play-worker.ts', import.meta.url), { workerData: policy })
      worker.on('message', (played: readonly Counted[]) => {
        for (const one of played) counted(one)
        worker.postMessage(share())
      })
      worker.on('error', reject)
      worker.on('exit', (code) => {
        if (code === 0) resolve()
        else reject(new Error(`a worker ended with ${code}`))
      })
      worker.postMessage(share())
      return done
    }),
  )
}

export async function countedWorld(seed: number, policy: string | null): Promise<Counted> {
  const plan = drawPlan(seed, policy)
  const { broken, losses, happened, presentations, steps } = await withoutStacks(() => play(plan))
  return { seed, policy: plan.policy.name, broken: broken.length > 0, losses, happened, presentations, steps }
}

/** Where an error was made, nobody reads in a world that is only counted; to note it takes longer than what it is about. */
async function withoutStacks<Value>(run: () => Promise<Value>): Promise<Value> {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return await run()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}
