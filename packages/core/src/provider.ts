import type { ClientId, ProviderId, Revision } from './ids.ts'
import type { ClientSecret } from './secret.ts'
import type { DurationMs } from './time.ts'

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

/** Words and statuses by which a provider says what the standard words do not: they are tried before ours. */
export interface ProviderWords {
  /** The family is dead because a spent token was seen. */
  readonly reused: readonly string[]
  /** The refresh token is dead. */
  readonly rejected: readonly string[]
  /** A person has to do something at the provider. */
  readonly interactionRequired: readonly string[]
  /** The operator has to mend the registration. */
  readonly misconfigured: readonly string[]
  /** Try later: the refresh token was not consumed. */
  readonly unavailable: readonly string[]
}

export const NO_WORDS: ProviderWords = {
  reused: [],
  rejected: [],
  interactionRequired: [],
  misconfigured: [],
  unavailable: [],
}

/** An authorization server as data. Nothing in the code branches on its name. */
export interface Provider {
  readonly id: ProviderId
  readonly revision: Revision
  /** The preset it was made from: information only. */
  readonly preset: string | null
  /** RFC 8414 issuer; where endpoints are not given they are discovered from it. */
  readonly issuer: string | null
  readonly tokenEndpoint: string | null
  readonly revocationEndpoint: string | null
  readonly introspectionEndpoint: string | null
  readonly reuse: ReusePolicy
  readonly narrowing: Narrowing
  /** A refresh ends the access tokens handed out before. */
  readonly refreshKillsAccessToken: boolean
  /** Lifetime of access tokens where answers do not say it. */
  readonly accessTokenLifetimeMs: DurationMs | null
  /** A refresh token dies when it is not used for so long. */
  readonly refreshTokenIdleMs: DurationMs | null
  readonly words: ProviderWords
  /** The APIs that tokens of this provider are for; `fetchFor` sends them nowhere else. Empty: not limited. */
  readonly apiBaseUrls: readonly string[]
  readonly allowPrivateNetwork: boolean
}

/** How new access tokens are got: with a refresh token (RFC 6749 section 6) or the client's own credentials (4.4). */
export type GrantType = 'refresh_token' | 'client_credentials'

/** RFC 8414 names of how a client proves itself at the token endpoint. */
export type TokenEndpointAuthMethod = 'client_secret_basic' | 'client_secret_post' | 'none'
export const TOKEN_ENDPOINT_AUTH_METHODS = [
  'client_secret_basic',
  'client_secret_post',
  'none',
] as const satisfies readonly TokenEndpointAuthMethod[]

/** Our registration at a provider. */
export interface Client {
  readonly id: ClientId
  readonly revision: Revision
  readonly provider: ProviderId
  /** RFC 6749 section 2.2 client identifier. */
  readonly clientId: string
  readonly tokenEndpointAuthMethod: TokenEndpointAuthMethod
}

/** A client with its secret opened: for the token endpoint adapter alone. */
export interface OpenedClient extends Client {
  readonly clientSecret: ClientSecret | null
}
