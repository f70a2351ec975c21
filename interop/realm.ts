/** The realms that the rows are played in, as Keycloak's administration takes them. */

export const USER = { username: 'dealer', password: 'not-so-secret' } as const
/** Somebody else, whose sign-in is not the dealer's. */
export const OTHER_USER = { username: 'rival', password: 'not-so-secret' } as const
export const SECRET = 'not-so-secret'
/** Where browsers are sent with a code. Nobody listens there: whoever signs in here reads the address. */
export const REDIRECT_URI = 'http://127.0.0.1/callback'

export interface RealmSettings {
  readonly name: string
  /** *Refresh Token Max Reuse*, with *Revoke Refresh Token* on. */
  readonly maxReuse: number
  readonly accessTokenSeconds: number
  /** *SSO Session Max*; 10 hours where absent, as in a new realm. */
  readonly sessionSeconds?: number
}

const EVENT_TYPES = [
  'CLIENT_LOGIN',
  'CLIENT_LOGIN_ERROR',
  'CODE_TO_TOKEN',
  'INTROSPECT_TOKEN',
  'LOGIN',
  'LOGOUT',
  'OAUTH2_DEVICE_AUTH',
  'OAUTH2_DEVICE_CODE_TO_TOKEN',
  'OAUTH2_DEVICE_CODE_TO_TOKEN_ERROR',
  'PUSHED_AUTHORIZATION_REQUEST',
  'REFRESH_TOKEN',
  'REFRESH_TOKEN_ERROR',
  'REVOKE_GRANT',
  'TOKEN_EXCHANGE',
  'TOKEN_EXCHANGE_ERROR',
]

const TEN_HOURS_S = 36_000

export function realm({ name, maxReuse, accessTokenSeconds, sessionSeconds = TEN_HOURS_S }: RealmSettings): unknown {
  return {
    realm: name,
    enabled: true,
    sslRequired: 'none',
    revokeRefreshToken: true,
    refreshTokenMaxReuse: maxReuse,
    accessTokenLifespan: accessTokenSeconds,
    ssoSessionIdleTimeout: Math.min(1_800, sessionSeconds),
    ssoSessionMaxLifespan: sessionSeconds,
    eventsEnabled: true,
    enabledEventTypes: EVENT_TYPES,
    eventsExpiration: 86_400,
    users: [user(name, USER, 'Dee'), user(name, OTHER_USER, 'Riva')],
    clients: [
      client('app', { standardFlowEnabled: true, redirectUris: [REDIRECT_URI] }),
      // Keycloak tells a client about a token by introspection only where the client is in the token's audience.
      client('app-in-audience', {
        ...{ standardFlowEnabled: true, redirectUris: [REDIRECT_URI] },
        protocolMappers: [inAudience({ 'included.client.audience': 'app-in-audience' })],
      }),
      client('machine', { serviceAccountsEnabled: true }),
    ],
  }
}

function user(realmName: string, { username, password }: Record<keyof typeof USER, string>, firstName: string): object {
  return {
    ...{ username, enabled: true, emailVerified: true, email: `${username}@example.org`, firstName, lastName: 'Ler' },
    credentials: [{ type: 'password', value: password, temporary: false }],
    // What a new user gets; a user that is imported has no roles but those that are said.
    realmRoles: [`default-roles-${realmName}`, 'offline_access'],
  }
}

/** A confidential client with a secret, and nothing that it may do but what `more` says. */
export function client(clientId: string, more: object): object {
  const off = { standardFlowEnabled: false, implicitFlowEnabled: false, directAccessGrantsEnabled: false }
  return { clientId, secret: SECRET, enabled: true, protocol: 'openid-connect', publicClient: false, ...off, ...more }
}

/** @param whom the client or the word that is named, as Keycloak's mapper calls it */
export function inAudience(whom: Readonly<Record<string, string>>): object {
  return {
    name: 'audience',
    protocol: 'openid-connect',
    protocolMapper: 'oidc-audience-mapper',
    config: { ...whom, 'access.token.claim': 'true' },
  }
}
