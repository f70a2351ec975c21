/**
 * What a database has to be able to do for the connection store: find a row, and write one atomically.
 *
 * Every write is keyed by one connection. The decision in the middle is pure and synchronous, so that the same verbs run
 * in a SQLite transaction on this thread and, in Postgres, before a write that takes effect only on the revision that was
 * read (ADR 0014).
 */
import type {
  Client,
  ClientId,
  ConnectionId,
  ConnectionRow,
  Fence,
  Fingerprint,
  HistoryEntry,
  Hold,
  Incarnation,
  ListQuery,
  Moment,
  NewEvent,
  OpenElsewhere,
  Overview,
  OwnerId,
  Provider,
  ProviderId,
  Revision,
  Uid,
  UnixMs,
} from '@tokenkeep/core'

/** A row with the provider and the client that it is judged by, as they are at the same instant. */
export interface Found {
  readonly row: ConnectionRow
  readonly provider: Provider
  readonly client: Client
  /** Of the whole database, as it is at the same instant. */
  readonly hold: Hold | null
}

/** What a new connection meets. */
export interface Neighbours {
  readonly provider: Provider
  readonly client: Client
  readonly hold: Hold | null
  /** The connection with the same id that is not erased. */
  readonly living: Found | null
  /** Another connection of the same client that holds the same refresh token. */
  readonly twin: ConnectionId | null
}

/** One line of the history: an attempt that began, or what became of one. */
export type HistoryNote =
  | { readonly kind: 'begun'; readonly entry: HistoryEntry }
  | { readonly kind: 'ended'; readonly fence: Fence; readonly endedAt: UnixMs; readonly outcome: string }

/** What a decision wants written, all of it or nothing. */
export interface Change<Result> {
  /** Null: the row stays as it is. */
  readonly row: ConnectionRow | null
  readonly history: readonly HistoryNote[]
  /** What it is told as, in order; told only with a row. */
  readonly events: readonly NewEvent[]
  readonly result: Result
}

export const unchanged = <Result>(result: Result): Change<Result> => ({ row: null, history: [], events: [], result })

/** The one row that says which life of which database this is. */
export interface IncarnationRows {
  /** Where the database is now; null: nobody can say. */
  readonly placeNow: string | null
  read(): Promise<Incarnation>
  /** One atomic durable write; nothing is written where `decide` gives back the same object. */
  change(decide: (kept: Incarnation, now: Moment) => Incarnation): Promise<Incarnation>
}

export interface Rows {
  readonly incarnation: IncarnationRows
  /** The row of a living id; `erased` where only a tombstone is left. */
  byId(id: ConnectionId): Promise<Seen | 'unknown' | 'erased'>
  /** In the order of the ids' UTF-8 bytes; never a tombstone. It may be short of the limit, and have a next one all the same. */
  page(query: ListQuery): Promise<SeenPage>
  overview(labels: Readonly<Record<string, string>>): Promise<Overview>
  otherThan(uids: readonly (readonly [Uid, Revision])[]): Promise<SeenMany>
  withOpenAttemptOf(owner: OwnerId): Promise<SeenMany>
  /** Names of what is presented at this moment by anybody else. */
  presentedByOthers(owner: OwnerId): Promise<readonly OpenElsewhere[]>
  /** Every uid once, page by page in their order; null: from the first. */
  uidsAfter(uid: Uid | null, limit: number): Promise<readonly Uid[]>
  /** Newest first. */
  history(id: ConnectionId, limit: number): Promise<readonly HistoryEntry[]>

  /**
   * One atomic durable write to one row.
   *
   * @param decide runs inside the transaction, perhaps more than once; what it throws fails this write alone
   */
  change<Result>(uid: Uid, decide: (found: Found | null, now: Moment) => Change<Result>): Promise<Result>
  /** The same, told who else holds the refresh token that is about to be written. */
  changeGrant<Result>(
    uid: Uid,
    refreshToken: Fingerprint | null,
    decide: (found: (Found & Pick<Neighbours, 'twin'>) | null, now: Moment) => Change<Result>,
  ): Promise<Result>
  /** The same for a row that is not there yet; null where the client is unknown. */
  insert<Result>(
    born: { readonly id: ConnectionId; readonly client: ClientId; readonly refreshToken: Fingerprint | null },
    decide: (neighbours: Neighbours | null, now: Moment) => Change<Result>,
  ): Promise<Result>
  /** Writes each of the most urgent rows that are due, each on its own. */
  changeDue<Result>(
    query: { readonly limit: number; readonly except: readonly ProviderId[] },
    decide: (found: Found, now: Moment) => Change<Result>,
  ): Promise<readonly Result[]>
  /** Forgets a few tombstones that are older than `before`. */
  forget(before: (now: Moment) => UnixMs): Promise<void>
}

export interface Seen {
  readonly found: Found
  readonly now: Moment
}

export interface SeenPage extends SeenMany {
  /** Where the next page begins; null: there is none. */
  readonly next: ConnectionId | null
}

export interface SeenMany {
  readonly found: readonly Found[]
  readonly now: Moment
}

/** Presentations that the history keeps for one connection. */
export const HISTORY_MOST = 100
/** A tombstone is forgotten when another is made: no sweep is ever needed. */
export const FORGOTTEN_AT_ONCE = 10
