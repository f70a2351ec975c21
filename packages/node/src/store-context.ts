/** What every verb of a connection store has at hand: who writes, with which keys, numbers and clocks. */
import {
  policyOf,
  viewOf,
  type Cipher,
  type Clock,
  type ConnectionRow,
  type ConnectionStore,
  type Hold,
  type Moment,
  type Now,
  type Notices,
  type Numbers,
  type OwnerId,
  type Policy,
  type Provider,
  type Random,
  type Registry,
  type Terms,
  type View,
  type Writing,
} from '@tokenkeep/core'
import type { EventRows } from './event-rows.ts'
import type { StoredSecrets } from './reseal.ts'
import type { Found, IncarnationRows } from './store-rows.ts'

/** What a store is made from, whatever its database. */
export interface StoreParts {
  readonly owner: OwnerId
  /** A name of this machine for the history: information only. */
  readonly host: string
  /** The program and its process id, for the history: information only. */
  readonly process: string
  readonly cipher: Cipher
  readonly clock: Clock
  readonly random: Random
  readonly numbers: Numbers
}

/** A connection store with its registry, how it hears of other processes, and how to end it. */
export interface OpenStore {
  readonly store: ConnectionStore
  readonly registry: Registry
  readonly notices: Notices
  /** Which life of the database this is: for whoever keeps it. */
  readonly incarnation: IncarnationRows
  /** What happened, as it was recorded. */
  readonly events: EventRows
  /** Everything sealed in it: for a change of the master key. */
  readonly secrets: StoredSecrets
  /** Writes committed so far through this store. */
  committed(): number
  /** Writes what is queued; every later verb fails with `closed`. */
  close(): Promise<void>
}

/** A row as it was at one instant, to be opened for its reader after the transaction. */
export interface Snapshot {
  readonly row: ConnectionRow
  readonly terms: Terms
  readonly hold: Hold | null
  readonly readAt: { readonly store: Moment; readonly local: Now }
}

/** What terms depend on. */
export type Judged = Pick<Found, 'provider' | 'client'> & { readonly row: Pick<ConnectionRow, 'grantType'> }

export interface StoreContext extends StoreParts {
  /** Another session may have lost what this one believes to be durable. */
  session(): string
  /** Whether this owner holds a lock in the database that others can see. */
  showsLock(): boolean
  termsOf(found: Judged): Terms
  writing(now: Moment): Writing
  snapshot(found: Found, row: ConnectionRow, now: Moment): Snapshot
  view(snapshot: Snapshot): View
}

export function storeContext(
  parts: StoreParts,
  { session, showsLock }: Pick<StoreContext, 'session' | 'showsLock'>,
): StoreContext {
  // A provider's object is the same until the provider changes, so that its numbers are derived once.
  const policies = new WeakMap<Provider, Map<ConnectionRow['grantType'], Policy>>()

  function policyFor(provider: Provider, grantType: ConnectionRow['grantType']): Policy {
    const known = policies.get(provider) ?? new Map<ConnectionRow['grantType'], Policy>()
    policies.set(provider, known)
    const policy = known.get(grantType) ?? policyOf(provider, grantType, parts.numbers)
    known.set(grantType, policy)
    return policy
  }

  const termsOf = ({ row, provider, client }: Judged): Terms => ({
    provider,
    client,
    policy: policyFor(provider, row.grantType),
  })

  return {
    ...parts,
    session,
    showsLock,
    termsOf,
    writing: (now) => ({ owner: parts.owner, now, draw: parts.random.fraction() }),
    snapshot: (found, row, now) => ({
      row,
      terms: termsOf({ ...found, row }),
      hold: found.hold,
      readAt: { store: now, local: parts.clock.now() },
    }),
    view: ({ row, terms, readAt, hold }) => viewOf(row, terms, parts.cipher, readAt, hold),
  }
}
