import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { decodeJwt, exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { PUBLIC_CLIENT } from './browser.ts'
import { newDpopKey } from './dpop-key.ts'
import { CLIENT, openTrial, OWN_CREDENTIALS, text, type TokenReply, type Trial } from './trial.ts'

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const TYPE = 'urn:ietf:params:oauth:token-type:'
const ISSUER = 'https://cluster.example'

type Changes = Readonly<Record<string, unknown>>

async function signer() {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid: randomUUID() }
  return { jwks: { keys: [jwk] }, kid: jwk.kid, privateKey }
}

async function open(t: TestContext) {
  const [cluster, app, stranger] = [await signer(), await signer(), await signer()]
  const trial = await openTrial(t, {
    dpop: 'allowed',
    clients: [{ ...CLIENT, assertionJwks: app.jwks }, PUBLIC_CLIENT],
    trustedIssuers: [{ issuer: ISSUER, jwks: cluster.jwks }],
  })
  const audience = trial.devserver.issuer('external')
  const now = Math.floor(Date.now() / 1000)
  const sign = (by: typeof cluster, iss: string, changes: Changes = {}) =>
    new SignJWT({ iss, sub: 'ada', aud: audience, iat: now, exp: now + 60, jti: randomUUID(), ...changes })
      .setProtectedHeader({ alg: 'ES256', kid: by.kid })
      .sign(by.privateKey)
  return {
    trial,
    audience,
    now,
    ofCluster: (changes?: Changes) => sign(cluster, ISSUER, changes),
    ofApp: (changes?: Changes) => sign(app, 'app', changes),
    ofStranger: (changes?: Changes) => sign({ ...stranger, kid: cluster.kid }, ISSUER, changes),
  }
}

const exchange = (trial: Trial, token: string, type: string, more: Readonly<Record<string, string>> = {}) =>
  trial.post('token', {
    grant_type: EXCHANGE,
    subject_token: token,
    subject_token_type: `${TYPE}${type}`,
    ...OWN_CREDENTIALS,
    ...more,
  })

const assertWith = (trial: Trial, assertion: string, more: Readonly<Record<string, string>> = {}) =>
  trial.post('token', { grant_type: BEARER, assertion, scope: 'dealer-api', ...OWN_CREDENTIALS, ...more })

const error = (reply: TokenReply) => [reply.status, reply.body['error']]

test('an access token is exchanged for another, for less and for elsewhere, and both end with their session', async (t) => {
  const { trial } = await open(t)
  const session = await trial.seed({ subject: 'ada' })
  const reply = await exchange(trial, session.accessToken, 'access_token', {
    scope: 'dealer-api',
    audience: 'warehouse',
  })
  assert.deepEqual(
    [reply.status, reply.body['issued_token_type'], reply.body['token_type'], reply.body['scope']],
    [200, `${TYPE}access_token`, 'Bearer', 'dealer-api'],
  )
  assert.equal(reply.body['refresh_token'], undefined)
  const claims = decodeJwt(text(reply, 'access_token'))
  assert.deepEqual([claims.sub, claims.aud, claims['sid']], ['ada', 'warehouse', session.sessionId])
  assert.equal((await trial.offers(text(reply, 'access_token'))).status, 200)
  await trial.devserver.control.killSession('external', session.sessionId)
  assert.equal((await trial.offers(text(reply, 'access_token'))).status, 401)
})

test('an exchange gives no more than there was, and nothing for what is over, bound or unknown', async (t) => {
  const { trial } = await open(t)
  const session = await trial.seed({ scope: 'openid dealer-api' })
  assert.deepEqual(error(await exchange(trial, session.accessToken, 'access_token', { scope: 'email' })), [
    400,
    'invalid_scope',
  ])
  const bound = await trial.seed({ dpopJkt: (await newDpopKey()).jkt })
  assert.deepEqual(error(await exchange(trial, bound.accessToken, 'access_token')), [400, 'invalid_request'])
  assert.deepEqual(error(await exchange(trial, 'unknown', 'access_token')), [400, 'invalid_request'])
  const more = { requested_token_type: `${TYPE}refresh_token` }
  assert.deepEqual(error(await exchange(trial, session.accessToken, 'access_token', more)), [400, 'invalid_request'])
  assert.deepEqual(error(await exchange(trial, session.accessToken, 'saml2')), [400, 'invalid_request'])
  const actor = { actor_token: 'x', actor_token_type: `${TYPE}jwt` }
  assert.deepEqual(error(await exchange(trial, session.accessToken, 'access_token', actor)), [400, 'invalid_request'])
  const foreign = { client_id: 'spa', client_secret: '' }
  assert.equal((await exchange(trial, session.accessToken, 'access_token', foreign)).status, 400)
  await trial.devserver.control.revokeAccessToken(session.accessToken)
  assert.deepEqual(error(await exchange(trial, session.accessToken, 'access_token')), [400, 'invalid_request'])
})

test('a JWT of a trusted issuer is exchanged, again and again, each time into a session of its own', async (t) => {
  const { trial, ofCluster } = await open(t)
  const jwt = await ofCluster()
  const replies = [await exchange(trial, jwt, 'jwt', { scope: 'dealer-api' }), await exchange(trial, jwt, 'jwt')]
  const [first, second] = replies
  assert.ok(first && second)
  assert.deepEqual([first.status, second.status], [200, 200])
  assert.notEqual(first.body['session_state'], second.body['session_state'])
  const offers = (await (await trial.offers(text(first, 'access_token'))).json()) as { subject: string }
  assert.equal(offers.subject, 'ada')
})

test('an assertion by a key of the client, or of a trusted issuer, is answered with an access token, once', async (t) => {
  const { trial, ofCluster, ofApp } = await open(t)
  for (const assertion of [await ofCluster(), await ofApp()]) {
    const replies = await Promise.all([assertWith(trial, assertion), assertWith(trial, assertion)])
    assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 400])
    const good = replies.find(({ status }) => status === 200)
    assert.ok(good)
    assert.deepEqual([good.body['refresh_token'], good.body['scope']], [undefined, 'dealer-api'])
    assert.equal((await trial.offers(text(good, 'access_token'))).status, 200)
    assert.match(String((await assertWith(trial, assertion)).body['error_description']), /jti was used/)
  }
})

test('a JWT that is wrong in any respect is neither exchanged nor taken for an assertion', async (t) => {
  const { trial, now, audience, ofCluster, ofApp, ofStranger } = await open(t)
  const wrong: readonly (readonly [string, string])[] = [
    ['by another key', await ofStranger()],
    ['of nobody', await ofCluster({ iss: 'https://evil.example' })],
    ['without an issuer', await ofCluster({ iss: undefined })],
    ['for another', await ofCluster({ aud: 'https://elsewhere.example' })],
    ['for nobody', await ofCluster({ aud: undefined })],
    ['expired', await ofCluster({ exp: now - 60 })],
    ['without an end', await ofCluster({ exp: undefined })],
    ['for too long', await ofCluster({ exp: now + 86_400 })],
    ['not valid yet', await ofCluster({ nbf: now + 3600 })],
    ['about nobody', await ofCluster({ sub: undefined })],
    ['about an empty name', await ofCluster({ sub: '' })],
    [
      'unsigned',
      new UnsecuredJWT({ iss: ISSUER, sub: 'ada', aud: audience, jti: 'x' }).setExpirationTime('1m').encode(),
    ],
    ['no JWT', 'x.y.z'],
  ]
  for (const [what, jwt] of wrong) {
    assert.deepEqual(error(await exchange(trial, jwt, 'jwt')), [400, 'invalid_grant'], what)
    assert.deepEqual(error(await assertWith(trial, jwt)), [400, 'invalid_grant'], what)
  }
  assert.deepEqual(error(await assertWith(trial, await ofCluster({ jti: undefined }))), [400, 'invalid_grant'])
  // The key of one client speaks for no other, and a client's assertion is no subject token.
  assert.deepEqual(error(await assertWith(trial, await ofApp(), { client_id: 'spa', client_secret: '' })), [
    400,
    'invalid_grant',
  ])
  assert.deepEqual(error(await exchange(trial, await ofApp(), 'jwt')), [400, 'invalid_grant'])
  assert.equal((await trial.devserver.control.sessions('external')).length, 0)
})

test('a client may be kept from both, and private keys are not taken', async (t) => {
  const { trial, ofCluster } = await open(t)
  const { control } = trial.devserver
  await control.putClient('external', { ...CLIENT, tokenExchange: false, jwtBearer: false })
  assert.equal((await exchange(trial, await ofCluster(), 'jwt')).status, 400)
  assert.equal((await assertWith(trial, await ofCluster())).status, 400)
  const assertionJwks = { keys: [{ kty: 'EC', d: 'secret' }] }
  await assert.rejects(control.putClient('external', { ...CLIENT, assertionJwks }), /must be a public key/)
})
