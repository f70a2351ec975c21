import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TokenError } from '@tokenkeep/core'
import { readTokenResponse } from '../src/cli/token-response.ts'

const NOW = 1_800_000_000_000
const read = (answer: Readonly<Record<string, unknown>>) => readTokenResponse(JSON.stringify(answer), NOW)

test('the five members of a token response become a sign-in, durations counted from now', () => {
  const answer = { access_token: 'at', expires_in: 300, refresh_token: 'rt', token_type: 'Bearer', scope: 'a b' }
  assert.deepEqual(read(answer), {
    accessToken: 'at',
    refreshToken: 'rt',
    tokenType: 'Bearer',
    scope: 'a b',
    expiresAt: NOW + 300_000,
    refreshTokenExpiresAt: undefined,
  })
})

test('durations may be strings, 0 is at once for an access token and never for a refresh token', () => {
  const ends = ({ expiresAt, refreshTokenExpiresAt }: ReturnType<typeof read>) => [expiresAt, refreshTokenExpiresAt]
  assert.deepEqual(ends(read({ expires_in: '60', refresh_expires_in: '90' })), [NOW + 60_000, NOW + 90_000])
  assert.deepEqual(ends(read({ expires_in: 0, refresh_expires_in: 0 })), [NOW, undefined])
  assert.deepEqual(ends(read({ refresh_token_expires_in: 90 })), [undefined, NOW + 90_000])
  assert.deepEqual(ends(read({ expires_in: null })), [undefined, undefined])
})

test('what is no token response is refused, and none of it is repeated', () => {
  const texts = [
    'canary-1 {',
    '["canary-1"]',
    '"canary-1"',
    '{"error":"canary-1"}',
    '{"refresh_token":["canary-1"]}',
    '{"expires_in":"canary-1"}',
    '{"expires_in":-1,"refresh_token":"canary-1"}',
  ]
  for (const text of texts) {
    assert.throws(
      () => readTokenResponse(text, NOW),
      (error) => error instanceof TokenError && error.code === 'invalid_input' && !error.message.includes('canary-1'),
      text,
    )
  }
})
