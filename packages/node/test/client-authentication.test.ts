/** Clients that prove themselves to a real authorization server, which checks every method by itself. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { SignJWT } from 'jose'
import { lend, ms, NO_KEYS, Secret, type Form, type Lease, type OpenedClient } from '@tokenkeep/core'
import { startDevserver, type ClientOptions } from '@tokenkeep/devserver'
import type { ClientInput } from '../src/client-input.ts'
import { jwkOfCertificate, readCertificate } from '../src/client-key-material.ts'
import { createSystemClock } from '../src/clock-system.ts'
import { createDial } from '../src/dial.ts'
import { Line } from '../src/line.ts'
import { createProviderAccess } from '../src/provider-access.ts'
import { createTokenEndpoint } from '../src/token-endpoint-oauth4webapi.ts'
import { REFRESHING, clientOf, providerOf } from './fixtures/provider.ts'
import { CERTIFICATE, PRIVATE_KEY, rawServer } from './fixtures/servers.ts'
import { openWorld, type World } from './world.ts'

const DAY_MS = 24 * 3600 * 1000

/** A client at both, with a sign-in that has to be refreshed. */
async function register(
  world: World,
  there: Omit<ClientOptions, 'clientId'>,
  here: Partial<ClientInput>,
): Promise<void> {
  await world.server.control.putClient('external', { clientId: 'signer', ...there })
  await world.keep.clients.put({ id: 'signer', provider: 'external', clientId: 'signer', ...here })
}

let connections = 0
async function signIn(world: World): Promise<string> {
  const id = `signed-${(connections += 1)}`
  const { refreshToken } = await world.server.control.seedSession('external', { clientId: 'signer' })
  assert.ok(refreshToken !== null)
  await world.keep.connections.import({ id, client: 'signer', refreshToken })
  return id
}

/** Refreshed, looked at and revoked: the client has proven itself at all three endpoints. */
async function worksEverywhere(world: World, id: string): Promise<void> {
  const { accessToken } = await world.keep.token(id)
  assert.notEqual(accessToken, '')
  assert.equal(await world.keep.introspect(id), 'active')
  assert.deepEqual(await world.keep.connections.delete(id), { revokedUpstream: true })
}

/** What a provider does with a client that it does not know by this proof. */
async function isRefused(world: World, id: string): Promise<void> {
  await assert.rejects(() => world.keep.token(id), { code: 'blocked', blocked: 'client' })
}

const ODD_SECRET = 'a+b%c d:e'

test('a server that wants raw Basic credentials refuses encoded ones, and takes raw ones', async () => {
  const there = { clientSecret: ODD_SECRET, basicCredentials: 'raw' } as const
  const here = { clientSecret: ODD_SECRET, tokenEndpointAuthMethod: 'client_secret_basic' } as const
  await using world = await openWorld()
  await register(world, there, here)
  await isRefused(world, await signIn(world))
  await using raw = await openWorld({ provider: { request: { basicCredentials: 'raw' } } })
  await register(raw, there, here)
  await worksEverywhere(raw, await signIn(raw))
})

for (const alg of ['HS256', 'HS512'] as const) {
  test(`client_secret_jwt by ${alg} is taken at every endpoint`, async () => {
    const clientSecret = 'x'.repeat(64)
    await using world = await openWorld()
    const method = { tokenEndpointAuthMethod: 'client_secret_jwt', tokenEndpointAuthSigningAlg: alg } as const
    await register(world, { clientSecret, ...method }, { clientSecret, ...method })
    await worksEverywhere(world, await signIn(world))
    await world.keep.clients.put({
      id: 'signer',
      provider: 'external',
      clientId: 'signer',
      clientSecret: 'y'.repeat(64),
      ...method,
    })
    await isRefused(world, await signIn(world))
  })
}

for (const alg of ['ES256', 'RS256', 'PS256', 'EdDSA'] as const) {
  test(`a key made for ${alg} is taken at every endpoint once the provider has its public half`, async () => {
    await using world = await openWorld()
    const method = { tokenEndpointAuthMethod: 'private_key_jwt' } as const
    await register(world, { ...method, jwks: { keys: [] } }, { ...method, tokenEndpointAuthSigningAlg: alg })
    await isRefused(world, await signIn(world))
    await world.server.control.putClient('external', {
      clientId: 'signer',
      ...method,
      tokenEndpointAuthSigningAlg: alg,
      jwks: await world.keep.clients.jwks('signer'),
    })
    await worksEverywhere(world, await signIn(world))
  })
}

test('client credentials are asked for with a signed assertion, too', async () => {
  await using world = await openWorld()
  const method = { tokenEndpointAuthMethod: 'private_key_jwt' } as const
  await register(world, { ...method, jwks: { keys: [] } }, method)
  const jwks = await world.keep.clients.jwks('signer')
  await world.server.control.putClient('external', { clientId: 'signer', ...method, jwks })
  await world.keep.connections.import({
    id: 'machine',
    client: 'signer',
    grantType: 'client_credentials',
    scope: 'dealer-api',
  })
  assert.notEqual((await world.keep.token('machine')).accessToken, '')
})

test('a key of one`s own signs, PEM or JWK, under the name that the provider has for it', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  const jwk = { ...privateKey.export({ format: 'jwk' }), kid: 'theirs', alg: 'PS256' }
  const published = { ...publicKey.export({ format: 'jwk' }), use: 'sig' }
  for (const [here, kid, alg] of [
    [{ clientKey: pem, kid: 'named' }, 'named', 'RS256'],
    [{ clientKey: JSON.stringify(jwk) }, 'theirs', 'PS256'],
  ] as const) {
    await using world = await openWorld()
    const method = { tokenEndpointAuthMethod: 'private_key_jwt', tokenEndpointAuthSigningAlg: alg } as const
    await register(world, { ...method, jwks: { keys: [{ ...published, kid }] } }, here)
    assert.deepEqual(
      (await world.keep.clients.keys('signer')).map((key) => [key.kid, key.alg, key.state]),
      [[kid, alg, 'signing']],
    )
    await worksEverywhere(world, await signIn(world))
  }
})

// ---- rotation ------------------------------------------------------------------------------------------------------

/** Public keys over HTTP, as a server of ours publishes them. */
async function publishes(t: TestContext, world: World): Promise<string> {
  const server = createServer((_request, response) => {
    void world.keep.clients
      .jwks('signer')
      .catch(() => ({ keys: [] }))
      .then((jwks) => response.end(JSON.stringify(jwks)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

/** Waits for the states of the keys, which change by the clock alone. */
async function untilStates(keep: World['keep'], wanted: readonly string[]): Promise<void> {
  for (let tries = 0; tries < 400; tries += 1) {
    const states = (await keep.clients.keys('signer')).map(({ state }) => state)
    if (states.join() === wanted.join()) return
    await clock.alarm(ms(25)).rung
  }
  assert.fail(`the keys are not ${wanted.join()}`)
}

test('a new key is published at once, signs in its time, and the old one is over later, in two processes alike', async (t) => {
  await using world = await openWorld()
  const method = { tokenEndpointAuthMethod: 'private_key_jwt' } as const
  await register(world, { ...method, jwksUri: await publishes(t, world) }, method)
  const other = await world.reopen()
  const bothWork = async (): Promise<void> => {
    assert.deepEqual(await world.keep.clients.keys('signer'), await other.clients.keys('signer'))
    assert.notEqual((await world.keep.token(await signIn(world))).accessToken, '')
    assert.notEqual((await other.token(await signIn(world))).accessToken, '')
  }
  const published = async (): Promise<number> => (await world.keep.clients.jwks('signer')).keys.length

  const before = await world.keep.clients.get('signer')
  const rotated = await world.keep.clients.rotateKey('signer', { afterMs: 4000, keepMs: 4000 })
  assert.deepEqual(
    rotated.map(({ state }) => state),
    ['signing', 'next'],
  )
  assert.equal((await world.keep.clients.get('signer')).revision, before.revision + 1)
  assert.equal(await published(), 2)
  await bothWork()
  await assert.rejects(() => other.clients.rotateKey('signer'), { code: 'in_use', message: /has a new key already/ })

  await untilStates(other, ['previous', 'signing'])
  assert.equal(await published(), 2)
  await bothWork()

  await untilStates(other, ['retired', 'signing'])
  assert.equal(await published(), 1)
  await bothWork()
})

test('without being told a new key signs after a day, and the one before it is published for another', async () => {
  await using world = await openWorld()
  await register(world, { tokenEndpointAuthMethod: 'none' }, { tokenEndpointAuthMethod: 'private_key_jwt' })
  const [before, after] = await world.keep.clients.rotateKey('signer')
  assert.ok(before !== undefined && after !== undefined)
  assert.equal(after.signsFrom - after.createdAt, DAY_MS)
  assert.equal((before.publishedUntil ?? 0) - after.signsFrom, DAY_MS)
})

test('a provider that did not fetch the new key yet refuses what it signs, so it does not sign before its time', async () => {
  await using world = await openWorld()
  const method = { tokenEndpointAuthMethod: 'private_key_jwt' } as const
  await register(world, { ...method, jwks: { keys: [] } }, method)
  const jwks = await world.keep.clients.jwks('signer')
  await world.server.control.putClient('external', { clientId: 'signer', ...method, jwks })
  await world.keep.clients.rotateKey('signer')
  assert.notEqual((await world.keep.token(await signIn(world))).accessToken, '')
  // The control: the same provider, when the key does sign.
  await world.keep.clients.rotateKey('signer', { now: true })
  await isRefused(world, await signIn(world))
})

test('a key that waits signs at once where that is asked for, and one that leaked is published no longer', async () => {
  await using world = await openWorld()
  await world.keep.clients.put({
    id: 'signer',
    provider: 'external',
    clientId: 'signer',
    tokenEndpointAuthMethod: 'private_key_jwt',
  })
  const [, waiting] = await world.keep.clients.rotateKey('signer')
  const after = await world.keep.clients.rotateKey('signer', { now: true, keepMs: 0 })
  assert.deepEqual(
    after.map(({ kid, state }) => [kid === waiting?.kid, state]),
    [
      [false, 'retired'],
      [true, 'signing'],
    ],
  )
  assert.deepEqual(
    (await world.keep.clients.jwks('signer')).keys.map(({ kid }) => kid),
    [waiting?.kid],
  )
})

test('what is published is public: no member of a private key is in it', async () => {
  await using world = await openWorld()
  for (const tokenEndpointAuthSigningAlg of ['ES256', 'RS256', 'EdDSA'] as const) {
    const id = `of-${tokenEndpointAuthSigningAlg}`
    await world.keep.clients.put({
      id,
      provider: 'external',
      clientId: id,
      tokenEndpointAuthMethod: 'private_key_jwt',
      tokenEndpointAuthSigningAlg,
    })
    for (const key of (await world.keep.clients.jwks(id)).keys) {
      for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) assert.equal(secret in key, false)
      assert.deepEqual([key['use'], key['alg']], ['sig', tokenEndpointAuthSigningAlg])
    }
  }
})

test('the same again changes nothing; another method erases the keys', async () => {
  await using world = await openWorld()
  const input: ClientInput = {
    id: 'signer',
    provider: 'external',
    clientId: 'signer',
    tokenEndpointAuthMethod: 'private_key_jwt',
  }
  const first = await world.keep.clients.put(input)
  const keys = await world.keep.clients.keys('signer')
  assert.equal((await world.keep.clients.put(input)).revision, first.revision)
  assert.deepEqual(await world.keep.clients.keys('signer'), keys)
  await world.keep.clients.put({ ...input, tokenEndpointAuthMethod: 'none' })
  assert.deepEqual(await world.keep.clients.keys('signer'), [])
})

// ---- assertion files -----------------------------------------------------------------------------------------------

test('an assertion that somebody else signs into a file is sent as it is at that moment', async () => {
  await using world = await openWorld()
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const path = join(world.folder, 'projected-token')
  const renew = async (): Promise<void> => {
    const jwt = await new SignJWT({ jti: crypto.randomUUID() })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer('signer')
      .setSubject('signer')
      .setAudience(world.server.issuer('external'))
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(privateKey)
    await writeFile(path, `${jwt}\n`)
  }
  const method = { tokenEndpointAuthMethod: 'private_key_jwt' } as const
  const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), alg: 'ES256' }] }
  await register(world, { ...method, jwks }, { clientAssertionFile: path })
  const [id, missing] = [await signIn(world), await signIn(world)]
  await renew()
  assert.notEqual((await world.keep.token(id)).accessToken, '')

  await writeFile(path, '')
  await assert.rejects(() => world.keep.token(missing, { waitMs: 500 }), { code: 'unavailable' })
  assert.ok(
    world.events.some((event) => event.type === 'unavailable' && event.because === 'client_assertion_file'),
    'the event has the word for it',
  )
  const history = await world.keep.connections.history(missing)
  assert.deepEqual([...new Set(history.flatMap(({ outcome }) => outcome ?? []))], ['not_sent'])
  const sessions = await world.server.control.sessions('external')
  assert.equal(sessions.filter(({ arrivals }) => arrivals > 0).length, 1)
  await renew()
  world.clocks.forward(3600_000)
  assert.notEqual((await world.keep.token(missing)).accessToken, '')
})

// ---- certificates --------------------------------------------------------------------------------------------------

const pem = (name: string): string => readFileSync(new URL(`./fixtures/client-${name}.pem`, import.meta.url), 'utf8')
const clock = createSystemClock()
const fail = (sentence: string): never => assert.fail(sentence)

function showing(name: 'certificate' | 'self-signed-certificate'): Partial<OpenedClient> {
  const key = pem(name === 'certificate' ? 'key' : 'self-signed-key')
  const read = readCertificate(pem(name), key, clock.now().wall, fail)
  return {
    clientId: 'signer',
    clientSecret: null,
    tokenEndpointAuthMethod: name === 'certificate' ? 'tls_client_auth' : 'self_signed_tls_client_auth',
    certificate: read.certificate,
    keys: { ...NO_KEYS, tls: read.key },
  }
}

const AUTHORITY = pem('authority')

async function tlsServer(client: Omit<ClientOptions, 'clientId'>) {
  return startDevserver({
    tls: { cert: CERTIFICATE, key: PRIVATE_KEY, clientCa: AUTHORITY },
    realms: [{ name: 'external', clients: [{ clientId: 'signer', ...client }] }],
  })
}
type TlsServer = Awaited<ReturnType<typeof tlsServer>>

/** One refresh by a client that shows a certificate, with the word that the server has for it. */
async function refreshAt(server: TlsServer, client: OpenedClient): Promise<string> {
  const { refreshToken } = await server.control.seedSession('external', { clientId: 'signer' })
  const endpoint = createTokenEndpoint(createProviderAccess({ clock, extraCertificates: [CERTIFICATE] }))
  const provider = providerOf({ issuer: server.issuer('external') })
  const line = await endpoint.connect(provider, client, REFRESHING, ms(5000))
  if ('kind' in line) return line.because
  const form: Form = { grantType: 'refresh_token', scope: null, resources: [] }
  const token = new Secret('refresh_token', refreshToken ?? '')
  const ticket = lend({ kind: 'refresh_token', refreshToken: token }, () => 'a')
  const lease = { t0: clock.now(), sendLimitMs: ms(15_000), windowMs: ms(Infinity), session: 'a' } as Lease
  const answer = await endpoint.present(line, lease, ticket, form).ever
  if (answer.kind !== 'response') return answer.because
  const body = JSON.parse(answer.body.reveal()) as { error?: string; refresh_token?: string }
  if (body.refresh_token !== undefined) {
    assert.equal(await endpoint.revoke(provider, client, new Secret('refresh_token', body.refresh_token)), 'revoked')
  }
  return body.error ?? 'granted'
}

test('tls_client_auth shows the certificate in the handshake, at every endpoint', async () => {
  await using server = await tlsServer({
    tokenEndpointAuthMethod: 'tls_client_auth',
    tlsClientAuthSubjectDn: 'CN=app',
  })
  assert.equal(await refreshAt(server, clientOf(showing('certificate'))), 'granted')
  // The same subject, signed by nobody that the server knows.
  const other = { ...showing('self-signed-certificate'), tokenEndpointAuthMethod: 'tls_client_auth' } as const
  assert.equal(await refreshAt(server, clientOf(other)), 'invalid_client')
  const nothing = clientOf({ clientId: 'signer', clientSecret: null, tokenEndpointAuthMethod: 'none' })
  assert.equal(await refreshAt(server, nothing), 'invalid_client')
})

test('self_signed_tls_client_auth is known by what we publish of the certificate', async () => {
  const shown = clientOf(showing('self-signed-certificate'))
  const { certificate } = shown
  assert.ok(certificate !== null)
  const jwks = { keys: [jwkOfCertificate(certificate)] }
  await using server = await tlsServer({ tokenEndpointAuthMethod: 'self_signed_tls_client_auth', jwks })
  assert.equal(await refreshAt(server, shown), 'granted')
  const other = { ...showing('certificate'), tokenEndpointAuthMethod: 'self_signed_tls_client_auth' } as const
  assert.equal(await refreshAt(server, clientOf(other)), 'invalid_client')
})

test('an expired certificate is not shown to anybody, and the word says so', async () => {
  await using server = await tlsServer({ tokenEndpointAuthMethod: 'tls_client_auth', tlsClientAuthSubjectDn: 'CN=app' })
  const client = clientOf(showing('certificate'))
  const { certificate } = client
  assert.ok(certificate !== null)
  const expired = { ...client, certificate: { ...certificate, expiresAt: clock.now().wall } }
  assert.equal(await refreshAt(server, expired), 'client_certificate_expired')
})

test('a certificate is shown over TLS only: nothing is sent without it', async () => {
  await using server = await startDevserver({
    realms: [{ name: 'external', clients: [{ clientId: 'signer', clientSecret: 's' }] }],
  })
  assert.equal(await refreshAt(server, clientOf(showing('certificate'))), 'tls')
})

test('a client is sent to the endpoint that its provider has for certificates', async (t) => {
  await using server = await tlsServer({ tokenEndpointAuthMethod: 'tls_client_auth', tlsClientAuthSubjectDn: 'CN=app' })
  let issuer = ''
  const metadata = createServer((_request, response) => {
    response.end(
      JSON.stringify({
        issuer,
        token_endpoint: `${issuer}/plain`,
        revocation_endpoint: `${issuer}/plain`,
        mtls_endpoint_aliases: { token_endpoint: server.tokenEndpoint('external') },
      }),
    )
  })
  await new Promise<void>((resolve) => metadata.listen(0, '127.0.0.1', resolve))
  t.after(() => metadata.close())
  issuer = `http://127.0.0.1:${(metadata.address() as AddressInfo).port}`
  const { discovery } = createProviderAccess({ clock, extraCertificates: [CERTIFICATE] })
  const found = async (mtls: boolean, name: 'tokenEndpoint' | 'revocationEndpoint'): Promise<string> =>
    String(await discovery.find(providerOf({ issuer }), name, ms(5000), { mtls }))
  assert.equal(await found(true, 'tokenEndpoint'), server.tokenEndpoint('external'))
  assert.equal(await found(false, 'tokenEndpoint'), `${issuer}/plain`)
  assert.equal(await found(true, 'revocationEndpoint'), `${issuer}/plain`)
})

test('a server that refuses a certificate, or its absence, when the request is on its way has read nothing of it', async (t) => {
  const url = await rawServer(t, 'https', () => assert.fail('a connection was accepted'), {
    requestCert: true,
    rejectUnauthorized: true,
    ca: AUTHORITY,
  })
  const dial = createDial({ clock, extraCertificates: [CERTIFICATE] })
  const line = await dial({ url, method: 'POST', allowPrivateNetwork: false }, ms(5000))
  assert.ok(line instanceof Line)
  // In the same tick in which it is open, before the verdict can be here.
  const { ever } = line.send(() => ({ headers: {}, body: 'refresh_token=rt-1' }))
  assert.deepEqual(await ever, { kind: 'not_sent', because: 'tls' })
})
