/** What many worlds came to, counted. */
import { isAvoidable, type Loss } from './losses.ts'
import { HAPPENING_KINDS, type CameAbout } from './plan.ts'
import { POLICIES } from './policies.ts'
import type { Counted } from './play-many.ts'

/** In so many worlds everything that can happen does. */
export const LONG_RUN = 5000

interface Row {
  worlds: number
  broken: number
  presentations: number
  readonly losses: Map<Loss, number>
}

export interface Tally {
  add(one: Counted): void
  worlds(): number
  steps(): number
  broken(): number
  avoidable(): number
  unavoidable(): number
  /** What never came about. */
  missing(): readonly CameAbout[]
  tables(): string
}

export function createTally(): Tally {
  const rows = new Map<string, Row>(
    POLICIES.map(({ name }) => [name, { worlds: 0, broken: 0, presentations: 0, losses: new Map<Loss, number>() }]),
  )
  const happened = new Map<CameAbout, number>()
  let steps = 0
  const sum = (of: (row: Row) => number): number => [...rows.values()].reduce((total, row) => total + of(row), 0)
  const lost = (row: Row, counts: (loss: Loss) => boolean): number =>
    [...row.losses].reduce((total, [loss, times]) => total + (counts(loss) ? times : 0), 0)
  const missing = (): readonly CameAbout[] => HAPPENING_KINDS.filter((kind) => !happened.has(kind))

  return {
    add(one) {
      const row = rows.get(one.policy)
      if (row === undefined) throw new Error(`no policy is called ${one.policy}`)
      row.worlds += 1
      row.presentations += one.presentations
      if (one.broken) row.broken += 1
      for (const loss of one.losses) row.losses.set(loss, (row.losses.get(loss) ?? 0) + 1)
      for (const kind of one.happened) happened.set(kind, (happened.get(kind) ?? 0) + 1)
      steps += one.steps
    },
    worlds: () => sum(({ worlds }) => worlds),
    steps: () => steps,
    broken: () => sum(({ broken }) => broken),
    avoidable: () => sum((row) => lost(row, isAvoidable)),
    unavoidable: () => sum((row) => lost(row, (loss) => !isAvoidable(loss))),
    missing,
    tables() {
      const lines = [line('policy', 'worlds', 'broken', 'presented', 'lost, and why')]
      for (const [name, { worlds, broken, presentations, losses }] of rows) {
        const why = [...losses].sort(([, a], [, b]) => b - a).map(([loss, times]) => `${times} ${loss}`)
        if (worlds > 0) lines.push(line(name, worlds, broken, presentations, why.length === 0 ? '0' : why.join(', ')))
      }
      const kinds = [...happened].sort(([, a], [, b]) => b - a).map(([kind, times]) => `${kind} ${times}`)
      return `${lines.join('\n')}\n\nhappened: ${kinds.join(', ')}`
    },
  }
}

function line(name: string, ...cells: readonly (string | number)[]): string {
  const [worlds = '', broken = '', presented = '', rest = ''] = cells
  const numbers = [worlds, broken, presented].map((cell) => String(cell).padStart(10)).join('')
  return `${name.padEnd(16)}${numbers}   ${rest}`
}
