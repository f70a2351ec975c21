import type { Rotation } from './rotation.ts'

export type Narrowing = 'token_only' | 'sticks'
export type AccessTokenFormat = 'jwt' | 'opaque'
/** How a realm stands to a feature that clients may use. */
export type Offer = 'off' | 'allowed' | 'required'
export type TokenEndpointAuthMethod =
  | 'client_secret_post'
  | 'client_secret_basic'
  | 'client_secret_jwt'
  | 'private_key_jwt'
  | 'tls_client_auth'
  | 'self_signed_tls_client_auth'
  | 'none'

export interface DevserverOptions {
  /** Address to listen on. Default `127.0.0.1`. */
  readonly host?: string
  /** TCP port; 0 (default) takes a free one. */
  readonly port?: number
  /** Serves https, and takes clients' certificates. Absent: http. */
  readonly tls?: TlsOptions
  /** The one file that holds all state; without it everything is forgotten at the end. */
  readonly stateFile?: string
  /** Realms to serve, beside those already in the state file. Default, on an empty state: `[{ name: 'external' }]`. */
  readonly realms?: readonly RealmOptions[]
}

export interface TlsOptions {
  /** PEM. */
  readonly cert: string
  /** PEM. */
  readonly key: string
  /** PEM: who may have signed the certificates of `tls_client_auth`. Absent: nobody. */
  readonly clientCa?: string
}

export interface RealmOptions {
  /** Path segment in `/realms/{name}`: letters, digits, `-`, `_`, `.`. */
  readonly name: string
  /** Default `{ kind: 'strict' }`. */
  readonly rotation?: Rotation
  /**
   * What a narrower `scope` at refresh does. `token_only` (default): to that access token alone, the refresh token keeps
   * the full scope (RFC 6749 section 6). `sticks`: to the next refresh token too.
   */
  readonly narrowing?: Narrowing
  /** Default `jwt` (ES256, `typ: at+jwt`, RFC 9068). */
  readonly accessTokenFormat?: AccessTokenFormat
  /** Seconds, whole, at least 1. Default 300. */
  readonly accessTokenSeconds?: number
  /** Seconds, whole; counted anew at every rotation; 0 = no fixed end. Default 1800. */
  readonly refreshTokenSeconds?: number
  /** Seconds from sign-in to the end of the session, whatever is refreshed; 0 (default) = none. */
  readonly sessionSeconds?: number
  /** A refresh revokes the earlier access tokens of its session. Default false. */
  readonly refreshKillsAccessToken?: boolean
  /** RFC 9126. `allowed` (default): offered to everybody. `required`: of every client. `off`: not offered. */
  readonly pushedAuthorizationRequests?: Offer
  /**
   * RFC 9449. `off` (default): proofs are not looked at. `allowed`: who sends one gets tokens bound to its key.
   * `required`: of every client.
   */
  readonly dpop?: Offer
  /** The token endpoint and the demo API each want a nonce of theirs in a proof. Default false. */
  readonly dpopNonce?: boolean
  /** The authorization answer names its issuer (RFC 9207). Default true. */
  readonly authorizationResponseIss?: boolean
  /** Whose JWTs may be exchanged (RFC 8693) or asserted (RFC 7523) here. Default: nobody's. */
  readonly trustedIssuers?: readonly TrustedIssuer[]
  /** RFC 8628. Default true. */
  readonly deviceFlow?: boolean
  /** Seconds in which a person must have answered to a device. Default 600. */
  readonly deviceCodeSeconds?: number
  /** Seconds that a device must leave between two questions. Default 5. */
  readonly devicePollSeconds?: number
  readonly clients?: readonly ClientOptions[]
}

/** Public keys (RFC 7517). */
export interface PublicKeys {
  readonly keys: readonly Readonly<Record<string, unknown>>[]
}

export interface TrustedIssuer {
  readonly issuer: string
  readonly jwks: PublicKeys
}

export interface ClientOptions {
  readonly clientId: string
  readonly clientSecret?: string
  /** Default `client_secret_basic` with a secret, `none` without. As in Keycloak, basic and post are both accepted. */
  readonly tokenEndpointAuthMethod?: TokenEndpointAuthMethod
  /** A Basic header with id and secret as they are, as some servers want them, and in no other way. Default `encoded`. */
  readonly basicCredentials?: 'encoded' | 'raw'
  /** Public keys for `private_key_jwt` and `self_signed_tls_client_auth`, as the members of one JWK set. */
  readonly jwks?: { readonly keys: readonly Readonly<Record<string, unknown>>[] }
  /** Where they are fetched from instead, anew for each request. */
  readonly jwksUri?: string
  /** The only algorithm that its assertions may be signed with. Default: any. */
  readonly tokenEndpointAuthSigningAlg?: string
  /** The subject that the certificate of `tls_client_auth` must have, as in `CN=app`. */
  readonly tlsClientAuthSubjectDn?: string
  /**
   * Where the code flow may return to; without any, the client has no code flow. Where all are on `http://127.0.0.1/`, without a
   * port, every port of it is meant (RFC 8252 section 7.3).
   */
  readonly redirectUris?: readonly string[]
  /** false: no refresh token is issued to this client. Default true. */
  readonly mayRefresh?: boolean
  /** Seconds; wins over the realm's. */
  readonly accessTokenSeconds?: number
  /** The scopes this client may ask for in the code flow and with client credentials, separated by spaces. Default: all. */
  readonly scope?: string
  /** This client's authorization requests must be pushed (RFC 9126). Default false. */
  readonly requirePushedAuthorizationRequests?: boolean
  /** This client gets bound tokens only, where the realm knows DPoP (RFC 9449 section 5.2). Default false. */
  readonly dpopBoundAccessTokens?: boolean
  /** The keys of assertions that this client signs itself, with its id as `iss` (RFC 7523 section 2.1). */
  readonly assertionJwks?: PublicKeys
  /** false: this client may not use the JWT bearer grant. Default true. */
  readonly jwtBearer?: boolean
  /** Whether this client may exchange tokens (RFC 8693). Default: with a secret or a key of its own. */
  readonly tokenExchange?: boolean
  /** false: this client may not use the device flow. Default true. */
  readonly deviceFlow?: boolean
  /** Where a signed logout token is posted when a session of this client is signed out of. Default: nowhere. */
  readonly backchannelLogoutUri?: string
  /** false: the logout token names the person (`sub`), not the session (`sid`). Default true. */
  readonly backchannelLogoutSessionRequired?: boolean
  /** The logout token says, as Keycloak does on request, that offline tokens are revoked too. Default false. */
  readonly backchannelLogoutRevokeOfflineAccess?: boolean
}

/** A realm's settings with nothing left open. */
export interface RealmSettings {
  readonly name: string
  readonly rotation: Rotation
  readonly narrowing: Narrowing
  readonly accessTokenFormat: AccessTokenFormat
  readonly accessTokenSeconds: number
  readonly refreshTokenSeconds: number
  readonly sessionSeconds: number
  readonly refreshKillsAccessToken: boolean
  readonly pushedAuthorizationRequests: Offer
  readonly dpop: Offer
  readonly dpopNonce: boolean
  readonly authorizationResponseIss: boolean
  readonly trustedIssuers: readonly TrustedIssuer[]
  readonly deviceFlow: boolean
  readonly deviceCodeSeconds: number
  readonly devicePollSeconds: number
}

export const REALM_DEFAULTS: Omit<RealmSettings, 'name'> = {
  rotation: { kind: 'strict' }, // The hardest of the real policies: a client that survives it survives the others.
  narrowing: 'token_only',
  accessTokenFormat: 'jwt',
  accessTokenSeconds: 300, // Keycloak's default.
  refreshTokenSeconds: 1800, // Keycloak's SSO Session Idle.
  sessionSeconds: 0,
  refreshKillsAccessToken: false,
  pushedAuthorizationRequests: 'allowed',
  dpop: 'off',
  dpopNonce: false,
  authorizationResponseIss: true,
  trustedIssuers: [],
  deviceFlow: true,
  deviceCodeSeconds: 600, // Keycloak's default, as the next one.
  devicePollSeconds: 5,
}

/** The scopes every realm knows; clients and resources may bring more. */
export const KNOWN_SCOPES = ['openid', 'offline_access', 'profile', 'email', 'dealer-api'] as const

/** What a seeded session is granted unless its seed says otherwise. */
export const SEED_SCOPE = 'openid offline_access dealer-api'
