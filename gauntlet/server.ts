/**
 * The authorization server of the gauntlet: strict, on loopback, with faults on order. It shares no code with Tokenkeep, nor
 * with its development server, so that we are not judged by a friend of ours.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { createLogins, type Granted, type Logins, type Reuse } from './logins.ts'

/** What happens to one token request of a login. Each order is carried out once. */
export type Fault =
  /** Grants, and answers so much later. */
  | { readonly kind: 'late'; readonly ms: number }
  /** Grants, and resets the connection instead of answering. */
  | { readonly kind: 'lost' }
  /** Grants nothing, and answers this. */
  | { readonly kind: 'refused'; readonly status: number; readonly retryAfterSeconds?: number }
  /** Answers oddly. */
  | { readonly kind: 'odd'; readonly how: Oddity }

export const ODDITIES = [
  /** Grants; `expires_in` is a string. */
  'expires_in_text',
  /** Grants an access token; the refresh token goes on being good, and is not in the answer. */
  'no_refresh_token',
  /** Grants nothing; 200, with a page. */
  'html',
  /** Grants nothing; 200, with an OAuth error. */
  'error_in_200',
] as const
export type Oddity = (typeof ODDITIES)[number]

export interface ServerOptions {
  readonly reuse: Reuse
  readonly accessTokenSeconds: number
  /** Between the arrival of a token request and its being looked at, milliseconds. */
  readonly latencyMs: number
}

export interface AuthorizationServer extends AsyncDisposable {
  readonly logins: Logins
  readonly issuer: string
  readonly tokenEndpoint: string
  /** `GET` with a bearer token: 200, or 401. */
  readonly api: string
  readonly clientId: string
  readonly clientSecret: string
  /** Orders a fault for the next token request of a login that has no other one ordered before. */
  order(login: string, fault: Fault): void
  /** Forgets the orders that were not carried out. */
  forgetOrders(): void
}

const CLIENT_ID = 'gauntlet'
const CLIENT_SECRET = 'gauntlet-client-secret'
const FORM_BYTES_MOST = 16_384
const PAGE = '<!doctype html><title>Please wait</title>'

export async function startServer({
  reuse,
  accessTokenSeconds,
  latencyMs,
}: ServerOptions): Promise<AuthorizationServer> {
  const logins = createLogins(reuse, accessTokenSeconds)
  const ordered = new Map<string, Fault[]>()
  const server = createServer((request, response) => {
    answer(request, response).catch(() => request.socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  const issuer = `http://127.0.0.1:${address.port}`
  const metadata = {
    issuer,
    token_endpoint: `${issuer}/token`,
    authorization_endpoint: `${issuer}/authorize`,
    response_types_supported: ['code'],
    // Recommended by RFC 8414; oidc-agent takes no issuer without it.
    scopes_supported: ['openid', 'offline_access'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    switch (new URL(request.url ?? '/', issuer).pathname) {
      case '/token':
        return void (await answerTokenRequest(request, response))
      case '/api': {
        const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
        return void json(response, logins.accepts(token) ? 200 : 401, {})
      }
      case '/.well-known/openid-configuration':
      case '/.well-known/oauth-authorization-server':
        return void json(response, 200, metadata)
      default:
        return void json(response, 404, { error: 'not_found' })
    }
  }

  async function answerTokenRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = await formOf(request)
    if (form === null || request.method !== 'POST') return void json(response, 400, { error: 'invalid_request' })
    if (!knowsClient(request, form)) return void json(response, 401, { error: 'invalid_client' })
    if (form.get('grant_type') !== 'refresh_token') return void json(response, 400, { error: 'unsupported_grant_type' })
    const refreshToken = form.get('refresh_token') ?? ''
    const login = logins.loginOf(refreshToken)
    if (login === null) return void json(response, 400, { error: 'invalid_grant' })
    await pause(latencyMs)
    const fault = ordered.get(login)?.shift()
    const granted = (rotate = true): Granted | null => logins.present(refreshToken, rotate)
    switch (fault?.kind) {
      case undefined:
        return void grant(response, granted())
      case 'late': {
        const late = granted()
        await pause(fault.ms)
        return void grant(response, late)
      }
      case 'lost':
        granted()
        request.socket.resetAndDestroy()
        return
      case 'refused': {
        const { status, retryAfterSeconds } = fault
        if (retryAfterSeconds !== undefined) response.setHeader('retry-after', String(retryAfterSeconds))
        response.writeHead(status, { 'content-type': 'text/plain' }).end('later, please\n')
        return
      }
      case 'odd':
        return void answerOddly(response, fault.how, granted)
    }
  }

  return {
    logins,
    issuer,
    tokenEndpoint: metadata.token_endpoint,
    api: `${issuer}/api`,
    clientId: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    forgetOrders: () => ordered.clear(),
    order(login, fault) {
      const before = ordered.get(login)
      if (before === undefined) ordered.set(login, [fault])
      else before.push(fault)
    },
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function answerOddly(response: ServerResponse, how: Oddity, granted: (rotate?: boolean) => Granted | null): void {
  switch (how) {
    case 'expires_in_text':
      return grant(response, granted(), ({ expires_in: seconds, ...others }) => ({
        ...others,
        expires_in: String(seconds),
      }))
    case 'no_refresh_token':
      return grant(response, granted(false))
    case 'html':
      response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE)
      return
    case 'error_in_200':
      return json(response, 200, { error: 'temporarily_unavailable' })
  }
}

type Body = Readonly<Record<string, unknown>>

function grant(response: ServerResponse, granted: Granted | null, change = (body: Body): Body => body): void {
  if (granted === null) return json(response, 400, { error: 'invalid_grant' })
  const { accessToken, expiresIn, refreshToken } = granted
  const body = {
    access_token: accessToken,
    token_type: 'Bearer',
    expires_in: expiresIn,
    ...(refreshToken === null ? {} : { refresh_token: refreshToken }),
  }
  json(response, 200, change(body))
}

function json(response: ServerResponse, status: number, body: Body): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}

/** @returns null: longer than any token request of ours */
async function formOf(request: IncomingMessage): Promise<URLSearchParams | null> {
  let text = ''
  request.setEncoding('utf8')
  for await (const part of request) {
    text += String(part)
    if (text.length > FORM_BYTES_MOST) return null
  }
  return new URLSearchParams(text)
}

/** By `client_secret_post` or `client_secret_basic`, as each library likes it. */
function knowsClient(request: IncomingMessage, form: URLSearchParams): boolean {
  const basic = /^Basic (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
  if (basic === undefined) return form.get('client_id') === CLIENT_ID && form.get('client_secret') === CLIENT_SECRET
  return Buffer.from(basic, 'base64').toString('utf8') === `${CLIENT_ID}:${CLIENT_SECRET}`
}
