import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { Clock, MonoMs, Now, Provider, UnixMs } from '@tokenkeep/core'
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { createSystemClock } from '../src/clock-system.ts'
import { createProviderAccess, type ProviderAccess } from '../src/provider-access.ts'
import { verifySignedToken, type Expected } from '../src/signed-token.ts'
import { providerOf } from './fixtures/provider.ts'
import { httpServer } from './fixtures/servers.ts'

type Pair = Awaited<ReturnType<typeof generateKeyPair>>

const LOGOUT: Expected = { type: 'logout+jwt', audience: ['app'], required: ['jti', 'iat'] }

/** A provider that publishes what `published` has, and the way to sign as it. */
async function signingProvider(t: TestContext) {
  const world = { published: ['one'], status: 200, asked: 0 }
  const pairs: Record<string, Pair> = { one: await generateKeyPair('ES256'), two: await generateKeyPair('ES256') }
  const origin = await httpServer(t, (_request, response) => {
    world.asked += 1
    const keys = world.published.map(async (kid) => ({ ...(await exportJWK((pairs[kid] as Pair).publicKey)), kid }))
    void Promise.all(keys).then((all) => response.writeHead(world.status).end(JSON.stringify({ keys: all })))
  })
  const provider = providerOf({ issuer: origin.origin, jwksUri: `${origin.origin}/keys` })
  const signed = (claims: Record<string, unknown>, how: { kid?: string; by?: string; typ?: string } = {}) =>
    new SignJWT({ iss: origin.origin, aud: 'app', jti: 'j1', iat: Math.floor(Date.now() / 1000), ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: how.kid ?? 'one', typ: how.typ ?? 'logout+jwt' })
      .sign((pairs[how.by ?? how.kid ?? 'one'] as Pair).privateKey)
  return { world, provider, signed }
}

function accessWith(shiftMs: () => number = () => 0): ProviderAccess {
  const system = createSystemClock()
  const now = (): Now => {
    const { wall, mono } = system.now()
    return { wall: (wall + shiftMs()) as UnixMs, mono: (mono + shiftMs()) as MonoMs }
  }
  const clock: Clock = { ...system, now }
  return createProviderAccess({ clock })
}

const verdict = async (access: ProviderAccess, provider: Provider, token: string): Promise<string> => {
  const verified = await verifySignedToken(access, provider, token, LOGOUT)
  return verified.kind === 'valid' ? 'valid' : verified.because
}

test('a token of the provider is valid, and its claims are told', async (t) => {
  const { provider, signed } = await signingProvider(t)
  const verified = await verifySignedToken(accessWith(), provider, await signed({ sid: 's1' }), LOGOUT)
  assert.equal(verified.kind === 'valid' && verified.claims['sid'], 's1')
})

test('what is forged, of somebody else, for somebody else, of another kind or of another time is not', async (t) => {
  const { provider, signed } = await signingProvider(t)
  const access = accessWith()
  const second = Math.floor(Date.now() / 1000)
  const good = await signed({})
  const [header = '', , signature = ''] = good.split('.')
  const claims = Buffer.from(JSON.stringify({ iss: provider.issuer, aud: 'app', jti: 'j1', iat: second, sid: 'x' }))
  const table: readonly (readonly [string, string])[] = [
    [await signed({}, { by: 'two' }), 'signature'],
    [`${header}.${claims.toString('base64url')}.${signature}`, 'signature'],
    [new UnsecuredJWT({ iss: provider.issuer ?? '', aud: 'app', jti: 'j1', iat: second }).encode(), 'algorithm'],
    [await symmetric(provider.issuer ?? ''), 'algorithm'],
    [await signed({ iss: 'https://elsewhere.example' }), 'issuer'],
    [await signed({ aud: 'other' }), 'audience'],
    [await signed({}, { typ: 'JWT' }), 'type'],
    [await signed({ exp: second - 120 }), 'expired'],
    [await signed({ nbf: second + 120 }), 'not_yet'],
    [await signed({ jti: undefined }), 'claims'],
    [await signed({}, { kid: 'two' }), 'key'],
    ['not a token', 'malformed'],
    ['', 'malformed'],
    [`${good}.`, 'malformed'],
    ['x'.repeat(70_000), 'malformed'],
  ]
  for (const [token, because] of table) assert.equal(await verdict(access, provider, token), because)
  assert.equal(await verdict(access, provider, good), 'valid')
})

/** Signed with the public key as if it were a shared secret, which libraries once believed. */
const symmetric = (issuer: string): Promise<string> =>
  new SignJWT({ iss: issuer, aud: 'app', jti: 'j1' })
    .setProtectedHeader({ alg: 'HS256', kid: 'one', typ: 'logout+jwt' })
    .setIssuedAt()
    .sign(new TextEncoder().encode('x'.repeat(32)))

test('a key that was published since is asked for, once in 30 s, however many tokens name keys that are not there', async (t) => {
  const { world, provider, signed } = await signingProvider(t)
  let shiftMs = 0
  const access = accessWith(() => shiftMs)
  assert.equal(await verdict(access, provider, await signed({})), 'valid')
  world.published = ['one', 'two']
  const by2 = await signed({}, { kid: 'two' })
  for (let n = 0; n < 5; n += 1) assert.equal(await verdict(access, provider, by2), 'key')
  assert.equal(world.asked, 1)
  shiftMs = 31_000
  assert.equal(await verdict(access, provider, by2), 'valid')
  assert.equal(world.asked, 2)
})

test('keys that are known serve on while the provider is away; without any, nothing is known', async (t) => {
  const { world, provider, signed } = await signingProvider(t)
  let shiftMs = 0
  const access = accessWith(() => shiftMs)
  world.status = 503
  assert.equal(await verdict(access, provider, await signed({})), 'unavailable')
  world.status = 200
  shiftMs = 31_000
  assert.equal(await verdict(access, provider, await signed({ iat: Math.floor(Date.now() / 1000) })), 'valid')
  world.status = 503
  shiftMs = 3_700_000
  assert.equal(await verdict(access, provider, await signed({})), 'valid')
  assert.equal(world.asked, 3)
})

test('a provider that publishes no keys, or has no issuer, cannot be believed', async (t) => {
  const { provider, signed } = await signingProvider(t)
  const token = await signed({})
  assert.equal(await verdict(accessWith(), { ...provider, issuer: null }, token), 'no_keys')
  const none = await httpServer(t, (_request, response) =>
    response.end(JSON.stringify({ issuer: none.origin, token_endpoint: `${none.origin}/token` })),
  )
  assert.equal(await verdict(accessWith(), providerOf({ issuer: none.origin }), token), 'no_keys')
})
