/** What the pictures show: the same each time, and nothing that the contract does not know. */
import type { z } from 'zod'
import { OPERATIONS, type OperationId } from '../src/api/operations.ts'

type Answer<Id extends OperationId> = z.infer<(typeof OPERATIONS)[Id]['answer']>
type Connection = Answer<'getConnection'>
type Presentation = Answer<'getHistory'>['presentations'][number]

/** When the pictures are taken. */
export const NOW = Date.parse('2026-11-28T09:41:07.000Z')
const at = (seconds: number): string => new Date(NOW + seconds * 1000).toISOString()
const MINUTE = 60
const HOUR = 3600
const DAY = 86_400

const connection = (id: string, more: Partial<Connection> = {}): Connection => ({
  id,
  uid: `uid-${id}`,
  provider: 'external',
  client: 'app',
  grant_type: 'refresh_token',
  grant_request: null,
  status: 'ready',
  reason: null,
  blocked: null,
  subject: null,
  labels: {},
  scope: 'openid offline_access dealer-api',
  generation: 214,
  has_refresh_token: true,
  access_token_expires_at: at(171),
  lifetime_assumed: false,
  refresh_token_expires_at: at(11 * DAY + 4 * HOUR),
  last_refresh_at: at(-129),
  next_action_at: at(96),
  created_at: at(-41 * DAY),
  ...more,
})

export const LONG_ID =
  'contoso.example/tenants/9f1c7a52-0b7e-4c55-8f3a-2f6d0d9e6b11/mailboxes/accounts-payable-north-europe'
const NEEDS = { status: 'needs_user', access_token_expires_at: null, next_action_at: null } as const
const CONNECTIONS: readonly Connection[] = [
  connection('dealer-42', { subject: 'anna', labels: { team: 'sales', region: 'north' } }),
  connection('dealer-43', {
    status: 'presenting',
    access_token_expires_at: at(48),
    next_action_at: at(11),
    labels: { team: 'sales' },
  }),
  connection('dealer-44', { ...NEEDS, reason: 'signed_out', labels: { team: 'sales', region: 'south' } }),
  connection('crm-eu', {
    provider: 'crm',
    client: 'crm-sync',
    access_token_expires_at: at(51 * MINUTE),
    next_action_at: at(34 * MINUTE),
  }),
  connection('crm-us', {
    provider: 'crm',
    client: 'crm-sync',
    status: 'in_doubt',
    access_token_expires_at: at(9 * MINUTE),
    next_action_at: at(9 * MINUTE),
    labels: { team: 'support' },
  }),
  connection('ledger', {
    provider: 'books',
    client: 'ledger-2026',
    status: 'blocked',
    blocked: 'client',
    access_token_expires_at: at(-4 * MINUTE),
    next_action_at: at(7 * MINUTE),
  }),
  connection(LONG_ID, {
    provider: 'mail',
    client: 'mail',
    access_token_expires_at: at(44 * MINUTE),
    next_action_at: at(29 * MINUTE),
    labels: { team: 'finance', note: '<script>alert("hello")</script>' },
  }),
  connection('nightly-export', {
    provider: 'crm',
    client: 'crm-sync',
    grant_type: 'client_credentials',
    has_refresh_token: false,
    refresh_token_expires_at: null,
    access_token_expires_at: at(22 * MINUTE),
    next_action_at: at(14 * MINUTE),
  }),
]

const LIFE = 300
const EVERY = 225
/** Refreshes of an access token of five minutes, three quarters into its life, with a provider that had a bad moment. */
const HISTORY: readonly Presentation[] = Array.from({ length: 14 }, (_, index): Presentation => {
  const begun = -(LIFE - 171) - index * EVERY
  const lost = index === 3
  const busy = index === 5 || index === 6
  const took = lost ? 20 : busy ? 1.2 : 0.14 + ((index * 37) % 11) / 60
  return {
    fence: 400 - index,
    attempt: `attempt-${index}`,
    grant: 3,
    generation: 213 - index,
    presented: 'a1b2c3d4',
    owner: 'owner',
    host: index % 3 === 0 ? 'keep-2' : 'keep-1',
    process: 'tokenkeep 4711',
    why: index === 2 ? 'in_doubt' : 'fresh',
    acquired_at: at(begun - took),
    ended_at: at(begun),
    outcome: lost ? 'in_doubt' : busy ? 'unavailable' : 'granted',
  }
})

const count = (value: number) => ({ count: value, at_least: false })
const none = { in_doubt: count(0), suspect: count(0), blocked: count(0), needs_user: count(0), deleting: count(0) }
const overview: Answer<'getOverview'> = {
  as_of: at(0),
  labels: {},
  total: count(1284),
  by_status: {
    ready: count(1272),
    presenting: count(8),
    ...none,
    in_doubt: count(1),
    blocked: count(1),
    needs_user: count(2),
  },
  needs_user: {
    revoked: count(0),
    expired: count(0),
    answer_lost: count(0),
    reused: count(1),
    signed_out: count(1),
    interaction_required: count(0),
    no_refresh_token: count(0),
  },
  blocked: { client: count(1), endpoint: count(0), request: count(0), grant: count(0) },
  providers: [
    { provider: 'books', total: count(96), ...none, blocked: count(1), expiring: count(0) },
    { provider: 'crm', total: count(402), ...none, in_doubt: count(1), expiring: count(2) },
    { provider: 'external', total: count(731), ...none, needs_user: count(2), expiring: count(1) },
    { provider: 'mail', total: count(55), ...none, expiring: count(0) },
  ],
  expiring: {
    within: 604_800,
    ...count(3),
    next: [
      {
        connection: 'crm-eu',
        provider: 'crm',
        client: 'crm-sync',
        expires_at: at(5 * HOUR + 20 * MINUTE),
        because: 'session_end',
      },
      {
        connection: 'dealer-17',
        provider: 'external',
        client: 'app',
        expires_at: at(DAY + 3 * HOUR),
        because: 'session_end',
      },
      {
        connection: 'one-off-import',
        provider: 'crm',
        client: 'crm-sync',
        expires_at: at(4 * DAY),
        because: 'no_refresh_token',
      },
    ],
  },
}

/** By the path and query that the page asks; the first that begins so. */
const quiet: Answer<'getOverview'> = {
  ...overview,
  total: count(3),
  by_status: { ready: count(3), presenting: count(0), ...none },
  needs_user: { ...overview.needs_user, reused: count(0), signed_out: count(0) },
  blocked: { ...overview.blocked, client: count(0) },
  providers: [{ provider: 'external', total: count(3), ...none, expiring: count(0) }],
  expiring: { within: 604_800, ...count(0), next: [] },
}
const empty: Answer<'getOverview'> = {
  ...quiet,
  total: count(0),
  by_status: { ...quiet.by_status, ready: count(0) },
  providers: [],
}
const LABELS = { id: 'key_0a1b2c3d4e5f', name: 'operator', scopes: ['admin'], labels: {} } as const

const provider = (id: string, more: Partial<Answer<'getProvider'>>): Answer<'getProvider'> => ({
  id,
  revision: 3,
  preset: null,
  issuer: `https://${id}.example`,
  token_endpoint: `https://${id}.example/oauth2/token`,
  refresh_endpoint: null,
  revocation_endpoint: null,
  introspection_endpoint: null,
  authorization_endpoint: `https://${id}.example/oauth2/authorize`,
  pushed_authorization_request_endpoint: null,
  device_authorization_endpoint: null,
  jwks_uri: null,
  userinfo_endpoint: null,
  token_endpoint_auth_method: 'client_secret_basic',
  reuse: { kind: 'strict' },
  narrowing: 'unknown',
  refresh_kills_access_token: false,
  access_token_lifetime: null,
  refresh_token_idle: null,
  refresh_token_absolute: null,
  introspect_every: null,
  event_audience: null,
  requests_per_minute: null,
  concurrency: 32,
  words: { reused: [], rejected: [], interaction_required: [], misconfigured: [], unavailable: [], in_doubt: [] },
  request: {
    encoding: 'form',
    parameters: {},
    headers: {},
    scope_separator: ' ',
    basic_credentials: 'encoded',
    assertion_audience: null,
  },
  answer: {
    tokens_in: [],
    access_token: ['access_token'],
    refresh_token: ['refresh_token'],
    expires_in: ['expires_in'],
    refresh_token_expires_in: [],
    scope: ['scope'],
    words: ['error'],
    subject: [],
    token_type: null,
    scope_separator: ' ',
  },
  authorization: { parameters: {}, scope: null, pkce: 'S256' },
  api_base_urls: [],
  allow_private_network: false,
  ...more,
})
const client = (id: string, of: string, more: Partial<Answer<'getClient'>> = {}): Answer<'getClient'> => ({
  id,
  revision: 1,
  provider: of,
  client_id: `${id}-production`,
  token_endpoint_auth_method: 'client_secret_basic',
  token_endpoint_auth_signing_alg: null,
  client_assertion_file: null,
  certificate: null,
  dpop_bound_access_tokens: false,
  ...more,
})
const apiKey = (id: string, name: string, more: Partial<Answer<'revokeApiKey'>> = {}): Answer<'revokeApiKey'> => ({
  id,
  name,
  scopes: ['token:read'],
  labels: {},
  sources: {},
  identities: [],
  created_at: at(-30 * DAY),
  expires_at: null,
  revoked_at: null,
  ...more,
})

/** A wave, a provider that was away for some minutes, and another that is slow now and then. */
const refreshes = (stepSeconds: number, spanSeconds: number): Answer<'getRefreshes'> => {
  const steps = Math.floor(spanSeconds / stepSeconds)
  const first = Math.floor(NOW / 1000 / stepSeconds) * stepSeconds - spanSeconds
  const each = <Value>(value: (at: number) => Value): Value[] =>
    Array.from({ length: steps }, (_, index) => value(index / steps))
  const wave = (of: number, times: number): number => Math.sin(of * Math.PI * 2 * times)
  const away = (of: number): boolean => of > 0.55 && of < 0.63
  const nothing = each(() => 0)
  const of = (name: string, more: Partial<Answer<'getRefreshes'>['providers'][number]>) => ({
    provider: name,
    granted: nothing,
    unavailable: nothing,
    refused: nothing,
    in_doubt: nothing,
    blocked: nothing,
    needs_user: nothing,
    p50_ms: each(() => 90),
    p95_ms: each(() => 240),
    ...more,
  })
  const scale = stepSeconds / 60
  return {
    step: stepSeconds,
    starts: Array.from({ length: steps }, (_, index) => new Date((first + index * stepSeconds) * 1000).toISOString()),
    providers: [
      of('books', {
        granted: each((at) => Math.round((3 + wave(at, 5)) * scale)),
        blocked: each((at) => (at > 0.93 ? 1 : 0)),
      }),
      of('crm', {
        granted: each((at) => Math.round((away(at) ? 0 : 14 + 4 * wave(at, 2) + 2 * wave(at, 13)) * scale)),
        unavailable: each((at) => (away(at) ? Math.round((5 + 3 * wave(at, 17)) * scale) : 0)),
        p50_ms: each((at) => (away(at) ? null : Math.round(140 + 30 * wave(at, 3)))),
        p95_ms: each((at) => (away(at) ? null : Math.round(420 + 160 * Math.max(0, wave(at, 7)) + 40 * wave(at, 19)))),
      }),
      of('external', {
        granted: each((at) => Math.round((25 + 6 * wave(at, 1) + 2 * wave(at, 11)) * scale)),
        refused: each((at) => (at > 0.3 && at < 0.32 ? 2 : 0)),
      }),
    ],
  }
}

const said = <Id extends OperationId>(id: Id, answer: Answer<Id>): unknown => OPERATIONS[id].answer.parse(answer)
const answers = {
  session: said('getSession', { api_key: { ...LABELS, scopes: ['admin'] }, expires_at: at(11 * HOUR) }),
  overview: said('getOverview', overview),
  quiet: said('getOverview', quiet),
  empty: said('getOverview', empty),
  connections: said('listConnections', { connections: [...CONNECTIONS], next_cursor: 'bW9yZQ' }),
  noConnections: said('listConnections', { connections: [], next_cursor: null }),
  history: said('getHistory', { presentations: [...HISTORY] }),
  noHistory: said('getHistory', { presentations: [] }),
  providers: said('listProviders', {
    providers: [
      provider('books', {
        requests_per_minute: 60,
        concurrency: 4,
        reuse: { kind: 'grace', seconds: 60, winner: 'any' },
      }),
      provider('crm', { preset: 'crm', reuse: { kind: 'reusable' } }),
      provider('external', {
        preset: 'keycloak',
        issuer: 'https://id.example/realms/external',
        token_endpoint: 'https://id.example/realms/external/protocol/openid-connect/token',
      }),
      provider('mail', {}),
    ],
  }),
  clients: said('listClients', {
    clients: [
      client('app', 'external'),
      client('crm-sync', 'crm', {
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
      }),
      client('ledger-2026', 'books', {
        token_endpoint_auth_method: 'tls_client_auth',
        certificate: { chain: 'chain', thumbprint: 'thumbprint', expires_at: at(19 * DAY) },
      }),
    ],
  }),
  clientKeys: said('listClientKeys', {
    keys: [
      {
        kid: '2026-11',
        alg: 'ES256',
        state: 'signing',
        created_at: at(-20 * DAY),
        signs_from: at(-19 * DAY),
        published_until: null,
      },
      {
        kid: '2026-12',
        alg: 'ES256',
        state: 'next',
        created_at: at(-HOUR),
        signs_from: at(23 * HOUR),
        published_until: null,
      },
    ],
  }),
  keys: said('listApiKeys', {
    api_keys: [
      apiKey(LABELS.id, 'operator', { scopes: ['admin'] }),
      apiKey('key_1b2c3d4e5f60', 'dealer portal', {
        scopes: ['token:read', 'connections:read'],
        labels: { team: 'sales' },
      }),
      apiKey('key_2c3d4e5f6071', 'nightly export', { expires_at: at(26 * DAY) }),
      apiKey('key_3d4e5f607182', 'the laptop that was lost', { revoked_at: at(-3 * DAY) }),
    ],
  }),
}

export type Scene = 'usual' | 'quiet' | 'empty'

/** @returns what the server would say; null: that there is no such thing */
export function answerIn(scene: Scene, url: URL): unknown {
  const { pathname, searchParams } = url
  const status = searchParams.get('status')
  if (pathname === '/v1/session') return answers.session
  if (pathname === '/v1/events') return null
  if (pathname === '/v1/refreshes') {
    const step = Number(searchParams.get('step'))
    const empty = { step, starts: [], providers: [] }
    return said('getRefreshes', scene === 'empty' ? empty : refreshes(step, step * 60))
  }
  if (pathname === '/v1/overview') return answers[scene === 'usual' ? 'overview' : scene]
  if (pathname === '/v1/providers') return answers.providers
  if (pathname === '/v1/clients') return answers.clients
  if (pathname.endsWith('/keys') && pathname.startsWith('/v1/clients/')) return answers.clientKeys
  if (pathname === '/v1/keys') return answers.keys
  if (pathname === '/v1/connections') {
    if (scene === 'empty') return answers.noConnections
    const connections = CONNECTIONS.filter((each) => status === null || each.status === status)
    return status === null ? answers.connections : said('listConnections', { connections, next_cursor: null })
  }
  const [, id = '', rest] = /^\/v1\/connections\/([^/]+)(\/history)?$/.exec(pathname) ?? []
  const found = CONNECTIONS.find((each) => each.id === decodeURIComponent(id))
  if (found === undefined) return null
  if (rest === undefined) return said('getConnection', found)
  return found.id === 'dealer-42' || found.status !== 'ready' ? answers.history : answers.noHistory
}
