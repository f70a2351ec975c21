/** A client that its provider refuses is told from a connection that has trouble of its own (`PROTOCOL.md` section 10). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { markAfter, markTried, UNMARKED, whenMarkLets, type ClientMark } from '../src/client-mark.ts'
import type { Outcome } from '../src/grant.ts'
import type { Uid } from '../src/ids.ts'
import { NUMBERS } from '../src/policy.ts'
import type { MonoMs } from '../src/time.ts'
import { URGENCIES } from '../src/urgency.ts'

const MIN = 60_000
const REFUSED: Outcome = { kind: 'misconfigured', reason: 'client', word: 'invalid_client' }
const GRANTED: Outcome = {
  kind: 'granted',
  accessToken: null,
  refreshToken: null,
  refreshTokenLife: null,
  scope: null,
}
const after = (...heard: readonly (readonly [uid: string, outcome: Outcome])[]): ClientMark =>
  heard.reduce((mark, [uid, outcome]) => markAfter(mark, outcome, uid as Uid, 0 as MonoMs, NUMBERS), UNMARKED)

test('two connections that were refused for their client mark it', () => {
  assert.notEqual(after(['a', REFUSED], ['b', REFUSED]).marked, null)
})

const innocent: readonly [string, ClientMark][] = [
  ['one connection, however often', after(['a', REFUSED], ['a', REFUSED], ['a', REFUSED])],
  ['a grant in between', after(['a', REFUSED], ['c', GRANTED], ['b', REFUSED])],
  [
    'a request that is wrong',
    after(['a', { ...REFUSED, reason: 'request' }], ['b', { ...REFUSED, reason: 'request' }]),
  ],
  [
    'an endpoint that is elsewhere',
    after(['a', { ...REFUSED, reason: 'endpoint' }], ['b', { ...REFUSED, reason: 'endpoint' }]),
  ],
  [
    'a scope that a caller asked for',
    after(['a', { ...REFUSED, reason: 'asked' }], ['b', { ...REFUSED, reason: 'asked' }]),
  ],
]
for (const [name, mark] of innocent) test(`${name} marks nothing`, () => assert.equal(mark.marked, null))

test('what is no word about the client leaves the count as it is', () => {
  const busy: Outcome = { kind: 'unavailable', because: 'busy', status: 503, retryAfterMs: null }
  assert.notEqual(after(['a', REFUSED], ['x', busy], ['b', REFUSED]).marked, null)
})

test('a grant takes the mark away', () => {
  assert.deepEqual(after(['a', REFUSED], ['b', REFUSED], ['c', GRANTED]), UNMARKED)
})

test('a marked client is tried at the pace of a block: after a minute, doubling to an hour', () => {
  let mark = after(['a', REFUSED], ['b', REFUSED])
  let now = 0
  const pauses: number[] = []
  for (let tries = 0; tries < 9; tries += 1) {
    const next = whenMarkLets(mark, URGENCIES.caller)
    pauses.push((next - now) / MIN)
    now = next
    mark = markAfter(
      markTried(mark, URGENCIES.caller, now as MonoMs, NUMBERS),
      REFUSED,
      'a' as Uid,
      now as MonoMs,
      NUMBERS,
    )
  }
  assert.deepEqual(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60])
})

test('what could be lost is tried all the same, and moves nothing for the others', () => {
  const mark = after(['a', REFUSED], ['b', REFUSED])
  assert.equal(whenMarkLets(mark, URGENCIES.nearEnd), Number.NEGATIVE_INFINITY)
  assert.equal(markTried(mark, URGENCIES.nearEnd, 0 as MonoMs, NUMBERS), mark)
})
