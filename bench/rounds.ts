/** Many short rounds, taken in turn by subject, reference and the reference's copy. */
import type { Series } from './row.ts'

/** One round: a rate or a time, the same for all three. */
type Round = () => Promise<number>

export interface Variants {
  readonly subject: Round
  readonly reference: Round
  readonly copy: Round
}

const ORDERS = [
  ['subject', 'reference', 'copy'],
  ['reference', 'copy', 'subject'],
  ['copy', 'subject', 'reference'],
] as const satisfies readonly (readonly (keyof Variants)[])[]

/**
 * Measures `rounds` rounds after `warmUp` ones that do not count. A round's ratio compares what was measured within the
 * same moment, so a machine that gets slower or faster meanwhile spoils none; the order changes so that none is always
 * first.
 */
export async function alternate(
  variants: Variants,
  { rounds, warmUp }: { readonly rounds: number; readonly warmUp: number },
): Promise<Series> {
  const series: { rounds: number[]; noise: number[] } = { rounds: [], noise: [] }
  for (let round = -warmUp; round < rounds; round += 1) {
    const measured = { subject: 0, reference: 0, copy: 0 }
    for (const variant of ORDERS[Math.abs(round) % ORDERS.length] ?? ORDERS[0]) {
      globalThis.gc?.()
      measured[variant] = await variants[variant]()
    }
    if (round < 0) continue
    series.rounds.push(measured.subject / measured.reference)
    series.noise.push(measured.copy / measured.reference)
  }
  return series
}
