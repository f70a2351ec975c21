import assert from 'node:assert/strict'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import test, { type TestContext } from 'node:test'
import type { Clock, MonoMs, UnixMs } from '@tokenkeep/core'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { createSystemClock } from '../src/clock-system.ts'
import { createProviderAccess } from '../src/provider-access.ts'
import { createShownJwts } from '../src/shown-jwt.ts'
import type { TrustedIdentity } from '../src/trusted-identity.ts'
import { CERTIFICATE, httpServer, PRIVATE_KEY } from './fixtures/servers.ts'

const AUDIENCE = 'https://keep.example.org'
const SUBJECT = 'system:serviceaccount:prod:worker'

/** An issuer as Kubernetes has it: its metadata names its keys, and no token endpoint. */
async function kubernetes(t: TestContext) {
  const world = { asked: [] as string[], status: 200, metadata: {} as Record<string, unknown>, shiftMs: 0 }
  const pairs = {
    one: await generateKeyPair('ES256', { extractable: true }),
    two: await generateKeyPair('ES256'),
    rsa: await generateKeyPair('RS256'),
  }
  const origin = await httpServer(t, (request, response) => {
    world.asked.push(request.url ?? '')
    const answer = async (): Promise<unknown> =>
      request.url === '/keys'
        ? {
            keys: [
              { ...(await exportJWK(pairs.one.publicKey)), kid: 'one' },
              { ...(await exportJWK(pairs.rsa.publicKey)), kid: 'rsa' },
            ],
          }
        : { issuer, jwks_uri: `${issuer}/keys`, ...world.metadata }
    void answer().then((body) => response.writeHead(world.status).end(JSON.stringify(body)))
  })
  const issuer = origin.origin
  const system = createSystemClock()
  const clock: Clock = {
    ...system,
    now: () => ({ wall: (Date.now() + world.shiftMs) as UnixMs, mono: (performance.now() + world.shiftMs) as MonoMs }),
  }
  const second = Math.floor(Date.now() / 1000)
  const standard = { iss: issuer, sub: SUBJECT, aud: [AUDIENCE], iat: second, nbf: second, exp: second + 3600 }
  const signed = (
    claims: Record<string, unknown> = {},
    { by = 'one', ...header }: { by?: keyof typeof pairs; alg?: string; kid?: string; typ?: string } = {},
  ): Promise<string> =>
    new SignJWT({ ...standard, ...claims })
      .setProtectedHeader({ alg: by === 'rsa' ? 'RS256' : 'ES256', kid: by, ...header })
      .sign(pairs[by].privateKey)
  const identity: TrustedIdentity = {
    id: 'idn_1',
    issuer,
    subject: SUBJECT,
    audience: AUDIENCE,
    jwksUri: null,
    allowPrivateNetwork: false,
    createdAt: 0,
  }
  return {
    world,
    issuer,
    second,
    standard,
    pairs,
    signed,
    identity,
    jwts: createShownJwts(createProviderAccess({ clock })),
  }
}

test('a JWT of the identity is valid until it ends, its keys found by metadata that name no token endpoint', async (t) => {
  const { jwts, signed, identity, second, world } = await kubernetes(t)
  const jwt = await signed()
  assert.deepEqual(jwts.named(jwt), { issuer: identity.issuer, subject: SUBJECT })
  assert.deepEqual(await jwts.check(jwt, identity), { kind: 'valid', until: (second + 3660) * 1000 })
  assert.deepEqual(world.asked, ['/.well-known/openid-configuration', '/keys'])
  for (const typ of ['JWT', 'at+jwt', 'application/at+jwt', 'client-authentication+jwt']) {
    const typed = await signed({}, { typ })
    assert.ok(jwts.named(typed) !== null, typ)
    assert.equal((await jwts.check(typed, identity)).kind, 'valid', typ)
  }
  assert.equal((await jwts.check(await signed({}, { by: 'rsa' }), identity)).kind, 'valid')
  assert.equal((await jwts.check(await signed({ aud: AUDIENCE }), identity)).kind, 'valid')
  assert.equal((await jwts.check(await signed({ exp: second + 24 * 3600 }), identity)).kind, 'valid')
  world.shiftMs = 3_661_000
  assert.equal((await jwts.check(jwt, identity)).kind, 'not_valid', 'it has ended')
})

test('what is forged, of somebody else, for somebody else, of another kind or of another time shows nobody', async (t) => {
  const { jwts, signed, identity, second, standard, pairs } = await kubernetes(t)
  const good = await signed()
  const [header = '', payload = '', signature = ''] = good.split('.')
  const forged = Buffer.from(JSON.stringify({ ...standard, exp: second + 7200 })).toString('base64url')
  const publicKey = new TextEncoder().encode(await exportSPKI(pairs.one.publicKey))
  const byPublicKey = new SignJWT(standard).setProtectedHeader({ alg: 'HS256', kid: 'one' }).sign(publicKey)
  const jwk = await exportJWK(pairs.two.publicKey)
  const bringsKey = new SignJWT(standard).setProtectedHeader({ alg: 'ES256', jwk }).sign(pairs.two.privateKey)
  const table: Readonly<Record<string, string>> = {
    'another payload': `${header}.${forged}.${signature}`,
    'another signature': `${header}.${payload}.${signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))}`,
    'no signature': `${header}.${payload}.`,
    'alg none': new UnsecuredJWT(standard).encode(),
    'the public key as a shared secret': await byPublicKey,
    'a key of its own': await signed({}, { by: 'two' }),
    'a key of its own under a known name': await signed({}, { by: 'two', kid: 'one' }),
    'a key that it brings along': await bringsKey,
    'another issuer': await signed({ iss: 'https://issuer.example.org' }),
    'an issuer with a slash more': await signed({ iss: `${identity.issuer}/` }),
    'another subject': await signed({ sub: 'system:serviceaccount:prod:other' }),
    'no subject': await signed({ sub: undefined }),
    'a subject that is a list': await signed({ sub: [SUBJECT] }),
    'another audience': await signed({ aud: ['https://kubernetes.default.svc'] }),
    'a part of the audience': await signed({ aud: AUDIENCE.slice(0, -1) }),
    'no audience': await signed({ aud: undefined }),
    'it has ended': await signed({ exp: second - 120 }),
    'no end': await signed({ exp: undefined }),
    'an end in a year': await signed({ exp: second + 365 * 24 * 3600 }),
    'an end that is a text': await signed({ exp: String(second + 60) }),
    'not yet': await signed({ nbf: second + 600 }),
    'from the future': await signed({ iat: second + 600 }),
    'bound to a key': await signed({ cnf: { jkt: 'x' } }),
    'an event': await signed({ events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }),
    'a logout token': await signed({}, { typ: 'logout+jwt' }),
    'a proof of possession': await signed({}, { typ: 'dpop+jwt' }),
    'no JWT': 'a.b.c',
    nothing: '',
    long: `${header}.${'A'.repeat(20_000)}.${signature}`,
  }
  const passed: string[] = []
  for (const [name, jwt] of Object.entries(table)) {
    const named = jwts.named(jwt)
    const isNamed = named?.issuer === identity.issuer && named.subject === identity.subject
    if (isNamed && (await jwts.check(jwt, identity)).kind !== 'not_valid') passed.push(name)
  }
  assert.deepEqual(passed, [])
  assert.equal((await jwts.check(good, identity)).kind, 'valid', 'the control')
})

test('what is believed of a JWT is believed of this identity alone', async (t) => {
  const { jwts, signed, identity } = await kubernetes(t)
  const jwt = await signed()
  assert.equal((await jwts.check(jwt, identity)).kind, 'valid')
  assert.equal((await jwts.check(jwt, { ...identity, audience: 'another' })).kind, 'not_valid')
  assert.equal((await jwts.check(jwt, { ...identity, subject: 'another' })).kind, 'not_valid')
  assert.equal((await jwts.check(jwt, identity)).kind, 'valid')
})

test('a flood of invented key ids asks for keys once in 30 s', async (t) => {
  const { jwts, signed, identity, world } = await kubernetes(t)
  assert.equal((await jwts.check(await signed(), identity)).kind, 'valid')
  world.shiftMs = 31_000
  for (let at = 0; at < 50; at += 1) {
    assert.equal((await jwts.check(await signed({}, { by: 'two', kid: `invented-${at}` }), identity)).kind, 'not_valid')
  }
  assert.equal(world.asked.filter((url) => url === '/keys').length, 2)
})

test('while the keys cannot be had nobody knows; those that are known serve on', async (t) => {
  const { jwts, signed, identity, world, second } = await kubernetes(t)
  world.status = 503
  assert.deepEqual(await jwts.check(await signed(), identity), { kind: 'unavailable' })
  const asked = world.asked.length
  assert.deepEqual(await jwts.check(await signed({ a: 1 }), identity), { kind: 'unavailable' })
  assert.equal(world.asked.length, asked, 'not asked again at once')
  world.status = 200
  world.shiftMs = 31_000
  assert.equal((await jwts.check(await signed(), identity)).kind, 'valid')
  world.status = 503
  world.shiftMs = 3_700_000
  assert.equal((await jwts.check(await signed({ b: 1, exp: second + 7200 }), identity)).kind, 'valid')
  assert.ok(world.asked.length > asked + 2, 'they were asked for again')
})

test("keys are fetched where an identity says, and not where an issuer's metadata may not point", async (t) => {
  const { jwts, signed, identity, issuer, world } = await kubernetes(t)
  const told = { ...identity, jwksUri: `${issuer}/keys` }
  assert.equal((await jwts.check(await signed(), told)).kind, 'valid')
  assert.deepEqual(world.asked, ['/keys'])
  for (const jwks_uri of ['https://10.1.2.3/keys', 'http://issuer.example.org/keys', 'file:///etc/passwd', 7]) {
    world.metadata = { jwks_uri }
    const { jwts: others, identity: another, signed: by, world: its } = await kubernetes(t)
    its.metadata = { jwks_uri }
    assert.deepEqual(await others.check(await by(), another), { kind: 'unavailable' }, String(jwks_uri))
  }
  const { jwts: none, identity: keyless, signed: by, world: its } = await kubernetes(t)
  its.metadata = { jwks_uri: undefined }
  assert.deepEqual(await none.check(await by(), keyless), { kind: 'not_valid' }, 'it publishes none')
  const { jwts: strange, identity: other, signed: signs, world: lying } = await kubernetes(t)
  lying.metadata = { issuer: 'https://issuer.example.org' }
  assert.deepEqual(await strange.check(await signs(), other), { kind: 'unavailable' }, "another issuer's metadata")
})

test('an issuer elsewhere does not make us ask a program of this machine for its keys', async (t) => {
  const { signed, identity, issuer: inside, world } = await kubernetes(t)
  const metadata = { jwks_uri: '' }
  const server = createServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, (_request, response) => {
    response.end(JSON.stringify({ issuer, ...metadata }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const issuer = `https://tokenkeep.test:${(server.address() as AddressInfo).port}`
  const jwts = createShownJwts(
    createProviderAccess({
      clock: createSystemClock(),
      extraCertificates: [CERTIFICATE],
      lookup: () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]),
    }),
  )
  const elsewhere = { ...identity, issuer, allowPrivateNetwork: true }
  const jwt = await signed({ iss: issuer })
  metadata.jwks_uri = `${inside}/keys`
  assert.deepEqual(await jwts.check(jwt, elsewhere), { kind: 'unavailable' })
  assert.deepEqual(world.asked, [])
  const told = { ...elsewhere, jwksUri: `${inside}/keys` }
  assert.equal((await jwts.check(jwt, told)).kind, 'valid', 'unless the identity itself says so')
})
