/** Several managers in processes of their own on the file of one world: the bounded forms of what `prove/` shows. */
import type { Call } from './fixtures/manager-orders.ts'
import { spawnManager, type ManagerProcess } from './fixtures/manager-process.ts'
import { openWorld, type World, type WorldOptions } from './world.ts'
import type { OpenOptions } from '../src/tokenkeep.ts'

export interface ProcessesWorld extends World {
  /** Starts a manager whose clocks can be put forward. */
  start(options?: Partial<OpenOptions>): Promise<ManagerProcess>
}

export async function openProcessesWorld(options: WorldOptions = {}): Promise<ProcessesWorld> {
  const world = await openWorld(options)
  const started: ManagerProcess[] = []
  return {
    ...world,
    async start(more = {}) {
      const manager = spawnManager()
      started.push(manager)
      const { path, folder } = world
      const { onEvent: _, ...open } = { ...options.open, ...more }
      await manager.tell({
        do: 'open',
        options: { path, keyFile: `${folder}/config/test.key`, keyBesideData: true, background: false, ...open },
        movable: true,
      })
      return manager
    },
    async [Symbol.asyncDispose]() {
      for (const manager of started) await manager[Symbol.asyncDispose]()
      await world[Symbol.asyncDispose]()
    },
  }
}

/** Looks again and again until `probe` is true: no longer than half a minute, on a machine that others use as well. */
export async function eventually(what: string, probe: () => Promise<boolean> | boolean): Promise<void> {
  const until = performance.now() + 30_000
  while (!(await probe())) {
    if (performance.now() > until) throw new Error(`it did not come about that ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** How each call went, in one word: `ok` where the API took the token. */
export const wordsOf = (calls: readonly Call[]): readonly string[] =>
  calls.map((call) => (call.ok ? (call.api === null || call.api === 200 ? 'ok' : `api ${call.api}`) : call.code))
