import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { FAILURE_CODES, TokenError } from '@tokenkeep/core'

const document = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')
const rows = [...document.matchAll(/^\| `([a-z_]+)`\s*\| (yes|no)\s*\|/gm)].map(([, code, retryable]) => ({
  code,
  retryable: retryable === 'yes',
}))

test('docs/errors.md lists exactly the failure codes, in their order, and whether each is retryable', () => {
  const codes = FAILURE_CODES.map((code) => ({ code, retryable: new TokenError(code, '').retryable }))
  assert.deepEqual(rows, codes)
})
