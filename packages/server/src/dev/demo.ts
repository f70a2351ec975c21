/** What `tokenkeep dev` shows: one realm, one client, three sign-ins, and the access of a machine. */
import { TokenError, type ConnectionInfo } from '@tokenkeep/core'
import type { SeededSession, SpawnedDevserver } from '@tokenkeep/devserver'
import type { Tokenkeep } from '@tokenkeep/node'

export const REALM = 'external'

/** A registration at the development server. Its secret is public: it opens nothing but the demo on this machine. */
export const DEMO_CLIENT = {
  clientId: 'dealer-app',
  clientSecret: 'dealer-app-secret',
  tokenEndpointAuthMethod: 'client_secret_post',
} as const

/** The same as its authorization server knows it: whoever is on this machine may bring a person back, on any port. */
export const REGISTERED_CLIENT = { ...DEMO_CLIENT, redirectUris: [`http://127.0.0.1/connect/callback/external`] }

export const PROVIDER = 'external'
const CLIENT = 'dealer-app'

/** A connection without a user (RFC 6749 section 4.4), from which the drop-in serves `client_credentials`. */
export const MACHINE = 'machine'

export interface DemoConnection {
  readonly id: string
  readonly accessTokenSeconds: number
}

export const DEMO_CONNECTIONS: readonly DemoConnection[] = [
  { id: 'dealer-42', accessTokenSeconds: 10 },
  { id: 'dealer-43', accessTokenSeconds: 60 },
  { id: 'dealer-44', accessTokenSeconds: 3600 },
]

/**
 * What the local refresh token stands for that is printed: an access token of one minute lives long enough to be copied,
 * and a person sees it replaced.
 */
export const SHARED_CONNECTION = 'dealer-43'

/** A demo that was left alone for some weeks should still go on where it was. */
const REFRESH_TOKEN_SECONDS = 30 * 24 * 3600

/**
 * Makes what is missing and leaves the rest as it is.
 *
 * The provider is put every time, because its addresses hold the port. A connection whose sign-in is gone at the server
 * (its state was deleted, or somebody ended it) gets a new one, as its user would bring it.
 */
export async function seed(keep: Tokenkeep, server: SpawnedDevserver, nowMs: number): Promise<void> {
  const issuer = server.issuer(REALM)
  await keep.providers.put({
    id: PROVIDER,
    preset: 'keycloak',
    issuer,
    tokenEndpoint: server.tokenEndpoint(REALM),
    reuse: { kind: 'strict' },
    narrowing: 'token_only',
    apiBaseUrls: [new URL('.', server.demoApi).href],
  })
  await keep.clients.put({ id: CLIENT, provider: PROVIDER, ...DEMO_CLIENT })
  if ((await find(keep, MACHINE)) === null) {
    await keep.connections.import({ id: MACHINE, client: CLIENT, grantType: 'client_credentials', scope: 'dealer-api' })
  }
  const alive = new Set(
    (await server.control.sessions(REALM)).filter(({ killed }) => !killed).map(({ subject }) => subject),
  )
  for (const demo of DEMO_CONNECTIONS) {
    const known = await find(keep, demo.id)
    if (known !== null && known.status !== 'needs_user' && alive.has(demo.id)) continue
    await keepSignIn(keep, { id: demo.id, known, session: await signIn(server, demo), nowMs })
  }
}

/** Signs somebody in at the development server, without a browser. */
export const signIn = (server: SpawnedDevserver, demo: DemoConnection): Promise<SeededSession> =>
  server.control.seedSession(REALM, {
    clientId: DEMO_CLIENT.clientId,
    subject: demo.id,
    accessTokenSeconds: demo.accessTokenSeconds,
    refreshTokenSeconds: REFRESH_TOKEN_SECONDS,
  })

/** What a sign-in is kept as. */
export interface KeptSignIn {
  readonly id: string
  /** Null: imported as a new connection; else this one gets the new sign-in. */
  readonly known: ConnectionInfo | null
  readonly session: SeededSession
  /** When it was made, epoch milliseconds. */
  readonly nowMs: number
}

export async function keepSignIn(keep: Tokenkeep, { id, known, session, nowMs }: KeptSignIn): Promise<ConnectionInfo> {
  const signedIn = {
    ...(session.refreshToken === null ? {} : { refreshToken: session.refreshToken }),
    accessToken: session.accessToken,
    expiresAt: nowMs + session.expiresIn * 1000,
    refreshTokenExpiresAt: nowMs + session.refreshExpiresIn * 1000,
    scope: session.scope,
    subject: session.subject,
  }
  return known === null
    ? keep.connections.import({ ...signedIn, id, client: CLIENT })
    : keep.connections.reconnect(id, signedIn)
}

/** The connection; null: there is none. */
export async function find(keep: Tokenkeep, id: string): Promise<ConnectionInfo | null> {
  try {
    return await keep.connections.get(id)
  } catch (error) {
    if (error instanceof TokenError && error.code === 'unknown_connection') return null
    throw error
  }
}
