import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import test, { type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
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
  const world = {
    asked: [] as string[],
    status: 200,
    headers: {} as Record<string, string>,
    metadata: {} as Record<string, unknown>,
    /** Instead of its keys. */
    keys: null as string | null,
    keysStatus: 200,
    silent: false,
    shiftMs: 0,
  }
  const pairs = {
    one: await generateKeyPair('ES256', { extractable: true }),
    two: await generateKeyPair('ES256'),
    rsa: await generateKeyPair('RS256'),
  }
  const origin = await httpServer(t, (request, response) => {
    world.asked.push(request.url ?? '')
    if (world.silent) return
    if (world.keys !== null && request.url === '/keys') {
      response.writeHead(world.keysStatus, world.headers).end(world.keys)
      return
    }
    const answer = async (): Promise<unknown> =>
      request.url === '/keys'
        ? {
            keys: [
              { ...(await exportJWK(pairs.one.publicKey)), kid: 'one' },
              { ...(await exportJWK(pairs.rsa.publicKey)), kid: 'rsa' },
            ],
          }
        : { issuer, jwks_uri: `${issuer}/keys`, ...world.metadata }
    void answer().then((body) => response.writeHead(world.status, world.headers).end(JSON.stringify(body)))
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
    'long, and signed': await signed({ more: 'x'.repeat(13_000) }),
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

test('what was checked ends with the JWT, and with a key that the issuer took back', async (t) => {
  const { jwts, signed, identity, world, second, pairs } = await kubernetes(t)
  const short = await signed({ exp: second + 30 })
  const long = await signed({ exp: second + 3 * 3600 })
  for (const jwt of [short, long]) assert.equal((await jwts.check(jwt, identity)).kind, 'valid')
  world.shiftMs = 80_000
  assert.equal((await jwts.check(short, identity)).kind, 'valid', 'clocks may be a minute apart')
  world.shiftMs = 95_000
  assert.equal((await jwts.check(short, identity)).kind, 'not_valid')
  world.keys = JSON.stringify({ keys: [{ ...(await exportJWK(pairs.two.publicKey)), kid: 'two' }] })
  assert.equal((await jwts.check(long, identity)).kind, 'valid', 'nobody has asked again')
  world.shiftMs = 3_910_000
  assert.deepEqual(await jwts.check(long, identity), { kind: 'not_valid', because: 'key' })
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

test('headers that name keys, and parts that have to be understood, lead nowhere', async (t) => {
  const { jwts, standard, pairs, identity, world, issuer } = await kubernetes(t)
  const trap: string[] = []
  const { origin } = await httpServer(t, (request, response) => {
    trap.push(request.url ?? '')
    response.end('{}')
  })
  assert.equal(
    (
      await jwts.check(
        await new SignJWT(standard).setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign(pairs.one.privateKey),
        identity,
      )
    ).kind,
    'valid',
  )
  const asked = world.asked.length
  const jwk = await exportJWK(pairs.two.publicKey)
  const headers: readonly Record<string, unknown>[] = [
    { jku: `${origin}/jku`, kid: 'one' },
    { x5u: `${origin}/x5u`, kid: 'one' },
    { jwk: { ...jwk, kid: 'one' }, kid: 'one' },
    { x5c: ['AAAA'], kid: 'one' },
    { kid: `${origin}/kid` },
    { kid: '../../etc/passwd' },
    { kid: 'one\0' },
    { kid: ['one'] },
    { kid: 'one', crit: ['exp'] },
    { kid: 'one', crit: ['b64'], b64: false },
    { kid: 'one', zip: 'DEF', enc: 'A256GCM', alg: 'dir' },
  ]
  const [first = '', ...rest] = (
    await new SignJWT(standard).setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign(pairs.two.privateKey)
  ).split('.')
  assert.ok(first !== '')
  for (const header of headers) {
    const text = Buffer.from(JSON.stringify({ alg: 'ES256', ...header })).toString('base64url')
    const { kind } = await jwts.check([text, ...rest].join('.'), identity)
    assert.equal(kind, 'not_valid', JSON.stringify(header))
  }
  assert.deepEqual(trap, [])
  assert.deepEqual(world.asked.slice(asked), [], `${issuer} was asked less than 30 s ago`)
  const whole = await new SignJWT(standard)
    .setProtectedHeader({ alg: 'ES256', kid: 'one', crit: ['x'], x: 1 })
    .sign(pairs.one.privateKey, { crit: { x: true } })
  assert.equal(
    (await jwts.check(whole, identity)).kind,
    'not_valid',
    'signed by the issuer, with a part that we do not know',
  )
})

test('what is published instead of keys shows nobody: another place, too much, keys of another kind, nonsense', async (t) => {
  const elsewhere: string[] = []
  const { origin } = await httpServer(t, (request, response) => {
    elsewhere.push(request.url ?? '')
    response.end('{}')
  })
  const attempt = async (
    keys: (own: Awaited<ReturnType<typeof kubernetes>>) => Promise<string> | string,
    more: { status?: number; keysStatus?: number; headers?: Record<string, string> } = {},
  ) => {
    const own = await kubernetes(t)
    Object.assign(own.world, { keys: await keys(own), ...more })
    return (await own.jwts.check(await own.signed(), own.identity)).kind
  }
  const published = async ({ pairs }: Awaited<ReturnType<typeof kubernetes>>) => ({
    ...(await exportJWK(pairs.one.publicKey)),
    kid: 'one',
  })
  const set = (...keys: unknown[]): string => JSON.stringify({ keys })
  assert.equal(await attempt(async (own) => set(await published(own))), 'valid', 'the control')
  const headers = { location: `${origin}/keys` }
  for (const redirected of [
    { keysStatus: 302, headers },
    { status: 302, headers },
  ]) {
    assert.equal(await attempt(async (own) => set(await published(own)), redirected), 'unavailable')
  }
  assert.deepEqual(elsewhere, [], 'a redirect is not followed')
  const padding = 'x'.repeat(70_000)
  assert.equal(await attempt(async (own) => set({ ...(await published(own)), padding })), 'unavailable', 'too much')
  for (const text of ['', '<html>', '[]', '7', '{"keys":7}', '{"keys":[7]}', '{"keys":null}']) {
    assert.equal(await attempt(() => text), 'unavailable', text)
  }
  for (const keysStatus of [404, 503]) {
    assert.equal(await attempt(async (own) => set(await published(own)), { keysStatus }), 'unavailable', 'an error')
  }
  assert.equal(await attempt(() => set()), 'not_valid')
  const many = async (own: Awaited<ReturnType<typeof kubernetes>>) => {
    const one = await published(own)
    return set(...Array.from({ length: 300 }, (_, at) => ({ ...one, kid: `k${at}` })), one)
  }
  assert.equal(await attempt(many), 'valid', 'one of many keys is found by its name')
  assert.equal(
    await attempt(async (own) => set(await published(own), await published(own))),
    'not_valid',
    'which of two is not guessed',
  )
  const secret = async (own: Awaited<ReturnType<typeof kubernetes>>) =>
    set({ ...(await exportJWK(own.pairs.one.privateKey)), kid: 'one' })
  assert.equal(await attempt(secret), 'not_valid', 'a private key is nothing to publish')
  assert.equal(
    await attempt(async (own) => set({ ...(await published(own)), use: 'enc' })),
    'not_valid',
    'a key that does not sign',
  )
  assert.equal(
    await attempt(() => set({ kty: 'oct', k: 'c2VjcmV0', kid: 'one', alg: 'ES256' })),
    'not_valid',
    'a shared secret',
  )
})

test('an issuer that does not answer keeps waiting whom it signs for, asked once, and nobody else', async (t) => {
  const { jwts, signed, identity, world } = await kubernetes(t)
  const { identity: other, signed: signedByOther, world: itsWorld } = await kubernetes(t)
  const known = { ...other, jwksUri: `${other.issuer}/keys` }
  world.silent = true
  const jwt = await signed()
  const waiting = Array.from({ length: 20 }, () => jwts.check(jwt, identity))
  // The other issuer's keys belong to another world of the same process.
  assert.equal((await jwts.check(await signedByOther(), known)).kind, 'valid')
  const first = await Promise.race([waiting[0], Promise.resolve('waiting')])
  assert.equal(first, 'waiting')
  assert.deepEqual(itsWorld.asked, ['/keys'])
  assert.deepEqual(world.asked, ['/.well-known/openid-configuration'])
  world.silent = false
})

test('keys in use are asked for ahead of their end, so that an issuer that is silent then keeps nobody waiting', async (t) => {
  const { jwts, signed, identity, world, second } = await kubernetes(t)
  const claims = { exp: second + 7200 }
  assert.equal((await jwts.check(await signed(claims), identity)).kind, 'valid')
  const asked = world.asked.length
  world.shiftMs = 1_700_000
  assert.equal((await jwts.check(await signed({ ...claims, a: 1 }), identity)).kind, 'valid')
  assert.equal(world.asked.length, asked, 'not before half of their time')
  world.shiftMs = 1_900_000
  world.silent = true
  const checked = jwts.check(await signed({ ...claims, a: 2 }), identity).then(({ kind }) => kind)
  // What waits for the issuer waits for 10 s at least.
  assert.equal(await Promise.race([checked, sleep(5000, 'waits', { ref: false })]), 'valid')
  for (let tries = 0; tries < 1000 && world.asked.length === asked; tries += 1) await sleep(5)
  assert.ok(world.asked.length > asked)
})

test('an issuer that published no keys is asked again soon: it may have been mended', async (t) => {
  const { jwts, signed, identity, world } = await kubernetes(t)
  world.metadata = { jwks_uri: undefined }
  const without = { kind: 'not_valid', because: 'no_keys' }
  assert.deepEqual(await jwts.check(await signed(), identity), without)
  const asked = world.asked.length
  assert.deepEqual(await jwts.check(await signed({ a: 1 }), identity), without)
  assert.equal(world.asked.length, asked, 'not at once')
  world.metadata = {}
  world.shiftMs = 31_000
  assert.equal((await jwts.check(await signed(), identity)).kind, 'valid')
})

/** A server behind a public name that leads to this machine, and who has not asked it yet. */
async function elsewhereOn(t: TestContext, answer: RequestListener) {
  const server = createServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const jwts = createShownJwts(
    createProviderAccess({
      clock: createSystemClock(),
      extraCertificates: [CERTIFICATE],
      lookup: () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]),
    }),
  )
  return { issuer: `https://tokenkeep.test:${(server.address() as AddressInfo).port}`, jwts }
}

test('a name that leads into a private network is not asked, unless the identity says so', async (t) => {
  const { signed, identity, pairs } = await kubernetes(t)
  const asked: string[] = []
  const keys = { keys: [{ ...(await exportJWK(pairs.one.publicKey)), kid: 'one' }] }
  const { issuer, jwts } = await elsewhereOn(t, (request, response) => {
    asked.push(request.url ?? '')
    response.end(JSON.stringify(keys))
  })
  const named = { ...identity, issuer, jwksUri: `${issuer}/keys` }
  const jwt = await signed({ iss: issuer })
  assert.deepEqual(await jwts.check(jwt, named), { kind: 'unavailable' })
  assert.deepEqual(await jwts.check(jwt, { ...named, jwksUri: null }), { kind: 'unavailable' })
  assert.deepEqual(asked, [])
  assert.equal((await jwts.check(jwt, { ...named, allowPrivateNetwork: true })).kind, 'valid')
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
  assert.deepEqual(await none.check(await by(), keyless), { kind: 'not_valid', because: 'no_keys' })
  const { jwts: strange, identity: other, signed: signs, world: lying } = await kubernetes(t)
  lying.metadata = { issuer: 'https://issuer.example.org' }
  assert.deepEqual(await strange.check(await signs(), other), { kind: 'unavailable' }, "another issuer's metadata")
})

test('an issuer elsewhere does not make us ask a program of this machine for its keys', async (t) => {
  const { signed, identity, issuer: inside, world } = await kubernetes(t)
  const metadata = { jwks_uri: '' }
  const { issuer, jwts } = await elsewhereOn(t, (_request, response) => {
    response.end(JSON.stringify({ issuer, ...metadata }))
  })
  const elsewhere = { ...identity, issuer, allowPrivateNetwork: true }
  const jwt = await signed({ iss: issuer })
  metadata.jwks_uri = `${inside}/keys`
  assert.deepEqual(await jwts.check(jwt, elsewhere), { kind: 'unavailable' })
  assert.deepEqual(world.asked, [])
  const told = { ...elsewhere, jwksUri: `${inside}/keys` }
  assert.equal((await jwts.check(jwt, told)).kind, 'valid', 'unless the identity itself says so')
})
