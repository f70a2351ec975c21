import process from 'node:process'

/**
 * Processor time of this thread in milliseconds, from an arbitrary beginning.
 *
 * For loops that never wait: on an idle machine it is the time that passes, and on a busy one it leaves out what other
 * programs took. It moves in steps of up to 4 ms, so a round is much longer than that.
 */
export function threadMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
