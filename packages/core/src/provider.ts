import type { ClientKid, ClientSigningAlg, SigningKey } from './client-key.ts'
import type { ClientId, ProviderId, Revision } from './ids.ts'
import type { ClientSecret, Secret } from './secret.ts'
import type { DurationMs, UnixMs } from './time.ts'

/**
 * What a second presentation of one refresh token does at a provider (`PROTOCOL.md` section 6).
 *
 * `winner` says which answer's tokens live on where a second one is answered: the `same` answer again, `any` of them,
 * or only the `newest`.
 */
export type ReusePolicy =
  | { readonly kind: 'reusable' }
  | { readonly kind: 'grace'; readonly seconds: number; readonly winner: Winner }
  | { readonly kind: 'grace'; readonly until: 'successor_used'; readonly winner: Winner }
  | { readonly kind: 'counted'; readonly n: number }
  | { readonly kind: 'strict' }
  | { readonly kind: 'unknown' }
export type Winner = 'same' | 'any' | 'newest'

/** What asking for less at a refresh does: narrows that one token, or the grant for good. */
export type Narrowing = 'token_only' | 'sticks' | 'unknown'

/**
 * One thing that an answer shows: a word, a status, or a word that counts only with that status.
 *
 * A word says more than a status: a status alone counts only where no word is known.
 */
export type Sign = string | { readonly status: number; readonly word?: string }

/** Words and statuses by which a provider says what the standard words do not: they are tried before ours. */
export interface ProviderWords {
  /** The family is dead because a spent token was seen. */
  readonly reused: readonly Sign[]
  /** The refresh token is dead. */
  readonly rejected: readonly Sign[]
  /** A person has to do something at the provider. */
  readonly interactionRequired: readonly Sign[]
  /** The operator has to mend the registration. */
  readonly misconfigured: readonly Sign[]
  /** Try later: the refresh token was not consumed. */
  readonly unavailable: readonly Sign[]
  /** It failed on their side, and the refresh token may be consumed. */
  readonly inDoubt: readonly Sign[]
}

export const NO_WORDS: ProviderWords = {
  reused: [],
  rejected: [],
  interactionRequired: [],
  misconfigured: [],
  unavailable: [],
  inDoubt: [],
}

/** How a provider's token requests differ from a form with the parameters of RFC 6749. */
export interface RequestShape {
  /** `json`: the same parameters as members of one JSON object. */
  readonly encoding: 'form' | 'json'
  /** Sent with every token request. They are kept and shown in the clear: no place for a secret. */
  readonly parameters: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  /** What stands between scopes; a space in RFC 6749 section 3.3. */
  readonly scopeSeparator: string
  /**
   * How id and secret stand in a Basic header. `encoded`: each as in a form first (RFC 6749 section 2.3.1); `raw`: as they
   * are, for servers that do not decode them.
   */
  readonly basicCredentials: BasicCredentials
  /**
   * The `aud` of signed assertions (RFC 7523 section 3). Null: the issuer, and only where none is known the token endpoint:
   * an assertion for an endpoint that another server named could be used there. `token_endpoint`: its URL; anything else is
   * sent as it is.
   */
  readonly assertionAudience: string | null
}
export type BasicCredentials = 'encoded' | 'raw'

export const STANDARD_REQUEST: RequestShape = {
  encoding: 'form',
  parameters: {},
  headers: {},
  scopeSeparator: ' ',
  basicCredentials: 'encoded',
  assertionAudience: null,
}

/** Where a provider's answers differ from RFC 6749 section 5. A member is named with dots between its levels. */
export interface AnswerShape {
  /** Objects that hold the tokens where they do not stand at the top; the first that has one counts, for all of them. */
  readonly tokensIn: readonly string[]
  /** Names tried before the standard one, in that object. */
  readonly accessToken: readonly string[]
  readonly refreshToken: readonly string[]
  readonly expiresIn: readonly string[]
  readonly refreshTokenExpiresIn: readonly string[]
  readonly scope: readonly string[]
  /** Where else words stand, tried after the standard places. */
  readonly words: readonly string[]
  /** Where it, or its userinfo endpoint, says whose account it is, for sign-ins that bring no ID token; the first that is there counts. */
  readonly subject: readonly string[]
  /** What its access tokens are, whatever the answer calls them; null: what the answer says. */
  readonly tokenType: string | null
  readonly scopeSeparator: string
}

export const STANDARD_ANSWER: AnswerShape = {
  tokensIn: [],
  accessToken: [],
  refreshToken: [],
  expiresIn: [],
  refreshTokenExpiresIn: [],
  scope: [],
  words: [],
  subject: [],
  tokenType: null,
  scopeSeparator: ' ',
}

/** How a person is sent to a provider to sign in, where that differs from RFC 6749 section 4.1.1. */
export interface AuthorizationShape {
  /** Sent with every authorization request, such as `access_type=offline`. No place for a secret. */
  readonly parameters: Readonly<Record<string, string>>
  /** The scope asked for where a sign-in names none; null: none is sent. */
  readonly scope: string | null
  /** RFC 7636. `none` only where a server refuses the parameters: others pass over what they do not know. */
  readonly pkce: 'S256' | 'none'
}

export const STANDARD_AUTHORIZATION: AuthorizationShape = { parameters: {}, scope: null, pkce: 'S256' }

/** Half of the slots of a manager: a provider that hangs leaves the others room. */
export const CONCURRENCY_UNSAID = 32

/** An authorization server as data. Nothing in the code branches on its name. */
export interface Provider {
  readonly id: ProviderId
  readonly revision: Revision
  /** The preset it was made from: information only. */
  readonly preset: string | null
  /** RFC 8414 issuer; where endpoints are not given they are discovered from it. */
  readonly issuer: string | null
  readonly tokenEndpoint: string | null
  /** Where refreshes go if not to the token endpoint. */
  readonly refreshEndpoint: string | null
  readonly revocationEndpoint: string | null
  readonly introspectionEndpoint: string | null
  /** Where a person is sent to sign in (RFC 6749 section 3.1). */
  readonly authorizationEndpoint: string | null
  /** Where the parameters of a sign-in are left beforehand (RFC 9126). */
  readonly pushedAuthorizationRequestEndpoint: string | null
  /** Where a sign-in on another device begins (RFC 8628 section 3.1). */
  readonly deviceAuthorizationEndpoint: string | null
  /** The keys that its ID tokens, logout tokens and events are signed with (RFC 8414 section 2). */
  readonly jwksUri: string | null
  /** Where a new access token is shown to learn whose account it is, if its token response did not say; null: nowhere. */
  readonly userinfoEndpoint: string | null
  /** How a client with a secret proves itself unless it says otherwise. */
  readonly tokenEndpointAuthMethod: MethodOfSecrets
  readonly reuse: ReusePolicy
  readonly narrowing: Narrowing
  /** A refresh ends the access tokens handed out before. */
  readonly refreshKillsAccessToken: boolean
  /** Lifetime of access tokens where answers do not say it. */
  readonly accessTokenLifetimeMs: DurationMs | null
  /** A refresh token dies when it is not used for so long. */
  readonly refreshTokenIdleMs: DurationMs | null
  /** A sign-in ends so long after it began, however often it is refreshed, and answers do not say so. */
  readonly refreshTokenAbsoluteMs: DurationMs | null
  /** So often it is asked whether an access token that is in use is still active (RFC 7662). Null: only when somebody asks. */
  readonly introspectEveryMs: DurationMs | null
  /** `aud` of the security events that it sends us (RFC 8417 section 2.2); null: the ids of our clients there. */
  readonly eventAudience: string | null
  /** So many presentations a minute from one process at most. Null: not limited. */
  readonly requestsPerMinute: number | null
  /** So many presentations at once from one process at most. Null: not limited. */
  readonly concurrency: number | null
  readonly words: ProviderWords
  readonly request: RequestShape
  readonly answer: AnswerShape
  readonly authorization: AuthorizationShape
  /** The APIs that tokens of this provider are for; `fetchFor` and the proxy send them nowhere else. Empty: `fetchFor` is not limited. */
  readonly apiBaseUrls: readonly string[]
  readonly allowPrivateNetwork: boolean
}

/**
 * How new access tokens are got: with a refresh token (RFC 6749 section 6), or by running a grant again, with the client's
 * own credentials (4.4), an assertion (RFC 7523 section 2.1) or a token that is exchanged (RFC 8693).
 */
export type GrantType = 'refresh_token' | GrantRunAgain
export type GrantRunAgain = 'client_credentials' | 'jwt_bearer' | 'token_exchange'
export const GRANT_TYPES = [
  'refresh_token',
  'client_credentials',
  'jwt_bearer',
  'token_exchange',
] as const satisfies readonly GrantType[]

/** There is no refresh token, no sign-in of a person, and nothing that could be spent. */
export const runsAgain = (grantType: GrantType): grantType is GrantRunAgain => grantType !== 'refresh_token'

/** RFC 8414 names of how a client proves itself at the token endpoint and beside it. */
export type TokenEndpointAuthMethod =
  | 'client_secret_basic'
  | 'client_secret_post'
  | 'client_secret_jwt'
  | 'private_key_jwt'
  | 'tls_client_auth'
  | 'self_signed_tls_client_auth'
  | 'none'
export const TOKEN_ENDPOINT_AUTH_METHODS = [
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
  'none',
] as const satisfies readonly TokenEndpointAuthMethod[]

/** What a client that is given nothing but its secret can do with it: a provider's own default is one of these. */
export type MethodOfSecrets = Extract<TokenEndpointAuthMethod, `client_secret_${string}` | 'none'>
export const METHODS_OF_SECRETS = [
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'none',
] as const satisfies readonly MethodOfSecrets[]

/** Our registration at a provider. */
export interface Client {
  readonly id: ClientId
  readonly revision: Revision
  readonly provider: ProviderId
  /** RFC 6749 section 2.2 client identifier. */
  readonly clientId: string
  readonly tokenEndpointAuthMethod: TokenEndpointAuthMethod
  /** Of `client_secret_jwt`, and of keys that are made from now on for `private_key_jwt`; null with other methods. */
  readonly tokenEndpointAuthSigningAlg: ClientSigningAlg | null
  /** With `private_key_jwt`: a file that holds the assertion, which somebody else signs and renews. Null: a key signs. */
  readonly clientAssertionFile: string | null
  /** What it shows in a TLS handshake (RFC 8705); null with other methods. */
  readonly certificate: ClientCertificate | null
  /** Each sign-in from now on has a key of its own, which its tokens are bound to (RFC 9449 section 5.2). */
  readonly dpopBoundAccessTokens: boolean
}

/** What a client has beside its method where that needs no more. */
export const CLIENT_DEFAULTS: Pick<
  Client,
  'tokenEndpointAuthSigningAlg' | 'clientAssertionFile' | 'certificate' | 'dpopBoundAccessTokens'
> = {
  tokenEndpointAuthSigningAlg: null,
  clientAssertionFile: null,
  certificate: null,
  dpopBoundAccessTokens: false,
}

export interface ClientCertificate {
  /** The certificate, and after it those between it and its root, PEM. */
  readonly chain: string
  /** `x5t#S256` (RFC 8705 section 3.1), also the kid of its key. */
  readonly thumbprint: ClientKid
  readonly expiresAt: UnixMs
}

/** What a client's own keys are, opened: those of the method that it has. */
export interface OpenedKeys {
  /** Signs now; null where the method signs with no key. */
  readonly signing: SigningKey | null
  /** The private key of its certificate, PEM; null without one. */
  readonly tls: Secret<'client_key'> | null
}
export const NO_KEYS: OpenedKeys = { signing: null, tls: null }

/** A client with its credential opened: for whoever proves it to the provider alone. */
export interface OpenedClient extends Client {
  readonly clientSecret: ClientSecret | null
  readonly keys: OpenedKeys
}
