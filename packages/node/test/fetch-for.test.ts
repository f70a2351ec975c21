import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import test, { type TestContext } from 'node:test'
import { TokenError } from '@tokenkeep/core'
import { createApiProofs } from '../src/api-proofs.ts'
import { createFetchFor, type FetchForSetup } from '../src/fetch-for.ts'
import { bodyOf, httpServer } from './fixtures/servers.ts'

interface Asked {
  readonly path: string
  readonly method: string
  readonly authorization: string | undefined
  readonly body: string
}

/** An API that accepts these tokens, and answers others with 401. */
async function api(
  t: TestContext,
  accepted: readonly string[],
  answer: (request: IncomingMessage, response: ServerResponse) => boolean = () => false,
) {
  const asked: Asked[] = []
  const url = await httpServer(t, (request, response) => {
    void bodyOf(request).then((body) => {
      const { authorization } = request.headers
      asked.push({ path: request.url ?? '', method: request.method ?? '', authorization, body })
      if (answer(request, response)) return
      const good = accepted.some((token) => authorization === `Bearer ${token}`)
      response.writeHead(good ? 200 : 401).end(good ? 'welcome' : 'who are you')
    })
  })
  return { url, asked, tokensSeen: () => asked.map(({ authorization }) => authorization) }
}

const noneHere = () => Promise.reject(new Error('nothing here is bound to a key'))

/** Hands out these tokens one after the other, the next one when one was rejected. */
function keeper(
  tokens: readonly string[],
  changes: Partial<FetchForSetup> & { readonly apiBaseUrls?: readonly string[] } = {},
) {
  const rejected: string[] = []
  const { apiBaseUrls = [], ...setup } = changes
  const fetchFor = createFetchFor({
    token: () => Promise.resolve({ accessToken: tokens[rejected.length] ?? tokens.at(-1) ?? '', tokenType: 'bearer' }),
    proofs: createApiProofs({ proofs: noneHere, boundKey: noneHere }),
    rejected: (_id, token) => Promise.resolve(void rejected.push(token)),
    provider: () => Promise.resolve({ id: 'external' as never, apiBaseUrls }),
    ...setup,
  })
  const fetch: typeof globalThis.fetch = fetchFor('dealer-42')
  return { fetch, rejected }
}

const invalidInput =
  (message: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof TokenError)
    assert.equal(error.code, 'invalid_input')
    assert.match(error.message, message)
    return true
  }

test('sends the token of the connection in the Authorization header', async (t) => {
  const { url, tokensSeen } = await api(t, ['at-1'])
  const { fetch, rejected } = keeper(['at-1'])
  const response = await fetch(new URL('/offers?page=1', url), { headers: { Accept: 'text/plain' } })
  assert.equal(await response.text(), 'welcome')
  assert.deepEqual(tokensSeen(), ['Bearer at-1'])
  assert.deepEqual(rejected, [])
})

test('after a 401 it reports the token and tries once more with another one', async (t) => {
  const { url, tokensSeen } = await api(t, ['at-2'])
  const { fetch, rejected } = keeper(['at-1', 'at-2'])
  const response = await fetch(url)
  assert.equal(response.status, 200)
  assert.deepEqual(tokensSeen(), ['Bearer at-1', 'Bearer at-2'])
  assert.deepEqual(rejected, ['at-1'])
})

test('a second 401 is returned, and not tried again', async (t) => {
  const { url, tokensSeen } = await api(t, [])
  const { fetch } = keeper(['at-1', 'at-2', 'at-3'])
  const response = await fetch(url)
  assert.equal(response.status, 401)
  assert.equal(await response.text(), 'who are you')
  assert.deepEqual(tokensSeen(), ['Bearer at-1', 'Bearer at-2'])
})

test('the 401 is returned where the same token is handed out again', async (t) => {
  const { url, tokensSeen } = await api(t, [])
  const { fetch, rejected } = keeper(['at-1'])
  const response = await fetch(url)
  assert.equal(await response.text(), 'who are you')
  assert.deepEqual(tokensSeen(), ['Bearer at-1'])
  assert.deepEqual(rejected, ['at-1'])
})

test('the 401 is returned where there is no next token, or the report fails', async (t) => {
  const { url } = await api(t, [])
  let handedOut = 0
  const trouble = new TokenError('needs_user', 'sign in again')
  const once = keeper(['at-1'], {
    token: () =>
      handedOut++ === 0 ? Promise.resolve({ accessToken: 'at-1', tokenType: 'Bearer' }) : Promise.reject(trouble),
  })
  assert.equal((await once.fetch(url)).status, 401)
  const unreported = keeper(['at-1', 'at-2'], {
    rejected: () => Promise.reject(new TokenError('store_unavailable', 'away')),
  })
  assert.equal((await unreported.fetch(url)).status, 401)
})

test('what handing out the first token throws is thrown', async () => {
  const trouble = new TokenError('needs_user', 'sign in again')
  const { fetch } = keeper([], { token: () => Promise.reject(trouble) })
  await assert.rejects(fetch('https://api.example.org/'), trouble)
})

test('a 403 is returned as it is: a new token would have the same scope', async (t) => {
  const { url, asked } = await api(t, [], (_request, response) => {
    response.writeHead(403, { 'WWW-Authenticate': 'Bearer error="insufficient_scope"' }).end()
    return true
  })
  const { fetch, rejected } = keeper(['at-1', 'at-2'])
  assert.equal((await fetch(url)).status, 403)
  assert.equal(asked.length, 1)
  assert.deepEqual(rejected, [])
})

const form = new FormData()
form.set('a', 'b')
const BODIES: readonly (readonly [string, RequestInit['body'], RegExp])[] = [
  ['a string', 'a=b', /^a=b$/],
  ['a Buffer', Buffer.from('a=b'), /^a=b$/],
  ['an ArrayBuffer', new TextEncoder().encode('a=b').buffer, /^a=b$/],
  ['URLSearchParams', new URLSearchParams({ a: 'b' }), /^a=b$/],
  ['a Blob', new Blob(['a=b']), /^a=b$/],
  ['a FormData', form, /name="a"\r\n\r\nb\r\n/],
  ['no body', undefined, /^$/],
]
for (const [what, body, expected] of BODIES) {
  test(`a request with ${what} is sent again as it was`, async (t) => {
    const { url, asked } = await api(t, ['at-2'])
    const { fetch } = keeper(['at-1', 'at-2'])
    const response = await fetch(url, { method: 'POST', ...(body === undefined ? {} : { body }) })
    assert.equal(response.status, 200)
    assert.equal(asked.length, 2)
    for (const request of asked) {
      assert.equal(request.method, 'POST')
      assert.match(request.body, expected)
    }
  })
}

test('a Request object is sent again, with its body and headers', async (t) => {
  const { url, asked } = await api(t, ['at-2'])
  const { fetch } = keeper(['at-1', 'at-2'])
  const response = await fetch(new Request(url, { method: 'PUT', body: 'a=b' }))
  assert.equal(response.status, 200)
  assert.deepEqual(
    asked.map(({ method, body }) => [method, body]),
    [
      ['PUT', 'a=b'],
      ['PUT', 'a=b'],
    ],
  )
})

test('a stream is not sent again: its 401 is reported and returned', async (t) => {
  const { url, asked } = await api(t, ['at-2'])
  const { fetch, rejected } = keeper(['at-1', 'at-2'])
  const response = await fetch(url, { method: 'POST', body: new Blob(['a=b']).stream(), duplex: 'half' })
  assert.equal(await response.text(), 'who are you')
  assert.equal(asked.length, 1)
  assert.deepEqual(rejected, ['at-1'])
})

test('an Authorization header of the caller`s own is refused, wherever it stands', async () => {
  const { fetch } = keeper(['at-1'])
  const headers = { authorization: 'Bearer mine' }
  await assert.rejects(fetch('https://api.example.org/', { headers }), invalidInput(/Authorization header of its own/))
  await assert.rejects(fetch(new Request('https://api.example.org/', { headers })), invalidInput(/Authorization/))
})

test('a token is not sent over plain http to another machine', async () => {
  const { fetch } = keeper(['canary-at'], { token: () => assert.fail('a token was asked for') })
  await assert.rejects(fetch('http://api.example.org/'), invalidInput(/https only/))
  await assert.rejects(fetch('http://10.0.0.1/'), invalidInput(/https only/))
  await assert.rejects(fetch('ftp://127.0.0.1/'), invalidInput(/https only/))
})

const PLACES: readonly (readonly [url: string, allowed: boolean])[] = [
  ['/v1', true],
  ['/v1/', true],
  ['/v1/offers?x=/v2', true],
  ['/v1/a..b', true],
  ['/v1/a%2fb', true],
  ['/v10', false],
  ['/v2', false],
  ['/', false],
  ['/v1/../v2', false],
  ['/v1/%2e%2e/v2', false],
  ['/v1/..%2fv2', false],
  ['/v1/..%5Cv2', false],
  ['/v1/a/%2e%2e%2F%2e%2e/v2', false],
]
test('with apiBaseUrls a token goes below them only, by whole path segments', async (t) => {
  const { url, asked } = await api(t, ['at-1'])
  for (const base of [`${url.origin}/v1`, `${url.origin}/v1/`]) {
    const { fetch } = keeper(['at-1'], { apiBaseUrls: ['https://other.example.org/', base] })
    for (const [place, allowed] of PLACES) {
      const asking = fetch(url.origin + place)
      if (allowed) assert.equal((await asking).status, 200, place)
      else await assert.rejects(asking, invalidInput(/apiBaseUrls of provider "external"/), place)
    }
  }
  assert.equal(asked.length, 2 * PLACES.filter(([, allowed]) => allowed).length)
})

test('another origin than that of apiBaseUrls is refused, the query not repeated', async () => {
  const { fetch } = keeper(['at-1'], { apiBaseUrls: ['https://api.example.org/v1'] })
  for (const url of [
    'https://api.example.org:8443/v1',
    'https://api.example.org.evil.test/v1',
    'https://evil.test/v1?canary',
  ]) {
    await assert.rejects(fetch(url), (error: unknown) => {
      assert.doesNotMatch(String(error), /canary/)
      return invalidInput(/apiBaseUrls/)(error)
    })
  }
})

test('a redirect within the origin keeps the token, one across origins does not, and its 401 is not the token`s fault', async (t) => {
  const other = await api(t, [])
  const { url, tokensSeen } = await api(t, ['at-1'], (request, response) => {
    const to = new Map([
      ['/near', '/here'],
      ['/far', other.url.href],
    ]).get(request.url ?? '')
    if (to !== undefined) response.writeHead(307, { Location: to }).end()
    return to !== undefined
  })
  const { fetch, rejected } = keeper(['at-1', 'at-2'])
  assert.equal((await fetch(new URL('/near', url))).status, 200)
  assert.deepEqual(tokensSeen(), ['Bearer at-1', 'Bearer at-1'])
  assert.equal((await fetch(new URL('/far', url))).status, 401)
  assert.deepEqual(other.tokensSeen(), [undefined])
  assert.deepEqual(rejected, [])
})

test('a token of a type other than Bearer is not sent', async (t) => {
  const { url, asked } = await api(t, ['at-1'])
  const { fetch } = keeper([], { token: () => Promise.resolve({ accessToken: 'at-1', tokenType: 'DPoP' }) })
  await assert.rejects(fetch(url), invalidInput(/bound to a key/))
  assert.deepEqual(asked, [])
  const shouted = keeper([], { token: () => Promise.resolve({ accessToken: 'at-1', tokenType: 'BEARER' }) })
  assert.equal((await shouted.fetch(url)).status, 200)
})

test('a caller that gives up while it waits for a token goes at once', async () => {
  const { fetch } = keeper([], { token: () => new Promise(() => undefined) })
  const giveUp = new AbortController()
  const asking = fetch('https://api.example.org/', { signal: giveUp.signal })
  giveUp.abort(new Error('changed my mind'))
  await assert.rejects(asking, /changed my mind/)
})

test('while the store is away it goes on with what it knew of the provider, as long as a token is handed out', async (t) => {
  const { url } = await api(t, ['at-1'])
  let away = false
  const { fetch } = keeper(['at-1'], {
    provider: () =>
      away
        ? Promise.reject(new TokenError('store_unavailable', 'the disk is gone'))
        : Promise.resolve({ id: 'external' as never, apiBaseUrls: [url.origin] }),
  })
  assert.equal((await fetch(url)).status, 200)
  away = true
  assert.equal((await fetch(url)).status, 200)
  await assert.rejects(fetch('https://elsewhere.example/'), invalidInput(/outside the apiBaseUrls/))
})
