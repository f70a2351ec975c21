/**
 * What the core needs from the world. Every verb is idempotent, by attempt or by revision; none is optional.
 *
 * They arrive as one {@link Ports} object; the real ones are chosen in one place (`@tokenkeep/node`, `open-tokenkeep.ts`).
 */
import type {
  At,
  BlockedReason,
  BoundKey,
  ConnectionRow,
  NeedsUserReason,
  SealedGrant,
  Status,
  View,
  Why,
} from './connection.ts'
import type { LabelOptions } from './connection-input.ts'
import type { TokenkeepEvent } from './events.ts'
import type { Answer, End, Form, NotSent } from './grant.ts'
import type {
  AttemptId,
  ClientId,
  ConnectionId,
  Fence,
  Fingerprint,
  Generation,
  GrantNo,
  OwnerId,
  ProviderId,
  Revision,
  Serial,
  Uid,
} from './ids.ts'
import type { Incarnation, Marker } from './incarnation.ts'
import type { Busy, Gone, Lease, Moved, NotYet, OnHold, Ticket } from './lease.ts'
import type { Overview } from './overview.ts'
import type { Terms } from './policy.ts'
import type { ClientKey } from './client-key.ts'
import type { Client, OpenedClient, Provider } from './provider.ts'
import type { ClientSecret, DpopKey, Sealed, Secret } from './secret.ts'
import type { DurationMs, Now, UnixMs } from './time.ts'

export interface Ports {
  readonly store: ConnectionStore
  readonly registry: Registry
  readonly endpoint: TokenEndpoint
  readonly spill: Spill
  readonly liveness: Liveness
  readonly notices: Notices
  readonly cipher: Cipher
  readonly dpopKeys: DpopKeys
  readonly clock: Clock
  readonly random: Random
  readonly events: EventSink
}

export interface Clock {
  now(): Now
  /** Resolves after 50 ms in which the event loop ran: a frozen process counts no tick, so an answer that came is read first. */
  tick(): Promise<void>
  /** Rings once after `afterMs`, unless cancelled. */
  alarm(afterMs: DurationMs): Alarm
}

export interface Alarm {
  readonly rung: Promise<void>
  cancel(): void
}

export interface Random {
  /** A random UUID (RFC 9562 version 4 or 7). */
  uuid(): string
  /** A number from 0 (inclusive) to 1 (exclusive). */
  fraction(): number
}

export interface EventSink {
  /** Never throws, never blocks; what it tells is durable already. */
  tell(event: TokenkeepEvent): void
}

/** Where a ciphertext belongs. The installation is added by the cipher. */
export interface Place {
  /** A connection's uid, `client:<id>` for what a client proves itself with, `connect-session:<id>` for a sign-in on its way. */
  readonly owner: Uid | `client:${string}` | `connect-session:${string}`
  /** `rt`, `at:<variant>`, `dpop-key`, `client-secret`, `client-key`, `sign-in`. */
  readonly purpose: string
  readonly serial: Serial
}

/** A sealing key in memory: whoever holds it can keep an answer, whatever happens to the key service meanwhile. */
export interface Sealer {
  seal(secret: Secret<string>, place: Place): Sealed
  fingerprint(secret: Secret<string>): Fingerprint
}

export interface Cipher {
  /** @throws TokenError `key_missing` where no key can be had */
  sealer(): Promise<Sealer>
  /** Synchronous, because a key that is not in memory cannot open anything: `no_key` names that case. */
  open<Kind extends string>(kind: Kind, sealed: Sealed, place: Place): Secret<Kind> | 'no_key' | 'tampered'
}

/** Keys that tokens are bound to (RFC 9449): one for each grant. */
export interface DpopKeys {
  make(): Promise<BoundKey>
  /** @param privateJwk text that a user brought; what is wrong with it never repeats it */
  read(privateJwk: unknown): Promise<BoundKey | { readonly wrong: string }>
}

// ---- spill ---------------------------------------------------------------------------------------------------------

/** Room for one answer: a free slot on disk and a sealing key in memory. An argument of acquire: no room, no request. */
export interface Room {
  readonly sealer: Sealer
  /** Gives the room back unused or after the answer is safe elsewhere; repeating it does nothing. */
  release(): void
}

export interface NoRoom {
  readonly kind: 'no_room'
  readonly because: 'slots_in_use' | 'disk' | 'no_key'
}

/** A granted answer with everything needed to commit it, also by another process, also after its sender's death. */
export interface Kept {
  readonly uid: Uid
  readonly grant: GrantNo
  /** Fingerprint of the refresh token that it answers; null for client credentials. */
  readonly answers: Fingerprint | null
  readonly fence: Fence
  readonly attempt: AttemptId
  readonly granted: SealedGrant
}

declare const spilled: unique symbol
/** Proof that an answer is durable on local disk. Made only by {@link Spill.keep} and {@link Spill.pending}. */
export interface Spilled extends Kept {
  readonly [spilled]: true
}

export interface Spill {
  reserve(sealer: Sealer): Promise<Room | NoRoom>
  /** Writes the answer into the room's slot and syncs it. */
  keep(room: Room, kept: Kept): Promise<Spilled>
  /** Only after the store acknowledged the answer. */
  clear(entry: Spilled): Promise<void>
  /** What a dead owner left; torn entries are skipped. */
  pending(proof: ProofOfDeath): AsyncIterable<Spilled>
}

// ---- liveness ------------------------------------------------------------------------------------------------------

declare const proof: unique symbol
/** The kernel freed the owner's lock, or the machine has been started since: it is gone. Made only by {@link Liveness}. */
export interface ProofOfDeath {
  readonly [proof]: true
  readonly kind: 'dead'
  readonly owner: OwnerId
  /** Gives the dead owner's lock back after its slots are replayed, and forgets its files when `done`. */
  release(done: boolean): void
}

/**
 * A hint and no proof: the lock that the owner held in the store has been missing for a while. Its process may have ended, on
 * whatever host, or only its way to the store.
 */
export interface LockMissing {
  readonly kind: 'lock_missing'
  readonly owner: OwnerId
}

export interface Liveness {
  /** @param seenOn the boot of its last sign of life in the store; null: not known */
  judge(owner: OwnerId, seenOn: string | null): Promise<ProofOfDeath | LockMissing | 'alive' | 'unknown'>
  /** Who may have ended with something left to do: every owner that left a file here, or an open attempt without its lock; never this one. */
  others(): Promise<readonly OwnerId[]>
}

// ---- notices -------------------------------------------------------------------------------------------------------

/**
 * Hears that other processes wrote. It only wakes: what is so stands in the store, and a notice that is lost costs no more
 * than the next poll. It never throws: a source that is away is silent, and has heard `unknown` when it is back.
 */
export interface Notices {
  /** From now on everything is heard, also what is written between two bells, until the listener is closed. */
  listen(): Listener
}

export interface Listener {
  /**
   * Rings once there is something to take, at once where there is already. It keeps no process alive.
   *
   * @param lookEveryMs how often a source is looked at that cannot ring by itself
   */
  bell(lookEveryMs: DurationMs): Alarm
  /**
   * What other processes wrote since it was last asked; our own writes are left out wherever the source can tell.
   *
   * @returns `unknown`: something was written, and the source cannot say to which connections
   */
  take(): readonly Uid[] | 'unknown'
  /** Hears nothing from now on; its bells stay silent. */
  close(): void
}

// ---- token endpoint ------------------------------------------------------------------------------------------------

declare const line: unique symbol
/** A fresh connection to a token endpoint, over which nothing was sent. */
export interface Line {
  readonly [line]: true
  /** Ends it without sending anything. */
  close(): void
}

/** What a connection asks with, but for its refresh token. */
export type GrantOf = Pick<ConnectionRow, 'grantType' | 'grantRequest' | 'subject'>

export interface TokenEndpoint {
  /** Waits until the connection whose token is exchanged has one, or cannot have one; no longer than a caller waits. */
  awaitSource(source: ConnectionId): Promise<void>
  /**
   * No ticket yet: nothing can leave. Makes all proofs, and opens a fresh HTTP/1.1 connection for one request alone, to
   * where this grant goes.
   *
   * @param dpopKey the request proves it, with the newest nonce that the server gave (RFC 9449); null or absent: it proves none
   */
  connect(
    provider: Provider,
    client: OpenedClient,
    grant: GrantOf,
    withinMs: DurationMs,
    dpopKey?: DpopKey | null,
  ): Promise<Line | NotSent>
  /** Takes the ticket and writes the whole request in one tick. */
  present(line: Line, lease: Lease, ticket: Ticket, form: Form): Presentation
  /** RFC 7009, once. A 200 proves nothing about unknown tokens; `unavailable` means: assume it lives. */
  revoke(
    provider: Provider,
    client: OpenedClient,
    token: Secret<'refresh_token'>,
  ): Promise<'revoked' | 'unsupported' | 'unavailable'>
  /** RFC 7662. */
  introspect(
    provider: Provider,
    client: OpenedClient,
    token: Secret<'access_token'>,
  ): Promise<'active' | 'inactive' | 'unsupported' | 'unavailable'>
}

export interface Presentation {
  /** Never rejects; resolves when an answer is complete, the connection ended, or after `abandon`. No deadline of its own. */
  readonly ever: Promise<Answer | NotSent>
  /** Resets the socket. Never a polite close, which would still deliver what is on its way. */
  abandon(): void
}

// ---- registry ------------------------------------------------------------------------------------------------------

/** Providers and clients, in the same database as the connections. */
export interface Registry {
  provider(id: ProviderId): Promise<Provider | null>
  providers(): Promise<readonly Provider[]>
  /** @throws TokenError `changed_meanwhile` */
  putProvider(provider: Omit<Provider, 'revision'>, condition?: PutCondition): Promise<Provider>
  /** The client, what it proves itself with now opened. */
  client(id: ClientId): Promise<OpenedClient | null | 'no_key' | 'tampered'>
  clients(): Promise<readonly Client[]>
  /** Adds or changes it. Keys that its method does not use are erased; those it uses stay beside what is given. */
  putClient(given: GivenClient, condition?: PutCondition): Promise<Client>
  /** What may be seen of the keys that it signs with, the retired ones too; null: there is no such client. */
  clientKeys(id: ClientId): Promise<readonly ClientKey[] | null>
  /**
   * Changes the keys that it signs with.
   *
   * @returns those it has now
   * @throws TokenError `unknown_client`
   */
  changeClientKeys(id: ClientId, change: KeyChange): Promise<readonly ClientKey[]>
}

/** Under which settings are replaced; otherwise they were changed meanwhile. */
export interface PutCondition {
  /** Only those of this revision; 'any': only where there are some. Absent: whatever is there, or nothing. */
  readonly revision?: number | 'any' | undefined
}

/** A client as it is put, with its credential. */
export interface GivenClient extends Omit<Client, 'revision'> {
  readonly clientSecret: ClientSecret | null
  /** The private key of its certificate, PEM; null without one. */
  readonly tlsKey: Secret<'client_key'> | null
  /** A key that signs, and whether it is meant only where there is none yet; null: those that are there. */
  readonly signingKey: (NewClientKey & { readonly when: 'none_is_there' | 'now' }) | null
}

export interface NewClientKey {
  readonly key: ClientKey
  /** Its private half, a JWK as JSON. */
  readonly privateJwk: Secret<'client_key'>
}

export interface KeyChange {
  /** Null: nothing to change. It may be asked again, with what is there then. */
  readonly decide: (keys: readonly ClientKey[]) => readonly ClientKey[] | null
  /** One that `decide` may name beside those that are there. */
  readonly added: NewClientKey | null
  /** Another key is to be believed: blocks end. Otherwise only what is over goes. */
  readonly raises: 'revision' | 'nothing'
}

// ---- connection store ----------------------------------------------------------------------------------------------

/** A connection as it is first written. Its secrets are sealed for its `uid` already. */
export interface Draft {
  readonly uid: Uid
  readonly id: ConnectionId
  readonly client: ClientId
  readonly grantType: ConnectionRow['grantType']
  readonly grantRequest: ConnectionRow['grantRequest']
  readonly subject: string | null
  readonly sessionId: ConnectionRow['sessionId']
  readonly labels: Readonly<Record<string, string>>
  readonly granted: SealedGrant
}

/**
 * Whose sign-ins a logout event means (OpenID Connect Back-Channel Logout 1.0 section 2.4): one session (`sid`), or all of
 * a subject (`sub`) where it names no session.
 */
export type SignedOutBy = { readonly sessionId: string } | { readonly subject: string }

/** What a logout event says of a sign-in. */
export interface LogoutEvent {
  readonly of: SignedOutBy
  /** When it happened: `iat`, or what a security event says of its own moment. */
  readonly issuedAt: UnixMs
  /** It ends offline access, too (Keycloak: `revoke_offline_access`). */
  readonly revokesOfflineAccess: boolean
}

export interface Unreadable {
  readonly kind: 'unreadable'
  readonly because: 'tampered' | 'no_key'
}
export interface Acquired {
  readonly kind: 'acquired'
  readonly lease: Lease
  readonly ticket: Ticket
}

/** What watching proved about an open attempt. */
export type Evidence =
  | {
      readonly kind: 'lease_over'
      readonly fence: Fence
      readonly heartbeat: number
      /** How long this fence and heartbeat were seen by the watcher's own monotonic clock. */
      readonly watchedMs: DurationMs
    }
  | (LockMissing & {
      /** As they were read, so that a sign of life since then counts. */
      readonly fence: Fence
      readonly heartbeat: number
    })
  | ProofOfDeath

export interface CommitResult {
  /**
   * `committed`: the row has it. `again`: it had it already. `successor`: held until the later attempt ends.
   * `sibling`: it lost to a later one, and is kept as a last resort. `history`: noted, nothing changed. `revoke`: belongs to nobody any more and should be revoked upstream.
   */
  readonly kind: 'committed' | 'again' | 'successor' | 'sibling' | 'history' | 'revoke'
  /** Null where the row is erased. */
  readonly view: View | null
  /** Under which it was judged, also where the row is erased; null: nobody knows it any more. */
  readonly terms: Terms | null
}

export interface ListQuery {
  readonly provider?: ProviderId | undefined
  readonly client?: ClientId | undefined
  /** One of these. */
  readonly status?: Status | readonly Status[] | undefined
  /** Why it needs its user or is blocked: one of these. */
  readonly reason?: readonly (NeedsUserReason | BlockedReason)[] | undefined
  /** Every given label must be there with that value. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  readonly sessionId?: string | undefined
  readonly subject?: string | undefined
  /** Its id, its subject or the value of one of its labels begins with this text. */
  readonly search?: string | undefined
  readonly limit: number
  /** Ids after this one, in the order of their UTF-8 bytes. */
  readonly after?: ConnectionId | undefined
}

/** One presentation, as the history keeps it. */
export interface HistoryEntry {
  readonly fence: Fence
  readonly attempt: AttemptId
  readonly grant: GrantNo
  readonly generation: Generation
  readonly presented: Fingerprint | null
  readonly owner: OwnerId
  readonly host: string
  /** The program and its process id, as far as they were noted: information only. */
  readonly process: string | null
  readonly why: Why
  readonly acquiredAt: UnixMs
  readonly endedAt: UnixMs | null
  readonly outcome: string | null
}

/** An attempt that another owner has open, named and no more. */
export interface OpenElsewhere {
  readonly uid: Uid
  readonly fence: Fence
  /** Of the attempt: as long as it stays, its owner has given no sign of life, whatever others wrote into its row. */
  readonly heartbeat: number
}

export interface ConnectionStore {
  read(id: ConnectionId): Promise<View | Gone>
  /** All that there are, up to the limit. */
  list(query: ListQuery): Promise<readonly View[]>
  /**
   * What is found by looking at so many: it may be short of the limit, or empty.
   *
   * @returns `next`: where to go on; null: there is nothing behind
   */
  page(query: ListQuery): Promise<{ readonly views: readonly View[]; readonly next: ConnectionId | null }>
  /** @param labels only connections with all of these are counted; `{}`: all */
  overview(labels: Readonly<Record<string, string>>): Promise<Overview>
  /** Creates or fails: `exists` for a living id, `twin` where another living connection of the client holds this refresh token. */
  create(
    draft: Draft,
  ): Promise<View | { readonly kind: 'exists' } | { readonly kind: 'twin'; readonly id: ConnectionId }>
  /**
   * Makes the intent to present durable, and lends the refresh token once.
   *
   * One atomic durable write; refuses unless no attempt is open, `at` is unchanged, and state and policy allow `why` now.
   *
   * @param usedAt when a caller last wanted this connection; null: not known
   */
  acquire(
    at: At,
    why: Why,
    attempt: AttemptId,
    room: Room,
    usedAt: UnixMs | null,
  ): Promise<Acquired | Busy | Moved | NotYet | Gone | OnHold | Unreadable>
  renew(lease: Lease): Promise<Lease | 'lost'>
  /** Ends an attempt. Repeating it with the same end changes nothing. */
  commit(lease: Lease, end: End): Promise<CommitResult>
  /** The same for a granted answer, from a slot or memory, without the lease. */
  replay(entry: Kept): Promise<CommitResult>
  /** Makes an open attempt `in_doubt`. Lends no ticket: whoever takes over must acquire like everybody. In hold: `moved`. */
  takeOver(at: At, evidence: Evidence): Promise<{ readonly kind: 'in_doubt'; readonly view: View } | Moved>
  /** Reconnect: one write, grant + 1; ends attempt, doubt, suspicion, successor and siblings. */
  replaceGrant(
    at: At,
    granted: SealedGrant,
    who: Pick<ConnectionRow, 'subject' | 'sessionId'>,
  ): Promise<View | Moved | Gone | { readonly kind: 'twin'; readonly id: ConnectionId }>
  /** An API refused this access token (401). `current`: it is the one we would hand out; others changed nothing. */
  reject(at: At, accessToken: Fingerprint): Promise<{ readonly current: boolean; readonly view: View } | Gone>
  /**
   * A logout event: hand-outs stop where it means this sign-in and is later than it. `known`: nothing was left to stop, for
   * example because the same event came before.
   */
  signOut(
    at: At,
    event: LogoutEvent,
  ): Promise<{ readonly kind: 'marked' | 'known'; readonly view: View } | { readonly kind: 'not_ours' } | Gone>
  /** Lets the next presentation be made now: one, in doubt, suspicion or block. Changes nothing elsewhere. */
  presentNow(at: At): Promise<View | Gone>
  /**
   * Sets labels and takes some away. `changed`: they are not those of `unchangedFrom`; `too_many`: there would be more than a
   * connection has; `outside`: it would not be among those `within` any more. Where it is not one of them, it is gone.
   */
  label(
    at: At,
    changes: Readonly<Record<string, string | null>>,
    options: LabelOptions,
  ): Promise<View | Gone | { readonly kind: 'changed' | 'too_many' | 'outside' }>
  beginDelete(at: At): Promise<Deletion | Gone | OnHold>
  /**
   * Erases what `deletion` saw.
   *
   * @param revokedUpstream the provider confirmed that it revoked all of it
   * @returns `changed`: a late answer brought another refresh token meanwhile; begin again and revoke that
   */
  finishDelete(deletion: Deletion, revokedUpstream: boolean): Promise<'erased' | 'changed'>
  /** Due work, claimed: the same write moves its time, so that two schedulers do not do it twice. None is in hold. */
  due(query: { readonly limit: number; readonly except: readonly ProviderId[] }): Promise<readonly View[]>
  /** The rows among these whose revision is another one now: they were written since, or the store forgot its last writes. */
  changes(uids: readonly (readonly [Uid, Revision])[]): Promise<readonly View[]>
  /** Open attempts of an owner that is proven dead. */
  openAttempts(owner: OwnerId): Promise<readonly View[]>
  /** What all other owners have open, without what is being deleted. Nothing is opened or written for it. */
  openElsewhere(): Promise<readonly OpenElsewhere[]>
  history(id: ConnectionId, limit: number): Promise<readonly HistoryEntry[]>
  /** Which life of which database this is, and whether it is on hold. */
  incarnation(): Promise<Incarnation>
  /**
   * Ends a hold: the original is off. Connection by connection they become `in_doubt`, unless a refresh token is reusable;
   * the last write begins the new incarnation. Cut short, the hold goes on, and so does the next call.
   *
   * @param old the incarnation that was seen; where another is here by now, nothing changes
   * @param markers whatever remembers an epoch: the new one is higher than all of them
   * @returns how many connections are in doubt by it
   */
  adopt(
    old: Incarnation,
    markers: readonly Marker[],
  ): Promise<{ readonly incarnation: Incarnation; readonly inDoubt: number }>
}

/** A connection on its way out: what must still be revoked upstream. */
export interface Deletion {
  readonly kind: 'deleting'
  readonly uid: Uid
  readonly view: View
  /** The newest refresh token and the held answers', opened; the caller revokes them. */
  readonly toRevoke: readonly Secret<'refresh_token'>[]
  /** An attempt is still open: wait, then begin again. */
  readonly open: Busy | null
}
