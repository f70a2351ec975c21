import { randomUUID } from 'node:crypto'
import type { ClientOptions } from './options.ts'
import type { JwtSigner } from './realm-keys.ts'

const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout'
const TOKEN_SECONDS = 120 // OpenID Connect Back-Channel Logout 1.0 section 4: two minutes at most.
const PATIENCE_MS = 5000 // Nothing is retried, so a receiver that is down must not hold up a sign-out for long.
const KEPT = 200 // A test looks at the last few.

/** One logout token that was posted, or was to be. */
export interface LogoutPost {
  /** Epoch milliseconds. */
  readonly at: number
  readonly clientId: string
  readonly sessionId: string
  readonly uri: string
  /** `jti` of the logout token. */
  readonly jti: string
  /** What the receiver answered; null: it did not. */
  readonly status: number | null
  /** Why there was no answer; null where there was one. */
  readonly problem: string | null
}

/** A session that has ended, and what its client wants to hear of it. */
export interface EndedSession {
  readonly sessionId: string
  readonly subject: string
  readonly client: ClientOptions
}

/**
 * Posts logout tokens to the clients whose sessions were signed out of, once each, and remembers how that went.
 *
 * @see OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.5; `revoke_offline_access` is Keycloak's own
 */
export class BackchannelLogouts {
  readonly #issuer: string
  readonly #signer: JwtSigner
  readonly #onTheirWay = new Set<Promise<unknown>>()
  #posts: LogoutPost[] = []

  constructor(issuer: string, signer: JwtSigner) {
    this.#issuer = issuer
    this.#signer = signer
  }

  /** The last 200 posts, oldest first. */
  list(): readonly LogoutPost[] {
    return this.#posts
  }

  /** Resolves when everything that was to be told is told, or has failed. */
  async settled(): Promise<void> {
    await Promise.all(this.#onTheirWay)
  }

  /** Tells the client that the session is over; null when it does not want to hear of it. */
  async tell(ended: EndedSession): Promise<LogoutPost | null> {
    const uri = ended.client.backchannelLogoutUri
    if (uri === undefined) return null
    const work = this.#post(uri, ended)
    this.#onTheirWay.add(work)
    try {
      return await work
    } finally {
      this.#onTheirWay.delete(work)
    }
  }

  async #post(uri: string, ended: EndedSession): Promise<LogoutPost> {
    const at = Date.now()
    const jti = randomUUID()
    const { clientId } = ended.client
    const token = this.#signer.jwt({ typ: 'logout+jwt' }, this.#claims(ended, jti, at))
    const outcome = await post(uri, token)
    const done = { at, clientId, sessionId: ended.sessionId, uri, jti, ...outcome }
    this.#posts = [...this.#posts, done].slice(-KEPT)
    return done
  }

  #claims({ sessionId, subject, client }: EndedSession, jti: string, nowMs: number): Record<string, unknown> {
    const now = Math.floor(nowMs / 1000)
    // Keycloak writes it beside the event, not into it.
    const beside = client.backchannelLogoutRevokeOfflineAccess === true ? { revoke_offline_access: true } : {}
    return {
      iss: this.#issuer,
      aud: client.clientId,
      iat: now,
      exp: now + TOKEN_SECONDS,
      jti,
      sub: subject,
      ...(client.backchannelLogoutSessionRequired === false ? {} : { sid: sessionId }),
      events: { [LOGOUT_EVENT]: {}, ...beside },
    }
  }
}

async function post(uri: string, token: string): Promise<Pick<LogoutPost, 'status' | 'problem'>> {
  try {
    const response = await fetch(uri, {
      method: 'POST',
      body: new URLSearchParams({ logout_token: token }),
      redirect: 'manual',
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    await response.body?.cancel()
    return { status: response.status, problem: null }
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    return { status: null, problem: cause instanceof Error ? cause.message : String(cause) }
  }
}
