/** The interface that users write against: the same in process and, later, over HTTP. */
import type {
  Client,
  ClientKeyState,
  Connections,
  HandOut,
  Incarnation,
  KeyAlg,
  Numbers,
  Provider,
  PutCondition,
  Rejection,
  ReusePolicy,
  TokenEndpointAuthMethod,
  TokenkeepEvent,
  TokenOptions,
} from '@tokenkeep/core'
import type { Actor } from './actor.ts'
import type { Audit } from './audit.ts'
import type { ApiKeys, Callers, LocalRefreshTokens } from './callers.ts'
import type { ClientInput } from './client-input.ts'
import type { ApiRequest, Forwarded } from './forward.ts'
import type { ConnectSessions } from './connect-sessions.ts'
import type { Events } from './events.ts'
import type { DeviceSignIns } from './device-sign-ins.ts'
import type { Adopted } from './life.ts'
import type { MasterKeys } from './master-keys.ts'
import type { HandOuts, Refreshes } from './minute-reading.ts'
import type { PageSessions } from './page-sessions.ts'
import type { ProviderInput } from './provider-input.ts'
import type { Received } from './revocation-intake.ts'

export interface OpenOptions {
  /** The SQLite database; made where it is missing. Its locks and slots lie beside it, in `<path>.state/`. */
  readonly path?: string | undefined
  /**
   * Instead of `path`: the URL of a Postgres database, for the processes of many hosts, for example
   * `postgres://user:password@host:5432/database`. Our tables are in its schema `tokenkeep`, or in that of `?schema=...`.
   */
  readonly postgres?: string | undefined
  /**
   * With `postgres`: the folder on a local disk in which the processes of this host have their locks and spill slots,
   * apart for each installation; made where it is missing. Absent: the data folder of the user.
   */
  readonly stateFolder?: string | undefined
  /**
   * The file of the master key; made where both it and the database are missing. Absent: `TOKENKEEP_KEY`, else
   * `tokenkeep.key` in the configuration folder of the user.
   */
  readonly keyFile?: string | undefined
  /** Allows `keyFile` to lie in the folder of the database, for throw-away data: whoever copies it has the key, too. */
  readonly keyBesideData?: boolean | undefined
  /** Makes the database, and its master key, where there is none; true where absent. False: refuses, and makes nothing. */
  readonly create?: boolean | undefined
  /** Refresh ahead, confirm, and finish what is due, in the background; true where absent. */
  readonly background?: boolean | undefined
  /** Bound of the access tokens remembered in memory, bytes; 32 MiB where absent. */
  readonly cacheBytes?: number | undefined
  /** SQLite cannot lock reliably on NFS, SMB, 9p or FUSE; true takes the risk. */
  readonly allowNetworkFileSystem?: boolean | undefined
  /** Hears every event after it is durable. What it throws is ignored. */
  readonly onEvent?: ((event: TokenkeepEvent) => void) | undefined
  /** Other numbers than `PROTOCOL.md`'s, for tests of your own. Relations between them are checked. */
  readonly numbers?: Partial<Numbers> | undefined
}

export interface Providers {
  /**
   * Adds or changes a provider.
   *
   * @throws TokenError `changed_meanwhile`: it has not the revision of `condition`
   */
  put(input: ProviderInput, condition?: PutCondition): Promise<Provider>
  /** @throws TokenError `unknown_provider` */
  get(id: string): Promise<Provider>
  list(): Promise<readonly Provider[]>
}

export interface Clients {
  /**
   * Adds or changes a client; what it proves itself with is sealed. Keys that it signs with stay as long as it signs.
   *
   * @throws TokenError `changed_meanwhile`: it has not the revision of `condition`
   */
  put(input: ClientInput, condition?: PutCondition): Promise<Client>
  /** @throws TokenError `unknown_client` */
  get(id: string): Promise<Client>
  list(): Promise<readonly Client[]>
  /**
   * The keys that a client signs with (`private_key_jwt`).
   *
   * @throws TokenError `unknown_client`
   */
  keys(id: string): Promise<readonly ClientKeyInfo[]>
  /**
   * Makes another key: published now, signing once the provider can have fetched it.
   *
   * @throws TokenError `unknown_client`; `invalid_input` where the client signs with no key of its own; `in_use` where a new
   *   key waits already
   */
  rotateKey(id: string, options?: KeyRotation): Promise<readonly ClientKeyInfo[]>
  /**
   * The public keys for the provider (RFC 7517 section 5): of the keys that sign, will sign or have signed lately, or of the
   * certificate. Empty where a client has none.
   *
   * @throws TokenError `unknown_client`
   */
  jwks(id: string): Promise<Jwks>
}

/** A key that a client signs with, as far as it may be seen. Moments in epoch milliseconds. */
export interface ClientKeyInfo {
  readonly kid: string
  readonly alg: KeyAlg
  readonly createdAt: number
  readonly signsFrom: number
  /** Null: it has no successor. */
  readonly publishedUntil: number | null
  /** `next`: published, and will sign. `previous`: has signed, and is published. `retired`: is erased soon. */
  readonly state: ClientKeyState['kind']
}

export interface KeyRotation {
  /** The new key signs at once; one that waits already does. False where absent. */
  readonly now?: boolean | undefined
  /** So long after now the new key signs, milliseconds; a day where absent. */
  readonly afterMs?: number | undefined
  /** So long after that the old one stays published, milliseconds; a day where absent. 0: it is over at once, for a key that leaked. */
  readonly keepMs?: number | undefined
}

export interface Jwks {
  readonly keys: readonly Readonly<Record<string, unknown>>[]
}

/** How this process learns what others do on the same database. */
export interface Coordination {
  /** A refresh of another process is heard of at once; false: within a second, by polling. */
  readonly hearsCommits: boolean
  /**
   * The end of a process is noticed within seconds; false: on another host by the timer alone, which is its lease of 30 s
   * or half of a shorter grace. A window of less than 6 s may be over by then.
   */
  readonly seesLocks: boolean
  /** A pooler between this process and Postgres hands sessions around: neither of the two can work. */
  readonly behindPooler: boolean
}

/** Keeps OAuth 2.0 tokens alive inside this process. */
export interface Tokenkeep extends AsyncDisposable {
  readonly providers: Providers
  readonly clients: Clients
  readonly connections: Connections
  /** How a person's sign-in becomes a connection. */
  readonly connectSessions: ConnectSessions
  /** The same where the person has a browser on another device only (RFC 8628). It waits in this process. */
  readonly deviceSignIns: DeviceSignIns
  /** What happened, whatever process it happened in. */
  readonly events: Events
  /** The programs that may use a server on this database, each known by its key. */
  readonly apiKeys: ApiKeys
  /** Refresh tokens of ours, for OAuth clients that use the drop-in token endpoint of a server. */
  readonly localRefreshTokens: LocalRefreshTokens
  /** Who asks, and what for: for a server of your own. */
  readonly callers: Callers
  /** People who signed in at the web page of a server with an API key. */
  readonly pageSessions: PageSessions
  /**
   * An access token that works, refreshed first where needed.
   *
   * @throws TokenError `unknown_connection`, `needs_user`, `blocked`, `in_doubt`, `suspect`, `unavailable`,
   *   `unreadable`, `variant_unsupported`, `scope_refused`, `invalid_input`, `store_unavailable`, `closed`
   */
  token(id: string, options?: TokenOptions): Promise<HandOut>
  /** An API answered 401 to this access token. The next `token()` refreshes, within limits. */
  rejected(id: string, accessToken: string): Promise<Rejection>
  /**
   * Asks the provider whether the current access token is active (RFC 7662); an inactive one is replaced.
   *
   * @returns `unsupported`: the provider has no introspection, or was found to tell this client nothing, which is
   *   `active: false` of every token
   */
  introspect(id: string): Promise<'active' | 'inactive' | 'unsupported' | 'unavailable'>
  /**
   * Takes a logout token that was sent to `backchannel_logout_uri`: a server of your own answers 200 to `accepted` and
   * `known`, 400 to `refused`, 503 to `unavailable`. The sign-ins that it names are not handed out any more, and their next
   * presentation decides; those that came after it, and offline access that it does not revoke, are left alone.
   *
   * @param provider the id of the provider that it was sent for
   * @param token the JWT as it came
   * @throws TokenError `store_unavailable`: it is to be sent again; `closed`
   * @see OpenID Connect Back-Channel Logout 1.0 sections 2.5 to 2.8
   */
  receiveLogoutToken(provider: string, token: string): Promise<Received>
  /**
   * Takes a security event token that was pushed: CAEP `session-revoked` is like a logout; after `credential-change` the
   * provider is asked whether the access tokens of the subject are active. Others are accepted, and mean nothing here.
   *
   * @param provider the id of the provider that it was sent for
   * @param token the JWT as it came
   * @throws TokenError `store_unavailable`: it is to be sent again; `closed`
   * @see RFC 8935 section 2; RFC 8417; CAEP 1.0 section 3
   */
  receiveSecurityEvent(provider: string, token: string): Promise<Received>
  /**
   * Who did what, for a year. Every administrative act has its line, which is written before it: where that is not
   * possible, the act is refused with `store_unavailable`.
   */
  readonly audit: Audit
  /** Who was handed tokens, counted by the minute for three days. */
  readonly handOuts: HandOuts
  /** What became of refreshes, counted by the minute for 30 days. */
  readonly refreshes: Refreshes
  /**
   * The same for somebody else, for a server or a command of your own: what is handed out through it is counted as handed
   * to that actor, and what is done through it has that actor in the audit log. What is called without it is the program's
   * own, `library`.
   *
   * @throws TokenError `invalid_input`
   */
  by(actor: Actor): Tokenkeep
  /** The keys that seal what is stored. */
  readonly masterKeys: MasterKeys
  /** Which life of which database this is; `hold` says since when and why nothing is presented. */
  incarnation(): Promise<Incarnation>
  /** As it is now: a session of Postgres that was lost is back after a moment. */
  coordination(): Coordination
  /**
   * Says that the original of this database is off for good, so that this one goes on in its place. What is not reusable
   * is in doubt afterwards: presented once, when its access token has ended.
   */
  adopt(): Promise<Adopted>
  /**
   * Writes a backup of the database, as it is at one instant, into a file that is not there yet. Wherever that is put, it
   * starts on hold. Blocks this process for as long as it takes.
   *
   * @throws TokenError `invalid_input`: the file is there, or the data are in Postgres, which has `pg_dump`
   */
  backUp(file: string): Promise<void>
  /** A `fetch` that carries the connection's token; after a 401 it refreshes and tries once more. */
  fetchFor(id: string): typeof fetch
  /**
   * The same for a server of your own, which takes a request over from a caller that shall not see the token: streamed both
   * ways, to one of the provider's `apiBaseUrls` only, redirects not followed.
   *
   * @returns the API's answer, a 401 too; or why there is none
   * @throws TokenError what `token` throws; `invalid_input`: no base URL, or a path that leads out of it
   */
  forward(id: string, request: ApiRequest): Promise<Forwarded>
  /**
   * The first half of an orderly end, for a server that still has to answer those who are here: from now on no refresh
   * begins in this process, in the background or for a caller. What lives is handed out, who waits for a refresh that
   * is on its way gets its token, and everybody else is refused with `closed`. There is no way back.
   */
  stopRefreshing(): void
  /**
   * Ends background work, waits for refreshes on their way (12 s at most), closes the database.
   *
   * Where a provider is still silent then, this returns all the same; its answer is awaited and kept behind the scenes,
   * and the process lives on for it, for at most 90 s.
   */
  close(): Promise<void>
}

export type { ReusePolicy, TokenEndpointAuthMethod }
