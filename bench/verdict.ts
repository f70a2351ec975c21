/** From rounds to a verdict. Pure. */
import type { Figure, Result, Series } from './row.ts'

/** @param measuredOn ISO 8601 date */
export function judge(figure: Figure, { rounds, noise }: Series, measuredOn: string): Result {
  const spread = Math.max(1 - quantile(noise, 0.25), quantile(noise, 0.75) - 1, 0)
  const ratio = quantile(rounds, 0.5)
  const { name, reference, direction, unit, bound } = figure
  return {
    row: name,
    reference,
    direction,
    unit,
    ratio: rounded(ratio),
    low: rounded(quantile(rounds, 0.25)),
    high: rounded(quantile(rounds, 0.75)),
    noise: rounded(spread),
    bound,
    ok: bound === null || holds(direction, ratio, bound, spread),
    measuredOn,
  }
}

/** A bound is missed only where noise alone does not explain it. */
const holds = (direction: Figure['direction'], ratio: number, bound: number, spread: number): boolean =>
  direction === 'at least' ? ratio * (1 + spread) >= bound : ratio * (1 - spread) <= bound

/** @param part from 0 (the least) to 1 (the most); between two values, in proportion */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * part
  const below = sorted[Math.floor(at)] ?? NaN
  const above = sorted[Math.ceil(at)] ?? NaN
  return below + (above - below) * (at - Math.floor(at))
}

const rounded = (value: number): number => Math.round(value * 1000) / 1000
