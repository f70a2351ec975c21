import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { FAILURE_CODES, TokenError } from '@tokenkeep/core'
import { HTTP_PROBLEM_CODES, HTTP_STATUS, PASSING } from '../packages/server/src/api/problem-codes.ts'

const document = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')

test('docs/errors.md lists exactly the failure codes, in their order, with whether each is retryable and its HTTP status', () => {
  const rows = [...document.matchAll(/^\| `([a-z_]+)`\s*\| (yes|no)\s*\| (\d{3})\s*\|/gm)]
  assert.deepEqual(
    rows.map(([, code, retryable, status]) => ({ code, retryable: retryable === 'yes', status: Number(status) })),
    FAILURE_CODES.map((code) => ({ code, retryable: new TokenError(code, '').retryable, status: HTTP_STATUS[code] })),
  )
})

test('it lists exactly the codes that only HTTP has, in their order, with status and whether each is retryable', () => {
  const rows = [...document.matchAll(/^\| `([a-z_]+)`\s*\| (\d{3})\s*\| (yes|no)\s*\|/gm)]
  assert.deepEqual(
    rows.map(([, code, status, retryable]) => ({ code, status: Number(status), retryable: retryable === 'yes' })),
    HTTP_PROBLEM_CODES.map((code) => ({ code, status: HTTP_STATUS[code], retryable: PASSING.includes(code) })),
  )
})
