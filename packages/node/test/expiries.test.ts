import assert from 'node:assert/strict'
import test from 'node:test'
import { httpServer } from './fixtures/servers.ts'
import { openWorld, type World } from './world.ts'

/** What the demo API says to the token that we hand out: the only judge of whether a token works. */
async function callApi(world: World, id: string): Promise<number> {
  const { accessToken, tokenType } = await world.keep.token(id)
  const response = await fetch(world.server.demoApi, { headers: { authorization: `${tokenType} ${accessToken}` } })
  await response.arrayBuffer()
  return response.status
}

test('200 expiries one after another at a strict server lose no session', async () => {
  await using world = await openWorld({ realm: { accessTokenSeconds: 60, refreshTokenSeconds: 0 } })
  const { sessionId } = await world.connect('dealer-42')
  const statuses = new Map<number, number>()
  for (let expiry = 1; expiry <= 200; expiry += 1) {
    world.clocks.forward(61_000)
    const status = await callApi(world, 'dealer-42')
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
  }
  const counters = await world.server.control.counters('external', sessionId)
  assert.deepEqual([...statuses], [[200, 200]])
  assert.equal(counters.refreshes, 200)
  assert.equal(counters.secondPresentations, 0)
  assert.equal(counters.killed, false)
})

test('1,000 simultaneous calls on an expired token cause exactly one refresh, and none fails', async () => {
  await using world = await openWorld()
  const { sessionId } = await world.connect('dealer-42')
  world.clocks.forward(3_600_000)
  const answers = await Promise.allSettled(Array.from({ length: 1000 }, () => world.keep.token('dealer-42')))
  const tokens = new Set(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.accessToken : 'failed')))
  assert.equal(tokens.size, 1)
  assert.ok(!tokens.has('failed'))
  assert.equal((await world.server.control.counters('external', sessionId)).presentations, 1)
})

test('a narrower token is handed out beside the full one, and the full scope again afterwards', async () => {
  await using world = await openWorld()
  const { sessionId } = await world.connect('dealer-42')
  const full = await world.keep.token('dealer-42')
  const narrow = await world.keep.token('dealer-42', { scope: 'dealer-api' })
  assert.equal(narrow.scope, 'dealer-api')
  assert.notEqual(narrow.accessToken, full.accessToken)
  assert.equal((await world.keep.token('dealer-42', { scope: 'dealer-api' })).accessToken, narrow.accessToken)
  assert.equal((await world.keep.token('dealer-42')).accessToken, full.accessToken)
  world.clocks.forward(3_600_000)
  const again = await world.keep.token('dealer-42')
  assert.deepEqual(again.scope?.split(' ').sort(), ['dealer-api', 'offline_access', 'openid'])
  assert.equal((await world.server.control.counters('external', sessionId)).secondPresentations, 0)
})

test('asking for just the scope that was granted is asking for nothing narrower', async () => {
  await using world = await openWorld()
  await world.connect('dealer-42')
  const full = await world.keep.token('dealer-42')
  assert.equal(
    (await world.keep.token('dealer-42', { scope: 'dealer-api openid offline_access' })).accessToken,
    full.accessToken,
  )
})

test('a scope beyond the grant is refused to that caller alone', async () => {
  await using world = await openWorld()
  const { sessionId } = await world.connect('dealer-42')
  const before = await world.keep.token('dealer-42')
  await assert.rejects(world.keep.token('dealer-42', { scope: 'dealer-api admin' }), { code: 'scope_refused' })
  assert.equal((await world.keep.token('dealer-42')).accessToken, before.accessToken)
  world.clocks.forward(3_600_000)
  assert.equal(await callApi(world, 'dealer-42'), 200)
  assert.equal((await world.server.control.counters('external', sessionId)).killed, false)
})

test('a connection without refresh token works to the end of its access token and then needs its user', async () => {
  await using world = await openWorld()
  const session = await world.server.control.seedSession('external', { clientId: 'app', accessTokenSeconds: 60 })
  await world.keep.connections.import({
    id: 'short',
    client: 'app',
    accessToken: session.accessToken,
    expiresAt: world.clocks.clock.now().wall + 60_000,
  })
  assert.equal((await world.keep.token('short')).accessToken, session.accessToken)
  assert.equal((await world.keep.connections.get('short')).status, 'ready')
  world.clocks.forward(61_000)
  await assert.rejects(world.keep.token('short'), { code: 'needs_user', reason: 'no_refresh_token' })
  assert.equal((await world.keep.connections.get('short')).status, 'needs_user')
  assert.deepEqual(
    (await world.keep.connections.list({ status: 'needs_user' })).map(({ id }) => id),
    ['short'],
  )
})

test('client credentials are kept fresh for a machine, without a refresh token', async () => {
  await using world = await openWorld({ realm: { accessTokenSeconds: 60 } })
  await world.keep.connections.import({
    id: 'machine',
    client: 'app',
    grantType: 'client_credentials',
    scope: 'dealer-api',
  })
  const statuses: number[] = []
  for (let expiry = 1; expiry <= 5; expiry += 1) {
    statuses.push(await callApi(world, 'machine'))
    world.clocks.forward(61_000)
  }
  assert.deepEqual(statuses, [200, 200, 200, 200, 200])
  assert.equal((await world.keep.connections.get('machine')).hasRefreshToken, false)
})

test('an access token revoked upstream is noticed by a 401 report and replaced', async () => {
  await using world = await openWorld({ realm: { accessTokenFormat: 'opaque' } })
  const { sessionId } = await world.connect('dealer-42')
  const revoked = await world.keep.token('dealer-42')
  await world.server.control.revokeAccessToken(revoked.accessToken)
  assert.equal(await callApi(world, 'dealer-42'), 401)
  const report = await world.keep.rejected('dealer-42', revoked.accessToken)
  assert.equal(report.current, true)
  assert.equal(await callApi(world, 'dealer-42'), 200)
  const late = await world.keep.rejected('dealer-42', revoked.accessToken)
  assert.equal(late.current, false)
  assert.equal((await world.server.control.counters('external', sessionId)).refreshes, 1)
})

test('fetchFor replaces a token revoked upstream within the call', async () => {
  await using world = await openWorld({ realm: { accessTokenFormat: 'opaque' } })
  await world.connect('dealer-42')
  const call = world.keep.fetchFor('dealer-42')
  assert.equal((await call(world.server.demoApi)).status, 200)
  await world.server.control.revokeAccessToken((await world.keep.token('dealer-42')).accessToken)
  assert.equal((await call(world.server.demoApi)).status, 200)
})

test('introspection notices a revoked access token, and the next call has another one', async () => {
  await using world = await openWorld({ realm: { accessTokenFormat: 'opaque' } })
  await world.connect('dealer-42')
  const first = await world.keep.token('dealer-42')
  assert.equal(await world.keep.introspect('dealer-42'), 'active')
  await world.server.control.revokeAccessToken(first.accessToken)
  assert.equal(await world.keep.introspect('dealer-42'), 'inactive')
  assert.notEqual((await world.keep.token('dealer-42')).accessToken, first.accessToken)
})

test('an introspection that calls every token inactive costs one refresh, and is not asked any more', async (t) => {
  let asked = 0
  const silent = await httpServer(t, (_, response) => {
    asked += 1
    response.setHeader('content-type', 'application/json').end('{"active":false}')
  })
  await using world = await openWorld({ provider: { introspectionEndpoint: silent.href } })
  const { sessionId } = await world.connect('dealer-42')
  await world.keep.token('dealer-42')
  const said: string[] = []
  for (let question = 0; question < 5; question += 1) {
    said.push(await world.keep.introspect('dealer-42'))
    await world.keep.token('dealer-42')
    world.clocks.forward(11_000)
  }
  assert.deepEqual(said, ['inactive', 'unsupported', 'unsupported', 'unsupported', 'unsupported'])
  assert.equal(asked, 2)
  assert.equal((await world.server.control.counters('external', sessionId)).refreshes, 1)
})

test('deleting a connection revokes its refresh token upstream and erases it here', async () => {
  await using world = await openWorld()
  const { sessionId, refreshToken } = await world.connect('dealer-42')
  assert.deepEqual(await world.keep.connections.delete('dealer-42'), { revokedUpstream: true })
  assert.equal((await world.server.control.counters('external', sessionId)).killed, true)
  await assert.rejects(world.keep.token('dealer-42'), { code: 'unknown_connection' })
  await assert.rejects(world.keep.connections.get('dealer-42'), { code: 'unknown_connection' })
  assert.ok(refreshToken.length > 0)
})

test('a background refresh replaces a token ahead of its expiry, with nobody waiting', async () => {
  await using world = await openWorld({ realm: { accessTokenSeconds: 60 }, open: { background: true } })
  await world.connect('dealer-42')
  world.clocks.forward(25_000)
  const old = await world.keep.token('dealer-42')
  world.clocks.forward(20_000)
  const given = await world.keep.token('dealer-42')
  assert.equal(given.accessToken, old.accessToken, 'the old token lives and is handed out at once')
  while (!world.events.some((event) => event.type === 'refreshed'))
    await new Promise((resolve) => setTimeout(resolve, 20))
  const { accessToken } = await world.keep.token('dealer-42')
  assert.notEqual(accessToken, old.accessToken)
})

test('a refresh token that comes with client credentials is not kept: the next token needs none', async (t) => {
  await using world = await openWorld()
  let asked = 0
  const url = await httpServer(t, (_request, response) => {
    asked += 1
    response.end(JSON.stringify({ access_token: `at-${asked}`, refresh_token: `rt-${asked}`, expires_in: 300 }))
  })
  await world.keep.providers.put({ id: 'odd', tokenEndpoint: new URL('/token', url).href })
  await world.keep.clients.put({ id: 'machine', provider: 'odd', clientId: 'machine', clientSecret: 's' })
  await world.keep.connections.import({ id: 'machine', client: 'machine', grantType: 'client_credentials' })
  assert.equal((await world.keep.token('machine')).accessToken, 'at-1')
  world.clocks.forward(400_000)
  assert.equal((await world.keep.token('machine')).accessToken, 'at-2')
  const { hasRefreshToken, generation } = await world.keep.connections.get('machine')
  assert.deepEqual([hasRefreshToken, generation], [false, 1])
})
