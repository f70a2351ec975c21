import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { NEEDS_USER_REASONS } from '@tokenkeep/core'
import { REASON } from '../packages/dashboard/src/words.ts'

test('the page gives for each reason the words of docs/errors.md', () => {
  const text = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')
  const section = text.slice(text.indexOf('## Reasons of `needs_user`'), text.indexOf('## Over HTTP'))
  const rows = [...section.matchAll(/^\| `(\w+)` +\| (.*?) *\|$/gm)]
  const documented = new Map(rows.map(([, reason = '', means = '']) => [reason, means]))
  assert.deepEqual([...documented.keys()], [...NEEDS_USER_REASONS])
  for (const reason of NEEDS_USER_REASONS) {
    assert.ok(documented.get(reason)?.startsWith(REASON[reason].why), `${reason}: ${REASON[reason].why}`)
  }
})
