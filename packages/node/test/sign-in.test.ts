/** What is said to a provider while a person signs in, to a server that writes it all down. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { STANDARD_REQUEST, TokenError, type OpenedClient, type Provider } from '@tokenkeep/core'
import { createSystemClock } from '../src/clock-system.ts'
import { createProviderAccess } from '../src/provider-access.ts'
import { createSignIns } from '../src/sign-in.ts'
import { clientOf, providerOf } from './fixtures/provider.ts'
import { bodyOf, httpServer } from './fixtures/servers.ts'

const BACK = 'https://keep.example.org/connect/callback/external'
const secret = (): string => randomBytes(32).toString('base64url')

interface Asked {
  readonly method: string | undefined
  readonly path: string
  readonly authorization: string | undefined
  readonly body: URLSearchParams
}

interface Server {
  readonly asked: Asked[]
  readonly provider: (changes?: Partial<Provider>) => Provider
}

/** @param metadata beside the issuer and the two endpoints; null: there is none */
async function server(
  t: TestContext,
  metadata: Readonly<Record<string, unknown>> | null = {},
  answer: Readonly<Record<string, unknown>> = { access_token: 'at-1', token_type: 'Bearer', refresh_token: 'rt-1' },
): Promise<Server> {
  const asked: Asked[] = []
  const origin = await httpServer(t, (request, response) => {
    void bodyOf(request).then((body) => {
      const path = request.url ?? ''
      if (path.startsWith('/.well-known/')) {
        response.statusCode = metadata === null ? 503 : 200
        const { origin: issuer } = origin
        const endpoints = { authorization_endpoint: `${issuer}/authorize?tenant=1`, token_endpoint: `${issuer}/token` }
        response.end(JSON.stringify({ issuer, ...endpoints, ...absolute(metadata ?? {}, issuer) }))
        return
      }
      const { method, headers } = request
      asked.push({ method, path, authorization: headers.authorization, body: new URLSearchParams(body) })
      response.statusCode = path === '/refusing-par' ? 400 : path === '/par' ? 201 : 200
      if (path === '/par') response.end(JSON.stringify({ request_uri: 'urn:example:request-1', expires_in: 60 }))
      else if (path === '/refusing-par') response.end(JSON.stringify({ error: 'invalid_request' }))
      else response.end(JSON.stringify(answer))
    })
  })
  return { asked, provider: (changes = {}) => providerOf({ issuer: origin.origin, ...changes }) }
}

const absolute = (metadata: Readonly<Record<string, unknown>>, issuer: string) =>
  Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [
      name,
      typeof value === 'string' && value.startsWith('/') ? `${issuer}${value}` : value,
    ]),
  )

const signIns = () => createSignIns(createProviderAccess({ clock: createSystemClock() }))

function attempt(provider: Provider, more: { scope?: string | null; client?: OpenedClient } = {}) {
  const { scope = 'openid offers', client = clientOf() } = more
  const secrets = { state: secret(), codeVerifier: secret(), nonce: secret() }
  return { provider, client, redirectUri: BACK, scope, resources: ['https://api.example.org/'], ...secrets }
}

const code = async (act: () => Promise<unknown>): Promise<string> => {
  try {
    await act()
    return 'done'
  } catch (error) {
    return error instanceof TokenError ? error.code : String(error)
  }
}

test('the browser is sent with a code challenge, a state and a nonce, each parameter once, and the endpoint keeps its query', async (t) => {
  const { provider } = await server(t)
  const of = attempt(provider())
  const url = new URL((await signIns().authorizationUrl(of)).url)
  assert.equal(url.pathname, '/authorize')
  assert.deepEqual(
    [...url.searchParams],
    [
      ['tenant', '1'],
      ['response_type', 'code'],
      ['client_id', 'my-client'],
      ['redirect_uri', BACK],
      ['scope', 'openid offers'],
      ['state', of.state],
      ['nonce', of.nonce],
      ['code_challenge', createHash('sha256').update(of.codeVerifier).digest('base64url')],
      ['code_challenge_method', 'S256'],
      ['resource', 'https://api.example.org/'],
    ],
  )
  assert.equal(url.href.includes(of.codeVerifier), false)
})

test('without the scope openid no nonce is sent', async (t) => {
  const { provider } = await server(t)
  const { url } = await signIns().authorizationUrl(attempt(provider(), { scope: 'offers' }))
  assert.equal(new URL(url).searchParams.get('nonce'), null)
})

test('where requests can be pushed all is pushed, by the client that proves itself, and the browser carries the reference alone', async (t) => {
  const { provider, asked } = await server(t, { pushed_authorization_request_endpoint: '/par' })
  const client = clientOf({ tokenEndpointAuthMethod: 'client_secret_basic' })
  const of = attempt(provider(), { client })
  const url = new URL((await signIns().authorizationUrl(of)).url)
  assert.deepEqual(
    [...url.searchParams],
    [
      ['tenant', '1'],
      ['client_id', 'my-client'],
      ['request_uri', 'urn:example:request-1'],
    ],
  )
  const [pushed] = asked
  assert.equal(pushed?.path, '/par')
  const credentials = Buffer.from(pushed.authorization?.slice('Basic '.length) ?? '', 'base64').toString()
  assert.equal(decodeURIComponent(credentials), 'my-client:my-secret')
  assert.deepEqual(
    ['client_id', 'redirect_uri', 'state', 'code_challenge_method', 'request_uri', 'client_secret'].map((name) =>
      pushed.body.getAll(name),
    ),
    [['my-client'], [BACK], [of.state], ['S256'], [], []],
  )
})

test('nobody is sent to a provider that refused the pushed request, or did not answer it', async (t) => {
  for (const [endpoint, expected] of [
    ['/refusing-par', 'provider_refused'],
    ['http://127.0.0.1:1/par', 'unavailable'],
  ] as const) {
    const { provider } = await server(t, { pushed_authorization_request_endpoint: endpoint })
    assert.equal(await code(() => signIns().authorizationUrl(attempt(provider()))), expected)
  }
})

test('the code is exchanged by POST with its verifier, the very same redirect URI and the proof of the client, once, in the body', async (t) => {
  const { provider, asked } = await server(t)
  const of = attempt(provider(), { scope: 'offers' })
  const signedIn = await signIns().exchange({ ...of, code: 'code-1' })
  assert.equal(signedIn.kind, 'signed_in')
  assert.equal(asked.length, 1)
  assert.deepEqual([asked[0]?.method, asked[0]?.path, asked[0]?.authorization], ['POST', '/token', undefined])
  assert.deepEqual(
    [...(asked[0]?.body ?? [])],
    [
      ['grant_type', 'authorization_code'],
      ['code', 'code-1'],
      ['redirect_uri', BACK],
      ['code_verifier', of.codeVerifier],
      ['resource', 'https://api.example.org/'],
      ['client_id', 'my-client'],
      ['client_secret', 'my-secret'],
    ],
  )
})

test('what a provider wants in each request is sent with the code, and takes the place of nothing that belongs to it', async (t) => {
  const { provider, asked } = await server(t)
  const fixed = { code: 'x', code_verifier: 'x', redirect_uri: 'https://elsewhere.example/', audience: 'api' }
  const wanting = provider({ request: { ...STANDARD_REQUEST, parameters: fixed } })
  const of = attempt(wanting, { scope: 'offers' })
  await signIns().exchange({ ...of, code: 'code-1' })
  assert.deepEqual(
    ['code', 'code_verifier', 'redirect_uri', 'audience'].map((name) => asked[0]?.body.getAll(name)),
    [['code-1'], [of.codeVerifier], [BACK], ['api']],
  )
})

test('a public client names itself with the code, and proves nothing', async (t) => {
  const { provider, asked } = await server(t)
  const client = clientOf({ tokenEndpointAuthMethod: 'none', clientSecret: null })
  await signIns().exchange({ ...attempt(provider(), { client, scope: null }), code: 'code-1' })
  assert.deepEqual([asked[0]?.body.get('client_id'), asked[0]?.body.get('client_secret')], ['my-client', null])
  assert.equal(asked[0]?.authorization, undefined)
})

test('a public client is sent nowhere without PKCE; one that proves itself is, where the provider takes none', async (t) => {
  const { provider, asked } = await server(t, { pushed_authorization_request_endpoint: '/par' })
  const without = provider({ authorization: { parameters: {}, scope: null, pkce: 'none' } })
  const client = clientOf({ tokenEndpointAuthMethod: 'none', clientSecret: null })
  assert.equal(await code(() => signIns().authorizationUrl(attempt(without, { client }))), 'provider_refused')
  assert.equal(asked.length, 0)
  await signIns().authorizationUrl(attempt(without))
  assert.equal(asked[0]?.body.has('code_challenge'), false)
})

test('what nobody knows in an answer, of the browser or of the token endpoint, is passed over', async (t) => {
  const answer = { access_token: 'at-1', token_type: 'Bearer', not_before_policy: 0, unheard_of: { access_token: 'x' } }
  const { provider } = await server(t, {}, answer)
  const query = { code: 'code-1', state: 's', session_state: 'x', unheard_of: 'y' }
  assert.deepEqual(await signIns().read(provider(), new URLSearchParams(query)), { kind: 'code', code: 'code-1' })
  const signedIn = await signIns().exchange({ ...attempt(provider(), { scope: 'offers' }), code: 'code-1' })
  assert.equal(signedIn.kind === 'signed_in' && signedIn.signIn.accessToken, 'at-1')
})

test('a sign-in that asked for an ID token and got none is not authentic: whose code it was cannot be told', async (t) => {
  const { provider } = await server(t)
  const exchanged = (scope: string) => signIns().exchange({ ...attempt(provider(), { scope }), code: 'code-1' })
  assert.deepEqual(await exchanged('openid'), { kind: 'failed', because: 'not_authentic', word: null })
  assert.equal((await exchanged('offers')).kind, 'signed_in')
})

test('an answer of another issuer is refused, announced or not, and one without where issuers are named', async (t) => {
  const named = await server(t, { authorization_response_iss_parameter_supported: true })
  const silent = await server(t)
  const away = await server(t, null)
  const read = async ({ provider }: Server, query: Record<string, string>): Promise<string> => {
    const answer = await signIns().read(provider(), new URLSearchParams({ code: 'code-1', state: 's', ...query }))
    return answer.kind === 'failed' ? answer.because : answer.kind
  }
  const issuer = ({ provider }: Server): string => provider().issuer ?? ''
  const table: readonly (readonly [Server, Record<string, string>, string])[] = [
    [named, { iss: issuer(named) }, 'code'],
    [named, {}, 'not_authentic'],
    [named, { iss: `${issuer(named)}/` }, 'not_authentic'],
    [named, { iss: '' }, 'not_authentic'],
    // An error says as little of whom it is from (RFC 9207 section 2.4).
    [named, { error: 'access_denied' }, 'not_authentic'],
    [named, { error: 'access_denied', iss: issuer(silent) }, 'not_authentic'],
    [named, { error: 'access_denied', iss: issuer(named) }, 'denied'],
    [silent, {}, 'code'],
    [silent, { iss: issuer(silent) }, 'code'],
    [silent, { iss: issuer(named) }, 'not_authentic'],
    [away, {}, 'unavailable'],
    [away, { iss: issuer(named) }, 'not_authentic'],
    [away, { iss: issuer(away) }, 'code'],
  ]
  for (const [from, query, expected] of table) assert.equal(await read(from, query), expected, JSON.stringify(query))
})
