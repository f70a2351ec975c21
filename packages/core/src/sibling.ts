/**
 * Granted answers that lost to a later one: which are kept, which may be tried, and how one takes the place of the
 * current refresh token (`PROTOCOL.md` sections 4.9 and 6, ADR 0011). Pure.
 */
import type { Attempt, BackOff, ConnectionRow, Presenting, Sibling, StoredRefreshToken } from './connection.ts'
import { next } from './ids.ts'
import { SIBLINGS_MOST, type Policy } from './policy.ts'
import type { Kept } from './ports.ts'

/** An answer as a sibling; null where it brought no refresh token, or answers none. */
export function siblingFrom({ attempt, fence, answers, granted }: Omit<Kept, 'uid' | 'grant'>): Sibling | null {
  const { refreshToken } = granted
  if (refreshToken === null || answers === null) return null
  return { attempt, fence, answers, refreshToken: { ...refreshToken, presentations: 0 }, spent: false, backOff: null }
}

/** The current pair as a sibling, to be kept when another takes its place. */
export function currentAsSibling(row: ConnectionRow): Sibling | null {
  const { refreshToken, parent, lastGrant } = row
  if (refreshToken === null || parent === null || lastGrant?.attempt == null) return null
  const { attempt, fence } = lastGrant
  return { attempt, fence, answers: parent, refreshToken, spent: false, backOff: null }
}

/** The siblings with some more: those that can still be tried first, then the newest, and no more than fit. */
export function withSiblings(known: readonly Sibling[], ...more: readonly (Sibling | null)[]): readonly Sibling[] {
  const added = more.filter((each) => each !== null)
  if (added.length === 0) return known
  const others = known.filter((each) => added.every(({ attempt }) => attempt !== each.attempt))
  const newestFirst = [...others, ...added].sort((a, b) => b.fence - a.fence)
  const usefulFirst = newestFirst.toSorted((a, b) => Number(a.spent) - Number(b.spent))
  return usefulFirst.slice(0, SIBLINGS_MOST).sort((a, b) => b.fence - a.fence)
}

/** The sibling whose refresh token an attempt presents; null: it presents the current one. */
export const presentedSibling = (
  { siblings }: Pick<ConnectionRow, 'siblings'>,
  { sibling }: Pick<Attempt, 'sibling'>,
): Sibling | null => (sibling === null ? null : (siblings.find(({ attempt }) => attempt === sibling) ?? null))

/** The refresh token that the open attempt presents; null: client credentials, or no attempt is open. */
export function presentedRefreshToken(row: ConnectionRow): StoredRefreshToken | null {
  const { state } = row
  if (state.status !== 'presenting') return null
  return (presentedSibling(row, state.attempt) ?? row).refreshToken
}

/** The newest sibling that was not refused yet. */
export const siblingToTry = <Seen extends Pick<Sibling, 'spent' | 'fence'>>(siblings: readonly Seen[]): Seen | null =>
  siblings.find(({ spent }) => !spent) ?? null

/**
 * Whether every answer of the provider stays valid, so that presenting a sibling can harm nothing. Elsewhere it may be
 * dead, and a dead token that is presented can end the sign-in: the current one is confirmed first.
 */
export const siblingsLive = ({ reuse }: Policy): boolean =>
  reuse.kind === 'reusable' || (reuse.kind === 'grace' && reuse.winner !== 'newest')

/** The back-off of what an attempt presents: a sibling has its own. */
export function backOffOf(row: Pick<ConnectionRow, 'siblings'>, { from, attempt }: Presenting): BackOff | null {
  const sibling = presentedSibling(row, attempt)
  if (sibling !== null) return sibling.backOff
  return from.status === 'needs_user' ? null : from.backOff
}

/** One sibling changed, the others as they are. */
export const changedSibling = (
  siblings: readonly Sibling[],
  of: Sibling,
  change: Partial<Pick<Sibling, 'spent' | 'backOff' | 'refreshToken'>>,
): readonly Sibling[] => siblings.map((each) => (each.attempt === of.attempt ? { ...each, ...change } : each))

/** None of them is tried any more: the provider said that the whole family is dead, or that a person is needed. */
export const allSpent = (siblings: readonly Sibling[]): readonly Sibling[] =>
  siblings.every(({ spent }) => spent) ? siblings : siblings.map((each) => ({ ...each, spent: true }))

/** The count of one more presentation, or one less, of the refresh token that an attempt presents. */
export function counted(row: ConnectionRow, attempt: Pick<Attempt, 'sibling'>, by: 1 | -1): ConnectionRow {
  const more = (token: StoredRefreshToken): StoredRefreshToken => ({
    ...token,
    presentations: token.presentations + by,
  })
  const sibling = presentedSibling(row, attempt)
  if (sibling === null) return { ...row, refreshToken: row.refreshToken && more(row.refreshToken) }
  const change = { refreshToken: more(sibling.refreshToken) }
  return { ...row, siblings: changedSibling(row.siblings, sibling, change) }
}

/**
 * The row with the sibling that its open attempt presents as the current refresh token: nobody knows what became of it,
 * and there is one place for doubt. The one that it replaces can still be tried unless its own refusal was believed.
 */
export function swappedIn(row: ConnectionRow, { from, attempt }: Presenting): ConnectionRow {
  const sibling = presentedSibling(row, attempt)
  if (sibling === null) return row
  const believed = from.status === 'needs_user' || (from.status === 'suspect' && from.believed !== null)
  const replaced = currentAsSibling(row)
  return {
    ...row,
    generation: next(row.generation),
    refreshToken: sibling.refreshToken,
    parent: sibling.answers,
    siblings: withSiblings(
      row.siblings.filter((each) => each !== sibling),
      replaced && { ...replaced, spent: believed },
    ),
    lastGrant: row.lastGrant && { ...row.lastGrant, attempt: sibling.attempt, fence: sibling.fence },
  }
}
