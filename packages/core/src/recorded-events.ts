/**
 * What is recorded of a connection's changes, in the same write as the change itself: nothing happens that is not told, and
 * nothing is told that did not happen. Pure.
 *
 * Unlike what a process tells while it works (`events.ts`), recorded events are the same for all processes of a database,
 * in order, and can be read again.
 */
import type { BlockedReason, ConnectionRow, NeedsUserReason, State, Why } from './connection.ts'
import { assertNever } from './failures.ts'
import type { End, InDoubtBecause, UnavailableBecause } from './grant.ts'
import type { ClientId, ConnectionId, Fence, Generation, ProviderId, Uid } from './ids.ts'
import type { HoldReason } from './incarnation.ts'
import type { Lease } from './lease.ts'
import type { Evidence } from './ports.ts'
import type { GrantType } from './provider.ts'
import { announced } from './session-end.ts'
import type { DurationMs, UnixMs } from './time.ts'

/** What each type of event says beside whose it is. Moments end in `At`, lengths in `Ms`. */
export interface RecordedEventData {
  /** Imported, or made by a sign-in. */
  'connection.created': { readonly grantType: GrantType }
  /** A granted answer was kept. */
  'connection.refreshed': {
    readonly generation: Generation
    /** Of the presentation that it answers; its line in the history has the same. */
    readonly fence: Fence
    readonly why: Why | null
    /** The refresh token changed. */
    readonly rotated: boolean
    readonly expiresAt: UnixMs | null
    readonly scope: string | null
  }
  /** The refresh token is as good as before: nothing was sent, or the provider said that it cannot answer now. */
  'connection.refresh_failed': {
    readonly fence: Fence
    readonly because: UnavailableBecause
    readonly status: number | null
    readonly retryAt: UnixMs | null
  }
  /** Perhaps presented, and not answered. */
  'connection.in_doubt': {
    readonly fence: Fence
    readonly because: InDoubtBecause | 'owner_dead' | 'owner_silent'
    readonly status: number | null
    readonly retryAt: UnixMs | null
  }
  /** Refused, and not believed yet. */
  'connection.suspect': { readonly fence: Fence; readonly refusals: number; readonly retryAt: UnixMs | null }
  /** The operator has to mend the registration, the endpoint or the request. */
  'connection.blocked': {
    readonly fence: Fence
    readonly reason: BlockedReason
    readonly word: string | null
    readonly retryAt: UnixMs
  }
  /** Only a person can revive it. */
  'connection.needs_user': { readonly reason: NeedsUserReason }
  /** A person has to sign in again before then, whatever is refreshed meanwhile. */
  'connection.expiring': { readonly endsAt: UnixMs }
  /** A logout event named its session; the next presentation decides. */
  'connection.signed_out': Nothing
  /** A person signed in again. */
  'connection.reconnected': Nothing
  /** Its labels are others. */
  'connection.updated': Nothing
  /** An API refused the access token that we hand out. `stillRefused`: also the one that a forced refresh had brought. */
  'connection.access_token_rejected': { readonly stillRefused: boolean }
  /** Deleted: every secret is erased. */
  'connection.revoked': { readonly revokedUpstream: boolean }
  /** The provider refuses the client itself. */
  'provider.misconfigured': { readonly word: string | null; readonly retryAt: UnixMs }
  /** So many connections of the client got no answer, with none in between. */
  'provider.unreachable': { readonly connections: number }
  'provider.reachable': { readonly unreachableMs: DurationMs }
  /** It asked us to wait. */
  'provider.rate_limited': { readonly waitMs: DurationMs }
  /** This database is a copy or was put back: nothing is presented until it is adopted. */
  'installation.on_hold': { readonly because: HoldReason }
  'installation.adopted': { readonly epoch: number }
}
interface Nothing {
  readonly [member: string]: never
}

export type RecordedEventType = keyof RecordedEventData

/** Says that all is well, and comes far more often than every other one: it is kept for a shorter time. */
export const ROUTINE_EVENT = 'connection.refreshed' satisfies RecordedEventType

/** Whose it is; null where it is about none. */
export interface EventSubject {
  readonly uid: Uid | null
  readonly connection: ConnectionId | null
  readonly provider: ProviderId | null
  readonly client: ClientId | null
  /** Those of the connection, as they were then. */
  readonly labels: Readonly<Record<string, string>>
}

/** An event as it is written. */
export type NewEvent = {
  readonly [Type in RecordedEventType]: EventSubject & {
    readonly type: Type
    readonly at: UnixMs
    readonly data: RecordedEventData[Type]
  }
}[RecordedEventType]

type Told = {
  readonly [Type in RecordedEventType]: { readonly type: Type; readonly data: RecordedEventData[Type] }
}[RecordedEventType]

/** What made a row another one. */
export type Cause =
  | { readonly kind: 'reconnected' | 'signed_out' | 'relabelled' | 'rejected' | 'replayed' | 'lapsed' }
  | { readonly kind: 'erased'; readonly revokedUpstream: boolean }
  | { readonly kind: 'taken_over'; readonly by: Evidence['kind'] }
  | { readonly kind: 'ended'; readonly lease: Lease; readonly end: End }

/** A new connection. */
export const eventsOfBirth = (row: ConnectionRow): readonly NewEvent[] =>
  about(row, row.labels, row.updatedAt, [{ type: 'connection.created', data: { grantType: row.grantType } }])

/** What a change of `before` into `after` is told as, in the order in which it happened; the same row: nothing. */
export function eventsOf(before: ConnectionRow, after: ConnectionRow, cause: Cause): readonly NewEvent[] {
  if (before === after) return []
  // The tombstone has none.
  const labels = cause.kind === 'erased' ? before.labels : after.labels
  return about(after, labels, after.updatedAt, told(before, after, cause))
}

function told(before: ConnectionRow, after: ConnectionRow, cause: Cause): readonly Told[] {
  switch (cause.kind) {
    case 'reconnected':
      return [{ type: 'connection.reconnected', data: {} }]
    case 'signed_out':
      return [{ type: 'connection.signed_out', data: {} }]
    case 'relabelled':
      return [{ type: 'connection.updated', data: {} }]
    case 'lapsed':
      return [{ type: 'connection.needs_user', data: { reason: 'no_refresh_token' } }]
    case 'rejected':
      return [{ type: 'connection.access_token_rejected', data: { stillRefused: after.forced?.since === 'holding' } }]
    case 'erased':
      return [{ type: 'connection.revoked', data: { revokedUpstream: cause.revokedUpstream } }]
    case 'taken_over':
      if (after.state.status !== 'in_doubt') return granted(before, after, null)
      return [doubt(after, cause.by === 'dead' ? 'owner_dead' : 'owner_silent', null)]
    case 'replayed':
      return granted(before, after, null)
    case 'ended':
      return ended(before, after, cause)
    default:
      return assertNever(cause)
  }
}

function ended(
  before: ConnectionRow,
  after: ConnectionRow,
  { lease, end }: Extract<Cause, { readonly kind: 'ended' }>,
): readonly Told[] {
  // Also after another end: then an answer that was held is the current one now.
  const kept = granted(before, after, lease.why)
  if (kept.length > 0 || end.kind === 'granted') return kept
  const { state, dueAt: retryAt } = after
  const { fence } = lease
  if (state.status === 'needs_user') {
    // Said once: what lost to a later answer may be tried from there.
    return isSaid(before.state) ? [] : [{ type: 'connection.needs_user', data: { reason: state.reason } }]
  }
  switch (end.kind) {
    case 'rejected':
      if (state.status === 'blocked') return [blocked(state, fence)]
      if (state.status !== 'suspect' || lease.why === 'sibling') return []
      return [{ type: 'connection.suspect', data: { fence, refusals: state.refusals, retryAt } }]
    case 'unavailable':
      return [{ type: 'connection.refresh_failed', data: { fence, because: end.because, status: end.status, retryAt } }]
    case 'not_sent':
      return [{ type: 'connection.refresh_failed', data: { fence, because: end.because, status: null, retryAt } }]
    case 'in_doubt':
      return state.status === 'in_doubt' ? [doubt(after, end.because, end.status)] : []
    case 'misconfigured':
      return state.status === 'blocked' ? [blocked(state, fence)] : []
    default:
      return assertNever(end)
  }
}

/** Nothing where no answer became the current pair. */
function granted(before: ConnectionRow, after: ConnectionRow, why: Why | null): readonly Told[] {
  const { lastGrant } = after
  if (lastGrant === null || lastGrant.attempt === before.lastGrant?.attempt) return []
  // Nobody will be handed what it brought.
  if (after.state.status === 'deleting') return []
  const { fence } = lastGrant
  const token = after.accessTokens.find((each) => each.fence === fence)
  const endsAt = announced(before, after)
  return [
    {
      type: 'connection.refreshed',
      data: {
        generation: after.generation,
        fence,
        // An answer that was held, or found in a slot, is not of the attempt that ends here.
        why: fence === before.fence ? why : null,
        rotated: after.generation !== before.generation,
        expiresAt: token?.expiresAt ?? null,
        scope: token?.scope ?? after.scope,
      },
    },
    ...(endsAt === null ? [] : [{ type: 'connection.expiring', data: { endsAt } } as const]),
  ]
}

const doubt = (
  after: ConnectionRow,
  because: RecordedEventData['connection.in_doubt']['because'],
  status: number | null,
): Told => ({ type: 'connection.in_doubt', data: { fence: after.fence, because, status, retryAt: after.dueAt } })

const blocked = ({ reason, word, retryAt }: Extract<State, { readonly status: 'blocked' }>, fence: Fence): Told => ({
  type: 'connection.blocked',
  data: { fence, reason, word, retryAt },
})

const isSaid = (state: State): boolean => state.status === 'presenting' && state.from.status === 'needs_user'

const about = (
  { uid, id, provider, client }: ConnectionRow,
  labels: ConnectionRow['labels'],
  at: UnixMs,
  each: readonly Told[],
): readonly NewEvent[] => each.map((one) => ({ uid, connection: id, provider, client, labels, at, ...one }))
