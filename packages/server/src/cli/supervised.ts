/**
 * A command that ends in time, whatever hangs: it runs in a child, and the parent ends as soon as the child knows its exit code,
 * or has had its time.
 *
 * A thread that waits in the kernel, for a disk that is gone or for the name of a host, keeps its process from ending by
 * itself: even `process.exit` waits for it.
 */
import { spawn } from 'node:child_process'
import process from 'node:process'
import type { Surroundings } from './surroundings.ts'

export type Supervised =
  /** This process is the child, or was not started as a program: it does the work. */
  | { readonly kind: 'here' }
  | { readonly kind: 'ended'; readonly code: number }
  /** Nothing came in time. `during`: what it had begun last. */
  | { readonly kind: 'hung'; readonly during: string }

/** What the child says. */
type Word = { readonly settled: number } | { readonly begun: string }

/** To end in order after its last word. */
const FAREWELL_MS = 500
/**
 * @param withinMs with the start of a Node on a busy machine, and the writing of the answer
 * @throws Error where a signal asked this process to end, or ended the child
 */
export async function supervised(
  { started, interruption }: Pick<Surroundings, 'started' | 'interruption'>,
  withinMs: number,
): Promise<Supervised> {
  if (started === undefined || process.send !== undefined) return { kind: 'here' }
  const child = spawn(process.execPath, [...process.execArgv, ...started], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const { promise, resolve, reject } = Promise.withResolvers<Supervised>()
  let during = 'the start of it'
  let settled: number | null = null
  child.on('message', (word: Word) => {
    if ('begun' in word) during = word.begun
    else {
      settled = word.settled
      setTimeout(() => resolve({ kind: 'ended', code: word.settled }), FAREWELL_MS)
    }
  })
  child.once('error', reject)
  child.once('exit', (code) => {
    const ended = settled ?? code
    // By a signal, before it could say anything.
    if (ended === null) reject(new Error('the child was killed'))
    else resolve({ kind: 'ended', code: ended })
  })
  const timer = setTimeout(() => resolve({ kind: 'hung', during }), withinMs)
  const interrupted = (): void => reject(new Error('interrupted'))
  interruption.signal.addEventListener('abort', interrupted)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    interruption.signal.removeEventListener('abort', interrupted)
    if (child.exitCode === null) child.kill('SIGKILL')
    // One that waits in the kernel is not gone yet.
    child.unref()
    child.channel?.unref()
  }
}

/** Says what is being done, to whoever supervises this process. */
export function tellBegun(what: string): void {
  if (process.send !== undefined && process.connected) process.send({ begun: what } satisfies Word)
}

/** Says the exit code, once everything was written. */
export function tellSettled(code: number): void {
  if (process.send !== undefined && process.connected) process.send({ settled: code } satisfies Word)
}
