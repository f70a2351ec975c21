import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import { startDevserver, type Devserver, type FaultOrder } from '@tokenkeep/devserver'
import { TokenError } from '@tokenkeep/core'
import type { DeviceSignInInput } from '../src/device-sign-in-input.ts'
import type { DeviceFinished, DeviceSignIn } from '../src/device-sign-ins.ts'
import { ringingClocks, type RingingClocks } from './fixtures/ringing-clocks.ts'
import { openWorld, type World, type WorldOptions } from './world.ts'

const GRANT = 'urn:ietf:params:oauth:grant-type:device_code'
const INTERVAL_MS = 5000

interface DeviceWorld extends World {
  readonly clocks: RingingClocks
  begin(input?: Partial<DeviceSignInInput>): Promise<DeviceSignIn>
  /** The next questions meet it. */
  fault(order: Pick<FaultOrder, 'fault'> & Partial<FaultOrder>): Promise<unknown>
  /** How many questions there were. */
  asked(): Promise<number>
}

/** The provider looks at no interval of its own: what is waited is seen on the clock. */
async function world(t: TestContext, options: WorldOptions = {}): Promise<DeviceWorld> {
  const clocks = ringingClocks()
  const opened = await openWorld({ clocks, ...options, realm: { devicePollSeconds: 0, ...options.realm } })
  t.after(() => opened[Symbol.asyncDispose]())
  const { control } = opened.server
  return Object.assign(Object.create(opened) as World, {
    clocks,
    begin: (input: Partial<DeviceSignInInput> = {}) =>
      opened.keep.deviceSignIns.begin({ client: 'app', connection: 'tv', scope: 'openid dealer-api', ...input }),
    fault: (order: Pick<FaultOrder, 'fault'> & Partial<FaultOrder>) =>
      control.addFault({ when: 'before', times: 1, grantType: GRANT, ...order }),
    asked: async () => (await control.requests()).filter(({ grantType }) => grantType === GRANT).length,
  })
}

const error = (word: string, status = 400, more: object = {}): Pick<FaultOrder, 'fault'> => ({
  fault: { kind: 'status', status, body: JSON.stringify({ error: word, ...more }) },
})

const told = (finished: DeviceFinished): string => (finished.kind === 'failed' ? finished.because : finished.kind)

const code = async (act: () => Promise<unknown>): Promise<string> => {
  try {
    await act()
    return 'done'
  } catch (error) {
    return error instanceof TokenError ? error.code : String(error)
  }
}

/** A person says yes, and the next question hears it. */
async function signedInAs(
  opened: DeviceWorld,
  subject: string,
  input: Partial<DeviceSignInInput> = {},
): Promise<DeviceFinished> {
  const signIn = await opened.begin(input)
  const finished = signIn.finished()
  await opened.server.control.approveDevice('external', signIn.userCode, { subject })
  await opened.clocks.pass(INTERVAL_MS)
  return finished
}

/** A question is on its way: what is waited for now is its answer. */
async function questionOut({ clocks }: DeviceWorld): Promise<void> {
  const until = performance.now() + 10_000
  while (clocks.waits().length === 0 || clocks.waits().includes(INTERVAL_MS)) {
    assert.ok(performance.now() < until, clocks.waits().join(', '))
    await sleep(5)
  }
}

test('a person says yes on another device, and the connection hands out and refreshes', async (t) => {
  const opened = await world(t)
  const { keep, server, clocks } = opened
  const signIn = await opened.begin({ labels: { team: 'sales' } })
  const page = `${server.issuer('external')}/device`
  assert.match(signIn.userCode, /^[B-Z]{4}-[B-Z]{4}$/)
  assert.deepEqual(
    [signIn.provider, signIn.client, signIn.connection, signIn.verificationUri, signIn.intervalMs],
    ['external', 'app', 'tv', page, INTERVAL_MS],
  )
  assert.equal(signIn.verificationUriComplete, `${page}?user_code=${signIn.userCode}`)
  const lifeMs = signIn.expiresAt - clocks.clock.now().wall
  assert.ok(lifeMs > 590_000 && lifeMs <= 600_000, String(lifeMs))

  const finished = signIn.finished()
  await clocks.pass(INTERVAL_MS)
  await clocks.pass(INTERVAL_MS)
  await clocks.waited(INTERVAL_MS)
  assert.equal(await code(() => keep.connections.get('tv')), 'unknown_connection')
  await server.control.approveDevice('external', signIn.userCode, { subject: 'ada' })
  await clocks.pass(INTERVAL_MS)
  assert.deepEqual(await finished, {
    kind: 'connected',
    connection: 'tv',
    renewed: false,
    scope: 'dealer-api openid',
    account: 'ada',
  })
  assert.equal(await opened.asked(), 3)
  // Asked again, it is the same waiting, and nothing is asked of the provider.
  assert.equal((await signIn.finished()).kind, 'connected')
  assert.equal(await opened.asked(), 3)
  const info = await keep.connections.get('tv')
  assert.deepEqual(
    [info.status, info.client, info.subject, info.scope, info.labels, info.hasRefreshToken],
    ['ready', 'app', 'ada', 'dealer-api openid', { team: 'sales' }, true],
  )
  const offers = await keep.fetchFor('tv')(server.demoApi)
  assert.equal(((await offers.json()) as { subject: string }).subject, 'ada')
  clocks.forward(3_600_000)
  assert.ok((await keep.token('tv')).accessToken)
})

test('slow_down adds five seconds for good, and more where the provider asks for more', async (t) => {
  const opened = await world(t)
  const { clocks } = opened
  const signIn = await opened.begin()
  const finished = signIn.finished()
  await opened.fault(error('slow_down'))
  await clocks.pass(5000)
  await clocks.pass(10_000) // answered by authorization_pending, which takes nothing back
  await clocks.waited(10_000)
  await opened.fault(error('slow_down'))
  await clocks.pass(10_000)
  await clocks.waited(15_000)
  await opened.fault(error('slow_down', 200, { interval: 30 }))
  await clocks.pass(15_000)
  await clocks.waited(30_000)
  await opened.server.control.approveDevice('external', signIn.userCode, { subject: 'ada' })
  await clocks.pass(30_000)
  assert.equal(told(await finished), 'connected')
})

test('a provider that counts is never asked too soon', async (t) => {
  const opened = await world(t, { realm: { devicePollSeconds: 1 } })
  const signIn = await opened.begin()
  assert.equal(signIn.intervalMs, 1000)
  const finished = signIn.finished()
  // In real time, with nobody to help.
  const until = performance.now() + 20_000
  while ((await opened.asked()) < 2 && performance.now() < until) await sleep(50)
  await opened.server.control.approveDevice('external', signIn.userCode, { subject: 'ada' })
  assert.equal(told(await finished), 'connected')
  const answers = (await opened.server.control.requests()).filter(({ grantType }) => grantType === GRANT)
  const apart = answers.slice(1).map(({ at }, n) => at - (answers[n]?.at ?? 0))
  assert.ok(apart.length >= 2 && apart.every((ms) => ms >= 1000), apart.join(' '))
})

test('a question that gets no answer is followed more rarely, and the person`s yes is heard when the provider is back', async (t) => {
  const opened = await world(t)
  const { clocks } = opened
  const signIn = await opened.begin()
  const finished = signIn.finished()
  // Each meets the next question, in this order.
  await opened.fault({ fault: { kind: 'drop' } })
  await opened.fault({ fault: { kind: 'html' } })
  await opened.fault({ fault: { kind: 'status', status: 503, headers: { 'Retry-After': '45' } } })
  await opened.fault({ fault: { kind: 'broken_json' } })
  await opened.fault(error('server_error', 200))
  for (const waitMs of [5000, 10_000, 20_000, 45_000, 60_000, 60_000]) await clocks.pass(waitMs)
  await clocks.waited(5000) // heard: authorization_pending
  await opened.server.control.approveDevice('external', signIn.userCode, { subject: 'ada' })
  await clocks.pass(5000)
  assert.equal(told(await finished), 'connected')
})

test('a provider that is stopped and started again is asked on', async (t) => {
  const opened = await world(t)
  const stateFile = `${opened.folder}/provider.db`
  const realms = [
    { name: 'home', devicePollSeconds: 0, clients: [{ clientId: 'tv', tokenEndpointAuthMethod: 'none' as const }] },
  ]
  let server: Devserver = await startDevserver({ stateFile, realms })
  const port = Number(new URL(server.issuer('home')).port)
  try {
    await opened.keep.providers.put({ id: 'home', issuer: server.issuer('home') })
    await opened.keep.clients.put({ id: 'tv', provider: 'home', clientId: 'tv', tokenEndpointAuthMethod: 'none' })
    const signIn = await opened.keep.deviceSignIns.begin({ provider: 'home', scope: 'openid' })
    assert.match(signIn.connection, /^tv-[0-9a-f]{12}$/)
    const finished = signIn.finished()
    await opened.clocks.pass(5000)
    await opened.clocks.waited(5000)
    await server.close()
    await opened.clocks.pass(5000)
    await opened.clocks.pass(10_000)
    await opened.clocks.waited(20_000)
    server = await startDevserver({ stateFile, port, realms: [] })
    await server.control.approveDevice('home', signIn.userCode, { subject: 'ada' })
    await opened.clocks.pass(20_000)
    const done = await finished
    assert.ok(done.kind === 'connected', JSON.stringify(done))
    assert.equal(done.connection, signIn.connection)
  } finally {
    await server.close()
  }
})

test('every other answer ends the waiting, with a word for why', async (t) => {
  const opened = await world(t)
  const table: readonly (readonly [Pick<FaultOrder, 'fault'>, string, string | null])[] = [
    [error('access_denied'), 'denied', 'access_denied'],
    [error('authorization_declined'), 'denied', 'authorization_declined'],
    [error('access_denied', 200), 'denied', 'access_denied'],
    [error('expired_token'), 'expired', 'expired_token'],
    [error('expired_token', 200), 'expired', 'expired_token'],
    [error('bad_verification_code'), 'code_refused', 'bad_verification_code'],
    [error('incorrect_device_code', 200), 'code_refused', 'incorrect_device_code'],
    [error('invalid_grant'), 'code_refused', 'invalid_grant'],
    [error('interaction_required'), 'interaction_required', 'interaction_required'],
    [error('invalid_client', 401), 'misconfigured', 'invalid_client'],
    [error('unsupported_grant_type'), 'misconfigured', 'unsupported_grant_type'],
    [error('device_flow_disabled', 200), 'misconfigured', 'device_flow_disabled'],
    [error('device_flow_disabled'), 'misconfigured', 'device_flow_disabled'],
    [{ fault: { kind: 'status', status: 404 } }, 'misconfigured', null],
  ]
  for (const [fault, because, word] of table) {
    const signIn = await opened.begin()
    const finished = signIn.finished()
    await opened.fault(fault)
    await opened.clocks.pass(INTERVAL_MS)
    assert.deepEqual(await finished, { kind: 'failed', because, word }, JSON.stringify(fault))
    assert.equal(await code(() => opened.keep.connections.get('tv')), 'unknown_connection')
  }
})

test('that the person has not answered may come with any status', async (t) => {
  const opened = await world(t)
  const signIn = await opened.begin()
  const finished = signIn.finished()
  for (const status of [200, 400, 403, 428, 503]) {
    await opened.fault(error('authorization_pending', status))
    await opened.clocks.pass(INTERVAL_MS)
  }
  await opened.server.control.approveDevice('external', signIn.userCode, { subject: 'ada' })
  await opened.clocks.pass(INTERVAL_MS)
  assert.equal(told(await finished), 'connected')
})

test('a person who says no, or nothing until the code ends, connects nothing', async (t) => {
  const opened = await world(t)
  const denied = await opened.begin()
  const no = denied.finished()
  await opened.server.control.denyDevice('external', denied.userCode)
  await opened.clocks.pass(INTERVAL_MS)
  assert.deepEqual(await no, { kind: 'failed', because: 'denied', word: 'access_denied' })

  const late = await opened.begin()
  const nothing = late.finished()
  await opened.clocks.pass(INTERVAL_MS)
  await opened.clocks.waited(INTERVAL_MS)
  const before = await opened.asked()
  opened.clocks.forward(590_000)
  assert.equal(told(await nothing), 'expired')
  assert.ok((await opened.asked()) - before <= 2)
  assert.equal(await code(() => opened.keep.connections.get('tv')), 'unknown_connection')
})

test('a yes that was lost on its way cannot be had again, and is not called a refusal of the code', async (t) => {
  const opened = await world(t)
  const signIn = await opened.begin()
  const finished = signIn.finished()
  await opened.server.control.approveDevice('external', signIn.userCode, { subject: 'ada' })
  await opened.fault({ fault: { kind: 'drop' }, when: 'after' })
  await opened.clocks.pass(5000)
  await opened.clocks.pass(10_000)
  assert.equal(told(await finished), 'unavailable')
})

test('signing in again keeps the id and the history; another account needs an explicit yes', async (t) => {
  const opened = await world(t)
  const { keep } = opened
  await signedInAs(opened, 'ada')
  const before = await keep.connections.get('tv')
  opened.clocks.forward(400_000)
  const { accessToken } = await keep.token('tv')
  assert.equal(told(await signedInAs(opened, 'bob')), 'other_account')
  assert.equal((await keep.token('tv')).accessToken, accessToken)
  const again = await signedInAs(opened, 'ada', { labels: { team: 'not taken' } })
  assert.ok(again.kind === 'connected' && again.renewed)
  const after = await keep.connections.get('tv')
  assert.deepEqual([after.id, after.uid, after.labels], [before.id, before.uid, {}])
  opened.clocks.forward(400_000)
  await keep.token('tv')
  const [newest, oldest] = await keep.connections.history('tv')
  assert.deepEqual([newest?.grant, oldest?.grant], [2, 1])
  const meant = await signedInAs(opened, 'bob', { otherAccount: true })
  assert.equal(told(meant), 'connected')
  assert.equal((await keep.connections.get('tv')).subject, 'bob')
})

test('a signal ends the waiting at once, and an answer on its way is heard out and kept', async (t) => {
  const opened = await world(t)
  const stopping = new AbortController()
  const signIn = await opened.begin()
  const finished = signIn.finished(stopping.signal)
  await opened.clocks.pass(INTERVAL_MS)
  await opened.clocks.waited(INTERVAL_MS)
  stopping.abort()
  assert.equal(told(await finished), 'stopped')
  const asked = await opened.asked()
  assert.equal(told(await (await opened.begin()).finished(AbortSignal.abort())), 'stopped')
  assert.equal(await opened.asked(), asked)

  const inFlight = new AbortController()
  const another = await opened.begin()
  const kept = another.finished(inFlight.signal)
  await opened.server.control.approveDevice('external', another.userCode, { subject: 'ada' })
  await opened.fault({ fault: { kind: 'delay', ms: 500 }, when: 'after' })
  await opened.clocks.pass(INTERVAL_MS)
  await questionOut(opened)
  inFlight.abort()
  assert.equal(told(await kept), 'connected')
})

test('closing hears out the question that is on its way: what it brings is kept', async (t) => {
  const opened = await world(t)
  const signIn = await opened.begin()
  const finished = signIn.finished()
  await opened.server.control.approveDevice('external', signIn.userCode, { subject: 'ada' })
  await opened.fault({ fault: { kind: 'delay', ms: 500 }, when: 'after' })
  await opened.clocks.pass(INTERVAL_MS)
  await questionOut(opened)
  const waiting = (await opened.begin({ connection: 'other' })).finished()
  await opened.keep.close()
  assert.deepEqual([told(await finished), told(await waiting)], ['connected', 'stopped'])
  assert.equal(await code(() => opened.keep.deviceSignIns.begin({ client: 'app' })), 'closed')
  const again = await opened.reopen()
  assert.equal((await again.connections.get('tv')).subject, 'ada')
  assert.ok((await again.token('tv')).accessToken)
})

test('scope, resource and parameters go out as the provider has them, and the client proves itself at both endpoints', async (t) => {
  // What a provider wants beside in its token requests takes nothing from what a device says.
  const own = { device_code: 'not this one' }
  const opened = await world(t, {
    provider: { authorization: { scope: 'openid' }, request: { parameters: own } },
  })
  const { keep, server } = opened
  await signedInAs(opened, 'ada', { scope: undefined })
  assert.equal((await keep.connections.get('tv')).scope, 'openid')
  const seen = (await server.control.requests()).filter(({ endpoint }) => endpoint === 'device' || endpoint === 'token')
  assert.deepEqual(
    seen.map(({ endpoint, clientId, scope, seen: status }) => [endpoint, clientId, scope, status]),
    [
      ['device', 'app', 'openid', 200],
      ['token', 'app', null, 200],
    ],
  )
  await keep.clients.put({ id: 'app', provider: 'external', clientId: 'app', clientSecret: 'wrong' })
  assert.equal(await code(() => opened.begin()), 'provider_refused')
})

test('a provider without the endpoint is said to have none, and one that is down or refuses leaves all as it was', async (t) => {
  const opened = await world(t)
  const { keep, server } = opened
  const issuer = server.issuer('external')
  await keep.providers.put({ id: 'plain', tokenEndpoint: `${issuer}/protocol/openid-connect/token` })
  await keep.clients.put({ id: 'plain', provider: 'plain', clientId: 'app', clientSecret: 'not-so-secret' })
  await assert.rejects(keep.deviceSignIns.begin({ provider: 'plain' }), {
    code: 'provider_refused',
    message: /"plain" has no device authorization endpoint.*--device-endpoint/,
  })
  await server.control.addFault({ ...error('invalid_scope'), when: 'before', times: 1, endpoint: 'device' })
  await assert.rejects(opened.begin(), { code: 'provider_refused', message: /invalid_scope.*client "app"/ })
  await server.control.addFault({ fault: { kind: 'drop' }, when: 'before', times: 1, endpoint: 'device' })
  assert.equal(await code(() => opened.begin()), 'unavailable')
  await server.control.addFault({ fault: { kind: 'html' }, when: 'before', times: 1, endpoint: 'device' })
  assert.equal(await code(() => opened.begin()), 'unavailable')
  await server.control.addFault({
    fault: { kind: 'status', status: 404, body: '<h1>not here</h1>' },
    when: 'before',
    times: 1,
    endpoint: 'device',
  })
  await assert.rejects(opened.begin(), { code: 'provider_refused', message: /status 404/ })
})

const CANARY = 'device-code-canary-51ab'
const CODES = {
  device_code: CANARY,
  user_code: 'WDJB-MJHT',
  verification_uri: 'https://id.example.org/device',
  expires_in: 600,
  interval: 5,
}

test('an answer that nobody can be sent to is refused, and one that is odd is read', async (t) => {
  const opened = await world(t)
  const answering = async (codes: object): Promise<string | DeviceSignIn> => {
    const fault = { kind: 'status', status: 200, body: JSON.stringify(codes) } as const
    await opened.server.control.addFault({ fault, when: 'before', times: 1, endpoint: 'device' })
    try {
      return await opened.begin()
    } catch (error) {
      return error instanceof TokenError ? error.code : String(error)
    }
  }
  const unfit: readonly object[] = [
    {},
    [],
    { ...CODES, device_code: '' },
    { ...CODES, device_code: 7 },
    { ...CODES, device_code: 'x'.repeat(9000) },
    { ...CODES, user_code: undefined },
    { ...CODES, user_code: 'x'.repeat(101) },
    { ...CODES, user_code: { toString: 'x' } },
    { ...CODES, verification_uri: undefined },
    { ...CODES, verification_uri: 'javascript:alert(1)' },
    { ...CODES, verification_uri: 'http://id.example.org/device' },
    { ...CODES, verification_uri: 'https://user:password@id.example.org/' },
    { ...CODES, verification_uri: 'https://id.example.org/\u202edevice' },
    { ...CODES, error: 'invalid_client' },
  ]
  for (const codes of unfit) assert.equal(await answering(codes), 'provider_refused', JSON.stringify(codes))

  const fit = async (codes: object): Promise<DeviceSignIn> => {
    const signIn = await answering(codes)
    assert.ok(typeof signIn === 'object', JSON.stringify(codes))
    return signIn
  }
  const { verification_uri: uri, ...withoutUri } = CODES
  assert.equal((await fit({ ...withoutUri, verification_url: uri })).verificationUri, uri)
  assert.equal(
    (await fit({ ...CODES, verification_uri_complete: 'javascript:alert(1)' })).verificationUriComplete,
    null,
  )
  for (const [interval, ms] of [
    [undefined, 5000],
    [null, 5000],
    [-1, 5000],
    ['10', 10_000],
    [0.01, 1000],
    ['soon', 5000],
  ] as const)
    assert.equal((await fit({ ...CODES, interval })).intervalMs, ms)
  const endless = await fit({ ...CODES, expires_in: undefined })
  assert.ok(Math.abs(endless.expiresAt - opened.clocks.clock.now().wall - 600_000) < 5000)
  const odd = '\u001b[2J\u202eab\n"é'
  const shown = await fit({ ...CODES, user_code: odd })
  assert.equal(shown.userCode, odd)
  const seen = `${inspect(shown, { depth: 9 })} ${JSON.stringify(shown)} ${JSON.stringify(opened.events)}`
  assert.equal(seen.includes(CANARY), false)
})

test('what cannot become a connection is refused before a person signs in for nothing', async (t) => {
  const opened = await world(t)
  const { keep } = opened
  await keep.clients.put({ id: 'second', provider: 'external', clientId: 'second', clientSecret: 'x' })
  await keep.connections.import({ id: 'machine', client: 'app', grantType: 'client_credentials' })
  await opened.connect('taken')
  const table: readonly (readonly [unknown, string])[] = [
    [undefined, 'invalid_input'],
    [{}, 'invalid_input'],
    [{ client: 'app', surprise: true }, 'invalid_input'],
    [{ client: 'app', returnTo: 'https://app.example.org' }, 'invalid_input'],
    [{ client: '' }, 'invalid_input'],
    [{ client: 'app', connection: 'with space' }, 'invalid_input'],
    [{ client: 'app', labels: { team: 7 } }, 'invalid_input'],
    [{ client: 'app', scope: 'a"b' }, 'invalid_input'],
    [{ client: 'app', resource: 'not a uri' }, 'invalid_input'],
    [{ client: 'app', otherAccount: 'yes' }, 'invalid_input'],
    [{ client: 'app', provider: 'elsewhere' }, 'invalid_input'],
    [{ client: 'app', connection: 'machine' }, 'invalid_input'],
    [{ client: 'second', connection: 'taken' }, 'invalid_input'],
    [{ client: 'nobody' }, 'unknown_client'],
    [{ provider: 'external' }, 'unknown_client'],
    [{ provider: 'nowhere' }, 'unknown_provider'],
  ]
  for (const [input, expected] of table)
    assert.equal(
      await code(() => keep.deviceSignIns.begin(input as DeviceSignInInput)),
      expected,
      JSON.stringify(input),
    )
  const requests = await opened.server.control.requests()
  assert.equal(requests.filter(({ endpoint }) => endpoint === 'device').length, 0)
})
