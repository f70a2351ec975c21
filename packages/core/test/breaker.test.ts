/** When an endpoint counts as down, who is let through meanwhile, and how it is found again (`PROTOCOL.md` section 10). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CLOSED, heard, letThrough, saidBy, settled, whenLet, type Breaker, type Said } from '../src/breaker.ts'
import type { Outcome } from '../src/grant.ts'
import type { Uid } from '../src/ids.ts'
import { NUMBERS } from '../src/policy.ts'
import { ms, type MonoMs } from '../src/time.ts'
import { URGENCIES, type Urgency } from '../src/urgency.ts'

const S = 1_000
const MIN = 60 * S
const { caller, closing, nearEnd, soon, ahead, keepAlive } = URGENCIES
const at = (moment: number): MonoMs => moment as MonoMs
const hear = (breaker: Breaker, said: Said, uid: string, now: number, went = now): Breaker =>
  heard(breaker, said, { uid: uid as Uid, now: at(now), went: at(went), draw: 0.5 }, NUMBERS)
const failing = (...of: readonly (readonly [uid: string, now: number])[]): Breaker =>
  of.reduce<Breaker>((breaker, [uid, now]) => hear(breaker, 'failed', uid, now), CLOSED)
const OPEN = failing(['a', 0], ['b', 0], ['c', 0])
/** How long something waits at `now`. */
const waits = (breaker: Breaker, urgency: Urgency, now: number): number =>
  Math.max(0, whenLet(settled(breaker, at(now)), urgency) - now)
const through = (breaker: Breaker, urgency: Urgency, now: number): Breaker =>
  letThrough(settled(breaker, at(now)), urgency, { now: at(now), draw: 0.5, callerEveryMs: ms(S) }, NUMBERS)

test('three connections that failed within 30 s open it, and fewer do not', () => {
  assert.equal(failing(['a', 0], ['b', 10 * S], ['c', 29_999]).kind, 'open')
  assert.equal(failing(['a', 0], ['b', 10 * S], ['c', 30 * S]).kind, 'closed', 'the first is too old')
  assert.equal(failing(['a', 0], ['b', 1], ['a', 2], ['b', 3], ['a', 4]).kind, 'closed', 'two connections')
})

test('an answer in between that shows the endpoint at work begins the count anew', () => {
  const between = hear(failing(['a', 0], ['b', 1]), 'works', 'x', 2)
  assert.equal(hear(between, 'failed', 'c', 3).kind, 'closed')
  assert.equal(hear(failing(['a', 0], ['b', 1]), 'nothing', 'x', 2).kind, 'closed')
  assert.equal(hear(hear(failing(['a', 0], ['b', 1]), 'nothing', 'x', 2), 'failed', 'c', 3).kind, 'open')
})

const unavailable = { kind: 'unavailable', because: 'busy' } as const
const outcomes: readonly [string, Outcome, Said][] = [
  ['a refusal', { kind: 'rejected', word: 'invalid_grant' }, 'works'],
  ['a wrong client', { kind: 'misconfigured', reason: 'client', word: null }, 'works'],
  ['a wrong scope', { kind: 'misconfigured', reason: 'asked', word: null }, 'works'],
  ['a page that is not there', { kind: 'misconfigured', reason: 'endpoint', word: null }, 'nothing'],
  ['a refused connection', { kind: 'not_sent', because: 'refused' }, 'failed'],
  ['a name that is not found', { kind: 'not_sent', because: 'dns' }, 'failed'],
  ['our own lateness', { kind: 'not_sent', because: 'send_limit' }, 'nothing'],
  ['a client that cannot be opened', { kind: 'not_sent', because: 'client' }, 'nothing'],
  ['an address that we do not go to', { kind: 'not_sent', because: 'address_refused' }, 'nothing'],
  ['503 with Retry-After', { ...unavailable, status: 503, retryAfterMs: ms(S) }, 'failed'],
  ['429 without Retry-After', { ...unavailable, status: 429, retryAfterMs: null }, 'failed'],
  ['429 with Retry-After', { ...unavailable, status: 429, retryAfterMs: ms(S) }, { waitMs: ms(S) }],
  ['no answer', { kind: 'in_doubt', because: 'reset', status: null, endSeen: true, retryAfterMs: null }, 'failed'],
]
for (const [name, outcome, said] of outcomes) {
  test(`${name} says of the endpoint: ${JSON.stringify(said)}`, () => assert.deepEqual(saidBy(outcome), said))
}

test('open, it lets through what could be lost, whenever it comes', () => {
  assert.deepEqual([waits(OPEN, closing, 0), waits(OPEN, nearEnd, 0)], [0, 0])
  assert.equal(through(OPEN, closing, 0), OPEN, 'which counts for nobody else')
})

test('open, it lets one waiting caller through each second', () => {
  assert.equal(waits(OPEN, caller, 0), S)
  const one = through(OPEN, caller, S)
  assert.deepEqual([waits(one, caller, S), waits(one, caller, 2 * S)], [S, 0])
})

test('open, it lets due work through ever more rarely: after a second at most, then up to every 30 s', () => {
  let breaker = OPEN
  let now = 0
  const pauses: number[] = []
  for (let probe = 0; probe < 8; probe += 1) {
    const pause = waits(breaker, soon, now)
    assert.deepEqual([waits(breaker, ahead, now), waits(breaker, keepAlive, now)], [pause, pause])
    pauses.push(pause / S)
    now += pause
    breaker = through(breaker, ahead, now)
  }
  assert.deepEqual(pauses, [0.75, 1.5, 3, 6, 12, 22.5, 22.5, 22.5])
})

test('further failures keep it open, and one answer closes it', () => {
  assert.equal(hear(OPEN, 'failed', 'd', 90 * S), OPEN)
  const closed = hear(OPEN, 'works', 'a', 90 * S)
  assert.equal(closed.kind, 'closed')
  assert.deepEqual(
    [closing, caller, soon, ahead].map((urgency) => waits(closed, urgency, 90 * S)),
    [0, 0, 0, 0],
  )
})

/** What goes in each second after `from`, where everybody wants to go. */
function inEachSecond(from: Breaker, began: number, seconds: number): number[] {
  const counts = Array<number>(seconds).fill(0)
  let breaker = from
  for (let now = began; now < began + seconds * S && counts.reduce((sum, each) => sum + each) < 500;) {
    const wait = waits(breaker, caller, now)
    now += wait
    const second = Math.floor((now - began) / S)
    if (second < seconds) counts[second] = (counts[second] ?? 0) + 1
    breaker = through(breaker, caller, now)
  }
  return counts
}

test('after an outage the door is opened by degrees', () => {
  assert.deepEqual(inEachSecond(hear(OPEN, 'works', 'a', MIN), MIN, 6), [2, 4, 8, 16, 32, 64])
  assert.equal(waits(through(hear(OPEN, 'works', 'a', 0), caller, 6 * S), caller, 6 * S), 0, 'and then is open')
})

test('three failures while it opens by degrees shut it again', () => {
  const again = ['a', 'b', 'c'].reduce(
    (breaker, uid) => hear(breaker, 'failed', uid, MIN + S),
    hear(OPEN, 'works', 'a', MIN),
  )
  assert.equal(again.kind, 'open')
})

test('a 429 with Retry-After holds back everything that can wait for that time, a minute at most, and is over by itself', () => {
  const told = hear(CLOSED, { waitMs: ms(20 * S) }, 'a', 0)
  assert.deepEqual(
    [caller, soon, ahead].map((urgency) => waits(told, urgency, S)),
    [19 * S, 19 * S, 19 * S],
  )
  assert.equal(waits(told, nearEnd, S), 0)
  assert.equal(waits(told, caller, 20 * S), 0)
  assert.equal(waits(hear(CLOSED, { waitMs: ms(60 * MIN) }, 'a', 0), caller, 0), MIN)
  assert.equal(waits(hear(told, { waitMs: ms(S) }, 'b', 0), caller, 0), 20 * S, 'the longer time counts')
  assert.deepEqual(inEachSecond(told, 20 * S, 3), [2, 4, 8])
})

test('where it grants to another connection all the same, it counts by connection, and the wait is over', () => {
  assert.equal(waits(hear(hear(CLOSED, { waitMs: ms(20 * S) }, 'a', 0), 'works', 'b', S), caller, S), 0)
})

test('what was sent before the provider said "wait" does not say that the wait is over', () => {
  const told = hear(CLOSED, { waitMs: ms(20 * S) }, 'a', S)
  assert.equal(waits(hear(told, 'works', 'b', 2 * S, S - 1), caller, 2 * S), 19 * S)
  assert.equal(waits(hear(told, 'works', 'b', 2 * S, S + 1), caller, 2 * S), 0)
})

test('whatever is heard and let through, it is open for nobody for longer than its longest pause', () => {
  const said: fc.Arbitrary<Said> = fc.oneof(
    fc.constantFrom<Said>('works', 'failed', 'failed', 'nothing'),
    fc.nat({ max: 24 * 60 * MIN }).map((waitMs) => ({ waitMs: ms(waitMs) })),
  )
  const step = fc.record({
    afterMs: fc.nat({ max: 40 * S }),
    said,
    uid: fc.constantFrom('a', 'b', 'c', 'd'),
    urgency: fc.constantFrom<Urgency>(caller, closing, nearEnd, soon, ahead, keepAlive),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let breaker: Breaker = CLOSED
      let now = 0
      for (const { afterMs, said: word, uid, urgency } of steps) {
        now += afterMs
        breaker = hear(breaker, word, uid, now)
        assert.equal(waits(breaker, closing, now) + waits(breaker, nearEnd, now), 0)
        assert.ok(waits(breaker, caller, now) <= MIN)
        assert.ok(waits(breaker, soon, now) <= MIN)
        if (breaker.kind === 'open') assert.ok(waits(breaker, caller, now) <= S)
        if (waits(breaker, urgency, now) === 0) breaker = through(breaker, urgency, now)
      }
    }),
  )
})
