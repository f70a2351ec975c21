/** Time has a type, a unit and one source: nothing in this package reads a clock, every moment is handed in. */
declare const brand: unique symbol

/** Milliseconds since 1970-01-01T00:00:00Z by some host's or database's wall clock. */
export type UnixMs = number & { readonly [brand]: 'UnixMs' }
/** Milliseconds of a clock that only goes forward; comparable only within one process or one boot. */
export type MonoMs = number & { readonly [brand]: 'MonoMs' }
/** A length of time in milliseconds. */
export type DurationMs = number & { readonly [brand]: 'DurationMs' }

/** One reading of this process's clocks, both taken at the same instant. */
export interface Now {
  readonly wall: UnixMs
  readonly mono: MonoMs
}

/**
 * A moment in store time: what leases, attempts and windows are measured in.
 *
 * SQLite: the host's boot-relative monotonic clock and the boot's id. Postgres: `clock_timestamp()`, and one constant
 * for the boot. The wall clock rides along for spans across a boot.
 */
export interface Moment {
  readonly boot: string
  readonly at: MonoMs
  readonly wall: UnixMs
}

export const ms = (value: number): DurationMs => value as DurationMs
/** Wire seconds become milliseconds here, once. */
export const fromSeconds = (seconds: number): DurationMs => (seconds * 1000) as DurationMs
export const later = <At extends UnixMs | MonoMs>(at: At, by: DurationMs): At => ((at as number) + by) as At
export const since = <At extends UnixMs | MonoMs>(from: At, to: At): DurationMs =>
  ((to as number) - (from as number)) as DurationMs
export const shorter = (a: DurationMs, b: DurationMs): DurationMs => (a < b ? a : b)
export const longer = (a: DurationMs, b: DurationMs): DurationMs => (a > b ? a : b)
export const earliest = (...moments: readonly UnixMs[]): UnixMs => Math.min(...moments) as UnixMs
export const latest = (...moments: readonly UnixMs[]): UnixMs => Math.max(...moments) as UnixMs

/** Begins the id of a boot that was worked out from the wall clock: one boot can have two of them. */
export const ABOUT = 'about-'

/** Whether these are two boots: one that was worked out from the wall clock can have two names. */
export const areTwoBoots = (one: string, other: string): boolean =>
  one !== other && !one.startsWith(ABOUT) && !other.startsWith(ABOUT)

/**
 * How much time has surely passed between two moments: what a patience is measured with.
 *
 * Across a boot it is the wall time, and at least the time since that boot, where the kernel names its boots.
 */
export function surelyElapsed(from: Moment, to: Moment): DurationMs {
  if (from.boot === to.boot) return ms(Math.max(0, to.at - from.at))
  return ms(Math.max(0, to.wall - from.wall, areTwoBoots(from.boot, to.boot) ? to.at : 0))
}

/**
 * How much time may have passed between two moments at most: what a closing window is measured with.
 *
 * Across a boot a wall clock that went backwards could hide any span: endless, so that the window counts as closed.
 */
export function perhapsElapsed(from: Moment, to: Moment): DurationMs {
  // A monotonic clock can stand still while the machine is suspended; the wall clock does not.
  if (from.boot === to.boot) return ms(Math.max(0, to.at - from.at, to.wall - from.wall))
  return ms(to.wall < from.wall ? Number.POSITIVE_INFINITY : to.wall - from.wall)
}

/** The moment `by` after `moment`, on the same boot. */
export const laterMoment = (moment: Moment, by: DurationMs): Moment => ({
  boot: moment.boot,
  at: later(moment.at, by),
  wall: later(moment.wall, by),
})

/**
 * What a clock reads now, given one earlier reading and how long ago it was by the process's own clock.
 *
 * The larger of the monotonic and the wall span counts: a suspended machine must not make an old token look young.
 */
export const agedBy = (then: Now, now: Now): DurationMs =>
  longer(since(then.mono, now.mono), since(then.wall, now.wall))
