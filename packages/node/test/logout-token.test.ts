/** Logout tokens: which are believed, and which sign-ins they end (OpenID Connect Back-Channel Logout 1.0). */
import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { freshUrl, lacksPostgres } from './contract/postgres-backend.ts'
import { inShort, intakeWorld, LOGOUT, nextJti, type Claims, type IntakeWorld } from './fixtures/event-issuer.ts'

const received = async ({ keep }: IntakeWorld, token: string, provider = 'external'): Promise<string> =>
  inShort(await keep.receiveLogoutToken(provider, token))
const seconds = ({ clocks }: IntakeWorld): number => Math.floor(clocks.clock.now().wall / 1000)

test('a logout token stops the hand-outs of its session, and of no other', async (t) => {
  const world = await intakeWorld(t)
  await world.import('a')
  await world.import('b', { sessionId: 'session-2' })
  assert.ok(await world.handedOut('a'))
  assert.equal(await received(world, await world.issuer.logoutToken()), 'accepted a')
  assert.deepEqual([await world.handedOut('a'), await world.handedOut('b')], [false, true])
  assert.deepEqual(
    world.events.filter(({ type }) => type === 'signed_out').map((event) => 'connection' in event && event.connection),
    ['a'],
  )
})

test('without a session all of the subject are meant, at this provider and for this client', async (t) => {
  const world = await intakeWorld(t)
  const { keep, issuer } = world
  await keep.clients.put({ id: 'other', provider: 'external', clientId: 'other', clientSecret: 's' })
  await keep.providers.put({ id: 'twin', issuer: issuer.issuer, tokenEndpoint: `${issuer.issuer}/token` })
  await keep.clients.put({ id: 'twin', provider: 'twin', clientId: 'app', clientSecret: 's' })
  await world.import('a')
  await world.import('b', { sessionId: 'session-2' })
  await world.import('bob', { subject: 'bob', sessionId: 'session-3' })
  await world.import('other-client', { client: 'other', sessionId: 'session-4' })
  await world.import('other-provider', { client: 'twin' })
  assert.equal(await received(world, await issuer.logoutToken({ sid: undefined })), 'accepted a b')
  assert.ok(await world.handedOut('other-provider'))
})

test('a session that two providers have is ended at the one that says so', async (t) => {
  const world = await intakeWorld(t)
  const { keep } = world
  await keep.providers.put({
    id: 'second',
    issuer: 'https://second.example',
    tokenEndpoint: 'https://second.example/t',
  })
  await keep.clients.put({ id: 'second', provider: 'second', clientId: 'app', clientSecret: 's' })
  await world.import('a')
  await world.import('b', { client: 'second' })
  const checked = { sessionId: 'session-1', issuedAt: world.clocks.clock.now().wall + 1_000 }
  assert.deepEqual(await keep.connections.logout({ provider: 'nobody', ...checked }), { signedOut: [] })
  assert.equal(await received(world, await world.issuer.logoutToken()), 'accepted a')
  assert.ok(await world.handedOut('b'))
})

test('what is not of the provider, not for us, not of now or no logout token is refused, and ends nothing', async (t) => {
  const world = await intakeWorld(t)
  const { issuer } = world
  await world.import('a')
  const now = seconds(world)
  const token = (claims: Claims, header?: Claims) => issuer.logoutToken(claims, header)
  const claims = {
    iss: issuer.issuer,
    aud: 'app',
    iat: now,
    jti: nextJti(),
    sid: 'session-1',
    events: { [LOGOUT]: {} },
  }
  const stranger = await generateKeyPair('ES256')
  const good = await token({})
  const [header = '', payload = '', signature = ''] = good.split('.')
  const publicKey = new TextEncoder().encode(await exportSPKI(issuer.pair.publicKey))
  const table: Readonly<Record<string, readonly [token: string, because: string]>> = {
    'signed by a stranger': [
      await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign(stranger.privateKey),
      'not_authentic',
    ],
    'changed on its way': [
      `${header}.${Buffer.from(JSON.stringify({ ...claims, sub: 'x' })).toString('base64url')}.${signature}`,
      'not_authentic',
    ],
    'alg none': [new UnsecuredJWT(claims).encode(), 'malformed'],
    'alg none, with a signature': [`${new UnsecuredJWT(claims).encode()}AAAA`, 'not_authentic'],
    'signed with the public key as a secret': [
      await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: 'one' }).sign(publicKey),
      'not_authentic',
    ],
    'of another issuer': [await token({ iss: 'https://elsewhere.example' }), 'issuer'],
    'for another client': [await token({ aud: 'someone-else' }), 'audience'],
    'for nobody': [await token({ aud: [] }), 'audience'],
    expired: [await token({ exp: now - 120 }), 'expired'],
    'of a moment to come': [await token({ iat: now + 3600 }), 'not_yet'],
    'not valid yet': [await token({ nbf: now + 3600 }), 'not_yet'],
    'older than a day': [await token({ iat: now - 86_401, exp: now + 60 }), 'too_old'],
    'with a nonce': [await token({ nonce: 'n' }), 'claims'],
    'with a nonce that is null': [await token({ nonce: null }), 'claims'],
    'without its event': [await token({ events: { other: {} } }), 'claims'],
    'whose event is no object': [await token({ events: { [LOGOUT]: true } }), 'claims'],
    'without events': [await token({ events: undefined }), 'claims'],
    'whose events are a list': [await token({ events: [LOGOUT] }), 'claims'],
    'without jti': [await token({ jti: undefined }), 'claims'],
    'with an empty jti': [await token({ jti: '' }), 'claims'],
    'without iat': [await token({ iat: undefined }), 'claims'],
    'naming nobody': [await token({ sid: undefined, sub: undefined }), 'claims'],
    'naming nobody, in empty words': [await token({ sid: '', sub: '' }), 'claims'],
    'whose sid is a number': [await token({ sid: 1 }), 'claims'],
    'of another kind': [await token({}, { typ: 'secevent+jwt' }), 'type'],
    'an access token by its typ': [await token({}, { typ: 'at+jwt' }), 'type'],
    'no token': ['not a token', 'malformed'],
    empty: ['', 'malformed'],
    'too long': [`${header}.${'A'.repeat(70_000)}.${signature}`, 'malformed'],
    'with a header that is none': [`AAAA.${payload}.${signature}`, 'malformed'],
  }
  for (const [name, [given, because]] of Object.entries(table))
    assert.equal(await received(world, given), because, name)
  assert.ok(await world.handedOut('a'))
  assert.equal(await received(world, good), 'accepted a', 'the one that all others were made from')
})

test('a provider that is not there, or has no keys, answers as one that did not sign', async (t) => {
  const world = await intakeWorld(t)
  await world.keep.providers.put({ id: 'keyless', tokenEndpoint: 'https://keyless.example/token' })
  const good = await world.issuer.logoutToken()
  for (const provider of ['nobody', 'keyless', '', '../x', '\0', 'x'.repeat(500)]) {
    assert.equal(await received(world, good, provider), 'not_authentic', provider)
    assert.equal(await received(world, 'garbage', provider), 'malformed', provider)
  }
})

test('the typ that servers in use send is taken: the standard one, JWT, and none', async (t) => {
  const world = await intakeWorld(t)
  for (const typ of ['logout+jwt', 'Logout+JWT', 'application/logout+jwt', 'JWT', undefined])
    assert.equal(await received(world, await world.issuer.logoutToken({}, { typ })), 'accepted', String(typ))
})

test('a token without exp is taken for a day', async (t) => {
  const world = await intakeWorld(t)
  assert.equal(await received(world, await world.issuer.logoutToken({ exp: undefined })), 'accepted')
})

test('a logout before this sign-in means another one', async (t) => {
  const world = await intakeWorld(t)
  const before = await world.issuer.logoutToken()
  const beforeOfAll = await world.issuer.logoutToken({ sid: undefined })
  world.clocks.forward(5_000)
  await world.import('a')
  assert.equal(await received(world, before), 'accepted')
  assert.equal(await received(world, beforeOfAll), 'accepted')
  assert.ok(await world.handedOut('a'))
  assert.equal(await received(world, await world.issuer.logoutToken()), 'accepted a')
})

test('offline access ends only with the claim that revokes it', async (t) => {
  const world = await intakeWorld(t)
  await world.import('a', { scope: 'openid offline_access' })
  assert.equal(await received(world, await world.issuer.logoutToken()), 'accepted')
  assert.equal(await received(world, await world.issuer.logoutToken({ sid: undefined })), 'accepted')
  assert.ok(await world.handedOut('a'))
  const events = { [LOGOUT]: {}, revoke_offline_access: true }
  assert.equal(await received(world, await world.issuer.logoutToken({ events })), 'accepted a')
})

test('a token that comes again is known, also to another process, and does nothing', async (t) => {
  const world = await intakeWorld(t)
  await world.import('a')
  const token = await world.issuer.logoutToken()
  assert.equal(await received(world, token), 'accepted a')
  const other = await world.reopen()
  for (const keep of [world.keep, other])
    assert.equal(inShort(await keep.receiveLogoutToken('external', token)), 'known')
  assert.equal(world.events.filter(({ type }) => type === 'signed_out').length, 1)
  world.clocks.forward(200_000)
  assert.equal(await received(world, token), 'expired')
})

test('of one token at two hosts on Postgres, at once, the sign-in ends once, and each knows it afterwards', async (t) => {
  if (lacksPostgres(t)) return
  const world = await intakeWorld(t, { open: { path: undefined, postgres: await freshUrl() } })
  const other = await world.reopen()
  for (const n of [1, 2, 3]) {
    await world.import(`a${n}`, { sessionId: `s${n}` })
    const token = await world.issuer.logoutToken({ sid: `s${n}` })
    const both = [world.keep, other].map((keep) => keep.receiveLogoutToken('external', token))
    for (const each of await Promise.all(both)) assert.ok(each.kind === 'accepted' || each.kind === 'known', each.kind)
    for (const keep of [world.keep, other])
      assert.equal(inShort(await keep.receiveLogoutToken('external', token)), 'known')
    assert.equal(await world.handedOut(`a${n}`), false)
  }
  assert.equal(world.events.filter(({ type }) => type === 'signed_out').length, 3)
})

test('what is remembered is forgotten when it would be refused for its age', async (t) => {
  const world = await intakeWorld(t)
  for (let n = 0; n < 15; n += 1) await received(world, await world.issuer.logoutToken())
  assert.equal(remembered(world), 15)
  world.clocks.forward(200_000)
  for (let n = 0; n < 2; n += 1) await received(world, await world.issuer.logoutToken())
  assert.equal(remembered(world), 2)
})

test('while the keys cannot be had nothing is decided, and the same token is taken later', async (t) => {
  const world = await intakeWorld(t)
  await world.import('a')
  const token = await world.issuer.logoutToken()
  world.issuer.status = 503
  assert.equal(await received(world, token), 'unavailable')
  assert.ok(await world.handedOut('a'))
  world.issuer.status = 200
  world.clocks.forward(31_000)
  assert.equal(await received(world, token), 'accepted a')
})

function remembered({ path }: IntakeWorld): number {
  const sql = new DatabaseSync(path, { readOnly: true })
  try {
    return Number(sql.prepare('SELECT count(*) AS n FROM received_event').get()?.['n'])
  } finally {
    sql.close()
  }
}
