import assert from 'node:assert/strict'
import test from 'node:test'
import { afterPoll, beganPolling, untilNextPoll, type DevicePoll } from '../src/device-poll.ts'
import { ms, type MonoMs } from '../src/time.ts'

const at = (seconds: number): MonoMs => (seconds * 1000) as MonoMs
const begun = (interval: unknown = 5, expiresIn: unknown = 600): DevicePoll =>
  beganPolling({ interval, expiresIn }, at(0))
const unanswered = (poll: DevicePoll, times: number): DevicePoll =>
  Array.from({ length: times }).reduce<DevicePoll>(
    (standing) => afterPoll(standing, { kind: 'unanswered', retryAfterMs: null }),
    poll,
  )
const waitOf = (poll: DevicePoll, now = 0): number => untilNextPoll(poll, at(now)).afterMs / 1000

test('the interval is what the server says, five seconds where it says none, and never less than one', () => {
  for (const [interval, seconds] of [
    [5, 5],
    [1, 1],
    ['7', 7],
    [undefined, 5],
    [0, 5],
    [-3, 5],
    [Number.NaN, 5],
    [{}, 5],
    [0.2, 1],
  ] as const)
    assert.equal(waitOf(begun(interval)), seconds, String(interval))
})

test('slow_down adds five seconds to this and all later intervals', () => {
  let poll = begun()
  const waits = (['slow_down', 'pending', 'slow_down', 'pending'] as const).map((kind) => {
    poll = afterPoll(poll, kind === 'pending' ? { kind } : { kind, intervalMs: null })
    return waitOf(poll)
  })
  assert.deepEqual(waits, [10, 10, 15, 15])
  assert.equal(waitOf(afterPoll(poll, { kind: 'slow_down', intervalMs: ms(60_000) })), 60)
  assert.equal(waitOf(afterPoll(poll, { kind: 'slow_down', intervalMs: ms(1000) })), 20)
})

test('each question in a row without an answer doubles the wait, up to a minute; an answer ends that', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 4, 40].map((times) => waitOf(unanswered(begun(), times))),
    [5, 10, 20, 40, 60, 60],
  )
  assert.equal(waitOf(unanswered(begun(90), 3)), 90, 'never more often than the server allows')
  assert.equal(waitOf(afterPoll(unanswered(begun(), 3), { kind: 'pending' })), 5)
  assert.equal(waitOf(afterPoll(begun(), { kind: 'unanswered', retryAfterMs: ms(45_000) })), 45)
})

test('it ends with the code, and a server that was away is asked once more before', () => {
  assert.deepEqual(untilNextPoll(begun(), at(596)), { afterMs: 4000, last: true })
  assert.deepEqual(untilNextPoll(begun(), at(594)), { afterMs: 5000, last: false })
  assert.deepEqual(untilNextPoll(begun(), at(700)), { afterMs: 0, last: true })
  assert.deepEqual(untilNextPoll(unanswered(begun(), 9), at(570)), { afterMs: 25_000, last: false })
  assert.deepEqual(untilNextPoll(unanswered(begun(), 9), at(592)), { afterMs: 5000, last: false })
  assert.deepEqual(untilNextPoll(begun(700), at(0)), { afterMs: 600_000, last: true })
  assert.deepEqual(untilNextPoll(begun(5, undefined), at(0)), { afterMs: 5000, last: false })
})
