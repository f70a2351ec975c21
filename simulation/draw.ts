/** Draws from a seed: the same seed, the same world. */

export interface Draw {
  /** From 0 (inclusive) to 1 (exclusive). */
  fraction(): number
  /** A whole number from 0 to below `count`. */
  below(count: number): number
  chance(of: number): boolean
  pick<Value>(values: readonly Value[]): Value
}

/** mulberry32: small, and good enough to choose faults with. */
export function createDraw(seed: number): Draw {
  let state = Math.imul(seed, 0x9e3779b1) | 0
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (count: number): number => Math.floor(fraction() * count)
  return {
    fraction,
    below,
    chance: (of) => fraction() < of,
    pick(values) {
      const value = values[below(values.length)]
      if (value === undefined) throw new Error('there is nothing to pick from')
      return value
    },
  }
}
