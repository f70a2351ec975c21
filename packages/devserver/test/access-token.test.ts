import assert from 'node:assert/strict'
import { createPublicKey, verify, type JsonWebKey } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { CLIENT, openTrial, OWN_CREDENTIALS, text, type Trial } from './trial.ts'

const FORMATS = ['jwt', 'opaque'] as const

test('a JWT access token is an at+jwt that the published keys verify', async (t) => {
  const trial = await openTrial(t)
  const { accessToken, sessionId } = await trial.seed({ subject: 'ada', accessTokenSeconds: 60 })
  const [head = '', body = '', signature = ''] = accessToken.split('.')
  const header = decode(head)
  const certs = await fetch(`${trial.devserver.issuer('external')}/protocol/openid-connect/certs`)
  const { keys } = (await certs.json()) as { keys: (JsonWebKey & { kid: string })[] }
  const jwk = keys.find(({ kid }) => kid === header['kid'])
  assert.ok(jwk)
  assert.equal(jwk['d'], undefined)
  const key = { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' } as const
  assert.ok(verify('sha256', Buffer.from(`${head}.${body}`), key, Buffer.from(signature, 'base64url')))
  assert.deepEqual([header['typ'], header['alg']], ['at+jwt', 'ES256'])
  const claims = decode(body)
  assert.equal(claims['iss'], trial.devserver.issuer('external'))
  assert.deepEqual(
    [claims['sub'], claims['client_id'], claims['sid'], claims['scope']],
    ['ada', 'app', sessionId, 'openid offline_access dealer-api'],
  )
  const lives = Number(claims['exp']) - Number(claims['iat'])
  assert.ok(lives === 60 || lives === 61)
})

test('the demo API: 401 without a token, with the bare challenge', async (t) => {
  const trial = await openTrial(t)
  const response = await trial.offers(null)
  assert.equal(response.status, 401)
  assert.equal(response.headers.get('www-authenticate'), 'Bearer realm="dealer-api"')
})

for (const accessTokenFormat of FORMATS) {
  test(`${accessTokenFormat}: the demo API answers 200, 401 and 403 for the right reasons`, async (t) => {
    const trial = await openTrial(t, { accessTokenFormat })
    const good = await trial.seed({ accessTokenSeconds: 1 })
    assert.equal(good.accessToken.split('.').length, accessTokenFormat === 'jwt' ? 3 : 1)
    const answer = await trial.offers(good.accessToken)
    assert.equal(answer.status, 200)
    assert.ok(((await answer.json()) as { offers: unknown[] }).offers.length > 0)

    const narrow = await trial.offers((await trial.seed({ scope: 'openid' })).accessToken)
    assert.equal(narrow.status, 403)
    assert.match(String(narrow.headers.get('www-authenticate')), /error="insufficient_scope".*scope="dealer-api"/)

    const revoked = await trial.seed()
    await trial.devserver.control.revokeAccessToken(revoked.accessToken)
    await refused(trial, revoked.accessToken, 'The access token was revoked')
    assert.equal((await trial.refresh(revoked.refreshToken)).status, 200)
    await refused(trial, `${good.accessToken}x`, 'The access token is unknown or malformed')
    await refused(trial, revoked.refreshToken, 'The access token is unknown or malformed')
    await sleep(1050)
    await refused(trial, good.accessToken, 'The access token expired')
  })

  test(`${accessTokenFormat}: introspection tells active tokens of both kinds from dead ones`, async (t) => {
    const trial = await openTrial(t, { accessTokenFormat })
    const seededAt = Date.now()
    const session = await trial.seed({ subject: 'ada' })
    const introspect = (token: string) => trial.post('token/introspect', { ...OWN_CREDENTIALS, token })
    const access = await introspect(session.accessToken)
    assert.deepEqual(
      [access.body['active'], access.body['sub'], access.body['scope'], access.body['token_type']],
      [true, 'ada', 'openid offline_access dealer-api', 'Bearer'],
    )
    // Rounded up: a token must not be said to end before it does.
    assert.ok(Number(access.body['exp']) * 1000 >= seededAt + session.expiresIn * 1000)
    assert.equal((await introspect(session.refreshToken)).body['active'], true)
    await trial.refresh(session.refreshToken)
    assert.deepEqual((await introspect(session.refreshToken)).body, { active: false })
    assert.deepEqual((await introspect('unknown')).body, { active: false })
    await trial.devserver.control.killSession('external', session.sessionId)
    assert.deepEqual((await introspect(session.accessToken)).body, { active: false })
    const stranger = await trial.post('token/introspect', { ...OWN_CREDENTIALS, client_secret: 'no', token: 'x' })
    assert.equal(stranger.status, 401)
  })

  test(`${accessTokenFormat}: revoking a refresh token ends the session, revoking an access token only itself`, async (t) => {
    const trial = await openTrial(t, { accessTokenFormat })
    const revoke = (token: string) => trial.post('revoke', { ...OWN_CREDENTIALS, token })
    const [one, other] = [await trial.seed(), await trial.seed()]
    assert.equal((await revoke(one.refreshToken)).status, 200)
    assert.equal((await trial.offers(one.accessToken)).status, 401)
    assert.equal((await trial.refresh(one.refreshToken)).status, 400)
    assert.equal((await trial.counters(one.sessionId)).killedBecause, 'revoked_by_client')

    assert.equal((await revoke(other.accessToken)).status, 200)
    assert.equal((await trial.offers(other.accessToken)).status, 401)
    assert.equal((await trial.refresh(other.refreshToken)).status, 200)
    assert.equal((await trial.counters(other.sessionId)).killed, false)
    assert.equal((await revoke('never-issued')).status, 200) // RFC 7009 section 2.2
  })
}

test('a client revokes its own tokens only', async (t) => {
  const trial = await openTrial(t, { clients: [CLIENT, { clientId: 'other', clientSecret: 'other-secret' }] })
  const session = await trial.seed()
  await trial.post('revoke', { client_id: 'other', client_secret: 'other-secret', token: session.refreshToken })
  assert.equal((await trial.refresh(session.refreshToken)).status, 200)
})

test('a session killed upstream is dead with all its tokens', async (t) => {
  const trial = await openTrial(t)
  const session = await trial.seed()
  const reply = await trial.refresh(session.refreshToken)
  await trial.devserver.control.killSession('external', session.sessionId)
  assert.equal((await trial.offers(text(reply, 'access_token'))).status, 401)
  assert.equal((await trial.refresh(text(reply, 'refresh_token'))).status, 400)
  const counters = await trial.counters(session.sessionId)
  assert.deepEqual([counters.killedBecause, counters.secondPresentations], ['revoked_upstream', 0])
})

test('a session dies once, and keeps its first reason', async (t) => {
  const trial = await openTrial(t)
  const session = await trial.seed()
  await trial.refresh(session.refreshToken)
  await trial.refresh(session.refreshToken)
  const { killedAt } = await trial.counters(session.sessionId)
  await trial.devserver.control.killSession('external', session.sessionId)
  const counters = await trial.counters(session.sessionId)
  assert.deepEqual([counters.killedBecause, counters.killedAt], ['reuse', killedAt])
})

test('who knows only the record name in a JWT has no token', async (t) => {
  const trial = await openTrial(t)
  const session = await trial.seed()
  const name = String(decode(session.accessToken.split('.')[1] ?? '')['jti'])
  for (const shown of [name, `name.${name}`]) {
    assert.equal((await trial.offers(shown)).status, 401)
    const reply = await trial.post('token/introspect', { ...OWN_CREDENTIALS, token: shown })
    assert.notEqual(reply.body['active'], true)
  }
})

async function refused(trial: Trial, token: string, description: string): Promise<void> {
  const response = await trial.offers(token)
  assert.equal(response.status, 401)
  const challenge = String(response.headers.get('www-authenticate'))
  assert.ok(challenge.includes(`error="invalid_token", error_description="${description}"`), challenge)
}

function decode(part: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(part, 'base64url').toString()) as Readonly<Record<string, unknown>>
}
