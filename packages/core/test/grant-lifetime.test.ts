/** How long an answer says that its tokens live (`PROTOCOL.md` sections 5 and 10): seconds, dates, claims, assumptions. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judge, type GrantedTokens } from '../src/grant.ts'
import { NO_WORDS, STANDARD_ANSWER } from '../src/provider.ts'
import { Secret } from '../src/secret.ts'
import { ms, type DurationMs, type MonoMs, type UnixMs } from '../src/time.ts'

const SENT_AT = { wall: Date.parse('2026-11-23T08:00:00Z') as UnixMs, mono: 5_000 as MonoMs }
// The server's clock is two minutes ahead of ours: an absolute end must be read by it.
const DATE = 'Mon, 23 Nov 2026 08:02:00 GMT'
const SERVER_NOW_S = Date.parse(DATE) / 1000
const TEN_YEARS_MS = 10 * 365 * 24 * 3_600_000

interface Known {
  readonly provider?: DurationMs
  readonly last?: DurationMs
  readonly date?: string | null
}
const read = (fields: object, { provider, last, date = DATE }: Known = {}): GrantedTokens => {
  const body = JSON.stringify({ access_token: 'A', refresh_token: 'R', ...fields })
  const outcome = judge(
    {
      kind: 'response',
      status: 200,
      retryAfter: null,
      date,
      complete: true,
      sentAt: SENT_AT,
      body: new Secret('answer_body', body),
    },
    { words: NO_WORDS, answer: STANDARD_ANSWER, accessTokenLifetimeMs: provider ?? null },
    { lastLifetimeMs: last ?? null, unknownLifetimeMs: ms(300_000), asked: false },
  )
  return outcome.kind === 'granted' ? outcome : assert.fail(outcome.kind)
}
const lifetime = (fields: object, known: Known = {}): readonly [number | undefined, boolean | undefined] => {
  const { accessToken } = read(fields, known)
  return [accessToken?.lifetimeMs, accessToken?.assumed]
}

const said: readonly [string, object, number][] = [
  ['a number', { expires_in: 60 }, 60_000],
  ['a string', { expires_in: '60' }, 60_000],
  ['a fraction', { expires_in: 1.5 }, 1_500],
  ['an absurdly large number', { expires_in: 1e300 }, TEN_YEARS_MS],
  ['epoch seconds', { expires_at: SERVER_NOW_S + 90 }, 90_000],
  ['epoch seconds as a string', { expires_at: String(SERVER_NOW_S + 90) }, 90_000],
  ['epoch milliseconds', { expires_at: (SERVER_NOW_S + 90) * 1000 }, 90_000],
  ['ISO 8601', { expires_at: '2026-11-23T08:03:30Z' }, 90_000],
  ['ISO 8601 with an offset', { expires_at: '2026-11-23T09:03:30+01:00' }, 90_000],
  ['a duration beside an end: the duration', { expires_in: 60, expires_at: SERVER_NOW_S + 999 }, 60_000],
]
for (const [name, fields, expected] of said) {
  test(`a lifetime said as ${name} is ${expected} ms and not assumed`, () =>
    assert.deepEqual(lifetime(fields), [expected, false]))
}

test('an ISO 8601 end without an offset is UTC, whatever the time zone of this machine', () => {
  const zone = process.env['TZ']
  try {
    process.env['TZ'] = 'America/New_York'
    assert.deepEqual(lifetime({ expires_at: '2026-11-23T08:03:30' }), [90_000, false])
  } finally {
    if (zone === undefined) delete process.env['TZ']
    else process.env['TZ'] = zone
  }
})

test('without a Date header an absolute end is read by our own clock', () => {
  assert.deepEqual(lifetime({ expires_at: SENT_AT.wall / 1000 + 90 }, { date: null }), [90_000, false])
  assert.deepEqual(lifetime({ expires_at: SENT_AT.wall / 1000 + 90 }, { date: 'nonsense' }), [90_000, false])
})

test('a duration is never corrected by the Date header', () => {
  assert.deepEqual(lifetime({ expires_in: 60 }, { date: 'Mon, 23 Nov 2020 08:00:00 GMT' }), [60_000, false])
})

const unsaid: readonly [string, object][] = [
  ['absent', {}],
  ['0', { expires_in: 0 }],
  ['"0"', { expires_in: '0' }],
  ['negative', { expires_in: -5 }],
  ['empty', { expires_in: '' }],
  ['words', { expires_in: 'one hour' }],
  ['null', { expires_in: null }],
  ['an object', { expires_in: { seconds: 5 } }],
  ['an end that has passed', { expires_at: SERVER_NOW_S - 1 }],
]
for (const [name, fields] of unsaid) {
  test(`a lifetime that is ${name} is not said: five minutes, marked as assumed`, () =>
    assert.deepEqual(lifetime(fields), [300_000, true]))
}

const jwt = (claims: object): string =>
  ['{"alg":"none"}', JSON.stringify(claims), 'sig'].map((part) => Buffer.from(part).toString('base64url')).join('.')

test("an unsaid lifetime is the provider's, else the token's own exp - iat, else the last one seen", () => {
  const token = jwt({ iat: 1_000, exp: 1_700, sub: 'ü?>' })
  const known = { provider: ms(11_000), last: ms(22_000) }
  assert.deepEqual(lifetime({ access_token: token }, known), [11_000, true])
  assert.deepEqual(lifetime({ access_token: token }, { last: ms(22_000) }), [700_000, true])
  assert.deepEqual(lifetime({}, { last: ms(22_000) }), [22_000, true])
})

test('a token that only looks like a JWT says nothing, and breaks nothing', () => {
  for (const token of ['a.b.c', '..', 'a.%%.c', jwt({ exp: 'x', iat: 0 }), jwt({ exp: 5, iat: 9 }), jwt([])]) {
    assert.deepEqual(lifetime({ access_token: token }), [300_000, true], token)
  }
})

const ends: readonly [string, object, number | 'no fixed end' | 'not said'][] = [
  ['refresh_expires_in', { refresh_expires_in: 1_800 }, 1_800_000],
  ['refresh_expires_in as a string', { refresh_expires_in: '1800' }, 1_800_000],
  ['refresh_token_expires_in', { refresh_token_expires_in: 1_800 }, 1_800_000],
  ['x_refresh_token_expires_in', { x_refresh_token_expires_in: 1_800 }, 1_800_000],
  ['refresh_token_expires_at', { refresh_token_expires_at: SERVER_NOW_S + 1_800 }, 1_800_000],
  ['refresh_expires_in 0', { refresh_expires_in: 0 }, 'no fixed end'],
  ['refresh_expires_in "0"', { refresh_expires_in: '0' }, 'no fixed end'],
  ['refresh_token_expires_at 0', { refresh_token_expires_at: 0 }, 'no fixed end'],
  ['one of two', { refresh_expires_in: 0, refresh_token_expires_in: 60 }, 60_000],
  ['ISO', { refresh_token_expires_at: new Date((SERVER_NOW_S + 60) * 1000).toISOString() }, 60_000],
  ['null', { refresh_token_expires_at: null }, 'not said'],
  ['nothing', {}, 'not said'],
]
for (const [name, fields, expected] of ends) {
  test(`the refresh token's life said as ${name} is ${expected}`, () => {
    const life = read(fields).refreshTokenLife
    assert.equal(life === null ? 'not said' : (life.lifetimeMs ?? 'no fixed end'), expected)
  })
}
