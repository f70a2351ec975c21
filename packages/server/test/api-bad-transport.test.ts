/** Bytes that are no request, that come too slowly, or too often: refused clearly, and nobody else is hurt. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import type { MonoMs } from '@tokenkeep/core'
import { networkOf } from '../src/http/caller.ts'
import { createLateness, watchPressure } from '../src/http/pressure.ts'
import { answersIn, speak } from './any-request.ts'
import { askUntil, busyLoop, openApiWorld, systemClock, type ApiServer } from './api-world.ts'
import { codeOf, readAnswer, sameForAll } from './contract.ts'

/** Stands where a secret could stand in a request; in no answer. */
const CANARY = 'kanarienvogel'

const api = await openApiWorld()
after(() => api[Symbol.asyncDispose]())
const { world } = api
await world.connect('dealer-1')
const ids = { id: 'dealer-1' }
const authorization = `Bearer ${world.admin.key}`

/** The answers to these bytes; each must be one of ours. */
async function told(port: number, parts: readonly string[], options?: Parameters<typeof speak>[2]) {
  const { text, ended } = await speak(port, parts, options)
  const answers = answersIn(text)
  for (const answer of answers) if (answer.status >= 200) sameForAll(answer)
  assert.ok(!text.includes(CANARY), `it repeats what was sent: ${text}`)
  return {
    answers,
    ended,
    codes: answers.map((answer) => (answer.text.startsWith('{') ? codeOf(answer) : `${answer.status}`)),
  }
}

// ---- bytes ---------------------------------------------------------------------------------------------------------

const HOST = 'host: 127.0.0.1\r\n'
const AUTHORIZED = `${HOST}authorization: ${authorization}\r\n`
/** What must not be taken for a request of its own. */
const HIDDEN = `GET /readyz HTTP/1.1\r\n${HOST}\r\n`
const BYTES: Readonly<Record<string, readonly [bytes: string, codes: readonly string[]]>> = {
  'length and chunks': [
    `POST /v1/keys HTTP/1.1\r\n${AUTHORIZED}content-length: ${HIDDEN.length + 5}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
    ['400 malformed_request'],
  ],
  'chunks and another coding': [
    `POST /v1/keys HTTP/1.1\r\n${AUTHORIZED}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n${HIDDEN}`,
    ['400 malformed_request'],
  ],
  'a coding that looks like chunks': [
    `POST /v1/keys HTTP/1.1\r\n${AUTHORIZED}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
    ['400 malformed_request'],
  ],
  'a space before the colon': [
    `POST /v1/keys HTTP/1.1\r\n${AUTHORIZED}transfer-encoding : chunked\r\ncontent-length: 0\r\n\r\n${HIDDEN}`,
    ['400 malformed_request'],
  ],
  'chunks in HTTP/1.0': [
    `POST /v1/keys HTTP/1.0\r\n${AUTHORIZED}transfer-encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
    ['400 malformed_request'],
  ],
  'two lengths': [
    `POST /v1/keys HTTP/1.1\r\n${AUTHORIZED}content-length: 0\r\ncontent-length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
    ['400 malformed_request'],
  ],
  'a length with a sign': [
    `POST /v1/keys HTTP/1.1\r\n${AUTHORIZED}content-length: +3\r\n\r\nabc${HIDDEN}`,
    ['400 malformed_request'],
  ],
  'a length in hexadecimal': [
    `POST /v1/keys HTTP/1.1\r\n${AUTHORIZED}content-length: 0x3\r\n\r\nabc${HIDDEN}`,
    ['400 malformed_request'],
  ],
  'a length beyond all numbers': [
    `POST /v1/keys HTTP/1.1\r\n${AUTHORIZED}content-length: 99999999999999999999\r\n\r\n${HIDDEN}`,
    ['400 malformed_request'],
  ],
  'a chunk that is none': [
    `POST /v1/keys HTTP/1.1\r\n${AUTHORIZED}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n${HIDDEN}`,
    ['400 malformed_request'],
  ],
  'a chunk with an endless extension': [
    `POST /v1/keys HTTP/1.1\r\n${AUTHORIZED}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2;${'e'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`,
    ['400 malformed_request'],
  ],
  'a folded header': [`GET /healthz HTTP/1.1\r\n${HOST}x-a: ${CANARY}\r\n b\r\n\r\n`, ['400 malformed_request']],
  'a NUL in a header': [`GET /healthz HTTP/1.1\r\n${HOST}x-a: ${CANARY}\0\r\n\r\n`, ['400 malformed_request']],
  'line feeds alone': [`GET /healthz HTTP/1.1\nhost: 127.0.0.1\n\n`, ['400 malformed_request']],
  'no HTTP': [`${CANARY}\r\n\r\n`, ['400 malformed_request']],
  'no version': ['GET /healthz\r\n\r\n', ['400 malformed_request']],
  'a version of the future': [`GET /healthz HTTP/3.0\r\n${HOST}\r\n`, ['400 malformed_request']],
  'the preface of HTTP/2': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ['400 malformed_request']],
  'the greeting of TLS': ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', ['400 malformed_request']],
  'huge headers': [`GET /healthz HTTP/1.1\r\n${HOST}x-a: ${CANARY.repeat(2000)}\r\n\r\n`, ['431 headers_too_large']],
  'very many headers': [`GET /healthz HTTP/1.1\r\n${HOST}${'a: b\r\n'.repeat(5000)}\r\n`, ['431 headers_too_large']],
  'a huge target': [`GET /${CANARY.repeat(2000)} HTTP/1.1\r\n${HOST}\r\n`, ['431 headers_too_large']],
  'a tunnel': [`CONNECT evil.example:443 HTTP/1.1\r\n${HOST}\r\n`, ['405 method_not_allowed']],
  'another protocol': [
    `GET /healthz HTTP/1.1\r\n${HOST}connection: upgrade, close\r\nupgrade: websocket\r\n\r\n`,
    ['200'],
  ],
  'requests before one that is none': [
    `GET /healthz HTTP/1.1\r\n${HOST}\r\n${HIDDEN}${CANARY}\r\n\r\n`,
    ['200', '200'],
  ],
  'an unheard expectation': [
    `POST /v1/keys HTTP/1.1\r\n${HOST}expect: ${CANARY}\r\nconnection: close\r\n\r\n`,
    ['401 unauthorized'],
  ],
  'no host': ['GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n', ['400 malformed_request']],
  'no host, as long ago': ['GET /healthz HTTP/1.0\r\n\r\n', ['400 malformed_request']],
  'HTTP/1.0': [`GET /healthz HTTP/1.0\r\n${HOST}\r\n`, ['200']],
  'the absolute form': [`GET http://127.0.0.1/healthz HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`, ['200']],
  'the absolute form, another method': [
    `DELETE http://127.0.0.1/healthz HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`,
    ['405 method_not_allowed'],
  ],
  'the absolute form of elsewhere': [
    `GET http://evil.example/v1/keys HTTP/1.1\r\n${AUTHORIZED}connection: close\r\n\r\n`,
    ['421 host_refused'],
  ],
  'the absolute form of a user elsewhere': [
    `GET http://127.0.0.1@evil.example/v1/keys HTTP/1.1\r\n${AUTHORIZED}connection: close\r\n\r\n`,
    ['421 host_refused'],
  ],
  'an unreadable path of elsewhere': [
    'GET /%zz HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n',
    ['421 host_refused'],
  ],
  'two keys': [
    `GET /v1/keys HTTP/1.1\r\n${AUTHORIZED}authorization: Bearer ${CANARY}\r\nconnection: close\r\n\r\n`,
    ['401 unauthorized'],
  ],
  'a body with a GET': [
    `GET /v1/providers HTTP/1.1\r\n${AUTHORIZED}content-length: ${HIDDEN.length}\r\n\r\n${HIDDEN}GET /healthz HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`,
    ['200', '200'],
  ],
}
test('bytes that are no request of HTTP, or two of them for somebody else, are one refusal and the end', async () => {
  for (const [what, [bytes, codes]] of Object.entries(BYTES)) {
    const { codes: got, ended } = await told(api.port, [bytes])
    assert.deepEqual(got, codes, what)
    assert.ok(ended, `${what}: the connection ends`)
  }
})

test('a body that is too large is refused, said or found to be so, and the connection ends', async () => {
  const big = `{"id":"${'x'.repeat(70_000)}"}`
  const head = `POST /v1/connections HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: ${authorization}\r\ncontent-type: application/json\r\n`
  const chunked = await told(api.port, [
    `${head}transfer-encoding: chunked\r\n\r\n${big.length.toString(16)}\r\n${big}\r\n0\r\n\r\n`,
  ])
  assert.deepEqual(chunked, { ...chunked, codes: ['413 body_too_large'], ended: true })
  const boast = await told(api.port, [`${head}content-length: 9999999999\r\n\r\n`])
  assert.deepEqual(boast, { ...boast, codes: ['413 body_too_large'], ended: true })
})

test('a refusal is never taken for the answer of an earlier request on the same connection', async () => {
  await world.connectExpired('slowly')
  await world.upstream.control.addFault({ fault: { kind: 'delay', ms: 200 }, when: 'before', times: 1 })
  const first = `GET /v1/connections/slowly/token HTTP/1.1\r\n${AUTHORIZED}\r\n`
  const { codes, ended } = await told(api.port, [first, `${CANARY}\r\n\r\n`], { pauseMs: 50 })
  assert.deepEqual([codes, ended], [['200'], true])
  const { codes: after } = await told(api.port, [`GET /healthz HTTP/1.1\r\n${HOST}\r\n`, `${CANARY}\r\n\r\n`], {
    pauseMs: 50,
  })
  assert.deepEqual(after, ['200', '400 malformed_request'], 'once it is answered, the next may be refused')
})

test('a client that asks for a tunnel and is gone, or never closes its end, harms nobody', async () => {
  const ask = `CONNECT a:443 HTTP/1.1\r\n${HOST}\r\n`
  for (let time = 0; time < 20; time += 1) {
    const socket = connect({ port: api.port, host: '127.0.0.1' })
    socket.on('error', () => undefined)
    socket.write(ask)
    await sleep(time)
    socket.resetAndDestroy()
  }
  // Half open: it reads the answer to its end and keeps its own end.
  const stays = connect({ port: api.port, host: '127.0.0.1', allowHalfOpen: true })
  stays.on('error', () => undefined)
  const closed = new Promise((resolve) => stays.once('close', resolve))
  stays.resume().write(ask)
  // Whoever writes to what the other side has ended hears that it is gone.
  const knocking = setInterval(() => void stays.write('x'), 200)
  await closed
  clearInterval(knocking)
  assert.equal((await api.send({ target: '/healthz' })).status, 200)
})

// ---- slowness ------------------------------------------------------------------------------------------------------

test('whoever sends too slowly is cut off; a request that only waits for its answer is not', async () => {
  const server = await api.serve({ requestTimeoutMs: 300 })
  const head = `POST /v1/keys HTTP/1.1\r\n${AUTHORIZED}content-type: application/json\r\ncontent-length: 50\r\n`
  const slow: Readonly<Record<string, readonly string[]>> = {
    nothing: [''],
    'half a line': ['GET /hea'],
    'half a head': [`GET /healthz HTTP/1.1\r\n${HOST}`],
    'half a body': [`${head}\r\n{"name":`],
    'a head in drops': [...`GET /healthz HTTP/1.1\r\n${HOST}x-a: ${'b'.repeat(200)}`],
    'a body in drops': [`${head}\r\n`, ...'{"name":"x"'],
    'a second request that does not end': [`GET /healthz HTTP/1.1\r\n${HOST}\r\n`, 'GET /hea'],
  }
  await world.connectExpired('patient')
  await world.upstream.control.addFault({ fault: { kind: 'delay', ms: 1500 }, when: 'before', times: 1 })
  const waiting = server.ask('getToken', { ids: { id: 'patient' } })
  const heard = Object.entries(slow).map(async ([what, parts]) => {
    const { codes, ended } = await told(server.port, parts, { pauseMs: 40, waitMs: 10_000 })
    assert.ok(ended, `${what}: nobody waits for it for ever`)
    assert.deepEqual(
      codes.filter((code) => code !== '200' && code !== '408 request_timeout'),
      [],
      what,
    )
  })
  for (let at = 0; at < 5; at += 1)
    assert.equal(codeOf(await server.ask('listProviders')), '200', 'others are served meanwhile')
  await Promise.all(heard)
  assert.equal(codeOf(await waiting), '200')
})

const fixture = (name: string) =>
  readFileSync(new URL(`../../node/test/fixtures/localhost-${name}.pem`, import.meta.url))

test('with TLS, whoever does not speak it, or says nothing, is cut off', async () => {
  const tls = { cert: fixture('certificate'), key: fixture('key') }
  const { port } = await api.serve({ requestTimeoutMs: 300 }, { tls })
  for (const bytes of ['', '\x16\x03\x01', `GET /healthz HTTP/1.1\r\n${HOST}\r\n`])
    assert.deepEqual(await told(port, [bytes], { waitMs: 10_000 }), { answers: [], codes: [], ended: true })
  const secure = connectTls({ port, host: '127.0.0.1', ca: tls.cert, servername: 'localhost' })
  const [chunk] = (await once(secure.end(`${CANARY}\r\n\r\n`), 'data')) as [Buffer]
  assert.deepEqual(answersIn(chunk.toString('latin1')).map(codeOf), ['400 malformed_request'])
})

test('whoever goes away in the middle, or never reads, hurts nobody', async () => {
  const leave = (bytes: string) =>
    new Promise<void>((resolve) => {
      const socket: Socket = connect(api.port, '127.0.0.1', () => socket.write(bytes, () => socket.resetAndDestroy()))
      socket.on('error', () => undefined).on('close', () => resolve())
    })
  const token = `GET /v1/connections/dealer-1/token HTTP/1.1\r\n${AUTHORIZED}\r\n`
  await Promise.all(Array.from({ length: 50 }, () => leave(token)))
  await Promise.all(Array.from({ length: 50 }, () => leave(token.slice(0, 60))))
  const deaf = connect(api.port, '127.0.0.1', () => deaf.pause().write(token.repeat(500)))
  assert.equal(codeOf(await api.ask('getToken', { ids })), '200')
  deaf.destroy()
})

// ---- too much ------------------------------------------------------------------------------------------------------

test('a flood of wrong keys is told to wait; good callers from the same address are served, new ones too', async () => {
  const server = await api.serve({ wrongKeysPerMinute: 20 })
  const wrong = (at: number) => server.ask('getToken', { ids, key: `tkk_${String(at).padStart(43, 'A')}` })
  const flood = Array.from({ length: 200 }, (_, at) => wrong(at))
  const { key } = await api.key(['token:read'])
  const good = await Promise.all(
    Array.from({ length: 50 }, (_, at) => server.ask('getToken', { ids, key: at % 2 === 0 ? key : world.admin.key })),
  )
  assert.deepEqual([...new Set(good.map(codeOf))], ['200'])
  const answers = await Promise.all(flood)
  const counts = Object.groupBy(answers, codeOf)
  assert.deepEqual([counts['401 unauthorized']?.length, counts['429 rate_limited']?.length], [20, 180])
  const seconds = Number(counts['429 rate_limited']?.[0]?.headers['retry-after'])
  assert.ok(seconds >= 1 && seconds <= 60)
  assert.equal(codeOf(await server.ask('getToken', { ids, key: CANARY })), '429 rate_limited', 'of whatever form')
  const { key: fresh } = await api.key(['token:read'])
  assert.equal(codeOf(await server.ask('getToken', { ids, key: fresh })), '200', 'a key that nobody has used yet')
})

test('behind a proxy that is trusted, wrong keys count for whom it names; nobody else can name another', async () => {
  const wrong = async (server: ApiServer, from: string, times: number) => {
    const codes: string[] = []
    for (let at = 0; at < times; at += 1)
      codes.push(codeOf(await server.ask('getToken', { ids, key: CANARY, headers: { 'x-forwarded-for': from } })))
    return codes.map((code) => code.slice(0, 3)).join(' ')
  }
  const behind = await api.serve({ wrongKeysPerMinute: 2, trustedProxies: ['127.0.0.1'] })
  assert.equal(await wrong(behind, '203.0.113.1', 3), '401 401 429')
  assert.equal(await wrong(behind, '203.0.113.2', 2), '401 401')
  assert.equal(await wrong(behind, '203.0.113.9, 203.0.113.1', 1), '429', 'the last one is whom the proxy saw')
  const alone = await api.serve({ wrongKeysPerMinute: 2 })
  assert.equal(await wrong(alone, '203.0.113.1', 2), '401 401')
  assert.equal(await wrong(alone, '203.0.113.2', 1), '429')
})

test('an address counts with its network, however it is written', () => {
  for (const [address, network] of [
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '::ffff:203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8:1:2::6', '2001:db8:1:2'],
    ['2001:db8::a:b:c:d', '2001:db8:0:0'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
  ] as const)
    assert.equal(networkOf(address), network, address)
})

test('one caller can ask so often and no oftener; others are not slowed', async () => {
  const server = await api.serve({ callerRequestsPer10s: 10 })
  const { key } = await api.key(['token:read', 'connections:read'])
  const ask = (at: number) =>
    at % 2 === 0 ? server.ask('getToken', { ids, key }) : server.ask('getConnection', { ids, key })
  const answers = await Promise.all(Array.from({ length: 30 }, (_, at) => ask(at)))
  const counts = Object.groupBy(answers, codeOf)
  assert.deepEqual([counts['200']?.length, counts['429 rate_limited']?.length], [10, 20])
  const seconds = Number(counts['429 rate_limited']?.[0]?.headers['retry-after'])
  assert.ok(seconds >= 1 && seconds <= 10)
  assert.equal(codeOf(await server.ask('getToken', { ids })), '200')
})

test('a server that cannot keep up refuses new work, still says how it is, and recovers by itself', async () => {
  const server = await api.serve({ eventLoopDelayMsMax: 50 })
  assert.equal(codeOf(await server.ask('getToken', { ids })), '200')
  const ask = () => server.ask('getToken', { ids })
  {
    using _busy = busyLoop()
    const shed = await askUntil(503, ask)
    assert.equal(codeOf(shed), '503 overloaded')
    assert.equal(readAnswer(shed).body['retryable'], true)
    for (const target of ['/healthz', '/readyz', '/metrics']) assert.equal((await server.send({ target })).status, 200)
  }
  assert.equal(codeOf(await askUntil(200, ask)), '200')
})

/** Each window half a second long unless it is longer than that: the delay that it met, milliseconds. */
const verdictsOn = (...delays: readonly number[]): readonly boolean[] => {
  const lateness = createLateness(1_000)
  let from = 0
  return delays.map((delay) => {
    const to = from + Math.max(500, delay)
    const verdict = lateness.isLoad(delay, { from: from as MonoMs, to: to as MonoMs })
    from = to
    return verdict
  })
}

const QUIET_5_S = Array<number>(10).fill(3)
for (const [what, delays, last] of [
  ['a process that was stopped for a minute, once', [3, 60_000], false],
  ['what follows it', [60_000, 3], false],
  ['one that was stopped twice, with quiet between', [60_000, ...QUIET_5_S, 3, 60_000], false],
  ['the most that is allowed, again and again', [1_000, 1_000, 1_000], false],
  ['a long turn after a long one', [1_001, 1_001], true],
  ['very long turns one after another', [20_000, 20_000], true],
  ['long turns with short ones between', [2_000, 3, 3, 2_000], true],
  ['the same as far apart as counts', [2_000, ...QUIET_5_S, 2_000], true],
  ['a quiet half second after that', [2_000, 2_000, 3], false],
  ['nothing measured at all', [2_000, Number.NaN], false],
] as const) {
  test(`${what}: ${last ? 'more than can be done' : 'no load'}`, () => {
    assert.equal(verdictsOn(...delays).at(-1), last)
  })
}

test('long turns are not hidden by many short ones', async () => {
  const pressure = watchPressure(50, systemClock)
  const deadline = Date.now() + 5_000
  let shed = false
  while (!shed && Date.now() < deadline) {
    const until = performance.now() + 200
    while (performance.now() < until);
    const quietUntil = performance.now() + 300
    while (!shed && performance.now() < quietUntil) {
      await sleep(20)
      try {
        pressure.check()
      } catch {
        shed = true
      }
    }
  }
  pressure.stop()
  assert.ok(shed)
})

test('nothing of it was logged, and nothing was a mistake of ours', () => {
  assert.doesNotMatch(api.logged(), new RegExp(`${CANARY}|${world.admin.key}|"level":"(error|fatal)"`))
})
