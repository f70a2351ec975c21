/** Waiting for what is waited for, and never for ever. */
import { setTimeout as pause } from 'node:timers/promises'

/**
 * Looks again and again until `probe` is true.
 *
 * @param what named in the error
 * @throws Error it was not so within the limit
 */
export async function eventually(
  what: string,
  probe: () => Promise<boolean> | boolean,
  limitMs = 30_000,
): Promise<void> {
  const until = performance.now() + limitMs
  while (!(await probe())) {
    if (performance.now() > until) throw new Error(`within ${limitMs} ms it did not come about that ${what}`)
    await pause(10)
  }
}

/** Waits until a moment of the wall clock, epoch milliseconds. */
export const untilWall = (at: number): Promise<void> => pause(Math.max(0, at - Date.now()))

/** The middle value; of an even number of values the upper of the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
