/** What a database keeps beside a row to find it again by time: when it lapses. Pure. */
import { later, NUMBERS, type ConnectionRow, type Moment, type UnixMs } from '@tokenkeep/core'

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

/** Refresh tokens that end before this are in their last moment: no provider holds them back. */
export const lastMoments = (now: Moment): UnixMs => later(now.wall, NUMBERS.endMarginMostMs)
