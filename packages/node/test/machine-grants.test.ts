/** Connections that run their grant again at a real authorization server: assertions and exchanges, without a refresh token. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test, type TestContext } from 'node:test'
import { decodeJwt, decodeProtectedHeader, exportJWK, SignJWT, type JWK } from 'jose'
import type { ConnectionInput } from '@tokenkeep/core'
import type { RealmOptions } from '@tokenkeep/devserver'
import { CLIENT_SECRET, openWorld, type World } from './world.ts'

const WORKLOADS = 'https://workloads.example.org'
const AT_TYPE = 'urn:ietf:params:oauth:token-type:access_token'

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const jwkOf = async (kid: string): Promise<JWK> => ({
  ...(await exportJWK(pair.publicKey)),
  kid,
  alg: 'RS256',
  use: 'sig',
})

/** A world in which a workload's JWTs are believed, and `robot` may assert with its own key. */
async function machines(realm: Partial<RealmOptions> = {}): Promise<World> {
  const world = await openWorld({
    realm: {
      ...realm,
      trustedIssuers: [{ issuer: WORKLOADS, jwks: { keys: [await jwkOf('w')] } }],
      clients: [{ clientId: 'robot', ...ROBOT, jwks: { keys: [] } }],
    },
  })
  await world.keep.clients.put({ id: 'robot', provider: 'external', clientId: 'robot', clientKey: pem, kid: 'k1' })
  await register(world)
  return world
}
const ROBOT = { tokenEndpointAuthMethod: 'private_key_jwt', tokenEndpointAuthSigningAlg: 'RS256' } as const

/** The provider learns the keys that the client has by now. */
async function register(world: World): Promise<void> {
  const jwks = await world.keep.clients.jwks('robot')
  await world.server.control.putClient('external', { clientId: 'robot', ...ROBOT, jwks, assertionJwks: jwks })
}

let serial = 0
async function workloadJwt(world: World, subject = 'pod-1', audience = world.server.issuer('external')) {
  return new SignJWT({ jti: `w${(serial += 1)}` })
    .setProtectedHeader({ alg: 'RS256', kid: 'w' })
    .setIssuer(WORKLOADS)
    .setSubject(subject)
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime('10m')
    .sign(pair.privateKey)
}

const sent = async (world: World, grant: string) =>
  (await world.server.control.requests()).filter(
    ({ endpoint, grantType }) => endpoint === 'token' && grantType?.endsWith(grant) === true,
  )
const outcomes = async (world: World, id: string) =>
  (await world.keep.connections.history(id)).map(({ outcome }) => outcome)

/** So short that a few ends lie within what the server forgives a clock. */
const SHORT = { accessTokenSeconds: 3 }
const letItEnd = (world: World): void => world.clocks.forward(3000)

/** A token endpoint that keeps what it is sent, and answers as it is told. */
async function recorder(t: TestContext, answer: Readonly<Record<string, unknown>> = {}) {
  const bodies: URLSearchParams[] = []
  const headers: IncomingHttpHeaders[] = []
  const server = createServer((request, response) => {
    headers.push(request.headers)
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      bodies.push(new URLSearchParams(body))
      response.setHeader('content-type', 'application/json')
      const token = { access_token: `at-${bodies.length}`, token_type: 'Bearer', expires_in: 60 }
      response.end(JSON.stringify({ ...token, ...answer }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  return { tokenEndpoint: `http://127.0.0.1:${port}/token`, bodies, headers }
}

const ASSERTING = { client: 'robot', grantType: 'jwt_bearer', subject: 'user-42' } as const
const PROVING = { ...ASSERTING, assertion: { clientAuthentication: true } } as const

test('assertions of its own key renew a connection over several ends, also past another key', async () => {
  await using world = await machines(SHORT)
  await world.keep.connections.import({ id: 'a', ...PROVING })
  const seen = new Set<string>()
  for (let end = 0; end < 3; end += 1) {
    if (end === 2) {
      await world.keep.clients.rotateKey('robot', { now: true })
      await register(world)
    }
    const { accessToken } = await world.keep.token('a')
    assert.equal(decodeJwt(accessToken).sub, 'user-42')
    seen.add(accessToken)
    letItEnd(world)
  }
  assert.equal(seen.size, 3)
  assert.deepEqual(await outcomes(world, 'a'), ['granted', 'granted', 'granted'])
  const { hasRefreshToken, status, grantType } = await world.keep.connections.get('a')
  assert.deepEqual(
    { hasRefreshToken, status, grantType },
    { hasRefreshToken: false, status: 'ready', grantType: 'jwt_bearer' },
  )
})

test('a service account is data: its claims, its key and nothing of the client beside them', async (t) => {
  const { tokenEndpoint, bodies, headers } = await recorder(t)
  await using world = await openWorld({ provider: { tokenEndpoint } })
  await world.keep.clients.put({
    id: 'robot',
    provider: 'external',
    clientId: 'robot@project.example',
    clientKey: pem,
    kid: 'k1',
  })
  await world.keep.connections.import({
    id: 'calendar',
    client: 'robot',
    grantType: 'jwt_bearer',
    subject: 'ada@example.org',
    assertion: { audience: 'token_endpoint', claims: { scope: 'https://api.example.org/calendar' } },
  })
  for (let end = 0; end < 3; end += 1) {
    assert.equal((await world.keep.token('calendar')).accessToken, `at-${end + 1}`)
    world.clocks.forward(61_000)
  }
  assert.deepEqual(
    bodies.map((body) => [...body.keys()].sort()),
    Array.from({ length: 3 }, () => ['assertion', 'grant_type']),
  )
  assert.ok(headers.every(({ authorization }) => authorization === undefined))
  const assertions = bodies.map((body) => body.get('assertion') ?? '')
  assert.equal(bodies[0]?.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer')
  assert.deepEqual(decodeProtectedHeader(assertions[0] ?? ''), { alg: 'RS256', kid: 'k1', typ: 'JWT' })
  const { iss, sub, aud, scope, exp, iat } = decodeJwt(assertions[0] ?? '')
  assert.deepEqual(
    { iss, sub, aud, scope },
    {
      iss: 'robot@project.example',
      sub: 'ada@example.org',
      aud: tokenEndpoint,
      scope: 'https://api.example.org/calendar',
    },
  )
  assert.equal((exp ?? 0) - (iat ?? 0), 60)
  assert.equal(new Set(assertions.map((jwt) => decodeJwt(jwt).jti)).size, 3)
})

test('an assertion is read from its file anew each time, and without one nothing is sent', async () => {
  await using world = await machines(SHORT)
  const file = join(world.folder, 'token')
  writeFileSync(file, await workloadJwt(world))
  await world.keep.connections.import({ id: 'a', client: 'app', grantType: 'jwt_bearer', assertion: { file } })
  assert.equal(decodeJwt((await world.keep.token('a')).accessToken).sub, 'pod-1')
  letItEnd(world)
  writeFileSync(file, await workloadJwt(world, 'pod-2'))
  assert.equal(decodeJwt((await world.keep.token('a')).accessToken).sub, 'pod-2')
  letItEnd(world)
  rmSync(file)
  await assert.rejects(() => world.keep.token('a', { waitMs: 300 }), { code: 'unavailable' })
  assert.ok(world.events.some((event) => event.type === 'unavailable' && event.because === 'grant_file'))
  assert.equal((await sent(world, 'jwt-bearer')).length, 2)
  writeFileSync(file, await workloadJwt(world, 'pod-3'))
  world.clocks.forward(3000)
  assert.equal(decodeJwt((await world.keep.token('a')).accessToken).sub, 'pod-3')
})

test('a refused assertion blocks for the operator, and asks no person to sign in', async () => {
  await using world = await machines()
  await world.keep.connections.import({ id: 'a', ...PROVING })
  const jwks = await world.keep.clients.jwks('robot')
  await world.server.control.putClient('external', { clientId: 'robot', ...ROBOT, jwks, assertionJwks: { keys: [] } })
  await assert.rejects(() => world.keep.token('a'), { code: 'blocked', blocked: 'grant' })
  const { status, reason, nextActionAt } = await world.keep.connections.get('a')
  assert.deepEqual({ status, reason }, { status: 'blocked', reason: null })
  assert.ok((nextActionAt ?? 0) > world.clocks.clock.now().wall)
  await register(world)
  assert.equal((await world.keep.connections.resolve('a', 'present')).status, 'ready')
  assert.notEqual((await world.keep.token('a')).accessToken, '')
})

test('a subject token that the provider does not take blocks for what the grant brings, not for our request', async () => {
  await using world = await openWorld()
  await world.connect('person')
  // The first is an invalid_request (RFC 8693 section 2.2.2), the second an invalid_grant (RFC 7521 section 4.1).
  const types = { unknown: 'urn:example:token-type:other', jwt: 'urn:ietf:params:oauth:token-type:jwt' }
  for (const [id, subjectTokenType] of Object.entries(types)) {
    const exchange = { fromConnection: 'person', subjectTokenType }
    await world.keep.connections.import({ id, client: 'app', grantType: 'token_exchange', exchange })
    await assert.rejects(() => world.keep.token(id), { code: 'blocked', blocked: 'grant' })
  }
})

test('the token of another connection is exchanged, refreshed first where it has ended', async () => {
  await using world = await openWorld({ realm: SHORT })
  await world.connect('person')
  await world.keep.connections.import({
    id: 'down',
    client: 'app',
    grantType: 'token_exchange',
    exchange: { fromConnection: 'person', requestedTokenType: AT_TYPE },
  })
  const subject = decodeJwt((await world.keep.token('person')).accessToken).sub
  for (let end = 0; end < 3; end += 1) {
    const { accessToken } = await world.keep.token('down')
    const source = await world.keep.token('person')
    assert.notEqual(accessToken, source.accessToken)
    assert.equal(decodeJwt(accessToken).sub, subject)
    letItEnd(world)
  }
  assert.equal((await sent(world, 'token-exchange')).length, 3)
  assert.equal((await sent(world, 'refresh_token')).length, 2)
  assert.deepEqual(await outcomes(world, 'down'), ['granted', 'granted', 'granted'])
})

test('a client that proves a key proves it with these grants, too', async () => {
  await using world = await openWorld({ realm: { dpop: 'allowed', dpopNonce: true } })
  await world.keep.clients.put({
    id: 'bound',
    provider: 'external',
    clientId: 'app',
    clientSecret: CLIENT_SECRET,
    tokenEndpointAuthMethod: 'client_secret_post',
    dpopBoundAccessTokens: true,
  })
  await world.connect('person')
  const exchange = { fromConnection: 'person', requestedTokenType: AT_TYPE }
  await world.keep.connections.import({ id: 'down', client: 'bound', grantType: 'token_exchange', exchange })
  const { accessToken, tokenType, dpopJkt } = await world.keep.token('down')
  assert.equal(tokenType, 'DPoP')
  assert.ok(dpopJkt !== undefined)
  assert.deepEqual(decodeJwt(accessToken)['cnf'], { jkt: dpopJkt })
  assert.equal((await world.keep.fetchFor('down')(world.server.demoApi)).status, 200)
})

test('a subject token is read from its file, with what is asked for it', async (t) => {
  const { tokenEndpoint, bodies } = await recorder(t, {
    issued_token_type: AT_TYPE,
    refresh_token: 'rt-of-an-exchange',
  })
  await using world = await openWorld({ provider: { tokenEndpoint } })
  const file = join(world.folder, 'token')
  const jwt = await workloadJwt(world)
  writeFileSync(file, jwt)
  const exchange = { subjectTokenFile: file, audience: ['one', 'two'], resource: ['https://api.example.org/'] }
  await world.keep.connections.import({ id: 'x', client: 'app', grantType: 'token_exchange', scope: 'read', exchange })
  await world.keep.token('x')
  const { client_id: _id, client_secret: _secret, ...asked } = Object.fromEntries(bodies[0] ?? [])
  assert.deepEqual(asked, {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: jwt,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    audience: 'two',
    resource: 'https://api.example.org/',
    scope: 'read',
  })
  assert.deepEqual(bodies[0]?.getAll('audience'), ['one', 'two'])
  // The grant is the way to renew it: what came beside is not kept.
  assert.equal((await world.keep.connections.get('x')).hasRefreshToken, false)
  world.clocks.forward(61_000)
  await world.keep.token('x')
  assert.equal(bodies[1]?.get('refresh_token'), null)
  await world.keep.token('x', { resource: ['https://other.example.org/'] })
  assert.deepEqual(bodies[2]?.getAll('resource'), ['https://other.example.org/'])
})

test('while the other connection needs its user, nothing is sent, and the error names it', async () => {
  await using world = await openWorld()
  const accessToken = 'ended'
  const expiresAt = world.clocks.clock.now().wall - 1000
  await world.keep.connections.import({ id: 'person', client: 'app', accessToken, expiresAt })
  await world.keep.connections.import({
    id: 'down',
    client: 'app',
    grantType: 'token_exchange',
    exchange: { fromConnection: 'person' },
  })
  await assert.rejects(() => world.keep.token('down', { waitMs: 300 }), {
    code: 'unavailable',
    message: /exchanged for the token of connection "person"/,
  })
  assert.ok(world.events.some((event) => event.type === 'unavailable' && event.because === 'source_connection'))
  assert.equal((await sent(world, 'token-exchange')).length, 0)
  const { refreshToken } = await world.server.control.seedSession('external', { clientId: 'app' })
  await world.keep.connections.reconnect('person', { refreshToken })
  world.clocks.forward(5000)
  assert.notEqual((await world.keep.token('down')).accessToken, '')
})

test('connections that would wait for each other are refused', async () => {
  await using world = await openWorld()
  const from = (fromConnection: string) =>
    ({ client: 'app', grantType: 'token_exchange', exchange: { fromConnection } }) as const
  await world.connect('a')
  await world.keep.connections.import({ id: 'b', ...from('a') })
  await world.keep.connections.import({ id: 'c', ...from('b') })
  await world.keep.connections.delete('a')
  const circle = { code: 'invalid_input', message: /comes from "a" itself/ }
  await assert.rejects(() => world.keep.connections.import({ id: 'a', ...from('c') }), circle)
  await assert.rejects(() => world.keep.connections.import({ id: 'a', ...from('a') }), circle)
  await assert.rejects(() => world.keep.connections.import({ id: 'd', ...from('nobody') }), {
    code: 'unknown_connection',
  })
  await world.connect('a')
  assert.notEqual((await world.keep.token('c')).accessToken, '')
})

test('many that wait for one connection do not stand in its way', async () => {
  await using world = await openWorld({ provider: { concurrency: 2 } })
  const { refreshToken } = await world.server.control.seedSession('external', { clientId: 'app' })
  await world.keep.connections.import({ id: 'person', client: 'app', refreshToken })
  const ids = Array.from({ length: 8 }, (_, index) => `down-${index}`)
  for (const id of ids) {
    const exchange = { fromConnection: 'person' }
    await world.keep.connections.import({ id, client: 'app', grantType: 'token_exchange', exchange })
  }
  await world.server.control.addFault({
    fault: { kind: 'delay', ms: 800 },
    when: 'after',
    times: 1,
    grantType: 'refresh_token',
  })
  const tokens = await Promise.all(ids.map((id) => world.keep.token(id)))
  assert.equal(new Set(tokens.map(({ accessToken }) => accessToken)).size, 8)
  assert.equal((await sent(world, 'refresh_token')).length, 1)
  assert.deepEqual(
    await Promise.all(ids.map((id) => outcomes(world, id))),
    ids.map(() => ['granted']),
  )
})

test('two that share the database run a grant once', async () => {
  await using world = await machines()
  await world.keep.connections.import({ id: 'a', ...PROVING })
  const other = await world.reopen()
  await world.server.control.addFault({ fault: { kind: 'delay', ms: 300 }, when: 'after', times: 1 })
  const tokens = await Promise.all([world.keep, other, world.keep, other].map((keep) => keep.token('a')))
  assert.equal(new Set(tokens.map(({ accessToken }) => accessToken)).size, 1)
  assert.equal((await sent(world, 'jwt-bearer')).length, 1)
})

test('an answer that is no access token is said to be none', async (t) => {
  const { tokenEndpoint } = await recorder(t, {
    token_type: 'N_A',
    issued_token_type: 'urn:ietf:params:oauth:token-type:saml2',
  })
  await using world = await openWorld({ provider: { tokenEndpoint } })
  await world.connect('person')
  const exchange = { fromConnection: 'person' }
  await world.keep.connections.import({ id: 'x', client: 'app', grantType: 'token_exchange', exchange })
  await assert.rejects(() => world.keep.token('x'), { code: 'blocked', blocked: 'grant', message: /token type/ })
  assert.ok(world.events.some((event) => event.type === 'blocked' && event.word === 'N_A'))
})

test('wrong input is refused in a sentence, and nothing is kept', async () => {
  await using world = await openWorld()
  await world.connect('person')
  await world.keep.clients.put({ id: 'robot', provider: 'external', clientId: 'robot', clientKey: pem, kid: 'k1' })
  const jwt = (assertion: unknown, more: object = {}) => ({
    client: 'robot',
    grantType: 'jwt_bearer',
    assertion,
    ...more,
  })
  const exchange = (given: unknown, more: object = {}) => ({
    client: 'app',
    grantType: 'token_exchange',
    exchange: given,
    ...more,
  })
  const wrong: readonly (readonly [object, RegExp])[] = [
    [{ client: 'robot', grantType: 'saml' }, /grantType is one of/],
    [{ client: 'app', grantType: 'jwt_bearer' }, /no key of its own/],
    [{ client: 'robot', assertion: {} }, /belongs to grantType "jwt_bearer"/],
    [{ client: 'robot', grantType: 'client_credentials', exchange: {} }, /belongs to grantType "token_exchange"/],
    [jwt([]), /assertion is an object/],
    [jwt({ subject: 'x' }), /member that is not known/],
    [jwt({ issuer: '' }), /assertion\.issuer is a text/],
    [jwt({ audience: 7 }), /assertion\.audience is a text/],
    [jwt({ claims: 'scope' }), /assertion\.claims is an object/],
    [jwt({ claims: { exp: 1 } }), /has "exp", which is made for each request/],
    [jwt({ claims: { big: 1n } }), /assertion\.claims is an object/],
    [jwt({ claims: { long: 'x'.repeat(4000) } }), /assertion\.claims is an object/],
    [jwt({ file: 'token' }), /assertion\.file must be an absolute path/],
    [jwt({ file: '/run/token', claims: {} }), /leave claims out/],
    [jwt({ clientAuthentication: 'no' }), /is true or false/],
    [jwt({}, { refreshToken: 'canary-refresh-token' }), /leave one of the two out/],
    [exchange(undefined), /needs a subject token/],
    [exchange({}), /one subject token/],
    [exchange({ fromConnection: 'person', subjectTokenFile: '/run/token' }), /one subject token/],
    [exchange({ subjectTokenFile: './token' }), /must be an absolute path/],
    [exchange({ fromConnection: 'a b' }), /exchange\.fromConnection/],
    [exchange({ fromConnection: 'person', subjectTokenType: 'jwt' }), /is a URI, such as/],
    [exchange({ fromConnection: 'person', audience: 'one' }), /exchange\.audience is a list/],
    [exchange({ fromConnection: 'person', audience: [''] }), /exchange\.audience is a text/],
    [exchange({ fromConnection: 'person', resource: ['/here'] }), /exchange\.resource is not an absolute URI/],
    [exchange({ fromConnection: 'person', resource: ['https://a.example/#x'] }), /without a fragment/],
    [exchange({ fromConnection: 'person', actorToken: 'canary-actor' }), /member that is not known/],
  ]
  for (const [given, message] of wrong) {
    const input = { id: 'x', ...given } as ConnectionInput
    await assert.rejects(
      () => world.keep.connections.import(input),
      (error: { code?: unknown; message: string }) => {
        assert.equal(error.code, 'invalid_input', error.message)
        assert.match(error.message, message)
        assert.doesNotMatch(error.message, /canary/)
        return true
      },
    )
  }
  assert.deepEqual(
    (await world.keep.connections.list()).map(({ id }) => id),
    ['person'],
  )
  await assert.rejects(() => world.keep.connections.reconnect('nobody', {}), { code: 'unknown_connection' })
})

test('keys, assertions and tokens to exchange lie nowhere in the clear', async (t) => {
  const { tokenEndpoint, bodies } = await recorder(t)
  await using world = await openWorld({ provider: { tokenEndpoint } })
  await world.keep.clients.put({ id: 'robot', provider: 'external', clientId: 'robot', clientKey: pem, kid: 'k1' })
  const file = join(await mkdtemp(join(tmpdir(), 'tokenkeep-canary-')), 'token')
  t.after(() => rmSync(dirname(file), { recursive: true }))
  writeFileSync(file, await workloadJwt(world))
  await world.keep.connections.import({ id: 'signed', ...ASSERTING })
  await world.keep.connections.import({ id: 'read', client: 'app', grantType: 'jwt_bearer', assertion: { file } })
  const exchange = { fromConnection: 'signed' }
  await world.keep.connections.import({ id: 'down', client: 'app', grantType: 'token_exchange', exchange })
  for (const id of ['signed', 'read', 'down']) await world.keep.token(id)
  const assertions = bodies.flatMap((body) => body.get('assertion') ?? [])
  assert.equal(assertions.length, 2)
  const canaries = [...assertions, pem.split('\n')[1] ?? '', 'at-1', 'at-2', 'at-3']
  const folders = readdirSync(world.folder, { recursive: true, withFileTypes: true }).filter((each) => each.isFile())
  const kept = folders.map((each) => readFileSync(join(each.parentPath, each.name), 'latin1'))
  const told = JSON.stringify([
    world.events,
    await world.keep.connections.list(),
    await world.keep.connections.history('down'),
  ])
  for (const canary of canaries) {
    assert.ok(canary.length > 3)
    assert.ok(
      [...kept, told].every((text) => !text.includes(canary)),
      canary.slice(0, 8),
    )
  }
})

test("what a connection asks with is gone when it is deleted: claims and subjects are somebody's", async () => {
  await using world = await machines()
  const claims = { patient: 'canary-of-a-claim' }
  await world.keep.connections.import({ id: 'a', ...ASSERTING, assertion: { clientAuthentication: true, claims } })
  await world.keep.connections.delete('a')
  await world.keep.close()
  const database = new DatabaseSync(world.path, { readOnly: true })
  try {
    const row = database.prepare('SELECT status, grant_request, subject FROM connection').get()
    assert.deepEqual({ ...row }, { status: 'erased', grant_request: null, subject: null })
  } finally {
    database.close()
  }
})
