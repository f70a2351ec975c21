/** What each operation of the API does, beside handing out: read, ask the library, write. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import {
  parseConnectionId,
  runsAgain,
  TokenError,
  type Clock,
  type FailureCode,
  type PutCondition,
} from '@tokenkeep/core'
import type { ApiKey, Tokenkeep, TrustedIdentityInput } from '@tokenkeep/node'
import type { z } from 'zod'
import { OPERATIONS, type Operation, type OperationId } from '../api/operations.ts'
import type { Acting, Denied } from './acting.ts'
import { auditHandlers } from './audit-routes.ts'
import { isLoopback } from './addressed.ts'
import { callerOf, forbidden, may, type Caller, type CallerDesk, type SessionsOfRequests } from './caller.ts'
import type { Addressed } from './addressed.ts'
import { linkUrl } from './connect/connect.ts'
import { readInput, readQuery } from './input.ts'
import { labelsOf, merged } from './labels.ts'
import { createOverviews } from './overview.ts'
import {
  assertMatch,
  CONDITIONAL,
  readIfMatch,
  tagOf,
  tagOfConnection,
  tagOfRevision,
  type IfMatch,
} from './preconditions.ts'
import { HttpProblem } from './problem.ts'
import type { Log } from './log.ts'
import { minutesHandlers } from './minutes-routes.ts'
import type { Metrics } from './metrics.ts'
import type { Pressure } from './pressure.ts'
import * as wire from './wire-objects.ts'

export interface RoutesSetup {
  readonly keep: Tokenkeep
  readonly acting: Acting
  readonly denied: Denied
  readonly desk: CallerDesk
  readonly sessions: SessionsOfRequests
  readonly addressed: Addressed
  readonly clock: Pick<Clock, 'now'>
  readonly metrics: Metrics
  readonly pressure: Pressure
  readonly log: Log
  /** Keys, connections or local refresh tokens ended here: nothing that was believed is believed any longer. */
  readonly forget: () => void
  /** The id of a connection that exists for this caller. @throws TokenError `unknown_connection` */
  readonly visible: (caller: Caller, id: string) => Promise<string>
}

type Ids = Readonly<Record<'id' | 'provider' | 'identity', string>>
interface Asked<Id extends OperationId> {
  readonly caller: Caller
  readonly ids: Ids
  /** Where the caller finds this server. */
  readonly baseUrl: string
  readonly query: Input<(typeof OPERATIONS)[Id], 'query'>
  readonly body: Input<(typeof OPERATIONS)[Id], 'body'>
  /** Null: whatever state it is in. */
  readonly ifMatch: IfMatch | null
}
type Input<Of, Part extends 'query' | 'body'> =
  Of extends Readonly<Record<Part, infer Schema extends z.ZodType>> ? z.infer<Schema> : undefined
/** `page/session-routes.ts` does these: they make and end what others are known by. */
type SessionOperation = 'createSession' | 'getSession' | 'deleteSession'
export type Handlers = {
  readonly [Id in Exclude<OperationId, 'getToken' | 'listEvents' | SessionOperation>]: (
    asked: Asked<Id>,
  ) => Promise<z.infer<(typeof OPERATIONS)[Id]['answer']>>
}

export function registerRoutes(app: FastifyInstance, setup: RoutesSetup): void {
  const handlers = handlersOf(setup)
  for (const [id, handle] of Object.entries(handlers) as [
    keyof Handlers,
    (asked: Asked<never>) => Promise<unknown>,
  ][]) {
    const operation: Operation = OPERATIONS[id]
    app.route({
      method: operation.method,
      url: operation.path.replaceAll(/\{(\w+)\}/g, ':$1'),
      config: { operation: id },
      // Before the body is read: nobody unknown makes us read one.
      onRequest: async (request) => {
        setup.pressure.check()
        const caller = await callerOf(request, setup.desk, operation.keyOnly === true ? null : setup.sessions)
        if (!may(caller, operation.scopes)) {
          setup.denied(caller, id, subjectIn(request))
          throw forbidden(operation.scopes)
        }
        request.caller = caller
      },
      handler: async (request, reply) => {
        const baseUrl = setup.addressed.baseUrl(request.headers.host, request.protocol)
        const conditional = CONDITIONAL.find((each) => each === id)
        const ifMatch = conditional === undefined ? null : readIfMatch(request.headers['if-match'])
        const asked = { ...readRequest(operation, request), baseUrl, ifMatch } as Asked<never>
        const answer = await handle(asked).catch((error: unknown) => {
          // What a key may not pass on, or do beyond its labels, is known only here.
          if (error instanceof HttpProblem && error.code === 'forbidden' && request.caller !== null)
            setup.denied(request.caller, id, subjectIn(request))
          throw error
        })
        if (conditional !== undefined) reply.header('etag', tagOf(conditional, answer))
        setup.metrics.answered(id, operation.status)
        if (operation.method !== 'GET' && !OF_TOKENS.includes(id)) tellOfAct(setup.log, id, request, answer)
        return reply
          .code(operation.status)
          .header('content-type', 'application/json; charset=utf-8')
          .send(JSON.stringify(answer))
      },
    })
  }
}

const subjectIn = ({ params }: FastifyRequest): string | undefined => (params as Partial<Ids>).id

/** What callers do all the time; the others change something, and somebody will ask who it was. */
const OF_TOKENS: readonly OperationId[] = ['getToken', 'rejectToken', 'introspect']

function tellOfAct(log: Log, operation: OperationId, { caller, params }: FastifyRequest, answer: unknown): void {
  const made = answer as { readonly id?: unknown; readonly token_endpoint?: unknown; readonly issuer?: unknown }
  const tokensFrom = made.token_endpoint ?? made.issuer
  log.info(
    {
      operation,
      apiKeyId: caller?.apiKey.id,
      ...(params as Record<string, string>),
      ...(made.id === undefined ? {} : { id: made.id }),
      // Where refresh tokens are sent from now on.
      ...(typeof tokensFrom === 'string' ? { tokensFrom: URL.parse(tokensFrom)?.host } : {}),
    },
    'changed by an API key',
  )
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; null before anybody looked. */
    caller: Caller | null
  }
  interface FastifyContextConfig {
    /** The name of the operation, for metrics. */
    operation?: string
  }
}

function readRequest(operation: Operation, request: FastifyRequest) {
  const at = request.url.indexOf('?')
  const search = at === -1 ? '' : request.url.slice(at + 1)
  if (operation.query === undefined && search !== '') {
    throw new HttpProblem('invalid_input', 'this operation has no query parameters: leave what stands behind ? out')
  }
  if (operation.body === undefined && request.body !== undefined && request.body !== null) {
    throw new HttpProblem('invalid_input', 'this operation has no body: leave it out')
  }
  return {
    caller: request.caller,
    ids: request.params,
    query: operation.query === undefined ? undefined : readQuery(operation.query, search),
    body: operation.body === undefined ? undefined : readInput('body', operation.body, bodyIn(request)),
  }
}

function bodyIn({ body }: FastifyRequest): unknown {
  if (body === undefined) {
    throw new HttpProblem('malformed_request', 'this operation wants a body: JSON, as Content-Type: application/json.')
  }
  return body
}

function handlersOf({ keep, acting, desk, clock, visible, forget }: RoutesSetup): Handlers {
  const now = (): number => clock.now().wall
  const overview = createOverviews({ keep, clock })

  /** A key that this caller may look after: one that is limited at least as it is itself. Others are not there. */
  const keyInSight = async (caller: Caller, id: string): Promise<ApiKey> => {
    const apiKey = await keep.apiKeys.get(id).catch(nullWhere('unknown_api_key'))
    if (apiKey === null || !covers(caller, apiKey)) throw unknownApiKey()
    return apiKey
  }

  /** @throws TokenError `connection_exists`: there is one of this id, and it is not this caller's */
  const visibleOrFree = async (caller: Caller, id: string): Promise<void> => {
    const parsed = parseConnectionId(id)
    if ('wrong' in parsed) throw new TokenError('invalid_input', parsed.wrong)
    if (await desk.admits(caller, parsed.id)) return
    const found = await keep.connections.get(parsed.id).catch(nullWhere('unknown_connection'))
    if (found !== null) throw taken(parsed.id)
  }

  return {
    ...minutesHandlers({ keep, visible }),
    ...auditHandlers({ keep }),

    async rejectToken({ caller, ids, body }) {
      const id = await visible(caller, ids.id)
      return wire.rejectionWire(await keep.rejected(id, body.access_token))
    },
    async introspect({ caller, ids }) {
      return { result: await keep.introspect(await visible(caller, ids.id)) }
    },

    getOverview: ({ caller }) => overview(caller.apiKey.labels),
    async listConnections({ caller, query }) {
      const labels = merged(caller.apiKey.labels, labelsOf(query.label))
      if (labels === null) return { connections: [], next_cursor: null }
      const { search, status, reason, provider, client, limit, cursor } = query
      const after = cursor === undefined ? undefined : idOfCursor(cursor)
      const asked = { search, status, reason, provider, client, labels, limit, after }
      const { connections, next } = await keep.connections.page(asked)
      return {
        connections: connections.map(wire.connectionWire),
        next_cursor: next === null ? null : cursorOf(next),
      }
    },
    async importConnection({ caller, body }) {
      const labels = merged(caller.apiKey.labels, body.labels ?? {})
      if (labels === null) throw otherLabels()
      // Whose access that would be is the registration's, which all connections share.
      if (caller.limited && body.grant_type !== undefined && runsAgain(body.grant_type)) throw machineAccess()
      const { id, client } = body
      const signIn = wire.signInOf(body, now())
      const imported = acting(caller).connections.import({ ...signIn, ...wire.grantOf(body), id, client, labels })
      return wire.connectionWire(await imported.catch((error: unknown) => rethrow(error, caller)))
    },
    async getConnection({ caller, ids }) {
      return wire.connectionWire(await keep.connections.get(await visible(caller, ids.id)))
    },
    async labelConnection({ caller, ids, body, ifMatch }) {
      const id = await visible(caller, ids.id)
      const seen = ifMatch === null ? null : await keep.connections.get(id)
      if (seen !== null && ifMatch !== null) assertMatch(ifMatch, tagOfConnection(seen), id)
      const within = caller.apiKey.labels
      const unchangedFrom = ifMatch === 'any' ? undefined : seen?.labels
      const info = await acting(caller).connections.label(id, body.labels, { within, unchangedFrom })
      // Who may see it has changed.
      forget()
      return wire.connectionWire(info)
    },
    async reconnectConnection({ caller, ids, body }) {
      const id = await visible(caller, ids.id)
      const reconnected = acting(caller).connections.reconnect(id, wire.reconnectOf(body, now()))
      return wire.connectionWire(await reconnected.catch((error: unknown) => rethrow(error, caller)))
    },
    async resolveConnection({ caller, ids }) {
      return wire.connectionWire(await acting(caller).connections.resolve(await visible(caller, ids.id), 'present'))
    },
    async deleteConnection({ caller, ids }) {
      const id = await visible(caller, ids.id)
      const { revokedUpstream } = await acting(caller).connections.delete(id)
      forget()
      return { id, revoked_upstream: revokedUpstream }
    },
    async getHistory({ caller, ids, query }) {
      const id = await visible(caller, ids.id)
      return { presentations: (await keep.connections.history(id, query.limit)).map(wire.presentationWire) }
    },

    async createConnectSession({ caller, body, baseUrl }) {
      const labels = merged(caller.apiKey.labels, body.labels ?? {})
      if (labels === null) throw otherLabels()
      const given = wire.connectSessionInput({ ...body, labels })
      // One that it does not see is not there, and could not be made under that id either.
      if (given.connection !== undefined && caller.limited) await visibleOrFree(caller, given.connection)
      const { session, link } = await acting(caller).connectSessions.create(given, caller.apiKey)
      return { ...wire.connectSessionWire(session, now()), url: linkUrl(baseUrl, link) }
    },
    async getConnectSession({ caller, ids }) {
      const session = await keep.connectSessions.get(ids.id).catch(nullWhere('unknown_connect_session'))
      // Others' are not there for a key that is limited to some connections.
      if (session === null || (caller.limited && session.madeBy !== caller.apiKey.id)) throw unknownConnectSession()
      return wire.connectSessionWire(session, now())
    },

    async listLocalRefreshTokens({ caller, ids }) {
      const id = await visible(caller, ids.id)
      return { local_refresh_tokens: (await keep.localRefreshTokens.list(id)).map(wire.localRefreshTokenWire) }
    },
    async shareConnection({ caller, ids, body }) {
      const id = await visible(caller, ids.id)
      const { id: holder } = await keyInSight(caller, body.api_key)
      const { localRefreshToken, refreshToken } = await acting(caller).localRefreshTokens.share(id, { with: holder })
      return { ...wire.localRefreshTokenWire(localRefreshToken), refresh_token: refreshToken }
    },
    async revokeLocalRefreshToken({ caller, ids }) {
      const token = await keep.localRefreshTokens.get(ids.id).catch(nullWhere('unknown_local_refresh_token'))
      // Asked in both cases, so that both take as long.
      const seen = !caller.limited || (await desk.admits(caller, token?.connection ?? 'none'))
      if (token === null || !seen) throw unknownLocalRefreshToken()
      const revoked = await acting(caller).localRefreshTokens.revoke(token.id)
      forget()
      return wire.localRefreshTokenWire(revoked)
    },

    async getIncarnation() {
      return wire.incarnationWire(await keep.incarnation())
    },
    async adopt({ caller }) {
      return wire.adoptedWire(await acting(caller).adopt())
    },

    async listProviders() {
      return { providers: (await keep.providers.list()).map(wire.providerWire) }
    },
    async getProvider({ ids }) {
      return wire.providerWire(await keep.providers.get(ids.id))
    },
    async putProvider({ caller, ids, body, ifMatch }) {
      const condition = await conditionOf(ifMatch, ids.id, keep.providers.get, 'unknown_provider')
      return wire.providerWire(await acting(caller).providers.put(wire.providerInput(ids.id, body), condition))
    },
    async listClients() {
      return { clients: (await keep.clients.list()).map(wire.clientWire) }
    },
    async getClient({ ids }) {
      return wire.clientWire(await keep.clients.get(ids.id))
    },
    async putClient({ caller, ids, body, ifMatch }) {
      const condition = await conditionOf(ifMatch, ids.id, keep.clients.get, 'unknown_client')
      return wire.clientWire(await acting(caller).clients.put(wire.clientInput(ids.id, body), condition))
    },
    async listClientKeys({ ids }) {
      return { keys: (await keep.clients.keys(ids.id)).map(wire.clientKeyWire) }
    },
    async rotateClientKey({ caller, ids, body }) {
      return { keys: (await acting(caller).clients.rotateKey(ids.id, wire.rotationOf(body))).map(wire.clientKeyWire) }
    },

    async listApiKeys({ caller }) {
      const all = await keep.apiKeys.list()
      return { api_keys: all.filter((apiKey) => covers(caller, apiKey)).map(wire.apiKeyWire) }
    },
    async createApiKey({ caller, body }) {
      const labels = merged(caller.apiKey.labels, body.labels ?? {})
      if (labels === null) throw beyond('for connections that it does not see itself')
      const wanted = wire.apiKeyInput({ ...body, labels })
      const { expiresAt } = caller.apiKey
      if (!(wanted.scopes ?? ['token:read']).every((scope) => may(caller, [scope])))
        throw beyond('with scopes that it does not have itself')
      if (expiresAt !== null && (wanted.expiresAt == null || wanted.expiresAt > expiresAt))
        throw beyond('that outlives it: give expires_at, not after its own end')
      const { apiKey, key } = await acting(caller).apiKeys.create(wanted)
      return { ...wire.apiKeyWire(apiKey), key }
    },
    async revokeApiKey({ caller, ids }) {
      const { id } = await keyInSight(caller, ids.id)
      const revoked = await acting(caller).apiKeys.revoke(id)
      forget()
      return wire.apiKeyWire(revoked)
    },
    async setSource({ caller, ids, body }) {
      const { id } = await keyInSight(caller, ids.id)
      return wire.apiKeyWire(await acting(caller).apiKeys.setSource(id, ids.provider, body.connection))
    },
    async trustIdentity({ caller, ids, body }) {
      const apiKey = await keyInSight(caller, ids.id)
      const wanted = wire.identityInput(body)
      if (reachesInside(wanted) && !may(caller, ['providers:write'])) throw askedInside()
      // What shows the identity is as good as the key, and goes on being so when this caller has ended.
      const { expiresAt } = caller.apiKey
      if (expiresAt !== null && (apiKey.expiresAt === null || apiKey.expiresAt > expiresAt))
        throw beyond('that outlives it, nor let one be shown by a JWT')
      const trusting = await acting(caller).apiKeys.trust(apiKey.id, wanted)
      forget()
      return wire.apiKeyWire(trusting)
    },
    async untrustIdentity({ caller, ids }) {
      const { id } = await keyInSight(caller, ids.id)
      const distrusting = await acting(caller).apiKeys.untrust(id, ids.identity)
      forget()
      return wire.apiKeyWire(distrusting)
    },
  }
}

/** @throws TokenError `changed_meanwhile` */
async function conditionOf(
  ifMatch: IfMatch | null,
  id: string,
  get: (id: string) => Promise<{ readonly revision: number }>,
  unknown: FailureCode,
): Promise<PutCondition> {
  if (ifMatch === null) return {}
  const found = await get(id).catch(nullWhere(unknown))
  assertMatch(ifMatch, found && tagOfRevision(found), id)
  return { revision: ifMatch === 'any' ? 'any' : found?.revision }
}

/** Whether a key may do and see at most what its caller may. */
function covers(caller: Caller, { scopes, labels }: ApiKey): boolean {
  const own = Object.entries(caller.apiKey.labels)
  return scopes.every((scope) => may(caller, [scope])) && own.every(([name, value]) => labels[name] === value)
}

/** For what is not there and for what the caller may not see: the same words, so none of the library's. */
const nullWhere =
  (code: FailureCode) =>
  (error: unknown): null => {
    if (error instanceof TokenError && error.code === code) return null
    throw error
  }

const unknownApiKey = (): TokenError =>
  new TokenError(
    'unknown_api_key',
    'there is no API key of this id that this one could look after: GET /v1/keys lists them.',
  )

const unknownConnectSession = (): TokenError =>
  new TokenError('unknown_connect_session', 'there is no connect session of this id, or not any more: make a new one.')

const taken = (id: string): TokenError =>
  new TokenError('connection_exists', `connection "${id}" exists, and this API key may not give it a sign-in.`, {
    subject: id,
  })

const unknownLocalRefreshToken = (): TokenError =>
  new TokenError(
    'unknown_local_refresh_token',
    'there is no local refresh token of this id: GET /v1/connections/{id}/local-refresh-tokens lists those of a connection.',
  )

/** Whether keys would be fetched from where only this server can reach. */
function reachesInside({ issuer, jwksUri, allowPrivateNetwork }: TrustedIdentityInput): boolean {
  const url = URL.parse(jwksUri ?? issuer)
  return allowPrivateNetwork === true || (url !== null && isLoopback(url.hostname))
}

const askedInside = (): HttpProblem =>
  new HttpProblem(
    'forbidden',
    'an issuer on the machine of this server, or in a private network, needs the scope providers:write, too.',
  )

const beyond = (how: string): HttpProblem =>
  new HttpProblem('forbidden', `this API key cannot make one ${how}. Ask whoever has a key with scope admin.`)

// ---- labels --------------------------------------------------------------------------------------------------------

const otherLabels = (): HttpProblem =>
  new HttpProblem(
    'forbidden',
    'this API key is limited to connections with certain labels, and this one would have other values for them.',
  )

const machineAccess = (): HttpProblem =>
  new HttpProblem(
    'forbidden',
    "this API key is limited to connections with certain labels, and a grant without a person is a registration's own access: " +
      'let a key without labels import that connection.',
  )

/** A connection that a limited caller does not see is not named to it. */
function rethrow(error: unknown, caller: Caller): never {
  if (!caller.limited || !(error instanceof TokenError) || error.code !== 'refresh_token_held') throw error
  throw new TokenError(
    'refresh_token_held',
    'another connection holds this refresh token already. Two keepers of one refresh token would end the sign-in: ' +
      'give this one a sign-in of its own.',
  )
}

// ---- cursors -------------------------------------------------------------------------------------------------------

const cursorOf = (id: string): string => Buffer.from(id, 'utf8').toString('base64url')

function idOfCursor(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString('utf8')
  if (id !== '' && Buffer.from(id, 'utf8').toString('base64url') === cursor) return id
  throw new HttpProblem('invalid_input', 'in the query, cursor is not the next_cursor of another page')
}
