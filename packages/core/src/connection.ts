/**
 * What we keep about one grant.
 *
 * The states, how each is entered and left (the whole table is `PROTOCOL.md` section 8, its code `lease.ts` and
 * `commit.ts`):
 *
 * - `ready`: may be refreshed. Entered by import, reconnect and every granted answer.
 * - `presenting`: one attempt is open, and perhaps sent. Entered by acquire; left by the answer's commit, or by
 *   takeover, which makes it `in_doubt`. It remembers the state it came from.
 * - `in_doubt`: a presentation was perhaps sent and not answered. Left by an attempt that policy allows.
 * - `suspect`: refused once or twice, or said to be signed out; not yet believed.
 * - `blocked`: the operator has to mend the registration or the endpoint; retried ever more rarely.
 * - `needs_user`: only a person can revive it. Nothing is deleted; a granted answer that comes late still revives it, at
 *   once or, where it lost to a later one, by an attempt of its own.
 * - `deleting`, `erased`: being revoked upstream; gone, its uid kept as a tombstone.
 */
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
import type { Hold } from './incarnation.ts'
import type { DurationMs, Moment, Now, UnixMs } from './time.ts'
import type { Terms } from './policy.ts'
import type { GrantRequest } from './grant-request.ts'
import type { GrantType } from './provider.ts'
import type { AccessToken, DpopKey, Sealed } from './secret.ts'
import type { SessionEnd } from './session-end.ts'
import type { Urgency } from './urgency.ts'
import type { VariantKey } from './variant.ts'

/** Why only a person can revive a connection. */
export type NeedsUserReason =
  'revoked' | 'expired' | 'answer_lost' | 'reused' | 'signed_out' | 'interaction_required' | 'no_refresh_token'

/** What the operator has to mend. */
export type BlockedReason = 'client' | 'endpoint' | 'request' | 'grant'

/**
 * The reason to present, which acquire checks against the row: `fresh` from ready or blocked, `in_doubt` and `confirm`
 * from those states, `sibling` for the refresh token of a held answer, `last` when the refresh token's known end has
 * passed.
 */
export type Why = 'fresh' | 'in_doubt' | 'confirm' | 'sibling' | 'last'

/** When the next try may be made after one that did not work. The draw is kept, so that all read the same moment. */
export interface BackOff {
  readonly failures: number
  readonly failedAt: Moment
  /** Full jitter: a number drawn once from 0 (inclusive) to 1 (exclusive). */
  readonly draw: number
  /** Set by `Retry-After`; it beats every other rule. */
  readonly notBefore: UnixMs | null
}

export interface Ready {
  readonly status: 'ready'
  readonly backOff: BackOff | null
}

export interface InDoubt {
  readonly status: 'in_doubt'
  /** Store time of the first unanswered acquire of this refresh token: the one moment that is surely early. */
  readonly since: Moment
  /** The database was adopted: another life of it may have presented, so no window and no count is left, only its end. */
  readonly adopted?: true
  /** Who may make the one prompt retry (`unknown` policy), and from when; null: used up or nobody's. */
  readonly promptRetry: { readonly by: OwnerId; readonly from: Moment } | null
  /** The last sign of life of an owner that fell silent or froze; null where the end was seen or death is proven. */
  readonly silentSince: { readonly heartbeatAt: Moment; readonly leaseMs: DurationMs } | null
  readonly backOff: BackOff | null
}

export interface Suspect {
  readonly status: 'suspect'
  readonly firstRefusedAt: Moment
  /** 0: said to be signed out and not yet refused. The third refusal is believed. */
  readonly refusals: 0 | 1 | 2
  /** What its refusal means once no sibling is left to try; null: it is confirmed first. */
  readonly believed: NeedsUserReason | null
  readonly backOff: BackOff | null
}

/** The states that an attempt, or a block, remembers. From `needs_user` only a sibling is presented. */
export type Resting = Ready | InDoubt | Suspect | NeedsUser

export interface Presenting {
  readonly status: 'presenting'
  readonly from: Resting
  readonly attempt: Attempt
}

/** The open attempt: whose it is, and since when. */
export interface Attempt {
  readonly id: AttemptId
  readonly owner: OwnerId
  readonly host: string
  readonly fence: Fence
  readonly why: Why
  /** The attempt of the sibling whose refresh token this one presents; null: the current one. */
  readonly sibling: AttemptId | null
  readonly acquiredAt: Moment
  readonly heartbeat: number
  readonly heartbeatAt: Moment
  readonly leaseMs: DurationMs
  /** Its owner holds a lock in the store, which others can see missing; absent: only the timer tells of its end. */
  readonly showsLock?: true
  /** The sign-out was announced while it was open: what it brings says nothing about that. Absent: it began afterwards, if there was one. */
  readonly signedOutMeanwhile?: true
  /** Answers in a row that blamed the registration, before this attempt. */
  readonly blockedFailures: number
}

export interface Blocked {
  readonly status: 'blocked'
  readonly from: Resting
  readonly reason: BlockedReason
  /** The provider's own error word (RFC 6749 section 5.2), where it is one that cannot hold a secret. */
  readonly word: string | null
  readonly failures: number
  readonly retryAt: UnixMs
  /** A change of either ends the block. */
  readonly clientRevision: Revision
  readonly providerRevision: Revision
}

export interface NeedsUser {
  readonly status: 'needs_user'
  readonly reason: NeedsUserReason
  readonly since: UnixMs
}

export interface Deleting {
  readonly status: 'deleting'
  readonly since: UnixMs
  /** The attempt that was open when deletion began; it is awaited. */
  readonly attempt: Attempt | null
}

export interface Erased {
  readonly status: 'erased'
  readonly since: UnixMs
}

export type State = Ready | Presenting | InDoubt | Suspect | Blocked | NeedsUser | Deleting | Erased
export type Status = State['status']

/** One access token as the store keeps it, one for each variant. */
export interface StoredAccessToken {
  readonly variant: VariantKey
  readonly sealed: Sealed
  readonly serial: Serial
  readonly fingerprint: Fingerprint
  /** As the provider wrote it; compared without regard to case (RFC 6749 section 7.1). */
  readonly tokenType: string
  /** The scope granted, where the answer or the request says it. */
  readonly scope: string | null
  /** Lifetime granted, counted from `sentAt`. */
  readonly lifetimeMs: DurationMs
  /** The answer did not say the lifetime: it was assumed. */
  readonly assumed: boolean
  /** The moment our request left: the earliest at which the token can have begun. */
  readonly sentAt: UnixMs
  readonly expiresAt: UnixMs
  /** The fence of the attempt that brought it; 0 for an imported one. */
  readonly fence: Fence
  /** An API refused it (401) at this moment; null: not that we know. */
  readonly refusedAt: UnixMs | null
}

/** When a refresh token ends, as far as that is known. */
export interface RefreshTokenLife {
  readonly receivedAt: UnixMs
  /** The end that the provider announced; null: none, or not said. */
  readonly endsAt: UnixMs | null
  /** The life that the provider announced at `receivedAt`; null: none, or not said. */
  readonly lifetimeMs: DurationMs | null
}

/** The refresh token as the store keeps it. */
export interface StoredRefreshToken extends RefreshTokenLife {
  readonly sealed: Sealed
  readonly serial: Serial
  readonly fingerprint: Fingerprint
  /** Presentations since it was stored, counted when acquired, uncounted only by `not_sent`. */
  readonly presentations: number
}

/** The key that the tokens of a grant are bound to, as the store keeps it: made or given with the sign-in, and ended with it. */
export interface StoredDpopKey {
  readonly sealed: Sealed
  readonly serial: Serial
  /** Its thumbprint (RFC 7638), which servers bind to. */
  readonly jkt: string
}

/** The same, opened: for whoever makes proofs. */
export interface BoundKey {
  readonly key: DpopKey
  readonly jkt: string
}

/** A granted answer, sealed: what a commit, a successor and a spill slot hold. */
export interface SealedGrant {
  readonly variant: VariantKey
  readonly refreshToken: Omit<StoredRefreshToken, 'presentations'> | null
  readonly accessToken: Omit<StoredAccessToken, 'fence' | 'refusedAt'> | null
  /** The scope of the whole grant as far as this answer says it; null: unchanged. */
  readonly scope: string | null
  /** What the answer says about the end of the refresh token, also of one that stays. Absent: nothing. */
  readonly refreshTokenLife?: RefreshTokenLife
  /** Of a sign-in: what its tokens are bound to. No later answer brings one. Absent: nothing. */
  readonly dpopKey?: StoredDpopKey
}

/** A granted answer to the current refresh token, held while a later attempt for that same token is open. */
export interface Successor {
  readonly attempt: AttemptId
  readonly fence: Fence
  readonly grant: SealedGrant
}

/**
 * A granted answer that lost to a later one: a refresh token of its own, a last resort after the current one was refused
 * (ADR 0011).
 */
export interface Sibling {
  /** The attempt that it answered, and that one's fence. */
  readonly attempt: AttemptId
  readonly fence: Fence
  /** Fingerprint of the refresh token that it answers. */
  readonly answers: Fingerprint
  readonly refreshToken: StoredRefreshToken
  /** Refused, or of no use any more: kept, and not tried. */
  readonly spent: boolean
  readonly backOff: BackOff | null
}

/** A row: everything about one connection. Only stores hold one; everybody else sees a {@link View}. */
export interface ConnectionRow {
  readonly uid: Uid
  readonly id: ConnectionId
  readonly provider: ProviderId
  readonly client: ClientId
  readonly grantType: GrantType
  /** What a grant that runs again needs beside the client; null: nothing, or it is erased. */
  readonly grantRequest: GrantRequest | null
  readonly subject: string | null
  readonly labels: Readonly<Record<string, string>>
  readonly grant: GrantNo
  readonly generation: Generation
  readonly revision: Revision
  readonly fence: Fence
  readonly state: State
  readonly refreshToken: StoredRefreshToken | null
  /** Of this grant; null: nothing is proven with a key (RFC 9449). */
  readonly dpopKey: StoredDpopKey | null
  /** The refresh token that the current one replaced; only its fingerprint is kept. */
  readonly parent: Fingerprint | null
  readonly successor: Successor | null
  /** Newest first. */
  readonly siblings: readonly Sibling[]
  readonly accessTokens: readonly StoredAccessToken[]
  /** The scope of the whole grant, as granted. */
  readonly scope: string | null
  /** The OpenID Connect session (`sid`) that this sign-in belongs to; null: not told. */
  readonly sessionId: string | null
  /** When this sign-in was imported or renewed: a logout event before it means another one. */
  readonly signedInAt: UnixMs
  /** An operator lets the next presentation be made now; that one takes it away. */
  readonly presentNow: Moment | null
  /** A logout event named this sign-in: no hand-outs until a later presentation decides. */
  readonly signedOutAt: Moment | null
  /** When the last granted answer was committed; its attempt's id and fence, so that a repeated commit is known again. */
  readonly lastGrant: {
    readonly at: UnixMs
    readonly attempt: AttemptId | null
    readonly fence: Fence
    /** Two answers named the same end: no refresh moves it. */
    readonly sessionEnd?: SessionEnd
  } | null
  /** The attempt and outcome committed last, granted or not: what makes a repeated commit a success without change. */
  readonly lastEnd: { readonly attempt: AttemptId; readonly kind: string } | null
  /**
   * Refreshes forced in a row by 401 reports, and the moment before which no further one is. `holding`: the token that
   * the last one brought was refused, too.
   */
  readonly forced: {
    readonly count: number
    readonly notBefore: UnixMs
    readonly since: 'forced' | 'holding'
  } | null
  readonly usedAt: UnixMs | null
  /** When something has to happen by itself; never null in a state that waits for something. */
  readonly dueAt: UnixMs | null
  /** How pressing that is: the order in which due work is claimed. */
  readonly urgency: Urgency
  readonly createdAt: UnixMs
  readonly updatedAt: UnixMs
}

/** An access token opened for handing out. */
export interface OpenedAccessToken extends Omit<StoredAccessToken, 'sealed' | 'serial'> {
  readonly token: AccessToken
  /** The thumbprint of the key that it is bound to; absent: it is bound to none. */
  readonly dpopJkt?: string
}

declare const fromStore: unique symbol

/** Which grant and generation a reader saw: made only by `read` and `acquire`, so that nobody writes by hearsay. */
export interface At {
  readonly [fromStore]: true
  readonly uid: Uid
  readonly grant: GrantNo
  readonly generation: Generation
  /** The last attempt that the reader saw: any later one means that something was learnt since. */
  readonly fence: Fence
}

/**
 * What a reader sees of a row: no refresh token, and no ciphertext.
 *
 * `unreadable` names the one access token or refresh token that did not open in its own place.
 */
export interface View {
  readonly at: At
  readonly row: Omit<ConnectionRow, 'refreshToken' | 'dpopKey' | 'accessTokens' | 'successor' | 'siblings'>
  readonly refreshToken: Omit<StoredRefreshToken, 'sealed' | 'serial'> | null
  /** Null: its grant has none. A word: it does not open, and without it nothing is presented. */
  readonly dpopKey: BoundKey | 'tampered' | 'no_key' | null
  readonly hasSuccessor: boolean
  readonly siblings: readonly Omit<Sibling, 'refreshToken'>[]
  readonly accessTokens: readonly OpenedAccessToken[]
  /** The terms of its provider and client at the time of reading. */
  readonly terms: Terms
  readonly unreadable: 'tampered' | 'no_key' | null
  /** Why nothing of this database is presented; null: it may be. */
  readonly hold: Hold | null
  /** Store time of the reading, and what this process's clocks said at that instant. */
  readonly readAt: { readonly store: Moment; readonly local: Now }
}
