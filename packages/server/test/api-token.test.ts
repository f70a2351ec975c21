/** The hand-out over HTTP: shared by all who wait, cancelled by nobody, and heard out when the server ends. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer } from './any-request.ts'
import { openApiWorld, type ApiServer, type ApiWorld, type Asking } from './api-world.ts'
import { readAnswer } from './contract.ts'

const CALLERS = 1000

const tokenOf = (answer: Answer): string => {
  assert.equal(answer.status, 200, answer.text)
  return String(readAnswer(answer).body['access_token'])
}
const codeOf = (answer: Answer): unknown => (answer.status < 400 ? 'ok' : readAnswer(answer).body['code'])
const ask = (server: ApiServer, id: string, more: Asking = {}) => server.ask('getToken', { ids: { id }, ...more })
const waiting = (seconds: string): Asking => ({ headers: { prefer: `wait=${seconds}` } })

/** The next refresh is answered so much later. */
const slowly = ({ world }: ApiWorld, ms: number) =>
  world.upstream.control.addFault({ fault: { kind: 'delay', ms }, when: 'before', times: 1 })
const refreshesOf = async ({ world }: ApiWorld, { sessionId }: { readonly sessionId: string }) => {
  const { refreshes, arrivals } = await world.upstream.control.counters('external', sessionId)
  return { refreshes, arrivals }
}

test('a thousand callers who ask at once for an expired token share one refresh, and none fails', async () => {
  await using api = await openApiWorld()
  const session = await api.world.connectExpired('dealer-1')
  await slowly(api, 300)
  const answers = await Promise.all(Array.from({ length: CALLERS }, () => ask(api, 'dealer-1')))
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
  assert.equal(new Set(answers.map(tokenOf)).size, 1)
  assert.deepEqual(await refreshesOf(api, session), { refreshes: 1, arrivals: 1 })
})

test('callers who go away cancel nothing: the refresh is heard out and kept, also when nobody is left', async () => {
  await using api = await openApiWorld()
  const session = await api.world.connectExpired('dealer-1')
  await slowly(api, 400)
  const bytes = `GET /v1/connections/dealer-1/token HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${api.world.admin.key}\r\n\r\n`
  await Promise.all(
    Array.from({ length: 20 }, async (_, at) => {
      const socket = connect(api.port, '127.0.0.1', () => socket.write(bytes)).on('error', () => undefined)
      await sleep(60 + at)
      if (at % 2 === 0) socket.destroy()
      else socket.resetAndDestroy()
    }),
  )
  while ((await api.keep.connections.get('dealer-1')).generation === 1) await sleep(20)
  assert.notEqual(tokenOf(await ask(api, 'dealer-1')), session.accessToken)
  assert.deepEqual(await refreshesOf(api, session), { refreshes: 1, arrivals: 1 }, 'the one that they asked for')
})

test('a caller says how long it waits; whoever gives up finds the token later', async () => {
  await using api = await openApiWorld()
  const session = await api.world.connectExpired('dealer-1')
  await slowly(api, 1500)
  const began = performance.now()
  for (const seconds of ['0', '1']) {
    const hasty = await ask(api, 'dealer-1', waiting(seconds))
    assert.deepEqual([hasty.status, codeOf(hasty)], [503, 'unavailable'])
    assert.equal(hasty.headers['preference-applied'], `wait=${seconds}`)
    assert.equal(readAnswer(hasty).body['retryable'], true)
  }
  assert.ok(performance.now() - began >= 1000, 'the second one waited for a second')
  const patient = await ask(api, 'dealer-1')
  assert.equal(patient.headers['preference-applied'], undefined)
  assert.equal(tokenOf(await ask(api, 'dealer-1', waiting('0'))), tokenOf(patient), 'what is here needs no waiting')
  assert.deepEqual(await refreshesOf(api, session), { refreshes: 1, arrivals: 1 })
})

test('of preferences the waiting is honoured, and said to be; what cannot be is left, as RFC 7240 has it', async () => {
  await using api = await openApiWorld()
  await api.world.connect('dealer-1')
  const applied = async (...prefer: string[]) => {
    const answer = await api.send({
      target: '/v1/connections/dealer-1/token',
      headers: { authorization: `Bearer ${api.world.admin.key}`, prefer },
    })
    assert.equal(answer.status, 200, answer.text)
    return answer.headers['preference-applied']
  }
  assert.equal(await applied('wait=5'), 'wait=5')
  assert.equal(await applied('Wait = "5"; x=y'), 'wait=5')
  assert.equal(await applied('respond-async, wait=7'), 'wait=7')
  assert.equal(await applied('handling=lenient', 'wait=8'), 'wait=8', 'in a header of its own')
  assert.equal(await applied('wait=3, wait=4'), 'wait=3', 'the first one counts')
  assert.equal(await applied('wait=9999'), 'wait=120', 'at most two minutes')
  for (const none of [
    'return=minimal',
    'wait',
    'wait=',
    'wait=soon',
    'wait=-1',
    'wait=1.5',
    'await=5',
    'wait=99999999',
    '',
  ])
    assert.equal(await applied(none), undefined, none)
})

test('min_ttl asks for life: at most half of it is granted, and a token that has less is replaced first', async () => {
  await using api = await openApiWorld()
  const session = await api.world.connectExpired('dealer-1', { accessTokenSeconds: 4 })
  const first = tokenOf(await ask(api, 'dealer-1'))
  assert.equal(tokenOf(await ask(api, 'dealer-1', { query: 'min_ttl=1.5' })), first)
  assert.equal(tokenOf(await ask(api, 'dealer-1', { query: 'min_ttl=3600' })), first, 'more than half is left')
  await sleep(2100)
  const fresh = await ask(api, 'dealer-1', { query: 'min_ttl=3600' })
  assert.notEqual(tokenOf(fresh), first)
  assert.ok(Number(readAnswer(fresh).body['expires_in']) >= 2)
  assert.equal((await refreshesOf(api, session)).refreshes, 2)
})

test('a narrower token is another one, remembered for itself; without asking it is the full one again', async () => {
  await using api = await openApiWorld()
  const { accessToken, scope } = await api.world.connect('dealer-1')
  const narrow = await ask(api, 'dealer-1', { query: 'scope=dealer-api' })
  assert.equal(readAnswer(narrow).body['scope'], 'dealer-api')
  assert.notEqual(tokenOf(narrow), accessToken)
  assert.equal(tokenOf(await ask(api, 'dealer-1', { query: 'scope=dealer-api' })), tokenOf(narrow))
  assert.equal(
    tokenOf(await ask(api, 'dealer-1', { query: 'scope=+dealer-api%20' })),
    tokenOf(narrow),
    'spaces separate',
  )
  const other = await ask(api, 'dealer-1', { query: 'scope=openid' })
  assert.notEqual(tokenOf(other), tokenOf(narrow))
  const full = await ask(api, 'dealer-1')
  assert.deepEqual([readAnswer(full).body['scope'], tokenOf(full) === tokenOf(narrow)], [scope, false])
  const at = (query: string) => ask(api, 'dealer-1', { query })
  const resource = 'resource=https%3A%2F%2Fa.example'
  assert.equal(tokenOf(await at(`${resource}&${resource}`)), tokenOf(await at(resource)))
  assert.notEqual(tokenOf(await at(resource)), tokenOf(full))
  const smuggled = await ask(api, 'dealer-1\ndealer-api\n\n')
  assert.equal(codeOf(smuggled), 'invalid_input', 'and no id reaches what is remembered under another name')
})

test('after an API refused a token, the next one is another; a report that comes late changes nothing', async () => {
  await using api = await openApiWorld()
  const session = await api.world.connect('dealer-1')
  const reject = async (access_token: string) =>
    readAnswer(await api.ask('rejectToken', { ids: { id: 'dealer-1' }, body: { access_token } })).body['current']
  assert.equal(tokenOf(await ask(api, 'dealer-1')), session.accessToken)
  assert.equal(await reject(session.accessToken), true)
  const next = tokenOf(await ask(api, 'dealer-1'))
  assert.notEqual(next, session.accessToken)
  assert.equal(await reject(session.accessToken), false)
  assert.equal(await reject('nobody-gave-this-out'), false)
  assert.equal(tokenOf(await ask(api, 'dealer-1')), next)
  assert.equal((await refreshesOf(api, session)).refreshes, 1)
})

test('when only the user can help, the reason says why, and waiting is not offered', async () => {
  await using api = await openApiWorld()
  await api.world.connectExpired('dealer-1')
  const fault = { kind: 'status', status: 400, body: '{"error":"interaction_required"}' } as const
  await api.world.upstream.control.addFault({ fault, when: 'before', times: 1 })
  const answer = await ask(api, 'dealer-1')
  const { code, reason, retryable, retry_at, subject } = readAnswer(answer).body
  assert.deepEqual([answer.status, code, reason], [409, 'needs_user', 'interaction_required'])
  assert.deepEqual([retryable, retry_at, subject, answer.headers['retry-after']], [false, null, 'dealer-1', undefined])
})

test('a server that is told to stop is no longer ready, and serves on', async () => {
  await using api = await openApiWorld()
  await api.world.connect('dealer-1')
  assert.equal((await api.send({ target: '/readyz' })).status, 200)
  api.app.stopping()
  const ready = await api.send({ target: '/readyz' })
  assert.deepEqual([ready.status, codeOf(ready), ready.headers['retry-after']], [503, 'stopping', '1'])
  assert.equal((await api.send({ target: '/healthz' })).status, 200)
  assert.equal((await ask(api, 'dealer-1')).status, 200)
})

const refused = (port: number, host = '127.0.0.1'): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, host, () => {
      socket.destroy()
      resolve(false)
    }).on('error', () => resolve(true))
  })

test('a server that closes takes no new connection, and answers those who wait for a refresh', async () => {
  await using api = await openApiWorld()
  const session = await api.world.connectExpired('dealer-1')
  await slowly(api, 600)
  const idle = connect(api.port, '127.0.0.1')
  const answers = Array.from({ length: 50 }, () => ask(api, 'dealer-1'))
  await sleep(200)
  const closed = api.app.close(10_000)
  await sleep(50)
  assert.ok(await refused(api.port))
  const tokens = await Promise.all(answers.map(async (answer) => tokenOf(await answer)))
  assert.equal(new Set(tokens).size, 1)
  await closed
  assert.ok(idle.destroyed || idle.readyState !== 'open', 'nobody waits for a connection that asks nothing')
  idle.destroy()
  assert.deepEqual(await refreshesOf(api, session), { refreshes: 1, arrivals: 1 })
})

test('whoever cannot be answered in time is cut off, and the refresh is kept all the same', async () => {
  await using api = await openApiWorld()
  await api.world.connectExpired('dealer-1')
  await slowly(api, 800)
  const answer = ask(api, 'dealer-1')
  const cut = assert.rejects(answer, /socket hang up|ECONNRESET/)
  await sleep(100)
  await api.app.close(100)
  await cut
  while ((await api.keep.connections.get('dealer-1')).generation === 1) await sleep(20)
})

test('localhost is one server, with all its limits, and not a second one that nobody closes', async () => {
  await using api = await openApiWorld()
  const { url, port } = await api.serve({}, { host: 'localhost' })
  assert.equal(url, `http://127.0.0.1:${port}`)
  assert.ok(await refused(port, '::1'))
})
