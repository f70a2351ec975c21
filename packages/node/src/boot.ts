import { readFileSync } from 'node:fs'
import { uptime } from 'node:os'
import process from 'node:process'
import { ABOUT, type Moment, type MonoMs, type UnixMs } from '@tokenkeep/core'
import { wallNow } from './clock-system.ts'

/** Which boot of this host it is, and store time on it: the same clock for every process on the host. */
export interface BootClock {
  readonly boot: string
  /**
   * True: the kernel names its boot, so another id is another boot. False: worked out from the wall clock, and one boot
   * can have two ids; then another id proves nothing.
   */
  readonly exact: boolean
  now(): Moment
}

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id'
const TIME_NAMESPACE_FILE = '/proc/self/timens_offsets'

/**
 * Opens the host's clock: milliseconds since boot, as every process of this host counts them.
 *
 * Linux: `CLOCK_MONOTONIC` and the kernel's boot id. It stands still while the machine is suspended. Elsewhere the boot
 * is named by the minute in which it began, by the wall clock.
 */
export function createBootClock(): BootClock {
  const named = readText(BOOT_ID_FILE)?.trim()
  const exact = named !== undefined && named !== ''
  const boot = exact ? named : aboutWhenBooted(wallNow(), uptime())
  const shiftMs = timeNamespaceShiftMs(readText(TIME_NAMESPACE_FILE) ?? '')
  return {
    boot,
    exact,
    now: () => ({ boot, at: (hostMonotonicMs() - shiftMs) as MonoMs, wall: wallNow() }),
  }
}

/** Rounded to the minute, because the difference of two clocks wobbles; no host boots twice within one. */
export const aboutWhenBooted = (wall: UnixMs, uptimeSeconds: number): string =>
  `${ABOUT}${Math.round((wall / 1000 - uptimeSeconds) / 60)}`

/**
 * How far a Linux time namespace moved the monotonic clock of this process.
 *
 * Containers can have one; the boot id is the host's in all of them, so their clocks have to agree as well.
 *
 * @see time_namespaces(7)
 */
export function timeNamespaceShiftMs(offsets: string): number {
  const [, seconds, nanoseconds] = /^monotonic\s+(-?\d+)\s+(\d+)\s*$/m.exec(offsets) ?? []
  return Number(seconds ?? 0) * 1000 + Number(nanoseconds ?? 0) / 1e6
}

// Microseconds are kept, because two events in one millisecond can have an order.
const hostMonotonicMs = (): number => Number(process.hrtime.bigint() / 1000n) / 1000

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
