/** Requests of HTTP that are wrong. Each gets a clear refusal that repeats nothing, and does nothing. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { OPERATIONS, type Operation, type OperationId } from '../src/api/operations.ts'
import type { Answer } from './any-request.ts'
import { openApiWorld, sentBy } from './api-world.ts'
import { codeOf, readAnswer } from './contract.ts'

/** Stands where a secret could stand in a request; in no answer. */
const CANARY = 'kanarienvogel'

const api = await openApiWorld()
after(() => api[Symbol.asyncDispose]())
const { world } = api
await world.connect('dealer-1')
const ids = { id: 'dealer-1' }
const authorization = `Bearer ${world.admin.key}`

const errorsOf = (answer: Answer): unknown =>
  (readAnswer(answer).body['errors'] as readonly { in: string; name: string }[]).map(
    (each) => `${each.in} ${each.name}`,
  )

// ---- bodies --------------------------------------------------------------------------------------------------------

const post = (body: string | Uint8Array, headers: Record<string, string> = { 'content-type': 'application/json' }) =>
  api.send({ method: 'POST', target: '/v1/connections', headers: { authorization, ...headers }, body })

const DEEP = 30_000
const NO_JSON: Readonly<Record<string, string | Uint8Array>> = {
  nothing: '',
  'half an object': `{"id":"${CANARY}`,
  words: CANARY,
  'single quotes': `{'id':'${CANARY}'}`,
  'a comma too many': `{"id":"${CANARY}",}`,
  'two values': `{} {"id":"${CANARY}"}`,
  'no number of JSON': `{"expires_in":NaN}`,
  'a raw line feed in a string': `{"id":"${CANARY}\n"}`,
  'bytes that are no UTF-8': Buffer.from(`{"id":"${CANARY}\xff"}`, 'latin1'),
  'UTF-16': Buffer.from(`{"id":"${CANARY}"}`, 'utf16le'),
  'a depth without an end': '['.repeat(DEEP),
  'a prototype': `{"__proto__":{"id":"${CANARY}"}}`,
  'a prototype further in': `{"labels":{"__proto__":{"team":"${CANARY}"}}}`,
  'a prototype in escapes': `{"\\u005f_proto__":{"id":"${CANARY}"}}`,
  'the prototype of a constructor': `{"constructor":{"prototype":{"id":"${CANARY}"}}}`,
}
test('a body that is no JSON, or would reach for prototypes, is malformed', async () => {
  for (const [what, body] of Object.entries(NO_JSON))
    assert.equal(codeOf(await post(body)), '400 malformed_request', what)
})

const NOT_MEANT: Readonly<Record<string, string>> = {
  null: 'null',
  'a number': '7',
  'a string': `"${CANARY}"`,
  'a list': `[{"id":"${CANARY}"}]`,
  'a deep list': '['.repeat(DEEP) + ']'.repeat(DEEP),
  'a depth in a member': `{"labels":${'{"a":'.repeat(9000)}1${'}'.repeat(9000)}}`,
  'an unknown member': `{"id":"d","client":"app","refresh_token":"rt","${CANARY}":1}`,
  'a constructor': `{"constructor":"${CANARY}"}`,
  'a token as a name': `{"id":"d","client":"app","${CANARY}-4711-aa-${CANARY}":"rt"}`,
  'an id with a line feed': `{"id":"${CANARY}\\n","client":"app","refresh_token":"rt"}`,
  'an id that is half a character': `{"id":"${CANARY}\\ud800","client":"app","refresh_token":"rt"}`,
  'a token with a line feed': `{"id":"d","client":"app","refresh_token":"${CANARY}\\n"}`,
  'an endless number': '{"id":"d","client":"app","access_token":"a","expires_in":1e999}',
  'a negative time': '{"id":"d","client":"app","access_token":"a","expires_in":-1}',
  'a number as a text': '{"id":"d","client":"app","access_token":"a","expires_in":"300"}',
  'labels that are no texts': `{"id":"d","client":"app","access_token":"a","labels":{"team":["${CANARY}"]}}`,
  'a label name with spaces': `{"id":"d","client":"app","access_token":"a","labels":{"${CANARY} x":"y"}}`,
  'no token at all': '{"id":"d","client":"app"}',
}
test('JSON of another form is invalid input, told by its places and never by its values', async () => {
  for (const [what, body] of Object.entries(NOT_MEANT)) {
    const answer = await post(body)
    assert.equal(codeOf(answer), '400 invalid_input', what)
    assert.ok(what === 'an unknown member' || !answer.text.includes(CANARY), `${what}: ${answer.text}`)
  }
  const many = await post(`{"id":5,"refresh_token":"${CANARY}\\n","expires_in":"x","labels":{"team":5},"typo":1}`)
  assert.deepEqual(errorsOf(many), [
    'body id',
    'body client',
    'body refresh_token',
    'body expires_in',
    'body labels.team',
    'body typo',
  ])
})

test('what is there and of another type is not said to be missing', async () => {
  const { text } = await post('{"id":5,"client":null,"refresh_token":"rt"}')
  const { errors } = JSON.parse(text) as { errors: { name: string; detail: string }[] }
  assert.deepEqual(
    errors.map(({ name, detail }) => `${name} ${detail}`),
    ['id must be a string', 'client must be a string'],
  )
})

test('what a member is called is repeated only where it could be a mistyped name: secrets have digits or are long', async () => {
  for (const [name, repeated] of [
    ['acces_token', true],
    ['3f2504e0-4f89-11d3-9a0c-0305e82c3301', false],
    ['tkk_abcdefgh1', false],
    ['a'.repeat(41), false],
    ['two words', false],
  ] as const)
    assert.equal((await post(`{"${name}":1}`)).text.includes(name), repeated, name)
})

test('a body is JSON by its type, whatever parameters that has; others are refused', async () => {
  const imported = (id: string) => JSON.stringify({ id, client: 'app', access_token: `at-${id}` })
  const type = (contentType: string, id = 'typed') => post(imported(id), { 'content-type': contentType })
  assert.equal(codeOf(await type('application/json; charset=utf-8', 'typed-1')), '201')
  assert.equal(codeOf(await type('Application/JSON', 'typed-2')), '201')
  for (const other of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'text/json',
    'application/jsonp',
    'json',
    `${CANARY}/x`,
    ',',
  ])
    assert.equal(codeOf(await type(other)), '415 unsupported_media_type', other)
  assert.equal(codeOf(await post(imported('typed'), {})), '415 unsupported_media_type', 'no type')
  const twice = sentBy('importConnection', { key: world.admin.key, body: {} })
  const two = { ...twice, headers: { ...twice.headers, 'content-type': ['application/json', 'text/plain'] } }
  assert.equal(codeOf(await api.send(two)), '415 unsupported_media_type', 'two types')
})

test('an empty body is none, whatever type it is announced with; any other where none is wanted is refused', async () => {
  const json = { 'content-type': 'application/json' }
  for (const headers of [
    json,
    { 'content-type': 'text/plain' },
    { 'content-length': '0' },
    { 'transfer-encoding': 'chunked' },
  ])
    assert.equal(codeOf(await api.ask('introspect', { ids, headers })), '200', JSON.stringify(headers))
  const { control } = world.upstream
  await control.clearFaults()
  for (const operation of ['introspect', 'deleteConnection', 'revokeApiKey'] as const)
    assert.equal(codeOf(await api.ask(operation, { ids, body: { sure: true } })), '400 invalid_input', operation)
  assert.equal(codeOf(await api.ask('getConnection', { ids })), '200', 'nothing was deleted')
  assert.equal(codeOf(await api.ask('getToken', { ids, body: { ignored: CANARY } })), '200', 'of a GET none is read')
})

// ---- queries -------------------------------------------------------------------------------------------------------

const WRONG_QUERIES: Readonly<Record<string, readonly [OperationId, unknown]>> = {
  'limit=1&limit=2': ['listConnections', ['query limit']],
  'cursor=a&cursor=a': ['listConnections', ['query cursor']],
  'client=a&client=b&provider=a&provider=b': ['listConnections', ['query client', 'query provider']],
  'limit=0': ['listConnections', ['query limit']],
  'limit=1001': ['listConnections', ['query limit']],
  'limit=1.5': ['listConnections', ['query limit']],
  'limit=-1': ['listConnections', ['query limit']],
  [`limit=${CANARY}`]: ['listConnections', ['query limit']],
  [`status=${CANARY}`]: ['listConnections', ['query status.0']],
  [`status=ready&reason=${CANARY}`]: ['listConnections', ['query reason.0']],
  [`search=${'x'.repeat(201)}`]: ['listConnections', ['query search']],
  [`provider=${CANARY}%20x`]: ['listConnections', ['query provider']],
  [`label=${CANARY}`]: ['listConnections', ['query label.0']],
  '__proto__=x': ['listConnections', ['query __proto__']],
  'constructor=x&toString=y': ['listConnections', ['query constructor', 'query toString']],
  'min_ttl=-1': ['getToken', ['query min_ttl']],
  [`min_ttl=${CANARY}`]: ['getToken', ['query min_ttl']],
  'min_ttl=Infinity': ['getToken', ['query min_ttl']],
  'min_ttl=1&min_ttl=2': ['getToken', ['query min_ttl']],
  'scope=a&scope=b': ['getToken', ['query scope']],
  'min_tll=5': ['getToken', ['query min_tll']],
  'limit=0&': ['getHistory', ['query limit']],
}
const WRONG_FOR_THE_LIBRARY: Readonly<Record<string, OperationId>> = {
  [`cursor=${CANARY}!`]: 'listConnections',
  'cursor=%00': 'listConnections',
  [`label=${CANARY}%00=x`]: 'listConnections',
  'label=team=a&label=team=b': 'listConnections',
  'scope=%00': 'getToken',
  'scope=%zz%ff': 'getToken',
  [`resource=${CANARY}`]: 'getToken',
  'resource=https%3A%2F%2Fa.example%23x': 'getToken',
}
test('a parameter that is wrong, unknown, or given twice is named, and its value is not', async () => {
  for (const [query, [operation, places]] of Object.entries(WRONG_QUERIES)) {
    const answer = await api.ask(operation, { ids, query })
    assert.equal(codeOf(answer), '400 invalid_input', query)
    assert.deepEqual(errorsOf(answer), places, query)
    assert.ok(!answer.text.includes(CANARY), query)
  }
  for (const [query, operation] of Object.entries(WRONG_FOR_THE_LIBRARY)) {
    const answer = await api.ask(operation, { ids, query })
    assert.equal(codeOf(answer), '400 invalid_input', query)
    assert.ok(!answer.text.includes(CANARY), query)
  }
})

// ---- paths and methods ---------------------------------------------------------------------------------------------

test('a method that a path does not know is refused with those that it knows; OPTIONS is one of them', async () => {
  const known = new Map<string, string[]>([
    ['/', ['GET', 'HEAD']],
    ['/assets/some', ['GET', 'HEAD']],
    ['/healthz', ['GET', 'HEAD']],
    ['/readyz', ['GET', 'HEAD']],
    ['/metrics', ['GET', 'HEAD']],
    ['/openapi.json', ['GET', 'HEAD']],
  ])
  for (const operation of Object.values(OPERATIONS) as Operation[]) {
    const path = operation.path.replaceAll(/\{\w+\}/g, 'some')
    known.set(path, [...(known.get(path) ?? []), operation.method])
  }
  for (const [target, methods] of known) {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY']) {
      if (methods.includes(method)) continue
      const answer = await api.send({ method, target, headers: { authorization, origin: api.url } })
      assert.equal(answer.status, 405, `${method} ${target}`)
      assert.deepEqual(answer.headers.allow?.split(', ').sort(), methods.sort(), target)
    }
  }
})

test('probes may ask for the headers alone', async () => {
  for (const target of ['/healthz', '/readyz']) {
    const { status, text } = await api.send({ method: 'HEAD', target })
    assert.deepEqual([status, text], [200, ''])
  }
})

test('there is nothing at any other path, and nobody has to be known to hear that', async () => {
  for (const target of [
    '/v1',
    '/v1/',
    '/v1/keys/',
    '//v1/keys',
    '/v1//keys',
    '/V1/keys',
    '/v2/keys',
    '/v1/keys;a',
    '/v1/connections/a/b',
    '/.env',
    '/favicon.ico',
    '/v1/connections/a/token/',
    '/metrics/x',
    '*',
    '/%2e%2e/etc/passwd',
    '/v1/../healthz',
    '/healthz%00',
    '/realms',
    '/\\evil',
  ])
    assert.equal(codeOf(await api.send({ target })), '404 unknown_route', target)
  const body = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"half":' }
  assert.equal(codeOf(await api.send({ ...body, target: '/nowhere' })), '404 unknown_route', 'its body is not read')
  assert.equal(codeOf(await api.send({ ...body, target: '/healthz' })), '405 method_not_allowed')
})

test('an id may hold whatever a connection may be called, in escapes', async () => {
  const names = [
    'a/b',
    'a?b#c',
    'a%2Fb',
    'a+b',
    'ünïcödé',
    '\u{1f600}'.repeat(100),
    '..a',
    '`;--',
    '{id}',
    '__proto__',
    'constructor',
  ]
  for (const id of names) {
    const body = { id, client: 'app', access_token: `at ${String(names.indexOf(id))}` }
    assert.equal(codeOf(await api.ask('importConnection', { body })), '201', id)
    for (const operation of ['getToken', 'getConnection', 'getHistory'] as const)
      assert.equal(codeOf(await api.ask(operation, { ids: { id } })), '200', `${operation} ${id}`)
    assert.equal(codeOf(await api.ask('deleteConnection', { ids: { id } })), '200', id)
  }
})

const WRONG_PATHS: Readonly<Record<string, string>> = {
  '%00': '400 invalid_input',
  '%0d%0aset-cookie:x=y': '400 invalid_input',
  '%2e%2e': '400 invalid_input',
  '..': '400 invalid_input',
  '%20': '400 invalid_input',
  'a%E2%80%8Bb': '400 invalid_input', // Zero width.
  '-option': '400 invalid_input',
  [encodeURIComponent('\u{1f600}'.repeat(200))]: '400 invalid_input', // 200 characters that are 400 for JavaScript.
  [encodeURIComponent('\u20ac'.repeat(201))]: '400 invalid_input',
  '%zz': '400 malformed_request',
  '%': '400 malformed_request',
  '%ff': '400 malformed_request', // No UTF-8.
  '%c0%ae': '400 malformed_request', // A dot written too long.
  '%ed%a0%80': '400 malformed_request', // Half a character.
  [`${CANARY}${'x'.repeat(5000)}`]: '400 malformed_request',
  none: '404 unknown_connection',
}
test('an id that no connection can have is refused, whatever it is escaped as', async () => {
  for (const [path, code] of Object.entries(WRONG_PATHS)) {
    for (const rest of ['/token', '', '/history']) {
      const answer = await api.send({ target: `/v1/connections/${path}${rest}`, headers: { authorization } })
      assert.equal(codeOf(answer), code, path)
      assert.ok(!answer.text.includes(CANARY))
    }
  }
  for (const id of ['%00', 'a b', CANARY, 'x'.repeat(3000)]) {
    for (const operation of ['getProvider', 'getClient', 'revokeApiKey', 'revokeLocalRefreshToken'] as const) {
      const { status } = await api.ask(operation, { ids: { id } })
      assert.ok(status === 400 || status === 404, `${operation} ${id}: ${status}`)
    }
  }
})

// ---- who is asked, and from where ----------------------------------------------------------------------------------

test('Host is a name of this server or of this machine, with any port, once', async () => {
  const server = await api.serve({ publicUrl: 'https://keep.example.org:8443', allowedHosts: ['inside', 'other:9000'] })
  const host = async (...hosts: string[]) =>
    codeOf(await server.send({ target: '/v1/providers', headers: { authorization, host: hosts } }))
  for (const good of [
    'localhost',
    'LOCALHOST:1',
    '127.0.0.1',
    '127.0.0.1:65535',
    '127.1.2.3',
    '[::1]',
    '[::1]:7420',
    'keep.example.org:8443',
    'INSIDE:5',
    'inside',
    'other:9000',
  ])
    assert.equal(await host(good), '200', good)
  for (const bad of [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'evil.example:127',
    'localhost.',
    '127.1',
    '0x7f.1',
    '2130706433',
    '0.0.0.0',
    '[::]',
    '[::ffff:127.0.0.1]',
    '10.0.0.1',
    'keep.example.org',
    'keep.example.org:1',
    'other',
    'other:1',
    'localhost:99999999',
    'localhost:x',
    'a@localhost',
    'localhost/x',
    'localhost#',
    '',
    '[::1',
    'l\u00f6calhost',
  ])
    assert.equal(await host(bad), '421 host_refused', bad)
  for (const unclear of [[], ['localhost', 'localhost'], ['localhost', 'evil.example'], ['localhost, localhost']])
    assert.equal(await host(...unclear), '400 malformed_request', unclear.join())
})

test('a page of another origin is refused, also where its browser only says that it is one', async () => {
  const server = await api.serve({ publicUrl: 'https://keep.example.org' })
  const from = async (headers: Record<string, string | string[]>) =>
    codeOf(
      await server.send({ target: '/v1/providers', headers: { authorization, host: 'localhost:7420', ...headers } }),
    )
  for (const good of [
    {},
    { origin: 'http://localhost:7420' },
    { origin: 'https://keep.example.org' },
    { 'sec-fetch-site': 'none' },
    { 'sec-fetch-site': 'same-origin' },
  ])
    assert.equal(await from(good), '200', JSON.stringify(good))
  for (const bad of [
    'null',
    'https://evil.example',
    'http://localhost',
    'http://localhost:7421',
    'http://localhost:7420.evil.example',
    'http://evil.example/localhost:7420',
    'http://a@localhost:7420',
    'localhost:7420',
    'file://',
    'http://keep.example.org:443',
    '',
  ])
    assert.equal(await from({ origin: bad }), '403 origin_refused', bad)
  assert.equal(await from({ origin: ['http://localhost:7420', 'https://evil.example'] }), '403 origin_refused', 'two')
  for (const site of ['cross-site', 'same-site', CANARY])
    assert.equal(await from({ 'sec-fetch-site': site }), '403 origin_refused', site)
  for (const target of ['/healthz', '/metrics', '/openapi.json', '/nowhere']) {
    const { status } = await server.send({ target, headers: { origin: 'https://evil.example' } })
    assert.equal(status, 403, `${target}: neither is anything else for that page`)
  }
})

test('a preflight is answered like any other request of that method, and allows nothing', async () => {
  const headers = {
    origin: 'https://evil.example',
    'access-control-request-method': 'GET',
    'access-control-request-headers': 'authorization',
  }
  assert.equal(codeOf(await api.send({ method: 'OPTIONS', target: '/v1/keys', headers })), '403 origin_refused')
  const own = { ...headers, origin: api.url }
  assert.equal(
    codeOf(await api.send({ method: 'OPTIONS', target: '/v1/keys', headers: own })),
    '405 method_not_allowed',
  )
})

test('a key is read as RFC 6750 has it, and anything else is nobody', async () => {
  const as = async (value: string) =>
    codeOf(await api.send({ target: '/v1/providers', headers: { authorization: value } }))
  const { key } = world.admin
  for (const good of [`Bearer ${key}`, `bearer ${key}`, `BEARER   ${key}`, `Bearer ${key} `])
    assert.equal(await as(good), '200', good.slice(0, 8))
  for (const bad of [
    '',
    'Bearer',
    'Bearer ',
    key,
    `Basic ${btoa(`x:${key}`)}`,
    `Bearer ${key}x`,
    `Bearer ${key.slice(0, -1)}`,
    `Bearer ${key}, Bearer ${key}`,
    `Bearer "${key}"`,
    `Bearer ${key.toUpperCase()}`,
    `Bearer ${'A'.repeat(9000)}`,
    `DPoP ${key}`,
  ])
    assert.equal(await as(bad), '401 unauthorized', bad.slice(0, 8))
})

test('no refusal held what was sent', () => {
  const repeats = ({ status, text }: Answer): boolean => status >= 400 && text.includes(world.admin.key)
  assert.deepEqual(api.heard.map(({ answer }) => answer).filter(repeats), [])
  assert.doesNotMatch(api.logged(), new RegExp(`${CANARY}|${world.admin.key}`))
  assert.doesNotMatch(api.logged(), /"level":"(error|fatal)"/, 'and nothing was a mistake of ours')
})
