/** What a database keeps beside a row to find it again: when it lapses or expires, and what is wrong with it. Pure. */
import {
  lapsesAt,
  later,
  NUMBERS,
  TROUBLES,
  type ConnectionRow,
  type Moment,
  type Trouble,
  type UnixMs,
} from '@tokenkeep/core'

/**
 * The moment beyond which only a person keeps a connection alive, once that was announced. Not earlier: a session's known end
 * is written anew with every refresh.
 */
export function expiringAt(row: ConnectionRow): UnixMs | null {
  const lapse = lapsesAt(row)
  if (lapse !== null) return lapse
  const { status } = row.state
  if (status === 'needs_user' || status === 'deleting' || status === 'erased') return null
  const end = row.lastGrant?.sessionEnd
  return end === undefined || end.announceAt !== null ? null : end.at
}

/** What only a person or the operator can mend, in a word; null: nothing. */
export const reasonIn = ({ state }: Pick<ConnectionRow, 'state'>): string | null =>
  state.status === 'needs_user' || state.status === 'blocked' ? state.reason : null

/** What the labels of a connection say of it, so that those in trouble are found among many; no refresh changes it. */
export function troubleOf(row: ConnectionRow): Trouble | 'lapsing' | null {
  const trouble = TROUBLES.find((each) => each === row.state.status)
  return trouble ?? (lapsesAt(row) === null ? null : 'lapsing')
}

/** By how much a write changes the number of living connections. */
export function changeOfTotal(before: ConnectionRow | null, after: ConnectionRow): -1 | 0 | 1 {
  const [lived, lives] = [before !== null && before.state.status !== 'erased', after.state.status !== 'erased']
  return lived === lives ? 0 : lives ? 1 : -1
}

/** The status that readers see at `now`. */
export const statusAt = (row: ConnectionRow, now: UnixMs): ConnectionRow['state']['status'] => {
  const lapse = lapsesAt(row)
  return lapse !== null && lapse <= now ? 'needs_user' : row.state.status
}

/** Refresh tokens that end before this are in their last moment: no provider holds them back. */
export const lastMoments = (now: Moment): UnixMs => later(now.wall, NUMBERS.endMarginMostMs)
