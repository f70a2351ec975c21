/** Bodies that a broken or hostile server may send: whatever comes is judged, and no judgement throws. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { judge, type Outcome } from '../src/grant.ts'
import { NO_WORDS, STANDARD_ANSWER, type ProviderWords } from '../src/provider.ts'
import { Secret } from '../src/secret.ts'
import { ms, type MonoMs, type UnixMs } from '../src/time.ts'

interface Seen {
  readonly body: string | object
  readonly status?: number
  readonly complete?: boolean
  readonly retryAfter?: string | null
  readonly date?: string | null
}
const judged = ({ body, ...rest }: Seen, own: Partial<ProviderWords> = {}): Outcome =>
  judge(
    {
      kind: 'response',
      status: 200,
      retryAfter: null,
      date: null,
      complete: true,
      sentAt: { wall: 1_790_000_000_000 as UnixMs, mono: 0 as MonoMs },
      ...rest,
      body: new Secret('answer_body', typeof body === 'string' ? body : JSON.stringify(body)),
    },
    { words: { ...NO_WORDS, ...own }, answer: STANDARD_ANSWER, accessTokenLifetimeMs: null },
    { lastLifetimeMs: null, unknownLifetimeMs: ms(300_000), asked: false },
  )

const brief = (outcome: Outcome): string =>
  outcome.kind === 'granted'
    ? `granted at:${outcome.accessToken?.token.reveal() ?? '-'} rt:${outcome.refreshToken?.reveal() ?? '-'}`
    : outcome.kind

test('an access token with control characters is never handed out', () => {
  for (const bad of ['A\r\nX-Evil: 1', 'A\u0000', 'A\u007f', 'Ä']) {
    assert.equal(brief(judged({ body: { access_token: bad, refresh_token: 'R' } })), 'granted at:- rt:R')
    assert.equal(brief(judged({ body: { access_token: bad } })), 'in_doubt')
  }
})

test('a refresh token that came replaces the old one whatever its characters: it travels in a form, not in a header', () => {
  assert.equal(brief(judged({ body: { access_token: 'A', refresh_token: 'Rü' } })), 'granted at:A rt:Rü')
})

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
const hostile: readonly [string, string][] = [
  ['an array', '[{"access_token":"A"}]'],
  ['null', 'null'],
  ['a number', '42'],
  ['a deep array', nested(32_000)],
  ['deep objects', `${'{"error":'.repeat(7_000)}1${'}'.repeat(7_000)}`],
  ['a form named __proto__', '__proto__=access_token&constructor=1'],
  ['64 KiB of one letter', 'a'.repeat(65_536)],
  ['64 KiB of quotes', '"refresh_token"'.repeat(4_096)],
  ['64 KiB of backslashes', `{"refresh_token":"${'\\'.repeat(65_000)}`],
  ['tokens that are objects', '{"access_token":{"A":1},"refresh_token":["R"]}'],
  ['tokens that are numbers', '{"access_token":1,"refresh_token":2}'],
  ['empty tokens', '{"access_token":"","refresh_token":""}'],
]
for (const [name, body] of hostile) {
  test(`a hostile 200 (${name}) is a doubt, cut or whole, and takes no time`, () => {
    for (const complete of [true, false]) assert.equal(brief(judged({ body, complete })), 'in_doubt')
  })
}

test('tokens below __proto__ belong to nobody, and nothing is polluted by them', () => {
  assert.equal(brief(judged({ body: '{"__proto__":{"access_token":"A","refresh_token":"R"}}' })), 'in_doubt')
  assert.equal(brief(judged({ body: '{"error":{"__proto__":{"code":"invalid_grant"}}}', status: 400 })), 'in_doubt')
  assert.equal('access_token' in {}, false)
})

const word = fc.constantFrom('invalid_grant', 'login_required', 'invalid_client', 'server_error', 'gone', 'ask', 'x')
const anyBody = fc.oneof(
  fc.string({ maxLength: 200 }),
  fc.json(),
  fc.record({ error: word, code: word, status: word }, { requiredKeys: [] }).map((body) => JSON.stringify(body)),
  word.map((error) => `error=${error}`),
)
const anyAnswer = fc.record({
  status: fc.oneof(fc.integer({ min: 100, max: 599 }), fc.constantFrom(408, 425, 429, 500, 503)),
  retryAfter: fc.oneof(fc.constant(null), fc.string(), fc.nat().map(String)),
  date: fc.oneof(fc.constant(null), fc.string()),
  complete: fc.boolean(),
  body: anyBody,
})

test('no answer makes judging throw, and none that may pass is ever a refusal', () => {
  fc.assert(
    fc.property(anyAnswer, (answer) => {
      const outcome = judged(answer, { rejected: ['gone'], interactionRequired: ['ask'] })
      const passing = answer.status >= 500 || [408, 425, 429].includes(answer.status)
      assert.ok(!(passing && outcome.kind === 'rejected'), brief(outcome))
    }),
    { numRuns: 2_000 },
  )
})

test('a 2xx body with an access token is never read as an error', () => {
  const tokens = fc.record(
    {
      access_token: fc.stringMatching(/^[\x21-\x7E]{1,40}$/),
      expires_in: fc.anything(),
      error: word,
      code: word,
      status: word,
    },
    { requiredKeys: ['access_token'] },
  )
  fc.assert(
    fc.property(fc.integer({ min: 200, max: 299 }), tokens, (status, body) => {
      const text = JSON.stringify(body, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
      const outcome = judged({ status, body: text }, { rejected: ['gone'], interactionRequired: ['ask'] })
      assert.equal(outcome.kind === 'granted' && outcome.accessToken?.token.reveal(), body.access_token)
    }),
  )
})
