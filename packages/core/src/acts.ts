/**
 * What people and programs do to a connection beside refreshing it: import, reconnect, report a 401, sign out, delete
 * (`PROTOCOL.md` section 9). Pure, like `lease.ts` and `commit.ts`.
 */
import type { Writing } from './commit.ts'
import type { Attempt, ConnectionRow, Resting, SealedGrant, StoredAccessToken, Suspect } from './connection.ts'
import type { Fence, Fingerprint, Generation, GrantNo, Revision } from './ids.ts'
import { next } from './ids.ts'
import { lapsesAt } from './lapse.ts'
import { written } from './lease.ts'
import type { Terms } from './policy.ts'
import { assertNever } from './failures.ts'
import type { Draft, LogoutEvent, SignedOutBy } from './ports.ts'
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
    grantRequest: draft.grantRequest,
    subject: draft.subject,
    labels: draft.labels,
    grant: 1 as GrantNo,
    generation: 1 as Generation,
    revision: 0 as Revision,
    fence: 0 as Fence,
    state: { status: 'ready', backOff: null },
    refreshToken: draft.granted.refreshToken && { ...draft.granted.refreshToken, presentations: 0 },
    dpopKey: draft.granted.dpopKey ?? null,
    parent: null,
    successor: null,
    siblings: [],
    accessTokens: firstAccessTokens(draft.granted, 0 as Fence),
    scope: draft.granted.scope,
    sessionId: draft.sessionId,
    signedInAt: now.wall,
    presentNow: null,
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
  who: Pick<ConnectionRow, 'subject' | 'sessionId'>,
  writing: Writing,
): ConnectionRow {
  const fence = next(row.fence)
  return written(
    {
      ...row,
      subject: who.subject ?? row.subject,
      grant: next(row.grant),
      generation: next(row.generation),
      fence,
      state: { status: 'ready', backOff: null },
      refreshToken: granted.refreshToken && { ...granted.refreshToken, presentations: 0 },
      dpopKey: granted.dpopKey ?? null,
      parent: null,
      successor: null,
      siblings: [],
      accessTokens: firstAccessTokens(granted, fence),
      scope: granted.scope,
      sessionId: who.sessionId,
      signedInAt: writing.now.wall,
      presentNow: null,
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
 * The row with other labels; the same object where they are the same. What is due stays as it is: it may be claimed.
 *
 * @param changes null takes a label away, what is not named stays (RFC 7396)
 */
export function labelled(
  row: ConnectionRow,
  changes: Readonly<Record<string, string | null>>,
  writing: Writing,
): ConnectionRow {
  const merged = Object.entries({ ...row.labels, ...changes }).filter(
    (label): label is [string, string] => label[1] !== null,
  )
  const labels = Object.fromEntries(merged)
  if (sameLabels(labels, row.labels)) return row
  return { ...row, labels, revision: next(row.revision), updatedAt: writing.now.wall }
}

/** Whatever their order. */
export function sameLabels(one: ConnectionRow['labels'], other: ConnectionRow['labels']): boolean {
  const [names, others] = [Object.keys(one), Object.keys(other)]
  return (
    names.length === others.length && names.every((name) => Object.hasOwn(other, name) && one[name] === other[name])
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

/**
 * A logout event named a session, or a subject. Hand-outs stop at once where it means this sign-in, and the next
 * presentation decides.
 *
 * @returns the row to write, the same object where it is known or nothing is left to stop; `not_ours`: another session or
 *   subject, a sign-in after the event, or offline access that the event does not revoke
 */
export function signedOut(
  row: ConnectionRow,
  terms: Terms,
  event: LogoutEvent,
  { owner, now }: Writing,
): ConnectionRow | 'not_ours' {
  if (!means(event.of, row)) return 'not_ours'
  if (isSignedInAfter(row, event.issuedAt)) return 'not_ours'
  if (!event.revokesOfflineAccess && hasScope(row, OFFLINE_ACCESS)) return 'not_ours'
  const { state } = row
  if (row.signedOutAt !== null) return row
  const marked = (from: Resting): Resting => {
    const suspect: Suspect = { status: 'suspect', firstRefusedAt: now, refusals: 0, believed: null, backOff: null }
    return from.status === 'ready' ? { ...suspect, backOff: from.backOff } : from
  }
  switch (state.status) {
    case 'needs_user':
    case 'deleting':
    case 'erased':
      return row
    case 'presenting': {
      const attempt: Attempt = { ...state.attempt, signedOutMeanwhile: true }
      return written(
        { ...row, signedOutAt: now, state: { ...state, attempt, from: marked(state.from) } },
        terms,
        owner,
        now,
      )
    }
    case 'blocked':
      return written({ ...row, signedOutAt: now, state: { ...state, from: marked(state.from) } }, terms, owner, now)
    case 'ready':
    case 'in_doubt':
    case 'suspect':
      return written({ ...row, signedOutAt: now, state: marked(state) }, terms, owner, now)
    default:
      return assertNever(state)
  }
}

/** `iat` has whole seconds: an event of the second in which the sign-in began may be later than it. */
export const isSignedInAfter = ({ signedInAt }: Pick<ConnectionRow, 'signedInAt'>, eventAt: UnixMs): boolean =>
  eventAt < Math.floor(signedInAt / 1000) * 1000

/** What names no session or subject here is meant by none. */
const means = (of: SignedOutBy, { sessionId, subject }: ConnectionRow): boolean =>
  'sessionId' in of ? sessionId === of.sessionId : subject === of.subject

/** OpenID Connect Core 1.0 section 11. */
const OFFLINE_ACCESS = 'offline_access'
const hasScope = ({ scope }: ConnectionRow, name: string): boolean => scope?.split(' ').includes(name) ?? false

/**
 * An operator lets the next presentation be made now, whatever doubt, suspicion or block would wait for. It is one, and
 * is acquired like every other; only `Retry-After` is still obeyed.
 */
export function allowedNow(row: ConnectionRow, terms: Terms, { owner, now }: Writing): ConnectionRow {
  const { status } = row.state
  const waits = status === 'in_doubt' || status === 'suspect' || status === 'blocked'
  return waits && row.presentNow === null ? written({ ...row, presentNow: now }, terms, owner, now) : row
}

/** The row that says that it has lapsed (`lapse.ts`); null: it has not. */
export function lapsed(row: ConnectionRow, terms: Terms, { owner, now }: Writing): ConnectionRow | null {
  const since = lapsesAt(row)
  if (since === null || since > now.wall) return null
  return written({ ...row, state: { status: 'needs_user', reason: 'no_refresh_token', since } }, terms, owner, now)
}

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
      grantRequest: null,
      subject: null,
      labels: {},
      refreshToken: null,
      dpopKey: null,
      successor: null,
      siblings: [],
      accessTokens: [],
      scope: null,
      sessionId: null,
    },
    terms,
    writing.owner,
    writing.now,
  )
}
