import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { DOCUMENT, providersDocument } from './providers-document.ts'

test('docs/providers.md says what the presets say (node --conditions=tokenkeep-source scripts/providers-document.mjs --write)', async () => {
  assert.equal(readFileSync(DOCUMENT, 'utf8'), await providersDocument())
})
