import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, test } from 'node:test'
import { OPERATIONS, type Operation, type OperationId } from '../src/api/operations.ts'
import { sentBy } from './api-world.ts'
import type { Answer } from './any-request.ts'
import { readAnswer } from './contract.ts'
import { openPageWorld } from './page-world.ts'

const world = await openPageWorld()
after(() => world[Symbol.asyncDispose]())
const { api } = world
const { keep } = api
const { admin } = api.world
await api.world.connect('dealer-42')

const PAGE = { 'tokenkeep-page': '1' }
const codeOf = (answer: Answer): unknown => (answer.status < 400 ? answer.status : readAnswer(answer).body['code'])
const signIn = (body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  api.ask('createSession', { key: null, body, headers: { ...PAGE, ...headers } })
const cookieOf = (answer: Answer): string => {
  assert.equal(answer.status, 201, answer.text)
  return String(answer.headers['set-cookie']).split(';', 1)[0] ?? ''
}
const asPage = (cookie: string, more: Readonly<Record<string, string>> = {}) => ({
  key: null,
  headers: { ...PAGE, cookie, ...more },
})

test('the cookie is for this host and for our pages alone, and holds no key', async () => {
  const answer = await signIn({ api_key: admin.key })
  const [cookie] = answer.headers['set-cookie'] ?? []
  assert.match(
    cookie ?? '',
    /^tokenkeep-session=tks_[\w-]{43}; Path=\/; Max-Age=4(?:3200|3199); HttpOnly; SameSite=Strict$/,
  )
  assert.deepEqual(readAnswer(answer).body['api_key'], { id: admin.id, name: 'a test', scopes: ['admin'], labels: {} })
  assert.ok(!answer.text.includes(admin.key) && !answer.text.includes('tks_'))
})

test('where people come by https the cookie is one that no other host and no http page can have set', async () => {
  const server = await api.serve({ publicUrl: 'https://keep.example' })
  const headers = { ...PAGE, host: 'keep.example', origin: 'https://keep.example' }
  const answer = await server.ask('createSession', { key: null, body: { api_key: admin.key }, headers })
  const [cookie] = answer.headers['set-cookie'] ?? []
  assert.match(
    cookie ?? '',
    /^__Host-tokenkeep-session=tks_[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict; Secure$/,
  )
  const value = (cookie ?? '').split(';', 1)[0] ?? ''
  const ask = (text: string) => server.ask('getSession', { key: null, headers: { ...headers, cookie: text } })
  assert.equal((await ask(value)).status, 200)
  assert.equal(codeOf(await ask(value.replace('__Host-', ''))), 'unauthorized', 'the other name counts for nothing')
})

test('of two cookies of that name one was set by somebody else, so none counts', async () => {
  const mine = cookieOf(await signIn({ api_key: admin.key }))
  const theirs = cookieOf(await signIn({ api_key: admin.key }))
  assert.equal(codeOf(await api.ask('listConnections', asPage(`${theirs}; ${mine}`))), 'unauthorized')
  assert.equal(codeOf(await api.ask('listConnections', asPage(`a=b; ${mine}; c=d`))), 200)
})

test('who signs in gets a session of their own, and the one that was there before is over', async () => {
  const before = cookieOf(await signIn({ api_key: admin.key }))
  const now = cookieOf(await signIn({ api_key: admin.key }, { cookie: before }))
  assert.notEqual(now, before)
  assert.equal(codeOf(await api.ask('getSession', asPage(before))), 'unauthorized')
  assert.equal(codeOf(await api.ask('getSession', asPage(now))), 200)
  const planted = `tokenkeep-session=tks_${'a'.repeat(43)}`
  assert.notEqual(cookieOf(await signIn({ api_key: admin.key }, { cookie: planted })), planted)
})

test('the session does whatever its key may, but for what hands out tokens', async () => {
  const cookie = cookieOf(await signIn({ api_key: admin.key }))
  const refused: string[] = []
  for (const [id, operation] of Object.entries(OPERATIONS) as [OperationId, Operation][]) {
    if (id.endsWith('Session') && operation.path === '/v1/session') continue
    const { headers, ...sent } = sentBy(id, {
      ids: { id: 'dealer-42' },
      key: null,
      ...(operation.body === undefined ? {} : { body: { nonsense: 1 } }),
    })
    const answer = await api.send({ ...sent, headers: { ...headers, ...PAGE, cookie } })
    if (codeOf(answer) === 'unauthorized') refused.push(id)
    if (id === 'deleteConnection') await api.world.connect('dealer-42')
  }
  assert.deepEqual(refused, ['getToken', 'rejectToken', 'introspect', 'shareConnection'])
  const proxied = await api.send({ method: 'GET', target: '/v1/proxy/dealer-42/offers', headers: { ...PAGE, cookie } })
  assert.equal(codeOf(proxied), 'unauthorized')
  const bearer = cookie.slice(cookie.indexOf('=') + 1)
  assert.equal(
    codeOf(await api.ask('getToken', { ids: { id: 'dealer-42' }, key: bearer })),
    'unauthorized',
    'it is no key',
  )
  assert.equal(codeOf(await api.ask('listConnections', { key: bearer })), 'unauthorized')
})

test('a session sees what its key sees', async () => {
  const { key } = await api.key(['connections:read'], { team: 'sales' })
  const cookie = cookieOf(await signIn({ api_key: key }))
  assert.equal(
    codeOf(await api.ask('getConnection', { ids: { id: 'dealer-42' }, ...asPage(cookie) })),
    'unknown_connection',
  )
  assert.equal(codeOf(await api.ask('listApiKeys', asPage(cookie))), 'forbidden')
})

test('what no page of ours sent does nothing, though the cookie comes along', async () => {
  const cookie = cookieOf(await signIn({ api_key: admin.key }))
  const make = (headers: Readonly<Record<string, string>>) =>
    api.ask('createApiKey', { key: null, body: { name: 'by a stranger' }, headers: { cookie, ...headers } })
  assert.equal(codeOf(await make({})), 'origin_refused', 'no form can send the header')
  assert.equal(codeOf(await make({ 'tokenkeep-page': 'true' })), 'origin_refused')
  for (const site of ['cross-site', 'same-site', 'none'])
    assert.equal(codeOf(await make({ ...PAGE, 'sec-fetch-site': site })), 'origin_refused', site)
  assert.equal(codeOf(await make({ ...PAGE, origin: 'https://evil.example' })), 'origin_refused')
  assert.equal(codeOf(await make({ ...PAGE, origin: 'null' })), 'origin_refused')
  const read = (site: string) => api.ask('listConnections', { key: null, headers: { cookie, 'sec-fetch-site': site } })
  assert.equal(codeOf(await read('cross-site')), 'origin_refused')
  assert.equal(codeOf(await read('none')), 'origin_refused')
  assert.equal(codeOf(await read('same-origin')), 200)
  assert.ok((await keep.apiKeys.list()).every(({ name }) => name !== 'by a stranger'))
  const strange = { key: null, body: { api_key: admin.key }, headers: {} }
  assert.equal(
    codeOf(await api.ask('createSession', strange)),
    'origin_refused',
    'nobody signs a browser in from elsewhere',
  )
  assert.equal(codeOf(await api.ask('deleteSession', { key: null, headers: { cookie } })), 'origin_refused')
})

test('a key that is revoked takes its sessions with it within a second, also where another server revoked it', async () => {
  const { id, key } = await api.key(['connections:read'])
  const cookie = cookieOf(await signIn({ api_key: key }))
  assert.equal(codeOf(await api.ask('listConnections', asPage(cookie))), 200)
  const elsewhere = await api.reopen()
  await elsewhere.apiKeys.revoke(id)
  await sleep(1001)
  assert.equal(codeOf(await api.ask('listConnections', asPage(cookie))), 'unauthorized')
  const gone = await signIn({ api_key: key })
  assert.deepEqual([gone.status, gone.headers['set-cookie']], [401, undefined])
})

test('a session is known to another server on the same database, and signing out is, too', async () => {
  const other = await api.serve({}, { keep: await api.reopen() })
  const cookie = cookieOf(await signIn({ api_key: admin.key }))
  assert.equal((await other.ask('listConnections', asPage(cookie))).status, 200)
  const left = await other.ask('deleteSession', asPage(cookie))
  assert.match(String(left.headers['set-cookie']), /^tokenkeep-session=; Path=\/; Max-Age=0;/)
  await sleep(1001)
  assert.equal(codeOf(await api.ask('listConnections', asPage(cookie))), 'unauthorized')
})

test('whoever guesses keys or codes at the door has to wait', async () => {
  const strict = await api.serve({ wrongKeysPerMinute: 3 })
  const attempts = [{ api_key: `tkk_${'A'.repeat(43)}` }, { api_key: 'a.b.c' }, { code: 'guessed' }, { code: 'again' }]
  const answers: unknown[] = []
  for (const body of attempts)
    answers.push(codeOf(await strict.ask('createSession', { key: null, body, headers: PAGE })))
  assert.deepEqual(answers, ['unauthorized', 'unauthorized', 'unauthorized', 'rate_limited'])
  for (const body of [
    {},
    { api_key: admin.key, code: 'both' },
    { api_key: 7 },
    { api_key: 'x'.repeat(201) },
    { nonsense: 1 },
  ])
    assert.equal(codeOf(await signIn(body)), 'invalid_input')
})

test('a code is good once, for a minute, at the server that made it', async () => {
  const code = (place: string): string => place.slice(place.lastIndexOf('/') + 1)
  const made = code(api.app.entry(admin.id))
  const other = await api.serve()
  assert.equal(
    codeOf(await other.ask('createSession', { key: null, body: { code: made }, headers: PAGE })),
    'unauthorized',
  )
  assert.equal((await signIn({ code: made })).status, 201)
  assert.equal(codeOf(await signIn({ code: made })), 'unauthorized')
  let now = 0
  const clock = { now: () => ({ wall: Date.now() as never, mono: now as never }) }
  const slow = await api.serve({}, { clock })
  const late = code(slow.app.entry(admin.id))
  now = 60_000
  assert.equal(
    codeOf(await slow.ask('createSession', { key: null, body: { code: late }, headers: PAGE })),
    'unauthorized',
  )
})

// ---- in a browser ---------------------------------------------------------------------------------------------------

/** A page of somebody else that does all it can with the cookies of whoever looks at it. */
async function openStranger(target: string) {
  const html = `<!doctype html><title>stranger</title><iframe name="sink"></iframe>
<form method="post" action="${target}/v1/keys" enctype="text/plain" target="sink"><input name='{"name":"by a form","x":"' value='"}'></form>
<script>
window.done = (async () => {
  const body = JSON.stringify({ name: 'by a script' })
  const tries = [
    () => document.forms[0].submit(),
    () => fetch('${target}/v1/keys', { method: 'POST', mode: 'no-cors', credentials: 'include', body }),
    () => fetch('${target}/v1/keys', { method: 'POST', credentials: 'include', headers: { 'content-type': 'application/json', 'tokenkeep-page': '1' }, body }),
    () => fetch('${target}/v1/connections', { credentials: 'include' }).then((r) => r.text()),
    () => navigator.sendBeacon('${target}/v1/keys', body),
  ]
  const came = []
  for (const one of tries) try { came.push(String(await one())) } catch (error) { came.push(error.name) }
  return came
})()
</script>`
  const server = createServer((_request, response) => response.setHeader('content-type', 'text/html').end(html))
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, close: () => server.close() }
}

test('a page of another origin, be it on the same host, gets nothing done and reads nothing in a real browser', async () => {
  const stranger = await openStranger(api.url)
  for (const host of ['127.0.0.1', 'localhost']) {
    const person = await world.person()
    await person.enter()
    const visit = await person.context.newPage()
    const statuses: number[] = []
    visit.on('response', (response) => {
      if (response.url().startsWith(api.url)) statuses.push(response.status())
    })
    await visit.goto(`http://${host}:${stranger.port}/`)
    const came = await visit.evaluate<string[]>('window.done')
    assert.equal(came[2], 'TypeError', 'the browser asks first, and is told no')
    assert.equal(came[3], 'TypeError', 'nothing can be read')
    await visit.waitForTimeout(100)
    assert.ok(statuses.length > 0 && statuses.every((status) => status >= 400), `${host}: ${statuses.join()}`)
    await person.context.close()
  }
  stranger.close()
  assert.deepEqual(
    (await keep.apiKeys.list()).map(({ name }) => name).filter((name) => name.startsWith('by a')),
    [],
  )
})

test('the page cannot be framed, runs no script but its own, and is looked for anew each time', async () => {
  const page = await api.send({ method: 'GET', target: '/' })
  assert.match(
    String(page.headers['content-security-policy']),
    /^default-src 'none'; script-src 'self'; .*frame-ancestors 'none'; require-trusted-types-for 'script'/,
  )
  assert.equal(page.headers['cache-control'], 'no-cache')
  assert.equal(page.headers['x-content-type-options'], 'nosniff')
  assert.equal(page.headers['cross-origin-opener-policy'], 'same-origin')
  assert.doesNotMatch(page.text, /<style|<script(?![^>]* src=)| style=| on\w+=/)
  const [, script = ''] = /src="(\/assets\/[\w-]+\.js)"/.exec(page.text) ?? []
  const plain = await api.send({ method: 'GET', target: script })
  assert.equal(plain.headers['cache-control'], 'public, max-age=31536000, immutable')
  const zipped = await api.send({ method: 'HEAD', target: script, headers: { 'accept-encoding': 'br, gzip' } })
  assert.equal(zipped.headers['content-encoding'], 'gzip')
  const bytes = Number(zipped.headers['content-length'])
  assert.ok(bytes > 5_000 && bytes < 100_000, `${bytes} bytes of script`)
  for (const target of ['/assets/none.js', '/assets/..%2fpackage.json', '/assets/sources'])
    assert.equal(codeOf(await api.send({ method: 'GET', target })), 'unknown_route', target)
})

test('a link in a message leads to the page, and to nothing that has data', async () => {
  const from = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
  assert.equal((await api.send({ method: 'GET', target: '/', headers: from })).status, 200)
  for (const target of ['/v1/connections', '/metrics', '/openapi.json'])
    assert.equal(codeOf(await api.send({ method: 'GET', target, headers: from })), 'origin_refused', target)
})
