/** Time between two moments: what has surely passed, what may have passed, and how old a memory is (section 7). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  agedBy,
  earliest,
  fromSeconds,
  later,
  laterMoment,
  latest,
  longer,
  ms,
  perhapsElapsed,
  shorter,
  since,
  surelyElapsed,
  type Moment,
  type MonoMs,
  type Now,
  type UnixMs,
} from '../src/time.ts'

const moment = (boot: string, at: number, wall: number): Moment => ({ boot, at: at as MonoMs, wall: wall as UnixMs })
const now = (wall: number, mono: number): Now => ({ wall: wall as UnixMs, mono: mono as MonoMs })
const HOUR = 3_600_000

const spans: readonly [string, Moment, Moment, number, number][] = [
  ['on one boot', moment('a', 1_000, 50_000), moment('a', 4_000, 53_000), 3_000, 3_000],
  [
    'on one boot, the wall clock stepping forward',
    moment('a', 1_000, 50_000),
    moment('a', 4_000, 90_000),
    3_000,
    40_000,
  ],
  ['on one boot, the wall clock stepping back', moment('a', 1_000, 50_000), moment('a', 4_000, 10), 3_000, 3_000],
  ['on one boot, read in the wrong order', moment('a', 4_000, 53_000), moment('a', 1_000, 50_000), 0, 0],
  ['across a boot', moment('a', HOUR, 50_000), moment('b', 10, 53_000), 3_000, 3_000],
  ['across a boot, the wall clock not having moved', moment('a', HOUR, 50_000), moment('b', 0, 50_000), 0, 0],
  ['across a boot, the wall clock stepping back', moment('a', HOUR, 50_000), moment('b', 0, 49_999), 0, Infinity],
]
for (const [name, from, to, surely, perhaps] of spans) {
  test(`${name}: surely ${surely} ms, perhaps ${perhaps} ms`, () => {
    assert.equal(surelyElapsed(from, to), surely)
    assert.equal(perhapsElapsed(from, to), perhaps)
  })
}

test('across a boot at least the time since that boot has surely passed, so a wall clock set back holds nobody for years', () => {
  // Store time is boot-relative: whatever was noted on an earlier boot is older than this one.
  assert.equal(surelyElapsed(moment('a', HOUR, 9 * HOUR), moment('b', 90_000, 5 * HOUR)), 90_000)
})

test('a memory is as old as the larger of the monotonic and the wall span', () => {
  assert.equal(agedBy(now(0, 0), now(5_000, 3_000)), 5_000)
  assert.equal(agedBy(now(0, 0), now(-5_000, 3_000)), 3_000)
  assert.equal(agedBy(now(0, 0), now(3_000, 5_000)), 5_000)
})

test('a later moment is later on both of its clocks, on the same boot', () => {
  assert.deepEqual(laterMoment(moment('a', 1, 10), ms(5)), moment('a', 6, 15))
})

test('wire seconds become milliseconds, and lengths and moments compare as they read', () => {
  assert.equal(fromSeconds(1.5), 1_500)
  assert.equal(later(10 as UnixMs, ms(-3)), 7)
  assert.equal(since(10 as MonoMs, 4 as MonoMs), -6)
  assert.deepEqual([shorter(ms(1), ms(2)), longer(ms(1), ms(2))], [1, 2])
  assert.deepEqual([earliest(3 as UnixMs, 2 as UnixMs), latest(3 as UnixMs, 2 as UnixMs)], [2, 3])
})
