/** Workloads that have a JWT and no key: at the API, as clients of the drop-in, and in exchange for a connection's token. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ms, type Numbers } from '@tokenkeep/core'
import type { JwtOrder } from '@tokenkeep/devserver'
import type { ApiKeyInput } from '@tokenkeep/node'
import * as openid from 'openid-client'
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

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const JWT = 'urn:ietf:params:oauth:token-type:jwt'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const AUDIENCE = 'https://keep.example.org'
const SUBJECT = 'system:serviceaccount:prod:worker'

type Fields = Readonly<Record<string, string>>

const second = (): number => Math.floor(Date.now() / 1000)

/** A key that trusts the identity of a worker, whose JWTs the realm upstream signs. */
async function trusting(world: ServedWorld, input: Partial<ApiKeyInput> = {}, subject = SUBJECT) {
  const key = await world.makeKey(input)
  const issuer = world.upstream.issuer(REALM)
  const { identities } = await world.keep.apiKeys.trust(key.id, { issuer, subject, audience: AUDIENCE })
  const jwt = async (claims: JwtOrder['claims'] = {}, order: Omit<JwtOrder, 'claims'> = {}): Promise<string> => {
    const standard = { iss: issuer, sub: subject, aud: AUDIENCE, iat: second(), exp: second() + 600 }
    const whole = Object.entries({ ...standard, ...claims }).filter(([, value]) => value !== null)
    const signed = await world.upstream.control.sign(REALM, { claims: Object.fromEntries(whole), ...order })
    return signed.jwt
  }
  return { ...key, issuer, identity: String(identities.at(-1)?.id), jwt }
}

const exchange = (world: ServedWorld, jwt: string, more: Fields = {}, realm = REALM): Promise<FormAnswer> =>
  world.postForm('token', { grant_type: EXCHANGE, subject_token: jwt, subject_token_type: JWT, ...more }, { realm })

const errorOf = ({ status, body }: FormAnswer): string => `${status} ${String(body['error'])}`
/** All that can be told of an answer but for when it was sent. */
const told = ({ status, headers, text }: FormAnswer) => {
  const kept = [...headers].filter(([name]) => name !== 'date')
  return { status, headers: kept, text }
}

const asJwt = (assertion: string): Fields => ({
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion: assertion,
})

const api = async (world: ServedWorld, credential: string, connection = 'dealer-42') => {
  const headers = { authorization: `Bearer ${credential}` }
  const response = await fetch(`${world.url}/v1/connections/${connection}/token`, { headers })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, body: JSON.parse(text) as Record<string, unknown> }
}

// ---- the exchange --------------------------------------------------------------------------------------------------

test("a workload's JWT is exchanged for the token of the connection that audience names, and nothing else is needed", async () => {
  await using world = await openServedWorld()
  const session = await world.connect('dealer-42')
  const { jwt, id } = await trusting(world)
  const answer = await exchange(world, await jwt(), { audience: 'dealer-42' })
  assert.equal(answer.status, 200, answer.text)
  const { expires_in: expiresIn, ...rest } = answer.body
  assert.deepEqual(rest, {
    access_token: session.accessToken,
    issued_token_type: ACCESS_TOKEN,
    token_type: 'Bearer',
    scope: session.scope,
  })
  assert.ok(Number.isInteger(expiresIn) && Number(expiresIn) > 200 && Number(expiresIn) < 300, String(expiresIn))
  assert.equal(answer.headers.get('cache-control'), 'no-store')
  assert.equal(answer.headers.get('content-length'), String(Buffer.byteLength(answer.text)))
  for (const more of [
    { subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' },
    { subject_token_type: ACCESS_TOKEN },
    { requested_token_type: ACCESS_TOKEN },
    { client_id: id },
    { resource: '' },
  ]) {
    const again = await exchange(world, await jwt(), { audience: 'dealer-42', ...more })
    assert.equal(again.body['access_token'], session.accessToken, JSON.stringify(more))
  }
})

test('without audience the connection that the key names for the realm serves', async () => {
  await using world = await openServedWorld()
  const session = await world.connect('dealer-42')
  const { jwt, id } = await trusting(world, { sources: { [REALM]: 'dealer-42' } })
  assert.equal((await exchange(world, await jwt())).body['access_token'], session.accessToken)
  await world.keep.apiKeys.setSource(id, REALM, null)
  world.forward(1_000)
  assert.equal(errorOf(await exchange(world, await jwt())), '400 invalid_target')
  assert.equal(errorOf(await exchange(world, await jwt(), {}, 'nowhere')), '400 invalid_target')
})

test('an exchange refreshes what has ended, once for all who wait for it', async () => {
  await using world = await openServedWorld()
  const { sessionId, accessToken } = await world.connectExpired('dealer-42')
  const { jwt } = await trusting(world)
  const tokens = await Promise.all(Array.from({ length: 8 }, () => jwt()))
  const answers = await Promise.all(tokens.map((token) => exchange(world, token, { audience: 'dealer-42' })))
  const [first] = answers
  for (const { body } of answers) assert.equal(body['access_token'], first?.body['access_token'])
  assert.notEqual(first?.body['access_token'], accessToken)
  assert.equal((await world.upstream.control.counters(REALM, sessionId)).refreshes, 1)
})

test('scope asks for less, for this one token', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  const { jwt } = await trusting(world)
  const less = await exchange(world, await jwt(), { audience: 'dealer-42', scope: 'openid' })
  assert.equal(less.body['scope'], 'openid', less.text)
  const more = await exchange(world, await jwt(), { audience: 'dealer-42', scope: 'openid nonsense' })
  assert.equal(errorOf(more), '400 invalid_scope')
})

test('a connection that is not there, of another realm, being deleted, or hidden from the key is the same invalid_target', async () => {
  await using world = await openServedWorld()
  await world.keep.providers.put({ id: 'other', issuer: world.upstream.issuer(REALM), reuse: { kind: 'unknown' } })
  await world.connect('dealer-42', {}, { labels: { team: 'sales' } })
  await world.connect('hidden', {}, { labels: { team: 'support' } })
  await world.connect('plain')
  const { jwt } = await trusting(world, { labels: { team: 'sales' } })
  const token = await jwt()
  assert.equal((await exchange(world, token, { audience: 'dealer-42' })).status, 200)
  const absent = told(await exchange(world, token, { audience: 'nobody' }))
  assert.equal(absent.status, 400)
  assert.match(absent.text, /"error":"invalid_target"/)
  for (const audience of ['hidden', 'plain', '-no id', 'x'.repeat(300), '../dealer-42']) {
    assert.deepEqual(told(await exchange(world, token, { audience })), absent, audience)
  }
  assert.deepEqual(told(await exchange(world, token, { audience: 'dealer-42' }, 'other')), absent)
  assert.deepEqual(told(await exchange(world, token, { audience: 'dealer-42' }, 'nowhere')), absent)
  await world.keep.connections.delete('dealer-42')
  world.forward(1_000)
  assert.deepEqual(told(await exchange(world, token, { audience: 'dealer-42' })), absent)
  await world.connect('dealer-42', {}, { labels: { team: 'support' } })
  assert.deepEqual(told(await exchange(world, token, { audience: 'dealer-42' })), absent)
})

test('an id that was deleted and given to a sign-in that the key may not see is not served in the second of belief', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42', {}, { labels: { team: 'sales' } })
  const { jwt } = await trusting(world, { labels: { team: 'sales' } })
  const token = await jwt()
  assert.equal((await exchange(world, token, { audience: 'dealer-42' })).status, 200)
  await world.keep.connections.delete('dealer-42')
  const theirs = await world.connect('dealer-42', {}, { labels: { team: 'support' } })
  const answer = await exchange(world, token, { audience: 'dealer-42' })
  assert.equal(errorOf(answer), '400 invalid_target')
  assert.ok(!answer.text.includes(theirs.accessToken))
})

test('a sign-in that is over is invalid_grant; a provider that is away is not', async () => {
  const late = { backOffFirstMs: 1e9, backOffCapMs: 1e9, backOffCapWithCallerMs: 1e9 } as Partial<Numbers>
  await using world = await openServedWorld({ open: { numbers: { ...late, confirmAfterMs: [ms(50), ms(100)] } } })
  const { jwt } = await trusting(world)
  const { sessionId } = await world.connectExpired('dealer-42')
  await world.upstream.control.addFault({ fault: { kind: 'status', status: 503 }, when: 'before', times: 9, sessionId })
  const away = await exchange(world, await jwt(), { audience: 'dealer-42' })
  assert.equal(errorOf(away), '503 temporarily_unavailable')
  assert.ok(Number(away.headers.get('retry-after')) >= 1)
  const over = await world.connectExpired('dealer-43')
  await world.upstream.control.killSession(REALM, over.sessionId)
  const ended = await exchange(world, await jwt(), { audience: 'dealer-43' })
  assert.equal(errorOf(ended), '400 invalid_grant')
  assert.match(String(ended.body['error_description']), /sign in again.*\(revoked\)/)
})

const NOT_AUTHENTIC: Readonly<Record<string, (worker: Awaited<ReturnType<typeof trusting>>) => Promise<string>>> = {
  'a key that nobody knows': ({ jwt }) => jwt({}, { key: 'other' }),
  'alg none': ({ jwt }) => jwt({}, { header: { alg: 'none' } }),
  'the public key as a shared secret': ({ jwt }) => jwt({}, { header: { alg: 'HS256' } }),
  'a kid that is not there': ({ jwt }) => jwt({}, { key: 'other', header: { kid: 'invented' } }),
  'another audience': ({ jwt }) => jwt({ aud: 'https://kubernetes.default.svc' }),
  'no audience': ({ jwt }) => jwt({ aud: null }),
  'another issuer': ({ jwt }) => jwt({ iss: 'https://issuer.example.org' }),
  'another subject': ({ jwt }) => jwt({ sub: 'system:serviceaccount:prod:other' }),
  'no subject': ({ jwt }) => jwt({ sub: null }),
  'it has ended': ({ jwt }) => jwt({ exp: second() - 120 }),
  'no end': ({ jwt }) => jwt({ exp: null }),
  'an end in a year': ({ jwt }) => jwt({ exp: second() + 365 * 24 * 3600 }),
  'not yet': ({ jwt }) => jwt({ nbf: second() + 600 }),
  'a logout token': ({ jwt }) => jwt({}, { header: { typ: 'logout+jwt' } }),
  'bound to a key that is not shown': ({ jwt }) => jwt({ cnf: { jkt: 'x' } }),
  'another payload': async ({ jwt }) => {
    const [header, , signature] = (await jwt()).split('.')
    const [, payload] = (await jwt({ exp: second() + 900 })).split('.')
    return [header, payload, signature].join('.')
  },
  'no JWT': () => Promise.resolve('a.b.c'),
  'the key itself': ({ key }) => Promise.resolve(key),
}

test('no JWT that is forged, for somebody else, or of another time gets anything anywhere, and all are refused alike', async () => {
  await using world = await openServedWorld({ settings: { wrongKeysPerMinute: 0 } })
  const session = await world.connect('dealer-42')
  const worker = await trusting(world)
  const refusals = new Map<string, Set<string>>()
  const note = (where: string, what: unknown) =>
    void refusals.set(where, (refusals.get(where) ?? new Set()).add(JSON.stringify(what)))
  for (const [name, make] of Object.entries(NOT_AUTHENTIC)) {
    const wrong = await make(worker)
    note('exchange', told(await exchange(world, wrong, { audience: 'dealer-42' })))
    const grant = { grant_type: 'client_credentials', ...asJwt(wrong) }
    note('client', told(await world.postForm('token', { ...grant, client_id: worker.id })))
    if (name !== 'the key itself') {
      const { status, headers, text } = await api(world, wrong)
      note('api', { status, challenge: headers.get('www-authenticate'), text })
    }
  }
  assert.deepEqual(
    [...refusals].map(([where, answers]) => [where, answers.size]),
    [
      ['exchange', 1],
      ['client', 1],
      ['api', 1],
    ],
  )
  const all = [...refusals.values()].flatMap((answers) => [...answers]).join('\n')
  assert.ok(!all.includes(session.accessToken))
  assert.match([...(refusals.get('exchange') ?? [])][0] ?? '', /"status":400.*invalid_request/)
  assert.match([...(refusals.get('client') ?? [])][0] ?? '', /"status":401.*invalid_client/)
  assert.match([...(refusals.get('api') ?? [])][0] ?? '', /"status":401.*invalid_token/)
  assert.equal((await exchange(world, await worker.jwt(), { audience: 'dealer-42' })).status, 200, 'the control')
})

test('what is not said, or of another kind, is invalid_request', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  const { jwt } = await trusting(world)
  const right = { grant_type: EXCHANGE, subject_token: await jwt(), subject_token_type: JWT, audience: 'dealer-42' }
  assert.equal((await world.postForm('token', right)).status, 200)
  const wrong: readonly (readonly [Fields, RegExp])[] = [
    [{ subject_token: '' }, /subject_token is missing/],
    [{ subject_token: `${right.subject_token}\n` }, /subject_token has white space .*: was a line feed copied/],
    [{ subject_token_type: '' }, /subject_token_type is missing/],
    [{ subject_token_type: 'urn:ietf:params:oauth:token-type:saml2' }, /subject_token_type is one of/],
    [{ subject_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' }, /subject_token_type is one of/],
    [{ requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' }, /requested_token_type can only be/],
    [{ actor_token: 'x', actor_token_type: JWT }, /actor_token is not taken/],
  ]
  for (const [more, sentence] of wrong) {
    const answer = await world.postForm('token', { ...right, ...more })
    assert.equal(errorOf(answer), '400 invalid_request', JSON.stringify(more))
    assert.match(String(answer.body['error_description']), sentence)
  }
  const twice = await world.postForm('token', `${new URLSearchParams(right).toString()}&audience=dealer-43`)
  assert.match(String(twice.body['error_description']), /audience is given twice/)
  const misspelt = await world.postForm('token', { ...right, grant_type: EXCHANGE.slice(0, -1) })
  assert.equal(errorOf(misspelt), '401 invalid_client')
  assert.match(String(misspelt.body['error_description']), /a subject_token alone does for urn:.*:token-exchange/)
})

test('a client that authenticates exchanges its own identity alone', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  const worker = await trusting(world)
  const other = await trusting(world, {}, 'system:serviceaccount:prod:other')
  const plain = await world.makeKey()
  const by = async (more: Fields) => exchange(world, await worker.jwt(), { audience: 'dealer-42', ...more })
  assert.equal((await by(asClient(worker))).status, 200)
  assert.equal((await by(asJwt(await worker.jwt()))).status, 200)
  assert.equal(errorOf(await by(asClient(plain))), '400 invalid_request')
  assert.equal(errorOf(await by(asJwt(await other.jwt()))), '400 invalid_request')
  assert.equal(errorOf(await by({ client_id: plain.id })), '400 invalid_request')
  assert.equal(errorOf(await by({ ...asClient(worker), client_secret: 'wrong' })), '401 invalid_client')
})

test('a key without token:read, revoked, past its end, or that trusts it no more exchanges nothing, within a second', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  const blind = await trusting(world, { scopes: ['connections:read'] }, 'blind')
  const refused = await exchange(world, await blind.jwt(), { audience: 'dealer-42' })
  assert.equal(errorOf(refused), '400 unauthorized_client')
  const ends: readonly ((key: ServedKey & { readonly identity: string }) => Promise<unknown>)[] = [
    ({ id }) => world.keep.apiKeys.revoke(id),
    ({ id, identity }) => world.keep.apiKeys.untrust(id, identity),
  ]
  for (const [at, end] of ends.entries()) {
    const worker = await trusting(world, {}, `worker-${at}`)
    const token = await worker.jwt()
    assert.equal((await exchange(world, token, { audience: 'dealer-42' })).status, 200)
    assert.equal((await api(world, token)).status, 200)
    await end(worker)
    world.forward(1_000)
    assert.equal(errorOf(await exchange(world, token, { audience: 'dealer-42' })), '400 invalid_request')
    assert.equal((await api(world, token)).status, 401)
  }
})

// ---- a JWT instead of a key ----------------------------------------------------------------------------------------

test('at the API a JWT is as good as the key: its scopes, its labels, its limits', async () => {
  await using world = await openServedWorld({ settings: { callerRequestsPer10s: 4 } })
  const session = await world.connect('dealer-42', {}, { labels: { team: 'sales' } })
  await world.connect('hidden')
  const { jwt, key } = await trusting(world, { labels: { team: 'sales' } })
  assert.equal((await api(world, await jwt())).body['access_token'], session.accessToken)
  assert.equal((await api(world, await jwt(), 'hidden')).status, 404)
  const listed = await fetch(`${world.url}/v1/connections`, { headers: { authorization: `bearer ${await jwt()}` } })
  assert.equal(listed.status, 403)
  assert.equal((await api(world, key)).status, 200)
  assert.equal((await api(world, await jwt())).status, 429, 'they are counted together')
})

test('a client of the drop-in proves itself by a JWT for a refresh, its own credentials, revocation and introspection', async () => {
  await using world = await openServedWorld()
  const session = await world.connect('dealer-42')
  const worker = await trusting(world, { sources: { [REALM]: 'dealer-42' } })
  const refreshToken = await world.share('dealer-42', worker)
  const assertion = asJwt(await worker.jwt())
  for (const named of [{}, { client_id: worker.id }]) {
    const proof = { ...assertion, ...named }
    const refreshed = await world.postForm('token', {
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      ...proof,
    })
    assert.equal(refreshed.body['access_token'], session.accessToken)
    assert.equal(refreshed.body['refresh_token'], refreshToken)
    assert.equal('issued_token_type' in refreshed.body, false)
    const own = await world.postForm('token', { grant_type: 'client_credentials', ...proof })
    assert.equal(own.body['access_token'], session.accessToken)
    const said = await world.postForm('token/introspect', { token: refreshToken, ...proof })
    assert.equal(said.body['client_id'], worker.id)
  }
  const wrong: readonly Fields[] = [
    { ...assertion, client_id: (await world.makeKey()).id },
    { ...assertion, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer' },
    { client_assertion: String(assertion['client_assertion']) },
    { ...asJwt(worker.key), client_id: worker.id },
    { client_id: worker.id, client_secret: String(assertion['client_assertion']) },
    // What may be exchanged without a proof is no proof for another grant.
    { subject_token: String(assertion['client_assertion']), subject_token_type: JWT },
  ]
  const subjectToken = { grant_type: EXCHANGE, subject_token: await worker.jwt(), subject_token_type: JWT }
  for (const endpoint of ['token/introspect', 'revoke'] as const) {
    const answer = await world.postForm(endpoint, { token: refreshToken, ...subjectToken })
    assert.equal(errorOf(answer), '401 invalid_client', `nothing is exchanged at ${endpoint}`)
  }
  for (const proof of wrong) {
    const answer = await world.postForm('token', { grant_type: 'client_credentials', ...proof })
    assert.equal(errorOf(answer), '401 invalid_client', JSON.stringify(Object.keys(proof)))
  }
  const fromFile = asJwt(`${String(assertion['client_assertion'])}\n`)
  const spaced = await world.postForm('token', { grant_type: 'client_credentials', ...fromFile })
  assert.equal(errorOf(spaced), '401 invalid_client')
  assert.match(String(spaced.body['error_description']), /client_assertion has white space .*: was a line feed copied/)
  const twice = { ...assertion, ...asClient(worker), grant_type: 'client_credentials' }
  assert.equal(errorOf(await world.postForm('token', twice)), '400 invalid_request')
  const inBoth = { grant_type: 'client_credentials', ...assertion }
  assert.equal(errorOf(await world.postForm('token', inBoth, { headers: asBasic(worker) })), '400 invalid_request')
  assert.equal((await world.postForm('revoke', { token: refreshToken, ...assertion })).status, 200)
  world.forward(1_000)
  assert.equal((await world.postForm('token/introspect', { token: refreshToken, ...assertion })).body['active'], false)
})

test('wrong JWTs count for the address that they come from, like wrong keys', async () => {
  await using world = await openServedWorld({ settings: { wrongKeysPerMinute: 3 } })
  await world.connect('dealer-42')
  const { jwt } = await trusting(world)
  const forged = await jwt({}, { key: 'other' })
  const seen: string[] = []
  for (let at = 0; at < 4; at += 1) seen.push(errorOf(await exchange(world, forged, { audience: 'dealer-42' })))
  assert.deepEqual(seen, [...Array<string>(3).fill('400 invalid_request'), '429 temporarily_unavailable'])
  assert.equal((await api(world, forged)).status, 429)
  assert.equal((await exchange(world, await jwt(), { audience: 'dealer-42' })).status, 200, 'who is known gets in')
})

test('while the keys of an issuer cannot be had, nobody is called wrong', async () => {
  await using world = await openServedWorld({ settings: { wrongKeysPerMinute: 1 } })
  await world.connect('dealer-42')
  const { jwt } = await trusting(world)
  const token = await jwt()
  const elsewhere = await world.makeKey()
  const lost = { issuer: 'http://127.0.0.1:9/lost', subject: SUBJECT, audience: AUDIENCE }
  const { identities } = await world.keep.apiKeys.trust(elsewhere.id, lost)
  const unknown = await jwt({ iss: lost.issuer })
  for (let at = 0; at < 3; at += 1) {
    const answer = await exchange(world, unknown, { audience: 'dealer-42' })
    assert.equal(errorOf(answer), '503 temporarily_unavailable')
    assert.equal((await api(world, unknown)).body['code'], 'server_unreachable')
  }
  const told = [
    'warn',
    { apiKeyId: elsewhere.id, identity: identities[0]?.id },
    "the keys of a JWT's issuer cannot be had",
  ]
  assert.deepEqual(world.logged, [told], 'once, however many ask')
  world.forward(60_000)
  await api(world, unknown)
  assert.deepEqual(world.logged, [told, told])
  assert.equal((await exchange(world, token, { audience: 'dealer-42' })).status, 200)
})

test('the operator learns why a JWT was refused that the issuer signed, and of no other', async () => {
  await using world = await openServedWorld({ settings: { wrongKeysPerMinute: 20 } })
  await world.connect('dealer-42')
  const { jwt, id: apiKeyId, identity } = await trusting(world)
  const because: Readonly<Record<string, () => Promise<string>>> = {
    audience: () => jwt({ aud: 'https://kubernetes.default.svc' }),
    expired: () => jwt({ exp: second() - 120 }),
    not_yet: () => jwt({ nbf: second() + 600 }),
    claims: () => jwt({ exp: null }),
    lasts_too_long: () => jwt({ exp: second() + 365 * 24 * 3600 }),
    bound_to_a_key: () => jwt({ cnf: { jkt: 'x' } }),
    event: () => jwt({ events: {} }),
  }
  for (const make of Object.values(because)) await exchange(world, await make(), { audience: 'dealer-42' })
  await api(world, await jwt({ aud: 'another' }))
  const told = [...Object.keys(because), 'audience'].map((why) => [
    'warn',
    { apiKeyId, identity, because: why },
    'a JWT that its issuer signed was refused',
  ])
  assert.deepEqual(world.logged, told)
  const nobody = [
    jwt({}, { key: 'other' }),
    jwt({}, { header: { alg: 'none' } }),
    jwt({}, { header: { alg: 'HS256' } }),
    jwt({ sub: 'system:serviceaccount:prod:other' }),
    jwt({}, { header: { typ: 'logout+jwt' } }),
  ]
  for (const each of nobody) await exchange(world, await each, { audience: 'dealer-42' })
  const late = await jwt({ exp: second() - 120 })
  for (let at = 0; at < 30; at += 1) await exchange(world, late, { audience: 'dealer-42' })
  const [last] = world.logged.slice(-1)
  assert.deepEqual(last, [
    'warn',
    { apiKeyId, identity, because: 'expired' },
    'a JWT that its issuer signed was refused',
  ])
  assert.equal(world.logged.length, told.length + 7, 'an address that is turned away writes nothing either')
})

test('no JWT and no token stands in what is logged, refused or counted', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  const { jwt } = await trusting(world)
  const [good, forged] = [await jwt(), await jwt({}, { key: 'other' })]
  const answers = [
    await exchange(world, good, { audience: 'dealer-42' }),
    await exchange(world, forged, { audience: 'dealer-42' }),
    await exchange(world, good, { audience: 'nobody' }),
    await api(world, forged),
  ]
  const said = JSON.stringify([world.logged, world.counted, answers.slice(1).map(({ text }) => text)])
  for (const secret of [good, forged, ...[good, forged].map((each) => each.split('.')[2] ?? ''), ...world.secrets]) {
    assert.ok(!said.includes(secret))
  }
  assert.ok(
    world.counted.includes('handOut drop_in ok') && world.counted.includes('handOut drop_in unknown_connection'),
  )
})

// ---- an unmodified client ------------------------------------------------------------------------------------------

for (const how of ['none', 'secret'] as const) {
  test(`openid-client exchanges by itself, authenticated by ${how}`, async () => {
    const publicUrl = 'https://tokens.example'
    await using world = await openServedWorld({ settings: { ...HTTP_SETTINGS, publicUrl } })
    const { accessToken } = await world.connect('dealer-42')
    const worker = await trusting(world)
    const throughProxy: openid.CustomFetch = (url, { method, headers, body }) =>
      fetch(url.replace(publicUrl, world.url), { method, headers, body: body ?? null })
    const found = await openid.discovery(
      new URL(`${publicUrl}/realms/${REALM}`),
      worker.id,
      undefined,
      how === 'none' ? openid.None() : openid.ClientSecretBasic(worker.key),
      { [openid.customFetch]: throughProxy },
    )
    const { grant_types_supported: grants, token_endpoint_auth_methods_supported: methods } = found.serverMetadata()
    assert.ok(grants?.includes(EXCHANGE))
    assert.ok(methods?.includes('none') && methods.includes('private_key_jwt'))
    const tokens = await openid.genericGrantRequest(found, EXCHANGE, {
      subject_token: await worker.jwt(),
      subject_token_type: JWT,
      audience: 'dealer-42',
    })
    assert.equal(tokens.access_token, accessToken)
    assert.equal(tokens['issued_token_type'], ACCESS_TOKEN)
  })
}
