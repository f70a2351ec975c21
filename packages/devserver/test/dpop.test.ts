import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { decodeJwt, exportJWK, generateKeyPair } from 'jose'
import type { RealmOptions } from '../src/index.ts'
import { Browser } from '../src/browser.ts'
import { authorization, CALLBACK, PUBLIC_CLIENT, signIn, WEB_CLIENT } from './browser.ts'
import { newDpopKey, type DpopKey, type ProofWishes } from './dpop-key.ts'
import { openTrial, OWN_CREDENTIALS, postOf, replyOf, text, type TokenReply, type Trial } from './trial.ts'

const open = (t: TestContext, realm: Partial<RealmOptions> = {}) =>
  openTrial(t, { clients: [WEB_CLIENT, PUBLIC_CLIENT], dpop: 'allowed', ...realm })

/** A token request with a proof by this key. */
async function ask(
  trial: Trial,
  key: DpopKey,
  form: Readonly<Record<string, string>>,
  wishes: Partial<ProofWishes> = {},
): Promise<TokenReply> {
  const url = trial.devserver.tokenEndpoint('external')
  const dpop = await key.prove({ method: 'POST', url, ...wishes })
  return replyOf(await fetch(url, postOf(form, { dpop })))
}

const refreshForm = (refreshToken: string, client: Readonly<Record<string, string>> = OWN_CREDENTIALS) => ({
  grant_type: 'refresh_token',
  refresh_token: refreshToken,
  ...client,
})

/** A call of the demo API with a bound token. */
async function call(trial: Trial, key: DpopKey, accessToken: string, wishes: Partial<ProofWishes> = {}) {
  const dpop = await key.prove({ method: 'GET', url: trial.devserver.demoApi, accessToken, ...wishes })
  return replyOf(await fetch(trial.devserver.demoApi, { headers: { authorization: `DPoP ${accessToken}`, dpop } }))
}

const challenge = (reply: { headers: Headers }) => reply.headers.get('www-authenticate') ?? ''

async function signInWithKey(trial: Trial, key: DpopKey): Promise<TokenReply> {
  const { url, verifier } = authorization(trial, { client_id: 'spa', dpop_jkt: key.jkt })
  const left = await signIn(new Browser(), url, 'ada')
  return ask(trial, key, {
    grant_type: 'authorization_code',
    client_id: 'spa',
    code: left.searchParams.get('code') ?? '',
    redirect_uri: CALLBACK,
    code_verifier: verifier,
  })
}

test('who proves a key gets tokens bound to it, from the code, the refresh token and client credentials', async (t) => {
  const trial = await open(t)
  const key = await newDpopKey()
  const code = await signInWithKey(trial, key)
  const refreshed = await ask(trial, key, refreshForm(text(code, 'refresh_token'), { client_id: 'spa' }))
  const machine = await ask(trial, key, { grant_type: 'client_credentials', scope: 'dealer-api', ...OWN_CREDENTIALS })
  for (const reply of [code, refreshed, machine]) {
    assert.deepEqual([reply.status, reply.body['token_type']], [200, 'DPoP'])
    assert.deepEqual(decodeJwt(text(reply, 'access_token'))['cnf'], { jkt: key.jkt })
    assert.equal((await call(trial, key, text(reply, 'access_token'))).status, 200)
  }
  const introspected = await trial.post('token/introspect', {
    token: text(machine, 'access_token'),
    ...OWN_CREDENTIALS,
  })
  assert.deepEqual(introspected.body['cnf'], { jkt: key.jkt })
})

test('who proves none gets bearer tokens, where that is allowed', async (t) => {
  const trial = await open(t)
  const session = await trial.seed()
  const reply = await trial.refresh(session.refreshToken)
  assert.deepEqual([reply.status, reply.body['token_type']], [200, 'Bearer'])
  assert.equal((await trial.offers(text(reply, 'access_token'))).status, 200)
})

test('opaque access tokens are bound as well', async (t) => {
  const trial = await open(t, { accessTokenFormat: 'opaque' })
  const key = await newDpopKey()
  const session = await trial.seed({ dpopJkt: key.jkt })
  assert.equal((await call(trial, key, session.accessToken)).status, 200)
  assert.equal((await trial.offers(session.accessToken)).status, 401)
})

test('the refresh token of a public client is bound to its key: another one, or none, spends nothing', async (t) => {
  const trial = await open(t)
  const [key, thief] = [await newDpopKey(), await newDpopKey()]
  const { sessionId, refreshToken } = await trial.devserver.control.seedSession('external', {
    clientId: 'spa',
    dpopJkt: key.jkt,
  })
  const form = refreshForm(refreshToken ?? '', { client_id: 'spa' })
  for (const reply of [await ask(trial, thief, form), await trial.post('token', form)]) {
    assert.deepEqual([reply.status, reply.body['error']], [400, 'invalid_grant'])
  }
  const reply = await ask(trial, key, form)
  assert.equal(reply.status, 200)
  // The spent one in the hands of somebody without the key does not end the session either.
  assert.equal((await ask(trial, thief, form)).status, 400)
  assert.equal((await trial.counters(sessionId)).killed, false)
  const next = refreshForm(text(reply, 'refresh_token'), { client_id: 'spa' })
  assert.equal((await ask(trial, thief, next)).status, 400)
  assert.equal((await ask(trial, key, next)).status, 200)
})

test('a client with a secret may come with another key', async (t) => {
  const trial = await open(t)
  const session = await trial.seed({ dpopJkt: (await newDpopKey()).jkt })
  const other = await newDpopKey()
  const reply = await ask(trial, other, refreshForm(session.refreshToken))
  assert.equal(reply.status, 200)
  assert.deepEqual(decodeJwt(text(reply, 'access_token'))['cnf'], { jkt: other.jkt })
  assert.equal((await ask(trial, await newDpopKey(), refreshForm(text(reply, 'refresh_token')))).status, 200)
})

test('a realm or a client that requires DPoP refuses who proves nothing, and spends nothing', async (t) => {
  const realms: Partial<RealmOptions>[] = [
    { dpop: 'required' },
    { clients: [{ ...WEB_CLIENT, dpopBoundAccessTokens: true }, PUBLIC_CLIENT] },
  ]
  for (const realm of realms) {
    const trial = await open(t, realm)
    const session = await trial.seed()
    const refused = await trial.refresh(session.refreshToken)
    assert.deepEqual([refused.status, refused.body['error']], [400, 'invalid_dpop_proof'])
    const machine = await trial.post('token', { grant_type: 'client_credentials', ...OWN_CREDENTIALS })
    assert.equal(machine.status, 400)
    assert.equal((await ask(trial, await newDpopKey(), refreshForm(session.refreshToken))).status, 200)
  }
})

test('a proof that is wrong in any respect is refused at the token endpoint, and spends nothing', async (t) => {
  const trial = await open(t)
  const key = await newDpopKey()
  const session = await trial.seed()
  const wrong: readonly Partial<ProofWishes>[] = [
    { method: 'GET' },
    { url: `${trial.devserver.origin}/elsewhere` },
    { claims: { iat: Math.floor(Date.now() / 1000) - 3600 } },
    { claims: { jti: undefined } },
    { header: { typ: 'JWT' } },
    { claims: { nonce: 'of-nobody' } },
  ]
  for (const wishes of wrong) {
    const reply = await ask(trial, key, refreshForm(session.refreshToken), wishes)
    assert.deepEqual([reply.status, reply.body['error']], [400, 'invalid_dpop_proof'], JSON.stringify(wishes))
  }
  const once = { claims: { jti: 'once' } }
  const other = await trial.seed()
  assert.equal((await ask(trial, key, refreshForm(session.refreshToken), once)).status, 200)
  const again = await ask(trial, key, refreshForm(other.refreshToken), once)
  assert.deepEqual([again.status, again.body['error']], [400, 'invalid_dpop_proof'])
  assert.equal((await trial.counters(other.sessionId)).presentations, 0)
})

test('the demo API refuses a bound token without the right proof, and says why', async (t) => {
  const trial = await open(t)
  const key = await newDpopKey()
  const { accessToken } = await trial.seed({ dpopJkt: key.jkt })
  const stranger = await exportJWK((await generateKeyPair('ES256', { extractable: true })).publicKey)
  const wrong: readonly (readonly [Partial<ProofWishes>, RegExp])[] = [
    [{ method: 'POST' }, /htm/],
    [{ url: `${trial.devserver.origin}/dealer-api/v2/offers` }, /htu/],
    [{ claims: { htu: 'nowhere' } }, /htu/],
    [{ accessToken: 'another' }, /ath/],
    [{ claims: { ath: undefined } }, /ath/],
    [{ claims: { iat: Math.floor(Date.now() / 1000) - 301 } }, /iat/],
    [{ claims: { iat: Math.floor(Date.now() / 1000) + 310 } }, /iat/],
    [{ claims: { iat: undefined } }, /iat/],
    [{ claims: { jti: undefined } }, /jti/],
    [{ header: { typ: 'JWT' } }, /dpop\+jwt/],
    [{ header: { jwk: stranger } }, /signed/],
    [{ header: { jwk: undefined } }, /signed/],
  ]
  for (const [wishes, why] of wrong) {
    const reply = await call(trial, key, accessToken, wishes)
    assert.equal(reply.status, 401, JSON.stringify(wishes))
    assert.match(challenge(reply), /^DPoP .*algs="ES256 .*error="invalid_dpop_proof"/)
    assert.match(text(reply, 'error_description'), why)
  }
  const unsigned = await fetch(trial.devserver.demoApi, {
    headers: { authorization: `DPoP ${accessToken}`, dpop: 'eyJhbGciOiJub25lIiwidHlwIjoiZHBvcCtqd3QifQ.e30.' },
  })
  assert.match(challenge(unsigned), /invalid_dpop_proof/)

  const foreign = await call(trial, await newDpopKey(), accessToken)
  assert.match(challenge(foreign), /^DPoP .*error="invalid_token".*another key/)
  const missing = await fetch(trial.devserver.demoApi, { headers: { authorization: `DPoP ${accessToken}` } })
  assert.match(challenge(missing), /invalid_dpop_proof.*missing/)
  const asBearer = await trial.offers(accessToken)
  assert.deepEqual([asBearer.status, challenge(asBearer).startsWith('DPoP')], [401, true])
  assert.match(challenge(asBearer), /error="invalid_token"/)

  const query = `${trial.devserver.demoApi}?page=1`
  assert.equal((await call(trial, key, accessToken, { url: query })).status, 200)
})

test('the demo API takes each proof once, and no proof for a token that is bound to no key', async (t) => {
  const trial = await open(t)
  const key = await newDpopKey()
  const { accessToken } = await trial.seed({ dpopJkt: key.jkt })
  const once = { claims: { jti: 'once' } }
  assert.equal((await call(trial, key, accessToken, once)).status, 200)
  const again = await call(trial, key, accessToken, once)
  assert.match(challenge(again), /invalid_dpop_proof.*jti was used/)
  const bearer = await trial.seed()
  assert.match(challenge(await call(trial, key, bearer.accessToken)), /invalid_token.*bound to no key/)
})

test('with nonces, the token endpoint asks for its own, once, and says it again with each answer', async (t) => {
  const trial = await open(t, { dpopNonce: true })
  const key = await newDpopKey()
  const session = await trial.seed()
  const form = refreshForm(session.refreshToken)
  const first = await ask(trial, key, form)
  assert.deepEqual([first.status, first.body['error']], [400, 'use_dpop_nonce'])
  const nonce = first.headers.get('dpop-nonce')
  assert.ok(nonce)
  assert.equal((await trial.counters(session.sessionId)).presentations, 0)
  const reply = await ask(trial, key, form, { nonce })
  assert.equal(reply.status, 200)
  assert.equal(reply.headers.get('dpop-nonce'), nonce)

  await trial.devserver.control.renewDpopNonces('external')
  const next = refreshForm(text(reply, 'refresh_token'))
  const stale = await ask(trial, key, next, { nonce })
  assert.deepEqual([stale.status, stale.body['error']], [400, 'use_dpop_nonce'])
  assert.equal((await ask(trial, key, next, { nonce: stale.headers.get('dpop-nonce') })).status, 200)
})

test('with nonces, the demo API asks for its own, and takes none of the token endpoint', async (t) => {
  const trial = await open(t, { dpopNonce: true })
  const key = await newDpopKey()
  const { accessToken, refreshToken } = await trial.seed({ dpopJkt: key.jkt })
  const first = await call(trial, key, accessToken)
  assert.equal(first.status, 401)
  assert.match(challenge(first), /^DPoP .*error="use_dpop_nonce"/)
  const nonce = first.headers.get('dpop-nonce')
  assert.ok(nonce)
  const good = await call(trial, key, accessToken, { nonce })
  assert.equal(good.status, 200)
  assert.ok(good.headers.get('dpop-nonce'))

  const other = (await ask(trial, key, refreshForm(refreshToken))).headers.get('dpop-nonce')
  assert.ok(other && other !== nonce)
  assert.match(challenge(await call(trial, key, accessToken, { nonce: other })), /use_dpop_nonce/)
  await trial.devserver.control.renewDpopNonces('external')
  assert.match(challenge(await call(trial, key, accessToken, { nonce })), /use_dpop_nonce/)
})

test('a burned nonce: the refresh token is spent although the answer asks to send it again', async (t) => {
  const trial = await open(t, { dpopNonce: true })
  const { control } = trial.devserver
  const key = await newDpopKey()
  const session = await trial.seed()
  const nonce = (await ask(trial, key, refreshForm(session.refreshToken))).headers.get('dpop-nonce')
  await control.addFault({ fault: { kind: 'use_dpop_nonce' }, when: 'after', times: 1 })
  const burned = await ask(trial, key, refreshForm(session.refreshToken), { nonce })
  assert.deepEqual([burned.status, burned.body['error']], [400, 'use_dpop_nonce'])
  assert.equal((await trial.counters(session.sessionId)).refreshes, 1)
  const retry = await ask(trial, key, refreshForm(session.refreshToken), { nonce: burned.headers.get('dpop-nonce') })
  assert.deepEqual([retry.status, retry.body['error']], [400, 'invalid_grant'])
  assert.equal((await trial.counters(session.sessionId)).killedBecause, 'reuse')
  await assert.rejects(
    control.addFault({ fault: { kind: 'use_dpop_nonce' }, when: 'before', times: 1 }),
    /only come 'after'/,
  )
})

test('userinfo takes a bound JWT with a proof of it, and without none', async (t) => {
  const trial = await open(t)
  const key = await newDpopKey()
  const { accessToken } = await trial.seed({ subject: 'ada', dpopJkt: key.jkt })
  const url = `${trial.devserver.issuer('external')}/protocol/openid-connect/userinfo`
  const dpop = await key.prove({ method: 'GET', url, accessToken })
  const good = await fetch(url, { headers: { authorization: `DPoP ${accessToken}`, dpop } })
  assert.deepEqual([good.status, await good.json()], [200, { sub: 'ada' }])
  assert.equal((await fetch(url, { headers: { authorization: `Bearer ${accessToken}` } })).status, 401)
  const record = decodeJwt(accessToken).jti ?? ''
  const bearer = await trial.seed()
  const name = `name.${decodeJwt(bearer.accessToken).jti ?? ''}`
  assert.ok(record)
  assert.equal((await fetch(url, { headers: { authorization: `Bearer ${name}` } })).status, 401)
})

test('the metadata and the challenge speak of DPoP only where it is known', async (t) => {
  const trial = await open(t, { dpop: 'off' })
  const url = `${trial.devserver.issuer('external')}/.well-known/openid-configuration`
  const algorithms = async () =>
    ((await (await fetch(url)).json()) as Record<string, unknown>)['dpop_signing_alg_values_supported']
  assert.equal(await algorithms(), undefined)
  assert.equal(challenge(await trial.offers(null)), 'Bearer realm="dealer-api"')
  await assert.rejects(trial.seed({ dpopJkt: 'x' }), /dpopJkt needs a realm with DPoP/)
  const session = await trial.seed()
  const ignored = await ask(trial, await newDpopKey(), refreshForm(session.refreshToken))
  assert.deepEqual([ignored.status, ignored.body['token_type']], [200, 'Bearer'])
  await trial.devserver.control.updateRealm('external', { dpop: 'allowed' })
  assert.ok(((await algorithms()) as string[]).includes('ES256'))
  assert.match(challenge(await trial.offers(null)), /^Bearer realm="dealer-api", DPoP .*algs=/)
})
