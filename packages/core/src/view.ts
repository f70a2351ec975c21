/** What readers see of a row: opened access tokens, no refresh token, and the state as it is at the moment of reading. */
import type { At, BoundKey, ConnectionRow, OpenedAccessToken, State, View } from './connection.ts'
import { bindingOf } from './handout.ts'
import type { Hold } from './incarnation.ts'
import { lapsesAt } from './lapse.ts'
import type { Terms } from './policy.ts'
import type { Cipher } from './ports.ts'
import type { Moment, Now, UnixMs } from './time.ts'

/**
 * Opens a row for reading. For stores alone.
 *
 * An access token that does not open in its own place is left out and named by `unreadable`; the rest works.
 */
export function viewOf(
  row: ConnectionRow,
  terms: Terms,
  cipher: Pick<Cipher, 'open'>,
  readAt: { readonly store: Moment; readonly local: Now },
  hold: Hold | null = null,
): View {
  const { refreshToken, accessTokens, successor, siblings } = row
  const dpopKey = boundKey(row, cipher)
  const opened: OpenedAccessToken[] = []
  let unreadable: View['unreadable'] = typeof dpopKey === 'string' ? dpopKey : null
  for (const { sealed, serial, ...token } of accessTokens) {
    const secret = cipher.open('access_token', sealed, { owner: row.uid, purpose: `at:${token.variant}`, serial })
    if (typeof secret === 'string') unreadable = secret
    else opened.push({ ...token, token: secret, ...bindingOf(token.tokenType, row.dpopKey) })
  }
  return {
    at: { uid: row.uid, grant: row.grant, generation: row.generation, fence: row.fence } as At,
    row: readable(row, readAt.store.wall),
    refreshToken: refreshToken && {
      fingerprint: refreshToken.fingerprint,
      receivedAt: refreshToken.receivedAt,
      endsAt: refreshToken.endsAt,
      lifetimeMs: refreshToken.lifetimeMs,
      presentations: refreshToken.presentations,
    },
    dpopKey,
    hasSuccessor: successor !== null,
    siblings: siblings.map(({ refreshToken: _sealed, ...seen }) => seen),
    accessTokens: opened,
    terms,
    unreadable,
    hold,
    readAt,
  }
}

function boundKey(
  { uid, dpopKey }: ConnectionRow,
  cipher: Pick<Cipher, 'open'>,
): BoundKey | null | 'no_key' | 'tampered' {
  if (dpopKey === null) return null
  const key = cipher.open('dpop_key', dpopKey.sealed, { owner: uid, purpose: 'dpop-key', serial: dpopKey.serial })
  return typeof key === 'string' ? key : { key, jkt: dpopKey.jkt }
}

/** All of the row that is no token. Written out, because every read does it, and leaving members out is slow. */
function readable(row: ConnectionRow, now: UnixMs): View['row'] {
  return {
    uid: row.uid,
    id: row.id,
    provider: row.provider,
    client: row.client,
    grantType: row.grantType,
    grantRequest: row.grantRequest,
    subject: row.subject,
    labels: row.labels,
    grant: row.grant,
    generation: row.generation,
    revision: row.revision,
    fence: row.fence,
    state: stateNow(row, now),
    parent: row.parent,
    scope: row.scope,
    sessionId: row.sessionId,
    signedInAt: row.signedInAt,
    presentNow: row.presentNow,
    signedOutAt: row.signedOutAt,
    lastGrant: row.lastGrant,
    lastEnd: row.lastEnd,
    forced: row.forced,
    usedAt: row.usedAt,
    dueAt: row.dueAt,
    urgency: row.urgency,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  }
}

/** What lapsed reads so before anybody has written it. */
function stateNow(row: ConnectionRow, now: UnixMs): State {
  const since = lapsesAt(row)
  return since === null || since > now ? row.state : { status: 'needs_user', reason: 'no_refresh_token', since }
}
