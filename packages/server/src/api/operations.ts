/** The HTTP API as a table: what is routed, checked and published is what stands here. */
import type { z } from 'zod'
import type { ApiKeyScope } from '@tokenkeep/node'
import * as wire from './wire.ts'
import type { ProblemCode } from './problem-codes.ts'

export interface Operation {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** With parameters as OpenAPI writes them: `{id}`. */
  readonly path: string
  readonly summary: string
  /** What the key must be allowed to do; one of them is enough. */
  readonly scopes: readonly ApiKeyScope[]
  readonly query?: z.ZodObject
  readonly body?: z.ZodObject
  readonly status: 200 | 201
  readonly answer: z.ZodType
  /** What can go wrong here beside what can everywhere. */
  readonly problems: readonly ProblemCode[]
}

const OF_A_CONNECTION = ['unknown_connection', 'invalid_input'] as const satisfies readonly ProblemCode[]

export const OPERATIONS = {
  getToken: {
    method: 'GET',
    path: '/v1/connections/{id}/token',
    summary: 'An access token that works, refreshed first where needed',
    scopes: ['token:read'],
    query: wire.TokenQuery,
    status: 200,
    answer: wire.TokenAnswer,
    problems: [
      ...OF_A_CONNECTION,
      'needs_user',
      'blocked',
      'in_doubt',
      'suspect',
      'on_hold',
      'unavailable',
      'deleting',
      'unreadable',
      'variant_unsupported',
      'scope_refused',
    ],
  },
  rejectToken: {
    method: 'POST',
    path: '/v1/connections/{id}/rejected',
    summary: 'Say that an API answered 401 to this access token; the next one is another',
    scopes: ['token:read'],
    body: wire.RejectedBody,
    status: 200,
    answer: wire.RejectedAnswer,
    problems: [...OF_A_CONNECTION, 'deleting'],
  },
  introspect: {
    method: 'POST',
    path: '/v1/connections/{id}/introspect',
    summary: 'Ask the provider whether the access token is active (RFC 7662)',
    scopes: ['token:read'],
    status: 200,
    answer: wire.IntrospectedAnswer,
    problems: [...OF_A_CONNECTION, 'deleting', 'unreadable'],
  },
  listConnections: {
    method: 'GET',
    path: '/v1/connections',
    summary: 'Connections in the order of their ids',
    scopes: ['connections:read'],
    query: wire.ConnectionsQuery,
    status: 200,
    answer: wire.ConnectionsAnswer,
    problems: ['invalid_input'],
  },
  importConnection: {
    method: 'POST',
    path: '/v1/connections',
    summary: 'Keep a sign-in from now on',
    scopes: ['connections:write'],
    body: wire.ImportBody,
    status: 201,
    answer: wire.Connection,
    problems: ['invalid_input', 'connection_exists', 'refresh_token_held', 'unknown_client', 'unreadable'],
  },
  getConnection: {
    method: 'GET',
    path: '/v1/connections/{id}',
    summary: 'One connection',
    scopes: ['connections:read'],
    status: 200,
    answer: wire.Connection,
    problems: OF_A_CONNECTION,
  },
  reconnectConnection: {
    method: 'POST',
    path: '/v1/connections/{id}/reconnect',
    summary: 'Give a connection a new sign-in; its id, labels and history stay',
    scopes: ['connections:write'],
    body: wire.ReconnectBody,
    status: 200,
    answer: wire.Connection,
    problems: [...OF_A_CONNECTION, 'refresh_token_held', 'deleting'],
  },
  resolveConnection: {
    method: 'POST',
    path: '/v1/connections/{id}/resolve',
    summary: 'Let the refresh token of a connection in doubt, suspect or blocked be presented now, once',
    scopes: ['connections:write'],
    status: 200,
    answer: wire.Connection,
    problems: [...OF_A_CONNECTION, 'deleting', 'needs_user'],
  },
  deleteConnection: {
    method: 'DELETE',
    path: '/v1/connections/{id}',
    summary: 'Revoke the refresh token at the provider (RFC 7009), then erase every secret',
    scopes: ['connections:write'],
    status: 200,
    answer: wire.DeletedAnswer,
    problems: [...OF_A_CONNECTION, 'on_hold'],
  },
  getHistory: {
    method: 'GET',
    path: '/v1/connections/{id}/history',
    summary: 'Who presented its refresh tokens, newest first',
    scopes: ['connections:read'],
    query: wire.HistoryQuery,
    status: 200,
    answer: wire.HistoryAnswer,
    problems: OF_A_CONNECTION,
  },
  listLocalRefreshTokens: {
    method: 'GET',
    path: '/v1/connections/{id}/local-refresh-tokens',
    summary: 'The local refresh tokens of a connection',
    scopes: ['connections:read', 'keys:write'],
    status: 200,
    answer: wire.LocalRefreshTokensAnswer,
    problems: OF_A_CONNECTION,
  },
  shareConnection: {
    method: 'POST',
    path: '/v1/connections/{id}/local-refresh-tokens',
    summary: 'Make a local refresh token for one caller of the drop-in token endpoint',
    scopes: ['keys:write'],
    body: wire.ShareBody,
    status: 201,
    answer: wire.ShareAnswer,
    problems: [...OF_A_CONNECTION, 'unknown_api_key'],
  },
  revokeLocalRefreshToken: {
    method: 'DELETE',
    path: '/v1/local-refresh-tokens/{id}',
    summary: 'Refuse a local refresh token from now on',
    scopes: ['keys:write'],
    status: 200,
    answer: wire.LocalRefreshToken,
    problems: ['unknown_local_refresh_token'],
  },
  listProviders: {
    method: 'GET',
    path: '/v1/providers',
    summary: 'The authorization servers',
    scopes: ['providers:write', 'connections:read', 'connections:write'],
    status: 200,
    answer: wire.ProvidersAnswer,
    problems: [],
  },
  getProvider: {
    method: 'GET',
    path: '/v1/providers/{id}',
    summary: 'One authorization server',
    scopes: ['providers:write', 'connections:read', 'connections:write'],
    status: 200,
    answer: wire.Provider,
    problems: ['unknown_provider', 'invalid_input'],
  },
  putProvider: {
    method: 'PUT',
    path: '/v1/providers/{id}',
    summary: 'Add an authorization server, or replace its settings',
    scopes: ['providers:write'],
    body: wire.ProviderBody,
    status: 200,
    answer: wire.Provider,
    problems: ['invalid_input', 'provider_refused'],
  },
  listClients: {
    method: 'GET',
    path: '/v1/clients',
    summary: 'Our registrations at authorization servers',
    scopes: ['providers:write', 'connections:read', 'connections:write'],
    status: 200,
    answer: wire.ClientsAnswer,
    problems: [],
  },
  getClient: {
    method: 'GET',
    path: '/v1/clients/{id}',
    summary: 'One registration',
    scopes: ['providers:write', 'connections:read', 'connections:write'],
    status: 200,
    answer: wire.Client,
    problems: ['unknown_client', 'invalid_input'],
  },
  putClient: {
    method: 'PUT',
    path: '/v1/clients/{id}',
    summary: 'Add a registration, or replace its settings and its secret',
    scopes: ['providers:write'],
    body: wire.ClientBody,
    status: 200,
    answer: wire.Client,
    problems: ['invalid_input', 'unknown_provider'],
  },
  listClientKeys: {
    method: 'GET',
    path: '/v1/clients/{id}/keys',
    summary: 'The keys that a registration signs with (private_key_jwt)',
    scopes: ['providers:write', 'connections:read', 'connections:write'],
    status: 200,
    answer: wire.ClientKeysAnswer,
    problems: ['unknown_client', 'invalid_input'],
  },
  rotateClientKey: {
    method: 'POST',
    path: '/v1/clients/{id}/keys/rotate',
    summary: 'Make another key: published now, signing once the provider can have fetched it',
    scopes: ['providers:write'],
    body: wire.RotateKeyBody,
    status: 200,
    answer: wire.ClientKeysAnswer,
    problems: ['unknown_client', 'invalid_input', 'in_use'],
  },
  listApiKeys: {
    method: 'GET',
    path: '/v1/keys',
    summary: 'The API keys, the revoked ones too',
    scopes: ['keys:write'],
    status: 200,
    answer: wire.ApiKeysAnswer,
    problems: [],
  },
  createApiKey: {
    method: 'POST',
    path: '/v1/keys',
    summary: 'Make an API key that may do at most what this one may',
    scopes: ['keys:write'],
    body: wire.ApiKeyBody,
    status: 201,
    answer: wire.ApiKeyMadeAnswer,
    problems: ['invalid_input', 'forbidden', 'unknown_connection', 'unknown_provider'],
  },
  revokeApiKey: {
    method: 'DELETE',
    path: '/v1/keys/{id}',
    summary: 'Refuse an API key, and its local refresh tokens, from now on',
    scopes: ['keys:write'],
    status: 200,
    answer: wire.ApiKey,
    problems: ['unknown_api_key'],
  },
  setSource: {
    method: 'PUT',
    path: '/v1/keys/{id}/sources/{provider}',
    summary: 'Name the connection whose token serves client_credentials of a provider; null: none',
    scopes: ['keys:write'],
    body: wire.SourceBody,
    status: 200,
    answer: wire.ApiKey,
    problems: ['unknown_api_key', 'unknown_connection', 'unknown_provider', 'invalid_input'],
  },
  getIncarnation: {
    method: 'GET',
    path: '/v1/incarnation',
    summary: 'Which life of which database this is, and whether it is on hold',
    scopes: ['connections:read', 'connections:write'],
    status: 200,
    answer: wire.Incarnation,
    problems: [],
  },
  adopt: {
    method: 'POST',
    path: '/v1/incarnation/adopt',
    summary: 'Say that the original of this database is off for good: the hold ends',
    scopes: ['admin'],
    status: 200,
    answer: wire.AdoptedAnswer,
    problems: [],
  },
} as const satisfies Record<string, Operation>

export type OperationId = keyof typeof OPERATIONS

/** Any method, and what is asked and answered is the API's: so it stands beside the table. */
export const PROXY = {
  path: '/v1/proxy/{id}/{path}',
  summary: "A request to one of the provider's APIs, with the connection's token on it",
  scopes: ['proxy'],
  /** Those that OpenAPI can say; TRACE and CONNECT are refused, every other one is forwarded. */
  methods: ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'],
  problems: [...OPERATIONS.getToken.problems, 'provider_refused', 'api_unreachable', 'api_no_answer', 'api_timeout'],
} as const satisfies Pick<Operation, 'path' | 'summary' | 'scopes' | 'problems'> & {
  readonly methods: readonly string[]
}
