/** The numbers that users have, in a fifth of the time: every relation between them stands, and worlds are over sooner. */
import { ms, NUMBERS, type Numbers } from '@tokenkeep/core'

const SHORTER = 5
/** A count, and no length of time. */
const COUNTS: readonly (keyof Numbers)[] = ['breakerConnections']

function shorter(value: number | readonly number[]): number | readonly number[] {
  return typeof value === 'number' ? value / SHORTER : value.map((each) => each / SHORTER)
}

const entries = Object.entries<number | readonly number[]>({ ...NUMBERS }).map(([name, value]) => [
  name,
  COUNTS.some((count) => count === name) ? value : shorter(value),
])

export const SHORT_NUMBERS = Object.fromEntries(entries) as Numbers

/** In a story that is told in every way, fewer looks of those who wait are fewer ways. */
const seldom = (numbers: Numbers, everyMs: number): Numbers => ({
  ...numbers,
  pollFirstMs: ms(everyMs),
  pollCapMs: ms(everyMs),
})
export const SELDOM_NUMBERS = seldom(NUMBERS, 1000)
export const SHORT_SELDOM_NUMBERS = seldom(SHORT_NUMBERS, 500)
