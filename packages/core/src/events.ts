import type { BlockedReason, NeedsUserReason, Why } from './connection.ts'
import type { ClientId, ConnectionId, Fence, Fingerprint, Generation, OwnerId, ProviderId, Uid } from './ids.ts'
import type { HoldReason } from './incarnation.ts'
import type { InDoubtBecause, UnavailableBecause } from './grant.ts'
import type { DurationMs, UnixMs } from './time.ts'

interface Of {
  readonly at: UnixMs
  readonly connection: ConnectionId
  readonly uid: Uid
  readonly provider: ProviderId
}

interface OfClient {
  readonly at: UnixMs
  readonly provider: ProviderId
  readonly client: ClientId
}

/**
 * Everything we report, as a union. No free text and no foreign error, so that no secret can slip in; told only after
 * what it reports is durable.
 */
export type TokenkeepEvent =
  | (Of & { readonly type: 'connection_imported' })
  | (Of & { readonly type: 'connection_reconnected' })
  | (Of & { readonly type: 'connection_deleted'; readonly revokedUpstream: boolean })
  | (Of & {
      readonly type: 'refreshed'
      readonly generation: Generation
      readonly fence: Fence
      readonly why: Why
      /** The refresh token changed. */
      readonly rotated: boolean
      readonly accessTokenFingerprint: Fingerprint | null
      readonly expiresAt: UnixMs | null
      readonly scope: string | null
      readonly tookMs: number
      /** The store did not take the answer in time; it lies in a spill slot until it does. */
      readonly spilled: boolean
    })
  | (Of & { readonly type: 'slow'; readonly fence: Fence; readonly waitedMs: number })
  | (Of & {
      readonly type: 'unavailable'
      readonly fence: Fence
      readonly because: UnavailableBecause
      readonly status: number | null
      readonly retryAt: UnixMs | null
    })
  | (Of & {
      readonly type: 'in_doubt'
      readonly fence: Fence
      readonly because: InDoubtBecause | 'owner_dead' | 'owner_silent'
      readonly status: number | null
      readonly retryAt: UnixMs | null
    })
  | (Of & {
      readonly type: 'suspect'
      readonly fence: Fence
      readonly refusals: number
      readonly retryAt: UnixMs | null
    })
  | (Of & {
      readonly type: 'blocked'
      readonly fence: Fence
      readonly reason: BlockedReason
      readonly word: string | null
      readonly retryAt: UnixMs
    })
  /** A logout event named its session. */
  | (Of & { readonly type: 'signed_out' })
  | (Of & { readonly type: 'needs_user'; readonly reason: NeedsUserReason })
  /** Its session ends then, whatever is refreshed before: told once, a quarter of its life or 3 days ahead. */
  | (Of & { readonly type: 'expiring'; readonly endsAt: UnixMs })
  | (Of & {
      readonly type: 'access_token_rejected'
      readonly accessTokenFingerprint: Fingerprint
      readonly current: boolean
    })
  | (Of & { readonly type: 'answer_kept_for_history'; readonly fence: Fence })
  /** It lost to a later answer, and is kept as a last resort. */
  | (Of & { readonly type: 'answer_kept_as_sibling'; readonly fence: Fence })
  | (Of & { readonly type: 'replayed'; readonly fence: Fence })
  /** So many connections of this client got no answer, with none in between: what can wait is held back. */
  | (OfClient & { readonly type: 'circuit_opened'; readonly connections: number })
  | (OfClient & { readonly type: 'circuit_closed'; readonly openMs: DurationMs })
  /** The provider said 429 with `Retry-After`: what can wait is held back for that time, a minute at most. */
  | (OfClient & { readonly type: 'rate_limited'; readonly waitMs: DurationMs })
  /** The provider refuses the client itself, seen on two connections: told once until it takes it again. */
  | (OfClient & { readonly type: 'client_refused'; readonly word: string | null; readonly retryAt: UnixMs })
  | { readonly type: 'store_unavailable'; readonly at: UnixMs }
  /** Once for each owner: it died, its slots cannot be read, and what it had open waits until they can. */
  | { readonly type: 'slots_unreadable'; readonly at: UnixMs; readonly owner: OwnerId }
  /** This database is a copy or was put back: nothing is presented until it is adopted. */
  | { readonly type: 'on_hold'; readonly at: UnixMs; readonly because: HoldReason }
  /** The hold is over; what was not reusable is in doubt. */
  | { readonly type: 'adopted'; readonly at: UnixMs; readonly epoch: number }

export type EventType = TokenkeepEvent['type']
