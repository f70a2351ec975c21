/** Many short rounds, taken in turn by subject, reference and the reference's copy. */
import type { Series } from './row.ts'

/** What one round of one variant measured: rates or times, by the name of the figure that they are for. */
type Measured<Name extends string> = Readonly<Record<Name, number>>
type Round<Name extends string> = () => Promise<Measured<Name>>

export interface Variants<Name extends string> {
  readonly subject: Round<Name>
  readonly reference: Round<Name>
  /** A second copy of the reference: what it is faster or slower by is noise. */
  readonly copy: Round<Name>
}

const ORDERS = [
  ['subject', 'reference', 'copy'],
  ['reference', 'copy', 'subject'],
  ['copy', 'subject', 'reference'],
] as const satisfies readonly (readonly (keyof Variants<string>)[])[]

/**
 * Measures `rounds` rounds after `warmUp` ones that do not count. A round's ratio compares what was measured within the
 * same moment, so a machine that gets slower or faster meanwhile spoils none; the order changes so that none is always
 * first. Young garbage is collected before each, so that nobody pays for another's; a full collection would also throw
 * compiled code away, which costs most where most code is used.
 */
export async function alternate<Name extends string>(
  variants: Variants<Name>,
  { rounds, warmUp }: { readonly rounds: number; readonly warmUp: number },
): Promise<Readonly<Record<Name, Series>>> {
  const seen: Readonly<Record<keyof Variants<Name>, Measured<Name>>>[] = []
  for (let round = -warmUp; round < rounds; round += 1) {
    const measured: Partial<Record<keyof Variants<Name>, Measured<Name>>> = {}
    for (const variant of ORDERS[Math.abs(round) % ORDERS.length] ?? ORDERS[0]) {
      globalThis.gc?.({ type: 'minor' })
      measured[variant] = await variants[variant]()
    }
    const { subject, reference, copy } = measured
    if (round >= 0 && subject && reference && copy) seen.push({ subject, reference, copy })
  }
  const names = Object.keys(seen[0]?.subject ?? {}) as Name[]
  const series = names.map((name) => [
    name,
    {
      rounds: seen.map(({ subject, reference }) => subject[name] / reference[name]),
      noise: seen.map(({ copy, reference }) => copy[name] / reference[name]),
    },
  ])
  return Object.fromEntries(series) as Record<Name, Series>
}
