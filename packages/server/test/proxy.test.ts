/** A call to an API through the proxy: what arrives there, what comes back, and who may. */
import assert from 'node:assert/strict'
import { METHODS } from 'node:http'
import { after, test } from 'node:test'
import { openProxyWorld, REALM, startApi } from './proxy-world.ts'

const proxy = await openProxyWorld()
after(() => proxy[Symbol.asyncDispose]())
const { api, world, call, caller } = proxy
const lastReached = () => {
  const last = api.reached.at(-1)
  assert.ok(last, 'nothing reached the API')
  return last
}

test('a caller that may not see a token calls the API with it', async () => {
  const { accessToken } = await world.connect('first')
  api.does((_incoming, response) => response.writeHead(203, { 'x-of-the-api': 'yes', etag: '"7"' }).end('offers'))
  const answer = await call('/v1/proxy/first/offers?page=2&q=a%20b')
  assert.equal(answer.status, 203)
  assert.equal(answer.text, 'offers')
  assert.equal(answer.headers['x-of-the-api'], 'yes')
  assert.equal(answer.headers['etag'], '"7"')
  assert.equal(answer.headers['proxy-status'], 'tokenkeep; received-status=203')
  const { target, header } = lastReached()
  assert.equal(target, '/v2/offers?page=2&q=a%20b')
  assert.equal(header('authorization'), `Bearer ${accessToken}`)
  assert.equal(header('host'), new URL(api.origin).host)
})

test('what follows the id is appended to the base URL as it was written', async () => {
  api.does((_incoming, response) => response.end())
  for (const [path, reached] of [
    ['', '/v2'],
    ['/', '/v2/'],
    ['?a', '/v2?a'],
    ['/?', '/v2/?'],
    ['/a%20b/c%C3%A9', '/v2/a%20b/c%C3%A9'],
    ['/projects/group%2Fname', '/v2/projects/group%2Fname'],
    ["/a;b=c,d/(e)!*'~", "/v2/a;b=c,d/(e)!*'~"],
    [
      "/x?$filter=name%20eq%20'x'&u=http://other.example/..%2f",
      "/v2/x?$filter=name%20eq%20'x'&u=http://other.example/..%2f",
    ],
    ['/web/http://other.example/', '/v2/web/http://other.example/'],
  ] as const) {
    assert.equal((await call(`/v1/proxy/dealer${path}`)).status, 200, path)
    assert.equal(lastReached().target, reached)
  }
})

test('an id may have to be escaped', async () => {
  await world.connect('dealer/42')
  assert.equal((await call('/v1/proxy/dealer%2F42/offers')).status, 200)
  assert.equal(lastReached().target, '/v2/offers')
})

test('every method passes, but for a tunnel and for the one whose answer would be the request', async () => {
  api.does((incoming, response) => incoming.resume().once('end', () => response.end()))
  for (const method of METHODS) {
    const before = api.reached.length
    if (method === 'CONNECT') continue
    const answer = await call('/v1/proxy/dealer/x', { method })
    if (method === 'TRACE') {
      assert.equal(answer.code, 'method_not_allowed')
      assert.match(String(answer.headers['allow']), /GET, .*PROPFIND/)
      assert.equal(api.reached.length, before)
    } else {
      assert.equal(answer.status, 200, method)
      assert.equal(lastReached().method, method)
    }
  }
})

test('a body arrives whole, whatever the method and the framing', async () => {
  const bodies: string[] = []
  api.does((incoming, response) => {
    let text = ''
    incoming.on('data', (part: Buffer) => (text += part.toString()))
    incoming.once('end', () => {
      bodies.push(text)
      response.end()
    })
  })
  for (const method of ['POST', 'DELETE', 'GET', 'PROPFIND']) {
    for (const framing of [undefined, 'chunked']) {
      const headers = framing === undefined ? {} : { 'transfer-encoding': framing, 'content-length': [] }
      const body = `${method} ${framing ?? 'length'}`
      // No media type is asked for, and none is refused.
      const asking = { method, body, headers: { ...headers, 'content-type': 'no/such; type=' } }
      assert.equal((await call('/v1/proxy/dealer/x', asking)).status, 200)
      assert.equal(bodies.pop(), body)
      assert.equal(lastReached().header('content-type'), 'no/such; type=')
      assert.equal(lastReached().header('content-length'), framing === undefined ? String(body.length) : undefined)
    }
  }
  assert.equal((await call('/v1/proxy/dealer/x', { method: 'POST', body: '' })).status, 200)
  assert.equal(lastReached().header('content-length'), '0')
})

test('a body may be larger than what the server itself takes', async () => {
  let bytes = 0
  api.does((incoming, response) => {
    incoming.on('data', (part: Buffer) => (bytes += part.length))
    incoming.once('end', () => response.end())
  })
  const body = Buffer.alloc(3_000_000, 'x')
  assert.equal((await call('/v1/proxy/dealer/files', { method: 'PUT', body })).status, 200)
  assert.equal(bytes, body.length)
})

// ---- headers -------------------------------------------------------------------------------------------------------

test('what is said to this server, and where the caller is, does not reach the API', async () => {
  await call('/v1/proxy/dealer/x', {
    headers: {
      accept: 'application/json',
      'x-request-id': '7',
      'if-none-match': '"1"',
      'accept-encoding': 'br',
      connection: 'close, X-Hop, x-other-hop',
      'x-hop': 'hop',
      'X-Other-Hop': 'hop',
      'keep-alive': 'timeout=5',
      te: 'trailers',
      upgrade: 'websocket',
      'proxy-authorization': 'Basic aG9w',
      'proxy-connection': 'keep-alive',
      cookie: 'session=ours',
      dpop: 'a-proof',
      expect: 'what-nobody-knows',
      forwarded: 'for=10.0.0.1',
      'x-forwarded-for': '10.0.0.1',
      'x-forwarded-anything': 'x',
      'x-real-ip': '10.0.0.1',
      via: '1.1 inner',
      referer: 'http://127.0.0.1/',
      origin: world.url,
      'sec-fetch-site': 'same-origin',
    },
  })
  const { headers, header } = lastReached()
  assert.deepEqual(headers.map(([name]) => name).sort(), [
    'accept',
    'accept-encoding',
    'authorization',
    'connection',
    'host',
    'if-none-match',
    'via',
    'x-request-id',
  ])
  assert.equal(header('via'), '1.1 tokenkeep')
  assert.equal(header('connection'), 'keep-alive')
  assert.ok(!JSON.stringify(headers).includes(caller.key))
})

test('a key that stands anywhere else is refused before the API could see it', async () => {
  const before = api.reached.length
  for (const [target, headers] of [
    [`/v1/proxy/dealer/x?access_token=${caller.key}`, {}],
    [`/v1/proxy/dealer/${caller.key}`, {}],
    ['/v1/proxy/dealer/x', { 'x-api-key': caller.key }],
    ['/v1/proxy/dealer/x', { 'x-many': ['a', `b ${caller.key}`] }],
  ] as const) {
    const answer = await call(target, { headers })
    assert.equal(answer.code, 'invalid_input')
    assert.ok(!answer.text.includes(caller.key))
  }
  const twice = await call('/v1/proxy/dealer/x', { headers: { authorization: ['Bearer x', `Bearer ${caller.key}`] } })
  assert.equal(twice.code, 'unauthorized')
  assert.equal(api.reached.length, before)
})

test('nothing in an answer speaks to a browser for our origin', async () => {
  api.does((_incoming, response) => {
    response.writeHead(200, [
      ...['Content-Type', 'text/html', 'Link', '</next>; rel="next"', 'X-Rate-Limit', '7', 'Vary', 'Accept'],
      ...['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Clear-Site-Data', '"*"', 'Service-Worker-Allowed', '/'],
      ...['Access-Control-Allow-Origin', '*', 'Access-Control-Allow-Credentials', 'true'],
      ...['Strict-Transport-Security', 'max-age=1', 'Alt-Svc', 'h3=":443"', 'Refresh', '0; url=/'],
      ...['Content-Security-Policy', "default-src 'self'", 'Cross-Origin-Resource-Policy', 'cross-origin'],
      ...['Cache-Control', 'public, max-age=60', 'X-Frame-Options', 'ALLOWALL', 'NEL', '{}', 'Report-To', '{}'],
      ...['Connection', 'X-Hop', 'X-Hop', 'hop', 'Proxy-Authenticate', 'Basic', 'Trailer', 'x-sum'],
      ...['Proxy-Status', 'other; received-status=500', 'X-Content-Type-Options', 'sniff'],
    ])
    response.end('<script>1</script>')
  })
  const { headers, rawHeaders } = await call('/v1/proxy/dealer/page')
  const { date: _date, ...rest } = headers
  assert.deepEqual(rest, {
    'content-type': 'text/html',
    link: '</next>; rel="next"',
    'x-rate-limit': '7',
    vary: 'Accept',
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'proxy-status': 'tokenkeep; received-status=200',
    connection: 'close',
    'transfer-encoding': 'chunked',
  })
  const names = rawHeaders.filter((_text, at) => at % 2 === 0).map((name) => name.toLowerCase())
  assert.deepEqual(
    names.filter((name, at) => names.indexOf(name) !== at),
    [],
    'none comes twice',
  )
})

test('a header of the API that repeats the token is left out', async () => {
  const { accessToken } = await world.connect('echoed')
  api.does((incoming, response) => {
    response.writeHead(200, { 'x-you-said': incoming.headers.authorization, 'x-other': 'o' }).end()
  })
  const answer = await call('/v1/proxy/echoed/x')
  assert.equal(answer.headers['x-other'], 'o')
  assert.ok(!JSON.stringify(answer.headers).includes(accessToken))
})

test('a redirect is the caller`s to follow, or not', async () => {
  await using elsewhere = await startApi()
  const location = `${elsewhere.origin}/v2/there`
  for (const status of [301, 302, 303, 307, 308]) {
    api.does((incoming, response) => incoming.resume() && response.writeHead(status, { location }).end('moved'))
    const answer = await call('/v1/proxy/dealer/here', { method: 'POST', body: 'x' })
    assert.deepEqual([answer.status, answer.headers['location'], answer.text], [status, location, 'moved'])
  }
  assert.deepEqual(elsewhere.reached, [])
})

test('answers without a body, and answers of any status, are handed on as they are', async () => {
  for (const status of [204, 304, 400, 403, 404, 429, 500, 503, 599]) {
    api.does((_incoming, response) => response.writeHead(status, { 'retry-after': '9' }).end())
    const answer = await call('/v1/proxy/dealer/x')
    assert.deepEqual([answer.status, answer.headers['retry-after'], answer.text], [status, '9', ''])
  }
  api.does((_incoming, response) => response.writeHead(200, { 'content-length': '1234' }).end())
  const head = await call('/v1/proxy/dealer/x', { method: 'HEAD' })
  assert.deepEqual([head.status, head.headers['content-length'], head.text], [200, '1234', ''])
})

// ---- who, and where ------------------------------------------------------------------------------------------------

test('the scope proxy is what it takes: token:read is not enough, and it hands out nothing itself', async () => {
  const { key: reader } = await world.makeKey({ scopes: ['token:read', 'connections:read', 'connections:write'] })
  const before = api.reached.length
  assert.equal((await call('/v1/proxy/dealer/x', { key: reader })).code, 'forbidden')
  assert.equal((await call('/v1/proxy/dealer/x', { key: `tkk_${'A'.repeat(43)}` })).code, 'unauthorized')
  assert.equal(api.reached.length, before)
  api.does((_incoming, response) => response.end())
  assert.equal((await call('/v1/proxy/dealer/x', { key: world.admin.key })).status, 200)
  assert.equal((await call('/v1/connections/dealer/token')).code, 'forbidden')
})

test('for a key with labels other connections are not there', async () => {
  await world.connect('sale', {}, { labels: { team: 'sales' } })
  const { key } = await world.makeKey({ scopes: ['proxy'], labels: { team: 'sales' } })
  assert.equal((await call('/v1/proxy/sale/x', { key })).status, 200)
  const before = api.reached.length
  const [hidden, missing] = [await call('/v1/proxy/dealer/x', { key }), await call('/v1/proxy/nobody/x', { key })]
  assert.deepEqual([hidden.status, hidden.code], [404, 'unknown_connection'])
  assert.equal(hidden.text.replaceAll('dealer', 'nobody'), missing.text)
  assert.equal(api.reached.length, before)
})

test('of several base URLs the first is meant, or the one that is named exactly', async () => {
  await using other = await startApi()
  const bases = [`${api.origin}/v2`, `${other.origin}/`, `${other.origin}/inner`]
  await world.keep.providers.put({
    id: REALM,
    preset: 'keycloak',
    issuer: world.upstream.issuer(REALM),
    apiBaseUrls: bases,
  })
  const named = (name: string | readonly string[]) =>
    call('/v1/proxy/dealer/x', { headers: { 'tokenkeep-base-url': name } })
  await call('/v1/proxy/dealer/x')
  assert.equal(lastReached().target, '/v2/x')
  assert.equal((await named(other.origin)).status, 200)
  assert.equal((await named(`${other.origin}/inner`)).status, 200)
  assert.deepEqual(
    other.reached.map(({ target }) => target),
    ['/x', '/inner/x'],
  )
  assert.equal(other.reached[0]?.header('tokenkeep-base-url'), undefined)
  const before = [api.reached.length, other.reached.length]
  for (const wrong of [
    `${other.origin}/inner/`,
    `${api.origin}/`,
    `${api.origin}/v2/..`,
    'https://evil.example',
    '',
    'x',
    bases,
  ]) {
    assert.equal((await named(wrong)).code, 'invalid_input', String(wrong))
  }
  assert.deepEqual([api.reached.length, other.reached.length], before)
})

test('a provider that says no API is told to its operator', async () => {
  await world.keep.providers.put({ id: 'bare', tokenEndpoint: world.upstream.tokenEndpoint(REALM) })
  await world.keep.clients.put({ id: 'bare', provider: 'bare', clientId: 'app', clientSecret: 's' })
  await world.keep.connections.import({ id: 'bare', client: 'bare', accessToken: 'at-bare' })
  const answer = await call('/v1/proxy/bare/x')
  assert.equal(answer.code, 'invalid_input')
  assert.match(answer.text, /set its apiBaseUrls/)
})

test('a token of a type that nobody here can write is not sent', async () => {
  const before = api.reached.length
  await world.connect('mac', {}, { tokenType: 'MAC' })
  const answer = await call('/v1/proxy/mac/x')
  assert.equal(answer.code, 'invalid_input')
  assert.match(answer.text, /neither a Bearer nor a DPoP token/)
  assert.equal(api.reached.length, before)
})

test('where no token can be handed out, nothing is sent, and the reason is that of the token route', async () => {
  const before = api.reached.length
  await world.keep.connections.import({ id: 'ended', client: 'app', accessToken: 'at', expiresAt: Date.now() - 1000 })
  const answer = await call('/v1/proxy/ended/x')
  assert.deepEqual([answer.status, answer.code], [409, 'needs_user'])
  assert.equal(answer.headers['proxy-status'], undefined)
  assert.equal(api.reached.length, before)
})

test('a caller is counted here as everywhere', async () => {
  await using strict = await openProxyWorld({ settings: { callerRequestsPer10s: 2 } })
  assert.equal((await strict.call('/v1/proxy/dealer/x')).status, 200)
  assert.equal((await strict.call('/v1/proxy/dealer/x')).status, 200)
  assert.equal((await strict.call('/v1/proxy/dealer/x')).code, 'rate_limited')
  assert.equal(strict.api.reached.length, 2)
})

test('what came of a call is counted by its provider', async () => {
  api.does((_incoming, response) => response.writeHead(404).end())
  const before = world.counted.length
  await call('/v1/proxy/dealer/x')
  assert.deepEqual(world.counted.slice(before), ['handOut proxy ok', 'answered proxy 404', `proxied ${REALM} 4xx`])
})

test('the OpenAPI document says what can be asked', async () => {
  const document = JSON.parse((await call('/openapi.json')).text) as {
    readonly paths: Readonly<
      Record<string, Readonly<Record<string, { readonly responses: Readonly<Record<string, unknown>> }>>>
    >
  }
  const path = document.paths['/v1/proxy/{id}/{path}'] ?? {}
  assert.deepEqual(Object.keys(path).sort(), ['delete', 'get', 'head', 'options', 'patch', 'post', 'put'])
  for (const { responses } of Object.values(path))
    assert.ok('default' in responses && '502' in responses && '504' in responses)
})
