import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import test, { type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { ms, type Answer, type NotSent, type ResponseSeen } from '@tokenkeep/core'
import { createSystemClock } from '../src/clock-system.ts'
import { createDial, type DialSetup } from '../src/dial.ts'
import { BODY_BYTES_MAX, Line } from '../src/line.ts'
import { afterRequest, CERTIFICATE, rawServer, type Scheme } from './fixtures/servers.ts'

const clock = createSystemClock()
const SCHEMES: readonly Scheme[] = ['http', 'https']
const BODY = 'grant_type=refresh_token&refresh_token=rt-1'

async function lineTo(url: URL, setup: Partial<DialSetup> = {}): Promise<Line> {
  const dial = createDial({ clock, extraCertificates: [CERTIFICATE], ...setup })
  const line = await dial({ url, method: 'POST', allowPrivateNetwork: true }, ms(5000))
  assert.ok(line instanceof Line, JSON.stringify(line))
  return line
}

/** Sends one request to a server that answers it with these bytes and hangs up. */
async function answered(t: TestContext, scheme: Scheme, answer: string | Buffer): Promise<Answer | NotSent> {
  const url = await rawServer(t, scheme, (socket) => afterRequest(socket, () => socket.end(answer)))
  return (await lineTo(url)).send(() => ({ headers: {}, body: BODY })).ever
}

function response(answer: Answer | NotSent): ResponseSeen {
  assert.equal(answer.kind, 'response', JSON.stringify(answer))
  return answer
}

for (const scheme of SCHEMES) {
  test(`${scheme}: writes the whole request in the tick in which the ticket is taken`, async (t) => {
    const arrived = new Int32Array(new SharedArrayBuffer(4))
    const witness = new Worker(new URL('./fixtures/witness.ts', import.meta.url), {
      workerData: { scheme, arrived, end: BODY },
    })
    t.after(() => witness.terminate())
    const [port] = (await once(witness, 'message')) as [number]
    const line = await lineTo(new URL(`${scheme}://127.0.0.1:${port}/token`))
    const presentation = line.send(() => ({ headers: {}, body: BODY }))
    // This thread stands still here: what has not left by now would wait for its event loop.
    assert.notEqual(Atomics.wait(arrived, 0, 0, 10_000), 'timed-out')
    assert.equal(response(await presentation.ever).body.reveal(), '{}')
  })

  test(`${scheme}: asks for a connection of its own, no compression and nothing else`, async (t) => {
    const seen = Promise.withResolvers<string>()
    const url = await rawServer(t, scheme, (socket) =>
      afterRequest(socket, (request) => {
        seen.resolve(request)
        socket.end('HTTP/1.1 204 No Content\r\n\r\n')
      }),
    )
    url.search = '?tenant=1'
    const answer = await (await lineTo(url)).send(() => ({ headers: { 'X-Test': 'a' }, body: BODY })).ever
    const [head = '', body] = (await seen.promise).split('\r\n\r\n')
    assert.equal(response(answer).status, 204)
    assert.equal(body, BODY)
    assert.deepEqual(head.toLowerCase().split('\r\n').sort(), [
      'accept-encoding: identity',
      'connection: close',
      `content-length: ${BODY.length}`,
      `host: ${url.host}`,
      'post /token?tenant=1 http/1.1',
      'x-test: a',
    ])
  })

  test(`${scheme}: abandoning resets the connection, which a polite close would not`, async (t) => {
    const reached = Promise.withResolvers<undefined>()
    const seen = Promise.withResolvers<string>()
    const server = await rawServer(t, scheme, (socket) => afterRequest(socket, () => reached.resolve(undefined)))
    // Watched below TLS, whose own end of a connection depends on what it was just about to write.
    const wire = await rawServer(t, 'http', (socket) => {
      const upstream = connect(Number(server.port), '127.0.0.1')
      socket.on('data', (chunk) => upstream.write(chunk))
      upstream.on('data', (chunk) => socket.write(chunk))
      socket.on('error', (error: NodeJS.ErrnoException) => seen.resolve(error.code ?? ''))
      socket.on('end', () => seen.resolve('polite close'))
      socket.on('close', () => upstream.destroy())
    })
    wire.protocol = scheme
    const presentation = (await lineTo(wire)).send(() => ({ headers: {}, body: BODY }))
    await reached.promise
    presentation.abandon()
    assert.deepEqual(
      { ...(await presentation.ever), sentAt: null },
      { kind: 'no_answer', because: 'abandoned', sentAt: null },
    )
    assert.match(await seen.promise, /^(ECONNRESET|EPIPE)$/)
  })

  test(`${scheme}: a reset without an answer, and an end without one, are told apart`, async (t) => {
    const reset = await rawServer(t, 'http', (socket) => afterRequest(socket, () => socket.resetAndDestroy()))
    const closed = await rawServer(t, scheme, (socket) => afterRequest(socket, () => socket.end()))
    const because = async (url: URL): Promise<unknown> => {
      const answer = await (await lineTo(url)).send(() => ({ headers: {}, body: BODY })).ever
      return answer.kind === 'no_answer' ? answer.because : answer
    }
    assert.equal(await because(reset), 'reset')
    assert.equal(await because(closed), 'closed')
  })

  test(`${scheme}: a line that ends before anything was written has sent nothing, and no ticket is taken`, async (t) => {
    const accepted: Socket[] = []
    const url = await rawServer(t, scheme, (socket) => accepted.push(socket))
    const line = await lineTo(url)
    while (accepted.length === 0) await sleep(5)
    accepted[0]?.end()
    await sleep(100)
    const presentation = line.send(() => assert.fail('the ticket was taken'))
    assert.deepEqual(await presentation.ever, { kind: 'not_sent', because: 'closed' })
    presentation.abandon()
  })
}

test('past the send limit nothing is written', async (t) => {
  const read: string[] = []
  const ended = Promise.withResolvers<undefined>()
  const url = await rawServer(t, 'http', (socket) => {
    socket.on('data', (chunk: Buffer) => read.push(chunk.toString()))
    socket.on('close', () => ended.resolve(undefined))
  })
  const presentation = (await lineTo(url)).send(() => 'over')
  assert.deepEqual(await presentation.ever, { kind: 'not_sent', because: 'send_limit' })
  await ended.promise
  assert.deepEqual(read, [])
})

test('a line carries one request, and closing it sends none', async (t) => {
  const ended = Promise.withResolvers<undefined>()
  const url = await rawServer(t, 'http', (socket) => {
    socket.resume()
    socket.on('end', () => ended.resolve(undefined))
  })
  const line = await lineTo(url)
  line.close()
  await ended.promise
  assert.throws(() => line.send(() => ({ headers: {}, body: BODY })), /one request/)
})

test('reads status, Retry-After, Date and body, with the moment of sending', async (t) => {
  const before = clock.now()
  const answer = response(
    await answered(
      t,
      'http',
      'HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 4\r\n\r\nbusy',
    ),
  )
  assert.equal(answer.status, 429)
  assert.equal(answer.retryAfter, '7')
  assert.equal(answer.date, 'Thu, 01 Jan 2026 00:00:00 GMT')
  assert.equal(answer.body.reveal(), 'busy')
  assert.equal(answer.complete, true)
  assert.ok(answer.sentAt.mono >= before.mono && answer.sentAt.mono <= clock.now().mono)
})

test('an answer is complete at its announced length, also when the server keeps the connection open', async (t) => {
  const url = await rawServer(t, 'http', (socket) =>
    afterRequest(socket, () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}')),
  )
  assert.equal(response(await (await lineTo(url)).send(() => ({ headers: {}, body: BODY })).ever).complete, true)
})

test('informational answers are skipped', async (t) => {
  const early = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
  const answer = response(await answered(t, 'http', `${early}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}`))
  assert.equal(answer.status, 200)
  assert.equal(answer.body.reveal(), '{}')
})

test('a redirect is an answer like any other', async (t) => {
  const answer = response(await answered(t, 'http', 'HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\n\r\n'))
  assert.equal(answer.status, 307)
})

test('an answer that comes before the request was read is read', async (t) => {
  const url = await rawServer(t, 'http', (socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n'))
  })
  const presentation = (await lineTo(url)).send(() => ({ headers: {}, body: 'a'.repeat(100_000) }))
  assert.equal(response(await presentation.ever).status, 413)
})

test('an answer before the question is not an answer to it', async (t) => {
  const url = await rawServer(t, 'http', (socket) => socket.write('HTTP/1.1 503 Full\r\nContent-Length: 9\r\n\r\nfull'))
  const line = await lineTo(url)
  await sleep(100)
  assert.deepEqual(await line.send(() => assert.fail('the ticket was taken')).ever, {
    kind: 'not_sent',
    because: 'closed',
  })
})

const CUT = [
  [
    'that ends before its announced length',
    'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"refresh_token":"rt-2","acc',
  ],
  [
    'that ends inside a chunk',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"refresh_token":"rt-2","acc',
  ],
] as const
for (const [what, bytes] of CUT) {
  for (const scheme of SCHEMES) {
    test(`${scheme}: a body ${what} is cut, and what came of it is kept`, async (t) => {
      const answer = response(await answered(t, scheme, bytes))
      assert.equal(answer.status, 200)
      assert.equal(answer.complete, false)
      assert.equal(answer.body.reveal(), '{"refresh_token":"rt-2","acc')
    })
  }
}

test('headers and then a reset make a cut answer', async (t) => {
  const url = await rawServer(t, 'http', (socket) =>
    afterRequest(socket, () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a')
      setTimeout(() => socket.resetAndDestroy(), 100)
    }),
  )
  const answer = response(await (await lineTo(url)).send(() => ({ headers: {}, body: BODY })).ever)
  assert.equal(answer.complete, false)
  assert.equal(answer.body.reveal(), '{"a')
})

test('what is not HTTP is malformed, and so are endless headers', async (t) => {
  const because = async (bytes: string): Promise<unknown> => {
    const answer = await answered(t, 'http', bytes)
    return answer.kind === 'no_answer' ? answer.because : answer
  }
  assert.equal(await because('SSH-2.0-OpenSSH_9.6\r\n'), 'malformed')
  assert.equal(await because(`HTTP/1.1 200 OK\r\nX: ${'a'.repeat(100_000)}\r\n\r\n{}`), 'malformed')
})

test('a body of exactly 64 KiB is read, one byte more is cut', async (t) => {
  const body = (length: number): string => `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n${'a'.repeat(length)}`
  const whole = response(await answered(t, 'http', body(BODY_BYTES_MAX)))
  assert.deepEqual([whole.complete, whole.body.reveal().length], [true, BODY_BYTES_MAX])
  const cut = response(await answered(t, 'http', body(BODY_BYTES_MAX + 1)))
  assert.deepEqual([cut.complete, cut.body.reveal().length], [false, BODY_BYTES_MAX])
})

test('an endless body is cut after 64 KiB, and the server is stopped', async (t) => {
  const stopped = Promise.withResolvers<number>()
  const url = await rawServer(t, 'http', (socket) => {
    socket.on('close', () => stopped.resolve(socket.bytesWritten))
    afterRequest(socket, () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n')
      const more = (): void => {
        while (socket.writable && socket.write('a'.repeat(16_384)));
      }
      socket.on('drain', more)
      more()
    })
  })
  const answer = response(await (await lineTo(url)).send(() => ({ headers: {}, body: BODY })).ever)
  assert.deepEqual([answer.complete, answer.body.reveal().length], [false, BODY_BYTES_MAX])
  // Far below the announced 1 GiB: what fits into the buffers in between.
  assert.ok((await stopped.promise) < 100_000_000)
})

test('a body of a byte a second is listened to until it is abandoned; what came of a grant is kept', async (t) => {
  const dripping = Promise.withResolvers<undefined>()
  const url = await rawServer(t, 'http', (socket) =>
    afterRequest(socket, () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{')
      const drip = setInterval(() => socket.write('"', () => dripping.resolve(undefined)), 50)
      socket.on('close', () => clearInterval(drip))
    }),
  )
  const presentation = (await lineTo(url)).send(() => ({ headers: {}, body: BODY }))
  await dripping.promise
  await sleep(100)
  presentation.abandon()
  const answer = response(await presentation.ever)
  assert.equal(answer.complete, false)
  assert.match(answer.body.reveal(), /^\{"/)
})

test('abandoning after the headers of an error, or before any byte of a body, leaves no answer', async (t) => {
  for (const begun of [
    'HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\n{',
    'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n',
  ]) {
    const url = await rawServer(t, 'http', (socket) => afterRequest(socket, () => socket.write(begun)))
    const presentation = (await lineTo(url)).send(() => ({ headers: {}, body: BODY }))
    await sleep(100)
    presentation.abandon()
    const answer = await presentation.ever
    assert.deepEqual([answer.kind, answer.kind === 'no_answer' && answer.because], ['no_answer', 'abandoned'])
  }
})

test('abandoning after a complete answer changes nothing', async (t) => {
  const url = await rawServer(t, 'http', (socket) =>
    afterRequest(socket, () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}')),
  )
  const presentation = (await lineTo(url)).send(() => ({ headers: {}, body: BODY }))
  await presentation.ever
  presentation.abandon()
  assert.equal(response(await presentation.ever).complete, true)
})

const packed = (encoding: string, body: Buffer): Buffer =>
  Buffer.concat([
    Buffer.from(`HTTP/1.1 200 OK\r\nContent-Encoding: ${encoding}\r\nContent-Length: ${body.length}\r\n\r\n`),
    body,
  ])
const JSON_BODY = Buffer.from('{"access_token":"at-ü"}')
const PACKED = [
  ['gzip', gzipSync(JSON_BODY)],
  ['GZIP', gzipSync(JSON_BODY)],
  ['x-gzip', gzipSync(JSON_BODY)],
  ['deflate', deflateSync(JSON_BODY)],
  ['deflate', deflateRawSync(JSON_BODY)],
  ['br', brotliCompressSync(JSON_BODY)],
  ['identity', JSON_BODY],
] as const
test('a body that is compressed although we did not ask for it is read', async (t) => {
  for (const [encoding, body] of PACKED) {
    const answer = response(await answered(t, 'http', packed(encoding, body)))
    assert.deepEqual([encoding, answer.complete, answer.body.reveal()], [encoding, true, JSON_BODY.toString()])
  }
})

test('a compressed body that is broken, unknown, or unpacks to too much counts as cut', async (t) => {
  const bomb = gzipSync(Buffer.alloc(10_000_000))
  for (const [encoding, body] of [
    ['gzip', JSON_BODY],
    ['zstd', JSON_BODY],
    ['gzip', bomb],
  ] as const) {
    const answer = response(await answered(t, 'http', packed(encoding, body)))
    assert.deepEqual([encoding, answer.complete, answer.body.reveal()], [encoding, false, ''])
  }
})

test('a process that is frozen while the answer comes reads it when it thaws', async (t) => {
  const url = await rawServer(t, 'http', (socket) =>
    afterRequest(socket, () => {
      asker.kill('SIGSTOP')
      setTimeout(() => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'), 100)
      setTimeout(() => asker.kill('SIGCONT'), 2000)
    }),
  )
  const file = fileURLToPath(new URL('./fixtures/frozen-asker.ts', import.meta.url))
  const asker = spawn(process.execPath, ['--conditions=tokenkeep-source', file, url.href], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => asker.kill('SIGKILL'))
  let said = ''
  asker.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await once(asker, 'close')
  assert.equal(said.trim(), 'response 200')
})
