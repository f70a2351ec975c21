/** Sees when the event loop cannot keep up, so that new requests are refused while those that are here are answered. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { HttpProblem } from './problem.ts'

export interface Pressure {
  /** @throws HttpProblem `overloaded` */
  check(): void
  stop(): void
}

const RESOLUTION_MS = 10
const LOOK_EVERY_MS = 500

/** @param delayMsMax the delay that is too much, as a request meets it on average over half a second; 0: nothing ever is */
export function watchPressure(delayMsMax: number): Pressure {
  if (delayMsMax === 0) return { check: () => undefined, stop: () => undefined }
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  let overloaded = false
  const look = (): void => {
    // A long turn meets more requests than a short one, so each counts by its length: one that lasted for two seconds is
    // not hidden by the fifty short ones before it.
    const { mean, stddev } = delay
    const metMs = (mean + stddev ** 2 / mean) / 1e6 - RESOLUTION_MS
    overloaded = metMs > delayMsMax
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
