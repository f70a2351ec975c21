/** Signing in at the page with an API key, who is signed in, and signing out. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '@tokenkeep/core'
import type { ApiKey, PageSession, Tokenkeep } from '@tokenkeep/node'
import type { z } from 'zod'
import { OPERATIONS } from '../../api/operations.ts'
import { SignInBody, type PageSessionWire } from '../../api/session-wire.ts'
import { bearerOf, callerOf, isKey, unauthorized, type CallerDesk } from '../caller.ts'
import { readInput } from '../input.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Pressure } from '../pressure.ts'
import { HttpProblem } from '../problem.ts'
import type { EntryCodes } from './entry-codes.ts'
import type { SessionCookie } from './session-cookie.ts'

export interface SessionRoutesSetup {
  readonly keep: Pick<Tokenkeep, 'pageSessions'>
  readonly desk: CallerDesk
  readonly cookie: SessionCookie
  readonly codes: EntryCodes
  readonly clock: Pick<Clock, 'now'>
  readonly metrics: Metrics
  readonly pressure: Pressure
  readonly log: Log
  /** A session ended here: nothing that was believed is believed any longer. */
  readonly forget: () => void
}

export function registerSessionRoutes(app: FastifyInstance, setup: SessionRoutesSetup): void {
  const { keep, desk, cookie, codes, clock, metrics, pressure, log, forget } = setup
  const { path: url } = OPERATIONS.createSession

  const answer = (reply: FastifyReply, operation: SessionOperation, body: unknown): FastifyReply => {
    const { status } = OPERATIONS[operation]
    metrics.answered(operation, status)
    return reply.code(status).header('content-type', 'application/json; charset=utf-8').send(JSON.stringify(body))
  }

  /** @throws HttpProblem `unauthorized`; TokenError `rate_limited` */
  const keyOf = async (given: z.infer<typeof SignInBody>, address: string): Promise<string> => {
    if ((given.code === undefined) === (given.api_key === undefined)) throw oneOfThem()
    if (given.code !== undefined) {
      const apiKey = codes.take(given.code)
      if (apiKey !== null) return apiKey
      desk.countWrong(address)
      throw unauthorized('code_over')
    }
    // Nobody signs in here with a JWT: it is a program's, and ends within minutes.
    const caller = isKey(given.api_key ?? '') ? await desk.identify(given.api_key ?? '', address) : null
    if (caller !== null) return caller.apiKey.id
    if (!isKey(given.api_key ?? '')) desk.countWrong(address)
    throw unauthorized('wrong')
  }

  /** Another browser's session must not live on in this one, nor one that was put here by somebody else. */
  const endBefore = async (request: FastifyRequest): Promise<void> => {
    const before = cookie.find(request)
    if (before === null) return
    await keep.pageSessions.end(before)
    forget()
  }

  app.route({
    method: 'POST',
    url,
    config: { operation: 'createSession' },
    onRequest: async (request) => {
      pressure.check()
      // So that no page of others signs a browser in here, as whoever they like.
      cookie.checkFromPage(request)
    },
    handler: async (request, reply) => {
      if (request.url.includes('?')) throw noQuery()
      const apiKey = await keyOf(readInput('body', SignInBody, request.body), request.ip)
      await endBefore(request)
      const { secret, session } = await keep.pageSessions.create(apiKey)
      const seconds = Math.max(1, Math.floor((session.expiresAt - clock.now().wall) / 1000))
      log.info({ operation: 'createSession', apiKeyId: apiKey }, 'signed in at the page')
      void reply.header('set-cookie', cookie.set(request, secret, seconds))
      return answer(reply, 'createSession', sessionWire(session))
    },
  })

  app.route({
    method: 'GET',
    url,
    config: { operation: 'getSession' },
    onRequest: async () => pressure.check(),
    handler: async (request, reply) => {
      if (request.url.includes('?')) throw noQuery()
      const { apiKey } = await callerOf(request, desk, cookie)
      const secret = bearerOf(request.headers.authorization) === null ? cookie.secretOf(request) : null
      const session = secret === null ? null : await keep.pageSessions.bySecret(secret)
      return answer(reply, 'getSession', sessionWire(session ?? { apiKey, expiresAt: apiKey.expiresAt }))
    },
  })

  app.route({
    method: 'DELETE',
    url,
    config: { operation: 'deleteSession' },
    onRequest: async (request) => {
      pressure.check()
      cookie.checkFromPage(request)
    },
    handler: async (request, reply) => {
      if (request.url.includes('?')) throw noQuery()
      if (request.body !== undefined && request.body !== null) throw noBody()
      const secret = cookie.find(request)
      if (secret === null) throw unauthorized('not_signed_in')
      // Whose session is over already gets the same: the cookie goes in any case.
      await desk.session(secret, request.ip)
      await endBefore(request)
      void reply.header('set-cookie', cookie.clear(request))
      return answer(reply, 'deleteSession', { signed_out: true })
    },
  })
}

type SessionOperation = 'createSession' | 'getSession' | 'deleteSession'

const sessionWire = ({
  apiKey: { id, name, scopes, labels },
  expiresAt,
}: Omit<PageSession, 'expiresAt'> & Pick<ApiKey, 'expiresAt'>): PageSessionWire => ({
  api_key: { id, name, scopes: [...scopes], labels: { ...labels } },
  expires_at: expiresAt === null ? null : new Date(expiresAt).toISOString(),
})

const oneOfThem = (): HttpProblem => new HttpProblem('invalid_input', 'the body has api_key or code, one of the two.')
const noQuery = (): HttpProblem =>
  new HttpProblem('invalid_input', 'this operation has no query parameters: leave what stands behind ? out')
const noBody = (): HttpProblem => new HttpProblem('invalid_input', 'this operation has no body: leave it out')
