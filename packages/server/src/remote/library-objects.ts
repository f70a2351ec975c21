/**
 * What travels as the library's objects: its names, epoch milliseconds, durations in milliseconds. Brands say where a
 * value came from; here it came over HTTP, and its kind was checked.
 */
import {
  KEY_ALGS,
  METHODS_OF_SECRETS,
  ms,
  SECRET_ALGS,
  TOKEN_ENDPOINT_AUTH_METHODS,
  type Client,
  type ClientKid,
  type ConnectionInfo,
  type DurationMs,
  type HandOut,
  type HistoryEntry,
  type Incarnation,
  type Provider,
  type Rejection,
  type ReusePolicy,
  type Sign,
  type UnixMs,
} from '@tokenkeep/core'
import type { ApiKey, ClientKeyInfo, Jwks, LocalRefreshToken, TrustedIdentity } from '@tokenkeep/node'
import type {
  ApiKeyWire,
  ClientKeyWire,
  ClientWire,
  ConnectionWire,
  IncarnationWire,
  JwksWire,
  LocalRefreshTokenWire,
  PresentationWire,
  ProviderWire,
  RejectedWire,
  TokenWire,
} from '../api/wire.ts'
import type { TrustedIdentityWire } from '../api/identity-wire.ts'
import { readGrantRequest, type EitherGrantRequest } from './grant-request.ts'
import {
  API_KEY_SCOPES,
  BLOCKED,
  GRANT_TYPES,
  HOLD_REASONS,
  KEY_STATES,
  NARROWINGS,
  REASONS,
  REUSE_KINDS,
  STATUSES,
  WHYS,
  WINNERS,
} from './known-words.ts'
import { membersOf, textItem, UnlikeTheWire, type Members } from './members.ts'

/** @param receivedAtMs when the answer came, epoch milliseconds: its duration was true when it was sent */
export function readHandOut(answer: unknown, receivedAtMs: number): HandOut {
  const token = membersOf<TokenWire>(answer, 'a token')
  return {
    accessToken: token.text('access_token'),
    tokenType: token.text('token_type'),
    expiresAt: receivedAtMs + token.number('expires_in') * 1000,
    scope: token.textOrAbsent('scope'),
  }
}

export function readHold(answer: unknown): Pick<Incarnation, 'hold'> {
  const incarnation = membersOf<IncarnationWire>(answer, 'an incarnation')
  const hold = incarnation.nestedOrNull<NonNullable<IncarnationWire['hold']>>('hold')
  if (hold === null) return { hold: null }
  return { hold: { since: hold.moment('since') as UnixMs, because: hold.oneOf('because', HOLD_REASONS) } }
}

export function readRejection(answer: unknown): Rejection {
  const noted = membersOf<RejectedWire>(answer, 'the answer')
  return {
    current: noted.flag('current'),
    stillRefused: noted.flag('still_refused'),
    retryAt: noted.momentOrNull('retry_at'),
  }
}

export function readConnection(answer: unknown): ConnectionInfo {
  const connection = membersOf<ConnectionWire>(answer, 'a connection')
  const grantRequest = connection.nestedOrNull<EitherGrantRequest>('grant_request')
  return {
    id: connection.text('id'),
    uid: connection.text('uid'),
    provider: connection.text('provider'),
    client: connection.text('client'),
    grantType: connection.oneOf('grant_type', GRANT_TYPES),
    grantRequest: grantRequest && readGrantRequest(grantRequest),
    status: connection.oneOf('status', STATUSES),
    reason: connection.oneOfOrNull('reason', REASONS),
    blocked: connection.oneOfOrNull('blocked', BLOCKED),
    subject: connection.textOrNull('subject'),
    labels: connection.texts('labels'),
    scope: connection.textOrNull('scope'),
    generation: connection.number('generation'),
    hasRefreshToken: connection.flag('has_refresh_token'),
    accessTokenExpiresAt: connection.momentOrNull('access_token_expires_at'),
    lifetimeAssumed: connection.flag('lifetime_assumed'),
    refreshTokenExpiresAt: connection.momentOrNull('refresh_token_expires_at'),
    lastRefreshAt: connection.momentOrNull('last_refresh_at'),
    nextActionAt: connection.momentOrNull('next_action_at'),
    createdAt: connection.moment('created_at'),
  }
}

export function readPresentation(answer: unknown): HistoryEntry {
  const entry = membersOf<PresentationWire>(answer, 'a presentation')
  return {
    fence: entry.number('fence') as HistoryEntry['fence'],
    attempt: entry.text('attempt') as HistoryEntry['attempt'],
    grant: entry.number('grant') as HistoryEntry['grant'],
    generation: entry.number('generation') as HistoryEntry['generation'],
    presented: entry.textOrNull('presented') as HistoryEntry['presented'],
    owner: entry.text('owner') as HistoryEntry['owner'],
    host: entry.text('host'),
    process: entry.textOrNull('process'),
    why: entry.oneOf('why', WHYS),
    acquiredAt: entry.moment('acquired_at') as HistoryEntry['acquiredAt'],
    endedAt: entry.momentOrNull('ended_at') as HistoryEntry['endedAt'],
    outcome: entry.textOrNull('outcome'),
  }
}

export function readProvider(answer: unknown): Provider {
  const provider = membersOf<ProviderWire>(answer, 'a provider')
  const words = provider.nested<ProviderWire['words']>('words')
  const request = provider.nested<ProviderWire['request']>('request')
  const shape = provider.nested<ProviderWire['answer']>('answer')
  const authorization = provider.nested<ProviderWire['authorization']>('authorization')
  return {
    id: provider.text('id') as Provider['id'],
    revision: provider.number('revision') as Provider['revision'],
    preset: provider.textOrNull('preset'),
    issuer: provider.textOrNull('issuer'),
    tokenEndpoint: provider.textOrNull('token_endpoint'),
    refreshEndpoint: provider.textOrNull('refresh_endpoint'),
    revocationEndpoint: provider.textOrNull('revocation_endpoint'),
    introspectionEndpoint: provider.textOrNull('introspection_endpoint'),
    authorizationEndpoint: provider.textOrNull('authorization_endpoint'),
    pushedAuthorizationRequestEndpoint: provider.textOrNull('pushed_authorization_request_endpoint'),
    deviceAuthorizationEndpoint: provider.textOrNull('device_authorization_endpoint'),
    jwksUri: provider.textOrNull('jwks_uri'),
    userinfoEndpoint: provider.textOrNull('userinfo_endpoint'),
    tokenEndpointAuthMethod: provider.oneOf('token_endpoint_auth_method', METHODS_OF_SECRETS),
    reuse: readReuse(provider.nested<ReuseWire>('reuse')),
    narrowing: provider.oneOf('narrowing', NARROWINGS),
    refreshKillsAccessToken: provider.flag('refresh_kills_access_token'),
    accessTokenLifetimeMs: milliseconds(provider.numberOrNull('access_token_lifetime')),
    refreshTokenIdleMs: milliseconds(provider.numberOrNull('refresh_token_idle')),
    refreshTokenAbsoluteMs: milliseconds(provider.numberOrNull('refresh_token_absolute')),
    introspectEveryMs: milliseconds(provider.numberOrNull('introspect_every')),
    eventAudience: provider.textOrNull('event_audience'),
    requestsPerMinute: provider.numberOrNull('requests_per_minute'),
    concurrency: provider.numberOrNull('concurrency'),
    words: {
      reused: words.list('reused', signItem),
      rejected: words.list('rejected', signItem),
      interactionRequired: words.list('interaction_required', signItem),
      misconfigured: words.list('misconfigured', signItem),
      unavailable: words.list('unavailable', signItem),
      inDoubt: words.list('in_doubt', signItem),
    },
    request: {
      encoding: request.oneOf('encoding', ['form', 'json']),
      parameters: request.texts('parameters'),
      headers: request.texts('headers'),
      scopeSeparator: request.text('scope_separator'),
      basicCredentials: request.oneOf('basic_credentials', ['encoded', 'raw']),
      assertionAudience: request.textOrNull('assertion_audience'),
    },
    authorization: {
      parameters: authorization.texts('parameters'),
      scope: authorization.textOrNull('scope'),
      pkce: authorization.oneOf('pkce', ['S256', 'none']),
    },
    answer: {
      tokensIn: shape.list('tokens_in', textItem),
      accessToken: shape.list('access_token', textItem),
      refreshToken: shape.list('refresh_token', textItem),
      expiresIn: shape.list('expires_in', textItem),
      refreshTokenExpiresIn: shape.list('refresh_token_expires_in', textItem),
      scope: shape.list('scope', textItem),
      words: shape.list('words', textItem),
      subject: shape.list('subject', textItem),
      tokenType: shape.textOrNull('token_type'),
      scopeSeparator: shape.text('scope_separator'),
    },
    apiBaseUrls: provider.list('api_base_urls', textItem),
    allowPrivateNetwork: provider.flag('allow_private_network'),
  }
}

function signItem(item: unknown): Sign {
  if (typeof item === 'string') return item
  const sign = membersOf<{ status: number; word?: string }>(item, 'a word or status')
  const word = sign.textOrAbsent('word')
  return { status: sign.number('status'), ...(word === null ? {} : { word }) }
}

export function readClient(answer: unknown): Client {
  const client = membersOf<ClientWire>(answer, 'a client')
  const certificate = client.nestedOrNull<NonNullable<ClientWire['certificate']>>('certificate')
  return {
    id: client.text('id') as Client['id'],
    revision: client.number('revision') as Client['revision'],
    provider: client.text('provider') as Client['provider'],
    clientId: client.text('client_id'),
    tokenEndpointAuthMethod: client.oneOf('token_endpoint_auth_method', TOKEN_ENDPOINT_AUTH_METHODS),
    tokenEndpointAuthSigningAlg: client.oneOfOrNull('token_endpoint_auth_signing_alg', [...SECRET_ALGS, ...KEY_ALGS]),
    clientAssertionFile: client.textOrNull('client_assertion_file'),
    certificate: certificate && {
      chain: certificate.text('chain'),
      thumbprint: certificate.text('thumbprint') as ClientKid,
      expiresAt: certificate.moment('expires_at') as UnixMs,
    },
    dpopBoundAccessTokens: client.flag('dpop_bound_access_tokens'),
  }
}

export function readClientKey(answer: unknown): ClientKeyInfo {
  const key = membersOf<ClientKeyWire>(answer, 'a key of a client')
  return {
    kid: key.text('kid'),
    alg: key.oneOf('alg', KEY_ALGS),
    state: key.oneOf('state', KEY_STATES),
    createdAt: key.moment('created_at'),
    signsFrom: key.moment('signs_from'),
    publishedUntil: key.momentOrNull('published_until'),
  }
}

/** As it came: what stands in a set of keys is for others to read. */
export function readJwks(answer: unknown): Jwks {
  return { keys: membersOf<JwksWire>(answer, 'a set of keys').list('keys', (item) => item as Jwks['keys'][number]) }
}

export function readApiKey(answer: unknown): ApiKey {
  const apiKey = membersOf<ApiKeyWire>(answer, 'an API key')
  return {
    id: apiKey.text('id'),
    name: apiKey.text('name'),
    scopes: apiKey.list('scopes', (item) => {
      const scope = API_KEY_SCOPES.find((each) => each === item)
      if (scope === undefined) throw new UnlikeTheWire('an API key has a scope that is not known')
      return scope
    }),
    labels: apiKey.texts('labels'),
    sources: apiKey.texts('sources'),
    identities: apiKey.list('identities', readIdentity),
    createdAt: apiKey.moment('created_at'),
    expiresAt: apiKey.momentOrNull('expires_at'),
    revokedAt: apiKey.momentOrNull('revoked_at'),
  }
}

function readIdentity(item: unknown): TrustedIdentity {
  const identity = membersOf<TrustedIdentityWire>(item, 'a trusted identity')
  return {
    id: identity.text('id'),
    issuer: identity.text('issuer'),
    subject: identity.text('subject'),
    audience: identity.text('audience'),
    jwksUri: identity.textOrNull('jwks_uri'),
    allowPrivateNetwork: identity.flag('allow_private_network'),
    createdAt: identity.moment('created_at'),
  }
}

export function readLocalRefreshToken(answer: unknown): LocalRefreshToken {
  const token = membersOf<LocalRefreshTokenWire>(answer, 'a local refresh token')
  return {
    id: token.text('id'),
    connection: token.text('connection'),
    apiKey: token.text('api_key'),
    createdAt: token.moment('created_at'),
    revokedAt: token.momentOrNull('revoked_at'),
  }
}

// ---- parts ---------------------------------------------------------------------------------------------------------

/** All members that a reuse policy can have: which of them it has depends on its kind. */
interface ReuseWire {
  readonly kind: string
  readonly n: number
  readonly seconds?: number
  readonly until?: string
  readonly winner: string
}

function readReuse(reuse: Members<ReuseWire>): ReusePolicy {
  const kind = reuse.oneOf('kind', REUSE_KINDS)
  switch (kind) {
    case 'reusable':
    case 'strict':
    case 'unknown':
      return { kind }
    case 'counted':
      return { kind, n: reuse.number('n') }
    case 'grace': {
      const winner = reuse.oneOf('winner', WINNERS)
      return reuse.textOrAbsent('until') === null
        ? { kind, seconds: reuse.number('seconds'), winner }
        : { kind, until: reuse.oneOf('until', ['successor_used']), winner }
    }
  }
}

/** Rounded, because 1.001 times 1000 is a little less than 1001. */
const milliseconds = (seconds: number | null): DurationMs | null =>
  seconds === null ? null : ms(Math.round(seconds * 1000))
