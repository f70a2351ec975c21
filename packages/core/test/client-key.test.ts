import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  publishedKeys,
  rotated,
  signingKey,
  stateOfKey,
  type ClientKeyState,
  type ClientKid,
  type KeyMoments,
} from '../src/client-key.ts'
import { ms, type UnixMs } from '../src/time.ts'

const at = (moment: number): UnixMs => moment as UnixMs
const key = (kid: string, signsFrom: number, publishedUntil: number | null = null, createdAt = 0): KeyMoments => ({
  kid: kid as ClientKid,
  createdAt: at(createdAt),
  signsFrom: at(signsFrom),
  publishedUntil: publishedUntil === null ? null : at(publishedUntil),
})
const kids = (keys: readonly KeyMoments[]): readonly string[] => keys.map(({ kid }) => kid)

/** An old key that is followed by another one at 100, and is published until 200. */
const PAIR = [key('old', 0, 200), key('new', 100)]
const LIFE: readonly (readonly [number, ClientKeyState['kind'], ClientKeyState['kind']])[] = [
  [99, 'signing', 'next'],
  [100, 'previous', 'signing'],
  [199, 'previous', 'signing'],
  [200, 'retired', 'signing'],
  [10_000, 'retired', 'signing'],
  // The clock was set back behind everything: the first one signs.
  [-5, 'signing', 'next'],
]
for (const [now, old, next] of LIFE) {
  test(`at ${now} the old key is ${old} and the new one ${next}`, () => {
    const states = PAIR.map((each) => stateOfKey(each, PAIR, at(now)).kind)
    assert.deepEqual(states, [old, next])
    assert.equal(signingKey(PAIR, at(now))?.kid, old === 'signing' ? 'old' : 'new')
    assert.deepEqual(kids(publishedKeys(PAIR, at(now))), old === 'retired' ? ['new'] : ['old', 'new'])
  })
}

test('a key that has signed and has no end was left behind by hand: it is not published', () => {
  assert.equal(stateOfKey(key('lost', 0), [key('lost', 0), key('new', 100)], at(150)).kind, 'retired')
})

test('one that signs is never retired, whatever its end says', () => {
  const only = [key('only', 0, 50)]
  assert.equal(stateOfKey(key('only', 0, 50), only, at(1000)).kind, 'signing')
})

test('of two that sign from one moment on, the one made later signs', () => {
  assert.equal(signingKey([key('b', 5, null, 2), key('a', 5, null, 1)], at(9))?.kid, 'b')
})

test('without keys nothing signs', () => {
  assert.equal(signingKey([], at(0)), null)
  assert.deepEqual(publishedKeys([], at(0)), [])
})

test('a rotation publishes the new key, lets the old one sign until then, and gives it an end', () => {
  const keys = rotated([key('old', 0)], key('new', 10, null, 10), { signsFrom: at(100), keepMs: ms(50) }, at(10))
  assert.deepEqual(keys, [key('old', 0, 150), key('new', 100, null, 10)])
})

test('a rotation leaves out what is retired, and never moves the end of a key that is over sooner', () => {
  const keys = rotated(
    [key('gone', 0, 20), key('previous', 10, 60), key('signing', 40)],
    key('new', 50, null, 50),
    { signsFrom: at(100), keepMs: ms(50) },
    at(50),
  )
  assert.deepEqual(kids(keys), ['previous', 'signing', 'new'])
  assert.deepEqual(
    keys.map(({ publishedUntil }) => publishedUntil),
    [60, 150, null],
  )
})

test('one that waits can be let to sign now: it is no second one', () => {
  const [old, waiting] = PAIR
  assert.ok(old !== undefined && waiting !== undefined)
  const keys = rotated(PAIR, waiting, { signsFrom: at(30), keepMs: ms(50) }, at(30))
  assert.deepEqual(keys, [key('old', 0, 80), key('new', 30)])
})

test('without time for the old one, it is over at once', () => {
  const keys = rotated([key('leaked', 0)], key('new', 30, null, 30), { signsFrom: at(30), keepMs: ms(0) }, at(30))
  assert.deepEqual(kids(publishedKeys(keys, at(30))), ['new'])
})
