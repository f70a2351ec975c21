/** Sees when the event loop cannot keep up, so that new requests are refused while those that are here are answered. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Clock, MonoMs } from '@tokenkeep/core'
import { HttpProblem } from './problem.ts'

export interface Pressure {
  /** @throws HttpProblem `overloaded` */
  check(): void
  stop(): void
}

/** Tells load from a stall. */
export interface Lateness {
  /**
   * Whether the window that has just ended shows that there is more to do than can be done.
   *
   * @param delayMs as a request met it on average
   */
  isLoad(delayMs: number, window: { readonly from: MonoMs; readonly to: MonoMs }): boolean
}

const RESOLUTION_MS = 10
const LOOK_EVERY_MS = 500
/**
 * One late window alone is a stall that is over: the process was stopped, the machine slept, a disk hung. Nobody is helped
 * by refusing those who waited for its end. Load makes one late window after the other; so far apart at most.
 */
const LATE_AGAIN_WITHIN_MS = 5_000

/** @param delayMsMax the delay that is too much, as a request meets it on average over half a second; 0: nothing ever is */
export function watchPressure(delayMsMax: number, clock: Pick<Clock, 'now'>): Pressure {
  if (delayMsMax === 0) return { check: () => undefined, stop: () => undefined }
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  const lateness = createLateness(delayMsMax)
  let from = clock.now().mono
  let overloaded = false
  const look = (): void => {
    // A long turn meets more requests than a short one, so each counts by its length: one that lasted for two seconds is
    // not hidden by the fifty short ones before it.
    const { mean, stddev } = delay
    const metMs = (mean + stddev ** 2 / mean) / 1e6 - RESOLUTION_MS
    const to = clock.now().mono
    overloaded = lateness.isLoad(metMs, { from, to })
    from = to
    delay.reset()
  }
  // After the other timers of this turn, for one of them notes how long the turn before was.
  const timer = setInterval(() => setImmediate(look), LOOK_EVERY_MS)
  timer.unref()
  return {
    check() {
      if (overloaded) throw new HttpProblem('overloaded', 'this server has more to do than it can: try again shortly.')
    },
    stop() {
      clearInterval(timer)
      delay.disable()
    },
  }
}

export function createLateness(delayMsMax: number): Lateness {
  let lateUntil = Number.NEGATIVE_INFINITY
  return {
    isLoad(delayMs, { from, to }) {
      if (!(delayMs > delayMsMax)) return false
      const again = from - lateUntil <= LATE_AGAIN_WITHIN_MS
      lateUntil = to
      return again
    },
  }
}
