/**
 * Where providers tell us that sign-ins ended: logout tokens (OpenID Connect Back-Channel Logout 1.0 section 2.5) and
 * security events (RFC 8935).
 *
 * Nobody shows an API key here: the signature is the credential. An answer never says which connections it was about, nor
 * whether there is a provider of that name to whoever cannot sign as it.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { TokenError, type Clock } from '@tokenkeep/core'
import type { Received, RefusedBecause, Tokenkeep } from '@tokenkeep/node'
import type { CallerDesk } from './caller.ts'
import { parseForm } from './drop-in/form.ts'
import { OAuthRefusal } from './drop-in/refusal.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Pressure } from './pressure.ts'
import { HttpProblem, refusalOf, saysLess } from './problem.ts'

export interface ReceiversSetup {
  readonly keep: Tokenkeep
  readonly desk: Pick<CallerDesk, 'countWrong'>
  readonly metrics: Metrics
  readonly pressure: Pressure
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
}

interface Receiver {
  /** Below `/providers/{id}/`. */
  readonly path: string
  readonly operation: string
  readonly counted: 'logout_token' | 'security_event'
  readonly mediaType: string
  /** Once it was taken. */
  readonly status: 200 | 202
  /** The token in a body. @throws OAuthRefusal where there is none */
  tokenIn(body: string): string
  receive(keep: Tokenkeep, provider: string, token: string): Promise<Received>
  /** What an answer that is no success has in it. */
  said(because: RefusedBecause | 'request' | 'later', description: string): Readonly<Record<string, string>>
}

const LOGOUT: Receiver = {
  path: 'backchannel-logout',
  operation: 'receiveLogoutToken',
  counted: 'logout_token',
  mediaType: 'application/x-www-form-urlencoded',
  status: 200,
  tokenIn(body) {
    const token = parseForm(body).get('logout_token')
    if (token === undefined) throw new OAuthRefusal('invalid_request', 'logout_token is missing')
    return token
  },
  receive: (keep, provider, token) => keep.receiveLogoutToken(provider, token),
  // Section 2.8: as RFC 6749 section 5.2 has errors.
  said: (because, error_description) => ({
    error: because === 'later' ? 'temporarily_unavailable' : 'invalid_request',
    error_description,
  }),
}

/** RFC 8935 section 2.4. What is not about key, issuer or audience is about the request. */
const EVENT_ERRORS: Partial<Record<RefusedBecause | 'request' | 'later', string>> = {
  not_authentic: 'authentication_failed',
  issuer: 'invalid_issuer',
  audience: 'invalid_audience',
  later: 'temporarily_unavailable',
}

const EVENTS: Receiver = {
  path: 'events',
  operation: 'receiveSecurityEvent',
  counted: 'security_event',
  mediaType: 'application/secevent+jwt',
  status: 202,
  // A line feed at the end is no part of it, and files have one.
  tokenIn: (body) => body.trim(),
  receive: (keep, provider, token) => keep.receiveSecurityEvent(provider, token),
  said: (because, description) => ({ err: EVENT_ERRORS[because] ?? 'invalid_request', description }),
}

/** In words for whoever sent it. Nothing of what was sent is repeated. */
const WORDS = {
  malformed: 'this is no signed JWT in its compact form',
  not_authentic: 'this is not signed by this provider, as far as is known here',
  type: 'its typ is that of another kind of token',
  issuer: 'its iss is not the issuer of this provider',
  audience: 'its aud names nobody here',
  expired: 'its exp has passed',
  too_old: 'its iat is more than a day ago',
  not_yet: 'its iat or nbf is yet to come',
  claims: 'a claim that it must have is missing or has another form, or it has one that it must not have',
} as const satisfies Record<RefusedBecause, string>

/** Keys that could not be had are asked for again after so long. */
const RETRY_AFTER_SECONDS = '30'

export function registerReceivers(app: FastifyInstance, setup: ReceiversSetup): void {
  for (const receiver of [LOGOUT, EVENTS]) register(app, receiver, setup)
}

function register(app: FastifyInstance, receiver: Receiver, setup: ReceiversSetup): void {
  const { keep, desk, metrics, pressure, log } = setup
  const { operation, counted, status } = receiver

  const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    pressure.check()
    const { id } = request.params as { id: string }
    if (typeof request.body !== 'string') throw otherMediaType(receiver)
    const received = await receiver.receive(keep, id, receiver.tokenIn(request.body))
    metrics.received(counted, received.kind === 'refused' ? received.because : received.kind)
    switch (received.kind) {
      case 'accepted':
      case 'known':
        metrics.answered(operation, status)
        return reply.code(status).send()
      case 'unavailable':
        log.warn({ operation, provider: id }, 'the keys of a provider cannot be had, so what it sent cannot be checked')
        return said(reply, 503, receiver.said('later', 'the keys of this provider cannot be had now'), {
          'retry-after': RETRY_AFTER_SECONDS,
        })
      case 'refused': {
        const { because } = received
        // Checked first and counted then: whoever shares an address with a flood is still heard.
        if (because === 'malformed' || because === 'not_authentic') desk.countWrong(request.ip)
        // Signed by the provider, so somebody here or there has to put it right.
        else log.warn({ operation, provider: id, because }, 'a provider sent what cannot be taken')
        metrics.refused('unauthorized')
        return said(reply, 400, receiver.said(because, WORDS[because]))
      }
    }
  }

  const said = (
    reply: FastifyReply,
    code: number,
    body: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>> = {},
  ): FastifyReply => {
    metrics.answered(operation, code)
    return reply
      .code(code)
      .headers({ 'content-language': 'en', ...headers })
      .header('content-type', 'application/json; charset=utf-8')
      .send(JSON.stringify(body))
  }

  void app.register((scope, _options, done) => {
    take(scope, receiver)
    scope.setErrorHandler((error, _request, reply) => {
      const refusal = refusedBy(error, receiver, setup)
      // To whom this server does not want to talk is for the handler around this one.
      if (refusal === null) throw error
      return said(reply, refusal.status, refusal.body, refusal.headers)
    })
    scope.route({ method: 'POST', url: `/providers/:id/${receiver.path}`, config: { operation }, handler: answer })
    done()
  })
}

/** From now on this scope takes one kind of body, as text. */
function take(scope: FastifyInstance, receiver: Receiver): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser(receiver.mediaType, { parseAs: 'string' }, (_request, body, done) => done(null, body))
  scope.addContentTypeParser('*', (_request, payload, done) => {
    payload.resume()
    done(otherMediaType(receiver))
  })
}

const otherMediaType = ({ mediaType }: Receiver): OAuthRefusal =>
  new OAuthRefusal('invalid_request', `the body must be sent as Content-Type: ${mediaType}`)

interface ReceiverRefusal {
  readonly status: number
  readonly body: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
}

/** @returns null: it is about the transport, and not ours to say */
function refusedBy(error: unknown, receiver: Receiver, setup: ReceiversSetup): ReceiverRefusal | null {
  const { metrics, log, clock } = setup
  if (error instanceof Error && 'code' in error && error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return refusedBy(otherMediaType(receiver), receiver, setup)
  if (error instanceof OAuthRefusal) {
    metrics.refused(error.code)
    return { status: 400, body: receiver.said('request', error.message), headers: {} }
  }
  const refusal = refusalOf(error, clock.now().wall)
  const ours = error instanceof TokenError || (error instanceof HttpProblem && error.code === 'overloaded')
  if (!ours) return null
  if (saysLess(error)) log.warn({ operation: receiver.operation, error }, 'a request could not be served')
  else if (refusal.status < 500) metrics.refused(refusal.code)
  const later = refusal.status === 503 || refusal.status === 429
  return {
    status: refusal.status,
    body: receiver.said(later ? 'later' : 'request', refusal.body.detail),
    headers: refusal.headers,
  }
}
