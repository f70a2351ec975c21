import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import { createControlClient, startDevserver } from '../src/index.ts'
import { whyRefused } from '../src/control-api.ts'
import { CLIENT, openTrial, OWN_CREDENTIALS, raw, replyOf } from './trial.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

test('over HTTP the control API is the same as in process', async (t) => {
  const trial = await openTrial(t)
  const control = createControlClient(trial.devserver.controlUrl)
  await control.putRealm({ name: 'second', clients: [CLIENT], accessTokenFormat: 'opaque' })
  const session = await control.seedSession('second', { clientId: 'app', subject: 'ada', scope: 'dealer-api' })
  assert.equal((await trial.offers(session.accessToken)).status, 200)
  const form = { grant_type: 'refresh_token', ...OWN_CREDENTIALS, refresh_token: session.refreshToken ?? '' }
  const reply = await replyOf(
    await fetch(trial.devserver.tokenEndpoint('second'), { method: 'POST', body: new URLSearchParams(form) }),
  )
  assert.equal(reply.status, 200)

  assert.deepEqual(
    await control.counters('second', session.sessionId),
    await trial.devserver.control.counters('second', session.sessionId),
  )
  assert.equal((await control.sessions('second')).length, 1)
  const totals = await control.totals()
  assert.deepEqual(totals.token.byGrantType, { refresh_token: { '200': 1 } })
  assert.deepEqual(totals.token.byRealm, { second: 1 })
  assert.deepEqual(totals.demoApi, { requests: 1, byStatus: { '200': 1 } })

  await control.resetCounters()
  assert.equal((await control.totals()).token.requests, 0)
  assert.equal((await control.counters('second', session.sessionId)).refreshes, 0)
  await control.killSession('second', session.sessionId)
  assert.equal((await control.counters('second', session.sessionId)).killedBecause, 'revoked_upstream')
})

test('the request log names tokens by fingerprint, and no secret appears in it', async (t) => {
  const trial = await openTrial(t)
  const session = await trial.seed()
  const reply = await trial.refresh(session.refreshToken, { scope: 'dealer-api' })
  await trial.offers(session.accessToken)
  const requests = await trial.devserver.control.requests()
  const [refresh, call] = requests
  assert.deepEqual(
    [refresh?.endpoint, refresh?.clientId, refresh?.sessionId, refresh?.scope, refresh?.seen],
    ['token', 'app', session.sessionId, 'dealer-api', 200],
  )
  assert.equal(call?.endpoint, 'demo-api')
  const secrets = [session.refreshToken, session.accessToken, CLIENT.clientSecret, String(reply.body['refresh_token'])]
  for (const secret of secrets) assert.equal(JSON.stringify(requests).includes(secret), false)
})

test('a foreign Host, a foreign Origin and a form from another site are refused', async (t) => {
  const { devserver } = await openTrial(t)
  const { port } = new URL(devserver.origin)
  const url = `${devserver.controlUrl}/clearFaults`
  const ask = (headers: Record<string, string>) =>
    raw(url, { method: 'POST', headers: { ...JSON_TYPE, ...headers }, body: '{}' })
  assert.equal((await ask({})).status, 200)
  assert.equal((await ask({ host: `localhost:${port}` })).status, 200)
  assert.equal((await ask({ origin: `http://localhost:${port}` })).status, 200)
  assert.equal((await ask({ host: `evil.example:${port}` })).status, 403)
  assert.equal((await ask({ host: `127.0.0.1.evil.example:${port}` })).status, 403)
  assert.equal((await ask({ origin: 'https://evil.example' })).status, 403)
  assert.equal((await ask({ origin: 'null' })).status, 403)
  assert.equal((await ask({ 'content-type': 'text/plain' })).status, 400)
  assert.equal((await raw(`${devserver.controlUrl}/totals`, { headers: { host: 'evil.example' } })).status, 403)
  assert.equal((await raw(`${devserver.controlUrl}/totals`)).status, 200)
  assert.equal((await raw(`${devserver.controlUrl}/clearFaults`)).status, 400) // GET changes nothing.
})

test('callers from other machines are refused, even with the right name', () => {
  const refused = (remoteAddress: string) =>
    whyRefused({ remoteAddress, localPort: 80, host: 'localhost:80', origin: null }) !== null
  assert.deepEqual(['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1'].map(refused), [false, false, false, false])
  assert.deepEqual(['10.0.0.1', '::ffff:10.0.0.1', '1.127.0.0', ''].map(refused), [true, true, true, true])
})

test('a server that listens everywhere still keeps its control API to this machine', async (t) => {
  await using devserver = await startDevserver({ host: '0.0.0.0' })
  const outside = Object.values(networkInterfaces())
    .flat()
    .find((it) => it && !it.internal && it.family === 'IPv4')
  t.diagnostic(
    outside ? `asked from ${outside.address}` : 'no address but loopback here: only the loopback half was seen',
  )
  const { port } = new URL(devserver.origin)
  const headers = { host: `127.0.0.1:${port}` }
  const status = async (path: string) =>
    (await raw(`http://${outside?.address ?? '127.0.0.1'}:${port}${path}`, { headers })).status
  assert.equal(await status('/control/totals'), outside ? 403 : 200)
  assert.equal(await status('/realms/external/.well-known/openid-configuration'), 200)
})

test('what is wrong with an argument is said with its name, in process and over HTTP', async (t) => {
  const { devserver } = await openTrial(t)
  const realm = { name: 'x', rotation: { kind: 'grace', seconds: -1 } } as const
  const order = { fault: { kind: 'html' }, when: 'before', times: 0 } as const
  for (const control of [devserver.control, createControlClient(devserver.controlUrl)]) {
    const wrong: readonly (readonly [Promise<unknown>, RegExp])[] = [
      [control.counters('nowhere', 'x'), /realm nowhere is not known; known: external/],
      [control.counters('external', 'x'), /session x is not known/],
      [control.seedSession('external', { clientId: 'nobody' }), /client nobody is not known/],
      [
        control.seedSession('external', { clientId: 'app', accessTokenSeconds: 0.5 }),
        /seed\.accessTokenSeconds must be/,
      ],
      [control.putRealm(realm), /realm\.rotation\.seconds must be a number above 0, not -1/],
      [control.putRealm({ name: '../x' }), /realm\.name may hold/],
      [control.addFault(order), /order\.times must be a whole number, at least 1/],
      [control.putClient('external', { clientId: 'x', redirectUris: ['no uri'] }), /redirect_uris/],
      [
        control.putClient('external', { clientId: 'x', tokenEndpointAuthMethod: 'client_secret_post' }),
        /clientSecret is needed/,
      ],
      [control.revokeAccessToken('unknown'), /not known to any realm/],
      [control.rotateClientSecret('external', 'nobody'), /client nobody is not known/],
    ]
    for (const [refused, message] of wrong) await assert.rejects(refused, { name: 'InvalidInput', message })
  }
  const misspelt: unknown = { name: 'x', rotatoin: { kind: 'strict' } }
  const send = await raw(`${devserver.controlUrl}/putRealm`, {
    method: 'POST',
    headers: JSON_TYPE,
    body: JSON.stringify({ options: misspelt }),
  })
  assert.match(send.body, /rotatoin is not known/)
})

test('a client refused by the engine is not kept, and a replaced one stays as it was', async (t) => {
  const trial = await openTrial(t)
  const { control } = trial.devserver
  await assert.rejects(control.putClient('external', { ...CLIENT, redirectUris: ['no uri'] }))
  const session = await trial.seed()
  assert.equal((await trial.refresh(session.refreshToken)).status, 200)
})

test('a client may bring a scope that the realm did not know', async (t) => {
  const trial = await openTrial(t)
  const machine = { clientId: 'machine', clientSecret: 'machine-secret', scope: 'bikes:read dealer-api' }
  await trial.devserver.control.putClient('external', machine)
  const ask = (scope: string) =>
    trial.post('token', {
      grant_type: 'client_credentials',
      client_id: 'machine',
      client_secret: 'machine-secret',
      scope,
    })
  assert.equal((await ask('bikes:read')).body['scope'], 'bikes:read')
  assert.equal((await ask('email')).body['error'], 'invalid_scope')
})

test('shutdown closes the server after its answer', async (t) => {
  const { devserver } = await openTrial(t)
  await createControlClient(devserver.controlUrl).shutdown()
  await devserver.closed
  await assert.rejects(fetch(devserver.demoApi))
})

test('what is not there is 404 and says what is', async (t) => {
  const { devserver } = await openTrial(t)
  const missing = await raw(`${devserver.origin}/realms/nowhere/protocol/openid-connect/token`)
  assert.equal(missing.status, 404)
  assert.ok(missing.body.includes(devserver.issuer('external')))
  assert.equal((await raw(`${devserver.controlUrl}/nothing`)).status, 404)
})
