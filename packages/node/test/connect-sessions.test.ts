import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { TokenError, type ConnectSession } from '@tokenkeep/core'
import { Browser } from '@tokenkeep/devserver'
import type { Finished } from '../src/connect-sessions.ts'
import type { ConnectSessionInput } from '../src/connect-session-input.ts'
import { httpServer } from './fixtures/servers.ts'
import { openWorld, type World, type WorldOptions } from './world.ts'

const BACK = 'http://127.0.0.1:9/callback'
const MINE = { boundTo: 'cookie-of-this-browser' }

async function world(t: TestContext, options: WorldOptions = {}): Promise<World> {
  const { realm, ...others } = options
  const opened = await openWorld({
    realm: {
      ...realm,
      clients: [
        {
          clientId: 'web',
          clientSecret: 'not-so-secret',
          tokenEndpointAuthMethod: 'client_secret_basic',
          redirectUris: [BACK],
        },
      ],
    },
    ...others,
  })
  t.after(() => opened[Symbol.asyncDispose]())
  await opened.keep.clients.put({
    id: 'web',
    provider: 'external',
    clientId: 'web',
    clientSecret: 'not-so-secret',
    tokenEndpointAuthMethod: 'client_secret_basic',
  })
  return opened
}

interface Away {
  readonly session: ConnectSession
  readonly link: string
  /** Where the provider sent the browser back to. */
  readonly left: URL
}

/** Makes a session, begins it, and signs in at the provider. */
async function signedInAs(
  { keep }: World,
  login: string,
  input: Partial<ConnectSessionInput> = {},
  browser = new Browser(),
): Promise<Away> {
  const made = await keep.connectSessions.create({ client: 'web', connection: 'dealer-42', ...input })
  const { url } = await keep.connectSessions.begin(made.link, { redirectUri: BACK, ...MINE })
  const page = await browser.signIn(url, login, BACK)
  assert.ok('left' in page, JSON.stringify(page))
  return { ...made, left: page.left }
}

const finish = ({ keep }: World, left: URL, of: { boundTo: string; provider?: string } = MINE): Promise<Finished> =>
  keep.connectSessions.finish(left.href, of)

const failure = (finished: Finished): string => (finished.kind === 'failed' ? finished.because : finished.kind)

const code = async (act: () => Promise<unknown>): Promise<string> => {
  try {
    await act()
    return 'done'
  } catch (error) {
    return error instanceof TokenError ? error.code : String(error)
  }
}

test('a person signs in, and the connection hands out and refreshes', async (t) => {
  const opened = await world(t)
  const { session, left } = await signedInAs(opened, 'ada', { labels: { team: 'sales' }, scope: 'openid dealer-api' })
  const finished = await finish(opened, left)
  assert.equal(finished.kind, 'connected')
  assert.ok(finished.kind === 'connected')
  assert.equal(finished.account, 'ada')
  const { state } = finished.session
  assert.ok(state.status === 'connected')
  assert.deepEqual([state.connection, state.renewed, state.scope], ['dealer-42', false, 'dealer-api openid'])
  const info = await opened.keep.connections.get('dealer-42')
  assert.deepEqual(
    [info.status, info.client, info.subject, info.scope, info.labels, info.hasRefreshToken],
    ['ready', 'web', 'ada', 'dealer-api openid', { team: 'sales' }, true],
  )
  const offers = await opened.keep.fetchFor('dealer-42')(opened.server.demoApi)
  assert.equal(((await offers.json()) as { subject: string }).subject, 'ada')
  opened.clocks.forward(3_600_000)
  assert.ok((await opened.keep.token('dealer-42')).accessToken)
  assert.equal((await opened.keep.connectSessions.get(session.id)).state.status, 'connected')
})

test('signing in again keeps the id and the history, and raises the grant', async (t) => {
  const opened = await world(t)
  await finish(opened, (await signedInAs(opened, 'ada')).left)
  const before = await opened.keep.connections.get('dealer-42')
  opened.clocks.forward(3_600_000)
  await opened.keep.token('dealer-42')
  const again = await finish(opened, (await signedInAs(opened, 'ada', { labels: { team: 'not taken' } })).left)
  assert.ok(again.kind === 'connected' && again.session.state.status === 'connected' && again.session.state.renewed)
  const after = await opened.keep.connections.get('dealer-42')
  assert.deepEqual([after.id, after.uid, after.labels], [before.id, before.uid, {}])
  assert.equal((await opened.keep.connections.history('dealer-42')).length, 1)
  opened.clocks.forward(3_600_000)
  await opened.keep.token('dealer-42')
  const [newest, oldest] = await opened.keep.connections.history('dealer-42')
  assert.deepEqual([newest?.grant, oldest?.grant], [2, 1])
})

test('another account than the connection`s is refused without an explicit yes, and the connection stays as it was', async (t) => {
  const opened = await world(t)
  await finish(opened, (await signedInAs(opened, 'ada')).left)
  const { accessToken } = await opened.keep.token('dealer-42')
  const { session, left } = await signedInAs(opened, 'bob')
  assert.equal(failure(await finish(opened, left)), 'other_account')
  assert.equal((await opened.keep.token('dealer-42')).accessToken, accessToken)
  const told = await opened.keep.connectSessions.get(session.id)
  assert.ok(told.state.status === 'open' && told.state.failure?.because === 'other_account')

  const meant = await signedInAs(opened, 'bob', { otherAccount: true })
  assert.equal((await finish(opened, meant.left)).kind, 'connected')
  assert.equal((await opened.keep.connections.get('dealer-42')).subject, 'bob')
})

test('whoever takes openid out of the request, so that nobody could tell the account, ends with nothing', async (t) => {
  const opened = await world(t, { realm: { pushedAuthorizationRequests: 'off' } })
  await finish(opened, (await signedInAs(opened, 'ada', { scope: 'openid dealer-api' })).left)
  const made = await opened.keep.connectSessions.create({
    client: 'web',
    connection: 'dealer-42',
    scope: 'openid dealer-api',
  })
  const begun = await opened.keep.connectSessions.begin(made.link, { redirectUri: BACK, ...MINE })
  const url = new URL(begun.url)
  assert.ok(url.searchParams.has('scope'), 'the control: it was not pushed')
  url.searchParams.set('scope', 'dealer-api')
  url.searchParams.delete('nonce')
  const page = await new Browser().signIn(url.href, 'bob', BACK)
  assert.ok('left' in page, JSON.stringify(page))
  assert.equal(failure(await finish(opened, page.left)), 'not_authentic')
  assert.equal((await opened.keep.connections.get('dealer-42')).subject, 'ada')
})

test('an answer is taken once, however often and wherever it is brought', async (t) => {
  const opened = await world(t)
  const other = await opened.reopen()
  const { left } = await signedInAs(opened, 'ada')
  const all = await Promise.all(
    Array.from({ length: 10 }, (_, n) => (n % 2 === 0 ? opened.keep : other).connectSessions.finish(left.href, MINE)),
  )
  const kinds = all.map(({ kind }) => kind)
  assert.equal(all.filter((each) => each.kind === 'connected' && each.account !== null).length, 1)
  assert.ok(
    kinds.every((kind) => kind === 'connected' || kind === 'taken'),
    kinds.join(' '),
  )
  assert.equal((await finish(opened, left)).kind, 'connected')
  const [session] = await opened.server.control.sessions('external')
  assert.equal(session?.killedBecause ?? null, null)
  assert.ok((await opened.keep.token('dealer-42')).accessToken)
})

test('an answer counts only with its state, its browser, its provider and its issuer, and nothing is lost by others', async (t) => {
  const opened = await world(t)
  const { left } = await signedInAs(opened, 'ada')
  const changed = (change: (query: URLSearchParams) => void): URL => {
    const url = new URL(left)
    change(url.searchParams)
    return url
  }
  const strangers: readonly (readonly [URL, { boundTo: string; provider?: string }, string])[] = [
    [changed((query) => query.set('state', 'x'.repeat(43))), MINE, 'unknown'],
    [changed((query) => query.delete('state')), MINE, 'unknown'],
    [changed((query) => query.append('state', query.get('state') ?? '')), MINE, 'unknown'],
    [left, { boundTo: 'cookie-of-another-browser' }, 'other_browser'],
    [left, { boundTo: '' }, 'other_browser'],
    [left, { ...MINE, provider: 'elsewhere' }, 'unknown'],
  ]
  for (const [url, of, kind] of strangers) assert.equal((await finish(opened, url, of)).kind, kind)
  assert.equal((await finish(opened, left, { ...MINE, provider: 'external' })).kind, 'connected')
})

test('an answer that is not authentic, denied or refused ends that attempt, and the person can begin again', async (t) => {
  const opened = await world(t)
  const table: readonly (readonly [(query: URLSearchParams) => void, string])[] = [
    [(query) => query.set('iss', 'https://attacker.example'), 'not_authentic'],
    [(query) => query.delete('iss'), 'not_authentic'],
    [(query) => query.append('iss', 'https://attacker.example'), 'not_authentic'],
    [(query) => query.append('code', 'another'), 'not_authentic'],
    [(query) => query.delete('code'), 'not_authentic'],
    [(query) => query.set('code', 'x'.repeat(43)), 'code_refused'],
    [(query) => query.set('error', 'access_denied'), 'denied'],
    [(query) => query.set('error', 'login_required'), 'interaction_required'],
    [(query) => query.set('error', 'invalid_scope'), 'misconfigured'],
    [(query) => query.set('error', '<script>alert(1)</script>'), 'misconfigured'],
    [(query) => query.set('error', 'temporarily_unavailable'), 'unavailable'],
  ]
  const made = await opened.keep.connectSessions.create({ client: 'web', connection: 'dealer-42' })
  for (const [change, because] of table) {
    const { url } = await opened.keep.connectSessions.begin(made.link, { redirectUri: BACK, ...MINE })
    const page = await new Browser().signIn(url, 'ada', BACK)
    assert.ok('left' in page)
    change(page.left.searchParams)
    assert.equal(failure(await finish(opened, page.left)), because)
    // The very same answer again is not taken again.
    assert.equal((await finish(opened, page.left)).kind, 'taken')
    assert.equal(await code(() => opened.keep.connections.get('dealer-42')), 'unknown_connection')
  }
  const { url } = await opened.keep.connectSessions.begin(made.link, { redirectUri: BACK, ...MINE })
  const page = await new Browser().signIn(url, 'ada', BACK)
  assert.ok('left' in page)
  assert.equal((await finish(opened, page.left)).kind, 'connected')
})

test('beginning again makes the answer to the time before worthless', async (t) => {
  const opened = await world(t)
  const { left, link } = await signedInAs(opened, 'ada')
  await opened.keep.connectSessions.begin(link, { redirectUri: BACK, ...MINE })
  assert.equal((await finish(opened, left)).kind, 'unknown')
})

test('a code that another sign-in got is refused: its verifier is not ours', async (t) => {
  const opened = await world(t)
  const attacker = await signedInAs(opened, 'mallory', { connection: 'attacker' })
  const victim = await signedInAs(opened, 'ada', { connection: 'victim' })
  victim.left.searchParams.set('code', attacker.left.searchParams.get('code') ?? '')
  assert.equal(failure(await finish(opened, victim.left)), 'code_refused')
  assert.equal(await code(() => opened.keep.connections.get('victim')), 'unknown_connection')
})

test('a link is good for its time, and who has begun may still come back', async (t) => {
  const opened = await world(t)
  const { left, link, session } = await signedInAs(opened, 'ada', { expiresInMs: 60_000 })
  opened.clocks.forward(61_000)
  assert.equal(
    await code(() => opened.keep.connectSessions.begin(link, { redirectUri: BACK, ...MINE })),
    'unknown_connect_session',
  )
  assert.equal((await finish(opened, left)).kind, 'connected')
  assert.equal((await opened.keep.connectSessions.byLink(link))?.id, session.id)
  assert.equal(await opened.keep.connectSessions.byLink(`tkc_${'x'.repeat(43)}`), null)
  assert.equal(await opened.keep.connectSessions.byLink('nonsense'), null)
})

test('what cannot become a connection is refused before a person signs in for nothing', async (t) => {
  const opened = await world(t)
  await opened.connect('dealer-1')
  await opened.keep.connections.import({ id: 'machine', client: 'web', grantType: 'client_credentials' })
  const create = (input: ConnectSessionInput) => code(() => opened.keep.connectSessions.create(input))
  assert.equal(await create({ client: 'web', connection: 'dealer-1' }), 'invalid_input')
  assert.equal(await create({ client: 'web', connection: 'machine' }), 'invalid_input')
  assert.equal(await create({ client: 'nobody' }), 'unknown_client')
  assert.equal(await create({ provider: 'nowhere' }), 'unknown_provider')
  assert.equal(await create({ provider: 'external' }), 'unknown_client')
  assert.equal(await create({ client: 'web', provider: 'elsewhere' }), 'invalid_input')
  assert.equal(await create({}), 'invalid_input')
  assert.equal(await create({ client: 'web', returnTo: 'javascript:alert(1)' }), 'invalid_input')
  assert.equal(await create({ client: 'web', returnTo: 'http://elsewhere.example/' }), 'invalid_input')
  assert.equal(await create({ client: 'web', expiresInMs: 8 * 24 * 3_600_000 }), 'invalid_input')
  assert.equal(await create({ client: 'web', scope: '' }), 'invalid_input')
  const { link } = await opened.keep.connectSessions.create({ client: 'web' })
  const begin = (redirectUri: string, boundTo = 'me') =>
    code(() => opened.keep.connectSessions.begin(link, { redirectUri, boundTo }))
  assert.equal(await begin('not a url'), 'invalid_input')
  assert.equal(await begin('http://elsewhere.example/'), 'invalid_input')
  assert.equal(await begin('https://app.example.org/callback#fragment'), 'invalid_input')
  assert.equal(await begin('/callback'), 'invalid_input')
  assert.equal(await begin(BACK, ''), 'invalid_input')
})

test('a provider that does not answer leaves the session as it was; one without the endpoint is said to be so', async (t) => {
  const opened = await world(t)
  await opened.keep.providers.put({ id: 'away', issuer: 'http://127.0.0.1:1/' })
  await opened.keep.providers.put({ id: 'plain', tokenEndpoint: 'https://id.example.org/token' })
  for (const id of ['away', 'plain']) await opened.keep.clients.put({ id, provider: id, clientId: 'c' })
  const begun = async (provider: string): Promise<string> => {
    const { link, session } = await opened.keep.connectSessions.create({ provider })
    const result = await code(() => opened.keep.connectSessions.begin(link, { redirectUri: BACK, ...MINE }))
    assert.deepEqual((await opened.keep.connectSessions.get(session.id)).state, { status: 'open', failure: null })
    return result
  }
  assert.equal(await begun('away'), 'unavailable')
  assert.equal(await begun('plain'), 'provider_refused')
})

test('no link, state, verifier or code stands in the database, and sessions are forgotten a day after their end', async (t) => {
  const opened = await world(t)
  const { session, link, left } = await signedInAs(opened, 'ada')
  await finish(opened, left)
  const { readFileSync, readdirSync } = await import('node:fs')
  const files = readdirSync(opened.folder).filter((name) => name.startsWith('tokens.db') && !name.endsWith('.state'))
  const bytes = Buffer.concat(files.map((name) => readFileSync(`${opened.folder}/${name}`)))
  assert.ok(bytes.includes(session.id), 'the control')
  for (const secret of [link.slice(4), left.searchParams.get('state') ?? '', left.searchParams.get('code') ?? ''])
    assert.equal(bytes.includes(secret), false)
  opened.clocks.forward(2 * 24 * 3_600_000)
  await opened.keep.connectSessions.create({ client: 'web' })
  assert.equal(await code(() => opened.keep.connectSessions.get(session.id)), 'unknown_connect_session')
})

test('where nobody can tell whose account it is, a connection whose account is known keeps its sign-in', async (t) => {
  const opened = await world(t)
  await finish(opened, (await signedInAs(opened, 'ada')).left)
  const untold = await signedInAs(opened, 'bob', { scope: 'dealer-api' })
  assert.equal(failure(await finish(opened, untold.left)), 'other_account')
  assert.equal((await opened.keep.connections.get('dealer-42')).subject, 'ada')
  const meant = await signedInAs(opened, 'bob', { scope: 'dealer-api', otherAccount: true })
  assert.equal((await finish(opened, meant.left)).kind, 'connected')
})

test('an account that a provider names beside the tokens is told apart from another one', async (t) => {
  // This server names none there, so what was granted stands for whose it is.
  const opened = await world(t, { provider: { answer: { subject: ['account.id', 'scope'] } } })
  const as = async (account: string) => finish(opened, (await signedInAs(opened, 'ada', { scope: account })).left)
  const first = await as('dealer-api')
  assert.ok(first.kind === 'connected')
  assert.equal(first.account, 'dealer-api')
  assert.equal((await as('dealer-api')).kind, 'connected')
  assert.equal(failure(await as('dealer-api profile')), 'other_account')
  assert.equal((await opened.keep.connections.get('dealer-42')).subject, 'dealer-api')
})

test('where the tokens do not say whose account it is, the new access token is shown to the userinfo endpoint', async (t) => {
  const asked: (string | undefined)[] = []
  let says: { readonly status: number; readonly body: unknown } = { status: 200, body: { id: 583231 } }
  const api = await httpServer(t, (request, response) => {
    asked.push(request.headers.authorization)
    response.writeHead(says.status, { location: '/elsewhere' }).end(JSON.stringify(says.body))
  })
  const userinfoEndpoint = new URL('/user', api).href
  const opened = await world(t, { provider: { userinfoEndpoint, answer: { subject: ['id'] } } })
  const again = async (input: Partial<ConnectSessionInput> = {}) =>
    finish(opened, (await signedInAs(opened, 'ada', { scope: 'dealer-api', ...input })).left)
  assert.equal((await again()).kind, 'connected')
  assert.deepEqual(asked, [`Bearer ${(await opened.keep.token('dealer-42')).accessToken}`])
  assert.equal((await opened.keep.connections.get('dealer-42')).subject, '583231')
  assert.equal((await again()).kind, 'connected')

  says = { status: 200, body: { id: 1 } }
  assert.equal(failure(await again()), 'other_account')
  // Where it does not say, nobody can tell.
  for (const untold of [
    { status: 500, body: { id: 583231 } },
    { status: 302, body: { id: 583231 } },
    { status: 200, body: [583231] },
    { status: 200, body: { name: 'ada' } },
  ]) {
    says = untold
    assert.equal(failure(await again()), 'other_account')
  }
  says = { status: 200, body: { sub: 'ada-there' } }
  assert.equal((await again({ otherAccount: true })).kind, 'connected')
  assert.equal((await opened.keep.connections.get('dealer-42')).subject, 'ada-there')
  // An ID token says it without a question.
  const before = asked.length
  await again({ scope: 'openid dealer-api', otherAccount: true })
  assert.equal((await opened.keep.connections.get('dealer-42')).subject, 'ada')
  assert.equal(asked.length, before)
})

test('a provider that takes pushed requests alone and does not say where gets none in the address', async (t) => {
  const opened = await world(t)
  const origin = await httpServer(t, (_request, response) =>
    response.end(
      JSON.stringify({
        issuer: origin.origin,
        token_endpoint: `${origin.origin}/token`,
        authorization_endpoint: `${origin.origin}/auth`,
        require_pushed_authorization_requests: true,
      }),
    ),
  )
  await opened.keep.providers.put({ id: 'pushed', issuer: origin.origin })
  await opened.keep.clients.put({ id: 'pushed', provider: 'pushed', clientId: 'c', clientSecret: 's' })
  const { link } = await opened.keep.connectSessions.create({ provider: 'pushed' })
  assert.equal(
    await code(() => opened.keep.connectSessions.begin(link, { redirectUri: BACK, ...MINE })),
    'provider_refused',
  )
})
