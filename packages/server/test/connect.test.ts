import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Browser } from '@tokenkeep/devserver'
import { openApiWorld, type ApiWorld, type Asking } from './api-world.ts'
import { readAnswer } from './contract.ts'

const WEB_SECRET = 'web-secret-canary-31c7'

/** A server with a client that people sign in with. */
async function world(t: TestContext): Promise<ApiWorld & { readonly callback: string }> {
  const api = await openApiWorld()
  t.after(() => api[Symbol.asyncDispose]())
  const callback = `${api.url}/connect/callback/external`
  await api.world.upstream.control.putClient('external', {
    clientId: 'web',
    clientSecret: WEB_SECRET,
    redirectUris: [callback],
  })
  await api.keep.clients.put({ id: 'web', provider: 'external', clientId: 'web', clientSecret: WEB_SECRET })
  return { ...api, callback }
}

interface Made {
  readonly id: string
  readonly url: string
  readonly connection: string
}

async function made(api: ApiWorld, body: object = {}, asking: Asking = {}): Promise<Made> {
  const answer = await api.ask('createConnectSession', { body: { client: 'web', ...body }, ...asking })
  assert.equal(answer.status, 201, answer.text)
  return readAnswer(answer).body as unknown as Made
}

const told = async (api: ApiWorld, id: string, asking: Asking = {}): Promise<Readonly<Record<string, unknown>>> =>
  readAnswer(await api.ask('getConnectSession', { ids: { id }, ...asking })).body

/** Opens the link, presses the button, and signs in; where the provider sends the browser back to. */
async function wentAndSigned(browser: Browser, link: string, login: string, back: string): Promise<URL> {
  const begun = await browser.visit(link, {})
  assert.equal(begun.status, 303, await begun.text())
  const page = await browser.signIn(begun.headers.get('location') ?? '', login, back)
  assert.ok('left' in page)
  return page.left
}

test('a person opens the link, signs in, and ends on a plain page that says what was connected', async (t) => {
  const api = await world(t)
  const session = await made(api, { connection: 'dealer-42', scope: 'openid dealer-api email', labels: { team: 'a' } })
  const browser = new Browser()
  const start = await browser.follow(session.url)
  assert.ok('text' in start)
  assert.match(start.text, /Connect external/)
  assert.match(start.text, /<dd>dealer-42<\/dd>/)
  assert.equal((await told(api, session.id))['status'], 'open')

  const left = await wentAndSigned(browser, session.url, 'ada', api.callback)
  assert.equal((await told(api, session.id))['status'], 'signing_in')
  const end = await browser.follow(left.href)
  assert.ok('text' in end)
  assert.equal(end.status, 200)
  assert.match(end.text, /external is connected/)
  assert.match(end.text, /<dd>ada<\/dd>/)
  const after = await told(api, session.id)
  assert.deepEqual([after['status'], after['connection'], after['renewed']], ['connected', 'dealer-42', false])
  assert.equal((await api.ask('getToken', { ids: { id: 'dealer-42' } })).status, 200)

  // Reloaded, the page says so again, and nothing is exchanged twice.
  const again = await browser.follow(left.href)
  assert.ok('text' in again && again.status === 200 && again.text.includes('is connected'))
  const later = await browser.follow(session.url)
  assert.ok('text' in later && later.text.includes('This sign-in is done'))
})

test('the pages have no script, nothing from elsewhere, and no secret; the way back has no referrer', async (t) => {
  const api = await world(t)
  const session = await made(api, { connection: '<script>alert(1)</script>' })
  const browser = new Browser()
  const page = await browser.visit(session.url)
  const html = await page.text()
  assert.doesNotMatch(html, /<script/)
  assert.match(html, /&#60;script&#62;/)
  const policy = page.headers.get('content-security-policy') ?? ''
  assert.match(policy, /^default-src 'none'; style-src 'sha256-[\w+/=]+'; base-uri 'none'; frame-ancestors 'none'$/)
  assert.equal(page.headers.get('cache-control'), 'no-store')
  const begun = await browser.visit(session.url, {})
  assert.equal(begun.headers.get('referrer-policy'), 'no-referrer')
  const cookie = begun.headers.get('set-cookie') ?? ''
  assert.match(cookie, /^tokenkeep-connect=[\w-]{43}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/)
  // The parameters were pushed: not even the redirect URI is in the address.
  const sent = new URL(begun.headers.get('location') ?? '')
  assert.deepEqual([...sent.searchParams.keys()], ['client_id', 'request_uri'])
})

test('behind https the cookie is one that no other host can have set', async (t) => {
  const api = await world(t)
  // The provider compares the redirect URI, with the one that is registered there.
  await api.world.upstream.control.putClient('external', {
    clientId: 'web',
    clientSecret: WEB_SECRET,
    redirectUris: ['https://keep.example.org/connect/callback/external'],
  })
  const server = await api.serve({ publicUrl: 'https://keep.example.org' })
  const answer = await server.ask('createConnectSession', { body: { client: 'web' } })
  const { url } = readAnswer(answer).body as unknown as Made
  assert.match(url, /^https:\/\/keep\.example\.org\/connect\/tkc_[\w-]{43}$/)
  const begun = await server.send({
    method: 'POST',
    target: new URL(url).pathname,
    headers: { origin: 'https://keep.example.org', host: 'keep.example.org' },
  })
  assert.equal(begun.status, 303)
  assert.match(
    String(begun.headers['set-cookie']),
    /^__Host-tokenkeep-connect=[\w-]{43}; .*HttpOnly; SameSite=Lax; Secure$/,
  )
})

test('an answer that another browser brings is refused, and the one that began still ends well', async (t) => {
  const api = await world(t)
  const session = await made(api, { connection: 'dealer-42' })
  const browser = new Browser()
  const left = await wentAndSigned(browser, session.url, 'ada', api.callback)
  const stranger = await new Browser().follow(left.href)
  assert.ok('text' in stranger)
  assert.equal(stranger.status, 403)
  assert.doesNotMatch(stranger.text, /dealer-42|ada/)
  const mine = await browser.follow(left.href)
  assert.ok('text' in mine && mine.status === 200)
})

test('an answer at the address of another provider, or of no sign-in, is not taken', async (t) => {
  const api = await world(t)
  const session = await made(api, { connection: 'dealer-42' })
  const browser = new Browser()
  const left = await wentAndSigned(browser, session.url, 'ada', api.callback)
  const elsewhere = new URL(left)
  elsewhere.pathname = '/connect/callback/elsewhere'
  for (const url of [elsewhere.href, `${api.callback}?state=x&code=y`, api.callback]) {
    const page = await browser.follow(url)
    assert.ok('text' in page && page.status === 404, url)
  }
  const page = await browser.follow(left.href)
  assert.ok('text' in page && page.status === 200)
})

test('what goes wrong is said in words, the connection stays as it was, and the link can be opened again', async (t) => {
  const api = await world(t)
  await api.world.connect('taken')
  const first = await made(api, { connection: 'dealer-42' })
  const ada = new Browser()
  await ada.follow((await wentAndSigned(ada, first.url, 'ada', api.callback)).href)
  const session = await made(api, { connection: 'dealer-42' })
  const changes: readonly (readonly [(query: URLSearchParams) => void, RegExp, string])[] = [
    [(query) => query.set('error', 'access_denied'), /Access was denied/, 'denied'],
    [(query) => query.set('iss', 'https://attacker.example'), /This answer was not taken/, 'not_authentic'],
    [(query) => query.set('code', 'made-up'), /did not take its own answer back/, 'code_refused'],
    [() => undefined, /That is another account/, 'other_account'],
  ]
  for (const [change, words, because] of changes) {
    const bob = new Browser()
    const left = await wentAndSigned(bob, session.url, 'bob', api.callback)
    change(left.searchParams)
    const page = await bob.follow(left.href)
    assert.ok('text' in page)
    assert.equal(page.status, 400)
    assert.match(page.text, words)
    assert.match(page.text, /Nothing was changed/)
    const after = await told(api, session.id)
    assert.equal((after['failure'] as { because: string }).because, because)
    assert.equal((await api.keep.connections.get('dealer-42')).subject, 'ada')
    const twice = await bob.follow(left.href)
    assert.ok('text' in twice && twice.status === 409)
  }
})

test('who comes back goes on to where the session says, which learns no more than that it ended', async (t) => {
  const api = await world(t)
  const session = await made(api, { connection: 'dealer-42', return_to: 'https://app.example.org/done?step=3' })
  const browser = new Browser()
  const left = await wentAndSigned(browser, session.url, 'ada', api.callback)
  const answer = await browser.visit(left.href)
  assert.equal(answer.status, 303)
  assert.equal(
    answer.headers.get('location'),
    `https://app.example.org/done?step=3&connect_session=${session.id}&status=connected`,
  )
})

test('a page of another site cannot begin for a person, but a link and the way back may come from anywhere', async (t) => {
  const api = await world(t)
  const { url } = await made(api)
  const target = new URL(url).pathname
  const crossSite = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
  const status = async (method: string, headers: Record<string, string>, path = target): Promise<number> =>
    (await api.send({ method, target: path, headers })).status
  assert.equal(await status('GET', crossSite), 200)
  assert.equal(await status('GET', crossSite, '/connect/callback/external?state=x'), 404)
  assert.equal(await status('POST', { ...crossSite, origin: 'https://attacker.example' }), 403)
  assert.equal(await status('POST', { origin: 'null' }), 403)
  assert.equal(await status('GET', { ...crossSite, 'sec-fetch-mode': 'no-cors' }), 403)
  assert.equal(await status('GET', { ...crossSite, origin: 'https://attacker.example' }), 403)
  assert.equal(await status('GET', crossSite, '/v1/connections'), 403)
  assert.equal(await status('POST', { origin: api.url }), 303)
})

test('a key that is limited to some connections makes, sees and reaches only its own', async (t) => {
  const api = await world(t)
  await api.world.connect('others')
  const { key } = await api.key(['connections:write'], { team: 'a' })
  const other = await api.key(['connections:write'], { team: 'b' })
  const body = { client: 'web', connection: 'others' }
  assert.equal((await api.ask('createConnectSession', { body, key })).status, 409)
  const session = await made(api, { connection: 'mine' }, { key })
  assert.equal((await api.ask('getConnectSession', { ids: { id: session.id }, key: other.key })).status, 404)
  assert.equal((await api.ask('getConnectSession', { ids: { id: session.id }, key })).status, 200)
  // Meanwhile somebody else makes a connection of that id, which the key does not see.
  const theirs = await made(api, { connection: 'mine', labels: { team: 'b' } })
  const [ada, bob] = [new Browser(), new Browser()]
  await ada.follow((await wentAndSigned(ada, theirs.url, 'ada', api.callback)).href)
  const page = await bob.follow((await wentAndSigned(bob, session.url, 'ada', api.callback)).href)
  assert.ok('text' in page && page.status === 400)
  assert.equal((await told(api, session.id, { key }))['status'], 'open')
  assert.deepEqual((await api.keep.connections.get('mine')).labels, { team: 'b' })
})

test('links that nobody made are answered alike, and not without end from one address', async (t) => {
  const api = await world(t)
  let limited = 0
  for (let n = 0; n < 70; n += 1) {
    const { status } = await api.send({ target: `/connect/tkc_${'x'.repeat(40)}${String(n).padStart(3, '0')}` })
    assert.ok(status === 404 || status === 429)
    if (status === 429) limited += 1
  }
  assert.equal(limited, 10)
})

test('no link, state, code, cookie or secret stands in a log, and none but its own link in an answer of the API', async (t) => {
  const api = await world(t)
  const session = await made(api, { connection: 'dealer-42' })
  const browser = new Browser()
  const left = await wentAndSigned(browser, session.url, 'ada', api.callback)
  await browser.follow(left.href)
  const { accessToken } = await api.keep.token('dealer-42')
  const secrets = [session.url.slice(-43), accessToken, WEB_SECRET]
  for (const name of ['state', 'code']) secrets.push(left.searchParams.get(name) ?? 'none')
  assert.match(api.logged(), /a person connected/, 'the control')
  for (const secret of secrets) assert.equal(api.logged().includes(secret), false, secret.slice(0, 6))
  assert.equal(JSON.stringify(await told(api, session.id)).includes(session.url.slice(-43)), false)
})

test('a link can be begun with ten times a minute: each time asks the provider', async (t) => {
  const api = await world(t)
  const { url } = await made(api)
  const statuses = []
  for (let n = 0; n < 12; n += 1) statuses.push((await new Browser().visit(url, {})).status)
  assert.deepEqual(statuses, [...Array.from({ length: 10 }, () => 303), 429, 429])
})
