import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { State } from '../src/state.ts'
import { CLIENT, openTrial, OWN_CREDENTIALS, postOf, replyOf, text } from './trial.ts'

test('an answer has the members of RFC 6749 and of Keycloak', async (t) => {
  const trial = await openTrial(t, { accessTokenSeconds: 60, refreshTokenSeconds: 600 })
  const session = await trial.seed({ subject: 'ada' })
  const { body, headers } = await trial.refresh(session.refreshToken)
  assert.deepEqual(Object.keys(body), [
    'access_token',
    'expires_in',
    'refresh_expires_in',
    'refresh_token',
    'token_type',
    'id_token',
    'not-before-policy',
    'session_state',
    'scope',
  ])
  assert.equal(body['expires_in'], 60)
  assert.equal(body['refresh_expires_in'], 600)
  assert.equal(body['token_type'], 'Bearer')
  assert.equal(body['not-before-policy'], 0)
  assert.equal(body['session_state'], session.sessionId)
  assert.equal(body['scope'], 'openid offline_access dealer-api')
  assert.equal(headers.get('cache-control'), 'no-store')
})

test('a narrower scope narrows one access token; the next refresh has the full scope again', async (t) => {
  const trial = await openTrial(t)
  const session = await trial.seed({ scope: 'dealer-api offers:read' })
  const narrow = await trial.refresh(session.refreshToken, { scope: 'offers:read' })
  assert.equal(narrow.body['scope'], 'offers:read')
  assert.equal((await trial.offers(text(narrow, 'access_token'))).status, 403)
  const full = await trial.refresh(text(narrow, 'refresh_token'))
  assert.equal(full.body['scope'], 'dealer-api offers:read')
  assert.equal((await trial.offers(text(full, 'access_token'))).status, 200)
})

test('a narrower scope sticks where the realm says so', async (t) => {
  const trial = await openTrial(t, { narrowing: 'sticks' })
  const session = await trial.seed({ scope: 'dealer-api offers:read' })
  const narrow = await trial.refresh(session.refreshToken, { scope: 'offers:read' })
  const after = await trial.refresh(text(narrow, 'refresh_token'))
  assert.equal(after.body['scope'], 'offers:read')
  assert.equal(
    (await trial.refresh(text(after, 'refresh_token'), { scope: 'dealer-api' })).body['error'],
    'invalid_scope',
  )
})

test('a wider scope is refused, and the refresh token is not spent by it', async (t) => {
  const trial = await openTrial(t)
  const session = await trial.seed({ scope: 'dealer-api' })
  const refused = await trial.refresh(session.refreshToken, { scope: 'dealer-api admin' })
  assert.deepEqual([refused.status, refused.body['error']], [400, 'invalid_scope'])
  assert.equal((await trial.refresh(session.refreshToken)).status, 200)
  const counters = await trial.counters(session.sessionId)
  assert.deepEqual([counters.refused, counters.secondPresentations, counters.killed], [1, 0, false])
})

test('a resource becomes the audience of the access token; a bad one is refused unspent', async (t) => {
  const trial = await openTrial(t)
  const session = await trial.seed()
  const bad = await trial.refresh(session.refreshToken, { resource: 'not-a-uri' })
  assert.deepEqual([bad.status, bad.body['error']], [400, 'invalid_target'])
  const reply = await trial.refresh(session.refreshToken, { resource: 'https://api.example.org/' })
  assert.equal(claims(text(reply, 'access_token'))['aud'], 'https://api.example.org/')
  const plain = await trial.refresh(text(reply, 'refresh_token'))
  assert.equal(claims(text(plain, 'access_token'))['aud'], 'account')
})

test('unknown, empty and foreign refresh tokens are refused and count for nobody', async (t) => {
  const other = { clientId: 'other', clientSecret: 'other-secret' }
  const trial = await openTrial(t, { clients: [CLIENT, other] })
  const session = await trial.seed()
  assert.equal((await trial.refresh('never-issued')).body['error'], 'invalid_grant')
  assert.equal((await trial.refresh('')).body['error'], 'invalid_request')
  const foreign = await trial.refresh(session.refreshToken, { client_id: 'other', client_secret: 'other-secret' })
  assert.equal(foreign.body['error'], 'invalid_grant')
  assert.equal((await trial.counters(session.sessionId)).presentations, 0)
  assert.equal((await trial.refresh(session.refreshToken)).status, 200)
})

test('an expired refresh token is refused and does not kill the session', async (t) => {
  const trial = await openTrial(t)
  const session = await trial.seed({ refreshTokenSeconds: 1 })
  assert.equal(session.refreshExpiresIn, 1)
  await sleep(1050)
  const refused = await trial.refresh(session.refreshToken)
  assert.equal(refused.body['error_description'], 'Token is not active')
  assert.equal((await trial.counters(session.sessionId)).killed, false)
  assert.equal((await trial.offers(session.accessToken)).status, 200)
})

test('lifetimes: the session wins over the client, the client over the realm; 0 means no fixed end', async (t) => {
  const trial = await openTrial(t, { accessTokenSeconds: 100, clients: [{ ...CLIENT, accessTokenSeconds: 50 }] })
  const byClient = await trial.seed()
  const bySession = await trial.seed({ accessTokenSeconds: 7, refreshTokenSeconds: 0 })
  assert.deepEqual([byClient.expiresIn, bySession.expiresIn, bySession.refreshExpiresIn], [50, 7, 0])
  const reply = await trial.refresh(bySession.refreshToken)
  assert.deepEqual([reply.body['expires_in'], reply.body['refresh_expires_in']], [7, 0])
})

test('no token outlives its session, and a session at its end refuses', async (t) => {
  const trial = await openTrial(t, { sessionSeconds: 2, accessTokenSeconds: 60, refreshTokenSeconds: 0 })
  const session = await trial.seed()
  const reply = await trial.refresh(session.refreshToken)
  assert.ok(Number(reply.body['expires_in']) <= 2)
  assert.ok(Number(reply.body['refresh_expires_in']) <= 2)
  await sleep(1100)
  assert.equal((await trial.refresh(text(reply, 'refresh_token'))).body['error'], 'invalid_grant')
})

test('a session limit that is set later ends sessions older than it', async (t) => {
  const trial = await openTrial(t)
  const session = await trial.seed()
  await sleep(1010)
  await trial.devserver.control.updateRealm('external', { sessionSeconds: 1 })
  assert.equal((await trial.refresh(session.refreshToken)).body['error_description'], 'Session not active')
})

test('a client that may not refresh gets no refresh token', async (t) => {
  const machine = { clientId: 'machine', clientSecret: 'machine-secret', mayRefresh: false }
  const trial = await openTrial(t, { clients: [CLIENT, machine] })
  const session = await trial.devserver.control.seedSession('external', { clientId: 'machine' })
  assert.equal(session.refreshToken, null)
  const reply = await trial.refresh('anything', { client_id: 'machine', client_secret: 'machine-secret' })
  assert.equal(reply.status, 400)
})

test('clients authenticate by post, by basic, or are public; anything else is 401 invalid_client', async (t) => {
  const spa = { clientId: 'spa', tokenEndpointAuthMethod: 'none' } as const
  const odd = { clientId: 'odd:id', clientSecret: 'a+b c%/:', tokenEndpointAuthMethod: 'client_secret_basic' } as const
  const trial = await openTrial(t, { clients: [CLIENT, spa, odd] })
  const { control } = trial.devserver
  const tokenEndpoint = trial.devserver.tokenEndpoint('external')
  const form = async (clientId: string) => ({
    grant_type: 'refresh_token',
    refresh_token: (await control.seedSession('external', { clientId })).refreshToken ?? '',
  })
  const basic = (id: string, secret: string) => ({
    authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`,
  })
  const status = async (body: Readonly<Record<string, string>>, headers = {}) => {
    const reply = await replyOf(await fetch(tokenEndpoint, postOf(body, headers)))
    return reply.status === 200 ? 200 : `${reply.status} ${reply.body['error']}`
  }
  assert.equal(await status({ ...(await form('app')), ...OWN_CREDENTIALS }), 200)
  assert.equal(await status(await form('odd:id'), basic('odd:id', 'a+b c%/:')), 200)
  assert.equal(await status({ ...(await form('spa')), client_id: 'spa' }), 200)

  assert.equal(await status({ ...(await form('app')), client_id: 'app', client_secret: 'wrong' }), '401 invalid_client')
  assert.equal(await status({ ...(await form('app')), client_id: 'app' }), '401 invalid_client')
  assert.equal(await status(await form('app'), basic('app', 'wrong')), '401 invalid_client')
  assert.equal(await status({ ...(await form('spa')), client_id: 'nobody' }), '401 invalid_client')
  assert.equal(await status({ ...(await form('spa')), client_id: 'spa', client_secret: 'x' }), '401 invalid_client')
})

test('a wrong client secret does not touch the session; a rotated one is the only one that works', async (t) => {
  const trial = await openTrial(t)
  const session = await trial.seed()
  await trial.refresh(session.refreshToken, { client_secret: 'wrong' })
  assert.deepEqual(
    await trial.counters(session.sessionId).then(({ arrivals, presentations }) => [arrivals, presentations]),
    [1, 0],
  )
  const { clientSecret } = await trial.devserver.control.rotateClientSecret('external', 'app')
  assert.equal((await trial.refresh(session.refreshToken)).status, 401)
  assert.equal((await trial.refresh(session.refreshToken, { client_secret: clientSecret })).status, 200)
})

test('client credentials: an access token, and nothing to refresh', async (t) => {
  const trial = await openTrial(t, { accessTokenSeconds: 42 })
  const reply = await trial.post('token', { grant_type: 'client_credentials', ...OWN_CREDENTIALS, scope: 'dealer-api' })
  assert.equal(reply.status, 200)
  assert.deepEqual([reply.body['expires_in'], reply.body['scope']], [42, 'dealer-api'])
  assert.equal('refresh_token' in reply.body, false)
  assert.equal((await trial.offers(text(reply, 'access_token'))).status, 200)
})

test('a request body beyond 64 KiB is refused', async (t) => {
  const trial = await openTrial(t)
  assert.equal((await trial.refresh('x'.repeat(70_000))).status, 413)
})

test('what the server cannot commit it does not answer', async (t) => {
  const trial = await openTrial(t)
  const session = await trial.seed()
  const warnings: string[] = []
  const listen = (warning: Error) => void warnings.push(warning.message)
  process.on('warning', listen)
  t.after(() => void process.off('warning', listen))
  const commit = t.mock.method(State.prototype, 'together', () => Promise.reject(new Error('disk full')), { times: 1 })
  const refused = await fetch(
    trial.devserver.tokenEndpoint('external'),
    postOf({ grant_type: 'refresh_token', ...OWN_CREDENTIALS, refresh_token: session.refreshToken }),
  )
  assert.equal(refused.status, 500)
  assert.equal((await refused.text()).includes('access_token'), false)
  assert.equal(commit.mock.callCount(), 1)
  assert.equal((await trial.refresh(session.refreshToken)).status, 200)
  assert.deepEqual(warnings, ['disk full'])
})

test('an unknown grant type is unsupported_grant_type', async (t) => {
  const trial = await openTrial(t)
  const reply = await trial.post('token', { grant_type: 'password', ...OWN_CREDENTIALS })
  assert.deepEqual([reply.status, reply.body['error']], [400, 'unsupported_grant_type'])
})

function claims(jwt: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as Readonly<Record<string, unknown>>
}
