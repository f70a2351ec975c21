import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { APPROVED, exportedNames, type ExportedNames } from './exported-names.ts'

const approved = JSON.parse(readFileSync(APPROVED, 'utf8')) as ExportedNames
const now = exportedNames()

for (const [name, names] of Object.entries(now)) {
  test(`${name} exports what was approved (on purpose: node scripts/public-api.mjs --approve)`, () => {
    assert.deepEqual(names, approved[name])
  })
}

test('every exported name resolves to something', () => {
  const unresolved = Object.entries(now).flatMap(([name, names]) =>
    Object.entries(names)
      .filter(([, kind]) => kind === 'unresolved')
      .map(([exported]) => `${name}: ${exported}`),
  )
  assert.deepEqual(unresolved, [])
})
