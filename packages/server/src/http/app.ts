/** The HTTP server: what every request meets, and where it goes. */
import { type Buffer, isUtf8 } from 'node:buffer'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { parseConnectionId, TokenError, type Clock } from '@tokenkeep/core'
import type { Coordination, Tokenkeep } from '@tokenkeep/node'
import { createActing, createDenied } from './acting.ts'
import { createAddressed } from './addressed.ts'
import { createCallerDesk, type Caller } from './caller.ts'
import { registerClientJwks } from './client-jwks.ts'
import { answerOn, watchConnections, type Connections } from './connections.ts'
import { registerConnect } from './connect/connect.ts'
import { registerEvents, type EventStreams } from './events-route.ts'
import { registerDropIn } from './drop-in/drop-in.ts'
import { createShares } from './drop-in/shares.ts'
import { createFreeSince } from './free-since.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import { openApiDocument } from './openapi.ts'
import { createEntryCodes, type EntryCodes } from './page/entry-codes.ts'
import { registerPage } from './page/page-files.ts'
import { createSessionCookie } from './page/session-cookie.ts'
import { registerSessionRoutes } from './page/session-routes.ts'
import { watchPressure } from './pressure.ts'
import { registerProxy } from './proxy/proxy-route.ts'
import { HttpProblem, refusalOf, saysLess, stopping } from './problem.ts'
import { registerReceivers } from './receivers.ts'
import { registerRoutes } from './routes.ts'
import { SECURITY_HEADERS } from './security-headers.ts'
import type { HttpSettings } from './settings.ts'
import { registerTokenRoute } from './token-route.ts'
import { answerUnreadable, endWith } from './unreadable.ts'

export interface AppSetup {
  readonly keep: Tokenkeep
  readonly settings: HttpSettings
  readonly metrics: Metrics
  readonly log: Log
  readonly clock: Pick<Clock, 'now'>
  /** Of this program, for the OpenAPI document. */
  readonly version: string
}

export interface ListenOptions {
  readonly host: string
  /** 0: a free one. */
  readonly port: number
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer } | undefined
}

export interface App extends AsyncDisposable {
  /** @throws TokenError `in_use`, `invalid_input` where nobody can listen there */
  listen(at: ListenOptions): Promise<{ readonly url: string; readonly port: number }>
  /**
   * Lets a browser on this machine sign in at the page once, within a minute, without anybody copying a key.
   *
   * @param apiKey the id of the key to sign in with
   * @returns what stands behind the server's URL; a fragment, so that no request and no log has it
   */
  entry(apiKey: string): string
  /** From now on `/readyz` says no; everything else goes on. */
  stopping(): void
  /** Takes no new request, and answers those that are here for `withinMs` at most. */
  close(withinMs: number): Promise<void>
}

/** An id of 200 characters, each of them four bytes, each of those escaped. */
const PARAMETER_LENGTH_MAX = 2400
const HEADERS_BYTES_MAX = 16 * 1024
/** Longer than the idle limit of common proxies, so that it is they who end an idle connection. */
const KEEP_ALIVE_MS = 75_000
const SWEEP_EVERY_MS = 50
/** A thousand workers whose token ended at the same moment connect at once; whom the queue has no place for waits a second. */
const BACKLOG = 4096
/** A request that is too slow is noticed so late at most, or after half of its time again. */
const LATE_NOTICED_MS = 1_000

export function createApp(setup: AppSetup): App {
  let server: FastifyInstance | null = null
  let connections: Connections | null = null
  let streams: EventStreams | null = null
  let ready = true
  const codes = createEntryCodes(setup)
  const app: App = {
    async listen({ host, port, tls }) {
      ;({ server, streams } = build(setup, { tls, codes, ready: () => ready }))
      connections = watchConnections(server.server, tls === undefined ? 'connection' : 'secureConnection')
      try {
        // Of Fastify's two servers for this name the second has none of our settings and is not waited for.
        await server.listen({ host: host === 'localhost' ? '127.0.0.1' : host, port, backlog: BACKLOG })
      } catch (error) {
        await server.close()
        throw notListening(error, { host, port })
      }
      const { address, port: taken } = server.server.address() as AddressInfo
      return { url: urlOf(tls === undefined ? 'http' : 'https', address, taken), port: taken }
    },
    entry: (apiKey) => `/#/enter/${codes.make(apiKey)}`,
    stopping() {
      ready = false
      // They would never end by themselves.
      streams?.end()
    },
    async close(withinMs) {
      ready = false
      streams?.end()
      if (server === null) return
      // Repeated, it waits for the same end.
      const closing = server.close()
      // A connection whose last answer was sent stays open for the next request, which nobody would take.
      const sweep = setInterval(() => connections?.closeIdle(), SWEEP_EVERY_MS)
      const cut = setTimeout(() => connections?.closeAll(), withinMs)
      await closing
      clearInterval(sweep)
      clearTimeout(cut)
    },
    [Symbol.asyncDispose]: () => app.close(0),
  }
  return app
}

function build(
  { keep, settings, metrics, log, clock, version }: AppSetup,
  of: { readonly tls: ListenOptions['tls']; readonly ready: () => boolean; readonly codes: EntryCodes },
): { readonly server: FastifyInstance; readonly streams: EventStreams } {
  const { codes } = of
  const addressed = createAddressed(settings)
  const desk = createCallerDesk({ callers: keep.callers, pageSessions: keep.pageSessions, clock, settings, log })
  const cookie = createSessionCookie(addressed)
  const transport = transportOf(settings)
  /** Bodies that are sent on while they arrive, for as long as that takes. */
  const unhurried = new WeakSet<object>()
  const app = Fastify({
    ...(of.tls === undefined
      ? { http: transport }
      : { https: { ...transport, ...of.tls, handshakeTimeout: settings.requestTimeoutMs } }),
    logger: false,
    bodyLimit: settings.bodyBytesMax,
    requestTimeout: settings.requestTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    trustProxy: settings.trustedProxies.length === 0 ? false : [...settings.trustedProxies],
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: PARAMETER_LENGTH_MAX },
    clientErrorHandler: (error, socket) => {
      const late = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      const answer = answerOn(socket)
      if (late && answer !== null && unhurried.has(answer.req)) return
      answerUnreadable(error, socket)
    },
    // For a path that cannot be read no hook runs.
    frameworkErrors: (error, request, reply) => {
      reply.headers(SECURITY_HEADERS)
      void answerProblem(misdirected(request) ?? error, request, reply)
    },
  }) as unknown as FastifyInstance

  const misdirected = (request: FastifyRequest): HttpProblem | undefined => {
    try {
      addressed.check(request.raw)
      return undefined
    } catch (error) {
      return error as HttpProblem
    }
  }

  const answerProblem = (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const refusal = refusalOf(inOurWords(error), clock.now().wall)
    if (refusal.code === 'unexpected') log.error({ operation: operationOf(request), error }, 'a request failed')
    else if (saysLess(error)) log.warn({ operation: operationOf(request), error }, 'a request could not be served')
    else if (refusal.status < 500) metrics.refused(refusal.code)
    metrics.answered(operationOf(request), refusal.status)
    return reply
      .code(refusal.status)
      .headers(refusal.headers)
      .header('content-type', 'application/problem+json; charset=utf-8')
      .send(JSON.stringify(refusal.body))
  }
  const routes = routesOf(app)
  app.setErrorHandler(answerProblem)
  app.setNotFoundHandler((request, reply) => answerProblem(noSuchRoute(routes, request), request, reply))
  readJson(app)
  answerAll(app)
  app.decorateRequest('caller', null)
  app.addHook('onRequest', (request, _reply, done) => {
    // Where there is nothing, no body is read either.
    done(misdirected(request) ?? (request.is404 ? noSuchRoute(routes, request) : undefined))
  })
  // Answers that leave past Fastify, as those of the token routes do, write these headers themselves.
  app.addHook('onSend', (_request, reply, payload, done) => {
    // What is public may be kept, and pages are for browsers: they say so themselves.
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) if (!reply.hasHeader(name)) reply.header(name, value)
    done(null, payload)
  })
  registerStatus(app, { keep, metrics, ready: of.ready, document: JSON.stringify(openApiDocument(version)) })
  const visible = async (caller: Caller, given: string): Promise<string> => {
    const parsed = parseConnectionId(given)
    if ('wrong' in parsed) throw new TokenError('invalid_input', parsed.wrong)
    if (caller.limited && !(await desk.admits(caller, parsed.id))) throw unknownConnection(parsed.id)
    return parsed.id
  }
  const pressure = watchPressure(settings.eventLoopDelayMsMax, clock)
  app.addHook('onClose', () => pressure.stop())
  const acting = createActing(keep)
  const denied = createDenied(acting, log)
  registerTokenRoute(app, { acting, denied, desk, metrics, clock, visible, pressure })
  const shares = createShares({ callers: keep.callers, clock })
  const forget = (): void => {
    desk.forget()
    shares.forgetAll()
  }
  registerProxy(app, { acting, denied, desk, metrics, pressure, visible, unhurried, idleMs: settings.proxyIdleMs })
  const streams = registerEvents(app, { keep, desk, sessions: cookie, metrics, pressure, clock, denied })
  registerClientJwks(app, { keep, metrics, clock, pressure })
  registerReceivers(app, { keep, desk, metrics, pressure, clock, log })
  registerRoutes(app, {
    keep,
    acting,
    denied,
    desk,
    sessions: cookie,
    addressed,
    metrics,
    clock,
    visible,
    pressure,
    log,
    forget,
  })
  registerSessionRoutes(app, { keep, desk, cookie, codes, clock, metrics, pressure, log, forget })
  registerPage(app, { metrics, pressure })
  const strangersPerMinute = settings.wrongKeysPerMinute
  registerConnect(app, { keep, addressed, metrics, pressure, clock, log, forget, strangersPerMinute })
  registerDropIn(app, {
    keep,
    acting,
    desk,
    addressed,
    metrics,
    pressure,
    clock,
    log,
    shares,
    freeSince: createFreeSince(app.server, { of: of.tls === undefined ? 'connection' : 'secureConnection', clock }),
    waitMs: settings.dropInWaitMs,
  })
  return { server: app, streams }
}

/** How Node reads requests, beside what Fastify hands on to it. */
const transportOf = ({ requestTimeoutMs }: Pick<HttpSettings, 'requestTimeoutMs'>) => ({
  maxHeaderSize: HEADERS_BYTES_MAX,
  // Fastify sets it too late for the limit of the headers to follow, and of the two the longer one is then the body's.
  requestTimeout: requestTimeoutMs,
  connectionsCheckingInterval: Math.max(1, Math.min(LATE_NOTICED_MS, requestTimeoutMs / 2)),
  // Node would believe the first of two keys, types or hosts; joined, they are no key, type or host at all.
  joinDuplicateHeaders: true,
  // Node's own refusal would be an empty one.
  requireHostHeader: false,
})

/** JSON, and nothing else. An empty body is none, whatever type it is announced with, as many clients always do. */
function readJson(app: FastifyInstance): void {
  const json = app.getDefaultJsonParser('error', 'error')
  app.removeContentTypeParser(['application/json', 'text/plain'])
  app.addContentTypeParser(
    ['application/json', 'application/merge-patch+json'],
    { parseAs: 'buffer' },
    (request, body: Buffer, done) => {
      if (body.length === 0) done(null, undefined)
      else if (!isUtf8(body))
        done(new HttpProblem('malformed_request', 'the body is not UTF-8 (RFC 8259 section 8.1).'))
      else void json(request, body.toString('utf8'), done)
    },
  )
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body: Buffer, done) => {
    done(body.length === 0 ? null : otherMediaType(), undefined)
  })
}

const otherMediaType = (): HttpProblem =>
  new HttpProblem('unsupported_media_type', 'the body must be JSON, sent as Content-Type: application/json.')

/** What Node would answer in its own words, or not at all. */
function answerAll({ server }: FastifyInstance): void {
  // An expectation that nobody knows may be ignored (RFC 9110 section 10.1.1).
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
  server.on('connect', (_request, socket) => {
    const headers = { allow: 'GET, POST, PUT, PATCH, DELETE' }
    endWith(socket, new HttpProblem('method_not_allowed', 'this is no proxy.', { headers }))
  })
}

const unknownConnection = (id: string): TokenError =>
  new TokenError('unknown_connection', `there is no connection "${id}".`, { subject: id })

const operationOf = (request: FastifyRequest): string => request.routeOptions.config.operation ?? 'other'

// ---- status --------------------------------------------------------------------------------------------------------

interface StatusSetup {
  readonly keep: Tokenkeep
  readonly metrics: Metrics
  readonly ready: () => boolean
  /** The OpenAPI document, as JSON. */
  readonly document: string
}

/** Without a key, so that probes and scrapers need none: nothing here names a connection. */
function registerStatus(app: FastifyInstance, { keep, metrics, ready, document }: StatusSetup): void {
  const texts: Readonly<Record<string, () => Promise<{ readonly contentType: string; readonly text: string }>>> = {
    healthz: async () => ({ contentType: PLAIN, text: 'ok\n' }),
    readyz: async () => {
      if (!ready()) throw stopping()
      // The database answers, or this throws what is wrong with it.
      const { hold } = await keep.incarnation()
      // Ready all the same: what lives is handed out, and nobody else could do more.
      const said = [hold === null ? 'ready' : `hold: ${HELD}`, ...shortOf(keep.coordination())]
      return { contentType: PLAIN, text: `${said.join('\n')}\n` }
    },
    metrics: () => metrics.expose(),
    'openapi.json': async () => ({ contentType: 'application/json; charset=utf-8', text: document }),
  }
  for (const [path, text] of Object.entries(texts)) {
    app.route({
      // Some probes ask for the headers alone.
      method: ['GET', 'HEAD'],
      url: `/${path}`,
      config: { operation: path },
      handler: async (_request, reply) => {
        const { contentType, text: body } = await text()
        metrics.answered(path, 200)
        return reply.header('content-type', contentType).send(body)
      },
    })
  }
}

/** What works with delay only, and why. */
function shortOf({ hearsCommits, seesLocks, behindPooler }: Coordination): readonly string[] {
  if (hearsCommits && seesLocks) return []
  const why = behindPooler ? 'a pooler is between this server and Postgres' : 'Postgres does not show it at this moment'
  return [
    ...(hearsCommits ? [] : [`polling: ${why}, so refreshes of other hosts are seen within a second`]),
    ...(seesLocks
      ? []
      : [`timer only: ${why}, so the end of a process on another host is noticed when its lease is over`]),
  ]
}

const HELD = 'this database is a copy or was put back, and nothing is presented until `tokenkeep adopt`'
const PLAIN = 'text/plain; charset=utf-8'

// ---- what is no operation ------------------------------------------------------------------------------------------

interface KnownRoute {
  readonly method: string
  readonly path: RegExp
}

/** Every route that is registered from now on, to tell a wrong method from a wrong path. */
function routesOf(app: FastifyInstance): readonly KnownRoute[] {
  const routes: KnownRoute[] = []
  app.addHook('onRoute', ({ method, url }) => {
    const path = new RegExp(`^${url.replaceAll('.', '\\.').replaceAll(/:\w+/g, '[^/]+').replace('*', '.*')}$`)
    for (const each of [method].flat()) routes.push({ method: each, path })
  })
  return routes
}

function noSuchRoute(routes: readonly KnownRoute[], { url }: FastifyRequest): HttpProblem {
  const [path = '/'] = url.replace(/^https?:\/\/[^/?]*/i, '').split('?', 1)
  const allowed = routes.filter((route) => route.path.test(path)).map(({ method }) => method)
  if (allowed.length === 0) return nothingThere()
  return new HttpProblem('method_not_allowed', `this path knows ${allowed.join(', ')}.`, {
    headers: { allow: allowed.join(', ') },
  })
}

const nothingThere = (): HttpProblem =>
  new HttpProblem('unknown_route', 'there is nothing at this path: /openapi.json lists what there is.')

/** Fastify's own refusals; what is not among them is a failure of ours, or a mistake. */
function inOurWords(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error) || error instanceof TokenError || error instanceof HttpProblem)
    return error
  switch ((error as FastifyError).code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new HttpProblem('body_too_large', 'the body is larger than this server takes.')
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return otherMediaType()
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return new HttpProblem('malformed_request', 'the body is not JSON.')
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new HttpProblem('malformed_request', 'the body is not as long as Content-Length says.')
    // Of the request, whose sender is gone: nobody reads this, and it is no failure of ours.
    case 'ECONNRESET':
      return new HttpProblem('malformed_request', 'the body did not arrive whole.')
    case 'FST_ERR_BAD_URL':
      return new HttpProblem('malformed_request', 'the path has an escape that is none: write % as %25.')
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new HttpProblem('malformed_request', 'a part of the path is longer than any id.')
    default:
      return error
  }
}

function notListening(error: unknown, { host, port }: { readonly host: string; readonly port: number }): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'EADDRINUSE') {
    return new TokenError('in_use', `port ${port} is in use. Choose another with --port, or end what listens there.`)
  }
  if (code === 'EACCES' || code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return new TokenError('invalid_input', `nobody can listen on ${host}, port ${port}, here (${code}).`)
  }
  return error
}

function urlOf(scheme: string, address: string, port: number): string {
  const everywhere = address === '0.0.0.0' || address === '::'
  const host = everywhere ? '127.0.0.1' : address.includes(':') ? `[${address}]` : address
  return `${scheme}://${host}:${port}`
}
