/**
 * A sign-in that came without a refresh token ends with its access token. Nobody writes at that moment, so whoever reads
 * works it out; a write follows by itself, so that it is told. Pure.
 */
import type { ConnectionRow, StoredAccessToken } from './connection.ts'
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
