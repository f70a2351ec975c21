/** Tokens that are bound to a key (RFC 9449), against a real server that checks every proof. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test, type TestContext } from 'node:test'
import { inspect } from 'node:util'
import { calculateJwkThumbprint, decodeJwt, EmbeddedJWK, exportJWK, generateKeyPair, jwtVerify } from 'jose'
import { TokenError } from '@tokenkeep/core'
import { Browser, type RealmOptions, type SessionSeed } from '@tokenkeep/devserver'
import type { OpenOptions, Tokenkeep } from '../src/tokenkeep.ts'
import { freshUrl, lacksPostgres } from './contract/postgres-backend.ts'
import { bodyOf, httpServer } from './fixtures/servers.ts'
import { openWorld, type World } from './world.ts'

const BACK = 'http://127.0.0.1:9/callback'
const SECRET = 'secret-of-the-bound-client'
const CONFIDENTIAL = { clientId: 'bound', clientSecret: SECRET, tokenEndpointAuthMethod: 'client_secret_post' } as const
const PUBLIC = { clientId: 'spa', tokenEndpointAuthMethod: 'none' } as const

/** A realm where each proof needs a nonce, and two clients that prove keys: `bound` has a secret, `spa` has none. */
async function bound(
  t: TestContext,
  realm: Partial<RealmOptions> = {},
  open: Partial<OpenOptions> = {},
): Promise<World> {
  const redirectUris = [BACK]
  const clients = [
    { ...CONFIDENTIAL, redirectUris },
    { ...PUBLIC, redirectUris },
  ]
  const world = await openWorld({ realm: { dpop: 'required', dpopNonce: true, ...realm, clients }, open })
  t.after(() => world[Symbol.asyncDispose]())
  const { keep } = world
  await keep.clients.put({ id: 'bound', provider: 'external', ...CONFIDENTIAL, dpopBoundAccessTokens: true })
  await keep.clients.put({ id: 'spa', provider: 'external', ...PUBLIC, dpopBoundAccessTokens: true })
  return world
}

async function seeded({ server }: World, clientId: string, seed: Partial<SessionSeed> = {}): Promise<string> {
  const { refreshToken } = await server.control.seedSession('external', { clientId, ...seed })
  assert.ok(refreshToken !== null)
  return refreshToken
}

async function imported(world: World, id = 'dealer', seed: Partial<SessionSeed> = {}): Promise<void> {
  const refreshToken = await seeded(world, 'bound', seed)
  await world.keep.connections.import({ id, client: 'bound', refreshToken })
}

const tokenRequests = async ({ server }: World): Promise<number> =>
  (await server.control.requests()).filter(({ endpoint }) => endpoint === 'token').length

async function newKey(): Promise<{ readonly text: string; readonly jkt: string; readonly d: string }> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = await exportJWK(privateKey)
  return { text: JSON.stringify(jwk), jkt: await calculateJwkThumbprint(jwk), d: jwk.d ?? '' }
}

const jktIn = (accessToken: string): unknown => (decodeJwt(accessToken)['cnf'] as { jkt?: unknown } | undefined)?.jkt

const subjectSeen = async (response: Response): Promise<unknown> => {
  assert.equal(response.status, 200)
  return ((await response.json()) as { subject: unknown }).subject
}

async function codeOf(act: () => Promise<unknown>): Promise<string> {
  try {
    await act()
    return 'done'
  } catch (error) {
    assert.ok(error instanceof TokenError, inspect(error))
    return error.code
  }
}

// ---- the token endpoint ----------------------------------------------------------------------------------------------

test('a bound token is got and used where both servers want nonces, in one attempt each', async (t) => {
  const world = await bound(t)
  await imported(world, 'dealer', { subject: 'ada' })
  const { accessToken, tokenType, dpopJkt } = await world.keep.token('dealer')
  assert.equal(tokenType, 'DPoP')
  assert.equal(jktIn(accessToken), dpopJkt)
  // Asked for without a nonce first, of which nobody knew yet; and that was one presentation.
  assert.equal(await tokenRequests(world), 2)
  assert.deepEqual(
    (await world.keep.connections.history('dealer')).map(({ outcome }) => outcome),
    ['granted'],
  )
  assert.equal(await subjectSeen(await world.keep.fetchFor('dealer')(world.server.demoApi)), 'ada')
})

test('a nonce that is known is used at once, and one that is stale is replaced', async (t) => {
  const world = await bound(t)
  await imported(world)
  await imported(world, 'other')
  await world.keep.token('dealer')
  assert.equal(await tokenRequests(world), 2)
  await world.keep.token('other')
  assert.equal(await tokenRequests(world), 3)
  await world.server.control.renewDpopNonces('external')
  const fetch = world.keep.fetchFor('dealer')
  await subjectSeen(await fetch(world.server.demoApi))
  const before = (await world.server.control.requests()).length
  await subjectSeen(await fetch(world.server.demoApi))
  assert.equal((await world.server.control.requests()).length, before + 1)
  await world.keep.rejected('dealer', (await world.keep.token('dealer')).accessToken)
  await world.keep.token('dealer')
  assert.equal((await world.keep.connections.get('dealer')).status, 'ready')
})

const ASKS = { 'content-type': 'application/json', 'dpop-nonce': 'another-nonce' }
const asksFor = (status: number, headers: Readonly<Record<string, string>> = ASKS) =>
  ({ kind: 'status', status, headers, body: '{"error":"use_dpop_nonce"}' }) as const

for (const status of [400, 401, 503]) {
  test(`a server that asks for a nonce again and again is given up after two requests, with status ${status}`, async (t) => {
    const world = await bound(t, { dpopNonce: false })
    await imported(world)
    await world.server.control.addFault({ fault: asksFor(status), when: 'before', times: 2, endpoint: 'token' })
    await assert.rejects(() => world.keep.token('dealer'), { code: 'blocked', blocked: 'client' })
    assert.equal(await tokenRequests(world), 2)
    assert.deepEqual(
      (await world.keep.connections.history('dealer')).map(({ outcome }) => outcome),
      ['misconfigured'],
    )
  })
}

test('a server that asks for a nonce and gives none is asked once', async (t) => {
  const world = await bound(t, { dpopNonce: false })
  await imported(world)
  const fault = asksFor(400, { 'content-type': 'application/json' })
  await world.server.control.addFault({ fault, when: 'before', times: 1, endpoint: 'token' })
  await assert.rejects(() => world.keep.token('dealer'), { code: 'blocked' })
  assert.equal(await tokenRequests(world), 1)
})

test('a connection without a key repeats nothing', async (t) => {
  const world = await bound(t, { dpop: 'off', dpopNonce: false })
  const { refreshToken } = await world.server.control.seedSession('external', { clientId: 'app' })
  await world.keep.connections.import({ id: 'plain', client: 'app', refreshToken })
  await world.server.control.addFault({ fault: asksFor(400), when: 'before', times: 1, endpoint: 'token' })
  await assert.rejects(() => world.keep.token('plain'), { code: 'blocked' })
  assert.equal(await tokenRequests(world), 1)
})

/** With a nonce that is known, so that the next request would be granted. */
async function burning(t: TestContext, rotation: NonNullable<RealmOptions['rotation']>): Promise<World> {
  const world = await bound(t, { rotation })
  await imported(world, 'other')
  await world.keep.token('other')
  await imported(world)
  await world.server.control.addFault({ fault: { kind: 'use_dpop_nonce' }, when: 'after', times: 1 })
  await world.server.control.resetCounters()
  return world
}

test('a server that asks for a nonce and spends the refresh token all the same is met with one repetition, not more', async (t) => {
  const world = await burning(t, { kind: 'strict' })
  assert.equal(await codeOf(() => world.keep.token('dealer', { waitMs: 2000 })), 'suspect')
  assert.equal(await tokenRequests(world), 2)
})

test('where such a server has a grace window, nothing is lost', async (t) => {
  const world = await burning(t, { kind: 'grace', seconds: 10 })
  assert.equal((await world.keep.token('dealer')).tokenType, 'DPoP')
  assert.equal(await tokenRequests(world), 2)
})

test('a server that refuses every proof is for the operator to look at', async (t) => {
  const world = await bound(t, { dpopNonce: false })
  await imported(world)
  const fault = { kind: 'status', status: 400, headers: ASKS, body: '{"error":"invalid_dpop_proof"}' } as const
  await world.server.control.addFault({ fault, when: 'before', times: 1, endpoint: 'token' })
  await assert.rejects(() => world.keep.token('dealer'), { code: 'blocked', blocked: 'client' })
})

test('a repetition that finds no way to the server says that it is away, and blames nobody', async (t) => {
  const world = await bound(t)
  let asked = 0
  const leaving = createServer((_request, response) => {
    asked += 1
    leaving.close()
    response.writeHead(400, { ...ASKS, connection: 'close' }).end('{"error":"use_dpop_nonce"}')
  })
  await new Promise<void>((resolve) => leaving.listen(0, '127.0.0.1', resolve))
  t.after(() => leaving.close())
  const tokenEndpoint = `http://127.0.0.1:${(leaving.address() as AddressInfo).port}/token`
  await world.keep.providers.put({ id: 'leaving', tokenEndpoint })
  await world.keep.clients.put({ id: 'left', provider: 'leaving', ...CONFIDENTIAL, dpopBoundAccessTokens: true })
  await world.keep.connections.import({ id: 'dealer', client: 'left', refreshToken: 'rt-1' })
  assert.equal(await codeOf(() => world.keep.token('dealer', { waitMs: 5000 })), 'unavailable')
  assert.equal(asked, 1)
  const [first] = (await world.keep.connections.history('dealer')).toReversed()
  assert.equal(first?.outcome, 'unavailable')
})

test('client credentials are bound, too', async (t) => {
  const world = await bound(t)
  await world.keep.connections.import({
    id: 'machine',
    client: 'bound',
    grantType: 'client_credentials',
    scope: 'dealer-api',
  })
  const { accessToken, dpopJkt } = await world.keep.token('machine')
  assert.equal(jktIn(accessToken), dpopJkt)
  assert.equal((await world.keep.fetchFor('machine')(world.server.demoApi)).status, 200)
})

test('a server that takes no notice of proofs gives Bearer tokens, which are kept and used as such', async (t) => {
  const world = await bound(t, { dpop: 'off', dpopNonce: false })
  await imported(world)
  const { tokenType, dpopJkt } = await world.keep.token('dealer')
  assert.deepEqual([tokenType, dpopJkt], ['Bearer', undefined])
  assert.equal((await world.keep.fetchFor('dealer')(world.server.demoApi)).status, 200)
})

// ---- keys ------------------------------------------------------------------------------------------------------------

test('a refresh token that is bound to a key comes with it, and works after a restart and in two processes', async (t) => {
  const world = await bound(t)
  const key = await newKey()
  const refreshToken = await seeded(world, 'spa', { dpopJkt: key.jkt, accessTokenSeconds: 60 })
  await world.keep.connections.import({ id: 'phone', client: 'spa', refreshToken, dpopKey: key.text })
  assert.equal((await world.keep.token('phone')).dpopJkt, key.jkt)
  await world.keep.close()
  const [one, other] = [await world.reopen(), await world.reopen()]
  world.clocks.forward(61_000)
  const tokens = await Promise.all([one.token('phone'), other.token('phone')])
  assert.deepEqual(new Set(tokens.map(({ dpopJkt }) => dpopJkt)), new Set([key.jkt]))
  assert.equal(new Set(tokens.map(({ accessToken }) => accessToken)).size, 1)
  for (const keep of [one, other]) assert.equal((await keep.fetchFor('phone')(world.server.demoApi)).status, 200)
  world.clocks.forward(61_000)
  assert.equal((await other.token('phone')).dpopJkt, key.jkt)
})

test('with the key of somebody else a bound refresh token is refused, and not spent', async (t) => {
  const world = await bound(t)
  const [right, wrong] = [await newKey(), await newKey()]
  const refreshToken = await seeded(world, 'spa', { dpopJkt: right.jkt })
  await world.keep.connections.import({ id: 'phone', client: 'spa', refreshToken, dpopKey: wrong.text })
  assert.equal(await codeOf(() => world.keep.token('phone', { waitMs: 2000 })), 'suspect')
  await world.keep.connections.reconnect('phone', { refreshToken, dpopKey: right.text })
  assert.equal((await world.keep.token('phone')).dpopJkt, right.jkt)
})

const NOT_KEYS = [
  ['no JSON', '-----BEGIN PRIVATE KEY-----', /is no private key/],
  ['not text', { kty: 'EC' }, /is no private key/],
  ['a public key', JSON.stringify({ kty: 'EC', crv: 'P-256', x: 'a', y: 'b' }), /is a public key/],
  [
    'a key with a broken half',
    JSON.stringify({ kty: 'EC', crv: 'P-256', x: 'a', y: 'b', d: 'canary-d' }),
    /is no private key/,
  ],
  ['much too long', JSON.stringify({ kty: 'EC', d: 'x'.repeat(5000) }), /is no private key/],
] as const
for (const [what, dpopKey, says] of NOT_KEYS) {
  test(`${what} is no dpopKey, and is not repeated`, async (t) => {
    const { keep } = await bound(t)
    const input = { id: 'phone', client: 'spa', refreshToken: 'rt-1', dpopKey: dpopKey as string }
    await assert.rejects(
      () => keep.connections.import(input),
      (error: unknown) => {
        assert.ok(error instanceof TokenError)
        assert.equal(error.code, 'invalid_input')
        assert.match(error.message, says)
        assert.doesNotMatch(inspect(error), /canary-d/)
        return true
      },
    )
    assert.equal(await codeOf(() => keep.connections.get('phone')), 'unknown_connection')
  })
}

test('an RSA key is of a kind that is not used', async (t) => {
  const { keep } = await bound(t)
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const dpopKey = JSON.stringify(await exportJWK(privateKey))
  const refused = keep.connections.import({ id: 'phone', client: 'spa', refreshToken: 'rt-1', dpopKey })
  await assert.rejects(refused, { code: 'invalid_input', message: /of a kind/ })
})

test('what cannot work is refused before it is kept', async (t) => {
  const { keep } = await bound(t)
  const { text } = await newKey()
  for (const [input, says] of [
    [{ id: 'x', client: 'spa', refreshToken: 'rt-1' }, /bring it as dpopKey/],
    [{ id: 'x', client: 'app', refreshToken: 'rt-1', dpopKey: text }, /client "app" proves none/],
    [
      { id: 'x', client: 'bound', accessToken: 'at-1', tokenType: 'dpop' },
      /is bound to a key \(DPoP\) which is not given/,
    ],
  ] as const) {
    await assert.rejects(() => keep.connections.import(input), { code: 'invalid_input', message: says })
  }
})

test('each sign-in in a browser has a key of its own, announced with the request', async (t) => {
  const world = await bound(t)
  const { keep } = world
  const signIn = async (): Promise<string> => {
    const { link } = await keep.connectSessions.create({
      client: 'spa',
      connection: 'phone',
      scope: 'openid offline_access dealer-api',
    })
    const { url } = await keep.connectSessions.begin(link, { redirectUri: BACK, boundTo: 'cookie' })
    const page = await new Browser().signIn(url, 'ada', BACK)
    assert.ok('left' in page, JSON.stringify(page))
    const finished = await keep.connectSessions.finish(page.left.href, { boundTo: 'cookie' })
    assert.equal(finished.kind, 'connected', JSON.stringify(finished))
    const { dpopJkt, accessToken } = await keep.token('phone')
    assert.equal(jktIn(accessToken), dpopJkt)
    await keep.rejected('phone', accessToken)
    assert.equal((await keep.token('phone')).dpopJkt, dpopJkt)
    assert.equal(await subjectSeen(await keep.fetchFor('phone')(world.server.demoApi)), 'ada')
    return dpopJkt ?? ''
  }
  assert.notEqual(await signIn(), await signIn())
})

test('a code that was asked for with a key is worth nothing with another one', async (t) => {
  const world = await bound(t)
  const { keep, server } = world
  // Said in the address of the browser, where a test can change it.
  await keep.providers.put({
    id: 'plain',
    tokenEndpoint: server.tokenEndpoint('external'),
    authorizationEndpoint: `${server.issuer('external')}/protocol/openid-connect/auth`,
  })
  await keep.clients.put({ id: 'plain', provider: 'plain', ...PUBLIC, dpopBoundAccessTokens: true })
  const finished = async (jkt: string | null) => {
    const { link } = await keep.connectSessions.create({ client: 'plain', scope: 'openid' })
    const sent = new URL((await keep.connectSessions.begin(link, { redirectUri: BACK, boundTo: 'cookie' })).url)
    assert.match(sent.searchParams.get('dpop_jkt') ?? '', /^[\w-]{43}$/)
    if (jkt !== null) sent.searchParams.set('dpop_jkt', jkt)
    const page = await new Browser().signIn(sent.href, 'ada', BACK)
    assert.ok('left' in page, JSON.stringify(page))
    const done = await keep.connectSessions.finish(page.left.href, { boundTo: 'cookie' })
    return done.kind === 'failed' ? done.because : done.kind
  }
  assert.equal(await finished(null), 'connected')
  assert.equal(await finished((await newKey()).jkt), 'code_refused')
})

test('a bound token is shown to no userinfo endpoint, for there it would be a Bearer token', async (t) => {
  const world = await bound(t)
  const { keep, server } = world
  let asked = 0
  const api = await httpServer(t, (_request, response) => {
    asked += 1
    response.end('{"sub":"ada"}')
  })
  const endpoints = { tokenEndpoint: server.tokenEndpoint('external'), userinfoEndpoint: new URL('/me', api).href }
  const authorizationEndpoint = `${server.issuer('external')}/protocol/openid-connect/auth`
  await keep.providers.put({ id: 'plain', ...endpoints, authorizationEndpoint })
  await keep.clients.put({ id: 'plain', provider: 'plain', ...PUBLIC, dpopBoundAccessTokens: true })
  const { link } = await keep.connectSessions.create({ client: 'plain', scope: 'dealer-api' })
  const { url } = await keep.connectSessions.begin(link, { redirectUri: BACK, boundTo: 'cookie' })
  const page = await new Browser().signIn(url, 'ada', BACK)
  assert.ok('left' in page, JSON.stringify(page))
  assert.equal((await keep.connectSessions.finish(page.left.href, { boundTo: 'cookie' })).kind, 'connected')
  assert.equal(asked, 0)
})

test('a sign-in on another device has a key of its own, which each question proves', async (t) => {
  const world = await bound(t, { devicePollSeconds: 1 })
  const { keep, server } = world
  const signIn = await keep.deviceSignIns.begin({ client: 'spa', connection: 'tv', scope: 'openid dealer-api' })
  await server.control.approveDevice('external', signIn.userCode, { subject: 'ada' })
  const finished = await signIn.finished()
  assert.equal(finished.kind, 'connected', JSON.stringify(finished))
  const { accessToken, dpopJkt } = await keep.token('tv')
  assert.ok(dpopJkt !== undefined)
  assert.equal(jktIn(accessToken), dpopJkt)
  await keep.rejected('tv', accessToken)
  assert.equal((await keep.token('tv')).dpopJkt, dpopJkt)
  assert.equal(await subjectSeen(await keep.fetchFor('tv')(server.demoApi)), 'ada')
})

test('a client that proves keys from now on leaves sign-ins of before as they are', async (t) => {
  const world = await bound(t, { dpop: 'allowed', dpopNonce: false })
  const client = { id: 'bound', provider: 'external', ...CONFIDENTIAL }
  await world.keep.clients.put(client)
  await imported(world, 'old')
  await world.keep.clients.put({ ...client, dpopBoundAccessTokens: true })
  await imported(world, 'new')
  assert.equal((await world.keep.token('old')).tokenType, 'Bearer')
  assert.equal((await world.keep.token('new')).tokenType, 'DPoP')
  await world.keep.clients.put(client)
  await world.keep.rejected('new', (await world.keep.token('new')).accessToken)
  assert.equal((await world.keep.token('new')).tokenType, 'DPoP')
})

for (const where of ['SQLite', 'Postgres'] as const) {
  test(`a new master key seals the keys of connections anew, and the old one is not needed any more, in ${where}`, async (t) => {
    if (where === 'Postgres' && lacksPostgres(t)) return
    const open = where === 'Postgres' ? { path: undefined, postgres: await freshUrl() } : {}
    const world = await bound(t, {}, open)
    await imported(world, 'dealer', { accessTokenSeconds: 60 })
    const { dpopJkt } = await world.keep.token('dealer')
    const { name } = await world.keep.masterKeys.add()
    await world.keep.masterKeys.rotate(name)
    const sealed = (await world.keep.masterKeys.list()).map((key) => [key.name, key.sealed])
    // Its refresh token, its access token, its key, and the secrets of two clients.
    assert.deepEqual(sealed, [
      [name, 5],
      ['first', 0],
    ])
    await world.keep.masterKeys.remove('first')
    await world.keep.close()
    const again = await world.reopen()
    world.clocks.forward(61_000)
    const after = await again.token('dealer')
    assert.deepEqual([after.dpopJkt, jktIn(after.accessToken)], [dpopJkt, dpopJkt])
    assert.equal((await again.fetchFor('dealer')(world.server.demoApi)).status, 200)
  })
}

const bytesBelow = async (folder: string): Promise<Buffer> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return Buffer.concat(await Promise.all(files.map((file) => readFile(file))))
}

test('the key is in no file in the clear, no event, no answer and no error; deletion erases it', async (t) => {
  const world = await bound(t)
  const key = await newKey()
  const refreshToken = await seeded(world, 'spa', { dpopJkt: key.jkt })
  const shown: unknown[] = [
    await world.keep.connections.import({ id: 'phone', client: 'spa', refreshToken, dpopKey: key.text }),
    await world.keep.token('phone'),
    await world.keep.connections.list(),
    await world.keep.connections.history('phone'),
    await world.keep.clients.list(),
  ]
  await subjectSeen(await world.keep.fetchFor('phone')(world.server.demoApi))
  const bytes = await bytesBelow(world.folder)
  assert.ok(bytes.includes(key.jkt), 'the database was not read')
  assert.ok(!bytes.includes(key.d), 'the key is in a file in the clear')
  assert.ok(!inspect([shown, world.events], { depth: 20 }).includes(key.d))
  const kept = (): Record<string, unknown> | undefined => {
    using database = new DatabaseSync(world.path, { readOnly: true })
    return database.prepare('SELECT dpop_key, dpop_jkt, status FROM connection').get()
  }
  assert.notEqual(kept()?.['dpop_key'], null)
  await world.keep.connections.delete('phone')
  assert.deepEqual({ ...kept() }, { dpop_key: null, dpop_jkt: null, status: 'erased' })
})

test('a key that was moved from another connection does not open, and nothing is sent', async (t) => {
  const world = await bound(t)
  await imported(world, 'mine')
  await imported(world, 'theirs')
  await world.keep.close()
  {
    using database = new DatabaseSync(world.path)
    const theirs = "SELECT dpop_key, dpop_key_serial, dpop_jkt FROM connection WHERE id = 'theirs'"
    database.exec(`UPDATE connection SET (dpop_key, dpop_key_serial, dpop_jkt) = (${theirs}) WHERE id = 'mine'`)
  }
  const again = await world.reopen()
  assert.equal(await codeOf(() => again.token('mine')), 'unreadable')
  assert.equal(await tokenRequests(world), 0)
  assert.equal((await again.token('theirs')).tokenType, 'DPoP')
})

// ---- APIs ------------------------------------------------------------------------------------------------------------

interface Reached {
  readonly authorization: string
  readonly dpop: string
  readonly body: string
}

/** An API that answers with these, the last one for ever, and remembers what reached it. */
async function api(
  t: TestContext,
  ...answers: readonly { readonly status: number; readonly says?: string; readonly nonce?: string }[]
) {
  const reached: Reached[] = []
  const url = await httpServer(t, (request, response) => {
    void bodyOf(request).then((body) => {
      const { authorization = '', dpop } = request.headers
      const answer = answers[Math.min(reached.length, answers.length - 1)] ?? { status: 200 }
      reached.push({ authorization, dpop: String(dpop), body })
      if (answer.says !== undefined) response.setHeader('www-authenticate', `DPoP error="${answer.says}"`)
      if (answer.nonce !== undefined) response.setHeader('dpop-nonce', answer.nonce)
      response.writeHead(answer.status).end('what the API says')
    })
  })
  return { url: url.origin, reached }
}

const proven = async ({ dpop }: Reached) => (await jwtVerify(dpop, EmbeddedJWK, { typ: 'dpop+jwt' })).payload

test('each request has a proof of its own, for this method, this URL, this token, with the newest nonce', async (t) => {
  const world = await bound(t)
  await imported(world)
  const { url, reached } = await api(t, { status: 200 }, { status: 200, nonce: 'second' }, { status: 200 })
  const fetch = world.keep.fetchFor('dealer')
  await fetch(`${url}/offers?page=2#top`)
  await fetch(`${url}/offers`, { method: 'DELETE' })
  await fetch(`${url}/offers`)
  const { accessToken } = await world.keep.token('dealer')
  const proofs = await Promise.all(reached.map(proven))
  assert.deepEqual(
    proofs.map(({ htm, htu, ath, nonce }) => [htm, htu, ath, nonce]),
    [
      ['GET', undefined],
      ['DELETE', undefined],
      ['GET', 'second'],
    ].map(([htm, nonce]) => [
      htm,
      `${url}/offers`,
      createHash('sha256').update(accessToken).digest('base64url'),
      nonce,
    ]),
  )
  assert.equal(new Set(proofs.map(({ jti }) => jti)).size, 3)
  for (const { authorization, dpop } of reached) {
    assert.equal(authorization, `DPoP ${accessToken}`)
    const header = JSON.parse(Buffer.from(dpop.split('.')[0] ?? '', 'base64url').toString()) as { jwk: object }
    assert.deepEqual(Object.keys(header.jwk).sort(), ['crv', 'kty', 'x', 'y'])
  }
})

/** Both ways to an API. */
const WAYS: Readonly<
  Record<string, (keep: Tokenkeep, url: string, body?: string | ReadableStream) => Promise<number>>
> = {
  fetchFor: async (keep, url, body) => {
    const init = body === undefined ? {} : { method: 'POST', body, duplex: 'half' as const }
    const response = await keep.fetchFor('dealer')(`${url}/offers`, init)
    await response.text()
    return response.status
  },
  forward: async (keep, url, body) => {
    await keep.providers.put({ ...(await inputOf(keep)), apiBaseUrls: [url] })
    const { Readable } = await import('node:stream')
    const answer = await keep.forward('dealer', {
      method: body === undefined ? 'GET' : 'POST',
      path: '/offers',
      headers: [],
      body: body === undefined ? null : Readable.from([body]),
      idleMs: 5000,
    })
    assert.ok(answer.kind === 'answer')
    answer.body.resume()
    return answer.status
  },
}
const inputOf = async (keep: Tokenkeep) => {
  const { issuer } = await keep.providers.get('external')
  return { id: 'external', preset: 'keycloak', issuer: issuer ?? '', narrowing: 'token_only' } as const
}

const WANTS = { status: 401, says: 'use_dpop_nonce', nonce: 'wanted' } as const
for (const [way, go] of Object.entries(WAYS)) {
  test(`${way}: an API that wants a nonce is asked once more with it and the same body; the token was not refused`, async (t) => {
    const world = await bound(t)
    await imported(world)
    const { accessToken } = await world.keep.token('dealer')
    const { url, reached } = await api(t, WANTS, { status: 200 })
    assert.equal(await go(world.keep, url, 'an offer'), 200)
    assert.deepEqual(
      reached.map(({ body }) => body),
      ['an offer', 'an offer'],
    )
    const [first, second] = await Promise.all(reached.map(proven))
    assert.deepEqual([first?.['nonce'], second?.['nonce']], [undefined, 'wanted'])
    assert.notEqual(first?.jti, second?.jti)
    assert.equal((await world.keep.token('dealer')).accessToken, accessToken)
    assert.ok(!world.events.some(({ type }) => type === 'access_token_rejected'))
  })

  test(`${way}: an API that wants a nonce for ever, or complains of the proof, is no reason to refresh`, async (t) => {
    const world = await bound(t)
    await imported(world)
    const { accessToken } = await world.keep.token('dealer')
    const wants = await api(t, WANTS)
    assert.equal(await go(world.keep, wants.url), 401)
    assert.equal(wants.reached.length, 2)
    const complains = await api(t, { status: 401, says: 'invalid_dpop_proof' })
    assert.equal(await go(world.keep, complains.url), 401)
    assert.equal(complains.reached.length, 1)
    assert.equal((await world.keep.token('dealer')).accessToken, accessToken)
  })

  test(`${way}: a token that is refused behind the nonce is replaced`, async (t) => {
    const world = await bound(t)
    await imported(world)
    const { accessToken } = await world.keep.token('dealer')
    const refuses = { status: 401, says: 'invalid_token' }
    const { url, reached } = await api(t, WANTS, refuses, { status: 200 })
    assert.equal(await go(world.keep, url), 200)
    assert.deepEqual(
      reached.map(({ authorization }) => authorization === `DPoP ${accessToken}`),
      [true, true, false],
    )
  })
}

test('what goes once more over a new connection, because a kept one had ended, has another proof', async (t) => {
  const world = await bound(t)
  await imported(world)
  const proofs: string[] = []
  const url = await httpServer(t, (request, response) => {
    proofs.push(String(request.headers['dpop']))
    if (proofs.length === 2) request.socket.destroy()
    else response.end()
  })
  await WAYS['forward']?.(world.keep, url.origin)
  assert.equal(await WAYS['forward']?.(world.keep, url.origin), 200)
  assert.equal(proofs.length, 3)
  assert.equal(new Set(proofs.map((proof) => decodeJwt(proof).jti)).size, 3)
})

test('a body that is a stream is sent once, and the caller gets the 401', async (t) => {
  const world = await bound(t)
  await imported(world)
  const { url, reached } = await api(t, WANTS, { status: 200 })
  const stream = new Blob(['once']).stream()
  assert.equal(await WAYS['fetchFor']?.(world.keep, url, stream), 401)
  assert.equal(reached.length, 1)
})

test('a token of before a new sign-in is never proven with the new key', async (t) => {
  const world = await bound(t)
  await imported(world)
  const { url, reached } = await api(t, { status: 200 })
  const other = await world.reopen()
  const before = await other.token('dealer')
  await world.keep.connections.reconnect('dealer', { refreshToken: await seeded(world, 'bound') })
  // The other process may not have heard of it.
  const outcome = await codeOf(() => other.fetchFor('dealer')(url))
  const keys = await Promise.all(
    reached.map(async ({ dpop, authorization }) => [
      await calculateJwkThumbprint(
        (JSON.parse(Buffer.from(dpop.split('.')[0] ?? '', 'base64url').toString()) as { jwk: object }).jwk,
      ),
      jktIn(authorization.slice('DPoP '.length)),
    ]),
  )
  assert.ok(outcome === 'unavailable' || keys.every(([proof, token]) => proof === token), outcome)
  assert.notEqual((await world.keep.token('dealer')).dpopJkt, before.dpopJkt)
})

test('where a token says DPoP and no key is here, nothing is sent', async (t) => {
  const world = await bound(t, { dpop: 'off', dpopNonce: false })
  const { url, reached } = await api(t, { status: 200 })
  await world.keep.connections.import({ id: 'dealer', client: 'app', accessToken: 'at-1', tokenType: 'DPoP' })
  await assert.rejects(() => world.keep.fetchFor('dealer')(url), {
    code: 'invalid_input',
    message: /is bound to a key/,
  })
  assert.equal(reached.length, 0)
})
