/**
 * The pages on which a person signs in: the link, the way to the provider, and the way back.
 *
 * They ask for no API key. Who has the link may begin, and what comes back is taken only from the browser that began: it
 * carries a cookie, as a link that somebody else began with would bring their account here (RFC 9700 section 4.7).
 */
import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isOver, later, ms, TokenError, type Clock, type ConnectSession } from '@tokenkeep/core'
import type { Finished, Tokenkeep } from '@tokenkeep/node'
import type { Addressed } from '../addressed.ts'
import { refusalOf, saysLess } from '../problem.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Pressure } from '../pressure.ts'
import { createRateWindows } from '../rate-window.ts'
import { PAGE_HEADERS, pageHtml, type Page } from './page.ts'
import { answerTo, overPage, startPage } from './words.ts'

export interface ConnectSetup {
  readonly keep: Tokenkeep
  readonly addressed: Addressed
  readonly metrics: Metrics
  readonly pressure: Pressure
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
  /** Connections were made here: nothing that was believed is believed any longer. */
  readonly forget: () => void
  /** Nobody guesses a link; whoever tries shall not make the database work for it. 0: no limit. */
  readonly strangersPerMinute: number
}

const ADDRESSES_MAX = 10_000
const BEGINS_PER_MINUTE = 10
const COOKIE_SECONDS = 3600

/** Below the server's URL; the rest of it is the provider's name, so that no provider answers in the place of another. */
export const callbackUrl = (baseUrl: string, provider: string): string => `${baseUrl}/connect/callback/${provider}`
export const linkUrl = (baseUrl: string, link: string): string => `${baseUrl}/connect/${link}`

export function registerConnect(app: FastifyInstance, setup: ConnectSetup): void {
  const { keep, addressed, metrics, pressure, clock, log, forget, strangersPerMinute } = setup
  const strangers = createRateWindows({ limit: strangersPerMinute, windowMs: 60_000, keysMax: ADDRESSES_MAX })

  /** Each beginning asks the provider, beside its limits. */
  const begins = createRateWindows({ limit: BEGINS_PER_MINUTE, windowMs: 60_000, keysMax: ADDRESSES_MAX })
  const tooMany = (leftMs: number, why: string): TokenError =>
    new TokenError('rate_limited', why, { retryAt: later(clock.now().wall, ms(leftMs)) })

  /** @throws TokenError `rate_limited` */
  const stranger = (request: FastifyRequest): void => {
    const leftMs = strangersPerMinute === 0 ? null : strangers.take(request.ip, clock.now().mono)
    if (leftMs !== null) throw tooMany(leftMs, 'too many links that are not known came from this address')
  }

  const show = (reply: FastifyReply, operation: string, status: number, page: Page): FastifyReply => {
    metrics.answered(operation, status)
    return reply.code(status).headers(PAGE_HEADERS).send(pageHtml(page))
  }

  const sessionOf = async (request: FastifyRequest): Promise<ConnectSession | null> => {
    const { link } = request.params as { link: string }
    const session = await keep.connectSessions.byLink(link)
    if (session === null) stranger(request)
    return session
  }

  const baseOf = (request: FastifyRequest): string => addressed.baseUrl(request.headers.host, request.protocol)

  void app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers()
    // A form of ours says all by its address; what else stands in it is passed over.
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, _body, parsed) => parsed(null, undefined))
    scope.setErrorHandler((error, request, reply) => {
      const refusal = refusalOf(error, clock.now().wall)
      const operation = request.routeOptions.config.operation ?? 'other'
      if (refusal.code === 'unexpected') log.error({ operation, error }, 'a request failed')
      else if (saysLess(error)) log.warn({ operation, error }, 'a request could not be served')
      else if (refusal.status < 500) metrics.refused(refusal.code)
      reply.headers(refusal.headers)
      return show(reply, operation, refusal.status, problemPage(error, refusal.body.detail))
    })

    scope.route({
      method: 'GET',
      url: '/connect/:link',
      config: { operation: 'connectStart' },
      async handler(request, reply) {
        pressure.check()
        const session = await sessionOf(request)
        if (session === null || isOver(session, clock.now().wall))
          return show(reply, 'connectStart', session?.state.status === 'connected' ? 200 : 404, overPage(session))
        const provider = await keep.providers.get(session.provider)
        return show(reply, 'connectStart', 200, startPage(session, hostOf(provider)))
      },
    })

    scope.route({
      method: 'POST',
      url: '/connect/:link',
      config: { operation: 'connectBegin' },
      async handler(request, reply) {
        pressure.check()
        const session = await sessionOf(request)
        if (session === null) return show(reply, 'connectBegin', 404, overPage(null))
        const leftMs = begins.take(session.id, clock.now().mono)
        if (leftMs !== null) throw tooMany(leftMs, 'this link was begun with too often: wait a moment')
        const base = baseOf(request)
        const secure = base.startsWith('https:')
        const boundTo = cookieOf(request, secure) ?? randomBytes(32).toString('base64url')
        const { link } = request.params as { link: string }
        const { url } = await keep.connectSessions.begin(link, {
          redirectUri: callbackUrl(base, session.provider),
          boundTo,
        })
        metrics.answered('connectBegin', 303)
        return reply
          .code(303)
          .header('set-cookie', cookie(boundTo, secure))
          .header('location', url)
          .header('referrer-policy', 'no-referrer')
          .send('')
      },
    })

    scope.route({
      method: 'GET',
      url: '/connect/callback/:provider',
      config: { operation: 'connectFinish' },
      async handler(request, reply) {
        pressure.check()
        const { provider } = request.params as { provider: string }
        const boundTo = cookieOf(request, baseOf(request).startsWith('https:')) ?? ''
        const finished = await keep.connectSessions.finish(request.url, { boundTo, provider })
        if (finished.kind === 'unknown') stranger(request)
        const { status, page } = answerTo(finished)
        const session = 'session' in finished ? finished.session : null
        if (session !== null) {
          tell(log, finished, session)
          if (finished.kind === 'connected') forget()
          if (session.returnTo !== null && finished.kind !== 'taken') {
            metrics.answered('connectFinish', 303)
            return reply.code(303).header('location', backTo(session, finished)).send('')
          }
        }
        return show(reply, 'connectFinish', status, page)
      },
    })
    done()
  })
}

/** The application learns from the session itself what came of it; its address tells no more than which one that is. */
function backTo({ id, returnTo }: ConnectSession, { kind }: Finished): string {
  const url = new URL(returnTo ?? '')
  url.searchParams.set('connect_session', id)
  url.searchParams.set('status', kind === 'connected' ? 'connected' : 'failed')
  return url.href
}

function tell(log: Log, finished: Finished, { id, provider, client, connection }: ConnectSession): void {
  const about = { connectSession: id, provider, client, connection }
  if (finished.kind === 'connected') log.info(about, 'a person connected')
  else if (finished.kind === 'failed') log.warn({ ...about, because: finished.because }, 'a sign-in failed')
}

/** Whom the person is sent to, as far as it is known before. */
const hostOf = (of: { readonly authorizationEndpoint: string | null; readonly issuer: string | null }): string | null =>
  URL.parse(of.authorizationEndpoint ?? of.issuer ?? '')?.host ?? null

function problemPage(error: unknown, detail: string): Page {
  if (error instanceof TokenError && error.code === 'unknown_connect_session') return overPage(null)
  if (error instanceof TokenError && error.code === 'provider_refused')
    return {
      title: 'This service is not set up for that',
      text: ['Whoever runs it has to mend its registration at the provider.'],
    }
  const title = error instanceof TokenError && error.code === 'unavailable' ? 'Not now' : 'That did not work'
  return { title, text: [`${detail.charAt(0).toUpperCase()}${detail.slice(1)}`] }
}

// ---- the cookie ----------------------------------------------------------------------------------------------------

/** `__Host-`: nobody but this very host can have set it. Without https browsers know no such cookies. */
const cookieName = (secure: boolean): string => (secure ? '__Host-tokenkeep-connect' : 'tokenkeep-connect')

// `Lax`, because the way back from the provider is a navigation from another site.
const cookie = (value: string, secure: boolean): string =>
  `${cookieName(secure)}=${value}; Path=/; Max-Age=${COOKIE_SECONDS}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`

function cookieOf({ headers }: FastifyRequest, secure: boolean): string | null {
  const name = `${cookieName(secure)}=`
  const found = (headers.cookie ?? '').split(/; ?/).filter((pair) => pair.startsWith(name))
  const value = found[0]?.slice(name.length) ?? ''
  // Of two, one was set by somebody else.
  return found.length === 1 && /^[\w-]{43}$/.test(value) ? value : null
}
