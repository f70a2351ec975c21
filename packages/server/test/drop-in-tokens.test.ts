import assert from 'node:assert/strict'
import test from 'node:test'
import * as openid from 'openid-client'
import { asBasic, asClient, openServedWorld, REALM, type FormAnswer, type FormEndpoint } from './served-world.ts'

const errorOf = ({ status, body }: FormAnswer): string => `${status} ${String(body['error'])}`

/** Two clients, and a token of the first. */
async function openPair() {
  const world = await openServedWorld()
  const session = await world.connect('dealer-42', {}, { subject: 'anna' })
  const [key, other] = [await world.makeKey(), await world.makeKey()]
  return { world, session, key, other, refreshToken: await world.share('dealer-42', key) }
}

// ---- revocation (RFC 7009) -----------------------------------------------------------------------------------------

test('a client revokes its own local refresh token, which is refused at once; nothing happens upstream', async () => {
  const { world, session, key, refreshToken } = await openPair()
  await using _ = world
  const another = await world.share('dealer-42', key)
  assert.equal((await world.refresh(key, refreshToken)).status, 200)
  const answer = await world.postForm('revoke', {
    token: refreshToken,
    token_type_hint: 'refresh_token',
    ...asClient(key),
  })
  assert.equal(answer.status, 200)
  assert.equal(answer.text, '')
  assert.equal(errorOf(await world.refresh(key, refreshToken)), '400 invalid_grant')
  assert.equal((await world.refresh(key, another)).status, 200)
  assert.equal((await world.upstream.control.totals()).revoke.requests, 0)
  assert.equal((await world.upstream.control.counters(REALM, session.sessionId)).killed, false)
})

test('a client may prove itself by the header here, too, and a hint that nobody knows is ignored', async () => {
  const { world, key, refreshToken } = await openPair()
  await using _ = world
  const answer = await world.postForm(
    'revoke',
    { token: refreshToken, token_type_hint: 'pat' },
    { headers: asBasic(key) },
  )
  assert.equal(answer.status, 200)
  assert.equal(errorOf(await world.refresh(key, refreshToken)), '400 invalid_grant')
})

test("another client's, another realm's, an unknown and a revoked token: 200, and nothing happens", async () => {
  const { world, key, other, refreshToken } = await openPair()
  await using _ = world
  const revoke = (token: string, client = key, realm = REALM) =>
    world.postForm('revoke', { token, ...asClient(client) }, { realm })
  const answers = [
    await revoke(refreshToken, other),
    await revoke(refreshToken, key, 'nobody-knows'),
    await revoke(`tkr_${'A'.repeat(43)}`),
    await revoke('something'),
    await revoke(key.key),
  ]
  assert.deepEqual(
    answers.map(({ status, text }) => `${status}${text}`),
    Array(answers.length).fill('200'),
  )
  assert.equal((await world.refresh(key, refreshToken)).status, 200)
  assert.equal((await revoke(refreshToken)).status, 200)
  assert.equal((await revoke(refreshToken)).status, 200)
})

test('a key that may do nothing else may still revoke what is bound to it', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  const key = await world.makeKey({ scopes: ['connections:read'] })
  const { localRefreshToken, refreshToken } = await world.keep.localRefreshTokens.share('dealer-42', { with: key.id })
  assert.equal((await world.postForm('revoke', { token: refreshToken, ...asClient(key) })).status, 200)
  assert.notEqual((await world.keep.localRefreshTokens.get(localRefreshToken.id)).revokedAt, null)
})

// ---- introspection (RFC 7662) --------------------------------------------------------------------------------------

test('a client learns that its own local refresh token is in force, and for what', async () => {
  const { world, session, key, refreshToken } = await openPair()
  await using _ = world
  const { status, body, headers } = await world.postForm('token/introspect', { token: refreshToken, ...asClient(key) })
  assert.equal(status, 200)
  const { iat, ...rest } = body
  assert.deepEqual(rest, { active: true, client_id: key.id, scope: session.scope, sub: 'anna', iss: world.issuer() })
  assert.ok(Number.isInteger(iat) && Math.abs(Number(iat) - Date.now() / 1000) < 60)
  assert.equal(headers.get('cache-control'), 'no-store')
})

test('what nobody knows of a connection is left out', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42', {}, { scope: undefined, subject: undefined })
  const key = await world.makeKey()
  const form = { token: await world.share('dealer-42', key), ...asClient(key) }
  const { body } = await world.postForm('token/introspect', form)
  assert.deepEqual(Object.keys(body), ['active', 'client_id', 'iat', 'iss'])
})

test('any other token is not active, and no more is said', async () => {
  const { world, session, key, other, refreshToken } = await openPair()
  await using _ = world
  const revoked = await world.share('dealer-42', key)
  await world.postForm('revoke', { token: revoked, ...asClient(key) })
  const introspect = (token: string, client = key, realm = REALM) =>
    world.postForm('token/introspect', { token, ...asClient(client) }, { realm })
  const answers = [
    await introspect(refreshToken, other),
    await introspect(refreshToken, key, 'nobody-knows'),
    await introspect(revoked),
    await introspect(`tkr_${'A'.repeat(43)}`),
    await introspect(session.refreshToken ?? ''),
    await introspect(key.key),
  ]
  assert.deepEqual(
    answers.map(({ status, text }) => `${status} ${text}`),
    Array(answers.length).fill('200 {"active":false}'),
  )
})

// ---- both ----------------------------------------------------------------------------------------------------------

const HINTED = { revoke: '400 unsupported_token_type', 'token/introspect': '200 undefined' } as const
for (const endpoint of ['revoke', 'token/introspect'] as const satisfies readonly FormEndpoint[]) {
  test(`${endpoint}: what is said to be an access token is the provider's`, async () => {
    const { world, session, key, other, refreshToken } = await openPair()
    await using _ = world
    const ask = (token: string, client = key) =>
      world.postForm(endpoint, { token, token_type_hint: 'access_token', ...asClient(client) })
    const answers = [await ask(session.accessToken), await ask(refreshToken, other), await ask('something')]
    assert.deepEqual(answers.map(errorOf), Array(3).fill(HINTED[endpoint]))
    assert.equal(new Set(answers.map(({ text }) => text)).size, 1)
    // A wrong hint about one of ours is no more than a wrong hint (RFC 7009 section 2.1).
    assert.equal((await ask(refreshToken)).status, 200)
  })

  test(`${endpoint}: nobody unknown is told anything, and nothing happens`, async () => {
    const { world, key, other, refreshToken } = await openPair()
    await using _ = world
    const answers = [
      await world.postForm(endpoint, { token: refreshToken }),
      await world.postForm(endpoint, { token: refreshToken, client_id: key.id }),
      await world.postForm(endpoint, { token: refreshToken, client_id: key.id, client_secret: 'wrong' }),
      await world.postForm(endpoint, { token: refreshToken, client_id: key.id, client_secret: other.key }),
    ]
    assert.deepEqual(answers.map(errorOf), Array(4).fill('401 invalid_client'))
    assert.equal((await world.refresh(key, refreshToken)).status, 200)
  })

  test(`${endpoint}: a request without a token, with two, or with one in the URL is invalid_request`, async () => {
    const { world, key, refreshToken } = await openPair()
    await using _ = world
    const missing = await world.postForm(endpoint, asClient(key))
    assert.equal(errorOf(missing), '400 invalid_request')
    assert.equal(missing.body['error_description'], 'token is missing')
    const two = `token=${refreshToken}&token=${refreshToken}&client_id=${key.id}&client_secret=${key.key}`
    assert.equal(errorOf(await world.postForm(endpoint, two)), '400 invalid_request')
    const url = `${world.issuer()}/protocol/openid-connect/${endpoint}?token=${refreshToken}`
    const inUrl = await fetch(url, { method: 'POST', headers: asBasic(key), body: new URLSearchParams({}) })
    assert.equal(inUrl.status, 400)
    assert.equal((await world.refresh(key, refreshToken)).status, 200)
  })

  test(`${endpoint}: a database that is closed is 503, so that nobody takes it for done`, async () => {
    const { world, key, refreshToken } = await openPair()
    await using _ = world
    await world.refresh(key, refreshToken)
    await world.keep.close()
    const answer = await world.postForm(endpoint, { token: refreshToken, ...asClient(key) })
    assert.equal(errorOf(answer), '503 temporarily_unavailable')
    assert.equal(answer.headers.get('retry-after'), '1')
  })
}

// ---- discovery (RFC 8414) ------------------------------------------------------------------------------------------

const PLACES = [
  { algorithm: 'oidc', path: `/realms/${REALM}/.well-known/openid-configuration` },
  { algorithm: 'oauth2', path: `/.well-known/oauth-authorization-server/realms/${REALM}` },
] as const
for (const { algorithm, path } of PLACES) {
  test(`${path} says what is served, and nothing else`, async () => {
    await using world = await openServedWorld()
    const response = await fetch(`${world.url}${path}`)
    assert.equal(response.status, 200)
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
    const methods = ['client_secret_basic', 'client_secret_post', 'private_key_jwt']
    const algorithms = [
      ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
      ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
    ]
    assert.deepEqual(await response.json(), {
      issuer: world.issuer(),
      token_endpoint: world.tokenEndpoint(),
      revocation_endpoint: `${world.issuer()}/protocol/openid-connect/revoke`,
      introspection_endpoint: `${world.tokenEndpoint()}/introspect`,
      grant_types_supported: ['refresh_token', 'client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'],
      response_types_supported: [],
      token_endpoint_auth_methods_supported: [...methods, 'none'],
      revocation_endpoint_auth_methods_supported: methods,
      introspection_endpoint_auth_methods_supported: methods,
      token_endpoint_auth_signing_alg_values_supported: algorithms,
      revocation_endpoint_auth_signing_alg_values_supported: algorithms,
      introspection_endpoint_auth_signing_alg_values_supported: algorithms,
    })
  })

  test(`openid-client finds the endpoints by itself, algorithm ${algorithm}`, async () => {
    // It wants https, so a proxy in front is played: the public URL leads here.
    const publicUrl = 'https://tokens.example'
    await using world = await openServedWorld({ settings: { publicUrl } })
    const { accessToken } = await world.connect('dealer-42')
    const key = await world.makeKey()
    const refreshToken = await world.share('dealer-42', key)
    const throughProxy: openid.CustomFetch = (url, { method, headers, body }) =>
      fetch(url.replace(publicUrl, world.url), { method, headers, body: body ?? null })
    const options = { algorithm, [openid.customFetch]: throughProxy }
    const issuer = new URL(`${publicUrl}/realms/${REALM}`)
    const found = await openid.discovery(issuer, key.id, key.key, undefined, options)
    const tokens = await openid.refreshTokenGrant(found, refreshToken)
    assert.equal(tokens.access_token, accessToken)
    assert.equal((await openid.tokenIntrospection(found, refreshToken)).active, true)
    await openid.tokenRevocation(found, refreshToken)
    await assert.rejects(openid.refreshTokenGrant(found, refreshToken), { error: 'invalid_grant' })
  })
}

test('behind a proxy the documents name the public URL', async () => {
  await using world = await openServedWorld({ settings: { publicUrl: 'https://tokens.example/keep' } })
  for (const { path } of PLACES) {
    const metadata = (await (await fetch(`${world.url}${path}`)).json()) as Record<string, string>
    assert.equal(metadata['issuer'], `https://tokens.example/keep/realms/${REALM}`)
    assert.equal(
      metadata['token_endpoint'],
      `https://tokens.example/keep/realms/${REALM}/protocol/openid-connect/token`,
    )
  }
})

test('a realm that does not exist is 404 there, whatever it is called', async () => {
  await using world = await openServedWorld()
  for (const realm of ['nobody-knows', 'External', '%C3%BC', '%2E%2E%2Fx', 'a%20b', 'x'.repeat(500)]) {
    for (const path of [
      `/realms/${realm}/.well-known/openid-configuration`,
      `/.well-known/oauth-authorization-server/realms/${realm}`,
    ]) {
      const response = await fetch(`${world.url}${path}`)
      assert.equal(response.status, 404, path)
      assert.equal(((await response.json()) as Record<string, unknown>)['code'], 'unknown_provider', path)
    }
  }
})
