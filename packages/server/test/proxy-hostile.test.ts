/** Requests that want to go elsewhere, take the token along, or break something: by the thousand, through a real server. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import type { NotAnsweredBecause, Tokenkeep } from '@tokenkeep/node'
import { createApp } from '../src/http/app.ts'
import { HTTP_SETTINGS } from '../src/http/settings.ts'
import { systemClock } from './api-world.ts'
import { openProxyWorld, startApi } from './proxy-world.ts'
import { openRawConnection } from './raw-http.ts'
import { PATIENT, REALM } from './served-world.ts'

const RUNS = 2_500

const elsewhere = await startApi()
const proxy = await openProxyWorld()
after(async () => {
  await proxy[Symbol.asyncDispose]()
  await elsewhere[Symbol.asyncDispose]()
})
const { api, world, caller } = proxy
const port = Number(new URL(world.url).port)
const { host } = new URL(elsewhere.origin)

/** What Node's parser would not even hand on is of no interest here. */
const LINE_BREAKS = /[\r\n\0]/g
const hostileValue = fc.oneof(
  fc.constantFrom(
    elsewhere.origin,
    host,
    `${api.origin}/v2`,
    `${api.origin}/v2/..`,
    `${elsewhere.origin}/v2`,
    `//${host}`,
  ),
  fc.constantFrom(
    'authorization',
    'close, authorization, via, host',
    'content-length',
    'chunked',
    'gzip, chunked',
    '0',
    '5',
  ),
  fc.string({ maxLength: 12 }),
)
const hostileHeader = fc.tuple(
  fc.constantFrom(
    ...[
      'tokenkeep-base-url',
      'host',
      'connection',
      'x-forwarded-host',
      'forwarded',
      'upgrade',
      'te',
      'expect',
      'range',
    ],
    ...[
      'authorization',
      'x-original-url',
      'x-http-method-override',
      'origin',
      'proxy-connection',
      'x-own',
      'via',
      'cookie',
    ],
  ),
  hostileValue.map((value) => value.replaceAll(LINE_BREAKS, ' ')),
)
const hostilePath = fc
  .array(
    fc.oneof(
      {
        weight: 9,
        arbitrary: fc.constantFrom('/', '//', '\\', '%2f', '%5C', '%252f', '..', '.', '%2e%2E', '%252e', '..;', ';x'),
      },
      {
        weight: 9,
        arbitrary: fc.constantFrom(
          '/',
          '/a',
          '/users',
          '/v1',
          '/%20',
          '/%2e%2e/',
          '?',
          '?a=',
          '#',
          '@',
          ':',
          host,
          'http:',
          '%00',
        ),
      },
      { weight: 1, arbitrary: fc.string({ maxLength: 4, unit: 'binary' }) },
    ),
    { maxLength: 6 },
  )
  .map((pieces) => pieces.join(''))

/** As the most generous server reads it: decoded as often as it can be, back to front slashes, without parameters. */
function staysBelow(path: string, folder: string): boolean {
  let read = path
  for (let times = 0; times < 3; times++)
    read = read.replaceAll(/%([0-9a-f]{2})/gi, (_all, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
  const segments = read
    .replaceAll('\\', '/')
    .replaceAll(/;[^/]*/g, '')
    .split('/')
  return segments[1] === folder && !segments.includes('..') && !path.startsWith('//')
}

const hostileTarget = fc.tuple(
  fc.constantFrom(
    '/v1/proxy/dealer',
    '/v1/proxy/dealer',
    '/v1/proxy/dealer',
    '/v1/pro%78y/dealer',
    '/v1/proxy/deal%65r',
    '/v1//proxy/dealer',
    `${elsewhere.origin}/v1/proxy/dealer`,
    `${world.url}/v1/proxy/dealer`,
    '/v1/proxy/..',
    '/v1/proxy/%2e%2e',
  ),
  hostilePath,
)

test(`of ${RUNS} hostile requests none reaches another address, takes another path, or brings the token back`, async () => {
  const { accessToken } = await world.connect('other')
  const tokens = [...world.secrets]
  api.does((incoming, response) => void incoming.resume().once('end', () => response.end()))
  const connection = openRawConnection(port)
  let forwarded = 0
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('GET', 'GET', 'POST', 'DELETE', 'OPTIONS', 'TRACE'),
      hostileTarget,
      fc.array(hostileHeader, { maxLength: 3 }),
      async (method, [prefix, path], headers) => {
        const before = api.reached.length
        // What a request line cannot hold would be no request.
        const target = `${prefix}${path}`.replaceAll(/[\s\0]/g, (code) => encodeURIComponent(code))
        const lines = [
          `${method} ${target} HTTP/1.1`,
          `host: 127.0.0.1:${port}`,
          `authorization: Bearer ${caller.key}`,
          ...headers.map(([name, value]) => `${name}: ${value}`),
        ]
        const answer = await connection.exchange(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'utf8'))
        const said = answer === null ? '' : answer.head + answer.body
        for (const secret of tokens) assert.ok(!said.includes(secret), 'a secret came back')
        for (const { target: reached, header, headers: all } of api.reached.slice(before)) {
          forwarded += 1
          const [folder = ''] = reached.split('?', 1)
          assert.ok(staysBelow(folder, 'v2'), reached)
          const authorizations = all.filter(([name]) => name === 'authorization').map(([, value]) => value)
          assert.equal(authorizations.length, 1)
          assert.match(authorizations[0] ?? '', /^Bearer [\w-]+\.[\w-]+\.[\w-]+$/)
          assert.notEqual(authorizations[0], `Bearer ${accessToken}`, 'that is the token of another connection')
          assert.equal(header('host'), new URL(api.origin).host)
          assert.ok(!JSON.stringify(all).includes(caller.key), 'the API saw the key')
        }
        assert.ok(api.reached.length - before <= 1)
      },
    ),
    { numRuns: RUNS, seed: 20_260_603 },
  )
  connection.close()
  assert.deepEqual(elsewhere.reached, [])
  assert.ok(forwarded > RUNS / 50, `${forwarded} were forwarded: nothing was tried`)
  assert.deepEqual(
    world.logged.filter(([level]) => level === 'error'),
    [],
  )
  assert.equal((await proxy.call('/v1/proxy/dealer/x')).status, 200, 'and it goes on')
})

const TOLD: Readonly<Record<NotAnsweredBecause, readonly [status: number, code: string, error: string]>> = {
  dns: [502, 'api_unreachable', 'dns_error'],
  address_refused: [400, 'provider_refused', 'destination_ip_prohibited'],
  refused: [502, 'api_unreachable', 'connection_refused'],
  tls: [502, 'api_unreachable', 'tls_protocol_error'],
  connect_timeout: [502, 'api_unreachable', 'connection_timeout'],
  closed: [502, 'api_no_answer', 'connection_terminated'],
  malformed: [502, 'api_no_answer', 'http_protocol_error'],
  silent: [504, 'api_timeout', 'http_response_timeout'],
  body_late: [408, 'request_timeout', 'http_request_error'],
}

test('why an API did not answer is told to the caller, and counted', async () => {
  const { keep } = world
  let because: NotAnsweredBecause = 'dns'
  // Names and certificates of others cannot be had here: what they come to is tried where the name is looked up.
  const unheard: Tokenkeep = {
    ...keep,
    by: () => unheard,
    forward: async () => ({ kind: 'not_answered', provider: REALM, because }),
  }
  const counted: string[] = []
  const none = (): undefined => undefined
  await using app = createApp({
    keep: unheard,
    settings: { ...HTTP_SETTINGS, ...PATIENT },
    metrics: {
      handOut: (by, outcome) => counted.push(`${by} ${outcome}`),
      answered: none,
      received: none,
      refused: none,
      proxied: (provider, outcome) => counted.push(`${provider} ${outcome}`),
      heard: none,
      expose: () => Promise.resolve({ contentType: '', text: '' }),
    },
    log: { error: none, warn: none, info: none, debug: none },
    clock: systemClock,
    version: '0.0.0',
  })
  const { url } = await app.listen({ host: '127.0.0.1', port: 0 })
  for (const [reason, [status, code, error]] of Object.entries(TOLD)) {
    because = reason as NotAnsweredBecause
    const answer = await proxy.call('/v1/proxy/dealer/x', { url })
    assert.deepEqual([answer.status, answer.code], [status, code])
    assert.equal(answer.headers['proxy-status'], `tokenkeep; error=${error}`)
    if (reason === 'address_refused') assert.match(answer.text, /allowPrivateNetwork: true/)
    assert.deepEqual(counted.splice(0), ['proxy ok', `${REALM} ${reason}`])
  }
})
