/** What an answer of a token endpoint means: the rows of `PROTOCOL.md` section 5, one table after the other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formFor, judge, type Answer, type GrantedTokens, type Outcome, type ResponseSeen } from '../src/grant.ts'
import { NO_WORDS, STANDARD_ANSWER, type ProviderWords } from '../src/provider.ts'
import { Secret } from '../src/secret.ts'
import { ms, type MonoMs, type Now, type UnixMs } from '../src/time.ts'
import { FULL, parseVariant } from '../src/variant.ts'

const SENT_AT: Now = { wall: Date.parse('2026-11-23T08:00:00Z') as UnixMs, mono: 5_000 as MonoMs }
const DATE = 'Mon, 23 Nov 2026 08:00:00 GMT'
const ASSUME = { lastLifetimeMs: null, unknownLifetimeMs: ms(300_000), asked: false }
const PLAIN = { words: NO_WORDS, answer: STANDARD_ANSWER, accessTokenLifetimeMs: null }

type Seen = Partial<Omit<ResponseSeen, 'kind' | 'body' | 'sentAt'>> & { body?: string | object }

const seen = ({ body = '', ...rest }: Seen): ResponseSeen => ({
  kind: 'response',
  status: 200,
  retryAfter: null,
  date: DATE,
  complete: true,
  sentAt: SENT_AT,
  ...rest,
  body: new Secret('answer_body', typeof body === 'string' ? body : JSON.stringify(body)),
})
const judged = (answer: Seen, own: Partial<ProviderWords> = {}, assume: Partial<typeof ASSUME> = {}): Outcome =>
  judge(seen(answer), { ...PLAIN, words: { ...NO_WORDS, ...own } }, { ...ASSUME, ...assume })

/** An outcome in one short line, so that the tables can be read. */
const brief = (outcome: Outcome): string => {
  switch (outcome.kind) {
    case 'granted':
      return `granted at:${outcome.accessToken?.token.reveal() ?? '-'} rt:${outcome.refreshToken?.reveal() ?? '-'}`
    case 'rejected':
      return `rejected ${outcome.word}`
    case 'misconfigured':
      return `misconfigured ${outcome.reason}`
    case 'unavailable':
    case 'not_sent':
    case 'in_doubt':
      return outcome.kind
  }
}
const granted = (body: string | object, rest: Partial<Seen> = {}): GrantedTokens => {
  const outcome = judged({ body, ...rest })
  return outcome.kind === 'granted' ? outcome : assert.fail(outcome.kind)
}

const WORD = { reused: ['spent'], rejected: ['gone'], interactionRequired: ['ask'], misconfigured: ['app'] }
const PAIR = { access_token: 'A', refresh_token: 'R' }
const rows: readonly [string, Seen, string, Partial<ProviderWords>?][] = [
  ['2xx with both tokens', { body: PAIR }, 'granted at:A rt:R'],
  ['2xx with an access token alone: the old refresh token stays', { body: { access_token: 'A' } }, 'granted at:A rt:-'],
  ['2xx with a refresh token alone', { body: { refresh_token: 'R' } }, 'granted at:- rt:R'],
  ['201 with tokens', { status: 201, body: PAIR }, 'granted at:A rt:R'],
  ['200 with tokens and an error word', { body: { ...PAIR, error: 'invalid_grant' } }, 'granted at:A rt:R'],
  ['2xx with neither', { body: { ok: true } }, 'in_doubt'],
  ['204', { status: 204 }, 'in_doubt'],
  ['200 with HTML', { body: '<html><body>Sign in</body></html>' }, 'in_doubt'],
  ['200 with broken JSON', { body: '{"access_token":' }, 'in_doubt'],
  ['a cut 200', { body: '{"access_token":"A","refre', complete: false }, 'in_doubt'],
  ['a cut 200 with half a refresh token', { body: '{"refresh_token":"R', complete: false }, 'in_doubt'],
  ['a cut 200 with a whole one', { body: '{"refresh_token" : "R","access_', complete: false }, 'granted at:- rt:R'],
  ['a cut 200 with an escaped one', { body: '{"refresh_token":"a\\/b","x', complete: false }, 'granted at:- rt:a/b'],
  ['a cut 400', { status: 400, body: '{"error":"invalid_grant"', complete: false }, 'in_doubt'],
  ['a cut 400 with a refresh token', { status: 400, body: '{"refresh_token":"R"', complete: false }, 'in_doubt'],
  ['400 invalid_grant', { status: 400, body: { error: 'invalid_grant' } }, 'rejected invalid_grant'],
  ['401 invalid_grant', { status: 401, body: { error: 'invalid_grant' } }, 'rejected invalid_grant'],
  ['200 invalid_grant', { body: { error: 'invalid_grant' } }, 'rejected invalid_grant'],
  ['302 invalid_grant', { status: 302, body: { error: 'invalid_grant' } }, 'rejected invalid_grant'],
  ['invalid_grant in code', { status: 400, body: { code: 'invalid_grant' } }, 'rejected invalid_grant'],
  [
    'invalid_grant in error.code',
    { status: 400, body: { error: { code: 'invalid_grant' } } },
    'rejected invalid_grant',
  ],
  ['invalid_grant in status', { status: 400, body: { status: 'invalid_grant' } }, 'rejected invalid_grant'],
  ['408 invalid_grant', { status: 408, body: { error: 'invalid_grant' } }, 'in_doubt'],
  ['425 invalid_grant', { status: 425, body: { error: 'invalid_grant' } }, 'unavailable'],
  ['429 invalid_grant', { status: 429, body: { error: 'invalid_grant' } }, 'unavailable'],
  ['500 invalid_grant', { status: 500, body: { error: 'invalid_grant' } }, 'in_doubt'],
  ["the provider's word", { status: 400, body: { error: 'gone' } }, 'rejected invalid_grant', WORD],
  ["the provider's word in a 200", { body: { error: 'gone' } }, 'rejected invalid_grant', WORD],
  [
    "the provider's number",
    { status: 400, body: { error: { code: 190 } } },
    'rejected invalid_grant',
    { rejected: ['190'] },
  ],
  ["the provider's word with 503", { status: 503, body: { error: 'gone' } }, 'in_doubt', WORD],
  ["the provider's reuse word", { status: 401, body: { error: { code: 'spent' } } }, 'rejected reused', WORD],
  ["the provider's reuse word with 500", { status: 500, body: { error: 'spent' } }, 'rejected reused', WORD],
  ["the provider's reuse word with 429", { status: 429, body: { code: 'spent' } }, 'rejected reused', WORD],
  [
    'reuse beside invalid_grant',
    { status: 400, body: { error: 'invalid_grant', code: 'spent' } },
    'rejected reused',
    WORD,
  ],
  [
    'reuse before any other list',
    { status: 400, body: { error: 'late', code: 'spent' } },
    'rejected reused',
    { ...WORD, unavailable: ['late'] },
  ],
  ["the provider's interaction word", { status: 400, body: { error: 'ask' } }, 'rejected interaction_required', WORD],
  ["the provider's word for a wrong client", { status: 400, body: { error: 'app' } }, 'misconfigured client', WORD],
  [
    "the provider's word for try later",
    { status: 400, body: { error: 'invalid_grant', code: 'late' } },
    'unavailable',
    { unavailable: ['late'] },
  ],
  ['interaction_required', { status: 400, body: { error: 'interaction_required' } }, 'rejected interaction_required'],
  ['consent_required', { status: 400, body: { error: 'consent_required' } }, 'rejected interaction_required'],
  ['login_required', { status: 400, body: { error: 'login_required' } }, 'rejected interaction_required'],
  ['invalid_client', { status: 401, body: { error: 'invalid_client' } }, 'misconfigured client'],
  ['unauthorized_client', { status: 400, body: { error: 'unauthorized_client' } }, 'misconfigured client'],
  ['unsupported_grant_type', { status: 400, body: { error: 'unsupported_grant_type' } }, 'misconfigured client'],
  ['invalid_request', { status: 400, body: { error: 'invalid_request' } }, 'misconfigured request'],
  ['invalid_scope that nobody asked for', { status: 400, body: { error: 'invalid_scope' } }, 'misconfigured request'],
  ['301', { status: 301, body: '<html>' }, 'misconfigured endpoint'],
  ['307', { status: 307 }, 'misconfigured endpoint'],
  ['404 with HTML', { status: 404, body: '<html>' }, 'misconfigured endpoint'],
  ['405', { status: 405 }, 'misconfigured endpoint'],
  ['410', { status: 410, body: { error: 'gone' } }, 'misconfigured endpoint'],
  ['425', { status: 425 }, 'unavailable'],
  ['429 without Retry-After', { status: 429 }, 'unavailable'],
  ['503 with Retry-After', { status: 503, retryAfter: '3' }, 'unavailable'],
  ['503 without', { status: 503 }, 'in_doubt'],
  [
    'temporarily_unavailable with Retry-After',
    { status: 400, retryAfter: '3', body: { error: 'temporarily_unavailable' } },
    'unavailable',
  ],
  ['server_error with Retry-After', { status: 400, retryAfter: '3', body: { error: 'server_error' } }, 'unavailable'],
  ['temporarily_unavailable without', { status: 400, body: { error: 'temporarily_unavailable' } }, 'in_doubt'],
  ['server_error without', { status: 400, body: { error: 'server_error' } }, 'in_doubt'],
  ['200 temporarily_unavailable', { body: { error: 'temporarily_unavailable' } }, 'in_doubt'],
  ['408 with Retry-After', { status: 408, retryAfter: '3' }, 'in_doubt'],
  ['500 with Retry-After', { status: 500, retryAfter: '3' }, 'in_doubt'],
  ['502 with HTML', { status: 502, body: '<html>' }, 'in_doubt'],
  [
    '500 temporarily_unavailable with Retry-After',
    { status: 500, retryAfter: '3', body: { error: 'temporarily_unavailable' } },
    'unavailable',
  ],
  [
    '408 server_error with Retry-After',
    { status: 408, retryAfter: '3', body: { error: 'server_error' } },
    'unavailable',
  ],
  ['425 with Retry-After', { status: 425, retryAfter: '3' }, 'unavailable'],
  ['429 with HTML', { status: 429, body: '<html>' }, 'unavailable'],
  [
    '503 invalid_grant with Retry-After',
    { status: 503, retryAfter: '3', body: { error: 'invalid_grant' } },
    'unavailable',
  ],
  ['504 with a cut body', { status: 504, body: '{"error":"invalid', complete: false }, 'in_doubt'],
  ['429 with a cut body', { status: 429, body: '{"error":', complete: false }, 'in_doubt'],
  ['404 invalid_grant', { status: 404, body: { error: 'invalid_grant' } }, 'rejected invalid_grant'],
  ['302 without a word', { status: 302, body: { ok: true } }, 'misconfigured endpoint'],
  // A status of the moment beats every word but that of reuse: a gateway may have put both together.
  ['503 invalid_client', { status: 503, body: { error: 'invalid_client' } }, 'in_doubt'],
  ['429 invalid_client', { status: 429, body: { error: 'invalid_client' } }, 'unavailable'],
  ['500 interaction_required', { status: 500, body: { error: 'interaction_required' } }, 'in_doubt'],
  ['200 invalid_client', { body: { error: 'invalid_client' } }, 'misconfigured client'],
  ['200 slow_down', { body: { error: 'slow_down' } }, 'in_doubt'],
  ['a number in code', { status: 400, body: { code: 190 } }, 'unavailable'],
  ['401 without a known word', { status: 401, body: '<html>' }, 'unavailable'],
  ['403 without a known word', { status: 403, body: 'Forbidden' }, 'unavailable'],
  ['any other JSON error', { status: 400, body: { error: 'slow_down' } }, 'unavailable'],
  ['400 with HTML', { status: 400, body: '<html>' }, 'in_doubt'],
  ['418 without a body', { status: 418 }, 'in_doubt'],
]

for (const [name, answer, expected, own] of rows) {
  test(`${name} means ${expected}`, () => assert.equal(brief(judged(answer, own)), expected))
}

test('a scope or resource that a caller asked for hurts that request only', () => {
  for (const error of ['invalid_scope', 'invalid_target']) {
    assert.equal(brief(judged({ status: 400, body: { error } }, {}, { asked: true })), 'misconfigured asked')
  }
})

test('what ended without an answer is in doubt, and our own reset is no end that we saw', () => {
  for (const [because, endSeen] of [
    ['reset', true],
    ['closed', true],
    ['malformed', true],
    ['abandoned', false],
  ] as const) {
    const answer: Answer = { kind: 'no_answer', because, sentAt: SENT_AT }
    assert.deepEqual(judge(answer, PLAIN, ASSUME), {
      kind: 'in_doubt',
      because,
      status: null,
      endSeen,
      retryAfterMs: null,
    })
  }
})

test('what never left is passed on as not sent', () => {
  assert.deepEqual(judge({ kind: 'not_sent', because: 'dns' }, PLAIN, ASSUME), { kind: 'not_sent', because: 'dns' })
})

const retryAfter = (value: string, rest: Partial<Seen> = {}): number | null => {
  const outcome = judged({ status: 429, retryAfter: value, ...rest })
  return outcome.kind === 'unavailable' ? outcome.retryAfterMs : assert.fail(outcome.kind)
}

test('Retry-After is read as seconds, or as a date by the clock of the answer itself', () => {
  assert.equal(retryAfter('0'), 0)
  assert.equal(retryAfter('7'), 7_000)
  assert.equal(retryAfter('Mon, 23 Nov 2026 08:01:00 GMT'), 60_000)
  assert.equal(retryAfter('Mon, 23 Nov 2026 08:01:00 GMT', { date: 'Mon, 23 Nov 2026 08:00:50 GMT' }), 10_000)
  assert.equal(retryAfter('Mon, 23 Nov 2026 08:01:00 GMT', { date: null }), 60_000)
  assert.equal(retryAfter('Mon, 23 Nov 2020 08:01:00 GMT'), 0)
  assert.equal(retryAfter('soon'), null)
})

test('Retry-After is kept beside a doubt, too', () => {
  const outcome = judged({ status: 500, retryAfter: '7' })
  assert.equal(outcome.kind === 'in_doubt' && outcome.retryAfterMs, 7_000)
})

test('a Retry-After that is neither seconds nor an HTTP date does not turn a doubt into "not consumed"', () => {
  for (const value of ['-5', '1.5', 'x 5'])
    assert.equal(brief(judged({ status: 503, retryAfter: value })), 'in_doubt', value)
})

test('a form is read like JSON, whatever the content type says', () => {
  const form = granted('access_token=a%2Bb+c&expires_in=60&refresh_token=R&scope=x+y&token_type=bearer')
  assert.equal(brief(form), 'granted at:a+b c rt:R')
  assert.deepEqual([form.accessToken?.lifetimeMs, form.accessToken?.tokenType, form.scope], [60_000, 'bearer', 'x y'])
  assert.equal(
    brief(judged({ status: 200, body: 'error=invalid_grant&error_description=old' })),
    'rejected invalid_grant',
  )
})

test('a form keeps what stands behind a second equals sign: unescaped base64 ends in them', () => {
  assert.equal(brief(granted('access_token=QQ==&refresh_token=Ug==')), 'granted at:QQ== rt:Ug==')
})

test('a form with a line end behind it still holds its tokens', () => {
  assert.equal(brief(judged({ body: 'access_token=A&refresh_token=R\r\n' })), 'granted at:A rt:R')
})

test('a 200 whose JSON breaks off yields its complete refresh token, whoever broke it off', () => {
  assert.equal(brief(judged({ body: '{"refresh_token":"R","access_token":"A' })), 'granted at:- rt:R')
})

test('an unknown token type is not invented, and a missing one means Bearer', () => {
  assert.equal(granted({ ...PAIR, token_type: 'DPoP' }).accessToken?.tokenType, 'DPoP')
  assert.equal(granted(PAIR).accessToken?.tokenType, 'Bearer')
})

test('the granted scope is kept as it was said', () => {
  assert.equal(granted({ ...PAIR, scope: 'a b' }).scope, 'a b')
  assert.equal(granted(PAIR).scope, null)
})

test('the form leaves the scope out unless something narrower is asked for, or the grant has none of its own', () => {
  const narrow = parseVariant('b a', ['https://api.example.org/'])
  assert.ok('variant' in narrow)
  assert.deepEqual(formFor('refresh_token', FULL, 'a b c'), { grantType: 'refresh_token', scope: null, resources: [] })
  assert.deepEqual(formFor('refresh_token', narrow.variant, 'a b c').scope, 'a b')
  assert.deepEqual(formFor('refresh_token', narrow.variant, null).resources, ['https://api.example.org/'])
  assert.equal(formFor('client_credentials', FULL, 'a b c').scope, 'a b c')
})
