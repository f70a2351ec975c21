/** What a call through the proxy does while it lasts: both ways at once, and every way in which it can end. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { after, test, type TestContext } from 'node:test'
import { demanding, open, openProxyWorld, REALM, startApi, type ProxyWorld } from './proxy-world.ts'

const proxy = await openProxyWorld()
after(() => proxy[Symbol.asyncDispose]())
const { api, world, call, caller } = proxy

const opened = (target: string, asking: Parameters<typeof open>[1] | object = {}) => {
  const answered = Promise.withResolvers<IncomingMessage>()
  const outgoing = open(target, { url: world.url, key: caller.key, ...asking }, answered.resolve)
  outgoing.on('error', answered.reject)
  answered.promise.catch(() => undefined)
  return { outgoing, answered: answered.promise }
}

const nextPart = async (incoming: IncomingMessage): Promise<string> => {
  for (;;) {
    const part: unknown = incoming.read()
    if (part !== null) return String(part)
    await once(incoming, 'readable')
  }
}

/** Everything of a body that comes, and whether it came to its end. */
async function read(incoming: IncomingMessage): Promise<{ readonly text: string; readonly whole: boolean }> {
  let text = ''
  try {
    for await (const part of incoming) text += String(part)
    return { text, whole: incoming.complete }
  } catch {
    return { text, whole: false }
  }
}

const until = async (met: () => boolean, what: string): Promise<void> => {
  for (let tries = 0; !met(); tries++) {
    assert.ok(tries < 1000, `never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Long before anything would end by itself. */
const soon = async <Value>(promise: Promise<Value>): Promise<Value> => {
  const late = new Promise<never>((_resolve, reject) => setTimeout(() => reject(new Error('not soon')), 20_000).unref())
  return Promise.race([promise, late])
}

// ---- streams -------------------------------------------------------------------------------------------------------

test('a part of an answer arrives before the next one is made, and the head before any of them', async () => {
  const asked = Promise.withResolvers<ServerResponse>()
  api.does((_incoming, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    asked.resolve(response)
  })
  const { outgoing, answered } = opened('/v1/proxy/dealer/events')
  outgoing.end()
  const incoming = await answered
  assert.equal(incoming.statusCode, 200)
  const response = await asked.promise
  for (const part of ['data: 1\n\n', 'data: 2\n\n', 'data: 3\n\n']) {
    response.write(part)
    assert.equal(await nextPart(incoming), part)
  }
  response.end()
  incoming.resume()
  await once(incoming, 'end')
  assert.ok(incoming.complete)
})

test('a part of a body arrives before the next one is sent, and the answer may come meanwhile', async () => {
  const asked = Promise.withResolvers<readonly [IncomingMessage, ServerResponse]>()
  api.does((incoming, response) => asked.resolve([incoming, response]))
  const { outgoing, answered } = opened('/v1/proxy/dealer/files', { method: 'POST' })
  outgoing.write('one')
  const [body, response] = await asked.promise
  assert.equal(await nextPart(body), 'one')
  response.write('got one')
  const incoming = await answered
  assert.equal(await nextPart(incoming), 'got one')
  outgoing.write('two')
  assert.equal(await nextPart(body), 'two')
  response.write('got two')
  assert.equal(await nextPart(incoming), 'got two')
  outgoing.end()
  body.resume()
  await once(body, 'end')
  response.end()
  assert.deepEqual(await read(incoming), { text: '', whole: true })
})

/** Writes until nobody takes more, or for 64 MiB. */
async function fill(to: ServerResponse | ReturnType<typeof open>): Promise<number> {
  let bytes = 0
  const part = Buffer.alloc(64 * 1024, 'x')
  for (; bytes < 64 * 1024 * 1024; bytes += part.length) {
    if (to.write(part)) continue
    const drained = once(to, 'drain').then(() => true)
    const stuck = new Promise<false>((resolve) => setTimeout(() => resolve(false), 300))
    if (!(await Promise.race([drained, stuck]))) break
  }
  return bytes
}

test('whoever reads slowly slows down who writes: nothing piles up between them', async () => {
  const asked = Promise.withResolvers<readonly [IncomingMessage, ServerResponse]>()
  api.does((incoming, response) => asked.resolve([incoming, response]))
  const { outgoing, answered } = opened('/v1/proxy/dealer/large', { method: 'POST' })
  outgoing.flushHeaders()
  const sent = await fill(outgoing)
  assert.ok(sent < 32 * 1024 * 1024, `an API that reads nothing was sent ${sent} bytes`)
  const [, response] = await asked.promise
  const answeredBytes = await fill(response)
  assert.ok(answeredBytes < 32 * 1024 * 1024, `a caller that reads nothing was answered ${answeredBytes} bytes`)
  const incoming = await answered
  incoming.destroy()
})

test('a body is sent for longer than a request of this server may take to arrive', async () => {
  await using slow = await openProxyWorld({ settings: { requestTimeoutMs: 1000 } })
  slow.api.does((incoming, response) => incoming.resume().once('end', () => response.end('all of it')))
  const answered = Promise.withResolvers<IncomingMessage>()
  const asking = { url: slow.world.url, key: slow.caller.key, method: 'POST' }
  const outgoing = open('/v1/proxy/dealer/x', asking, answered.resolve)
  for (let parts = 0; parts < 25; parts++) {
    outgoing.write('part')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  outgoing.end()
  assert.deepEqual(await read(await answered.promise), { text: 'all of it', whole: true })
})

test('a caller that expects to be told to go on is, and the API is not asked to', async () => {
  api.does((incoming, response) => incoming.resume().once('end', () => response.end()))
  const { outgoing, answered } = opened('/v1/proxy/dealer/x', { method: 'PUT', headers: { expect: '100-continue' } })
  outgoing.flushHeaders()
  await once(outgoing, 'continue')
  outgoing.end('body')
  assert.equal((await answered).statusCode, 200)
  assert.equal(api.reached.at(-1)?.header('expect'), undefined)
})

// ---- a 401 ---------------------------------------------------------------------------------------------------------

test('after a 401 the token is refreshed once, and the request made once more, its body too', async () => {
  for (const [id, method, body] of [
    ['bare', 'GET', undefined],
    ['small', 'POST', 'order 7'],
    ['just', 'POST', 'x'.repeat(64 * 1024)],
  ] as const) {
    const { accessToken: first } = await world.connect(id)
    const bodies: string[] = []
    let living = 'nobody'
    api.does((incoming, response) => {
      let text = ''
      incoming.on('data', (part: Buffer) => (text += part.toString()))
      incoming.once('end', () => {
        bodies.push(text)
        const sent = incoming.headers.authorization ?? ''
        living = sent
        response.writeHead(sent === `Bearer ${first}` ? 401 : 200).end('the answer')
      })
    })
    const before = api.reached.length
    const answer = await call(`/v1/proxy/${id}/x`, { method, ...(body === undefined ? {} : { body }) })
    assert.deepEqual([answer.status, answer.text], [200, 'the answer'])
    const [one, two, ...more] = api.reached.slice(before).map(({ header }) => header('authorization'))
    assert.equal(one, `Bearer ${first}`)
    assert.notEqual(two, one)
    assert.equal(living, two)
    assert.deepEqual(more, [])
    assert.deepEqual(bodies, [body ?? '', body ?? ''])
    const told = world.events.filter((event) => 'connection' in event && event.connection === id)
    assert.deepEqual(
      told.map(({ type }) => type),
      ['connection_imported', 'access_token_rejected', 'refreshed'],
    )
  }
})

test('an API that answers 401 before it has read the body gets the whole of it the second time', async () => {
  const { accessToken: first } = await world.connect('early')
  const bodies: string[] = []
  api.does((incoming, response) => {
    if (incoming.headers.authorization === `Bearer ${first}`) {
      response.writeHead(401).end()
      return
    }
    let text = ''
    incoming.on('data', (part: Buffer) => (text += part.toString()))
    incoming.once('end', () => {
      bodies.push(text)
      response.end('done')
    })
  })
  const { outgoing, answered } = opened('/v1/proxy/early/x', { method: 'POST' })
  outgoing.write('one, ')
  await until(
    () =>
      api.reached.at(-1)?.header('authorization') !== `Bearer ${first}` &&
      bodies.length === 0 &&
      world.events.some((event) => event.type === 'refreshed' && event.connection === 'early'),
    'asked again',
  )
  outgoing.write('two, ')
  outgoing.end('three')
  assert.deepEqual(await read(await answered), { text: 'done', whole: true })
  assert.deepEqual(bodies, ['one, two, three'])
})

test('a second 401 is handed on, with what it says and without the token', async () => {
  const { accessToken: first } = await world.connect('never')
  api.does(
    demanding(
      () => 'nobody',
      () => undefined,
    ),
  )
  const before = api.reached.length
  const answer = await call('/v1/proxy/never/x')
  assert.deepEqual([answer.status, answer.text], [401, 'who are you'])
  assert.equal(answer.headers['www-authenticate'], 'Bearer error="invalid_token"')
  assert.equal(answer.headers['proxy-status'], 'tokenkeep; received-status=401')
  const tokens = api.reached.slice(before).map(({ header }) => header('authorization'))
  assert.equal(tokens.length, 2)
  assert.ok(!JSON.stringify([answer.text, answer.rawHeaders]).includes(first))
  // No third one: the API refuses what a refresh brought, too.
  await call('/v1/proxy/never/x')
  assert.equal(new Set(api.reached.slice(before).map(({ header }) => header('authorization'))).size, 2)
})

test('a body that is too large to keep is sent once: the 401 is handed on, and the next call has another token', async () => {
  const { accessToken: first } = await world.connect('heavy')
  api.does((incoming, response) => {
    incoming.resume().once('end', () => {
      response.writeHead(incoming.headers.authorization === `Bearer ${first}` ? 401 : 200).end()
    })
  })
  const before = api.reached.length
  const body = Buffer.alloc(64 * 1024 + 1, 'x')
  assert.equal((await call('/v1/proxy/heavy/x', { method: 'POST', body })).status, 401)
  assert.equal(api.reached.length, before + 1)
  assert.equal((await call('/v1/proxy/heavy/x', { method: 'POST', body })).status, 200)
  assert.notEqual(api.reached.at(-1)?.header('authorization'), `Bearer ${first}`)
})

test('a 403 is the answer: another token would have the same scope', async () => {
  api.does((_incoming, response) => response.writeHead(403).end())
  const before = api.reached.length
  assert.equal((await call('/v1/proxy/dealer/x')).status, 403)
  assert.equal(api.reached.length, before + 1)
})

// ---- ends ----------------------------------------------------------------------------------------------------------

test('a caller that goes away ends the call at the API, before and during the answer', async () => {
  for (const answers of [false, true]) {
    const asked = Promise.withResolvers<ServerResponse>()
    const ended = Promise.withResolvers<undefined>()
    api.does((incoming, response) => {
      incoming.resume()
      if (answers) response.write('the beginning')
      response.once('close', () => ended.resolve(undefined))
      asked.resolve(response)
    })
    const { outgoing, answered } = opened('/v1/proxy/dealer/long')
    outgoing.end()
    await asked.promise
    if (answers) await nextPart(await answered)
    outgoing.destroy()
    await soon(ended.promise)
  }
  await until(() => world.counted.includes(`proxied ${REALM} caller_left`), 'counted')
})

test('a caller that goes away in the middle of its body leaves no request behind that looks whole', async () => {
  const ended = Promise.withResolvers<boolean>()
  const began = Promise.withResolvers<undefined>()
  api.does((incoming) => {
    incoming.once('data', () => began.resolve(undefined))
    incoming.once('close', () => ended.resolve(incoming.complete))
    incoming.on('error', () => undefined)
  })
  const { outgoing } = opened('/v1/proxy/dealer/x', { method: 'POST' })
  outgoing.write('half of ')
  await began.promise
  outgoing.destroy()
  assert.equal(await ended.promise, false)
})

test('an API that breaks off in the middle breaks the answer, so that nobody takes a half for the whole', async () => {
  for (const headers of [{}, { 'content-length': '1000' }]) {
    api.does((_incoming, response) => {
      response.writeHead(200, headers)
      response.write('half of ', () => response.socket?.destroy())
    })
    const { outgoing, answered } = opened('/v1/proxy/dealer/x')
    outgoing.end()
    assert.deepEqual(await read(await answered), { text: 'half of ', whole: false })
  }
  await until(() => world.counted.includes(`proxied ${REALM} broken_off`), 'counted')
})

const unanswered = async (at: ProxyWorld, more: Parameters<typeof call>[1] = {}) => {
  const answer = await at.call('/v1/proxy/dealer/x', more)
  const body = JSON.parse(answer.text) as { readonly code: string; readonly retryable: boolean }
  return [answer.status, body.code, body.retryable, answer.headers['proxy-status']]
}

/** A server that does this with each connection. */
async function rawApi(t: TestContext, talk: (socket: Socket) => void): Promise<string> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => undefined))
    talk(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const pointed = async (at: ProxyWorld, base: string): Promise<void> => {
  const { upstream, keep } = at.world
  await keep.providers.put({ id: REALM, preset: 'keycloak', issuer: upstream.issuer(REALM), apiBaseUrls: [base] })
}

test('an API that cannot be reached, says nothing understandable, or nothing at all, is told apart', async (t) => {
  await using strict = await openProxyWorld({ settings: { proxyIdleMs: 300 } })
  const { api: closed } = { api: await startApi() }
  await closed[Symbol.asyncDispose]()
  await pointed(strict, closed.origin)
  assert.deepEqual(await unanswered(strict), [502, 'api_unreachable', true, 'tokenkeep; error=connection_refused'])

  await pointed(strict, 'https://tokenkeep-does-not-exist.invalid')
  assert.deepEqual(await unanswered(strict), [502, 'api_unreachable', true, 'tokenkeep; error=dns_error'])

  const bytes = async (talk: (socket: Socket) => void) => pointed(strict, await rawApi(t, talk))
  const says = (text: string) => bytes((socket) => socket.once('data', () => socket.end(text)))
  const noHttp = [502, 'api_no_answer', false, 'tokenkeep; error=http_protocol_error']
  await says('220 mail.example ESMTP\r\n')
  assert.deepEqual(await unanswered(strict), noHttp)
  await says(`HTTP/1.1 200 OK\r\n${'x-a: b\r\n'.repeat(5000)}\r\n`)
  assert.deepEqual(await unanswered(strict), noHttp)
  await says('HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc')
  assert.deepEqual(await unanswered(strict), noHttp)
  const ended = [502, 'api_no_answer', false, 'tokenkeep; error=connection_terminated']
  await says('')
  assert.deepEqual(await unanswered(strict), ended)
  await says('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')
  assert.deepEqual(await unanswered(strict), ended)

  await bytes((socket) => socket.resume())
  const silent = [504, 'api_timeout', false, 'tokenkeep; error=http_response_timeout']
  assert.deepEqual(await unanswered(strict), silent)
  assert.deepEqual(await unanswered(strict, { method: 'POST', body: 'whole' }), silent)
  await bytes((socket) => socket.pause())
  assert.deepEqual(await unanswered(strict, { method: 'POST', body: Buffer.alloc(20_000_000) }), silent)
})

test('a caller whose body does not go on is told so, and not that the API is slow', async () => {
  await using strict = await openProxyWorld({ settings: { proxyIdleMs: 300 } })
  strict.api.does((incoming) => incoming.resume())
  const answered = Promise.withResolvers<IncomingMessage>()
  const headers = { connection: 'keep-alive' }
  const asking = { url: strict.world.url, key: strict.caller.key, method: 'POST', headers }
  const outgoing = open('/v1/proxy/dealer/x', asking, answered.resolve)
  outgoing.write('half of ')
  const incoming = await answered.promise
  assert.equal(incoming.statusCode, 408)
  assert.equal(incoming.headers.connection, 'close')
  outgoing.on('error', () => undefined).destroy()
})

test('an answer that does not go on is broken off', async () => {
  await using strict = await openProxyWorld({ settings: { proxyIdleMs: 300 } })
  strict.api.does((_incoming, response) => void response.write('half of '))
  const answered = Promise.withResolvers<IncomingMessage>()
  open('/v1/proxy/dealer/x', { url: strict.world.url, key: strict.caller.key }, answered.resolve).end()
  assert.deepEqual(await read(await answered.promise), { text: 'half of ', whole: false })
})

// ---- connections to the API ----------------------------------------------------------------------------------------

/** Answers each request on a connection, as many as it is asked. */
const answering = (socket: Socket, count: () => void): void => {
  socket.on('data', (chunk: Buffer) => {
    if (!chunk.toString('latin1').includes('\r\n\r\n')) return
    count()
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
  })
}

test('a connection is kept for what may be repeated; what may not has one of its own', async (t) => {
  await using kept = await openProxyWorld()
  let connections = 0
  await pointed(
    kept,
    await rawApi(t, (socket) => {
      connections += 1
      answering(socket, () => undefined)
    }),
  )
  for (let calls = 0; calls < 3; calls++) assert.equal((await kept.call('/v1/proxy/dealer/x')).status, 200)
  assert.equal(connections, 1)
  for (let calls = 0; calls < 2; calls++) {
    assert.equal((await kept.call('/v1/proxy/dealer/x', { method: 'POST', body: 'x' })).status, 200)
  }
  assert.equal(connections, 3)
})

test('a kept connection that its server ends at the next request is not the caller`s trouble', async (t) => {
  await using kept = await openProxyWorld()
  const asked: number[] = []
  let connections = 0
  await pointed(
    kept,
    await rawApi(t, (socket) => {
      const connection = (connections += 1)
      let requests = 0
      socket.on('data', () => {
        asked.push(connection)
        requests += 1
        // As a server whose time for an idle connection ends in this very moment.
        if (requests === 2) socket.destroy()
        else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
      })
    }),
  )
  assert.equal((await kept.call('/v1/proxy/dealer/x')).status, 200)
  assert.equal((await kept.call('/v1/proxy/dealer/x', { method: 'PUT', body: 'small' })).status, 200)
  assert.deepEqual(asked, [1, 1, 2])
})
