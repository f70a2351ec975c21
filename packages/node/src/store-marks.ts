/** What a database keeps beside a row to find it again by time: how urgent it is, and when it lapses. Pure. */
import type { ConnectionRow, Numbers, UnixMs } from '@tokenkeep/core'

/**
 * The order in which due work is taken (`PROTOCOL.md` section 10, "Scheduler"), as far as one row tells it. Waiting
 * callers do not stand in a row: they refresh by themselves.
 */
export const URGENCIES = {
  /** In doubt, where a window may close. */
  inDoubt: 0,
  /** An attempt to watch, a confirmation, a deletion, a block; a refresh token near its end. */
  soon: 1,
  /** A refresh ahead of the access token's end. */
  ahead: 2,
  /** A quiet connection that is kept alive. */
  keepAlive: 3,
} as const
export type Urgency = (typeof URGENCIES)[keyof typeof URGENCIES]

export function urgencyOf(row: ConnectionRow, numbers: Numbers): Urgency {
  if (row.state.status === 'in_doubt') return URGENCIES.inDoubt
  if (row.state.status !== 'ready' || row.dueAt === null) return URGENCIES.soon
  const { dueAt } = row
  const end = row.refreshToken?.endsAt ?? null
  if (end !== null && dueAt >= end - numbers.endMarginMostMs) return URGENCIES.soon
  return row.accessTokens.some((token) => dueAt < token.expiresAt) ? URGENCIES.ahead : URGENCIES.keepAlive
}

/**
 * The moment from which a ready connection without refresh token reads as `needs_user`: no write happens then, so lists
 * need it to find what readers see. Null for every other connection.
 */
export function lapsesAt(row: ConnectionRow): UnixMs | null {
  if (row.state.status !== 'ready' || row.grantType !== 'refresh_token' || row.refreshToken !== null) return null
  const ends = row.accessTokens.map((token) => token.refusedAt ?? token.expiresAt)
  return Math.max(row.createdAt, ...ends) as UnixMs
}

/** The status that readers see at `now`. */
export const statusAt = (row: ConnectionRow, now: UnixMs): ConnectionRow['state']['status'] => {
  const lapse = lapsesAt(row)
  return lapse !== null && lapse <= now ? 'needs_user' : row.state.status
}
