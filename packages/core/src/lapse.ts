/**
 * A sign-in that came without a refresh token ends with its access token. Nobody writes at that moment, so whoever reads
 * works it out; a write follows by itself, so that it is told. Pure.
 */
import type { Writing } from './commit.ts'
import type { ConnectionRow, StoredAccessToken } from './connection.ts'
import { written } from './lease.ts'
import type { Terms } from './policy.ts'
import type { UnixMs } from './time.ts'

/** What it is worked out from. */
export interface Lapsing extends Pick<ConnectionRow, 'state' | 'grantType' | 'createdAt'> {
  readonly refreshToken: object | null
  readonly accessTokens: readonly Pick<StoredAccessToken, 'refusedAt' | 'expiresAt'>[]
}

/** From when on it needs its user; null: it does not end so. */
export function lapsesAt({ state, grantType, refreshToken, accessTokens, createdAt }: Lapsing): UnixMs | null {
  if (state.status !== 'ready' || grantType !== 'refresh_token' || refreshToken !== null) return null
  return Math.max(createdAt, ...accessTokens.map((token) => token.refusedAt ?? token.expiresAt)) as UnixMs
}

/** The row that says it; null: it has not lapsed. */
export function lapsed(row: ConnectionRow, terms: Terms, { owner, now }: Writing): ConnectionRow | null {
  const since = lapsesAt(row)
  if (since === null || since > now.wall) return null
  return written({ ...row, state: { status: 'needs_user', reason: 'no_refresh_token', since } }, terms, owner, now)
}
