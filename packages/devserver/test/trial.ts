import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import {
  startDevserver,
  type Devserver,
  type RealmOptions,
  type SeededSession,
  type SessionSeed,
} from '../src/index.ts'

export const CLIENT = {
  clientId: 'app',
  clientSecret: 'app-secret',
  tokenEndpointAuthMethod: 'client_secret_post',
} as const
export const OWN_CREDENTIALS = { client_id: CLIENT.clientId, client_secret: CLIENT.clientSecret }

export interface TokenReply {
  readonly status: number
  readonly headers: Headers
  readonly body: Readonly<Record<string, string | number | undefined>>
}

/** A devserver with one realm and one confidential client, closed when the test ends. */
export interface Trial {
  readonly devserver: Devserver
  seed(seed?: Partial<SessionSeed>): Promise<SeededSession & { refreshToken: string }>
  /** Presents a refresh token as the client. */
  refresh(refreshToken: string, more?: Readonly<Record<string, string>>): Promise<TokenReply>
  post(path: string, form: Readonly<Record<string, string>>): Promise<TokenReply>
  offers(accessToken: string | null): Promise<Response>
  counters(sessionId: string): ReturnType<Devserver['control']['counters']>
}

export async function openTrial(
  test: TestContext,
  realm: Partial<RealmOptions> = {},
  stateFile?: string,
): Promise<Trial> {
  const realms = [{ name: 'external', clients: [CLIENT], ...realm }]
  const devserver = await startDevserver({ realms, ...(stateFile === undefined ? {} : { stateFile }) })
  test.after(() => devserver.close())
  return trialAt(devserver)
}

export function trialAt(devserver: Devserver): Trial {
  const post = async (path: string, form: Readonly<Record<string, string>>) =>
    replyOf(await fetch(`${devserver.issuer('external')}/protocol/openid-connect/${path}`, postOf(form)))
  return {
    devserver,
    post,
    async seed(seed = {}) {
      const session = await devserver.control.seedSession('external', { clientId: CLIENT.clientId, ...seed })
      return { ...session, refreshToken: session.refreshToken ?? '' }
    },
    refresh: (refreshToken, more = {}) =>
      post('token', { grant_type: 'refresh_token', ...OWN_CREDENTIALS, refresh_token: refreshToken, ...more }),
    offers: (accessToken) =>
      fetch(devserver.demoApi, accessToken === null ? {} : { headers: { authorization: `Bearer ${accessToken}` } }),
    counters: (sessionId) => devserver.control.counters('external', sessionId),
  }
}

export function postOf(form: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>> = {}) {
  return { method: 'POST', body: new URLSearchParams(form), headers }
}

export async function replyOf(response: Response): Promise<TokenReply> {
  const text = await response.text()
  const body = text === '' ? {} : (JSON.parse(text) as TokenReply['body'])
  return { status: response.status, headers: response.headers, body }
}

export function text(reply: TokenReply, member: string): string {
  const value = reply.body[member]
  if (typeof value !== 'string') throw new Error(`the answer has no ${member}: ${JSON.stringify(reply.body)}`)
  return value
}

export function temporaryFolder(test: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'devserver-'))
  test.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** What came over the wire, also when it broke off. */
export interface RawReply {
  readonly status: number | null
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly complete: boolean
}

/** A request of which nothing is hidden: any `Host`, and the bytes that came before the connection broke. */
export function raw(
  url: string,
  {
    method = 'GET',
    headers = {},
    body = '',
  }: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<RawReply> {
  return new Promise((resolve) => {
    const gone = (reply: Partial<RawReply>) =>
      resolve({ status: null, headers: {}, body: '', complete: false, ...reply })
    const request = httpRequest(url, { method, headers, agent: false }, (response) => {
      let received = ''
      const end = () =>
        gone({
          status: response.statusCode ?? null,
          headers: response.headers,
          body: received,
          complete: response.complete,
        })
      response
        .on('data', (chunk: Buffer) => (received += chunk.toString()))
        .on('end', end)
        .on('error', end)
    })
    request.on('error', () => gone({})).end(body)
  })
}

export function rawForm(url: string, form: Readonly<Record<string, string>>): Promise<RawReply> {
  const body = new URLSearchParams(form).toString()
  return raw(url, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body })
}
