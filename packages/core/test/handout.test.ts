/** What the caller receives: a token, or an error that says what to do, and never a secret in it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import type { NeedsUserReason, OpenedAccessToken } from '../src/connection.ts'
import type { Refusal } from '../src/decide.ts'
import { FAILURE_CODES, assertNever, TokenError } from '../src/failures.ts'
import { closedError, errorFor, goneError, handOut, scopeRefused, unreadable } from '../src/handout.ts'
import type { Fence, Fingerprint } from '../src/ids.ts'
import { Secret } from '../src/secret.ts'
import { ms, type UnixMs } from '../src/time.ts'
import { FULL } from '../src/variant.ts'

const AT = Date.parse('2026-11-23T08:00:00Z') as UnixMs

const token = (scope: string | null): OpenedAccessToken => ({
  variant: FULL.key,
  fingerprint: 'f' as Fingerprint,
  tokenType: 'bearer',
  scope,
  lifetimeMs: ms(60_000),
  assumed: false,
  sentAt: AT,
  expiresAt: (AT + 60_000) as UnixMs,
  fence: 1 as Fence,
  refusedAt: null,
  token: new Secret('access_token', 'the-token'),
})

test('a hand-out has the token, its type as the provider wrote it, its end and its scope, and nothing else', () => {
  const expected = { accessToken: 'the-token', tokenType: 'bearer', expiresAt: AT + 60_000, scope: 'a' }
  assert.deepEqual(handOut(token('a'), 'a b'), expected)
  assert.equal(handOut(token(null), 'a b').scope, 'a b')
  assert.equal(handOut(token(null), null).scope, null)
  assert.ok(Object.isFrozen(handOut(token('a'), null)))
})

const reasons: readonly [NeedsUserReason, RegExp][] = [
  ['revoked', /refused its refresh token three times/],
  ['expired', /reached its end/],
  ['answer_lost', /answer of the provider was lost/],
  ['reused', /another program may hold a copy/],
  ['signed_out', /signed out/],
  ['interaction_required', /consent or a new sign-in/],
  ['no_refresh_token', /there is no refresh token/],
]
for (const [reason, says] of reasons) {
  test(`needs_user: ${reason} says why, and how to reconnect`, () => {
    const error = errorFor({ code: 'needs_user', reason }, 'dealer-42')
    assert.match(error.message, says)
    assert.match(error.message, /connection "dealer-42".*connections\.reconnect/)
    assert.deepEqual(
      [error.code, error.reason, error.subject, error.retryable],
      ['needs_user', reason, 'dealer-42', false],
    )
  })
}

test('a lost answer is never called revoked', () => {
  assert.doesNotMatch(errorFor({ code: 'needs_user', reason: 'answer_lost' }, 'x').message, /revoked/)
})

const waiting: readonly [Extract<Refusal, { retryAt: unknown }>, RegExp][] = [
  [{ code: 'blocked', reason: 'client', retryAt: AT }, /operator .*client secret.*clients\.put/],
  [{ code: 'in_doubt', retryAt: AT }, /perhaps sent and no answer came/],
  [{ code: 'suspect', retryAt: AT }, /confirmed before anybody is asked to sign in again/],
  [{ code: 'unavailable', retryAt: AT }, /did not grant one yet/],
]
for (const [refusal, says] of waiting) {
  test(`${refusal.code} says what is going on and when the next try is, and may be tried again`, () => {
    const error = errorFor(refusal, 'x')
    assert.match(error.message, says)
    assert.match(error.message, /The next try is at 2026-11-23T08:00:00\.000Z\.$/)
    assert.deepEqual([error.code, error.retryAt, error.retryable], [refusal.code, AT, true])
    assert.doesNotMatch(errorFor({ ...refusal, retryAt: null }, 'x').message, /next try/)
  })
}

const final: readonly [string, TokenError, RegExp][] = [
  [
    'variant_unsupported',
    errorFor({ code: 'variant_unsupported' }, 'x'),
    /narrowing: "token_only".*providers\.put.*leave scope and resource out/,
  ],
  ['unreadable', errorFor({ code: 'unreadable', because: 'no_key' }, 'x'), /key file or TOKENKEEP_KEY back/],
  ['unreadable', unreadable('tampered', 'x'), /altered or damaged.*backup or reconnect/],
  [
    'unknown_connection',
    goneError({ kind: 'gone', because: 'unknown' }, 'x'),
    /no connection "x".*connections\.import/,
  ],
  ['unknown_connection', goneError({ kind: 'gone', because: 'erased' }, 'x'), /no connection "x"/],
  ['deleting', goneError({ kind: 'gone', because: 'deleting' }, 'x'), /hands out nothing any more/],
  ['scope_refused', scopeRefused('x'), /other callers are not affected/],
  ['closed', closedError(), /openTokenkeep/],
]
for (const [code, error, says] of final) {
  test(`${code} says what to do (${says.source.slice(0, 30)}), and trying again does not help`, () => {
    assert.match(error.message, says)
    assert.deepEqual([error.code, error.retryable, error.name], [code, false, 'TokenError'])
  })
}

test('no error carries a cause: foreign errors can hold tokens', () => {
  for (const [, error] of final) assert.equal('cause' in error, false)
  for (const code of FAILURE_CODES) assert.equal('cause' in new TokenError(code, ''), false)
})

test('what should never happen does not print what it met', () => {
  const met = { refreshToken: 'canary-7f3a91' } as never
  assert.throws(
    () => assertNever(met),
    (error) => !inspect(error, { showHidden: true, depth: null }).includes('canary'),
  )
})
