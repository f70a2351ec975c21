/**
 * What a connection asks with whose grant is neither a refresh token nor the client's credentials alone: an assertion
 * (RFC 7523 section 2.1) or a token of somebody else (RFC 8693). Data of the connection; no secret is in it.
 */
import type { ConnectionId } from './ids.ts'

export type GrantRequest = JwtBearerRequest | TokenExchangeRequest

export interface JwtBearerRequest {
  readonly kind: 'jwt_bearer'
  readonly assertion: SignedAssertion | TokenFile
  /** The client proves itself beside the assertion. False: the assertion says it all, and no `client_id` is sent. */
  readonly clientAuthentication: boolean
}

/** An assertion that is made anew for each request, with the client's own key; its `sub` is the connection's subject. */
export interface SignedAssertion {
  readonly from: 'client_key'
  /** `iss`, and `sub` where the connection has no subject; null: the client's id at the provider. */
  readonly issuer: string | null
  /** `aud`; null: as for the client's own assertions (`RequestShape.assertionAudience`). `token_endpoint`: its URL. */
  readonly audience: string | null
  /** Further claims, such as `scope`. */
  readonly claims: Readonly<Record<string, unknown>>
}

/** A JWT that somebody else signs and renews in a file. */
export interface TokenFile {
  readonly from: 'file'
  /** Absolute, on each machine that refreshes. */
  readonly path: string
}

export interface TokenExchangeRequest {
  readonly kind: 'token_exchange'
  readonly subjectToken: TokenFile | SourceConnection
  /** RFC 8693 section 3. */
  readonly subjectTokenType: string
  /** Null: what the provider gives. */
  readonly requestedTokenType: string | null
  readonly audiences: readonly string[]
  /** RFC 8707, where a caller asks for no other. */
  readonly resources: readonly string[]
  readonly clientAuthentication: boolean
}

/** Another connection, whose access token of that moment is exchanged. */
export interface SourceConnection {
  readonly from: 'connection'
  readonly id: ConnectionId
}

/** The connection without which this one cannot be renewed; null: there is none. */
export const sourceOf = (request: GrantRequest | null): ConnectionId | null =>
  request?.kind === 'token_exchange' && request.subjectToken.from === 'connection' ? request.subjectToken.id : null
