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

/** @param delayMsMax the mean delay, over half a second, that is too much; 0: nothing ever is */
export function watchPressure(delayMsMax: number): Pressure {
  if (delayMsMax === 0) return { check: () => undefined, stop: () => undefined }
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  let overloaded = false
  const timer = setInterval(() => {
    // Of a loop that stood still for the whole time there is no sample yet: the mean is NaN, and this timer is late.
    const meanMs = delay.mean / 1e6 - RESOLUTION_MS
    overloaded = Number.isNaN(meanMs) || meanMs > delayMsMax
    delay.reset()
  }, LOOK_EVERY_MS)
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
