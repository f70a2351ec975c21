export const DAY_MS = 24 * 3600 * 1000

/** Whole days from now until then, rounded down. */
export const daysUntil = (then: number, now: number): number => Math.floor((then - now) / DAY_MS)
