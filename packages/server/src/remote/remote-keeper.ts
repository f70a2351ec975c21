/** A server's HTTP API as the library has it: each call is one request, and its errors are the library's. */
import { Buffer } from 'node:buffer'
import { parseConnectionId, parseName, TokenError, type ConnectionInfo, type ListOptions } from '@tokenkeep/core'
import type { ClientKeyInfo } from '@tokenkeep/node'
import { remoteAudit } from './audit.ts'
import { jwksPath } from '../api/jwks-path.ts'
import type {
  AdoptedWire,
  ApiKeyMadeWire,
  ApiKeysWire,
  ClientKeysWire,
  ClientsWire,
  ConnectionsWire,
  ConnectSessionMadeWire,
  ConnectSessionWire,
  DeletedWire,
  HistoryWire,
  IntrospectedWire,
  LocalRefreshTokensWire,
  ProvidersWire,
  ShareWire,
} from '../api/wire.ts'
import { remoteEvents } from './remote-events.ts'
import { createExchange, type Asked, type Server } from './exchange.ts'
import type { ServerKeeper } from './keeper.ts'
import { CONNECT_FAILURES, CONNECT_STATUSES, INTROSPECTED } from './known-words.ts'
import {
  readApiKey,
  readClient,
  readClientKey,
  readConnection,
  readHandOut,
  readHold,
  readJwks,
  readLocalRefreshToken,
  readPresentation,
  readProvider,
  readRejection,
} from './library-objects.ts'
import { membersOf } from './members.ts'
import { remoteMinutes } from './minutes.ts'
import {
  apiKeyBody,
  clientBody,
  connectSessionBody,
  importBody,
  providerBody,
  reconnectBody,
  rotationBody,
  trustBody,
} from './wire-bodies.ts'

/** How long a server waits for a token where nothing is said, and how much longer its answer may take to get here. */
const WAIT_MS = 20_000
const MARGIN_MS = 15_000
/** The provider is asked, and a refresh on its way is heard out before. */
const PROVIDER_ASKED_MS = 120_000
/** A write for each connection, and there may be a million. */
const ADOPTION_MS = 600_000
const LIST_DEFAULT = 100

/** @returns what answers as `openTokenkeep` does, as far as commands need it */
export function openRemote(server: Server): ServerKeeper {
  const { ask, close } = createExchange(server)
  const { now } = server
  const get = (path: string, query?: URLSearchParams): Asked => ({ method: 'GET', path, ...(query && { query }) })

  const keep: ServerKeeper = {
    providers: {
      put: async (input) =>
        ask({ method: 'PUT', path: providerPath(input.id), body: providerBody(input) }, readProvider),
      get: async (id) => ask(get(providerPath(id)), readProvider),
      list: async () =>
        ask(get('/v1/providers'), (answer) =>
          membersOf<ProvidersWire>(answer, 'the answer').list('providers', readProvider),
        ),
    },
    clients: {
      put: async (input) => ask({ method: 'PUT', path: clientPath(input.id), body: clientBody(input) }, readClient),
      get: async (id) => ask(get(clientPath(id)), readClient),
      list: async () =>
        ask(get('/v1/clients'), (answer) => membersOf<ClientsWire>(answer, 'the answer').list('clients', readClient)),
      keys: async (id) => ask(get(`${clientPath(id)}/keys`), readKeys),
      rotateKey: async (id, options = {}) =>
        ask({ method: 'POST', path: `${clientPath(id)}/keys/rotate`, body: rotationBody(options) }, readKeys),
      jwks: async (id) => ask(get(jwksPath(named('client', id))), readJwks),
    },
    connections: {
      import: async (input) =>
        ask({ method: 'POST', path: '/v1/connections', body: importBody(input, now()) }, readConnection),
      reconnect: async (id, input) =>
        ask(
          { method: 'POST', path: `${connectionPath(id)}/reconnect`, body: reconnectBody(input, now()) },
          readConnection,
        ),
      get: async (id) => ask(get(connectionPath(id)), readConnection),
      async list(options = {}) {
        const { limit = LIST_DEFAULT } = options
        const query = listQuery(options)
        const found: ConnectionInfo[] = []
        // A server gives what it found by so much work, which can be nothing, and says where to go on.
        for (let cursor: string | null = null; ;) {
          query.set('limit', String(limit - found.length))
          const page = await ask(get('/v1/connections', query), readPage)
          found.push(...page.connections)
          if (page.cursor === null || page.cursor === cursor || found.length >= limit) return found
          cursor = page.cursor
          query.set('cursor', cursor)
        }
      },
      async page(options = {}) {
        const query = listQuery(options)
        query.set('limit', String(options.limit ?? LIST_DEFAULT))
        const { connections, cursor } = await ask(get('/v1/connections', query), readPage)
        return { connections, next: cursor === null ? null : Buffer.from(cursor, 'base64url').toString('utf8') }
      },
      label: async (id, labels) => ask({ method: 'PATCH', path: connectionPath(id), body: { labels } }, readConnection),
      delete: async (id) =>
        ask({ method: 'DELETE', path: connectionPath(id), withinMs: PROVIDER_ASKED_MS }, (answer) => ({
          revokedUpstream: membersOf<DeletedWire>(answer, 'the answer').flag('revoked_upstream'),
        })),
      resolve: async (id) =>
        ask({ method: 'POST', path: `${connectionPath(id)}/resolve`, withinMs: PROVIDER_ASKED_MS }, readConnection),
      async history(id, limit) {
        const query = new URLSearchParams(limit === undefined ? {} : { limit: String(limit) })
        return ask(get(`${connectionPath(id)}/history`, query), (answer) =>
          membersOf<HistoryWire>(answer, 'the answer').list('presentations', readPresentation),
        )
      },
    },
    events: remoteEvents({ ask, get }),
    async token(id, { scope, resource = [], minTtlMs, waitMs } = {}) {
      const query = new URLSearchParams()
      if (scope !== undefined) query.set('scope', scope)
      for (const each of [resource].flat()) query.append('resource', each)
      if (minTtlMs !== undefined) query.set('min_ttl', String(Number((minTtlMs / 1000).toFixed(3))))
      const wait = waitMs === undefined ? {} : { prefer: `wait=${wholeSeconds(waitMs)}` }
      const withinMs = (waitMs ?? WAIT_MS) + MARGIN_MS
      return ask({ ...get(`${connectionPath(id)}/token`, query), ...wait, withinMs }, readHandOut)
    },
    rejected: async (id, accessToken) =>
      ask(
        { method: 'POST', path: `${connectionPath(id)}/rejected`, body: { access_token: accessToken } },
        readRejection,
      ),
    introspect: async (id) =>
      ask({ method: 'POST', path: `${connectionPath(id)}/introspect`, withinMs: PROVIDER_ASKED_MS }, (answer) =>
        membersOf<IntrospectedWire>(answer, 'the answer').oneOf('result', INTROSPECTED),
      ),
    incarnation: async () => ask(get('/v1/incarnation'), readHold),
    adopt: async () =>
      ask({ method: 'POST', path: '/v1/incarnation/adopt', withinMs: ADOPTION_MS }, (answer) => {
        const adopted = membersOf<AdoptedWire>(answer, 'the answer')
        return { wasOnHold: adopted.flag('was_on_hold'), inDoubt: adopted.number('in_doubt') }
      }),
    apiKeys: {
      create: async (input) =>
        ask({ method: 'POST', path: '/v1/keys', body: apiKeyBody(input) }, (answer) => ({
          apiKey: readApiKey(answer),
          key: membersOf<ApiKeyMadeWire>(answer, 'an API key').text('key'),
        })),
      list: async () =>
        ask(get('/v1/keys'), (answer) => membersOf<ApiKeysWire>(answer, 'the answer').list('api_keys', readApiKey)),
      revoke: async (id) => ask({ method: 'DELETE', path: apiKeyPath(id) }, readApiKey),
      setSource: async (id, provider, connection) =>
        ask(
          {
            method: 'PUT',
            path: `${apiKeyPath(id)}/sources/${segment(named('provider', provider))}`,
            body: { connection },
          },
          readApiKey,
        ),
      trust: async (id, identity) =>
        ask({ method: 'POST', path: `${apiKeyPath(id)}/identities`, body: trustBody(identity) }, readApiKey),
      untrust: async (id, identity) =>
        ask({ method: 'DELETE', path: `${apiKeyPath(id)}/identities/${segment(idOfIdentity(identity))}` }, readApiKey),
    },
    localRefreshTokens: {
      share: async (connection, to) =>
        ask(
          {
            method: 'POST',
            path: `${connectionPath(connection)}/local-refresh-tokens`,
            body: { api_key: idOfApiKey(to.with) },
          },
          (answer) => ({
            localRefreshToken: readLocalRefreshToken(answer),
            refreshToken: membersOf<ShareWire>(answer, 'a local refresh token').text('refresh_token'),
          }),
        ),
      list: async (connection) =>
        ask(get(`${connectionPath(connection)}/local-refresh-tokens`), (answer) =>
          membersOf<LocalRefreshTokensWire>(answer, 'the answer').list('local_refresh_tokens', readLocalRefreshToken),
        ),
      revoke: async (id) => ask({ method: 'DELETE', path: localRefreshTokenPath(id) }, readLocalRefreshToken),
    },
    connectSessions: {
      create: async (input) =>
        ask({ method: 'POST', path: '/v1/connect-sessions', body: connectSessionBody(input) }, (answer) => {
          const made = membersOf<ConnectSessionMadeWire>(answer, 'a connect session')
          return {
            id: made.text('id'),
            provider: made.text('provider'),
            connection: made.text('connection'),
            url: made.text('url'),
          }
        }),
      get: async (id) =>
        ask(get(`/v1/connect-sessions/${segment(id)}`), (answer) => {
          const session = membersOf<ConnectSessionWire>(answer, 'a connect session')
          const failure = session.nestedOrNull<NonNullable<ConnectSessionWire['failure']>>('failure')
          return {
            status: session.oneOf('status', CONNECT_STATUSES),
            failure: failure === null ? null : failure.oneOf('because', CONNECT_FAILURES),
          }
        }),
    },
    ...remoteMinutes(ask),
    audit: remoteAudit(ask),
    close: async () => close(),
    [Symbol.asyncDispose]: () => keep.close(),
  }
  return keep
}

const readKeys = (answer: unknown): readonly ClientKeyInfo[] =>
  membersOf<ClientKeysWire>(answer, 'the answer').list('keys', readClientKey)

function listQuery({ search, provider, client, status, reason, labels = {}, after }: ListOptions): URLSearchParams {
  const query = new URLSearchParams()
  if (search !== undefined) query.set('search', search)
  if (provider !== undefined) query.set('provider', provider)
  if (client !== undefined) query.set('client', client)
  for (const each of [status ?? []].flat()) query.append('status', each)
  for (const each of [reason ?? []].flat()) query.append('reason', each)
  for (const [name, value] of Object.entries(labels)) query.append('label', `${name}=${value}`)
  if (after !== undefined) query.set('cursor', Buffer.from(after, 'utf8').toString('base64url'))
  return query
}

function readPage(answer: unknown): { connections: readonly ConnectionInfo[]; cursor: string | null } {
  const page = membersOf<ConnectionsWire>(answer, 'the answer')
  return { connections: page.list('connections', readConnection), cursor: page.textOrNull('next_cursor') }
}

const WAIT_SECONDS_MAX = 999_999 // More digits are refused, and no server waits that long.
/** RFC 7240 section 4.3 has whole seconds: rather a little longer than not at all. */
const wholeSeconds = (waitMs: number): number => Math.min(Math.ceil(waitMs / 1000), WAIT_SECONDS_MAX)

// ---- paths ---------------------------------------------------------------------------------------------------------

/*
 * Ids are checked before they become a part of a path: `..` would lead to another route, and whoever mistakes the secret
 * for its id would leave it in the logs of whatever stands before the server.
 */

const segment = (id: string): string => encodeURIComponent(id)
const providerPath = (id: string): string => `/v1/providers/${segment(named('provider', id))}`
const clientPath = (id: string): string => `/v1/clients/${segment(named('client', id))}`
const apiKeyPath = (id: string): string => `/v1/keys/${segment(idOfApiKey(id))}`

function connectionPath(given: string): string {
  const parsed = parseConnectionId(given)
  if ('wrong' in parsed) throw new TokenError('invalid_input', parsed.wrong)
  return `/v1/connections/${segment(parsed.id)}`
}

function named(what: 'provider' | 'client', given: string): string {
  const parsed = parseName(what, given)
  if ('wrong' in parsed) throw new TokenError('invalid_input', parsed.wrong)
  return parsed.id
}

function idOfApiKey(id: string): string {
  if (/^key_\w{1,80}$/.test(id)) return id
  throw new TokenError(
    'unknown_api_key',
    'that is no id of an API key: it begins with key_ (`tokenkeep key list`). The key itself is not asked for.',
  )
}

function idOfIdentity(id: string): string {
  if (/^idn_\w{1,80}$/.test(id)) return id
  throw new TokenError(
    'invalid_input',
    'that is no id of a trusted identity: it begins with idn_ (`tokenkeep key list`). Its issuer and subject are not asked for.',
  )
}

function localRefreshTokenPath(id: string): string {
  if (/^lrt_\w{1,80}$/.test(id)) return `/v1/local-refresh-tokens/${segment(id)}`
  throw new TokenError(
    'unknown_local_refresh_token',
    'that is no id of a local refresh token: it begins with lrt_ (`tokenkeep connection shares ID`). The token itself ' +
      'is not asked for.',
  )
}
