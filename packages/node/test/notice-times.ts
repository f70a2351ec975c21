/** How long after a commit the other processes on the same database know of it: measured with real processes. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Opening, Order } from './notices-child.ts'
import { openWorld, type World } from './world.ts'

export interface NoticeTimes {
  /** From the commit to the first hand-out of the new token by each of the others, which remembered the old one; milliseconds. */
  readonly remembering: readonly number[]
  /** From the commit to the return of a call that waited for it in each of the others, milliseconds. */
  readonly waiting: readonly number[]
}

const CHILD = fileURLToPath(new URL('./notices-child.ts', import.meta.url))
const LIFE_MS = 3_600_000
/** Long enough for the others to begin to wait. */
const SERVER_TAKES_MS = 150
const ENDED_WITHIN_MS = 5_000

interface Child {
  ask(order: Order): Promise<{ readonly at?: number; readonly token?: string }>
  /** The next line without an order: `watch` answers twice. */
  answer(): Promise<{ readonly at?: number }>
  end(): Promise<void>
  kill(): void
}

async function start(opening: Opening): Promise<Child> {
  const child = spawn(process.execPath, ['--conditions=tokenkeep-source', CHILD], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const answer = async (): Promise<object> => {
    const { value, done } = await lines.next()
    if (done === true) throw new Error('a process ended early')
    return JSON.parse(value) as object
  }
  const say = (line: object): void => void child.stdin.write(`${JSON.stringify(line)}\n`)
  say(opening)
  await answer()
  return {
    ask: (order) => {
      say(order)
      return answer()
    },
    answer,
    end: () => {
      child.stdin.end()
      return ended
    },
    kill: () => void child.kill('SIGKILL'),
  }
}

/**
 * Four processes on one SQLite file, one of which refreshes.
 *
 * @param rounds each is a refresh that the others remember the old token of, and one that they wait for
 */
export async function measureNotices({ rounds }: { readonly rounds: number }): Promise<NoticeTimes> {
  await using world = await openWorld({ realm: { accessTokenSeconds: LIFE_MS / 1_000 } })
  const ids = Array.from({ length: rounds }, (_, round) => ({ held: `held-${round}`, ended: `ended-${round}` }))
  for (const { held, ended } of ids) {
    await world.connect(held)
    await connectEnded(world, ended)
  }
  const opening = { path: world.path, keyFile: join(world.folder, 'config', 'test.key') }
  const refresher = await start({ ...opening, aheadMs: LIFE_MS * 0.6, onlyRemembers: false })
  const others = await Promise.all([1, 2, 3].map(() => start({ ...opening, aheadMs: 0, onlyRemembers: true })))
  const children = [refresher, ...others]
  try {
    return await measure({ world, ids, refresher, others })
  } finally {
    // Only what failed left one of them at work.
    await Promise.race([
      Promise.all(children.map((child) => child.end())),
      pause(ENDED_WITHIN_MS, undefined, { ref: false }),
    ])
    for (const child of children) child.kill()
  }
}

interface Measuring {
  readonly world: World
  readonly ids: readonly { readonly held: string; readonly ended: string }[]
  readonly refresher: Child
  readonly others: readonly Child[]
}

async function measure({ world, ids, refresher, others }: Measuring): Promise<NoticeTimes> {
  const remembering: number[] = []
  const waiting: number[] = []
  for (const { held, ended } of ids) {
    await Promise.all(
      others.map(async (other) => {
        const { token = '' } = await other.ask({ act: 'hand_out', id: held })
        await other.ask({ act: 'watch', id: held, old: token })
      }),
    )
    const changed = others.map((other) => other.answer())
    const { at: committedAt = 0 } = await refresher.ask({ act: 'refresh', id: held })
    for (const { at = 0 } of await Promise.all(changed)) remembering.push(at - committedAt)

    await world.server.control.addFault({ fault: { kind: 'delay', ms: SERVER_TAKES_MS }, when: 'before', times: 1 })
    const refreshed = refresher.ask({ act: 'refresh', id: ended })
    while ((await world.keep.connections.get(ended)).status !== 'presenting') await pause(1)
    const waited = others.map((other) => other.ask({ act: 'wait', id: ended }))
    const { at: endedAt = 0 } = await refreshed
    for (const { at = 0 } of await Promise.all(waited)) waiting.push(at - endedAt)
  }
  return { remembering, waiting }
}

/** A connection whose access token has ended: whoever asks has to wait. */
async function connectEnded(world: World, id: string): Promise<void> {
  const session = await world.server.control.seedSession('external', { clientId: 'app' })
  if (session.refreshToken === null) throw new Error('the seeded session has no refresh token')
  await world.keep.connections.import({ id, client: 'app', refreshToken: session.refreshToken })
}

export const medianOf = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
