import assert from 'node:assert/strict'
import test from 'node:test'
import type { Fault } from '@tokenkeep/devserver'
import { openWorld } from './world.ts'

/** In the refresh-ahead window of a 300 s token, with more life left than any caller here asks for. */
const INTO_THE_WINDOW_MS = 280_000

const FAULTS: readonly { readonly name: string; readonly fault: Fault; readonly when: 'before' | 'after' }[] = [
  { name: 'a delay', fault: { kind: 'delay', ms: 300 }, when: 'before' },
  { name: 'a delay after the rotation', fault: { kind: 'delay', ms: 300 }, when: 'after' },
  { name: 'a dropped connection', fault: { kind: 'drop' }, when: 'before' },
  { name: 'a connection dropped after the rotation', fault: { kind: 'drop' }, when: 'after' },
  {
    name: '429 with Retry-After',
    fault: { kind: 'status', status: 429, headers: { 'retry-after': '2' } },
    when: 'before',
  },
  { name: '500', fault: { kind: 'status', status: 500 }, when: 'before' },
  { name: '500 after the rotation', fault: { kind: 'status', status: 500 }, when: 'after' },
  { name: '503', fault: { kind: 'status', status: 503 }, when: 'before' },
  {
    name: '503 with Retry-After',
    fault: { kind: 'status', status: 503, headers: { 'retry-after': '1' } },
    when: 'before',
  },
  {
    name: 'a redirect',
    fault: { kind: 'status', status: 302, headers: { location: 'https://elsewhere.example/' } },
    when: 'before',
  },
  { name: 'an HTML page', fault: { kind: 'html' }, when: 'before' },
  { name: 'an HTML page after the rotation', fault: { kind: 'html' }, when: 'after' },
  { name: 'broken JSON', fault: { kind: 'broken_json' }, when: 'before' },
  { name: 'broken JSON after the rotation', fault: { kind: 'broken_json' }, when: 'after' },
  { name: 'a truncated answer after the rotation', fault: { kind: 'truncated' }, when: 'after' },
  {
    name: 'an answer cut after its refresh token',
    fault: { kind: 'truncated', keep: 'after_refresh_token' },
    when: 'after',
  },
  { name: '200 with an error body', fault: { kind: 'error_in_200', error: 'temporarily_unavailable' }, when: 'before' },
  { name: 'no expires_in', fault: { kind: 'omit', field: 'expires_in' }, when: 'after' },
  { name: 'expires_in as a string', fault: { kind: 'replace', field: 'expires_in', value: '300' }, when: 'after' },
  { name: 'expires_in 0', fault: { kind: 'replace', field: 'expires_in', value: 0 }, when: 'after' },
  { name: 'no refresh_token', fault: { kind: 'omit', field: 'refresh_token' }, when: 'after' },
  { name: 'no token_type', fault: { kind: 'omit', field: 'token_type' }, when: 'after' },
  { name: 'a spurious invalid_grant', fault: { kind: 'invalid_grant' }, when: 'before' },
  { name: 'an endless answer', fault: { kind: 'endless_body', bytes: 1024 * 1024 * 1024 }, when: 'before' },
]

for (const { name, fault, when } of FAULTS) {
  test(`while the old token lives, ${name} fails no caller, and the session lives on`, async () => {
    // The server answers again within 10 s: what was lost after its rotation can be had again.
    await using world = await openWorld({
      realm: { accessTokenSeconds: 300, rotation: { kind: 'grace', seconds: 10 } },
      provider: { reuse: { kind: 'grace', seconds: 10, winner: 'any' } },
    })
    const { sessionId } = await world.connect('dealer-42')
    await world.server.control.addFault({ fault, when, times: 1 })
    world.clocks.forward(INTO_THE_WINDOW_MS)
    const statuses = new Set<number>()
    const until = Date.now() + 1_500
    const healthy = async (): Promise<boolean> => (await world.keep.connections.get('dealer-42')).status === 'ready'
    let calls = 0
    do {
      const { accessToken, tokenType } = await world.keep.token('dealer-42')
      const response = await fetch(world.server.demoApi, { headers: { authorization: `${tokenType} ${accessToken}` } })
      await response.arrayBuffer()
      statuses.add(response.status)
      calls += 1
      await new Promise((resolve) => setTimeout(resolve, 25))
    } while (Date.now() < until && (calls < 10 || !(await healthy())))
    assert.deepEqual([...statuses], [200])
    assert.equal((await world.server.control.counters('external', sessionId)).killed, false)
  })
}

test('503 three times on an expired token: callers wait within their deadline and succeed', async () => {
  await using world = await openWorld({ realm: { accessTokenSeconds: 60 } })
  const { sessionId } = await world.connect('dealer-42')
  world.clocks.forward(61_000)
  await world.server.control.addFault({ fault: { kind: 'status', status: 503 }, when: 'before', times: 3 })
  const answers = await Promise.allSettled(Array.from({ length: 20 }, () => world.keep.token('dealer-42')))
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], ['fulfilled'])
  const counters = await world.server.control.counters('external', sessionId)
  assert.equal(counters.arrivals, 4)
  assert.equal(counters.secondPresentations, 0)
})

test('Retry-After is obeyed: nothing is presented before it, and callers who can wait succeed after it', async () => {
  await using world = await openWorld({ realm: { accessTokenSeconds: 60 } })
  const { sessionId } = await world.connect('dealer-42')
  world.clocks.forward(61_000)
  await world.server.control.addFault({
    fault: { kind: 'status', status: 429, headers: { 'retry-after': '3' } },
    when: 'before',
    times: 1,
  })
  const impatient = world.keep.token('dealer-42', { waitMs: 1_500 })
  await assert.rejects(impatient, (error: { code: string; retryAt: number }) => {
    assert.equal(error.code, 'unavailable')
    assert.ok(error.retryAt > world.clocks.clock.now().wall)
    return true
  })
  assert.equal((await world.server.control.counters('external', sessionId)).arrivals, 1)
  const before = Date.now()
  await world.keep.token('dealer-42')
  assert.ok(Date.now() - before > 1_000)
  assert.equal((await world.server.control.counters('external', sessionId)).arrivals, 2)
})

test('dropped after the commit on an expired token, grace 10 s: recovered, no call fails', async () => {
  await using world = await openWorld({
    realm: { accessTokenSeconds: 60, rotation: { kind: 'grace', seconds: 10 } },
    provider: { reuse: { kind: 'grace', seconds: 10, winner: 'any' } },
  })
  const { sessionId } = await world.connect('dealer-42')
  world.clocks.forward(61_000)
  await world.server.control.addFault({ fault: { kind: 'drop' }, when: 'after', times: 1 })
  const answers = await Promise.allSettled(Array.from({ length: 20 }, () => world.keep.token('dealer-42')))
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], ['fulfilled'])
  const counters = await world.server.control.counters('external', sessionId)
  assert.equal(counters.answeredAgain, 1)
  assert.equal(counters.killed, false)
})

test('dropped after the commit at a strict provider: nothing is presented again while the old token lives', async () => {
  await using world = await openWorld({
    realm: { accessTokenSeconds: 300 },
    provider: { reuse: { kind: 'strict' } },
    open: { background: true },
  })
  const { sessionId } = await world.connect('dealer-42')
  await world.server.control.addFault({ fault: { kind: 'drop' }, when: 'after', times: 1 })
  world.clocks.forward(INTO_THE_WINDOW_MS)
  const first = await world.keep.token('dealer-42')
  while (!world.events.some(({ type }) => type === 'in_doubt')) await new Promise((resolve) => setTimeout(resolve, 20))
  for (let call = 0; call < 20; call += 1) {
    assert.equal((await world.keep.token('dealer-42')).accessToken, first.accessToken)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.equal((await world.server.control.counters('external', sessionId)).arrivals, 1)
  // The end of the old token: one further presentation, and its refusal is called by its name.
  world.clocks.forward(30_000)
  await assert.rejects(world.keep.token('dealer-42'), { code: 'needs_user', reason: 'answer_lost' })
  await assert.rejects(world.keep.token('dealer-42'), { code: 'needs_user', reason: 'answer_lost' })
  assert.equal((await world.server.control.counters('external', sessionId)).arrivals, 2)
  assert.equal(world.events.filter(({ type }) => type === 'needs_user').length, 1)
})

test('one byte a second holds up nobody who has a living token', async () => {
  await using world = await openWorld({
    realm: { accessTokenSeconds: 300 },
    provider: { reuse: { kind: 'grace', seconds: 3, winner: 'any' } },
  })
  await world.connect('dealer-42')
  await world.server.control.addFault({ fault: { kind: 'slow_body', bytesPerSecond: 1 }, when: 'before', times: 1 })
  world.clocks.forward(INTO_THE_WINDOW_MS)
  const before = Date.now()
  await world.keep.token('dealer-42')
  assert.ok(Date.now() - before < 1_000)
})
