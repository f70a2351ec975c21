/** The numbers that users have, in a fifth of the time: every relation between them stands, and worlds are over sooner. */
import { NUMBERS, type Numbers } from '@tokenkeep/core'

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
