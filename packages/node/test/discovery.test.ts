import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { ms, type Clock, type MonoMs, type Now, type Provider, type Revision, type UnixMs } from '@tokenkeep/core'
import { createSystemClock } from '../src/clock-system.ts'
import { createDial } from '../src/dial.ts'
import { createEndpointDiscovery, type EndpointDiscovery } from '../src/endpoint-discovery.ts'
import { createExchange } from '../src/single-exchange.ts'
import { createProviderAccess } from '../src/provider-access.ts'
import { createTokenEndpoint } from '../src/token-endpoint-oauth4webapi.ts'
import { REFRESHING, clientOf, providerOf } from './fixtures/provider.ts'
import { httpServer } from './fixtures/servers.ts'

const WITHIN = ms(5000)
const OIDC = '/realms/external/.well-known/openid-configuration'
const RFC_8414 = '/.well-known/oauth-authorization-server/realms/external'

/** The system's clock, a span of our choice ahead. */
function shiftedClock(): { readonly clock: Clock; shiftMs: number } {
  const system = createSystemClock()
  const shifted = {
    shiftMs: 0,
    clock: {
      ...system,
      now: (): Now => {
        const { wall, mono } = system.now()
        return { wall: (wall + shifted.shiftMs) as UnixMs, mono: (mono + shifted.shiftMs) as MonoMs }
      },
    },
  }
  return shifted
}

function discoveryOf(clock: Clock = createSystemClock()): EndpointDiscovery {
  const exchange = createExchange(createDial({ clock }), clock)
  return createEndpointDiscovery({ clock, exchange, headers: { Accept: 'application/json' } })
}

/** An issuer whose metadata lies at the given paths; `changes` may be changed while it runs. */
async function issuer(t: TestContext, paths: readonly string[], changes: Record<string, unknown> = {}) {
  const asked: string[] = []
  const served = { paths, status: 200 }
  const origin = await httpServer(t, (request, response) => {
    asked.push(request.url ?? '')
    if (!served.paths.includes(request.url ?? '')) return response.writeHead(404).end('not here')
    return response.writeHead(served.status, { 'Content-Type': 'application/json' }).end(
      JSON.stringify({
        issuer: `${origin.origin}/realms/external`,
        token_endpoint: `${origin.origin}/token`,
        revocation_endpoint: `${origin.origin}/revoke`,
        ...changes,
      }),
    )
  })
  const provider = (more: Partial<Provider> = {}): Provider =>
    providerOf({ issuer: `${origin.origin}/realms/external`, ...more })
  return { origin, asked, served, provider }
}

test('finds endpoints at the place of OpenID Connect', async (t) => {
  const { origin, asked, provider } = await issuer(t, [OIDC])
  const discovery = discoveryOf()
  assert.equal(String(await discovery.find(provider(), 'tokenEndpoint', WITHIN)), `${origin.origin}/token`)
  assert.equal(String(await discovery.find(provider(), 'revocationEndpoint', WITHIN)), `${origin.origin}/revoke`)
  assert.equal(await discovery.find(provider(), 'introspectionEndpoint', WITHIN), 'none')
  assert.deepEqual(asked, [OIDC])
})

test('finds endpoints at the place of RFC 8414, inserted before the path, after that of OpenID Connect', async (t) => {
  const { origin, asked, provider } = await issuer(t, [RFC_8414])
  assert.equal(String(await discoveryOf().find(provider(), 'tokenEndpoint', WITHIN)), `${origin.origin}/token`)
  assert.deepEqual(asked, [OIDC, RFC_8414])
})

test('an explicit endpoint wins, and nothing is asked for it', async (t) => {
  const { asked, provider } = await issuer(t, [OIDC])
  const explicit = provider({ tokenEndpoint: 'https://id.example.org/own-token' })
  assert.equal(String(await discoveryOf().find(explicit, 'tokenEndpoint', WITHIN)), 'https://id.example.org/own-token')
  assert.deepEqual(asked, [])
})

test('without an issuer there is nothing to discover', async () => {
  const provider = providerOf({ tokenEndpoint: 'https://id.example.org/token' })
  assert.equal(await discoveryOf().find(provider, 'revocationEndpoint', WITHIN), 'none')
})

const REFUSED = [
  ['of another issuer', { issuer: 'https://evil.example.org' }],
  ['without an issuer', { issuer: undefined }],
  ['without a token endpoint', { token_endpoint: undefined }],
  ['whose token endpoint is plain http', { token_endpoint: 'http://id.example.org/token' }],
  ['whose token endpoint is private', { token_endpoint: 'https://10.0.0.1/token' }],
  ['whose token endpoint is a metadata service', { token_endpoint: 'https://169.254.169.254/latest' }],
  ['whose token endpoint is no URL', { token_endpoint: 'token' }],
  ['that is endless', { filler: 'a'.repeat(100_000) }],
] as const
for (const [what, changes] of REFUSED) {
  test(`metadata ${what} is refused`, async (t) => {
    const { provider } = await issuer(t, [OIDC, RFC_8414], changes)
    assert.equal(await discoveryOf().find(provider(), 'tokenEndpoint', WITHIN), 'failed')
  })
}

test('metadata may name endpoints of another origin, and private ones where that is allowed', async (t) => {
  const changes = { token_endpoint: 'https://10.0.0.1/token' }
  const { provider } = await issuer(t, [OIDC], changes)
  const allowed = provider({ allowPrivateNetwork: true })
  assert.equal(String(await discoveryOf().find(allowed, 'tokenEndpoint', WITHIN)), 'https://10.0.0.1/token')
})

test('one refused endpoint does not take the others with it', async (t) => {
  const { provider } = await issuer(t, [OIDC], { introspection_endpoint: 'https://10.0.0.1/introspect' })
  const discovery = discoveryOf()
  assert.ok((await discovery.find(provider(), 'tokenEndpoint', WITHIN)) instanceof URL)
  assert.equal(await discovery.find(provider(), 'introspectionEndpoint', WITHIN), 'failed')
})

test('metadata is kept for one hour', async (t) => {
  const shifted = shiftedClock()
  const { asked, provider } = await issuer(t, [OIDC])
  const discovery = discoveryOf(shifted.clock)
  await discovery.find(provider(), 'tokenEndpoint', WITHIN)
  shifted.shiftMs = 3_599_000
  await discovery.find(provider(), 'tokenEndpoint', WITHIN)
  assert.equal(asked.length, 1)
  shifted.shiftMs = 3_600_000
  await discovery.find(provider(), 'tokenEndpoint', WITHIN)
  assert.equal(asked.length, 2)
})

test('a changed provider is discovered anew', async (t) => {
  const { asked, provider } = await issuer(t, [OIDC])
  const discovery = discoveryOf()
  await discovery.find(provider(), 'tokenEndpoint', WITHIN)
  await discovery.find(provider({ revision: 2 as Revision }), 'tokenEndpoint', WITHIN)
  assert.equal(asked.length, 2)
})

test('a failure is not kept', async (t) => {
  const { served, provider } = await issuer(t, [OIDC])
  served.status = 503
  const discovery = discoveryOf()
  assert.equal(await discovery.find(provider(), 'tokenEndpoint', WITHIN), 'failed')
  served.status = 200
  assert.ok((await discovery.find(provider(), 'tokenEndpoint', WITHIN)) instanceof URL)
})

test('many who ask at once share one request', async (t) => {
  const { asked, provider } = await issuer(t, [OIDC])
  const discovery = discoveryOf()
  const found = await Promise.all(Array.from({ length: 50 }, () => discovery.find(provider(), 'tokenEndpoint', WITHIN)))
  assert.ok(found.every((url) => url instanceof URL))
  assert.equal(asked.length, 1)
})

test('a caller whose time is up goes, and the discovery serves the next one', async (t) => {
  const held: (() => void)[] = []
  const arrived = Promise.withResolvers<undefined>()
  const origin = await httpServer(t, (_request, response) => {
    const body = { issuer: `${origin.origin}/`, token_endpoint: `${origin.origin}/token` }
    held.push(() => response.end(JSON.stringify(body)))
    arrived.resolve(undefined)
  })
  const discovery = discoveryOf()
  const provider = providerOf({ issuer: `${origin.origin}/` })
  assert.equal(await discovery.find(provider, 'tokenEndpoint', ms(100)), 'failed')
  const patient = discovery.find(provider, 'tokenEndpoint', WITHIN)
  await arrived.promise
  for (const answer of held) answer()
  assert.equal(String(await patient), `${origin.origin}/token`)
  assert.equal(held.length, 1)
})

test('a failed discovery means that nothing was sent', async (t) => {
  const { provider } = await issuer(t, [])
  const endpoint = createTokenEndpoint(createProviderAccess({ clock: createSystemClock() }))
  const line = await endpoint.connect(provider(), clientOf(), REFRESHING, WITHIN)
  assert.deepEqual(line, { kind: 'not_sent', because: 'discovery' })
})

test('a discovered endpoint is connected to', async (t) => {
  const { provider } = await issuer(t, [OIDC])
  const endpoint = createTokenEndpoint(createProviderAccess({ clock: createSystemClock() }))
  const line = await endpoint.connect(provider(), clientOf(), REFRESHING, WITHIN)
  assert.ok(!('kind' in line))
  line.close()
})
