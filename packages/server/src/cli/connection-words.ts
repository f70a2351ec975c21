/** How a connection's state is told to people. */
import type { BlockedReason, ConnectionInfo, NeedsUserReason, Reason, Status } from '@tokenkeep/core'
import { fromNow, momentFromNow } from './moments.ts'
import { shellWord } from './printable.ts'
import type { Colours } from './output.ts'
import type { Cell, Paint } from './table.ts'

const STATUS_WORDS = {
  ready: 'ready',
  presenting: 'refreshing',
  in_doubt: 'in doubt',
  suspect: 'suspect',
  blocked: 'blocked',
  needs_user: 'needs its user',
  deleting: 'being deleted',
  erased: 'erased',
} as const satisfies Record<Status, string>

export const STATUSES = Object.keys(STATUS_WORDS) as readonly Status[]

const REASON_WORDS = {
  revoked: 'the sign-in was revoked or has ended',
  expired: 'its refresh token reached its end',
  answer_lost: 'an answer was lost, probably with the new refresh token in it',
  reused: 'the provider saw a spent refresh token: another program may hold a copy',
  signed_out: 'the user signed out at the provider',
  interaction_required: 'the provider asks for the user',
  no_refresh_token: 'its access token has ended and there is no refresh token',
} as const satisfies Record<NeedsUserReason, string>

const BLOCKED_WORDS = ['client', 'endpoint', 'request', 'grant'] as const satisfies readonly BlockedReason[]
/** What can be wrong with a connection that needs its user, or is blocked. */
export const REASONS: readonly Reason[] = [...(Object.keys(REASON_WORDS) as NeedsUserReason[]), ...BLOCKED_WORDS]

export function statusCell({ status, reason }: ConnectionInfo, colours: Colours): Cell {
  const text = reason === null ? STATUS_WORDS[status] : `${STATUS_WORDS[status]} (${reason})`
  return { text, paint: paintOf(status, colours) }
}

function paintOf(status: Status, colours: Colours): Paint {
  switch (status) {
    case 'ready':
    case 'presenting':
      return colours.green
    case 'in_doubt':
    case 'suspect':
      return colours.yellow
    case 'blocked':
    case 'needs_user':
      return colours.red
    case 'deleting':
    case 'erased':
      return colours.dim
  }
}

/** What the user has to do where only a user can help; null elsewhere. */
export function remedyFor({ id, reason }: ConnectionInfo): string | null {
  if (reason === null) return null
  return (
    `${id}: ${REASON_WORDS[reason]}. Sign in again at the provider, then: ` +
    `tokenkeep connection import ${shellWord(id)} --reconnect --refresh-token-stdin`
  )
}

export const accessTokenShort = (info: ConnectionInfo, nowMs: number): string =>
  info.accessTokenExpiresAt === null ? 'none living' : `ends ${fromNow(info.accessTokenExpiresAt, nowMs)}`

export const refreshTokenShort = (info: ConnectionInfo, nowMs: number): string => {
  if (!info.hasRefreshToken) return info.grantType !== 'refresh_token' ? 'not needed' : 'none'
  return info.refreshTokenExpiresAt === null ? 'no known end' : `ends ${fromNow(info.refreshTokenExpiresAt, nowMs)}`
}

/** A moment with its distance, or a dash. */
export const moment = (atMs: number | null, nowMs: number): string => (atMs === null ? '-' : momentFromNow(atMs, nowMs))
