/**
 * The drop-in: token, revocation and introspection endpoint and discovery of an authorization server, at the paths where
 * a Keycloak realm has them. An OAuth client that exists already only changes its token URL.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '@tokenkeep/core'
import type { Tokenkeep } from '@tokenkeep/node'
import type { Acting } from '../acting.ts'
import type { Addressed } from '../addressed.ts'
import type { CallerDesk } from '../caller.ts'
import type { FreeSince } from '../free-since.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Pressure } from '../pressure.ts'
import { saysLess } from '../problem.ts'
import { registerDiscovery } from './discovery.ts'
import { takeForms } from './form-endpoint.ts'
import { registerIntrospection } from './introspection.ts'
import { refusalAnswer } from './refusal.ts'
import { registerRevocation } from './revocation.ts'
import type { Shares } from './shares.ts'
import { registerTokenEndpoint } from './token-endpoint.ts'

export interface DropInSetup {
  readonly keep: Tokenkeep
  readonly acting: Acting
  readonly desk: CallerDesk
  readonly addressed: Addressed
  readonly metrics: Metrics
  readonly pressure: Pressure
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
  readonly shares: Shares
  readonly freeSince: FreeSince
  /** How long a client is kept waiting for a refresh. */
  readonly waitMs: number
}

export function registerDropIn(app: FastifyInstance, setup: DropInSetup): void {
  registerDiscovery(app, setup)
  // A scope of its own: it takes forms where the API takes JSON, and says errors as RFC 6749 does.
  void app.register((scope, _options, done) => {
    takeForms(scope)
    scope.setErrorHandler((error, request, reply) => answerRefusal(error, request, reply, setup))
    registerTokenEndpoint(scope, setup)
    registerRevocation(scope, setup)
    registerIntrospection(scope, setup)
    done()
  })
}

function answerRefusal(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  { metrics, clock, log }: DropInSetup,
): FastifyReply {
  const refusal = refusalAnswer(error, clock.now().wall)
  // To whom this server does not want to talk is for the handler around this one.
  if (refusal === null) throw error
  const operation = request.routeOptions.config.operation ?? 'other'
  if (refusal.code === 'unexpected') log.error({ operation, error }, 'a request failed')
  else if (saysLess(error)) log.warn({ operation, error }, 'a request could not be served')
  else if (refusal.status < 500) metrics.refused(refusal.code)
  metrics.answered(operation, refusal.status)
  return reply
    .code(refusal.status)
    .headers(refusal.headers)
    .header('pragma', 'no-cache')
    .header('content-type', 'application/json; charset=utf-8')
    .send(JSON.stringify(refusal.body))
}
