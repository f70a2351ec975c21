import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import test, { type TestContext } from 'node:test'
import { inspect } from 'node:util'
import {
  lend,
  ms,
  Secret,
  STANDARD_REQUEST,
  type Answer,
  type Form,
  type Lease,
  type Line,
  type NotSent,
  type OpenedClient,
  type Presented,
  type Provider,
  type RequestShape,
} from '@tokenkeep/core'
import { createSystemClock } from '../src/clock-system.ts'
import { createProviderAccess, USER_AGENT } from '../src/provider-access.ts'
import { createTokenEndpoint } from '../src/token-endpoint-oauth4webapi.ts'
import { BY_CREDENTIALS, REFRESHING, clientOf, providerOf } from './fixtures/provider.ts'
import { bodyOf, httpServer, rawServer } from './fixtures/servers.ts'

const clock = createSystemClock()
const WITHIN = ms(5000)
const REFRESH: Form = { grantType: 'refresh_token', scope: null, resources: [] }
const PRESENTED: Presented = { kind: 'refresh_token', refreshToken: new Secret('refresh_token', 'rt-1/+ &=ü') }

const leaseOf = (changes: Partial<Lease> = {}): Lease =>
  ({ t0: clock.now(), sendLimitMs: ms(15_000), windowMs: ms(Infinity), session: 'a', ...changes }) as Lease

interface Asked {
  readonly method: string | undefined
  readonly path: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly form: Record<string, string[]>
  readonly body: string
}

/** A server that notes what it was asked, and answers. */
async function server(
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) => response.end('{}'),
): Promise<{ readonly url: URL; readonly asked: Asked[] }> {
  const asked: Asked[] = []
  const url = await httpServer(t, (request, response) => {
    void bodyOf(request).then((body) => {
      const form: Record<string, string[]> = {}
      for (const [name, value] of new URLSearchParams(body)) (form[name] ??= []).push(value)
      asked.push({ method: request.method, path: request.url, headers: request.headers, form, body })
      answer(request, response)
    })
  })
  return { url, asked }
}

const at = (url: URL, path: string): string => new URL(path, url).href

async function present(
  provider: Provider,
  client: OpenedClient,
  form = REFRESH,
  presented = PRESENTED,
  lease = leaseOf(),
): Promise<Answer | NotSent> {
  const endpoint = createTokenEndpoint(createProviderAccess({ clock }))
  const line = await endpoint.connect(provider, client, { ...REFRESHING, grantType: form.grantType }, WITHIN)
  if ('kind' in line) return line
  return endpoint.present(
    line,
    lease,
    lend(presented, () => 'a'),
    form,
  ).ever
}

test('a refresh sends the ticket`s refresh token with the client`s proof in the form', async (t) => {
  const { url, asked } = await server(t)
  const answer = await present(providerOf({ tokenEndpoint: at(url, '/token?tenant=1') }), clientOf())
  assert.equal(answer.kind, 'response')
  assert.deepEqual(asked.length, 1)
  assert.equal(asked[0]?.method, 'POST')
  assert.equal(asked[0]?.path, '/token?tenant=1')
  assert.deepEqual(asked[0]?.form, {
    grant_type: ['refresh_token'],
    refresh_token: ['rt-1/+ &=ü'],
    client_id: ['my-client'],
    client_secret: ['my-secret'],
  })
  assert.equal(asked[0]?.headers['content-type'], 'application/x-www-form-urlencoded;charset=UTF-8')
  assert.equal(asked[0]?.headers.accept, 'application/json')
  assert.equal(asked[0]?.headers['user-agent'], USER_AGENT)
  assert.equal(asked[0]?.headers.authorization, undefined)
})

test('basic authentication encodes id and secret as a form before base64 (RFC 6749 section 2.3.1)', async (t) => {
  const { url, asked } = await server(t)
  const client = clientOf({
    clientId: 'id:with colon',
    clientSecret: new Secret('client_secret', 'a+b%c ü'),
    tokenEndpointAuthMethod: 'client_secret_basic',
  })
  await present(providerOf({ tokenEndpoint: at(url, '/token') }), client)
  const [scheme, credentials = ''] = (asked[0]?.headers.authorization ?? '').split(' ')
  assert.equal(scheme, 'Basic')
  assert.equal(Buffer.from(credentials, 'base64').toString(), 'id%3Awith+colon:a%2Bb%25c+%C3%BC')
  assert.deepEqual(asked[0]?.form, { grant_type: ['refresh_token'], refresh_token: ['rt-1/+ &=ü'] })
})

test('a provider that wants JSON gets the same parameters as members, and its own headers and parameters', async (t) => {
  const { url, asked } = await server(t)
  const request: RequestShape = {
    ...STANDARD_REQUEST,
    encoding: 'json',
    parameters: { redirect_uri: 'https://app.example.org/?a=b' },
    headers: { 'Some-Version': '2026-01', 'User-Agent': 'registered-name/1' },
    scopeSeparator: ',',
  }
  await present(providerOf({ tokenEndpoint: at(url, '/token'), request }), clientOf(), {
    grantType: 'refresh_token',
    scope: 'a b c',
    resources: ['https://a.example.org/', 'https://b.example.org/'],
  })
  assert.deepEqual(JSON.parse(asked[0]?.body ?? ''), {
    grant_type: 'refresh_token',
    refresh_token: 'rt-1/+ &=ü',
    client_id: 'my-client',
    client_secret: 'my-secret',
    redirect_uri: 'https://app.example.org/?a=b',
    scope: 'a,b,c',
    resource: ['https://a.example.org/', 'https://b.example.org/'],
  })
  assert.equal(asked[0]?.headers['content-type'], 'application/json')
  assert.equal(asked[0]?.headers['content-length'], String(Buffer.byteLength(asked[0]?.body ?? '')))
  assert.equal(asked[0]?.headers['some-version'], '2026-01')
  assert.equal(asked[0]?.headers['user-agent'], 'registered-name/1')
})

test('refreshes go to the refresh endpoint where there is one, client credentials to the token endpoint', async (t) => {
  const { url, asked } = await server(t)
  const provider = providerOf({ tokenEndpoint: at(url, '/token'), refreshEndpoint: at(url, '/refresh') })
  await present(provider, clientOf())
  const endpoint = createTokenEndpoint(createProviderAccess({ clock }))
  const line = await endpoint.connect(provider, clientOf(), BY_CREDENTIALS, WITHIN)
  assert.ok(!('kind' in line))
  const form: Form = { grantType: 'client_credentials', scope: null, resources: [] }
  const ticket = lend({ kind: 'client_credentials' }, () => 'a')
  await endpoint.present(line, leaseOf(), ticket, form).ever
  assert.deepEqual(
    asked.map(({ path, form: sent }) => [path, sent['grant_type']?.[0]]),
    [
      ['/refresh', 'refresh_token'],
      ['/token', 'client_credentials'],
    ],
  )
})

test('a public client sends its id alone', async (t) => {
  const { url, asked } = await server(t)
  const client = clientOf({ clientSecret: null, tokenEndpointAuthMethod: 'none' })
  await present(providerOf({ tokenEndpoint: at(url, '/token') }), client)
  assert.deepEqual(asked[0]?.form, {
    grant_type: ['refresh_token'],
    refresh_token: ['rt-1/+ &=ü'],
    client_id: ['my-client'],
  })
})

test('scope and every resource are sent as asked', async (t) => {
  const { url, asked } = await server(t)
  const resources = ['https://a.example.org/', 'https://b.example.org/']
  await present(providerOf({ tokenEndpoint: at(url, '/token') }), clientOf(), {
    grantType: 'refresh_token',
    scope: 'dealer-api offline_access',
    resources,
  })
  assert.deepEqual(asked[0]?.form['scope'], ['dealer-api offline_access'])
  assert.deepEqual(asked[0]?.form['resource'], resources)
})

test('client credentials are a grant without a refresh token', async (t) => {
  const { url, asked } = await server(t)
  await present(
    providerOf({ tokenEndpoint: at(url, '/token') }),
    clientOf(),
    { grantType: 'client_credentials', scope: 'dealer-api', resources: [] },
    { kind: 'client_credentials' },
  )
  assert.deepEqual(asked[0]?.form, {
    grant_type: ['client_credentials'],
    scope: ['dealer-api'],
    client_id: ['my-client'],
    client_secret: ['my-secret'],
  })
})

test('past the send limit nothing is sent', async (t) => {
  const { url, asked } = await server(t)
  const answer = await present(
    providerOf({ tokenEndpoint: at(url, '/token') }),
    clientOf(),
    REFRESH,
    PRESENTED,
    leaseOf({ sendLimitMs: ms(0) }),
  )
  assert.deepEqual(answer, { kind: 'not_sent', because: 'send_limit' })
  assert.deepEqual(asked, [])
})

test('the ticket is taken before `present` returns, and a second presentation throws', async (t) => {
  const { url, asked } = await server(t)
  const endpoint = createTokenEndpoint(createProviderAccess({ clock }))
  const provider = providerOf({ tokenEndpoint: at(url, '/token') })
  const [line, other] = await Promise.all([
    endpoint.connect(provider, clientOf(), REFRESHING, WITHIN),
    endpoint.connect(provider, clientOf(), REFRESHING, WITHIN),
  ])
  assert.ok(!('kind' in line) && !('kind' in other))
  const ticket = lend(PRESENTED, () => 'a')
  const { ever } = endpoint.present(line, leaseOf(), ticket, REFRESH)
  assert.throws(() => endpoint.present(other, leaseOf(), ticket, REFRESH), /taken once/)
  assert.equal((await ever).kind, 'response')
  assert.equal(asked.length, 1)
})

test('a line of another endpoint is refused before the ticket is taken', () => {
  const endpoint = createTokenEndpoint(createProviderAccess({ clock }))
  const taken = () => assert.fail('the ticket was taken')
  const ticket = { take: taken, again: taken }
  assert.throws(() => endpoint.present({ close: () => undefined } as Line, leaseOf(), ticket, REFRESH), /not opened by/)
})

test('a closed line sends nothing', async (t) => {
  const { url, asked } = await server(t)
  const endpoint = createTokenEndpoint(createProviderAccess({ clock }))
  const line = await endpoint.connect(providerOf({ tokenEndpoint: at(url, '/token') }), clientOf(), REFRESHING, WITHIN)
  assert.ok(!('kind' in line))
  line.close()
  line.close()
  assert.deepEqual(asked, [])
})

test('neither a line nor a presentation prints a secret', async (t) => {
  const { url } = await server(t, (_request, response) => response.end('{"access_token":"canary-at"}'))
  const endpoint = createTokenEndpoint(createProviderAccess({ clock }))
  const provider = providerOf({ tokenEndpoint: at(url, '/token') })
  const line = await endpoint.connect(
    provider,
    clientOf({ clientSecret: new Secret('client_secret', 'canary-cs') }),
    REFRESHING,
    WITHIN,
  )
  assert.ok(!('kind' in line))
  const canary = new Secret('refresh_token', 'canary-rt')
  const presentation = endpoint.present(
    line,
    leaseOf(),
    lend({ kind: 'refresh_token', refreshToken: canary }, () => 'a'),
    REFRESH,
  )
  const answer = await presentation.ever
  const printed = inspect([line, presentation, answer, endpoint], { depth: 20, showHidden: true })
  assert.doesNotMatch(printed + JSON.stringify([line, presentation, answer]), /canary/)
})

test('a redirect of the token endpoint is not followed', async (t) => {
  const other = await server(t)
  const { url } = await server(t, (_request, response) => response.writeHead(307, { Location: other.url.href }).end())
  const answer = await present(providerOf({ tokenEndpoint: at(url, '/token') }), clientOf())
  assert.equal(answer.kind === 'response' && answer.status, 307)
  assert.deepEqual(other.asked, [])
})

test('without a token endpoint and an issuer nothing is sent', async () => {
  assert.deepEqual(await present(providerOf({}), clientOf()), { kind: 'not_sent', because: 'discovery' })
})

test('a stored endpoint that the address rules refuse is not connected to', async () => {
  const answer = await present(providerOf({ tokenEndpoint: 'https://169.254.169.254/token' }), clientOf())
  assert.deepEqual(answer, { kind: 'not_sent', because: 'address_refused' })
})

test('for a client without the secret that its method needs nothing is sent, and the word says that it is the client', async () => {
  const provider = providerOf({ tokenEndpoint: 'http://127.0.0.1:1/token' })
  const endpoint = createTokenEndpoint(createProviderAccess({ clock }))
  const line = await endpoint.connect(provider, clientOf({ clientSecret: null }), REFRESHING, WITHIN)
  assert.deepEqual(line, { kind: 'not_sent', because: 'client' })
})

test('the version that providers see is the package`s', () => {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  assert.equal(USER_AGENT, `tokenkeep/${(manifest as { version: string }).version}`)
})

// ---- revocation and introspection ----------------------------------------------------------------------------------

const TOKEN = new Secret('refresh_token', 'rt-9')
const ACCESS = new Secret('access_token', 'at-9')

test('revocation names the token and its kind, with the client`s proof (RFC 7009 section 2.1)', async (t) => {
  const { url, asked } = await server(t)
  const provider = providerOf({ tokenEndpoint: at(url, '/token'), revocationEndpoint: at(url, '/revoke') })
  assert.equal(
    await createTokenEndpoint(createProviderAccess({ clock })).revoke(provider, clientOf(), TOKEN),
    'revoked',
  )
  assert.equal(asked[0]?.path, '/revoke')
  assert.deepEqual(asked[0]?.form, {
    token: ['rt-9'],
    token_type_hint: ['refresh_token'],
    client_id: ['my-client'],
    client_secret: ['my-secret'],
  })
})

const REVOCATIONS = [
  [200, '', 'revoked'],
  [204, '', 'revoked'],
  [400, '{"error":"unsupported_token_type"}', 'unsupported'],
  [400, '{"error":"invalid_request"}', 'unavailable'],
  [401, '{"error":"invalid_client"}', 'unavailable'],
  [404, '', 'unavailable'],
  [302, '', 'unavailable'],
  [503, '', 'unavailable'],
] as const
for (const [status, body, outcome] of REVOCATIONS) {
  test(`a revocation answered ${status} ${body} is ${outcome}`, async (t) => {
    const { url } = await server(t, (_request, response) => response.writeHead(status).end(body))
    const provider = providerOf({ tokenEndpoint: at(url, '/token'), revocationEndpoint: at(url, '/revoke') })
    assert.equal(
      await createTokenEndpoint(createProviderAccess({ clock })).revoke(provider, clientOf(), TOKEN),
      outcome,
    )
  })
}

const INTROSPECTIONS = [
  [200, '{"active":true}', 'active'],
  [200, '{"active":false}', 'inactive'],
  [200, '{"active":"false"}', 'unavailable'],
  [200, '{"active":0}', 'unavailable'],
  [200, '{}', 'unavailable'],
  [200, '<html>', 'unavailable'],
  [200, 'null', 'unavailable'],
  [201, '{"active":false}', 'unavailable'],
  [401, '{"active":false}', 'unavailable'],
  [500, '', 'unavailable'],
] as const
for (const [status, body, outcome] of INTROSPECTIONS) {
  test(`an introspection answered ${status} ${body} is ${outcome}`, async (t) => {
    const { url, asked } = await server(t, (_request, response) => response.writeHead(status).end(body))
    const provider = providerOf({ tokenEndpoint: at(url, '/token'), introspectionEndpoint: at(url, '/introspect') })
    assert.equal(
      await createTokenEndpoint(createProviderAccess({ clock })).introspect(provider, clientOf(), ACCESS),
      outcome,
    )
    assert.deepEqual(asked[0]?.form['token'], ['at-9'])
    assert.deepEqual(asked[0]?.form['token_type_hint'], ['access_token'])
  })
}

test('a provider without these endpoints does not support them', async () => {
  const endpoint = createTokenEndpoint(createProviderAccess({ clock }))
  const provider = providerOf({ tokenEndpoint: 'https://id.example.org/token' })
  assert.equal(await endpoint.revoke(provider, clientOf(), TOKEN), 'unsupported')
  assert.equal(await endpoint.introspect(provider, clientOf(), ACCESS), 'unsupported')
})

test('a server that cannot be reached, or ends in the middle of its answer, is unavailable', async (t) => {
  const endpoint = createTokenEndpoint(createProviderAccess({ clock }))
  const half = await rawServer(t, 'http', (socket) =>
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"active":true}')),
  )
  for (const introspectionEndpoint of ['http://127.0.0.1:1/introspect', half.href]) {
    assert.equal(await endpoint.introspect(providerOf({ introspectionEndpoint }), clientOf(), ACCESS), 'unavailable')
  }
})

test('a client without its secret cannot revoke, which is not an error of the connection that is deleted', async () => {
  const provider = providerOf({ revocationEndpoint: 'http://127.0.0.1:1/revoke' })
  const endpoint = createTokenEndpoint(createProviderAccess({ clock }))
  assert.equal(await endpoint.revoke(provider, clientOf({ clientSecret: null }), TOKEN), 'unavailable')
})
