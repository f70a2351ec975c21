import { IncomingMessage } from 'node:http'
import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Answer } from './answer.ts'
import type { Endpoint } from './fault.ts'
import type { Realm } from './realm.ts'
import { tokenAnswer, type TokenAnswer } from './token-answer.ts'

type Middleware = Parameters<Provider['use']>[0]

/**
 * A request whose body we have read already, made readable once more for the engine.
 *
 * We read first because a fault or a turn depends on the refresh token in the body; and the engine's answer is kept here
 * instead of being sent, because it must be durable first and may be spoilt after.
 */
export class Exchange extends IncomingMessage {
  readonly endpoint: Endpoint
  /** The engine's answer, once it is committed. */
  answer: Answer | null = null

  constructor(request: IncomingMessage, { endpoint, url, body }: { endpoint: Endpoint; url: string; body: string }) {
    super(request.socket)
    this.endpoint = endpoint
    this.method = request.method
    this.url = url
    this.headers = { ...request.headers, 'content-length': String(Buffer.byteLength(body)) }
    delete this.headers['transfer-encoding']
    this.httpVersion = request.httpVersion
    this.httpVersionMajor = request.httpVersionMajor
    this.httpVersionMinor = request.httpVersionMinor
    this.push(body)
    this.push(null)
    this.complete = true
    Object.assign(this, { originalUrl: request.url }) // The engine takes its mount path from the difference.
  }
}

/** Runs the engine on an exchange: everything it writes is committed in one transaction before the answer is kept. */
export async function answerExchange(
  realm: Realm,
  ctx: Parameters<Middleware>[0],
  next: Parameters<Middleware>[1],
): Promise<void> {
  const exchange = ctx.req
  if (!(exchange instanceof Exchange)) {
    await next()
    return
  }
  await realm.state.together(async (unit) => {
    await next()
    if (ctx.status >= 500) unit.discard()
    else if (ctx.status === 200 && exchange.endpoint === 'token') {
      ctx.body = finished(realm, ctx as unknown as KoaContextWithOIDC)
    } else if (ctx.status === 200 && exchange.endpoint === 'device') {
      // The engine leaves the interval to the client, whose default is our default (RFC 8628 section 3.2).
      ctx.body = { ...(ctx.body as object), interval: realm.settings.devicePollSeconds }
    }
  })
  repeatNonce(ctx)
  const body = typeof ctx.body === 'string' ? ctx.body : ctx.body == null ? '' : JSON.stringify(ctx.body)
  exchange.answer = { status: ctx.status, headers: { ...ctx.res.getHeaders() }, body }
  ctx.respond = false
}

/** Says the nonce of a proof that was good once more; the engine keeps silent until it has a newer one. */
function repeatNonce(ctx: Parameters<Middleware>[0]): void {
  const [, claims] = ctx.get('dpop').split('.')
  if (ctx.status >= 400 || claims === undefined || ctx.res.hasHeader('dpop-nonce')) return
  const { nonce } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { nonce?: unknown }
  if (typeof nonce === 'string') ctx.set('dpop-nonce', nonce)
}

/** Puts an answer that the engine composed itself (code, client credentials) into the realm's shape. */
function finished(realm: Realm, ctx: KoaContextWithOIDC): unknown {
  const composed = ctx.body as TokenAnswer
  if ('not-before-policy' in composed) return composed // The refresh grant composes its own.

  const { AccessToken, ClientCredentials, RefreshToken } = ctx.oidc.entities
  const token = AccessToken ?? ClientCredentials
  if (!token) return composed
  const expiresIn = token.expiration
  const session = AccessToken ? realm.sessions.find(AccessToken.grantId) : null
  return tokenAnswer({
    accessToken: realm.presentable(token, expiresIn),
    tokenType: token.tokenType,
    expiresIn,
    refreshToken: RefreshToken ? String(composed['refresh_token']) : null,
    refreshExpiresIn: RefreshToken && session ? realm.lifetimes(session, Date.now()).refreshSeconds : null,
    idToken: composed['id_token'] === undefined ? null : String(composed['id_token']),
    scope: token.scope ?? '',
    sessionId: session?.id ?? null,
  })
}
