import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { judgePresentation, type Rotation } from '../src/rotation.ts'
import { openTrial, text } from './trial.ts'

const FRESH = { uses: 0, firstUsedMs: null, stale: false }
const used = (uses: number, firstUsedMs = 1000) => ({ uses, firstUsedMs, stale: false })
const GRACE: Rotation = { kind: 'grace', seconds: 2 }
const COUNTED: Rotation = { kind: 'counted', reuses: 2 }

const TABLE: readonly (readonly [string, Rotation, typeof FRESH | ReturnType<typeof used>, number, string])[] = [
  ['strict: first', { kind: 'strict' }, FRESH, 0, 'rotate'],
  ['strict: second', { kind: 'strict' }, used(1), 1000, 'reuse'],
  ['grace: first', GRACE, FRESH, 0, 'rotate'],
  ['grace: last millisecond of the window', GRACE, used(3), 3000, 'rotate_again'],
  ['grace: first millisecond after it', GRACE, used(1), 3001, 'reuse'],
  ['grace, same: inside', { ...GRACE, winner: 'same' }, used(1), 2000, 'repeat_answer'],
  ['counted: last allowed', COUNTED, used(2), 1e9, 'rotate_again'],
  ['counted: one too many', COUNTED, used(3), 1000, 'reuse'],
  ['counted 0 is strict', { kind: 'counted', reuses: 0 }, used(1), 1000, 'reuse'],
  ['reusable: always', { kind: 'reusable' }, used(99), 1e9, 'keep'],
  ['stale beats every policy', GRACE, { ...FRESH, stale: true }, 0, 'stale'],
]

for (const [name, rotation, use, nowMs, expected] of TABLE) {
  test(`judges ${name}: ${expected}`, () => {
    assert.equal(judgePresentation(rotation, use, nowMs).verdict, expected)
  })
}

test('strict: a second presentation kills the session, its successor and its access tokens', async (t) => {
  const trial = await openTrial(t)
  const session = await trial.seed()
  const first = await trial.refresh(session.refreshToken)
  assert.equal(first.status, 200)
  assert.equal((await trial.offers(text(first, 'access_token'))).status, 200)

  const second = await trial.refresh(session.refreshToken)
  assert.equal(second.status, 400)
  assert.equal(second.body['error'], 'invalid_grant')

  const successor = await trial.refresh(text(first, 'refresh_token'))
  assert.equal(successor.body['error_description'], 'Session not active')
  for (const token of [session.accessToken, text(first, 'access_token')]) {
    assert.equal((await trial.offers(token)).status, 401)
  }
  const counters = await trial.counters(session.sessionId)
  assert.deepEqual(
    [counters.refreshes, counters.secondPresentations, counters.refused, counters.presentations],
    [1, 1, 2, 3],
  )
  assert.deepEqual([counters.killed, counters.killedBecause], [true, 'reuse'])
})

test('strict: of 20 simultaneous presentations exactly one is granted, and the session is dead', async (t) => {
  const trial = await openTrial(t)
  const session = await trial.seed()
  const replies = await Promise.all(Array.from({ length: 20 }, () => trial.refresh(session.refreshToken)))
  assert.equal(replies.filter(({ status }) => status === 200).length, 1)
  assert.equal(replies.filter(({ body }) => body['error'] === 'invalid_grant').length, 19)

  const counters = await trial.counters(session.sessionId)
  assert.deepEqual([counters.refreshes, counters.secondPresentations, counters.presentations], [1, 19, 20])
  assert.equal(counters.killedBecause, 'reuse')
  const winner = replies.find(({ status }) => status === 200)
  assert.ok(winner)
  assert.equal((await trial.refresh(text(winner, 'refresh_token'))).status, 400)
})

test('strict: sessions do not share their fate', async (t) => {
  const trial = await openTrial(t)
  const [killed, other] = [await trial.seed(), await trial.seed()]
  await trial.refresh(killed.refreshToken)
  await trial.refresh(killed.refreshToken)
  assert.equal((await trial.refresh(other.refreshToken)).status, 200)
  assert.equal((await trial.offers(other.accessToken)).status, 200)
})

test('a chain of 50 rotations goes on for ever', async (t) => {
  const trial = await openTrial(t)
  const session = await trial.seed()
  let token = session.refreshToken
  for (let n = 0; n < 50; n++) token = text(await trial.refresh(token), 'refresh_token')
  const counters = await trial.counters(session.sessionId)
  assert.deepEqual([counters.refreshes, counters.secondPresentations, counters.killed], [50, 0, false])
})

test('grace, any: every answer inside the window stays good; after it the session dies', async (t) => {
  const trial = await openTrial(t, { rotation: { kind: 'grace', seconds: 0.6 } })
  const session = await trial.seed()
  const replies = await Promise.all(Array.from({ length: 5 }, () => trial.refresh(session.refreshToken)))
  assert.deepEqual(
    replies.map(({ status }) => status),
    [200, 200, 200, 200, 200],
  )
  assert.equal(new Set(replies.map((reply) => text(reply, 'refresh_token'))).size, 5)
  for (const reply of replies) assert.equal((await trial.refresh(text(reply, 'refresh_token'))).status, 200)
  assert.equal((await trial.counters(session.sessionId)).answeredAgain, 4)

  await sleep(700)
  assert.equal((await trial.refresh(session.refreshToken)).status, 400)
  assert.equal((await trial.counters(session.sessionId)).killedBecause, 'reuse')
})

test('grace, newest: an earlier answer goes stale without killing the session', async (t) => {
  const trial = await openTrial(t, { rotation: { kind: 'grace', seconds: 60, winner: 'newest' } })
  const session = await trial.seed()
  const early = await trial.refresh(session.refreshToken)
  const late = await trial.refresh(session.refreshToken)
  const stale = await trial.refresh(text(early, 'refresh_token'))
  assert.equal(stale.body['error_description'], 'Stale token')
  assert.equal((await trial.refresh(text(late, 'refresh_token'))).status, 200)
  assert.equal((await trial.counters(session.sessionId)).killed, false)
})

test('grace, same: the second answer holds the tokens of the first', async (t) => {
  const trial = await openTrial(t, { rotation: { kind: 'grace', seconds: 60, winner: 'same' } })
  const session = await trial.seed()
  const [first, second] = [await trial.refresh(session.refreshToken), await trial.refresh(session.refreshToken)]
  for (const member of ['access_token', 'refresh_token', 'scope']) {
    assert.equal(text(second, member), text(first, member))
  }
  assert.ok(Number(second.body['expires_in']) <= Number(first.body['expires_in']))
  const counters = await trial.counters(session.sessionId)
  assert.deepEqual([counters.refreshes, counters.answeredAgain, counters.secondPresentations], [1, 1, 1])
})

test('counted: answered so many times more, then the session dies', async (t) => {
  const trial = await openTrial(t, { rotation: { kind: 'counted', reuses: 2 } })
  const session = await trial.seed()
  const statuses = []
  for (let n = 0; n < 4; n++) statuses.push((await trial.refresh(session.refreshToken)).status)
  assert.deepEqual(statuses, [200, 200, 200, 400])
  const counters = await trial.counters(session.sessionId)
  assert.deepEqual([counters.refreshes, counters.answeredAgain, counters.secondPresentations], [1, 2, 3])
  assert.equal(counters.killedBecause, 'reuse')
})

test('reusable: the same refresh token goes on, mentioned or not', async (t) => {
  const trial = await openTrial(t, { rotation: { kind: 'reusable' } })
  const session = await trial.seed()
  const replies = await Promise.all(Array.from({ length: 5 }, () => trial.refresh(session.refreshToken)))
  for (const reply of replies) assert.equal(text(reply, 'refresh_token'), session.refreshToken)

  await trial.devserver.control.updateRealm('external', { rotation: { kind: 'reusable', answer: 'none' } })
  const silent = await trial.refresh(session.refreshToken)
  assert.equal(silent.status, 200)
  assert.equal('refresh_token' in silent.body, false)
  const counters = await trial.counters(session.sessionId)
  assert.deepEqual([counters.refreshes, counters.secondPresentations, counters.killed], [6, 0, false])
})

test('a policy can be changed while the server runs', async (t) => {
  const trial = await openTrial(t, { rotation: { kind: 'counted', reuses: 5 } })
  const session = await trial.seed()
  await trial.refresh(session.refreshToken)
  assert.equal((await trial.refresh(session.refreshToken)).status, 200)
  await trial.devserver.control.updateRealm('external', { rotation: { kind: 'strict' } })
  assert.equal((await trial.refresh(session.refreshToken)).status, 400)
})

test('a refresh kills the earlier access tokens where the realm says so, and only there', async (t) => {
  for (const refreshKillsAccessToken of [true, false]) {
    const trial = await openTrial(t, { refreshKillsAccessToken })
    const session = await trial.seed()
    const reply = await trial.refresh(session.refreshToken)
    assert.equal((await trial.offers(text(reply, 'access_token'))).status, 200)
    assert.equal((await trial.offers(session.accessToken)).status, refreshKillsAccessToken ? 401 : 200)
  }
})
