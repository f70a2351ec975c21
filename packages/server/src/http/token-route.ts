/**
 * `GET /v1/connections/{id}/token`, the route that is asked all the time: no schema at run time, no async layer of its
 * own, and what does not change of an answer is written once for each hand-out.
 */
import { Buffer } from 'node:buffer'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { TokenError, type Clock, type HandOut, type TokenOptions } from '@tokenkeep/core'
import { OPERATIONS } from '../api/operations.ts'
import { TokenQuery } from '../api/wire.ts'
import type { Acting, Denied } from './acting.ts'
import { bearerOf, forbidden, may, unauthorized, type Caller, type CallerDesk } from './caller.ts'
import { readQuery } from './input.ts'
import type { Metrics } from './metrics.ts'
import type { Pressure } from './pressure.ts'
import { SECURITY_HEADERS } from './security-headers.ts'
import { secondsLeft } from './wire-objects.ts'

export interface TokenRouteSetup {
  readonly acting: Acting
  readonly denied: Denied
  readonly desk: CallerDesk
  readonly metrics: Metrics
  readonly clock: Pick<Clock, 'now'>
  readonly pressure: Pressure
  /** A connection that exists, for this caller. @throws TokenError `unknown_connection` */
  readonly visible: (caller: Caller, id: string) => Promise<string>
}

const WAIT_SECONDS_MAX = 120
const { scopes } = OPERATIONS.getToken

export function registerTokenRoute(app: FastifyInstance, setup: TokenRouteSetup): void {
  const { acting, desk, metrics, clock, pressure } = setup
  const written = new WeakMap<HandOut, Written>()

  const answer = (reply: FastifyReply, given: HandOut): void => {
    let text = written.get(given)
    if (text === undefined) {
      text = writtenOf(given)
      written.set(given, text)
    }
    metrics.handOut('api', 'ok')
    metrics.answered('getToken', 200)
    const left = String(secondsLeft(given.expiresAt, clock.now().wall))
    // Past Fastify, whose way through serialisation and hooks costs a tenth of the whole request.
    reply.hijack()
    const applied = reply.getHeader('preference-applied')
    reply.raw.writeHead(200, [
      ...HEADERS,
      'content-length',
      String(text.bytes + left.length),
      ...(applied === undefined ? [] : ['preference-applied', String(applied)]),
    ])
    reply.raw.end(text.before + left + text.after)
  }

  const failed = (reply: FastifyReply, error: unknown): void => {
    if (error instanceof TokenError) metrics.handOut('api', error.code)
    reply.send(error)
  }

  const known = async (key: string, address: string): Promise<Caller> => {
    const caller = await desk.identify(key, address)
    if (caller === null) throw unauthorized('wrong')
    return caller
  }

  /** Looked at twice: an id that was deleted meanwhile can have been given to a connection that this caller does not see. */
  const limited = async (caller: Caller, id: string, asked: TokenOptions | undefined): Promise<HandOut> => {
    await setup.visible(caller, id)
    const given = await acting(caller).token(id, asked)
    await setup.visible(caller, id)
    return given
  }

  const handOut = (caller: Caller, request: FastifyRequest, reply: FastifyReply): void | Promise<void> => {
    const { id } = request.params as { id: string }
    if (!may(caller, scopes)) {
      setup.denied(caller, 'getToken', id)
      throw forbidden(scopes)
    }
    const asked = optionsOf(request)
    if (asked?.waitMs !== undefined) reply.header('preference-applied', `wait=${asked.waitMs / 1000}`)
    const token = caller.limited ? limited(caller, id, asked) : acting(caller).token(id, asked)
    void token.then(
      (given) => answer(reply, given),
      (error: unknown) => failed(reply, error),
    )
  }

  app.route({
    method: 'GET',
    url: '/v1/connections/:id/token',
    config: { operation: 'getToken' },
    handler: (request, reply) => {
      pressure.check()
      const key = bearerOf(request.headers.authorization)
      if (key === null) throw unauthorized(request.headers.authorization === undefined ? 'none' : 'other_scheme')
      const caller = desk.remembered(key)
      if (caller !== undefined) void handOut(caller, request, reply)
      else {
        void known(key, request.ip).then(
          (found) => {
            try {
              void handOut(found, request, reply)
            } catch (error) {
              failed(reply, error)
            }
          },
          (error: unknown) => failed(reply, error),
        )
      }
    },
  })
}

/** An answer but for the seconds that are left. */
interface Written {
  readonly before: string
  readonly after: string
  readonly bytes: number
}

function writtenOf({ accessToken, tokenType, scope }: HandOut): Written {
  const before = `{"access_token":${JSON.stringify(accessToken)},"token_type":${JSON.stringify(tokenType)},"expires_in":`
  const after = scope === null ? '}' : `,"scope":${JSON.stringify(scope)}}`
  return { before, after, bytes: Buffer.byteLength(before) + Buffer.byteLength(after) }
}

const HEADERS = [...Object.entries(SECURITY_HEADERS).flat(), 'content-type', 'application/json; charset=utf-8']

/** Undefined where nothing was asked for, which is the quickest. */
function optionsOf(request: FastifyRequest): TokenOptions | undefined {
  const { prefer } = request.headers
  const at = request.url.indexOf('?')
  if (at === -1 && prefer === undefined) return undefined
  const waitMs = prefer === undefined ? undefined : waitOf(prefer)
  if (at === -1) return waitMs === undefined ? undefined : { waitMs }
  const query = readQuery(TokenQuery, request.url.slice(at + 1))
  return {
    scope: query.scope,
    resource: query.resource,
    minTtlMs: query.min_ttl === undefined ? undefined : query.min_ttl * 1000,
    waitMs,
  }
}

/**
 * The wait of a `Prefer` header (RFC 7240 section 4.3), milliseconds; undefined: none is said, or one that is no whole
 * number of seconds. A preference that cannot be honoured is no mistake (section 2): `Preference-Applied` says which were.
 */
function waitOf(prefer: string | readonly string[]): number | undefined {
  const wait = [prefer]
    .flat()
    .flatMap((header) => header.split(','))
    .map((preference) => /^\s*wait\s*(?:=\s*"?([^";]*)"?)?\s*(?:;|$)/i.exec(preference))
    .find((match) => match !== null)
  const seconds = wait?.[1] ?? ''
  return /^\d{1,6}$/.test(seconds) ? Math.min(Number(seconds), WAIT_SECONDS_MAX) * 1000 : undefined
}
