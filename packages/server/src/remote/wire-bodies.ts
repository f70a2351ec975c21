/** What users write, as it travels: names as the RFCs spell them, durations in seconds, moments in RFC 3339. */
import {
  TokenError,
  type AssertionInput,
  type ConnectionInput,
  type ExchangeInput,
  type SignInInput,
} from '@tokenkeep/core'
import type {
  ApiKeyInput,
  ClientInput,
  ConnectSessionInput,
  KeyRotation,
  ProviderInput,
  TrustedIdentityInput,
} from '@tokenkeep/node'
import { someAnswerWire, someAuthorizationWire, someRequestWire, someWordsWire } from '../api/exchange-wire.ts'
import type {
  ClientSettingsWire,
  ImportWire,
  NewApiKeyWire,
  NewConnectSessionWire,
  ProviderSettingsWire,
  ReconnectWire,
  RotateKeyWire,
} from '../api/wire.ts'
import type { NewTrustedIdentityWire } from '../api/identity-wire.ts'

/** A body before `JSON.stringify` leaves out what is undefined. */
type Written<Body> = { readonly [Name in keyof Body]: Loose<Body[Name]> | undefined }
type Loose<Value> = Value extends readonly (infer Item)[] ? readonly Item[] : Value

export function importBody(input: ConnectionInput, nowMs: number): Written<ImportWire> {
  return {
    id: input.id,
    client: input.client,
    grant_type: input.grantType,
    assertion: input.assertion && assertionBody(input.assertion),
    exchange: input.exchange && exchangeBody(input.exchange),
    ...signInBody(input, nowMs),
    labels: input.labels,
  }
}

/** @throws TokenError `invalid_input` for a file, which no API key may choose */
function assertionBody({ file, ...given }: AssertionInput) {
  if (file !== undefined) throw notFromAfar('assertion.file')
  const { clientAuthentication: client_authentication, ...others } = given
  return { ...others, client_authentication }
}

/** @throws TokenError `invalid_input` for a file, and where no connection is named */
function exchangeBody(given: ExchangeInput) {
  if (given.subjectTokenFile !== undefined) throw notFromAfar('exchange.subjectTokenFile')
  if (given.fromConnection === undefined) {
    throw new TokenError('invalid_input', 'a token exchange needs a subject token: give exchange.fromConnection')
  }
  return {
    from_connection: given.fromConnection,
    subject_token_type: given.subjectTokenType,
    requested_token_type: given.requestedTokenType,
    audience: given.audience && [...given.audience],
    resource: given.resource && [...given.resource],
    client_authentication: given.clientAuthentication,
  }
}

const notFromAfar = (field: string): TokenError =>
  new TokenError(
    'invalid_input',
    `${field} is a file on the machine of the server: import the connection there, on its data, not over HTTP`,
  )

export function reconnectBody(input: SignInInput, nowMs: number): Written<ReconnectWire> {
  return { ...signInBody(input, nowMs), other_account: input.otherAccount }
}

/** A moment travels as what is left of it: the clocks of two machines need not agree. */
function signInBody(input: SignInInput, nowMs: number) {
  const left = (endsAt: number | undefined, least: number): number | undefined =>
    endsAt === undefined ? undefined : Math.max(least, (endsAt - nowMs) / 1000)
  return {
    refresh_token: input.refreshToken,
    access_token: input.accessToken,
    token_type: input.tokenType,
    expires_in: left(input.expiresAt, 0),
    // 0 would say that it has no end at all.
    refresh_expires_in: left(input.refreshTokenExpiresAt, 0.001),
    scope: input.scope,
    subject: input.subject,
    session_id: input.sessionId,
    dpop_key: input.dpopKey,
  }
}

export function providerBody(input: ProviderInput): Record<string, unknown> {
  const { words, request, answer, authorization } = input
  const body: Written<Omit<ProviderSettingsWire, 'words' | 'request' | 'answer' | 'authorization'>> = {
    preset: input.preset,
    variables: input.variables,
    issuer: input.issuer,
    token_endpoint: input.tokenEndpoint,
    refresh_endpoint: input.refreshEndpoint,
    revocation_endpoint: input.revocationEndpoint,
    introspection_endpoint: input.introspectionEndpoint,
    authorization_endpoint: input.authorizationEndpoint,
    pushed_authorization_request_endpoint: input.pushedAuthorizationRequestEndpoint,
    device_authorization_endpoint: input.deviceAuthorizationEndpoint,
    jwks_uri: input.jwksUri,
    userinfo_endpoint: input.userinfoEndpoint,
    token_endpoint_auth_method: input.tokenEndpointAuthMethod,
    reuse: input.reuse,
    narrowing: input.narrowing,
    refresh_kills_access_token: input.refreshKillsAccessToken,
    access_token_lifetime: seconds(input.accessTokenLifetimeMs),
    refresh_token_idle: seconds(input.refreshTokenIdleMs),
    refresh_token_absolute: seconds(input.refreshTokenAbsoluteMs),
    introspect_every: seconds(input.introspectEveryMs),
    event_audience: input.eventAudience,
    requests_per_minute: input.requestsPerMinute,
    concurrency: input.concurrency,
    api_base_urls: input.apiBaseUrls,
    allow_private_network: input.allowPrivateNetwork,
  }
  return {
    ...body,
    words: words && someWordsWire(words),
    request: request && someRequestWire(request),
    answer: answer && someAnswerWire(answer),
    authorization: authorization && someAuthorizationWire(authorization),
  }
}

/** @throws TokenError `invalid_input` for an assertion file, which no API key may choose */
export function clientBody(input: ClientInput): Written<ClientSettingsWire> {
  if (input.clientAssertionFile !== undefined) {
    throw new TokenError(
      'invalid_input',
      'clientAssertionFile is a file on the machine of the server: set it there, on its data, not over HTTP',
      { subject: input.id },
    )
  }
  return {
    provider: input.provider,
    client_id: input.clientId,
    client_secret: input.clientSecret,
    token_endpoint_auth_method: input.tokenEndpointAuthMethod,
    token_endpoint_auth_signing_alg: input.tokenEndpointAuthSigningAlg,
    client_key: input.clientKey,
    kid: input.kid,
    client_certificate: input.clientCertificate,
    dpop_bound_access_tokens: input.dpopBoundAccessTokens,
  }
}

export function rotationBody({ now, afterMs, keepMs }: KeyRotation): Written<RotateKeyWire> {
  return { now, use_after: seconds(afterMs) ?? undefined, keep_published: seconds(keepMs) ?? undefined }
}

export function connectSessionBody(input: ConnectSessionInput): Written<NewConnectSessionWire> {
  const { resource } = input
  return {
    client: input.client,
    provider: input.provider,
    connection: input.connection,
    labels: input.labels,
    scope: input.scope,
    resource: typeof resource === 'string' ? [resource] : resource,
    other_account: input.otherAccount,
    return_to: input.returnTo,
    expires_in: seconds(input.expiresInMs) ?? undefined,
  }
}

export function apiKeyBody(input: ApiKeyInput): Written<NewApiKeyWire> {
  return {
    name: input.name,
    scopes: input.scopes,
    labels: input.labels,
    sources: input.sources,
    expires_at: input.expiresAt == null ? input.expiresAt : rfc3339(input.expiresAt),
  }
}

export const trustBody = (input: TrustedIdentityInput): Written<NewTrustedIdentityWire> => ({
  issuer: input.issuer,
  subject: input.subject,
  audience: input.audience,
  jwks_uri: input.jwksUri,
  allow_private_network: input.allowPrivateNetwork,
})

const seconds = (durationMs: number | null | undefined): number | null | undefined =>
  durationMs == null ? durationMs : durationMs / 1000

function rfc3339(epochMs: number): string {
  const date = new Date(epochMs)
  if (!Number.isNaN(date.getTime())) return date.toISOString()
  throw new TokenError('invalid_input', 'an API key: expiresAt is beyond all moments that can be written')
}
