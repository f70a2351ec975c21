import type { Readable, Writable } from 'node:stream'
import process from 'node:process'
import type { EndingSignal } from './exit-codes.ts'

/** What a command meets outside: handed in, so that nothing below reads the process by itself. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The current folder. */
  readonly folder: string
  readonly input: Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown }
  readonly output: Writable & { readonly isTTY?: boolean; readonly columns?: number }
  readonly complaints: Writable & { readonly isTTY?: boolean }
  /** Epoch milliseconds, for telling people how long something lasts. */
  now(): number
  /** The first signal that asks this process to end. */
  readonly interruption: Interruption
  /** The program and its arguments, to start the same once more; absent: this was not started as a program. */
  readonly started?: readonly string[]
}

export interface Interruption {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal
  /** Which one it was; null: none yet. */
  by(): EndingSignal | null
}

const SIGNALS: readonly EndingSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

/**
 * The real ones. The first signal asks for an orderly end, since a refresh on its way should be heard out; the second
 * one ends the process on the spot, as if nobody had listened.
 *
 * @returns with `release`, which gives the signals back
 */
export function systemSurroundings(): { surroundings: Surroundings; release(): void } {
  const controller = new AbortController()
  let by: EndingSignal | null = null
  const listeners = SIGNALS.map((signal) => {
    const listener = (): void => {
      release()
      by = signal
      controller.abort()
    }
    process.on(signal, listener)
    return () => process.removeListener(signal, listener)
  })
  const release = (): void => listeners.forEach((remove) => remove())
  return {
    surroundings: {
      environment: process.env,
      folder: process.cwd(),
      input: process.stdin,
      output: process.stdout,
      complaints: process.stderr,
      now: () => Date.now(),
      interruption: { signal: controller.signal, by: () => by },
      started: process.argv.slice(1),
    },
    release,
  }
}
