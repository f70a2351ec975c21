/**
 * What a logout token says.
 *
 * @see OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.6
 */
import type { SignedOutBy } from '@tokenkeep/core'
import type { JWTPayload } from 'jose'
import { isRecord } from './input-members.ts'
import { keepable } from './keepable.ts'

export interface LogoutTokenSays {
  /** Null: it names nobody whom a connection could belong to. */
  readonly of: SignedOutBy | null
  readonly revokesOfflineAccess: boolean
}

const LOGOUT = 'http://schemas.openid.net/event/backchannel-logout'
/** Keycloak's name beside that event, where the client is set to revoke offline sessions. */
const REVOKE_OFFLINE_ACCESS = 'revoke_offline_access'
/**
 * `typ` is recommended, not required (section 2.4), and servers in use send `JWT` or none. It is told from an ID token by
 * its event, and by having no nonce. A `typ` that names another kind is believed.
 */
const TYPES: readonly (string | null)[] = ['logout+jwt', 'jwt', null]

/**
 * Reads the claims of a token whose signature, issuer, audience and time were checked.
 *
 * @param type the `typ` of its header in lower case; null: none
 */
export function readLogoutToken(claims: JWTPayload, type: string | null): LogoutTokenSays | 'type' | 'claims' {
  if (!TYPES.includes(type)) return 'type'
  const { events, sid, sub } = claims
  // Else it could be an ID token (section 2.4).
  if ('nonce' in claims) return 'claims'
  if (!isRecord(events) || !isRecord(events[LOGOUT])) return 'claims'
  if ((sid !== undefined && typeof sid !== 'string') || (sub !== undefined && typeof sub !== 'string')) return 'claims'
  // Without `sid` all sessions of the subject are meant; with both, that one alone.
  const of = sid ? { sessionId: sid } : sub ? { subject: sub } : null
  if (of === null) return 'claims'
  return {
    of: keepable('sessionId' in of ? of.sessionId : of.subject) ? of : null,
    revokesOfflineAccess: events[REVOKE_OFFLINE_ACCESS] === true,
  }
}
