/** What providers send to us, over real HTTP: logout tokens and security events. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ms } from '@tokenkeep/core'
import { eventIssuer, SESSION_REVOKED, type Claims, type EventIssuer } from './event-issuer.ts'
import { openApiWorld, type ApiWorld } from './api-world.ts'
import type { Answer } from './any-request.ts'
import type { HttpSettings } from '../src/http/settings.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const SET = { 'content-type': 'application/secevent+jwt' }

interface Receiving {
  readonly api: ApiWorld
  readonly issuer: EventIssuer
  logout(token: string, more?: { headers?: Record<string, string>; provider?: string }): Promise<Answer>
  event(token: string, more?: { headers?: Record<string, string>; provider?: string }): Promise<Answer>
  revoked(claims?: Claims): string
}

async function receiving(t: TestContext, settings: Partial<HttpSettings> = {}): Promise<Receiving> {
  const api = await openApiWorld({ settings })
  t.after(() => api[Symbol.asyncDispose]())
  const issuer = await eventIssuer(t)
  const { keep } = api
  const tokenEndpoint = `${issuer.issuer}/token`
  await keep.providers.put({ id: 'idp', issuer: issuer.issuer, tokenEndpoint, jwksUri: `${issuer.issuer}/keys` })
  await keep.clients.put({ id: 'idp-app', provider: 'idp', clientId: 'app', clientSecret: 'secret-of-app' })
  await keep.connections.import({
    id: 'alice',
    client: 'idp-app',
    refreshToken: 'rt-of-alice-canary',
    accessToken: 'at-of-alice-canary',
    expiresAt: Date.now() + 3_600_000,
    subject: 'alice',
    sessionId: 'session-1',
  })
  return {
    api,
    issuer,
    logout: (token, { headers = FORM, provider = 'idp' } = {}) =>
      api.send({
        method: 'POST',
        target: `/providers/${provider}/backchannel-logout`,
        headers,
        body: `logout_token=${encodeURIComponent(token)}`,
      }),
    event: (token, { headers = SET, provider = 'idp' } = {}) =>
      api.send({ method: 'POST', target: `/providers/${provider}/events`, headers, body: token }),
    revoked: (claims = {}) =>
      issuer.securityEvent({
        sub_id: { format: 'opaque', id: 'session-1' },
        events: { [SESSION_REVOKED]: {} },
        ...claims,
      }),
  }
}

const handedOut = async (api: ApiWorld): Promise<boolean> =>
  (await api.ask('getToken', { ids: { id: 'alice' }, headers: { prefer: 'wait=0' } })).status === 200

test('a logout token is answered 200 with nothing in it, kept by nobody, and again when it comes again', async (t) => {
  const { api, issuer, logout } = await receiving(t)
  assert.ok(await handedOut(api))
  const token = issuer.logoutToken()
  for (const _ of [1, 2]) {
    const { status, text, headers } = await logout(token)
    assert.deepEqual([status, text, headers['cache-control']], [200, '', 'no-store'])
  }
  assert.equal(await handedOut(api), false)
  const metrics = (await api.send({ target: '/metrics' })).text
  assert.match(metrics, /tokenkeep_received_events_total\{kind="logout_token",outcome="accepted"\} 1/)
  assert.match(metrics, /tokenkeep_received_events_total\{kind="logout_token",outcome="known"\} 1/)
  assert.match(metrics, /tokenkeep_signed_out_total\{provider="idp"\} 1/)
})

test('a security event is answered 202 with nothing in it, and again when it comes again', async (t) => {
  const { api, event, revoked } = await receiving(t)
  const token = revoked()
  // A file has a line feed at its end, and curl sends it.
  for (const sent of [token, `${token}\n`]) {
    const { status, text } = await event(sent)
    assert.deepEqual([status, text], [202, ''])
  }
  assert.equal(await handedOut(api), false)
})

test('a logout token that is refused is told so as OpenID Connect has it', async (t) => {
  const { api, issuer, logout } = await receiving(t)
  for (const token of ['garbage', '', issuer.logoutToken({ nonce: 'n' }), issuer.logoutToken({ aud: 'x' })]) {
    const { status, text, headers } = await logout(token)
    assert.deepEqual(
      [status, headers['content-type'], headers['cache-control']],
      [400, 'application/json; charset=utf-8', 'no-store'],
    )
    const body = JSON.parse(text) as Claims
    assert.equal(body['error'], 'invalid_request')
    assert.equal(typeof body['error_description'], 'string')
  }
  assert.ok(await handedOut(api))
})

test('a security event that is refused is told why, in the words of RFC 8935', async (t) => {
  const { api, issuer, event, revoked } = await receiving(t)
  const other = await eventIssuer(t)
  const claims = {
    iss: issuer.issuer,
    sub_id: { format: 'opaque', id: 'session-1' },
    events: { [SESSION_REVOKED]: {} },
  }
  for (const [token, err] of [
    ['garbage', 'invalid_request'],
    ['', 'invalid_request'],
    [revoked({ events: {} }), 'invalid_request'],
    [issuer.logoutToken(), 'invalid_request'],
    [other.securityEvent(claims), 'authentication_failed'],
    [revoked({ iss: 'https://elsewhere.example' }), 'invalid_issuer'],
    [revoked({ aud: 'https://receiver.example' }), 'invalid_audience'],
  ] as const) {
    const { status, headers, text } = await event(token)
    const body = JSON.parse(text) as Claims
    assert.deepEqual([status, body['err'], typeof body['description']], [400, err, 'string'])
    assert.equal(headers['content-language'], 'en')
  }
  assert.ok(await handedOut(api))
  assert.match(api.logged(), /"because":"audience"/, 'the operator is told what the provider signed in vain')
})

test('nobody learns which providers there are: a token that is not theirs gets the same answer from all', async (t) => {
  const { logout, event } = await receiving(t)
  const stranger = await eventIssuer(t)
  for (const [send, token] of [
    [logout, stranger.logoutToken()],
    [logout, 'garbage'],
    [event, stranger.securityEvent({ events: {} })],
    [event, 'garbage'],
  ] as const) {
    const known = await send(token)
    for (const provider of ['nobody', '%00', '..%2Fidp', 'x'.repeat(300)]) {
      const unknown = await send(token, { provider })
      assert.deepEqual([unknown.status, unknown.text], [known.status, known.text], provider)
    }
  }
})

test('while the keys of the provider cannot be had it is to send again, and then it is taken', async (t) => {
  const { api, issuer, logout, event, revoked } = await receiving(t)
  issuer.status = 503
  const refused = await logout(issuer.logoutToken())
  assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '30'])
  const alike = await event(revoked())
  assert.deepEqual([alike.status, alike.headers['retry-after']], [503, '30'])
  assert.ok(await handedOut(api))
})

test('a body of another kind, a second token, or one in the URL is refused', async (t) => {
  const { api, issuer, logout, event, revoked } = await receiving(t)
  const token = issuer.logoutToken()
  const target = '/providers/idp/backchannel-logout'
  for (const sent of [
    { method: 'POST', target, headers: { 'content-type': 'application/json' }, body: `{"logout_token":"${token}"}` },
    { method: 'POST', target, headers: FORM, body: `logout_token=${token}&logout_token=${token}` },
    { method: 'POST', target, headers: FORM, body: '' },
    { method: 'POST', target: `${target}?logout_token=${token}`, headers: FORM, body: '' },
    { method: 'POST', target: `${target}?logout_token=${token}` },
    { method: 'POST', target, headers: FORM, body: 'logout_token=%zz' },
  ])
    assert.equal((await api.send(sent)).status, 400)
  assert.equal((await logout('x'.repeat(70_000))).status, 413)
  assert.equal((await event(revoked(), { headers: FORM })).status, 400)
  assert.equal((await api.send({ target })).status, 405)
  assert.ok(await handedOut(api))
})

test('a page of another site cannot send one, and a server needs no Origin', async (t) => {
  const { api, issuer, logout } = await receiving(t)
  const token = issuer.logoutToken()
  assert.equal((await logout(token, { headers: { ...FORM, origin: 'https://evil.example' } })).status, 403)
  assert.ok(await handedOut(api))
  assert.equal((await logout(token)).status, 200)
})

test('whoever sends wrong ones again and again has to wait, and a right one from the same address is taken', async (t) => {
  const { api, issuer, logout, event } = await receiving(t, { wrongKeysPerMinute: 3 })
  for (const _ of [1, 2, 3]) assert.equal((await logout('garbage')).status, 400)
  for (const send of [logout, event]) {
    const { status, headers } = await send('garbage')
    assert.equal(status, 429)
    assert.match(String(headers['retry-after']), /^\d+$/)
  }
  assert.equal((await logout(issuer.logoutToken())).status, 200)
  assert.equal(await handedOut(api), false)
})

test('while the database does not answer it is to send again', async (t) => {
  const { api, issuer, logout } = await receiving(t)
  await api.keep.close()
  const { status, headers, text } = await logout(issuer.logoutToken())
  assert.equal(status, 503, text)
  assert.match(String(headers['retry-after']), /^\d+$/)
})

test('no token, and no name of a connection, stands in an answer or in the log', async (t) => {
  const { api, issuer, logout, event, revoked } = await receiving(t)
  const tokens = [issuer.logoutToken(), issuer.logoutToken({ aud: 'x' }), revoked(), revoked({ iss: 'x' })]
  for (const token of tokens) for (const send of [logout, event]) await send(token)
  const said = api.heard.filter(({ sent }) => sent.target.startsWith('/providers/')).map(({ answer }) => answer.text)
  const words = [
    ...tokens.flatMap((token) => [token, token.split('.')[2] ?? token]),
    'rt-of-alice',
    'at-of-alice',
    'alice',
    'session-1',
  ]
  for (const word of words) assert.ok(!said.some((text) => text.includes(word)), word)
  for (const word of words.slice(0, -2)) assert.ok(!api.logged().includes(word), word)
})

test('who signs out at the provider is handed out nowhere a second later, in this process and in another one', async (t) => {
  const api = await openApiWorld({ open: { background: true, numbers: { signOutTakesMs: ms(500) } } })
  t.after(() => api[Symbol.asyncDispose]())
  const { upstream } = api.world
  await upstream.control.putClient('external', {
    clientId: 'app',
    clientSecret: 'client-secret-canary-7f3a',
    tokenEndpointAuthMethod: 'client_secret_post',
    backchannelLogoutUri: `${api.url}/providers/external/backchannel-logout`,
  })
  const session = await upstream.control.seedSession('external', { clientId: 'app' })
  await api.keep.connections.import({
    id: 'alice',
    client: 'app',
    refreshToken: session.refreshToken,
    accessToken: session.accessToken,
    expiresAt: Date.now() + session.expiresIn * 1000,
    sessionId: session.sessionId,
  })
  const child = spawn(
    process.execPath,
    [
      ...['--conditions=tokenkeep-source', '--disable-warning=ExperimentalWarning'],
      fileURLToPath(new URL('./handing-out-process.ts', import.meta.url)),
      ...[api.path, api.keyFile, 'alice'],
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  t.after(() => child.kill())
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  assert.equal((await lines.next()).value, session.accessToken)
  assert.ok(await handedOut(api))
  const post = await upstream.control.signOut('external', session.sessionId)
  const at = Date.now()
  assert.equal(post?.status, 200)
  assert.equal(await handedOut(api), false)
  const ended = JSON.parse(String((await lines.next()).value)) as { code: string; last: number }
  assert.equal(ended.code, 'needs_user')
  assert.ok(ended.last - at < 1_000, `${ended.last - at} ms`)
  assert.equal((await api.keep.connections.get('alice')).reason, 'signed_out')
  child.stdin.end()
  await once(child, 'exit')
})
