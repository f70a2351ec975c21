/** How a provider's data changes what an answer means: words with statuses, other places, other names. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judge, type GrantedTokens, type Outcome } from '../src/grant.ts'
import { NO_WORDS, STANDARD_ANSWER, type AnswerShape, type ProviderWords } from '../src/provider.ts'
import { Secret } from '../src/secret.ts'
import { ms, type MonoMs, type UnixMs } from '../src/time.ts'

interface Seen {
  readonly status?: number
  readonly body?: string | object
  readonly complete?: boolean
}

const judged = (
  { status = 200, body = '', complete = true }: Seen,
  words: Partial<ProviderWords>,
  shape: Partial<AnswerShape> = {},
): Outcome =>
  judge(
    {
      kind: 'response',
      status,
      retryAfter: null,
      date: null,
      complete,
      sentAt: { wall: Date.parse('2026-11-23T08:00:00Z') as UnixMs, mono: 5_000 as MonoMs },
      body: new Secret('answer_body', typeof body === 'string' ? body : JSON.stringify(body)),
    },
    { words: { ...NO_WORDS, ...words }, answer: { ...STANDARD_ANSWER, ...shape }, accessTokenLifetimeMs: null },
    { lastLifetimeMs: null, unknownLifetimeMs: ms(300_000), asked: false },
  )

const brief = (outcome: Outcome): string =>
  outcome.kind === 'rejected'
    ? `rejected ${outcome.word}`
    : outcome.kind === 'misconfigured'
      ? `misconfigured ${outcome.word ?? outcome.reason}`
      : outcome.kind

const granted = (body: string | object, shape: Partial<AnswerShape>, rest: Seen = {}): GrantedTokens => {
  const outcome = judged({ ...rest, body }, {}, shape)
  return outcome.kind === 'granted' ? outcome : assert.fail(outcome.kind)
}

const OTHER = { error: 'other' }
const rows: readonly [string, Seen, Partial<ProviderWords>, string][] = [
  [
    'a word with its status',
    { status: 403, body: OTHER },
    { rejected: [{ status: 403, word: 'other' }] },
    'rejected invalid_grant',
  ],
  [
    'a word with another status',
    { status: 400, body: OTHER },
    { rejected: [{ status: 403, word: 'other' }] },
    'unavailable',
  ],
  ['a status alone', { status: 401, body: {} }, { rejected: [{ status: 401 }] }, 'rejected invalid_grant'],
  [
    'a status alone, with a word nobody knows',
    { status: 401, body: OTHER },
    { rejected: [{ status: 401 }] },
    'rejected invalid_grant',
  ],
  [
    'a status alone beside a standard word',
    { status: 401, body: { error: 'invalid_client' } },
    { rejected: [{ status: 401 }] },
    'misconfigured invalid_client',
  ],
  [
    'a status alone beside an own word',
    { status: 403, body: OTHER },
    { rejected: [{ status: 403 }], unavailable: ['other'] },
    'unavailable',
  ],
  [
    'a dead status on a page of a proxy',
    { status: 401, body: '<html>' },
    { rejected: [{ status: 401 }] },
    'unavailable',
  ],
  ['a reuse status on a page of a proxy', { status: 409, body: '<html>' }, { reused: [{ status: 409 }] }, 'in_doubt'],
  ['a reuse status', { status: 409, body: OTHER }, { reused: [{ status: 409 }] }, 'rejected reused'],
  [
    'a status that means: later, on a page',
    { status: 403, body: '<html>' },
    { unavailable: [{ status: 403 }] },
    'unavailable',
  ],
  [
    'a status that means: mend it',
    { status: 403, body: OTHER },
    { misconfigured: [{ status: 403 }] },
    'misconfigured 403',
  ],
  ['a status that means: perhaps', { status: 403, body: OTHER }, { inDoubt: [{ status: 403 }] }, 'in_doubt'],
  ['a word that means: perhaps', { status: 400, body: OTHER }, { inDoubt: ['other'] }, 'in_doubt'],
  [
    '404 said to be a dead token',
    { status: 404, body: OTHER },
    { rejected: [{ status: 404 }] },
    'rejected invalid_grant',
  ],
  [
    'a dead status that speaks of the moment',
    { status: 429, body: OTHER },
    { rejected: [{ status: 429 }] },
    'unavailable',
  ],
  [
    'a reuse word with its status',
    { status: 500, body: OTHER },
    { reused: [{ status: 500, word: 'other' }] },
    'rejected reused',
  ],
  ['tokens in spite of a listed status', { body: { access_token: 'A' } }, { rejected: [{ status: 200 }] }, 'granted'],
]
for (const [name, seen, words, expected] of rows) {
  test(`${name} means ${expected}`, () => assert.equal(brief(judged(seen, words)), expected))
}

test('words stand where the provider puts them, also in lists and as numbers', () => {
  const shape = { words: ['error_codes', 'detail.reason'] }
  const dead = { rejected: ['700082', 'gone'] }
  assert.equal(
    brief(judged({ status: 400, body: { error_codes: [1, 700082] } }, dead, shape)),
    'rejected invalid_grant',
  )
  assert.equal(
    brief(judged({ status: 400, body: { detail: { reason: 'gone' } } }, dead, shape)),
    'rejected invalid_grant',
  )
  assert.equal(brief(judged({ status: 400, body: { detail: ['gone'] } }, dead, shape)), 'in_doubt')
})

test('a path does not lead into what every object has', () => {
  assert.equal(
    brief(judged({ status: 400, body: {} }, { rejected: ['Object'] }, { words: ['constructor.name'] })),
    'in_doubt',
  )
})

test('tokens stand in another object only where the top has none, and all of them in the same one', () => {
  const shape = { tokensIn: ['authed_user', 'data'] }
  const user = { access_token: 'U', refresh_token: 'UR', expires_in: 60, scope: 'u' }
  const nested = granted({ ok: true, authed_user: user, scope: 'outer' }, shape)
  assert.deepEqual(
    [nested.accessToken?.token.reveal(), nested.refreshToken?.reveal(), nested.accessToken?.lifetimeMs, nested.scope],
    ['U', 'UR', 60_000, 'u'],
  )
  const both = granted({ access_token: 'B', authed_user: user }, shape)
  assert.equal(both.accessToken?.token.reveal(), 'B')
  assert.equal(both.refreshToken, null, 'a refresh token of another grant must not be taken for the successor')
  assert.equal(granted({ data: { access_token: 'D' } }, shape).accessToken?.token.reveal(), 'D')
})

test('other names are tried first, and the standard ones after them', () => {
  const shape = { accessToken: ['token'], refreshToken: ['renewal'], expiresIn: ['expires_in_sec'], scope: ['scopes'] }
  const named = granted(
    { token: 'A', renewal: 'R', expires_in: 3_600_000, expires_in_sec: 3_600, scopes: 'a b' },
    shape,
  )
  assert.deepEqual(
    [named.accessToken?.token.reveal(), named.refreshToken?.reveal(), named.accessToken?.lifetimeMs, named.scope],
    ['A', 'R', 3_600_000, 'a b'],
  )
  assert.equal(granted({ access_token: 'A', expires_in: 60 }, shape).accessToken?.lifetimeMs, 60_000)
})

test("the refresh token's life under another name", () => {
  const life = granted({ access_token: 'A', rt_life: 60 }, { refreshTokenExpiresIn: ['rt_life'] }).refreshTokenLife
  assert.deepEqual(life, { lifetimeMs: 60_000 })
})

test('scopes come with spaces between them, whatever stood there, and also from a list', () => {
  assert.equal(granted({ access_token: 'A', scope: 'a,b, c' }, { scopeSeparator: ',' }).scope, 'a b c')
  assert.equal(granted({ access_token: 'A', scope: 'a,b' }, {}).scope, 'a,b')
  assert.equal(granted({ access_token: 'A', scope: ['a', 'b'] }, {}).scope, 'a b')
  assert.equal(granted({ access_token: 'A', scope: ['a', 1] }, {}).scope, null)
  assert.equal(granted({ access_token: 'A', scope: [] }, {}).scope, null)
})

test('a type that only this provider uses is replaced by what the token is', () => {
  assert.equal(
    granted({ access_token: 'A', token_type: 'bot' }, { tokenType: 'Bearer' }).accessToken?.tokenType,
    'Bearer',
  )
})

test('of an answer that was cut, a complete refresh token is kept under any of its names, in JSON and in a form', () => {
  const cut = (body: string, shape: Partial<AnswerShape> = {}) =>
    granted(body, shape, { complete: false }).refreshToken?.reveal()
  assert.equal(cut('{"renewal":{"to*en":"R","tok', { refreshToken: ['renewal.to*en'] }), 'R')
  assert.equal(cut('{"ok":true,"authed_user":{"refresh_token":"R","acc'), 'R')
  assert.equal(cut('access_token=A&refresh_token=R%2B&scope='), 'R+')
  for (const body of ['access_token=A&refresh_token=R', '<a href="?x&refresh_token=R&y">']) {
    assert.equal(brief(judged({ body, complete: false }, {})), 'in_doubt', body)
  }
})
