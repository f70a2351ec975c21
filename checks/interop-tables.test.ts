import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { readmeTables, resultsDocument, type Recorded } from '../interop/results-document.ts'
import { ROOT } from './source-file.ts'

const text = (path: string): string => readFileSync(ROOT + path, 'utf8')
// Written by `npm run interop`.
const recorded = JSON.parse(text('interop/results.json')) as Recorded

test('interop/results.md says what was recorded', () => {
  assert.equal(text('interop/results.md'), resultsDocument(recorded))
})

test("the README's two tables of interop say what was recorded", () => {
  const readme = text('README.md')
  for (const table of Object.values(readmeTables(recorded))) {
    assert.ok(readme.includes(table), `README.md needs this table:\n${table}`)
  }
})
