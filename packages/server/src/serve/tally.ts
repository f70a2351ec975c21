import { Counter, type Registry } from 'prom-client'

/** A counter that costs two lookups: those of prom-client join strings at each call, this one when it is read. */
export interface Tally {
  /** One more for these values of its labels. */
  add(first?: string, second?: string): void
}

/** What a label says instead of values for which there is no room. */
export const OTHER = 'other'

/** @param distinctMax a label has so many values at most, so that no caller fills the memory of whoever reads them */
export function createTally(of: {
  readonly registry: Registry
  readonly name: string
  readonly help: string
  readonly labels: readonly [] | readonly [string] | readonly [string, string]
  readonly distinctMax: number
}): Tally {
  const { registry, name, help, labels, distinctMax } = of
  const rows = new Map<string, Row>()
  const counter = new Counter({
    name,
    help,
    labelNames: [...labels],
    registers: [registry],
    collect() {
      counter.reset()
      for (const [first, row] of rows) {
        for (const [second, { count }] of row) {
          const values = [first, second]
          counter.inc(Object.fromEntries(labels.map((label, at) => [label, values[at] ?? ''])), count)
        }
      }
    },
  })
  return {
    add(first = '', second = '') {
      const row = found(rows, first, distinctMax) ?? placed(rows, first, distinctMax, new Map<string, Cell>())
      const cell = found(row, second, distinctMax) ?? placed(row, second, distinctMax, { count: 0 })
      cell.count += 1
    },
  }
}

interface Cell {
  count: number
}
type Row = Map<string, Cell>

/** @returns undefined: nobody has it, and there is room */
const found = <Value>(cells: ReadonlyMap<string, Value>, key: string, most: number): Value | undefined =>
  cells.get(key) ?? (cells.size >= most ? cells.get(OTHER) : undefined)

/** The last place is for all others. */
function placed<Value>(cells: Map<string, Value>, key: string, most: number, value: Value): Value {
  cells.set(cells.size >= most - 1 ? OTHER : key, value)
  return value
}
