/**
 * One person's way to a sign-in: begun by a program, opened by a person, ended by a connection.
 *
 * The states, and how each is entered and left:
 *
 * - `open`: nobody is on the way. Entered at the beginning and by every attempt that failed, which it names; a person may
 *   begin until it expires.
 * - `signing_in`: a person was sent to the provider. Left by the answer that comes back, once; beginning again replaces it,
 *   so that only the newest attempt's answer is taken.
 * - `exchanging`: the code has come and is being exchanged. Entered once for each attempt, because a code can be used once
 *   (RFC 6749 section 4.1.2). A process that dies in it leaves it; after a minute it counts as failed.
 * - `connected`: the connection was made or given a new sign-in. Nothing leaves it.
 */
import { assertNever } from './failures.ts'
import type { ClientId, ConnectionId, ProviderId, Revision } from './ids.ts'
import { fromSeconds, later, type UnixMs } from './time.ts'

/** Why an attempt to sign in brought no connection. */
export type ConnectFailure =
  /** The person said no, or the provider for them (RFC 6749 section 4.1.2.1 `access_denied`). */
  | 'denied'
  /** The provider wants the person to do something there first. */
  | 'interaction_required'
  /** The answer, its issuer or its ID token are not of this sign-in. */
  | 'not_authentic'
  /** The provider refused the code: it was used, is too old, or is of another sign-in. */
  | 'code_refused'
  /** The registration, the redirect URI or the scope: the operator has to mend it. */
  | 'misconfigured'
  /** The provider did not answer, or not so that anybody could use it; the code is spent. */
  | 'unavailable'
  /** Somebody else's account than the connection's, and nobody said that this is meant. */
  | 'other_account'
  /** Another connection holds this very refresh token. */
  | 'held'
  /** The connection cannot take a new sign-in: it is being deleted, or is one of client credentials. */
  | 'not_connectable'

/** What an attempt failed with. */
export interface FailedAttempt {
  readonly because: ConnectFailure
  /** The provider's own error word, where it is one that cannot hold a secret. */
  readonly word: string | null
  readonly at: UnixMs
}

export type ConnectState =
  | { readonly status: 'open'; readonly failure: FailedAttempt | null }
  | { readonly status: 'signing_in'; readonly since: UnixMs; readonly redirectUri: string }
  | { readonly status: 'exchanging'; readonly since: UnixMs }
  | {
      readonly status: 'connected'
      readonly at: UnixMs
      readonly connection: ConnectionId
      /** It existed before and was given a new sign-in. */
      readonly renewed: boolean
      readonly scope: string | null
    }

export interface ConnectSession {
  readonly id: string
  readonly revision: Revision
  readonly provider: ProviderId
  readonly client: ClientId
  /** The connection that it becomes: a new one, or one that is there and gets a new sign-in. */
  readonly connection: ConnectionId
  /** Of a connection that is new. */
  readonly labels: Readonly<Record<string, string>>
  /** Asked for; null: what the provider's data says, or none. */
  readonly scope: string | null
  /** RFC 8707. */
  readonly resources: readonly string[]
  /** The sign-in may be of another account than the connection's. */
  readonly otherAccount: boolean
  /** Where the person is sent afterwards; null: a page says what was connected. */
  readonly returnTo: string | null
  /** The API key that made it; null: nobody's. */
  readonly madeBy: string | null
  /** A connection that is there gets the sign-in only where it has these labels: those that the key is limited to. */
  readonly within: Readonly<Record<string, string>>
  readonly createdAt: UnixMs
  /** After it nobody can begin. Who has begun may still come back. */
  readonly expiresAt: UnixMs
  readonly state: ConnectState
}

/** A person who was sent away comes back within it, or begins again. */
const SIGN_IN_MS = fromSeconds(3600)
/** Longer than any exchange of ours takes. */
const EXCHANGE_MS = fromSeconds(60)

/** The session as it is now: what time alone changes, no write says. */
export function connectStateNow({ state }: Pick<ConnectSession, 'state'>, now: UnixMs): ConnectState {
  switch (state.status) {
    case 'open':
    case 'connected':
      return state
    case 'signing_in':
      return now < later(state.since, SIGN_IN_MS) ? state : { status: 'open', failure: null }
    case 'exchanging':
      return now < later(state.since, EXCHANGE_MS)
        ? state
        : { status: 'open', failure: { because: 'unavailable', word: null, at: state.since } }
    default:
      return assertNever(state)
  }
}

/** Whether nothing can come of it any more. */
export function isOver(session: Pick<ConnectSession, 'state' | 'expiresAt'>, now: UnixMs): boolean {
  const state = connectStateNow(session, now)
  return state.status === 'connected' || (state.status === 'open' && now >= session.expiresAt)
}

/** A person begins, for the first time or again. `busy`: a code is being exchanged at this moment. */
export function begun(
  session: ConnectSession,
  { redirectUri, now }: { readonly redirectUri: string; readonly now: UnixMs },
): ConnectState | 'busy' | 'connected' | 'expired' {
  const state = connectStateNow(session, now)
  if (state.status === 'connected') return 'connected'
  if (state.status === 'exchanging') return 'busy'
  if (now >= session.expiresAt) return 'expired'
  return { status: 'signing_in', since: now, redirectUri }
}

/** The provider's answer is taken: by one of all that bring it. */
export function answered(session: ConnectSession, now: UnixMs): ConnectState | 'connected' | 'not_signing_in' {
  const state = connectStateNow(session, now)
  if (state.status === 'connected') return 'connected'
  return state.status === 'signing_in' ? { status: 'exchanging', since: now } : 'not_signing_in'
}
