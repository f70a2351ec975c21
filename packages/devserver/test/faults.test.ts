import assert from 'node:assert/strict'
import { get } from 'node:http'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from '../src/index.ts'
import { openTrial, OWN_CREDENTIALS, raw, rawForm, type RawReply, type Trial } from './trial.ts'

type Check = (reply: RawReply) => void

const parsed = (reply: RawReply) => JSON.parse(reply.body) as Readonly<Record<string, unknown>>
const status =
  (expected: number): Check =>
  (reply) =>
    assert.equal(reply.status, expected)
const brokenOff: Check = (reply) => {
  assert.equal(reply.complete, false)
  assert.ok(Number(reply.headers['content-length']) > Buffer.byteLength(reply.body))
}
const lacks =
  (member: string): Check =>
  (reply) => {
    assert.equal(reply.status, 200)
    assert.equal(member in parsed(reply), false)
    assert.ok('access_token' in parsed(reply))
  }

const EVERYWHERE: readonly (readonly [Fault, Check])[] = [
  [{ kind: 'delay', ms: 120 }, status(200)],
  [{ kind: 'drop' }, (reply) => assert.deepEqual([reply.status, reply.body], [null, ''])],
  [
    { kind: 'status', status: 429, headers: { 'retry-after': '7' }, body: '{"error":"slow_down"}' },
    (reply) =>
      assert.deepEqual([reply.status, reply.headers['retry-after'], reply.body], [429, '7', '{"error":"slow_down"}']),
  ],
  [{ kind: 'status', status: 500 }, status(500)],
  [{ kind: 'status', status: 302, headers: { location: 'https://elsewhere.example' } }, status(302)],
  [
    { kind: 'html', status: 503 },
    (reply) => {
      assert.equal(reply.status, 503)
      assert.match(String(reply.headers['content-type']), /html/)
    },
  ],
  [
    { kind: 'broken_json' },
    (reply) => {
      assert.equal(reply.status, 200)
      assert.match(String(reply.headers['content-type']), /json/)
      assert.throws(() => parsed(reply), SyntaxError)
    },
  ],
  [{ kind: 'truncated' }, brokenOff],
  [{ kind: 'truncated', keepBytes: 0 }, brokenOff],
  [
    { kind: 'error_in_200', error: 'temporarily_unavailable' },
    (reply) => assert.deepEqual([reply.status, parsed(reply)['error']], [200, 'temporarily_unavailable']),
  ],
  [
    { kind: 'invalid_grant' },
    (reply) => assert.deepEqual([reply.status, parsed(reply)['error']], [400, 'invalid_grant']),
  ],
  [{ kind: 'endless_body', bytes: 300_000 }, (reply) => assert.ok(reply.body.length > 300_000)],
  [{ kind: 'slow_body', bytesPerSecond: 20_000 }, status(200)],
]

const AFTER_ONLY: readonly (readonly [Fault, Check])[] = [
  [
    { kind: 'truncated', keep: 'after_refresh_token' },
    (reply) => {
      brokenOff(reply)
      assert.match(reply.body, /"refresh_token":"[^"]+"$/)
    },
  ],
  [{ kind: 'omit', field: 'expires_in' }, lacks('expires_in')],
  [{ kind: 'omit', field: 'refresh_token' }, lacks('refresh_token')],
  [{ kind: 'omit', field: 'token_type' }, lacks('token_type')],
  [
    { kind: 'replace', field: 'expires_in', value: '3600' },
    (reply) => assert.equal(parsed(reply)['expires_in'], '3600'),
  ],
  [{ kind: 'replace', field: 'expires_in', value: 0 }, (reply) => assert.equal(parsed(reply)['expires_in'], 0)],
]

const refreshRaw = (trial: Trial, refreshToken: string) =>
  rawForm(trial.devserver.tokenEndpoint('external'), {
    grant_type: 'refresh_token',
    ...OWN_CREDENTIALS,
    refresh_token: refreshToken,
  })

for (const [fault, check] of EVERYWHERE) {
  test(`before: ${JSON.stringify(fault)} leaves the session as it was`, async (t) => {
    const trial = await openTrial(t)
    const session = await trial.seed()
    await trial.devserver.control.addFault({ fault, when: 'before', times: 1 })
    check(await refreshRaw(trial, session.refreshToken))
    const spent = fault.kind === 'delay' ? 1 : 0 // A late request is carried out.
    const { arrivals, presentations, refreshes } = await trial.counters(session.sessionId)
    assert.deepEqual([arrivals, presentations, refreshes], [1, spent, spent])
    if (spent === 0) assert.equal((await trial.refresh(session.refreshToken)).status, 200)
  })
}

for (const [fault, check] of [...EVERYWHERE, ...AFTER_ONLY]) {
  test(`after: ${JSON.stringify(fault)} comes when the rotation is committed`, async (t) => {
    const trial = await openTrial(t)
    const session = await trial.seed()
    await trial.devserver.control.addFault({ fault, when: 'after', times: 1 })
    check(await refreshRaw(trial, session.refreshToken))
    assert.equal((await trial.counters(session.sessionId)).refreshes, 1)
    assert.equal((await trial.refresh(session.refreshToken)).status, 400)
    assert.equal((await trial.counters(session.sessionId)).killedBecause, 'reuse')
  })
}

test('a fault that changes a real answer cannot come before it', async (t) => {
  const trial = await openTrial(t)
  for (const [fault] of AFTER_ONLY) {
    await assert.rejects(trial.devserver.control.addFault({ fault, when: 'before', times: 1 }), /only come 'after'/)
  }
})

test('a fault is met by the next n matching requests, and by no other', async (t) => {
  const trial = await openTrial(t)
  const { control } = trial.devserver
  const [met, spared] = [await trial.seed(), await trial.seed()]
  const fault = { kind: 'status', status: 503 } as const
  await control.addFault({ fault, when: 'before', times: 2, sessionId: met.sessionId })
  assert.equal((await trial.refresh(spared.refreshToken)).status, 200)
  const statuses = []
  for (let n = 0; n < 3; n++) statuses.push((await refreshRaw(trial, met.refreshToken)).status)
  assert.deepEqual(statuses, [503, 503, 200])

  await control.addFault({ fault, when: 'before', times: 1, grantType: 'client_credentials' })
  await control.addFault({ fault, when: 'before', times: 1, realm: 'elsewhere' })
  assert.equal((await control.faults()).length, 2)
  const other = await trial.seed()
  assert.equal((await trial.refresh(other.refreshToken)).status, 200)
  await control.clearFaults()
  const machine = await trial.post('token', { grant_type: 'client_credentials', ...OWN_CREDENTIALS })
  assert.equal(machine.status, 200)
})

test('one request can meet a delay before and a drop after', async (t) => {
  const trial = await openTrial(t)
  const session = await trial.seed()
  await trial.devserver.control.addFault({ fault: { kind: 'drop' }, when: 'after', times: 1 })
  await trial.devserver.control.addFault({ fault: { kind: 'delay', ms: 80 }, when: 'before', times: 1 })
  const started = performance.now()
  assert.equal((await refreshRaw(trial, session.refreshToken)).status, null)
  assert.ok(performance.now() - started >= 75)
  assert.equal((await trial.counters(session.sessionId)).refreshes, 1)
})

test('a delay after the commit holds up that answer alone, not the session', async (t) => {
  const trial = await openTrial(t, { rotation: { kind: 'grace', seconds: 60 } })
  const session = await trial.seed()
  await trial.devserver.control.addFault({ fault: { kind: 'delay', ms: 1000 }, when: 'after', times: 1 })
  const late = trial.refresh(session.refreshToken)
  const started = performance.now()
  while ((await trial.counters(session.sessionId)).refreshes === 0) await sleep(5)
  assert.equal((await trial.refresh(session.refreshToken)).status, 200)
  assert.ok(performance.now() - started < 900)
  assert.equal((await late).status, 200)
})

test('the demo API, revocation and introspection can fail too', async (t) => {
  const trial = await openTrial(t)
  const { control, demoApi } = trial.devserver
  const session = await trial.seed()
  const fault = { kind: 'status', status: 503 } as const
  await control.addFault({ fault, when: 'before', times: 1, endpoint: 'demo-api', sessionId: session.sessionId })
  await control.addFault({ fault, when: 'after', times: 1, endpoint: 'introspect' })
  await control.addFault({ fault: { kind: 'drop' }, when: 'after', times: 1, endpoint: 'revoke' })
  const authorization = { authorization: `Bearer ${session.accessToken}` }
  assert.equal((await raw(demoApi, { headers: authorization })).status, 503)
  assert.equal((await raw(demoApi, { headers: authorization })).status, 200)
  const endpoint = `${trial.devserver.issuer('external')}/protocol/openid-connect`
  const form = { ...OWN_CREDENTIALS, token: session.refreshToken }
  assert.equal((await rawForm(`${endpoint}/token/introspect`, form)).status, 503)
  assert.equal((await rawForm(`${endpoint}/revoke`, form)).status, null)
  assert.equal((await trial.counters(session.sessionId)).killedBecause, 'revoked_by_client')
})

test('one byte a second is one byte a second, and does not hold up the end of the server', async (t) => {
  const trial = await openTrial(t)
  const { control, demoApi } = trial.devserver
  const fault = { kind: 'slow_body', bytesPerSecond: 1 } as const
  await control.addFault({ fault, when: 'before', times: 1, endpoint: 'demo-api' })
  let received = 0
  const request = get(demoApi, (response) =>
    response.on('data', (chunk: Buffer) => (received += chunk.length)).on('error', () => undefined),
  )
  request.on('error', () => undefined)
  await new Promise((resolve) => void setTimeout(resolve, 1300))
  assert.ok(received >= 1 && received <= 2, `${received} bytes in 1.3 s`)
  const started = performance.now()
  await trial.devserver.close()
  assert.ok(performance.now() - started < 900)
})

test('a gigabyte is streamed, not built: a client may leave after the first part', async (t) => {
  const trial = await openTrial(t)
  const session = await trial.seed()
  const fault = { kind: 'endless_body', bytes: 1024 ** 3 } as const
  await trial.devserver.control.addFault({ fault, when: 'before', times: 1 })
  const before = process.memoryUsage().rss
  const response = await fetch(trial.devserver.tokenEndpoint('external'), {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: session.refreshToken }),
  })
  let received = 0
  assert.ok(response.body)
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    received += chunk.length
    if (received > 4_000_000) break
  }
  assert.ok(process.memoryUsage().rss - before < 200_000_000)
  assert.equal((await trial.refresh(session.refreshToken)).status, 200)
})
