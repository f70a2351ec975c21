import type { LogoutPost } from './backchannel-logout.ts'
import type { FaultOrder, StandingFault } from './fault.ts'
import type { JwtOrder } from './made-jwt.ts'
import type { PushedEvent, SecurityEventOrder } from './security-event.ts'
import type { ClientOptions, RealmOptions } from './options.ts'
import type { LoggedRequest } from './request-log.ts'
import type { SessionCounters } from './sessions.ts'
import type { Totals } from './totals.ts'

export interface SessionSeed {
  readonly clientId: string
  /** Default: a random name. */
  readonly subject?: string
  /** Default `openid offline_access dealer-api`. Any scope may be seeded. */
  readonly scope?: string
  /** Seconds; win over client and realm, for the whole life of the session. */
  readonly accessTokenSeconds?: number
  /** Seconds; 0 = no fixed end. */
  readonly refreshTokenSeconds?: number
  /** Thumbprint (RFC 7638) of the key that the tokens are bound to, as DPoP would; a refresh token of a public client only. */
  readonly dpopJkt?: string
}

export interface SeededSession {
  readonly sessionId: string
  readonly accessToken: string
  /** null: the client may not refresh. */
  readonly refreshToken: string | null
  /** Seconds. */
  readonly expiresIn: number
  /** Seconds; 0 = no fixed end, also where there is no refresh token. */
  readonly refreshExpiresIn: number
  readonly scope: string
  readonly subject: string
}

/**
 * The server's back door for tests: in process as {@link Devserver.control}, over HTTP through `createControlClient`.
 *
 * Every method throws `InvalidInput` (over HTTP: status 400, same message) for an unknown realm, client or session and
 * for arguments of the wrong shape.
 */
export interface Control {
  /** Adds a realm, or lays these options over an existing one. */
  putRealm(options: RealmOptions): Promise<void>
  /** Changes lifetimes, rotation and the like at once; tokens already issued keep their lives. */
  updateRealm(realm: string, change: Partial<RealmOptions>): Promise<void>
  putClient(realm: string, client: ClientOptions): Promise<void>
  /** Gives a client a new secret, a random one unless named; the old one is refused from now on. */
  rotateClientSecret(realm: string, clientId: string, secret?: string): Promise<{ readonly clientSecret: string }>
  /** Signs somebody in without a browser. */
  seedSession(realm: string, seed: SessionSeed): Promise<SeededSession>
  addFault(order: FaultOrder): Promise<{ readonly faultId: string }>
  clearFaults(): Promise<void>
  /** The faults that still wait for a request. */
  faults(): Promise<readonly StandingFault[]>
  counters(realm: string, sessionId: string): Promise<SessionCounters>
  /** All sessions of a realm, oldest first. */
  sessions(realm: string): Promise<readonly SessionCounters[]>
  totals(): Promise<Totals>
  /** The last 2000 requests, oldest first; tokens as fingerprints. */
  requests(): Promise<readonly LoggedRequest[]>
  /** Sets totals, log and all counters to nothing; sessions keep their life or death. */
  resetCounters(): Promise<void>
  /** Revokes one access token as an operator would; the session goes on. */
  revokeAccessToken(token: string): Promise<void>
  /** Ends a session with all its tokens, as an operator or a sign-out elsewhere would. */
  killSession(realm: string, sessionId: string): Promise<void>
  /**
   * Signs out of a session as its person would, and tells the client by back channel where it has an address for that.
   *
   * @returns how the post went; null when none was sent, also for a session that was over already
   */
  signOut(realm: string, sessionId: string): Promise<LogoutPost | null>
  /** The last 200 logout tokens that were posted in this realm, oldest first; not kept over a restart. */
  logoutPosts(realm: string): Promise<readonly LogoutPost[]>
  /**
   * Says yes to the device that shows this user code, as a person does on the verification page.
   *
   * @param person whose name signs in; a random one unless given
   */
  approveDevice(
    realm: string,
    userCode: string,
    person?: { readonly subject?: string },
  ): Promise<{ readonly sessionId: string; readonly subject: string }>
  /** Says no to the device that shows this user code. */
  denyDevice(realm: string, userCode: string): Promise<void>
  /** Makes every DPoP nonce stale that this realm's token endpoint and the demo API gave out so far. */
  renewDpopNonces(realm: string): Promise<void>
  /** Makes a JWT with the realm's key, or one that only looks so: for tests of those who verify. */
  sign(realm: string, order: JwtOrder): Promise<{ readonly jwt: string }>
  /** Signs a Security Event Token and pushes it to its receiver, once; gives the receiver's answer, whatever it is. */
  pushEvent(realm: string, order: SecurityEventOrder): Promise<PushedEvent>
  /** Closes the server, after the answer to this. */
  shutdown(): Promise<void>
}
