/**
 * What travels over HTTP, as schemas: the one source of validation, types and the OpenAPI document.
 *
 * Names as the RFCs spell them. Durations are whole or broken seconds; moments are RFC 3339 in UTC; tokens appear in a
 * request, and in the answers that hand out, and nowhere else.
 */
import { z } from 'zod'
import { GRANT_TYPES, GrantRequestAnswer, grants } from './grant-wire.ts'
import { TrustedIdentity } from './identity-wire.ts'
import { moment } from './moment.ts'

// Written out rather than imported, because this file is the contract; the compiler compares (`routes`).
export const SCOPES = [
  'token:read',
  'proxy',
  'connections:read',
  'connections:write',
  'providers:write',
  'keys:write',
  'admin',
] as const
export const STATUSES = ['ready', 'presenting', 'in_doubt', 'suspect', 'blocked', 'needs_user', 'deleting'] as const
export const REASONS = [
  'revoked',
  'expired',
  'answer_lost',
  'reused',
  'signed_out',
  'interaction_required',
  'no_refresh_token',
] as const
export const BLOCKED = ['client', 'endpoint', 'request', 'grant'] as const
const METHODS_OF_SECRETS = ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'none'] as const
const AUTH_METHODS = [
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
  'none',
] as const
const SECRET_ALGS = ['HS256', 'HS384', 'HS512'] as const
const KEY_ALGS = ['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'EdDSA'] as const
const HOLD_REASONS = ['another_place', 'older_epoch', 'another_branch', 'backup'] as const
const WINNERS = ['same', 'any', 'newest'] as const

const connectionId = z
  .string()
  .min(1)
  .max(200)
  .meta({
    description: 'What people call the connection: 1 to 200 characters without white space',
    examples: ['dealer-42'],
  })
export const name = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'has 1 to 64 of the characters A-Z a-z 0-9 . _ - and begins with a letter or digit',
  )
const labels = z.record(z.string().max(64), z.string().max(200)).meta({ examples: [{ team: 'sales' }] })
const seconds = z.number().min(0).max(315_360_000)
/** RFC 6749 appendix A: tokens are printable ASCII. The limit is ours. */
const token = z
  .string()
  .max(16_384, 'is longer than 16384 characters: that is no token')
  .regex(
    /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/,
    'is empty, or has characters that no token has: was a line break sent with it?',
  )
const url = z.string().min(1).max(2000)

// ---- tokens --------------------------------------------------------------------------------------------------------

export const TokenQuery = z.strictObject({
  scope: z
    .string()
    .max(4000)
    .optional()
    .meta({ description: 'A narrower scope: scope tokens separated by spaces (RFC 6749 section 3.3)' }),
  resource: z
    .array(z.string().max(2000))
    .max(20)
    .optional()
    .meta({ description: 'What the token is for, may be repeated (RFC 8707)' }),
  min_ttl: z
    .number()
    .min(0)
    .max(315_360_000)
    .optional()
    .meta({ description: 'Seconds of life that the token should have left; at most half of its lifetime is granted' }),
})

export const TokenAnswer = z
  .object({
    access_token: z.string(),
    token_type: z
      .string()
      .meta({ examples: ['Bearer', 'DPoP'], description: 'DPoP: bound to a key, for the proxy alone' }),
    expires_in: z.int().min(0).meta({ description: 'Seconds left, rounded down' }),
    scope: z.string().optional(),
  })
  .meta({ id: 'Token', description: 'An access token that works (RFC 6749 section 5.1)' })

export const RejectedBody = z
  .strictObject({ access_token: token })
  .meta({ id: 'Rejected', description: 'The access token to which an API answered 401' })
export const RejectedAnswer = z
  .object({
    current: z.boolean().meta({ description: 'It is the one that would be handed out' }),
    still_refused: z.boolean().meta({
      description:
        'It came from a refresh that such a report had forced, so this one forces none: the API refuses everything',
    }),
    retry_at: moment.nullable().meta({ description: 'With still_refused: from when on a report is heard again' }),
  })
  .meta({ id: 'RejectedNoted' })

export const IntrospectedAnswer = z
  .object({ result: z.enum(['active', 'inactive', 'unsupported', 'unavailable']) })
  .meta({ id: 'Introspected' })

// ---- connections ---------------------------------------------------------------------------------------------------

export const Connection = z
  .object({
    id: connectionId,
    uid: z.string().meta({ description: 'Never used again, also after deletion' }),
    provider: name,
    client: name,
    grant_type: z.enum(GRANT_TYPES),
    grant_request: GrantRequestAnswer.nullable().meta({
      description: 'What a grant that is run again brings beside its client',
    }),
    status: z.enum([...STATUSES, 'erased']),
    reason: z.enum(REASONS).nullable().meta({ description: 'With needs_user: why' }),
    blocked: z.enum(BLOCKED).nullable().meta({ description: 'With blocked: what the operator has to mend' }),
    subject: z.string().nullable(),
    labels,
    scope: z.string().nullable(),
    generation: z.int().meta({ description: 'Counts the rotations of its refresh token' }),
    has_refresh_token: z.boolean(),
    access_token_expires_at: moment.nullable(),
    lifetime_assumed: z.boolean().meta({ description: 'The provider did not say how long the access token lives' }),
    refresh_token_expires_at: moment.nullable(),
    last_refresh_at: moment.nullable(),
    next_action_at: moment.nullable(),
    created_at: moment,
  })
  .meta({ id: 'Connection' })

export const ConnectionsAnswer = z
  .object({ connections: z.array(Connection), next_cursor: z.string().nullable() })
  .meta({ id: 'Connections' })

const signIn = {
  refresh_token: token.nullable().optional(),
  access_token: token.optional(),
  token_type: z.string().min(1).max(64).optional(),
  expires_in: seconds.optional().meta({ description: 'Seconds that the access token has left' }),
  refresh_expires_in: seconds
    .optional()
    .meta({ description: 'Seconds that the refresh token has left; 0: it has no end' }),
  scope: z.string().max(4000).optional(),
  subject: z.string().max(200).optional().meta({ description: 'Whose sign-in it is' }),
  session_id: z.string().max(200).optional().meta({ description: 'The sid of its ID token: a logout event means it' }),
  dpop_key: z.string().max(4000).optional().meta({ description: 'A private JWK: what it is bound to (RFC 9449)' }),
}
export const ImportBody = z
  .strictObject({
    id: connectionId,
    client: name,
    ...grants(connectionId),
    ...signIn,
    labels: labels.optional(),
  })
  .meta({ id: 'Import', description: 'A sign-in that exists already, as a token response has it, and what to call it' })
export const ReconnectBody = z
  .strictObject({ ...signIn, other_account: z.boolean().optional() })
  .meta({ id: 'Reconnect', description: 'A new sign-in for a connection that exists' })
export const DeletedAnswer = z
  .object({ id: connectionId, revoked_upstream: z.boolean() })
  .meta({ id: 'Deleted', description: 'Hand-outs have stopped; revoked_upstream says whether the provider confirmed' })

export const HistoryQuery = z.strictObject({ limit: z.number().int().min(1).max(1000).optional() })
export const HistoryAnswer = z
  .object({
    presentations: z.array(
      z.object({
        fence: z.int(),
        attempt: z.string(),
        grant: z.int(),
        generation: z.int(),
        presented: z
          .string()
          .nullable()
          .meta({ description: 'Fingerprint of the refresh token; null: client credentials' }),
        owner: z.string(),
        host: z.string(),
        process: z.string().nullable().meta({ description: 'Program and process id: information only' }),
        why: z.string(),
        acquired_at: moment,
        ended_at: moment.nullable(),
        outcome: z.string().nullable().meta({ description: 'null: open' }),
      }),
    ),
  })
  .meta({ id: 'History' })

// ---- connect sessions ----------------------------------------------------------------------------------------------

const CONNECT_FAILURES = [
  'denied',
  'interaction_required',
  'not_authentic',
  'code_refused',
  'misconfigured',
  'unavailable',
  'other_account',
  'held',
  'not_connectable',
] as const

export const ConnectSession = z
  .object({
    id: z.string(),
    provider: name,
    client: name,
    connection: connectionId.meta({ description: 'What it becomes, or gives a new sign-in' }),
    labels,
    scope: z.string().nullable(),
    status: z.enum(['open', 'signing_in', 'exchanging', 'connected', 'expired']).meta({
      description:
        'open: nobody is on the way; signing_in: a person is at the provider; expired: nobody can begin any more',
    }),
    failure: z
      .object({
        because: z.enum(CONNECT_FAILURES),
        word: z.string().nullable().meta({ description: "The provider's own error word" }),
        at: moment,
      })
      .nullable()
      .meta({ description: 'What the newest attempt failed with; the person may begin again' }),
    renewed: z.boolean().nullable().meta({ description: 'With connected: it existed, and got a new sign-in' }),
    created_at: moment,
    expires_at: moment,
  })
  .meta({ id: 'ConnectSession' })
export const ConnectSessionMade = ConnectSession.extend({
  url: z.string().meta({ description: 'The link for the person: shown now and never again' }),
}).meta({ id: 'ConnectSessionMade' })
export const ConnectSessionBody = z
  .strictObject({
    client: name.optional(),
    provider: name.optional().meta({ description: 'Enough where it has one client only' }),
    connection: connectionId.optional().meta({ description: 'One that is there, or a new id; absent: one is made up' }),
    labels: labels.optional().meta({ description: 'Of a connection that is new' }),
    scope: z.string().max(4000).optional(),
    resource: z.array(z.string().max(2000)).max(20).optional().meta({ description: 'RFC 8707' }),
    other_account: z.boolean().optional().meta({ description: 'Another account than before is meant' }),
    return_to: url.optional().meta({ description: 'Where the person goes afterwards' }),
    expires_in: z
      .number()
      .min(1)
      .max(604_800)
      .optional()
      .meta({ description: 'Seconds in which a person may begin; 3600 where absent' }),
  })
  .meta({ id: 'NewConnectSession' })

// ---- local refresh tokens ------------------------------------------------------------------------------------------

export const LocalRefreshToken = z
  .object({
    id: z.string(),
    connection: connectionId,
    api_key: z.string().meta({ description: 'The id of the key that alone may use it: the client_id' }),
    created_at: moment,
    revoked_at: moment.nullable(),
  })
  .meta({ id: 'LocalRefreshToken' })
export const LocalRefreshTokensAnswer = z
  .object({ local_refresh_tokens: z.array(LocalRefreshToken) })
  .meta({ id: 'LocalRefreshTokens' })
export const ShareBody = z.strictObject({ api_key: z.string().max(100) }).meta({ id: 'Share' })
export const ShareAnswer = LocalRefreshToken.extend({
  refresh_token: z.string().meta({ description: 'Shown now and never again' }),
}).meta({ id: 'LocalRefreshTokenMade' })

// ---- providers and clients -----------------------------------------------------------------------------------------

const reuse = z.union([
  z.strictObject({ kind: z.enum(['reusable', 'strict', 'unknown']) }),
  z.strictObject({ kind: z.literal('counted'), n: z.int().min(1).max(1000) }),
  z.strictObject({ kind: z.literal('grace'), seconds: z.number().positive().max(2_592_000), winner: z.enum(WINNERS) }),
  z.strictObject({ kind: z.literal('grace'), until: z.literal('successor_used'), winner: z.enum(WINNERS) }),
])
const word = z.string().min(1).max(100)
const signs = z
  .array(z.union([word, z.strictObject({ status: z.int().min(200).max(599), word: word.optional() })]))
  .max(50)
  .meta({ description: 'Words, statuses, or words that count with one status only' })
const members = z.array(z.string().min(1).max(100)).max(10)
const texts = z.record(z.string().min(1).max(64), z.string().min(1).max(1000))
const separator = z.enum([' ', ',', '+'])
const settings = {
  preset: z.string().nullable(),
  issuer: url.nullable(),
  token_endpoint: url.nullable(),
  refresh_endpoint: url.nullable().meta({ description: 'Where refreshes go if not to the token endpoint' }),
  revocation_endpoint: url.nullable(),
  introspection_endpoint: url.nullable(),
  authorization_endpoint: url.nullable().meta({ description: 'Where a person is sent to sign in' }),
  pushed_authorization_request_endpoint: url.nullable(),
  device_authorization_endpoint: url.nullable(),
  jwks_uri: url
    .nullable()
    .meta({ description: 'The keys that its ID tokens, logout tokens and events are signed with' }),
  userinfo_endpoint: url.nullable().describe('Where a new access token is shown to learn whose account it is'),
  token_endpoint_auth_method: z
    .enum(METHODS_OF_SECRETS)
    .meta({ description: 'Of clients with a secret that do not say' }),
  reuse: reuse.meta({ description: 'What a second presentation of one refresh token does' }),
  narrowing: z.enum(['token_only', 'sticks', 'unknown']),
  refresh_kills_access_token: z.boolean(),
  access_token_lifetime: seconds.nullable().meta({ description: 'Seconds, where answers do not say it' }),
  refresh_token_idle: seconds.nullable().meta({ description: 'Seconds that an unused refresh token lives' }),
  refresh_token_absolute: seconds
    .nullable()
    .meta({ description: 'Seconds from sign-in to its end, where answers do not say it' }),
  introspect_every: seconds
    .nullable()
    .meta({ description: 'Seconds between two questions whether a token in use is active (RFC 7662); null: none' }),
  event_audience: z
    .string()
    .min(1)
    .max(500)
    .nullable()
    .meta({ description: '`aud` of its security events; null: the client ids' }),
  requests_per_minute: z
    .int()
    .min(1)
    .max(100_000)
    .nullable()
    .meta({ description: 'Presentations a minute from one process at most; null: not limited' }),
  concurrency: z
    .int()
    .min(1)
    .max(1000)
    .nullable()
    .meta({ description: 'Presentations at once from one process at most; null: not limited' }),
  words: z.strictObject({
    reused: signs,
    rejected: signs,
    interaction_required: signs,
    misconfigured: signs,
    unavailable: signs,
    in_doubt: signs,
  }),
  request: z.strictObject({
    encoding: z.enum(['form', 'json']),
    parameters: texts,
    headers: texts,
    scope_separator: separator,
    basic_credentials: z
      .enum(['encoded', 'raw'])
      .meta({ description: 'raw: id and secret stand in a Basic header as they are, without RFC 6749 section 2.3.1' }),
    assertion_audience: z.string().min(1).max(1000).nullable().meta({
      description: 'aud of assertions: null the issuer where known, token_endpoint its URL, else what is said',
    }),
  }),
  answer: z.strictObject({
    tokens_in: members,
    access_token: members,
    refresh_token: members,
    expires_in: members,
    refresh_token_expires_in: members,
    scope: members,
    words: members,
    subject: members.describe('Where it says whose account it is, for sign-ins that bring no ID token'),
    token_type: z.literal('Bearer').nullable(),
    scope_separator: separator,
  }),
  authorization: z
    .strictObject({
      parameters: texts,
      scope: z.string().min(1).max(4000).nullable().meta({ description: 'Asked for where a sign-in names none' }),
      pkce: z.enum(['S256', 'none']),
    })
    .meta({ description: 'How people are sent there to sign in' }),
  api_base_urls: z.array(url).max(50),
  allow_private_network: z.boolean(),
}
export const Provider = z.object({ id: name, revision: z.int(), ...settings }).meta({ id: 'Provider' })
export const ProviderBody = z
  .strictObject({
    ...settings,
    words: settings.words.partial(),
    request: settings.request.partial(),
    answer: settings.answer.partial(),
    variables: texts.meta({ description: "What stands in braces in the preset's URLs" }),
  })
  .partial()
  .meta({
    id: 'ProviderSettings',
    description: 'What is left out comes from the preset, else from the cautious default',
  })
export const ProvidersAnswer = z.object({ providers: z.array(Provider) }).meta({ id: 'Providers' })

export const Client = z
  .object({
    id: name,
    revision: z.int(),
    provider: name,
    client_id: z.string(),
    token_endpoint_auth_method: z.enum(AUTH_METHODS),
    token_endpoint_auth_signing_alg: z
      .enum([...SECRET_ALGS, ...KEY_ALGS])
      .nullable()
      .meta({ description: 'What assertions are signed with; of private_key_jwt: by keys made from now on' }),
    client_assertion_file: z
      .string()
      .nullable()
      .meta({ description: 'The file that assertions are read from; set on the machine of the server only' }),
    certificate: z
      .object({ chain: z.string(), thumbprint: z.string(), expires_at: moment })
      .nullable()
      .meta({ description: 'What is shown in TLS handshakes (RFC 8705)' }),
    dpop_bound_access_tokens: z.boolean(),
  })
  .meta({ id: 'Client' })
export const ClientBody = z
  .strictObject({
    provider: name,
    client_id: z.string().min(1).max(1000),
    client_secret: z.string().min(1).max(4000).optional(),
    token_endpoint_auth_method: z.enum(AUTH_METHODS).optional(),
    token_endpoint_auth_signing_alg: z.enum([...SECRET_ALGS, ...KEY_ALGS]).optional(),
    client_key: z.string().min(1).max(40_000).optional().meta({
      description: 'A private key of your own, PEM or a JWK; with private_key_jwt one is made where there is none',
    }),
    kid: z.string().min(1).max(200).optional().meta({ description: 'What the provider calls client_key' }),
    client_certificate: z
      .string()
      .min(1)
      .max(40_000)
      .optional()
      .meta({ description: 'PEM, for tls_client_auth and self_signed_tls_client_auth: the own one first' }),
    dpop_bound_access_tokens: z.boolean().optional(),
  })
  .meta({ id: 'ClientSettings' })
/** RFC 7517 section 5. */
export const JwksAnswer = z
  .object({ keys: z.array(z.record(z.string(), z.union([z.string(), z.array(z.string())]))) })
  .meta({ id: 'Jwks', description: 'Public keys of a client (RFC 7517)' })
export const ClientKey = z
  .object({
    kid: z.string(),
    alg: z.enum(KEY_ALGS),
    state: z.enum(['next', 'signing', 'previous', 'retired']),
    created_at: moment,
    signs_from: moment,
    published_until: moment.nullable().meta({ description: 'null: it has no successor' }),
  })
  .meta({ id: 'ClientKey', description: 'A key that a client signs with, as far as it may be seen' })
export const ClientKeysAnswer = z.object({ keys: z.array(ClientKey) }).meta({ id: 'ClientKeys' })
const upToAMonth = z.number().min(0).max(2_592_000).optional()
export const RotateKeyBody = z
  .strictObject({
    now: z.boolean().optional().meta({ description: 'It signs at once, as does one that waits already' }),
    use_after: upToAMonth.meta({ description: 'Seconds until it signs; a day where absent' }),
    keep_published: upToAMonth.meta({
      description: 'Seconds that the key before it stays published then; a day where absent',
    }),
  })
  .meta({ id: 'RotateKey' })
export const ClientsAnswer = z.object({ clients: z.array(Client) }).meta({ id: 'Clients' })

// ---- API keys ------------------------------------------------------------------------------------------------------

export const ApiKey = z
  .object({
    id: z.string().meta({ description: 'Also the client_id at the drop-in token endpoint' }),
    name: z.string(),
    scopes: z.array(z.enum(SCOPES)),
    labels: labels.meta({ description: 'Only connections with all of these exist for this key' }),
    sources: z
      .record(z.string(), z.string())
      .meta({ description: 'Provider to connection: whose token serves client_credentials' }),
    identities: z.array(TrustedIdentity),
    created_at: moment,
    expires_at: moment.nullable(),
    revoked_at: moment.nullable(),
  })
  .meta({ id: 'ApiKey' })
export const ApiKeyBody = z
  .strictObject({
    name: z.string().min(1).max(100),
    scopes: z.array(z.enum(SCOPES)).min(1).optional().meta({ description: 'token:read alone where absent' }),
    labels: labels.optional(),
    sources: z.record(name, connectionId).optional(),
    expires_at: moment.nullable().optional(),
  })
  .meta({ id: 'NewApiKey' })
export const ApiKeyMadeAnswer = ApiKey.extend({
  key: z.string().meta({ description: 'The key itself: shown now and never again' }),
}).meta({ id: 'ApiKeyMade' })
export const ApiKeysAnswer = z.object({ api_keys: z.array(ApiKey) }).meta({ id: 'ApiKeys' })
export const SourceBody = z.strictObject({ connection: connectionId.nullable() }).meta({ id: 'Source' })

// ---- incarnation ---------------------------------------------------------------------------------------------------

export const Incarnation = z
  .object({
    installation: z.string(),
    epoch: z.int().meta({ description: 'Raised at each open of the database, and while it is written' }),
    hold: z
      .object({ since: moment, because: z.enum(HOLD_REASONS) })
      .nullable()
      .meta({
        description: 'Why nothing is presented: the database is a copy or was put back. null: it is not on hold',
      }),
  })
  .meta({ id: 'Incarnation', description: 'Which life of which database this is' })
export const AdoptedAnswer = z
  .object({
    incarnation: Incarnation,
    was_on_hold: z.boolean(),
    in_doubt: z.int().meta({ description: 'Connections that are presented once, when their access token has ended' }),
  })
  .meta({ id: 'Adopted' })

// ---- problems ------------------------------------------------------------------------------------------------------

export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string().meta({ description: 'Stable; docs/errors.md lists them' }),
    retryable: z.boolean(),
    retry_at: moment.nullable(),
    subject: z.string().nullable(),
    reason: z.enum(REASONS).nullable(),
    blocked: z.enum(BLOCKED).nullable(),
    errors: z
      .array(z.object({ in: z.enum(['path', 'query', 'header', 'body']), name: z.string(), detail: z.string() }))
      .optional()
      .meta({ description: 'With invalid_input: each thing that is wrong, and where' }),
  })
  .meta({ id: 'Problem', description: 'What went wrong (RFC 9457)' })

export type ConnectionWire = z.infer<typeof Connection>
export type ProviderWire = z.infer<typeof Provider>
export type ClientWire = z.infer<typeof Client>
export type ClientKeyWire = z.infer<typeof ClientKey>
export type ClientKeysWire = z.infer<typeof ClientKeysAnswer>
export type RotateKeyWire = z.infer<typeof RotateKeyBody>
export type JwksWire = z.infer<typeof JwksAnswer>
export type ApiKeyWire = z.infer<typeof ApiKey>
export type LocalRefreshTokenWire = z.infer<typeof LocalRefreshToken>
export type PresentationWire = z.infer<typeof HistoryAnswer>['presentations'][number]
export type TokenWire = z.infer<typeof TokenAnswer>
export type ImportWire = z.infer<typeof ImportBody>
export type ReconnectWire = z.infer<typeof ReconnectBody>
export type ProviderSettingsWire = z.infer<typeof ProviderBody>
export type ClientSettingsWire = z.infer<typeof ClientBody>
export type NewApiKeyWire = z.infer<typeof ApiKeyBody>
export type ProblemWire = z.infer<typeof Problem>
export type RejectedWire = z.infer<typeof RejectedAnswer>
export type IntrospectedWire = z.infer<typeof IntrospectedAnswer>
export type ConnectSessionWire = z.infer<typeof ConnectSession>
export type ConnectSessionMadeWire = z.infer<typeof ConnectSessionMade>
export type NewConnectSessionWire = z.infer<typeof ConnectSessionBody>
export type ConnectionsWire = z.infer<typeof ConnectionsAnswer>
export type DeletedWire = z.infer<typeof DeletedAnswer>
export type HistoryWire = z.infer<typeof HistoryAnswer>
export type LocalRefreshTokensWire = z.infer<typeof LocalRefreshTokensAnswer>
export type ShareWire = z.infer<typeof ShareAnswer>
export type ProvidersWire = z.infer<typeof ProvidersAnswer>
export type ClientsWire = z.infer<typeof ClientsAnswer>
export type ApiKeyMadeWire = z.infer<typeof ApiKeyMadeAnswer>
export type IncarnationWire = z.infer<typeof Incarnation>
export type AdoptedWire = z.infer<typeof AdoptedAnswer>
export type ApiKeysWire = z.infer<typeof ApiKeysAnswer>
