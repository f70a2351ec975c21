/** The library's objects as they travel: names as the RFCs spell them, moments as RFC 3339, durations in seconds. */
import {
  assertNever,
  type Client,
  type ConnectionInfo,
  type ConnectSession,
  type GrantInput,
  type GrantRequest,
  type HistoryEntry,
  type Incarnation,
  type Provider,
  type Rejection,
} from '@tokenkeep/core'
import type { GrantRequestWire } from '../api/grant-wire.ts'
import type {
  Adopted,
  ApiKey,
  ApiKeyInput,
  ClientInput,
  ClientKeyInfo,
  KeyRotation,
  ConnectSessionInput,
  LocalRefreshToken,
  ProviderInput,
  TrustedIdentity,
  TrustedIdentityInput,
} from '@tokenkeep/node'
import {
  answerWire,
  authorizationWire,
  requestWire,
  someAnswer,
  someAuthorization,
  someRequest,
  someWords,
  wordsWire,
} from '../api/exchange-wire.ts'
import type {
  AdoptedWire,
  ApiKeyWire,
  ClientKeyWire,
  ClientSettingsWire,
  ClientWire,
  ConnectionWire,
  ConnectSessionWire,
  ImportWire,
  IncarnationWire,
  LocalRefreshTokenWire,
  NewApiKeyWire,
  NewConnectSessionWire,
  PresentationWire,
  ProviderSettingsWire,
  ProviderWire,
  ReconnectWire,
  RejectedWire,
  RotateKeyWire,
} from '../api/wire.ts'
import type { NewTrustedIdentityWire, TrustedIdentityWire } from '../api/identity-wire.ts'

const moment = (epochMs: number): string => new Date(epochMs).toISOString()
const momentOrNull = (epochMs: number | null): string | null => (epochMs === null ? null : moment(epochMs))
const seconds = (durationMs: number | null): number | null => (durationMs === null ? null : durationMs / 1000)
const durationMs = (seconds: number | null | undefined): number | null | undefined =>
  // Rounded: 1.001 s times 1000 is not 1001 ms.
  seconds == null ? seconds : Math.round(seconds * 1000)

export const rejectionWire = ({ current, stillRefused, retryAt }: Rejection): RejectedWire => ({
  current,
  still_refused: stillRefused,
  retry_at: momentOrNull(retryAt),
})

/** Rounded down, so that nobody believes in a second that is not there (RFC 6749 section 5.1). */
export const secondsLeft = (expiresAt: number, nowMs: number): number =>
  Math.max(0, Math.floor((expiresAt - nowMs) / 1000))

export const connectionWire = (info: ConnectionInfo): ConnectionWire => ({
  id: info.id,
  uid: info.uid,
  provider: info.provider,
  client: info.client,
  grant_type: info.grantType,
  grant_request: info.grantRequest && grantRequestWire(info.grantRequest),
  status: info.status,
  reason: info.reason,
  blocked: info.blocked,
  subject: info.subject,
  labels: { ...info.labels },
  scope: info.scope,
  generation: info.generation,
  has_refresh_token: info.hasRefreshToken,
  access_token_expires_at: momentOrNull(info.accessTokenExpiresAt),
  lifetime_assumed: info.lifetimeAssumed,
  refresh_token_expires_at: momentOrNull(info.refreshTokenExpiresAt),
  last_refresh_at: momentOrNull(info.lastRefreshAt),
  next_action_at: momentOrNull(info.nextActionAt),
  created_at: moment(info.createdAt),
})

function grantRequestWire(request: GrantRequest): GrantRequestWire {
  const client_authentication = request.clientAuthentication
  switch (request.kind) {
    case 'jwt_bearer':
      return { kind: request.kind, assertion: request.assertion, client_authentication }
    case 'token_exchange':
      return {
        kind: request.kind,
        subject_token: request.subjectToken,
        subject_token_type: request.subjectTokenType,
        requested_token_type: request.requestedTokenType,
        audience: [...request.audiences],
        resource: [...request.resources],
        client_authentication,
      }
    default:
      return assertNever(request)
  }
}

export const incarnationWire = ({ installation, epoch, hold }: Incarnation): IncarnationWire => ({
  installation,
  epoch,
  hold: hold === null ? null : { since: moment(hold.since), because: hold.because },
})

export const adoptedWire = ({ incarnation, wasOnHold, inDoubt }: Adopted): AdoptedWire => ({
  incarnation: incarnationWire(incarnation),
  was_on_hold: wasOnHold,
  in_doubt: inDoubt,
})

/** The sign-in that an import or a reconnect brings, its durations counted from now. */
export function signInOf(body: Omit<ReconnectWire, 'other_account'>, nowMs: number) {
  const end = (left: number | undefined): number | undefined => (left === undefined ? undefined : nowMs + left * 1000)
  return {
    refreshToken: body.refresh_token,
    accessToken: body.access_token,
    tokenType: body.token_type,
    expiresAt: end(body.expires_in),
    // Keycloak says 0 for a refresh token without an end.
    refreshTokenExpiresAt: body.refresh_expires_in === 0 ? undefined : end(body.refresh_expires_in),
    scope: body.scope,
    subject: body.subject,
    sessionId: body.session_id,
    dpopKey: body.dpop_key,
  }
}

/** What a grant that runs again asks with. Files are not chosen from afar. */
export const grantOf = ({ grant_type: grantType, assertion, exchange }: ImportWire): GrantInput => ({
  grantType,
  assertion: assertion && {
    issuer: assertion.issuer,
    audience: assertion.audience,
    claims: assertion.claims,
    clientAuthentication: assertion.client_authentication,
  },
  exchange: exchange && {
    fromConnection: exchange.from_connection,
    subjectTokenType: exchange.subject_token_type,
    requestedTokenType: exchange.requested_token_type,
    audience: exchange.audience,
    resource: exchange.resource,
    clientAuthentication: exchange.client_authentication,
  },
})

export const reconnectOf = (body: ReconnectWire, nowMs: number) => ({
  ...signInOf(body, nowMs),
  otherAccount: body.other_account,
})

export const presentationWire = (entry: HistoryEntry): PresentationWire => ({
  fence: entry.fence,
  attempt: entry.attempt,
  grant: entry.grant,
  generation: entry.generation,
  presented: entry.presented,
  owner: entry.owner,
  host: entry.host,
  process: entry.process,
  why: entry.why,
  acquired_at: moment(entry.acquiredAt),
  ended_at: momentOrNull(entry.endedAt),
  outcome: entry.outcome,
})

export const providerWire = (provider: Provider): ProviderWire => ({
  id: provider.id,
  revision: provider.revision,
  preset: provider.preset,
  issuer: provider.issuer,
  token_endpoint: provider.tokenEndpoint,
  refresh_endpoint: provider.refreshEndpoint,
  revocation_endpoint: provider.revocationEndpoint,
  introspection_endpoint: provider.introspectionEndpoint,
  authorization_endpoint: provider.authorizationEndpoint,
  pushed_authorization_request_endpoint: provider.pushedAuthorizationRequestEndpoint,
  device_authorization_endpoint: provider.deviceAuthorizationEndpoint,
  jwks_uri: provider.jwksUri,
  userinfo_endpoint: provider.userinfoEndpoint,
  token_endpoint_auth_method: provider.tokenEndpointAuthMethod,
  reuse: provider.reuse,
  narrowing: provider.narrowing,
  refresh_kills_access_token: provider.refreshKillsAccessToken,
  access_token_lifetime: seconds(provider.accessTokenLifetimeMs),
  refresh_token_idle: seconds(provider.refreshTokenIdleMs),
  refresh_token_absolute: seconds(provider.refreshTokenAbsoluteMs),
  introspect_every: seconds(provider.introspectEveryMs),
  event_audience: provider.eventAudience,
  requests_per_minute: provider.requestsPerMinute,
  concurrency: provider.concurrency,
  words: wordsWire(provider.words),
  request: requestWire(provider.request),
  answer: answerWire(provider.answer),
  authorization: authorizationWire(provider.authorization),
  api_base_urls: [...provider.apiBaseUrls],
  allow_private_network: provider.allowPrivateNetwork,
})

export function providerInput(id: string, body: ProviderSettingsWire): ProviderInput {
  const { words, request, answer, authorization } = body
  const given = {
    preset: body.preset ?? undefined,
    variables: body.variables,
    issuer: body.issuer,
    tokenEndpoint: body.token_endpoint,
    refreshEndpoint: body.refresh_endpoint,
    revocationEndpoint: body.revocation_endpoint,
    introspectionEndpoint: body.introspection_endpoint,
    authorizationEndpoint: body.authorization_endpoint,
    pushedAuthorizationRequestEndpoint: body.pushed_authorization_request_endpoint,
    deviceAuthorizationEndpoint: body.device_authorization_endpoint,
    jwksUri: body.jwks_uri,
    userinfoEndpoint: body.userinfo_endpoint,
    tokenEndpointAuthMethod: body.token_endpoint_auth_method,
    reuse: body.reuse,
    narrowing: body.narrowing,
    refreshKillsAccessToken: body.refresh_kills_access_token,
    accessTokenLifetimeMs: durationMs(body.access_token_lifetime),
    refreshTokenIdleMs: durationMs(body.refresh_token_idle),
    refreshTokenAbsoluteMs: durationMs(body.refresh_token_absolute),
    introspectEveryMs: durationMs(body.introspect_every),
    eventAudience: body.event_audience,
    requestsPerMinute: body.requests_per_minute,
    concurrency: body.concurrency,
    words: words && someWords(words),
    request: request && someRequest(request),
    answer: answer && someAnswer(answer),
    authorization: authorization && someAuthorization(authorization),
    apiBaseUrls: body.api_base_urls,
    allowPrivateNetwork: body.allow_private_network,
  }
  return { id, ...given }
}

export const clientWire = (client: Client): ClientWire => ({
  id: client.id,
  revision: client.revision,
  provider: client.provider,
  client_id: client.clientId,
  token_endpoint_auth_method: client.tokenEndpointAuthMethod,
  token_endpoint_auth_signing_alg: client.tokenEndpointAuthSigningAlg,
  client_assertion_file: client.clientAssertionFile,
  certificate: client.certificate && {
    chain: client.certificate.chain,
    thumbprint: client.certificate.thumbprint,
    expires_at: moment(client.certificate.expiresAt),
  },
  dpop_bound_access_tokens: client.dpopBoundAccessTokens,
})

export const clientKeyWire = (key: ClientKeyInfo): ClientKeyWire => ({
  kid: key.kid,
  alg: key.alg,
  state: key.state,
  created_at: moment(key.createdAt),
  signs_from: moment(key.signsFrom),
  published_until: momentOrNull(key.publishedUntil),
})

export const rotationOf = (body: RotateKeyWire): KeyRotation => ({
  now: body.now,
  afterMs: durationMs(body.use_after) ?? undefined,
  keepMs: durationMs(body.keep_published) ?? undefined,
})

export const clientInput = (id: string, body: ClientSettingsWire): ClientInput => ({
  id,
  provider: body.provider,
  clientId: body.client_id,
  ...(body.client_secret === undefined ? {} : { clientSecret: body.client_secret }),
  ...(body.token_endpoint_auth_method === undefined
    ? {}
    : { tokenEndpointAuthMethod: body.token_endpoint_auth_method }),
  tokenEndpointAuthSigningAlg: body.token_endpoint_auth_signing_alg,
  clientKey: body.client_key,
  kid: body.kid,
  clientCertificate: body.client_certificate,
  dpopBoundAccessTokens: body.dpop_bound_access_tokens,
})

export const apiKeyWire = (apiKey: ApiKey): ApiKeyWire => ({
  id: apiKey.id,
  name: apiKey.name,
  scopes: [...apiKey.scopes],
  labels: { ...apiKey.labels },
  sources: { ...apiKey.sources },
  identities: apiKey.identities.map(identityWire),
  created_at: moment(apiKey.createdAt),
  expires_at: momentOrNull(apiKey.expiresAt),
  revoked_at: momentOrNull(apiKey.revokedAt),
})

const identityWire = (identity: TrustedIdentity): TrustedIdentityWire => ({
  id: identity.id,
  issuer: identity.issuer,
  subject: identity.subject,
  audience: identity.audience,
  jwks_uri: identity.jwksUri,
  allow_private_network: identity.allowPrivateNetwork,
  created_at: moment(identity.createdAt),
})

export const identityInput = (body: NewTrustedIdentityWire): TrustedIdentityInput => ({
  issuer: body.issuer,
  subject: body.subject,
  audience: body.audience,
  jwksUri: body.jwks_uri,
  allowPrivateNetwork: body.allow_private_network,
})

export const apiKeyInput = (body: NewApiKeyWire): ApiKeyInput => ({
  name: body.name,
  scopes: body.scopes,
  labels: body.labels,
  sources: body.sources,
  expiresAt: body.expires_at == null ? null : Date.parse(body.expires_at),
})

export function connectSessionWire(session: ConnectSession, nowMs: number): ConnectSessionWire {
  const { state } = session
  const over = state.status === 'open' && nowMs >= session.expiresAt
  return {
    id: session.id,
    provider: session.provider,
    client: session.client,
    connection: session.connection,
    labels: { ...session.labels },
    scope: state.status === 'connected' ? state.scope : session.scope,
    status: over ? 'expired' : state.status,
    failure:
      state.status === 'open' && state.failure !== null ? { ...state.failure, at: moment(state.failure.at) } : null,
    renewed: state.status === 'connected' ? state.renewed : null,
    created_at: moment(session.createdAt),
    expires_at: moment(session.expiresAt),
  }
}

export const connectSessionInput = (body: NewConnectSessionWire): ConnectSessionInput => ({
  client: body.client,
  provider: body.provider,
  connection: body.connection,
  labels: body.labels,
  scope: body.scope,
  resource: body.resource,
  otherAccount: body.other_account,
  returnTo: body.return_to,
  expiresInMs: durationMs(body.expires_in) ?? undefined,
})

export const localRefreshTokenWire = (token: LocalRefreshToken): LocalRefreshTokenWire => ({
  id: token.id,
  connection: token.connection,
  api_key: token.apiKey,
  created_at: moment(token.createdAt),
  revoked_at: momentOrNull(token.revokedAt),
})
