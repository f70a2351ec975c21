import { performance } from 'node:perf_hooks'
import { TICK_MS, type Alarm, type Clock, type DurationMs, type MonoMs, type Now, type UnixMs } from '@tokenkeep/core'

export interface SystemClockOptions {
  /**
   * `foreground` (the default): a pending alarm keeps the process alive, because somebody waits for it.
   * `background`: it does not, as a scheduler wants it.
   */
  readonly alarms?: 'foreground' | 'background'
}

// A longer delay overflows to 1 ms in Node.
const TIMER_MS_MAX = 2 ** 31 - 1

/** What this host's wall clock says now. Everything that needs the wall time gets it from this file. */
export const wallNow = (): UnixMs => Date.now() as UnixMs

/** The clocks of this process. */
export function createSystemClock(options: SystemClockOptions = {}): Clock {
  const inBackground = options.alarms === 'background'
  return {
    now: (): Now => ({ wall: wallNow(), mono: performance.now() as MonoMs }),
    tick,
    alarm: (afterMs) => alarm(afterMs, inBackground),
  }
}

// So long, of the time in which this process runs, hand-outs from memory are judged by one reading of the wall clock.
const GLANCE_MS = 1

/**
 * The clocks for a hand-out from memory: the monotonic one read each time, the wall clock once a millisecond.
 *
 * It also advances in a loop of microtasks, unlike a timer's clock. Where the machine is suspended between two readings,
 * callers of the same millisecond get what those before the suspension got and hold still.
 */
export function createGlance(): () => Now {
  let wall = wallNow()
  let readAt = performance.now()
  return () => {
    const mono = performance.now()
    if (mono - readAt >= GLANCE_MS) {
      wall = wallNow()
      readAt = mono
    }
    return { wall, mono: mono as MonoMs }
  }
}

/**
 * After a freeze the timer is overdue and runs before the sockets are read. The check phase comes after the poll phase,
 * so whatever arrived meanwhile has been read when a tick ends; and the longest freeze counts as one tick, because each
 * starts when it is asked for.
 */
const tick = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(() => setImmediate(resolve), TICK_MS)
  })

function alarm(afterMs: DurationMs, inBackground: boolean): Alarm {
  const { promise, resolve } = Promise.withResolvers<void>()
  let timer: NodeJS.Timeout | undefined
  const wait = (leftMs: number): void => {
    const partMs = Math.min(leftMs, TIMER_MS_MAX)
    timer = setTimeout(() => (leftMs > partMs ? wait(leftMs - partMs) : resolve()), partMs)
    if (inBackground) timer.unref()
  }
  wait(Math.max(0, afterMs))
  return { rung: promise, cancel: () => clearTimeout(timer) }
}
