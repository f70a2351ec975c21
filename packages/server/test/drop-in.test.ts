import assert from 'node:assert/strict'
import { request } from 'node:http'
import { suite, test } from 'node:test'
import { ms, type Numbers } from '@tokenkeep/core'
import type { Fault } from '@tokenkeep/devserver'
import { HTTP_SETTINGS } from '../src/http/settings.ts'
import {
  asBasic,
  asClient,
  openServedWorld,
  REALM,
  type FormAnswer,
  type ServedKey,
  type ServedWorld,
} from './served-world.ts'

const refreshesOf = async (world: ServedWorld, sessionId: string): Promise<number> =>
  (await world.upstream.control.counters(REALM, sessionId)).refreshes

const errorOf = ({ status, body }: FormAnswer): string => `${status} ${String(body['error'])}`

const byOwnCredentials = (world: ServedWorld, key: ServedKey, more: Readonly<Record<string, string>> = {}) =>
  world.postForm('token', { grant_type: 'client_credentials', ...asClient(key), ...more })

// ---- refresh_token -------------------------------------------------------------------------------------------------

test("the origin page's request is answered with its five members, in its order", async () => {
  await using world = await openServedWorld()
  const session = await world.connect('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  const answer = await world.refresh(key, refreshToken)
  assert.equal(answer.status, 200)
  assert.deepEqual(Object.keys(answer.body), ['access_token', 'expires_in', 'refresh_token', 'token_type', 'scope'])
  const { expires_in: expiresIn, ...rest } = answer.body
  assert.deepEqual(rest, {
    access_token: session.accessToken,
    refresh_token: refreshToken,
    token_type: 'Bearer',
    scope: session.scope,
  })
  assert.ok(Number.isInteger(expiresIn) && Number(expiresIn) > 200 && Number(expiresIn) < 300, String(expiresIn))
})

test('a token that ends within the second is never said to have 0 seconds left, which clients read as no end at all', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42', { accessTokenSeconds: 1 })
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  const { status, body } = await world.refresh(key, refreshToken)
  assert.equal(status, 200)
  assert.equal(body['expires_in'], 1)
})

test('a client waits for a slow provider as long as the operator says; the refresh goes on, and the next one has its token', async () => {
  await using world = await openServedWorld({ settings: { dropInWaitMs: 300 } })
  const { sessionId } = await world.connectExpired('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  await world.upstream.control.addFault({ fault: { kind: 'delay', ms: 1_000 }, when: 'after', times: 1, sessionId })
  const early = await world.refresh(key, refreshToken)
  assert.equal(errorOf(early), '503 temporarily_unavailable')
  let later = early
  for (let call = 0; call < 20 && later.status !== 200; call += 1) later = await world.refresh(key, refreshToken)
  assert.equal(later.status, 200)
  assert.equal(await refreshesOf(world, sessionId), 1)
})

test('where nobody says, it waits longer than a provider of 20 s takes, and less than openid-client does', () => {
  assert.ok(HTTP_SETTINGS.dropInWaitMs > 20_000)
  assert.ok(HTTP_SETTINGS.dropInWaitMs < 30_000)
})

test('no answer with a token is kept by a cache, and each says that it is JSON (RFC 6749 section 5.1)', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  const key = await world.makeKey()
  const { headers, text } = await world.refresh(key, await world.share('dealer-42', key))
  assert.equal(headers.get('cache-control'), 'no-store')
  assert.equal(headers.get('pragma'), 'no-cache')
  assert.match(headers.get('content-type') ?? '', /^application\/json;/)
  assert.equal(headers.get('content-length'), String(Buffer.byteLength(text)))
  assert.equal(headers.get('x-content-type-options'), 'nosniff')
})

test('a client may prove itself by the header or in the body', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  const key = await world.makeKey()
  const form = { grant_type: 'refresh_token', refresh_token: await world.share('dealer-42', key) }
  const byBody = await world.postForm('token', { ...form, ...asClient(key) })
  const byHeader = await world.postForm('token', form, { headers: asBasic(key) })
  assert.equal(byHeader.body['access_token'], byBody.body['access_token'])
  assert.equal(byHeader.status, 200)
})

test('the local refresh token stays the same over a rotation upstream', async () => {
  await using world = await openServedWorld()
  const { sessionId, accessToken } = await world.connectExpired('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  const { body } = await world.refresh(key, refreshToken)
  assert.equal(body['refresh_token'], refreshToken)
  assert.notEqual(body['access_token'], accessToken)
  assert.equal(await refreshesOf(world, sessionId), 1)
})

test('a thousand simultaneous requests for an expired token make one refresh, and none fails', async () => {
  // The thousand clients run in the loop of the server, which would refuse some for that.
  await using world = await openServedWorld({ settings: { eventLoopDelayMsMax: 0 } })
  const { sessionId } = await world.connectExpired('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken, ...asClient(key) })
  const answers = await Promise.all(Array.from({ length: 1000 }, () => postPatiently(world, form.toString())))
  assert.deepEqual([...new Set(answers.map(({ status, text }) => (status === 200 ? 'a token' : text)))], ['a token'])
  const tokens = answers.map(({ text }) => (JSON.parse(text) as FormAnswer['body'])['access_token'])
  assert.equal(new Set(tokens).size, 1)
  assert.equal(await refreshesOf(world, sessionId), 1)
})

/** On a connection of its own, which may take as long as it takes: fetch gives up on one after 10 s. */
function postPatiently(world: ServedWorld, form: string): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const sent = request(world.tokenEndpoint(), { method: 'POST', headers, agent: false }, (response) => {
      response.setEncoding('utf8')
      let text = ''
      response.on('data', (part: string) => (text += part))
      response.on('end', () => resolve({ status: response.statusCode, text }))
    })
    sent.on('error', reject)
    sent.end(form)
  })
}

test('a client that goes away cancels nothing: the next one gets what it asked for', async () => {
  await using world = await openServedWorld()
  const { sessionId } = await world.connectExpired('dealer-42')
  await world.upstream.control.addFault({ fault: { kind: 'delay', ms: 300 }, when: 'before', times: 1 })
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  const form = { grant_type: 'refresh_token', refresh_token: refreshToken, ...asClient(key) }
  await assert.rejects(world.postForm('token', form, { signal: AbortSignal.timeout(100) }))
  assert.equal((await world.refresh(key, refreshToken)).status, 200)
  assert.equal(await refreshesOf(world, sessionId), 1)
})

test('where the provider gave no refresh token, none is promised: the answer has four members', async () => {
  await using world = await openServedWorld({
    realm: { clients: [{ clientId: 'once', clientSecret: 'once-secret', mayRefresh: false }] },
  })
  await world.keep.clients.put({ id: 'once', provider: REALM, clientId: 'once', clientSecret: 'once-secret' })
  await world.connect('dealer-42', { clientId: 'once' }, { client: 'once' })
  const key = await world.makeKey()
  const { status, body } = await world.refresh(key, await world.share('dealer-42', key))
  assert.equal(status, 200)
  assert.deepEqual(Object.keys(body), ['access_token', 'expires_in', 'token_type', 'scope'])
})

test('a scope that nobody knows is left out', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42', {}, { scope: undefined })
  const key = await world.makeKey()
  const { body } = await world.refresh(key, await world.share('dealer-42', key))
  assert.deepEqual(Object.keys(body), ['access_token', 'expires_in', 'refresh_token', 'token_type'])
})

test('parameters without a value, and unknown ones, change nothing', async () => {
  await using world = await openServedWorld()
  const { accessToken } = await world.connect('dealer-42')
  const key = await world.makeKey()
  const more = { scope: '', resource: '', client_assertion: '', colour: 'red', audience: 'x' }
  const { status, body } = await world.refresh(key, await world.share('dealer-42', key), more)
  assert.equal(status, 200)
  assert.equal(body['access_token'], accessToken)
})

// ---- scope and resource --------------------------------------------------------------------------------------------

test('a narrower scope narrows one token, says so, and the next un-narrowed one has the full scope again', async () => {
  await using world = await openServedWorld()
  const session = await world.connect('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  const narrow = await world.refresh(key, refreshToken, { scope: 'dealer-api' })
  assert.equal(narrow.body['scope'], 'dealer-api')
  assert.notEqual(narrow.body['access_token'], session.accessToken)
  const full = await world.refresh(key, refreshToken)
  assert.equal(full.body['scope'], session.scope)
  const narrowAgain = await world.refresh(key, refreshToken, { scope: 'dealer-api' })
  assert.equal(narrowAgain.body['access_token'], narrow.body['access_token'])
  assert.equal(await refreshesOf(world, session.sessionId), 1)
})

test('to ask for just the scope that was granted, in whatever order, is to ask for nothing narrower', async () => {
  await using world = await openServedWorld({ provider: { narrowing: 'unknown' } })
  const { accessToken, scope, sessionId } = await world.connect('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  for (const asked of [scope, scope.split(' ').reverse().join(' '), `${scope}  openid`]) {
    const { status, body } = await world.refresh(key, refreshToken, { scope: asked })
    assert.equal(status, 200)
    assert.equal(body['access_token'], accessToken)
  }
  assert.equal(await refreshesOf(world, sessionId), 0)
})

const SCOPES: readonly { readonly name: string; readonly form: string; readonly error: string }[] = [
  { name: 'a scope that was not granted', form: 'scope=profile', error: '400 invalid_scope' },
  { name: 'a scope with a character that none has', form: 'scope=a%22b', error: '400 invalid_scope' },
  { name: 'a scope of nothing but spaces', form: 'scope=+', error: '400 invalid_scope' },
  { name: 'a resource that is no absolute URI', form: 'resource=api', error: '400 invalid_target' },
  { name: 'a resource with a fragment', form: 'resource=https%3A%2F%2Fa.example%2F%23b', error: '400 invalid_target' },
  {
    name: 'two resources, which may be sent, and which this provider refuses',
    form: 'resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example',
    error: '400 invalid_target',
  },
]
for (const { name, form, error } of SCOPES) {
  test(`${name}: ${error}, and the connection is not hurt`, async () => {
    await using world = await openServedWorld()
    await world.connect('dealer-42')
    const key = await world.makeKey()
    const refreshToken = await world.share('dealer-42', key)
    const mine = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken, ...asClient(key) })
    const refused = await world.postForm('token', `${mine.toString()}&${form}`)
    assert.equal(errorOf(refused), error)
    assert.equal((await world.refresh(key, refreshToken)).status, 200)
    assert.equal((await world.keep.connections.get('dealer-42')).status, 'ready')
  })
}

test('a narrower scope is refused where it would narrow the whole grant', async () => {
  await using world = await openServedWorld({ provider: { narrowing: 'sticks' } })
  await world.connect('dealer-42')
  const key = await world.makeKey()
  const refused = await world.refresh(key, await world.share('dealer-42', key), { scope: 'dealer-api' })
  assert.equal(errorOf(refused), '400 invalid_scope')
})

test('a resource is passed on to the provider', async () => {
  await using world = await openServedWorld()
  const { accessToken } = await world.connect('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  const { status, body, text } = await world.refresh(key, refreshToken, { resource: 'https://api.example/' })
  assert.equal(status, 200, text)
  assert.notEqual(body['access_token'], accessToken)
})

// ---- whose local refresh token -------------------------------------------------------------------------------------

test('a token that is unknown, revoked, another client’s, another realm’s or no token at all: the same answer', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  await world.connect('dealer-43')
  const [key, other] = [await world.makeKey(), await world.makeKey()]
  const own = await world.share('dealer-42', key)
  const revoked = await world.keep.localRefreshTokens.share('dealer-42', { with: key.id })
  await world.keep.localRefreshTokens.revoke(revoked.localRefreshToken.id)
  const ofDeleted = await world.share('dealer-43', key)
  await world.keep.connections.delete('dealer-43')
  await world.keep.providers.put({ id: 'elsewhere', tokenEndpoint: 'https://as.example/token' })
  const form = { grant_type: 'refresh_token', ...asClient(key) }
  const answers = [
    await world.refresh(key, `tkr_${'A'.repeat(43)}`),
    await world.refresh(key, `${own.slice(0, -1)}${own.endsWith('A') ? 'B' : 'A'}`),
    await world.refresh(key, revoked.refreshToken),
    await world.refresh(key, ofDeleted),
    await world.refresh(key, 'not-one-of-ours'),
    await world.refresh(key, key.key),
    await world.refresh(other, own),
    await world.postForm('token', { ...form, refresh_token: own }, { realm: 'elsewhere' }),
    await world.postForm('token', { ...form, refresh_token: own }, { realm: 'nobody-knows' }),
    await world.postForm('token', { ...form, refresh_token: own }, { realm: '%C3%BC%20..' }),
    // Also once it is remembered for its own client and realm.
    await world.refresh(key, own).then(() => world.refresh(other, own)),
    await world.postForm('token', { ...form, refresh_token: own }, { realm: 'elsewhere' }),
  ]
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [400])
  assert.deepEqual(
    [...new Set(answers.map(({ text }) => text))],
    [
      '{"error":"invalid_grant","error_description":"this refresh token is unknown or revoked, or was not issued to this client for this realm"}',
    ],
  )
  assert.equal((await world.refresh(key, own)).status, 200)
})

test('a local refresh token that is revoked elsewhere is refused within a second', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  const key = await world.makeKey()
  const { localRefreshToken, refreshToken } = await world.keep.localRefreshTokens.share('dealer-42', { with: key.id })
  assert.equal((await world.refresh(key, refreshToken)).status, 200)
  await world.keep.localRefreshTokens.revoke(localRefreshToken.id)
  world.forward(1_000)
  assert.equal(errorOf(await world.refresh(key, refreshToken)), '400 invalid_grant')
})

test('the id of a deleted connection, given to another sign-in, brings nobody its tokens, not for a moment', async () => {
  await using world = await openServedWorld()
  const mine = await world.connect('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  assert.equal((await world.refresh(key, refreshToken)).body['access_token'], mine.accessToken)
  await world.keep.connections.delete('dealer-42')
  const theirs = await world.connect('dealer-42')
  const answer = await world.refresh(key, refreshToken)
  assert.equal(errorOf(answer), '400 invalid_grant')
  assert.equal(answer.text.includes(theirs.accessToken), false)
})

test('after a reconnect the same local refresh token brings the new sign-in’s tokens', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  await world.refresh(key, refreshToken)
  const session = await world.upstream.control.seedSession(REALM, { clientId: 'app' })
  await world.keep.connections.reconnect('dealer-42', {
    refreshToken: session.refreshToken,
    accessToken: session.accessToken,
    expiresAt: Date.now() + 300_000,
  })
  assert.equal((await world.refresh(key, refreshToken)).body['access_token'], session.accessToken)
})

// ---- client_credentials --------------------------------------------------------------------------------------------

test('own credentials bring the token of the connection that the key names, without a refresh token', async () => {
  await using world = await openServedWorld()
  await world.keep.connections.import({ id: 'machine', client: 'app', grantType: 'client_credentials' })
  const key = await world.makeKey({ sources: { [REALM]: 'machine' } })
  const { status, body } = await byOwnCredentials(world, key)
  assert.equal(status, 200)
  assert.deepEqual(Object.keys(body).slice(0, 3), ['access_token', 'expires_in', 'token_type'])
  assert.equal('refresh_token' in body, false)
})

test('any number of programs with their own credentials share one upstream token', async () => {
  await using world = await openServedWorld()
  await world.keep.connections.import({ id: 'machine', client: 'app', grantType: 'client_credentials' })
  const keys = [
    await world.makeKey({ sources: { [REALM]: 'machine' } }),
    await world.makeKey({ sources: { [REALM]: 'machine' } }),
  ]
  const answers = await Promise.all(Array.from({ length: 100 }, (_, at) => byOwnCredentials(world, keys[at % 2]!)))
  assert.equal(new Set(answers.map(({ body }) => body['access_token'])).size, 1)
  const { byGrantType } = (await world.upstream.control.totals()).token
  assert.deepEqual(byGrantType['client_credentials'], { '200': 1 })
})

test('own credentials with a scope bring a token of that scope', async () => {
  await using world = await openServedWorld()
  await world.keep.connections.import({ id: 'machine', client: 'app', grantType: 'client_credentials' })
  const key = await world.makeKey({ sources: { [REALM]: 'machine' } })
  const { status, body, text } = await byOwnCredentials(world, key, { scope: 'dealer-api' })
  assert.equal(status, 200, text)
  assert.equal(body['scope'], 'dealer-api')
})

test('a key that names no connection of the realm may not use its own credentials there, and learns no more', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  await world.keep.connections.import({ id: 'machine', client: 'app', grantType: 'client_credentials' })
  const named = await world.makeKey({ sources: { [REALM]: 'machine' } })
  const unnamed = await world.makeKey()
  const form = { grant_type: 'client_credentials', ...asClient(named) }
  const answers = [
    await byOwnCredentials(world, unnamed),
    await world.postForm('token', form, { realm: 'nobody-knows' }),
    await world.postForm('token', { ...form, ...asClient(unnamed) }, { realm: 'nobody-knows' }),
  ]
  assert.deepEqual(answers.map(errorOf), Array(3).fill('400 unauthorized_client'))
  assert.equal(new Set(answers.map(({ text }) => text)).size, 1)
})

test('another connection named for a key serves it within a second; one that is gone serves nobody', async () => {
  await using world = await openServedWorld()
  const [one, two] = [await world.connect('dealer-42'), await world.connect('dealer-43')]
  const key = await world.makeKey({ sources: { [REALM]: 'dealer-42' } })
  assert.equal((await byOwnCredentials(world, key)).body['access_token'], one.accessToken)
  await world.keep.apiKeys.setSource(key.id, REALM, 'dealer-43')
  world.forward(1_000)
  assert.equal((await byOwnCredentials(world, key)).body['access_token'], two.accessToken)
  await world.keep.connections.delete('dealer-43')
  world.forward(1_000)
  assert.equal(errorOf(await byOwnCredentials(world, key)), '400 unauthorized_client')
})

test('a caller that is limited by labels is served by no connection without them, not for a moment', async () => {
  await using world = await openServedWorld()
  const sales = { labels: { team: 'sales' } }
  await world.connect('dealer-42', {}, sales)
  const key = await world.makeKey({ ...sales, sources: { [REALM]: 'dealer-42' } })
  assert.equal((await byOwnCredentials(world, key)).status, 200)
  await world.keep.connections.delete('dealer-42')
  await world.connect('dealer-42', {}, { labels: { team: 'purchase' } })
  assert.equal(errorOf(await byOwnCredentials(world, key)), '400 unauthorized_client')
})

// ---- what goes wrong upstream --------------------------------------------------------------------------------------

const OUTAGES: readonly { readonly name: string; readonly fault: Fault }[] = [
  { name: '500', fault: { kind: 'status', status: 500 } },
  { name: '503', fault: { kind: 'status', status: 503, headers: { 'retry-after': '120' } } },
  { name: '429', fault: { kind: 'status', status: 429, headers: { 'retry-after': '999999' } } },
  { name: 'a dropped connection', fault: { kind: 'drop' } },
  { name: 'an HTML page', fault: { kind: 'html' } },
  { name: 'an HTML page with 200', fault: { kind: 'html', status: 200 } },
  { name: 'a redirect', fault: { kind: 'status', status: 302, headers: { location: 'https://elsewhere.example/' } } },
  { name: 'a wrong invalid_grant', fault: { kind: 'invalid_grant' } },
  { name: 'invalid_client', fault: { kind: 'status', status: 401, body: '{"error":"invalid_client"}' } },
  { name: 'an error nobody knows', fault: { kind: 'status', status: 400, body: '{"error":"teapot"}' } },
]
/** The next try comes so late that nobody waits for it here. */
const PAST_EVERY_DEADLINE = { backOffFirstMs: 1e9, backOffCapMs: 1e9, backOffCapWithCallerMs: 1e9 } as Partial<Numbers>
for (const { name, fault } of OUTAGES) {
  test(`${name} upstream never ends a login: 503 with Retry-After`, async () => {
    await using world = await openServedWorld({ open: { numbers: PAST_EVERY_DEADLINE } })
    const { sessionId } = await world.connectExpired('dealer-42')
    const key = await world.makeKey()
    const refreshToken = await world.share('dealer-42', key)
    await world.upstream.control.addFault({ fault, when: 'before', times: 1000, sessionId })
    const answers = await Promise.all(Array.from({ length: 5 }, () => world.refresh(key, refreshToken)))
    for (const answer of answers) {
      assert.equal(errorOf(answer), '503 temporarily_unavailable')
      const seconds = answer.headers.get('retry-after') ?? ''
      assert.match(seconds, /^\d+$/)
      assert.ok(Number(seconds) >= 1 && Number(seconds) <= 3600, seconds)
      assert.equal(answer.headers.get('cache-control'), 'no-store')
    }
    assert.equal((await world.upstream.control.counters(REALM, sessionId)).killed, false)
  })
}

test('a sign-in that is over is invalid_grant, so that the client asks its user', async () => {
  await using world = await openServedWorld({ open: { numbers: { confirmAfterMs: [ms(50), ms(100)] } } })
  const { sessionId } = await world.connectExpired('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  await world.upstream.control.killSession(REALM, sessionId)
  const answer = await world.refresh(key, refreshToken)
  assert.equal(errorOf(answer), '400 invalid_grant')
  assert.match(String(answer.body['error_description']), /sign in again.*\(revoked\)/)
  assert.equal(answer.headers.get('retry-after'), null)
})

test('an access token that ended, without a refresh token to replace it, is invalid_grant', async () => {
  await using world = await openServedWorld()
  const session = await world.upstream.control.seedSession(REALM, { clientId: 'app' })
  const sign = { id: 'dealer-42', client: 'app', accessToken: session.accessToken, expiresAt: Date.now() - 1000 }
  await world.keep.connections.import(sign)
  const key = await world.makeKey()
  const answer = await world.refresh(key, await world.share('dealer-42', key))
  assert.equal(errorOf(answer), '400 invalid_grant')
  assert.match(String(answer.body['error_description']), /\(no_refresh_token\)/)
})

test('a database that is closed is no end of a login', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  await world.refresh(key, refreshToken)
  await world.keep.close()
  const answer = await world.refresh(key, refreshToken)
  assert.equal(errorOf(answer), '503 temporarily_unavailable')
  assert.equal(answer.headers.get('retry-after'), '1')
})

// They wait most of the time.
suite('time passes', { concurrency: true }, () => {
  test('a token with more than half of its life left is handed out as it is; with less it is refreshed first', async () => {
    await using world = await openServedWorld()
    const { sessionId } = await world.connect('dealer-42', { accessTokenSeconds: 8 })
    const key = await world.makeKey()
    const refreshToken = await world.share('dealer-42', key)
    const fresh = await world.refresh(key, refreshToken)
    assert.equal(await refreshesOf(world, sessionId), 0)
    assert.ok(Number(fresh.body['expires_in']) >= 3)
    await new Promise((resolve) => setTimeout(resolve, 4_100))
    const again = await world.refresh(key, refreshToken)
    assert.equal(await refreshesOf(world, sessionId), 1)
    assert.ok(Number(again.body['expires_in']) >= 3)
  })

  test('an outage upstream is not felt while the token lives, be it for less than half of its life', async () => {
    await using world = await openServedWorld()
    const { accessToken, sessionId } = await world.connect('dealer-42', { accessTokenSeconds: 8 })
    const key = await world.makeKey()
    const refreshToken = await world.share('dealer-42', key)
    await world.upstream.control.addFault({
      fault: { kind: 'status', status: 500 },
      when: 'before',
      times: 1000,
      sessionId,
    })
    await new Promise((resolve) => setTimeout(resolve, 4_100))
    const { status, body } = await world.refresh(key, refreshToken)
    assert.equal(status, 200)
    assert.equal(body['access_token'], accessToken)
    assert.ok(Number(body['expires_in']) < 4)
  })

  test('an outage that ends in time is a wait and nothing more', async () => {
    await using world = await openServedWorld()
    const { sessionId } = await world.connectExpired('dealer-42')
    const key = await world.makeKey()
    const refreshToken = await world.share('dealer-42', key)
    const fault = { kind: 'status', status: 503, headers: { 'retry-after': '1' } } as const
    await world.upstream.control.addFault({ fault, when: 'before', times: 2, sessionId })
    assert.equal((await world.refresh(key, refreshToken)).status, 200)
  })
})
