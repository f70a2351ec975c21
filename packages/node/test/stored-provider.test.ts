/** Providers that an earlier version stored: what they do not say has the meaning that it had then. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { STANDARD_ANSWER, STANDARD_REQUEST } from '@tokenkeep/core'
import { readStoredProvider, storedSettings } from '../src/stored-provider.ts'
import { providerOf } from './fixtures/provider.ts'

test('settings of before words had doubts, and requests and answers had shapes, read as the standard ones', () => {
  const { id, revision, ...now } = providerOf({ tokenEndpoint: 'https://id.example.org/token' })
  const { request: _, answer: __, refreshEndpoint: ___, refreshTokenAbsoluteMs: ____, ...before } = now
  const { tokenEndpointAuthMethod: _____, words, ...stored } = before
  const { inDoubt: ______, ...lists } = words
  const read = readStoredProvider({ id, revision }, { ...stored, words: { ...lists, rejected: ['gone'] } })
  assert.deepEqual(read, {
    id,
    revision,
    ...now,
    tokenEndpointAuthMethod: 'client_secret_basic',
    words: { ...now.words, rejected: ['gone'] },
    request: STANDARD_REQUEST,
    answer: STANDARD_ANSWER,
  })
})

test('settings of now come back as they were', () => {
  const provider = providerOf({ refreshEndpoint: 'https://id.example.org/refresh', tokenEndpointAuthMethod: 'none' })
  assert.deepEqual(readStoredProvider(provider, JSON.parse(storedSettings(provider))), provider)
})
