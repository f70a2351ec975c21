/** What this process remembers of its hand-outs: bounded, never older than either clock says, never going back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cacheKey, createCache, type Cache } from '../src/cache.ts'
import type { OpenedAccessToken, View } from '../src/connection.ts'
import type { ConnectionId, Fence, Fingerprint, Revision, Uid } from '../src/ids.ts'
import { NUMBERS } from '../src/policy.ts'
import { Secret } from '../src/secret.ts'
import { ms, type DurationMs, type MonoMs, type Now, type UnixMs } from '../src/time.ts'
import { FULL, parseVariant, type VariantKey } from '../src/variant.ts'

const S = 1_000
const MIN = 60 * S
const H = 60 * MIN
const WALL = 1_790_000_000_000
const now = (wall: number, mono: number = wall): Now => ({ wall: (WALL + wall) as UnixMs, mono: mono as MonoMs })

interface Given {
  readonly id?: string
  readonly uid?: number
  readonly revision?: number
  readonly token?: string
  readonly variant?: VariantKey
  readonly life?: number
  readonly fence?: number
  readonly scope?: string | null
  readonly createdAt?: number
}
const view = ({ id = 'x', uid = 0, revision = 1, scope = null, createdAt = 0 }: Given = {}): View =>
  ({
    // The last digits are the jitter: next to nothing here.
    row: {
      uid: `00000000-0000-4000-8000-${String(uid).padStart(12, '0')}` as Uid,
      id: id as ConnectionId,
      revision: revision as Revision,
      scope,
      createdAt: createdAt as UnixMs,
      signedOutAt: null,
      state: { status: 'ready' },
    },
    accessTokens: [],
    terms: { policy: NUMBERS, provider: {} },
  }) as unknown as View
const token = ({
  token: value = 'secret',
  variant = FULL.key,
  life = H,
  fence = 1,
}: Given = {}): OpenedAccessToken => ({
  variant,
  fingerprint: `f-${value}` as Fingerprint,
  tokenType: 'Bearer',
  scope: null,
  lifetimeMs: ms(life),
  assumed: false,
  sentAt: WALL as UnixMs,
  expiresAt: (WALL + life) as UnixMs,
  fence: fence as Fence,
  refusedAt: null,
  token: new Secret('access_token', value),
})
const put = (cache: Cache, given: Given = {}, at: Now = now(0)): void => void cache.put(view(given), token(given), at)
const of = (bytes = 1_000_000): Cache => createCache(bytes, NUMBERS)
const fresh = (cache: Cache, at: Now, ttl: number | null = null, key = 'x'): string | undefined =>
  cache.fresh(key, ttl as DurationMs | null, at)?.accessToken

const boundaries: readonly [string, Now, number | null, boolean][] = [
  ['1 ms before its window', now(54 * MIN - 1), null, true],
  ['in its window', now(54 * MIN), null, false],
  ['in its window by the monotonic clock alone', now(0, 54 * MIN), null, false],
  ['in its window by the wall clock alone', now(54 * MIN, 0), null, false],
  ['young, the wall clock stepping back', now(-H, 1), null, true],
  ['old, the wall clock stepping back', now(-H, 54 * MIN), null, false],
  ['1 ms before half of its life, asked for more', now(30 * MIN - 1), 2 * H, true],
  ['at half of its life, asked for more', now(30 * MIN), 2 * H, false],
  ['with the life that is asked for', now(40 * MIN - 1), 20 * MIN, true],
  ['without it', now(40 * MIN), 20 * MIN, false],
  ['without it by the monotonic clock alone', now(0, 40 * MIN), 20 * MIN, false],
  ['in its window, asked for nothing', now(54 * MIN), 0, false],
]
for (const [name, at, ttl, expected] of boundaries) {
  test(`a token ${name} is ${expected ? 'handed out from memory' : 'looked up again'}`, () => {
    const cache = of()
    put(cache)
    assert.equal(fresh(cache, at, ttl), expected ? 'secret' : undefined)
  })
}

test('while the store is away a token is handed out to its end by either clock', () => {
  const cache = of()
  put(cache, { life: 4 * MIN })
  const living = (at: Now): boolean => cache.living('x', at) !== undefined
  assert.deepEqual([living(now(4 * MIN - 1)), living(now(4 * MIN)), living(now(0, 4 * MIN))], [true, false, false])
})

test('a lower revision never replaces a higher one: two reads can come back in the wrong order', () => {
  const cache = of()
  put(cache, { revision: 5, token: 'new' })
  assert.equal(cache.put(view({ revision: 4 }), token({ token: 'old' }), now(0)).accessToken, 'old')
  assert.equal(fresh(cache, now(1)), 'new')
  put(cache, { revision: 5, token: 'spilled', fence: 2 })
  assert.equal(fresh(cache, now(1)), 'spilled')
  put(cache, { revision: 6, token: 'newer' })
  assert.equal(fresh(cache, now(1)), 'newer')
})

test('another token under the same revision and fence replaces what was remembered: a store that forgot its last writes counts anew', () => {
  const cache = of()
  put(cache, { revision: 3, token: 'forgotten', life: 20 * MIN })
  const written: View = { ...view({ revision: 3 }), accessTokens: [token({ token: 'new' })] }
  assert.equal(cache.olderByMs(written, FULL.key, now(30 * MIN)), 0)
  const given = cache.put(view({ revision: 3 }), token({ token: 'new' }), now(30 * MIN))
  assert.deepEqual([given.accessToken, given.expiresAt], ['new', WALL + H])
  assert.equal(fresh(cache, now(30 * MIN)), 'new')
})

test('another connection under an id that was deleted replaces what was remembered, whatever its revision', () => {
  const cache = of()
  put(cache, { revision: 5, token: 'deleted' })
  put(cache, { uid: 1, revision: 1, token: 'new' })
  assert.equal(fresh(cache, now(1)), 'new')
})

const NARROW = parseVariant('a', undefined)
const narrow = 'variant' in NARROW ? NARROW.variant.key : assert.fail()

test('a variant has an entry of its own, and dropping a connection drops them all', () => {
  const cache = of()
  put(cache, { token: 'full' })
  put(cache, { token: 'narrow', variant: narrow })
  put(cache, { id: 'y', uid: 1 })
  assert.equal(fresh(cache, now(1)), 'full')
  assert.equal(fresh(cache, now(1), null, cacheKey('x', narrow)), 'narrow')
  cache.drop(view().row.uid)
  assert.equal(fresh(cache, now(1)), undefined)
  assert.equal(fresh(cache, now(1), null, cacheKey('x', narrow)), undefined)
  assert.equal(fresh(cache, now(1), null, 'y'), 'secret')
})

const remembered = (cache: Cache, ids: number): number =>
  Array.from({ length: ids }, (_, index) => fresh(cache, now(1), null, `c${index}`)).filter(
    (each) => each !== undefined,
  ).length

test('it is bounded by bytes, not by entries: long tokens leave room for fewer', () => {
  const kept = [100, 10_000].map((length) => {
    const cache = of(100_000)
    for (let index = 0; index < 1_000; index += 1)
      put(cache, { id: `c${index}`, uid: index, token: 't'.repeat(length) })
    return remembered(cache, 1_000)
  })
  const [short = 0, long = 0] = kept
  assert.ok(short > 50 && short * 100 <= 100_000, `${short}`)
  assert.ok(long >= 1 && long * 10_000 <= 100_000, `${long}`)
})

test('a long scope counts, too: a provider must not fill our memory by it', () => {
  const cache = of(100_000)
  for (let index = 0; index < 100; index += 1) put(cache, { id: `c${index}`, uid: index, scope: 's'.repeat(50_000) })
  assert.ok(remembered(cache, 100) <= 2)
})

test('what alone is larger than the bound is handed out and not remembered', () => {
  const cache = of(1_000)
  assert.equal(cache.put(view(), token({ token: 't'.repeat(2_000) }), now(0)).accessToken.length, 2_000)
  assert.equal(fresh(cache, now(1)), undefined)
})

test('what is used stays while a crowd of others passes through, what is not goes', () => {
  const cache = of(50_000)
  const forgotten = (id: string, uid: number): number => {
    if (fresh(cache, now(1), null, id) !== undefined) return 0
    put(cache, { id, uid })
    return 1
  }
  put(cache, { id: 'hot', uid: 99_999 })
  put(cache, { id: 'cold', uid: 99_998 })
  let misses = 0
  for (let index = 0; index < 5_000; index += 1) {
    put(cache, { id: `c${index}`, uid: index })
    misses += forgotten('hot', 99_999)
  }
  // When all were used since the hand came by, the first one goes, whoever it is: once in a while that is this one.
  assert.ok(misses <= 2, `${misses} misses`)
  assert.equal(forgotten('cold', 99_998), 1)
})

test('replacing an entry again and again neither loses it nor counts it twice', () => {
  const cache = of(2_000)
  for (let revision = 1; revision <= 5_000; revision += 1) put(cache, { revision, token: `t${revision}` })
  assert.equal(fresh(cache, now(1)), 't5000')
})

test('used lately means within the last minute of polls', () => {
  const cache = of()
  put(cache, { revision: 3 })
  for (let second = 0; second < 60; second += 1)
    assert.deepEqual(cache.usedLately(), [[view().row.uid, 3]], `${second}`)
  assert.deepEqual(cache.usedLately(), [])
  put(cache, { revision: 3 })
  assert.equal(cache.usedLately().length, 1)
})

test('a connection is polled from the oldest and from the newest revision that any of its variants was read at', () => {
  for (const [first, second] of [
    [5, 7],
    [7, 5],
  ] as const) {
    const cache = of()
    put(cache, { revision: first })
    put(cache, { revision: second, variant: narrow })
    const { uid } = view().row
    assert.deepEqual(cache.usedLately(), [
      [uid, 5],
      [uid, 7],
    ])
  }
})

test('a hand-out is shared between callers, so none of them can change it', () => {
  const cache = of()
  put(cache)
  assert.ok(Object.isFrozen(cache.fresh('x', null, now(1))))
})

test('nothing is left after it is cleared', () => {
  const cache = of()
  put(cache)
  cache.clear()
  assert.equal(fresh(cache, now(1)), undefined)
  assert.deepEqual(cache.usedLately(), [])
  put(cache)
  assert.equal(fresh(cache, now(1)), 'secret')
})

test('what was not used for a minute is looked up again before it is handed out', () => {
  const cache = of()
  put(cache)
  for (let second = 0; second < 60; second += 1) cache.usedLately()
  assert.deepEqual(cache.usedLately(), [])
  // Nobody asked the store about it meanwhile: it may have been deleted.
  assert.equal(fresh(cache, now(2 * MIN)), undefined)
  put(cache, {}, now(2 * MIN))
  assert.equal(fresh(cache, now(2 * MIN)), 'secret')
  assert.equal(cache.usedLately().length, 1)
})

// ---- what others wrote ---------------------------------------------------------------------------------------------

const MOMENT = { boot: 'b', at: 0 as MonoMs, wall: WALL as UnixMs }
const heard = (
  cache: Cache,
  given: Given,
  row: Partial<View['row']> = {},
  tokens = [token(given)],
  at: Now = now(1),
): void => {
  const seen = view(given)
  cache.heard({ ...seen, row: { ...seen.row, ...row }, accessTokens: tokens }, at)
}

test('what another process wrote takes the place of what is remembered', () => {
  const cache = of()
  put(cache)
  heard(cache, { revision: 2, token: 'newer', fence: 2 })
  assert.equal(fresh(cache, now(2)), 'newer')
})

test('what is heard late does not take the place of what was written later', () => {
  const cache = of()
  put(cache, { revision: 3, token: 'newest', fence: 3 })
  heard(cache, { revision: 2, token: 'older', fence: 2 })
  heard(cache, { revision: 2 }, { signedOutAt: MOMENT })
  assert.equal(fresh(cache, now(2)), 'newest')
})

test('a token that is read again after the clock was set back is no younger for it', () => {
  const cache = of()
  put(cache)
  heard(cache, { revision: 2 }, {}, [token()], now(-H, 10 * MIN))
  assert.equal(fresh(cache, now(-20 * MIN, 50 * MIN)), 'secret')
  assert.equal(fresh(cache, now(-15 * MIN, 55 * MIN)), undefined)
  // Another token is as old as it says.
  heard(cache, { revision: 3, fence: 2 }, {}, [token({ fence: 2 })], now(-15 * MIN, 55 * MIN))
  assert.equal(fresh(cache, now(-5 * MIN, 65 * MIN)), 'secret')
})

test('what is not remembered is not remembered because others wrote it', () => {
  const cache = of()
  heard(cache, { revision: 2 })
  assert.equal(fresh(cache, now(2)), undefined)
})

for (const [what, row, tokens] of [
  ['deleted', { state: { status: 'deleting', since: WALL as UnixMs, attempt: null } }, [token()]],
  ['erased', { state: { status: 'erased', since: WALL as UnixMs } }, []],
  ['signed out', { signedOutAt: MOMENT }, [token()]],
  ['refused by an API', {}, [{ ...token(), refusedAt: WALL as UnixMs }]],
  ['without this token', {}, []],
] as const) {
  test(`what is ${what} elsewhere is dropped`, () => {
    const cache = of()
    put(cache)
    heard(cache, { revision: 2 }, row, [...tokens])
    assert.equal(fresh(cache, now(2)), undefined)
  })
}

test('a token that only others use is heard of for a minute more, and no longer', () => {
  const cache = of()
  put(cache)
  for (let second = 0; second < 60; second += 1) {
    heard(cache, { revision: 2 + second, token: `t${second}`, fence: 2 + second })
    cache.usedLately()
  }
  assert.deepEqual(cache.usedLately(), [])
  assert.equal(cache.wasUsed(view().row.uid), false, 'what was brought for others was not used here')
})

test('of what was heard, only what was used lately is asked for', () => {
  const cache = of()
  put(cache, { id: 'x', uid: 1, revision: 5 })
  put(cache, { id: 'y', uid: 2, revision: 7 })
  const [x, y, z] = [1, 2, 3].map((uid) => view({ uid }).row.uid)
  assert.ok(x && y && z)
  assert.deepEqual(cache.usedAmong([y, z]), [[y, 7]])
  assert.equal(cache.usedAmong('unknown').length, 2)
  for (let second = 0; second < 60; second += 1) cache.usedLately()
  assert.deepEqual([cache.usedAmong([y, z]), cache.usedAmong('unknown')], [[], []])
})

test('a deleted connection that comes back late does not take the place of the one that has its id now', () => {
  const cache = of()
  put(cache, { uid: 2, createdAt: 2, token: 'of the new one' })
  put(cache, { uid: 1, createdAt: 1, revision: 9, token: 'of the deleted one' })
  assert.equal(fresh(cache, now(1)), 'of the new one')
  put(cache, { uid: 3, createdAt: 3, token: 'of the next one' })
  assert.equal(fresh(cache, now(1)), 'of the next one')
})
