/**
 * What people and programs do to a connection beside refreshing it: import, reconnect, report a 401, delete
 * (`PROTOCOL.md` section 9). Pure, like `lease.ts` and `commit.ts`.
 */
import type { Writing } from './commit.ts'
import type { ConnectionRow, SealedGrant, StoredAccessToken } from './connection.ts'
import type { Fence, Fingerprint, Generation, GrantNo, Revision } from './ids.ts'
import { next } from './ids.ts'
import { written } from './lease.ts'
import type { Terms } from './policy.ts'
import type { Draft } from './ports.ts'
import { later, ms, type UnixMs } from './time.ts'
import { URGENCIES } from './urgency.ts'

/** The row of an imported connection. */
export function born(draft: Draft, terms: Terms, writing: Writing): ConnectionRow {
  const { now } = writing
  const row: ConnectionRow = {
    uid: draft.uid,
    id: draft.id,
    provider: terms.provider.id,
    client: draft.client,
    grantType: draft.grantType,
    subject: draft.subject,
    labels: draft.labels,
    grant: 1 as GrantNo,
    generation: 1 as Generation,
    revision: 0 as Revision,
    fence: 0 as Fence,
    state: { status: 'ready', backOff: null },
    refreshToken: draft.granted.refreshToken && { ...draft.granted.refreshToken, presentations: 0 },
    parent: null,
    successor: null,
    siblings: [],
    accessTokens: firstAccessTokens(draft.granted, 0 as Fence),
    scope: draft.granted.scope,
    signedOutAt: null,
    lastGrant: null,
    lastEnd: null,
    forced: null,
    usedAt: null,
    dueAt: null,
    urgency: URGENCIES.soon,
    createdAt: now.wall,
    updatedAt: now.wall,
  }
  return written(row, terms, writing.owner, now)
}

const firstAccessTokens = (granted: SealedGrant, fence: Fence): readonly StoredAccessToken[] =>
  granted.accessToken === null ? [] : [{ ...granted.accessToken, fence, refusedAt: null }]

/** A new sign-in for the same uid: one write that ends attempt, doubt, suspicion, successor and siblings. */
export function reconnected(
  row: ConnectionRow,
  terms: Terms,
  granted: SealedGrant,
  subject: string | null,
  writing: Writing,
): ConnectionRow {
  const fence = next(row.fence)
  return written(
    {
      ...row,
      subject: subject ?? row.subject,
      grant: next(row.grant),
      generation: next(row.generation),
      fence,
      state: { status: 'ready', backOff: null },
      refreshToken: granted.refreshToken && { ...granted.refreshToken, presentations: 0 },
      parent: null,
      successor: null,
      siblings: [],
      accessTokens: firstAccessTokens(granted, fence),
      scope: granted.scope,
      signedOutAt: null,
      lastGrant: null,
      lastEnd: null,
      forced: null,
    },
    terms,
    writing.owner,
    writing.now,
  )
}

/**
 * An API refused an access token (401). One forced refresh for each access token, 10 s apart. Where the token that it
 * brought is refused, too, none follows for 5 minutes, doubling to an hour: that API refuses everything.
 *
 * @returns the row to write, the same object where nothing changes, and whether the token is the one we hand out
 */
export function refused(
  row: ConnectionRow,
  terms: Terms,
  accessToken: Fingerprint,
  writing: Writing,
): { readonly current: boolean; readonly row: ConnectionRow } {
  const { now } = writing
  const { forced } = row
  const named = row.accessTokens.find((token) => token.fingerprint === accessToken)
  if (named === undefined) return { current: false, row }
  if (named.refusedAt !== null) return { current: true, row }
  if (forced !== null && holdsBack(forced, terms, now.wall)) return { current: true, row }
  if (forced?.since === 'forced') {
    const holdMs = Math.min(terms.policy.refusedHoldFirstMs * 2 ** (forced.count - 1), terms.policy.refusedHoldCapMs)
    const held = {
      ...row,
      forced: { count: forced.count, notBefore: later(now.wall, ms(holdMs)), since: 'holding' } as const,
    }
    return { current: true, row: written(held, terms, writing.owner, now) }
  }
  const accessTokens = row.accessTokens.map((token) => (token === named ? { ...token, refusedAt: now.wall } : token))
  const notBefore = later(now.wall, terms.policy.forcedRefreshApartMs)
  const marked = {
    ...row,
    accessTokens,
    forced: { count: (forced?.count ?? 0) + 1, notBefore, since: 'forced' } as const,
  }
  return { current: true, row: written(marked, terms, writing.owner, now) }
}

/** Not for longer than any hold is: then the wall clock was put back meanwhile. */
const holdsBack = ({ notBefore }: { readonly notBefore: UnixMs }, { policy }: Terms, now: UnixMs): boolean =>
  now < notBefore && notBefore - now <= policy.refusedHoldCapMs

/** Hand-outs stop, no new attempt begins, an open one is awaited. */
export function deleting(row: ConnectionRow, terms: Terms, writing: Writing): ConnectionRow {
  if (row.state.status === 'deleting' || row.state.status === 'erased') return row
  const attempt = row.state.status === 'presenting' ? row.state.attempt : null
  return written(
    { ...row, state: { status: 'deleting', since: writing.now.wall, attempt } },
    terms,
    writing.owner,
    writing.now,
  )
}

/** The tombstone: no secret is left, only what recognises a late answer. */
export function erased(row: ConnectionRow, terms: Terms, writing: Writing): ConnectionRow {
  if (row.state.status === 'erased') return row
  return written(
    {
      ...row,
      state: { status: 'erased', since: writing.now.wall },
      subject: null,
      labels: {},
      refreshToken: null,
      successor: null,
      siblings: [],
      accessTokens: [],
      scope: null,
    },
    terms,
    writing.owner,
    writing.now,
  )
}
