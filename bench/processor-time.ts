import process from 'node:process'

/**
 * Processor time of this process in milliseconds, from an arbitrary beginning; collections in other threads included.
 *
 * For loops that never wait: on an idle machine it is the time that passes, and on a busy one it leaves out what other
 * programs took. Not `threadCpuUsage`, which moves in steps of 4 ms.
 */
export function processorMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
