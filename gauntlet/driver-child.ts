/** A driver's process as the runner holds it: told, killed, frozen and thawed. Every wait ends. */
import { fork, type ChildProcess } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import type { Answer, Ended, Order, Place, SignIn } from './driver.ts'

const PROGRAM = fileURLToPath(new URL('driver-process.ts', import.meta.url))
// Started again for each scenario: what was compiled once takes a third of the time the next time.
const COMPILED = fileURLToPath(new URL('../node_modules/.cache/tokenkeep-compiled', import.meta.url))
const STOP_LIMIT_MS = 10_000
/** The child ends a call itself; this is for one that does not even do that. */
const BEYOND_CALLS_MS = 30_000
/** What keeping a login may take on top: whoever has to run a program for it is not quick. */
const FOR_A_LOGIN_MS = 2_000
/** All of one order together. */
const CALLS_LIMIT_MS = 120_000
/** Where nobody says how many calls are made at once: all of them. */
const AT_ONCE_MOST = 1_000_000
const WORDS_MOST = 2_000

/** What a driver did that no driver should. It is said in its row, and the run goes on. */
export class DriverFailed extends Error {}

export interface DriverChild {
  start(place: Place): Promise<void>
  seed(signIns: readonly SignIn[]): Promise<void>
  /**
   * @param at by the machine's monotonic clock, milliseconds; absent: now
   * @throws DriverFailed the process ended, or hangs as a whole
   */
  call(ids: readonly string[], options: CallOptions): Promise<readonly Ended[]>
  /** Ends the process that presents refresh tokens, as a crash would: itself, or the daemon, which is started again. */
  crash(): Promise<void>
  /** Stops it with SIGSTOP. */
  freeze(): void
  thaw(): void
  stop(): Promise<void>
}

export interface CallOptions {
  readonly at?: number
  readonly times?: number
  /** So many calls at once at most; absent: all. */
  readonly atOnce?: number
  readonly limitMs: number
}

/** The machine's monotonic clock, milliseconds: the same for all its processes. */
export const machineMono = (): number => Number(process.hrtime.bigint()) / 1e6

/**
 * Starts a process and loads a driver in it.
 *
 * @param startLimitMs what it has for this, and for whatever it is told but calls, milliseconds
 * @throws DriverFailed it cannot be loaded
 */
export async function startDriverChild(driver: URL, startLimitMs: number): Promise<DriverChild> {
  const child = fork(PROGRAM, [driver.href], {
    execArgv: ['--conditions=tokenkeep-source', '--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILED },
  })
  const desk = openDesk(child)
  await desk.answered(0, 'load', startLimitMs)
  let daemon: number | null = null
  const signal = (name: 'SIGSTOP' | 'SIGCONT'): void => {
    if (daemon === null) child.kill(name)
    else process.kill(daemon, name)
  }
  return {
    async start(place) {
      const answer = await desk.tell({ do: 'start', place }, startLimitMs)
      daemon = 'daemon' in answer ? answer.daemon : null
    },
    async seed(signIns) {
      await desk.tell({ do: 'seed', signIns }, startLimitMs + signIns.length * FOR_A_LOGIN_MS)
    },
    async call(ids, { at = machineMono(), times = 1, atOnce = AT_ONCE_MOST, limitMs }) {
      // Whoever has to wait for a place among them waits for as long as those before it do.
      const rounds = Math.ceil((ids.length * times) / atOnce)
      const answer = await desk.tell(
        { do: 'call', ids, times, atOnce, at, limitMs },
        Math.min(limitMs * rounds, CALLS_LIMIT_MS) + BEYOND_CALLS_MS,
      )
      return 'ended' in answer ? answer.ended : []
    },
    async crash() {
      if (daemon === null) return desk.kill()
      const answer = await desk.tell({ do: 'crash' }, startLimitMs)
      daemon = 'daemon' in answer ? answer.daemon : null
    },
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    async stop() {
      if (desk.ended()) return
      child.kill('SIGCONT')
      // One that does not stop when it is told loses nothing by being ended: all that counts was counted.
      await desk.tell({ do: 'stop' }, STOP_LIMIT_MS).catch(() => undefined)
      await desk.kill()
    },
  }
}

type Told = Order extends infer Each ? (Each extends Order ? Omit<Each, 'number'> : never) : never

interface Desk {
  tell(order: Told, limitMs: number): Promise<Answer>
  answered(number: number, what: string, limitMs: number): Promise<Answer>
  ended(): boolean
  kill(): Promise<void>
}

function openDesk(child: ChildProcess): Desk {
  const waiting = new Map<number, PromiseWithResolvers<Answer>>()
  let words = ''
  let numbers = 0
  let end: string | null = null
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-WORDS_MOST)
  })
  child.on('message', (message) => {
    // Sent by our own driver process.
    const answer = message as Answer
    waiting.get(answer.number)?.resolve(answer)
  })
  const gone = new Promise<void>((resolve) => {
    child.once('close', (code, signal) => {
      end = `its process ended (${signal ?? `exit code ${code}`})${lastLineOf(words)}`
      for (const each of waiting.values()) each.reject(new DriverFailed(end))
      resolve()
    })
  })
  // Whoever writes to one that ended a moment ago learns it by its end.
  child.on('error', () => undefined)
  const answered: Desk['answered'] = async (number, what, limitMs) => {
    if (end !== null) throw new DriverFailed(end)
    const answer = Promise.withResolvers<Answer>()
    waiting.set(number, answer)
    const late = setTimeout(() => {
      answer.reject(new DriverFailed(`it hangs: no end of "${what}" within ${limitMs / 1000} s`))
    }, limitMs)
    try {
      const said = await answer.promise
      if ('failed' in said) throw new DriverFailed(`"${what}" failed: ${said.failed}`)
      return said
    } finally {
      clearTimeout(late)
      waiting.delete(number)
    }
  }
  return {
    tell(order, limitMs) {
      numbers += 1
      const number = numbers
      const answer = answered(number, order.do, limitMs)
      if (child.connected) child.send({ ...order, number })
      return answer
    },
    answered,
    ended: () => end !== null,
    async kill() {
      child.kill('SIGKILL')
      await gone
    },
  }
}

/** The error that a process said last, without its stack. */
function lastLineOf(words: string): string {
  const line = words.split('\n').findLast((each) => /error/i.test(each) && !/^\s+at /.test(each))
  return line === undefined ? '' : `: ${line.trim().slice(0, 80)}`
}
