/** How many presentations a provider gets: never more in any minute than it takes, and no more at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { burstOf, hasRoom, RESTED, spacingMs, whenPaced, withOneMore, type Limits, type Pace } from '../src/pace.ts'
import type { MonoMs } from '../src/time.ts'

const MIN = 60_000
const at = (moment: number): MonoMs => moment as MonoMs
const minutely = (requestsPerMinute: number | null): Limits => ({ requestsPerMinute, concurrency: null })

/** Sends whenever it may, with a wish at each of these moments; the moments at which something went. */
function sent(limits: Limits, wishes: readonly number[]): number[] {
  let pace: Pace = RESTED
  const went: number[] = []
  for (const wish of [...wishes].sort((a, b) => a - b)) {
    const now = Math.max(wish, went.at(-1) ?? 0, whenPaced(pace, limits))
    pace = withOneMore(pace, limits, at(now))
    went.push(now)
  }
  return went
}

test('in no minute, wherever it begins, go more than were allowed', () => {
  const wishes = fc.array(fc.nat({ max: 5 * MIN }), { maxLength: 300 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 600 }), wishes, (most, times) => {
      const went = sent(minutely(most), times)
      for (const [index, first] of went.entries()) {
        // The last millisecond is left to the arithmetic of fractions.
        const inMinute = went.slice(index).filter((each) => each < first + MIN - 1).length
        assert.ok(inMinute <= most, `${inMinute} of ${most} from ${first}`)
      }
    }),
  )
})

test('what a minute allows is used up, and nobody waits longer than until the next even one', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 600 }), (most) => {
      const went = sent(minutely(most), Array<number>(most * 2).fill(0))
      assert.equal(went.filter((each) => each < MIN - 1).length, most)
      const gaps = went.slice(1).map((each, index) => each - (went[index] ?? 0))
      assert.ok(Math.max(...gaps) <= spacingMs(most) + 1)
      assert.equal(went.filter((each) => each < 1).length, burstOf(most))
    }),
  )
})

test('without a limit everything goes at once', () => {
  assert.deepEqual(sent(minutely(null), [5, 5, 5]), [5, 5, 5])
})

test('no more are on their way at once than were allowed, and each that ends makes room', () => {
  const limits: Limits = { requestsPerMinute: null, concurrency: 2 }
  assert.deepEqual([hasRoom(1, limits), hasRoom(2, limits), hasRoom(3, limits)], [true, false, false])
  assert.equal(hasRoom(1000, minutely(null)), true)
})
