/**
 * `ANY /v1/proxy/{id}/{path}`: a request to an API with the connection's token on it, which the caller does not see.
 *
 * Everything happens before Fastify would read the body: it is not for us, has no limit, and is sent while it arrives.
 */
import { METHODS, type IncomingMessage } from 'node:http'
import { pipeline } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { TokenError } from '@tokenkeep/core'
import type { ApiAnswer, Forwarded } from '@tokenkeep/node'
import { PROXY } from '../../api/operations.ts'
import type { Acting, Denied } from '../acting.ts'
import { bearerOf, callerOf, forbidden, may, type Caller, type CallerDesk } from '../caller.ts'
import type { Metrics } from '../metrics.ts'
import type { Pressure } from '../pressure.ts'
import { HttpProblem } from '../problem.ts'
import { BASE_URL_HEADER, headersToApi, headersToCaller } from './headers.ts'
import { problemOf, proxyStatusOf } from './not-answered.ts'
import { readProxyTarget, type ProxyTarget } from './target.ts'

export interface ProxySetup {
  readonly acting: Acting
  readonly denied: Denied
  readonly desk: CallerDesk
  readonly metrics: Metrics
  readonly pressure: Pressure
  /** A connection that exists, for this caller. @throws TokenError `unknown_connection` */
  readonly visible: (caller: Caller, id: string) => Promise<string>
  /** Requests that have a limit of their own instead of the server's for arriving whole. */
  readonly unhurried: WeakSet<object>
  readonly idleMs: number
}

/** All that Node reads, but for tunnels, and for what would answer with the token that was sent. */
const FORWARDED = METHODS.filter((method) => method !== 'CONNECT' && method !== 'TRACE')

export function registerProxy(app: FastifyInstance, setup: ProxySetup): void {
  for (const method of FORWARDED) {
    if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true })
  }
  for (const url of ['/v1/proxy/:id', '/v1/proxy/:id/*']) {
    app.route({
      method: FORWARDED,
      url,
      config: { operation: 'proxy' },
      onRequest: (request, reply) => proxied(setup, request, reply),
      // Nothing is left to do.
      handler: () => undefined,
    })
  }
}

async function proxied(setup: ProxySetup, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { pressure, desk, metrics } = setup
  pressure.check()
  const caller = await callerOf(request, desk, null)
  if (!may(caller, PROXY.scopes)) {
    setup.denied(caller, 'proxy', undefined)
    throw forbidden(PROXY.scopes)
  }
  const target = readProxyTarget(request.url)
  refuseStrayKey(request)

  const left = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) left.abort()
  })
  setup.unhurried.add(request.raw)
  try {
    const outcome = await forwardFor(setup, { caller, target, request, signal: left.signal }).catch(
      (error: unknown) => {
        if (error instanceof TokenError) metrics.handOut('proxy', error.code)
        throw error
      },
    )
    metrics.handOut('proxy', 'ok')
    if (outcome.kind === 'answer') return void handOn(outcome, { metrics, request, reply, left: left.signal })
    metrics.proxied(outcome.provider, outcome.because)
    reply.header('proxy-status', proxyStatusOf(outcome.because))
    throw problemOf(outcome)
  } catch (error) {
    if (left.signal.aborted) {
      // Nobody is there to be told.
      reply.hijack()
      return
    }
    // What is left of the body would be taken for the next request.
    if (!request.raw.complete) reply.header('connection', 'close')
    throw error
  }
}

function forwardFor(
  { acting, visible, idleMs }: ProxySetup,
  of: {
    readonly caller: Caller
    readonly target: ProxyTarget
    readonly request: FastifyRequest
    readonly signal: AbortSignal
  },
): Promise<Forwarded> {
  const { caller, target, request, signal } = of
  const { raw } = request
  const baseUrl = request.headers[BASE_URL_HEADER]
  return visible(caller, target.connection).then((id) =>
    acting(caller).forward(id, {
      method: request.method,
      path: target.path,
      query: target.query,
      baseUrl: baseUrl === undefined ? undefined : String(baseUrl),
      headers: headersToApi(raw.rawHeaders),
      body: hasBody(raw) ? raw : null,
      idleMs,
      signal,
      // Looked at twice: an id that was deleted meanwhile can have been given to a connection that this caller does not see.
      beforeSending: caller.limited ? () => visible(caller, id) : undefined,
    }),
  )
}

/** RFC 9112 section 6.3. */
const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0

/** A key that was put where the API would see it. */
function refuseStrayKey({ headers, raw, url }: FastifyRequest): void {
  const key = bearerOf(headers.authorization)
  if (key === null) return
  const stray = raw.rawHeaders.some(
    (text, at) => at % 2 === 1 && raw.rawHeaders[at - 1]?.toLowerCase() !== 'authorization' && text.includes(key),
  )
  if (!stray && !url.includes(key)) return
  throw new HttpProblem(
    'invalid_input',
    'the API key stands in the URL or in another header, too, which the API would see: it belongs into Authorization alone.',
  )
}

function handOn(
  answer: ApiAnswer,
  of: {
    readonly metrics: Metrics
    readonly request: FastifyRequest
    readonly reply: FastifyReply
    readonly left: AbortSignal
  },
): void {
  const { metrics, request, reply, left } = of
  const { status, provider } = answer
  const headers = [
    ...headersToCaller(answer.headers, status),
    // A caller that still sends is told that this connection ends with the answer.
    ...(request.raw.complete ? [] : [['connection', 'close'] as const]),
  ]
  try {
    reply.raw.writeHead(status, headers.flat())
  } catch {
    // Node reads more than it writes.
    answer.body.destroy()
    metrics.proxied(provider, 'malformed')
    throw problemOf({ kind: 'not_answered', provider, because: 'malformed' })
  }
  reply.hijack()
  // A stream of events may begin long before its first event.
  reply.raw.flushHeaders()
  metrics.answered('proxy', status)
  let ended = 'caller_left'
  answer.body.once('error', () => {
    if (!left.aborted) ended = 'broken_off'
  })
  pipeline(answer.body, reply.raw, (error) => {
    metrics.proxied(provider, error == null ? `${Math.floor(status / 100)}xx` : ended)
  })
}
