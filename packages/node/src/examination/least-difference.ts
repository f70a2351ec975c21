/** How far two clocks are apart, as far as one reading of each proves it. */

/** The smallest difference of two clocks of which each was read somewhere within its span; 0 where they overlap. */
export function leastDifference(
  theirs: { readonly from: number; readonly to: number },
  ours: { readonly from: number; readonly to: number },
): number {
  if (theirs.from > ours.to) return theirs.from - ours.to
  if (theirs.to < ours.from) return theirs.to - ours.from
  return 0
}

/** An HTTP answer with its clock. Moments in epoch milliseconds. */
export interface Dated {
  readonly date: string | undefined
  /** How long a cache had it. */
  readonly age: string | undefined
  readonly sentAt: number
  readonly receivedAt: number
}

/**
 * The clock of whoever answered minus ours, milliseconds, by its `Date`; null: it did not say.
 *
 * @see RFC 9110 section 6.6.1: whole seconds; RFC 9111 section 5.1
 */
export function differenceByDate({ date, age, sentAt, receivedAt }: Dated): number | null {
  const said = Date.parse(date ?? '')
  if (Number.isNaN(said)) return null
  const agedMs = /^\d{1,9}$/.test(age ?? '') ? Number(age) * 1000 : 0
  const from = said + agedMs
  // An age is a whole second, too.
  const to = from + 999 + (agedMs === 0 ? 0 : 1000)
  return leastDifference({ from, to }, { from: sentAt, to: receivedAt })
}
