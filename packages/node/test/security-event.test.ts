/** Security events that a provider pushes: which are believed, and what they mean (RFC 8417, CAEP 1.0, RFC 9493). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CREDENTIAL_CHANGE,
  inShort,
  intakeWorld,
  SESSION_REVOKED,
  type Claims,
  type IntakeWorld,
} from './fixtures/event-issuer.ts'

const received = async ({ keep }: IntakeWorld, token: string): Promise<string> =>
  inShort(await keep.receiveSecurityEvent('external', token))
const alice = ({ issuer }: IntakeWorld): Claims => ({ format: 'iss_sub', iss: issuer.issuer, sub: 'alice' })
const opaque = (id: string): Claims => ({ format: 'opaque', id })
const about = (type: string, subject: unknown, event: Claims = {}): Claims => ({
  sub_id: subject,
  events: { [type]: event },
})
/** Whoever is asked about is asked before this resolves. */
async function asked({ issuer }: IntakeWorld, count: number): Promise<readonly string[]> {
  const deadline = Date.now() + 10_000
  while (issuer.introspected.length < count && Date.now() < deadline) await new Promise((then) => setTimeout(then, 10))
  return issuer.introspected
}

test('a session that was revoked is like a logout of it, in every way that a subject can name it', async (t) => {
  const tableOf = (
    user: Claims,
    session: Claims = { user, session: opaque('session-1') },
  ): readonly (readonly [name: string, claims: Claims, ends: string])[] => [
    ['complex', about(SESSION_REVOKED, { format: 'complex', ...session }), 'a'],
    ['complex, by what it has', about(SESSION_REVOKED, session), 'a'],
    ['the session alone', about(SESSION_REVOKED, { format: 'complex', session: opaque('session-1') }), 'a'],
    ['an opaque id of a session', about(SESSION_REVOKED, opaque('session-1')), 'a'],
    ['an opaque id of a user', about(SESSION_REVOKED, opaque('alice')), 'a b'],
    ['iss_sub: all sessions of the user', about(SESSION_REVOKED, user), 'a b'],
    ['a user alone, in a complex one', about(SESSION_REVOKED, { format: 'complex', user }), 'a b'],
    ['inside the event, as drafts had it', { events: { [SESSION_REVOKED]: { subject: user } } }, 'a b'],
    [
      'spelled as in drafts',
      { events: { [SESSION_REVOKED]: { subject: { ...user, format: undefined, subject_type: 'iss-sub' } } } },
      'a b',
    ],
  ]
  for (const index of tableOf({}).keys()) {
    const world = await intakeWorld(t)
    const [name, claims, ends] = tableOf(alice(world))[index] ?? assert.fail()
    await world.import('a')
    await world.import('b', { sessionId: 'session-2' })
    await world.import('c', { subject: 'bob', sessionId: 'session-3' })
    assert.equal(await received(world, await world.issuer.securityEvent(claims)), `accepted ${ends}`, name)
    assert.ok(await world.handedOut('c'), name)
  }
})

test('what it cannot be told whether it means a sign-in is asked about, and nothing is signed out', async (t) => {
  const world = await intakeWorld(t)
  const user = alice(world)
  await world.import('a')
  await world.import('b', { sessionId: 'session-2' })
  const narrower = { format: 'complex', user, device: opaque('phone') }
  assert.equal(
    await received(world, await world.issuer.securityEvent(about(SESSION_REVOKED, narrower))),
    'accepted verify a verify b',
  )
  assert.deepEqual((await asked(world, 2)).toSorted(), ['at of a', 'at of b'])
  assert.ok(await world.handedOut('a'))
})

test('after a changed credential the provider is asked, and what is inactive is not handed out any more', async (t) => {
  const world = await intakeWorld(t)
  await world.import('a')
  await world.import('offline', { sessionId: 'session-2', scope: 'openid offline_access' })
  await world.import('bob', { subject: 'bob' })
  const event = about(CREDENTIAL_CHANGE, alice(world), { credential_type: 'password', change_type: 'update' })
  assert.equal(await received(world, await world.issuer.securityEvent(event)), 'accepted verify a verify offline')
  assert.deepEqual((await asked(world, 2)).toSorted(), ['at of a', 'at of offline'])
  assert.ok(await world.handedOut('a'), 'an active one is handed out as before')
  world.issuer.active = false
  await world.keep.receiveSecurityEvent('external', await world.issuer.securityEvent(event))
  await asked(world, 4)
  await world.keep.introspect('bob')
  assert.deepEqual([await world.handedOut('a'), await world.handedOut('offline')], [false, false])
})

test('offline access outlives a revoked session, and a sign-in outlives what happened before it', async (t) => {
  const world = await intakeWorld(t)
  const happened = world.clocks.clock.now().wall
  world.clocks.forward(60_000)
  await world.import('a')
  await world.import('offline', { scope: 'openid offline_access' })
  world.clocks.forward(60_000)
  const late = { event_timestamp: Math.floor(happened / 1000) }
  for (const claims of [
    about(SESSION_REVOKED, alice(world), late),
    about(SESSION_REVOKED, alice(world), { event_timestamp: happened }),
    { ...about(SESSION_REVOKED, alice(world)), toe: Math.floor(happened / 1000) },
    about(CREDENTIAL_CHANGE, alice(world), late),
  ])
    assert.equal(await received(world, await world.issuer.securityEvent(claims)), 'accepted', JSON.stringify(claims))
  const toCome = about(SESSION_REVOKED, alice(world), { event_timestamp: Math.floor(happened / 1000) + 86_400 })
  const early = await world.issuer.securityEvent(toCome)
  world.clocks.forward(60_000)
  await world.import('b')
  assert.equal(await received(world, early), 'accepted a', 'never later than its iat')
})

test('subjects of others, in ways that are not known here, and other events end nothing', async (t) => {
  const world = await intakeWorld(t)
  await world.import('a')
  const elsewhere = { format: 'iss_sub', iss: 'https://elsewhere.example', sub: 'alice' }
  for (const claims of [
    about(SESSION_REVOKED, elsewhere),
    about(SESSION_REVOKED, { format: 'complex', user: elsewhere }),
    about(SESSION_REVOKED, { format: 'email', email: 'alice@example.org' }),
    about(SESSION_REVOKED, { format: 'iss_sub', iss: world.issuer.issuer, sub: 7 }),
    about(SESSION_REVOKED, opaque('')),
    about(SESSION_REVOKED, opaque('x'.repeat(201))),
    about(SESSION_REVOKED, opaque('session-1\0')),
    about(SESSION_REVOKED, {}),
    about(CREDENTIAL_CHANGE, elsewhere),
    about('https://schemas.openid.net/secevent/ssf/event-type/verification', opaque('stream')),
    { sub: 'alice', ...about('https://schemas.openid.net/secevent/risc/event-type/account-enabled', alice(world)) },
  ])
    assert.equal(await received(world, await world.issuer.securityEvent(claims)), 'accepted', JSON.stringify(claims))
  assert.ok(await world.handedOut('a'))
})

test('what is no security event for us is refused', async (t) => {
  const world = await intakeWorld(t)
  await world.import('a')
  const good = about(SESSION_REVOKED, alice(world))
  const sign = (claims: Claims, header?: Claims) => world.issuer.securityEvent({ ...good, ...claims }, header)
  const table: readonly (readonly [name: string, token: string, because: string])[] = [
    ['typ JWT', await sign({}, { typ: 'JWT' }), 'type'],
    ['without typ', await sign({}, { typ: undefined }), 'type'],
    ['a logout token', await world.issuer.logoutToken(), 'type'],
    ['of another issuer', await sign({ iss: 'https://elsewhere.example' }), 'issuer'],
    ['for another receiver', await sign({ aud: 'https://receiver.example' }), 'audience'],
    ['without aud', await sign({ aud: undefined }), 'audience'],
    ['without events', await sign({ events: undefined }), 'claims'],
    ['with no event', await sign({ events: {} }), 'claims'],
    ['whose event is no object', await sign({ events: { [SESSION_REVOKED]: [] } }), 'claims'],
    ['without a subject', await sign({ sub_id: undefined }), 'claims'],
    ['whose subject is a text', await sign({ sub_id: 'alice' }), 'claims'],
    ['without jti', await sign({ jti: undefined }), 'claims'],
    ['old', await sign({ iat: Math.floor(Date.now() / 1000) - 86_500 }), 'too_old'],
    ['of a moment to come', await sign({ iat: Math.floor(Date.now() / 1000) + 3600 }), 'not_yet'],
  ]
  for (const [name, token, because] of table) assert.equal(await received(world, token), because, name)
  assert.ok(await world.handedOut('a'))
})

test('a stream with a name of its own is for all clients, and only under that name', async (t) => {
  const audience = 'https://tokens.example.org/events'
  const world = await intakeWorld(t, { provider: { eventAudience: audience } })
  await world.keep.clients.put({ id: 'other', provider: 'external', clientId: 'other', clientSecret: 's' })
  await world.import('a')
  await world.import('b', { client: 'other' })
  const claims = about(SESSION_REVOKED, opaque('session-1'))
  assert.equal(await received(world, await world.issuer.securityEvent(claims)), 'audience')
  const named = { ...claims, aud: [audience, 'https://others.example'] }
  assert.equal(await received(world, await world.issuer.securityEvent(named)), 'accepted a b')
  assert.equal(
    inShort(await world.keep.receiveLogoutToken('external', await world.issuer.logoutToken({ aud: audience }))),
    'audience',
    'a logout token is for a client',
  )
})

test('an event is for the clients that it names', async (t) => {
  const world = await intakeWorld(t)
  await world.keep.clients.put({ id: 'other', provider: 'external', clientId: 'other', clientSecret: 's' })
  await world.import('a')
  await world.import('b', { client: 'other' })
  const claims = { ...about(SESSION_REVOKED, alice(world)), aud: ['other'] }
  assert.equal(await received(world, await world.issuer.securityEvent(claims)), 'accepted b')
  assert.ok(await world.handedOut('a'))
})
