import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { AREAS, kindsOf } from '../src/doctor/catalogue.ts'
import { NODE_LEAST } from '../src/doctor/program.ts'

const document = readFileSync(new URL('../../../docs/doctor.md', import.meta.url), 'utf8')

test('docs/doctor.md lists every finding, in its order, with what it says and what to do about it', () => {
  const rows = [...document.matchAll(/^\| `([a-z_]+)` +\| (ok|note|wrong) +\| (.+?) +\| (.+?) +\|$/gm)]
  assert.deepEqual(
    rows.map(([, code, is, says, todo]) => ({ code, is, says, todo })),
    AREAS.flatMap((area) => kindsOf(area)).map(([code, { is, says, todo }]) => ({
      code,
      is,
      says: asWritten(says),
      todo: todo === null ? '-' : asWritten(todo),
    })),
  )
})

test('no two findings have the same code', () => {
  const codes = AREAS.flatMap((area) => kindsOf(area)).map(([code]) => code)
  assert.equal(new Set(codes).size, codes.length)
})

test('what is wrong or noted says what to do, and what is as it should be does not', () => {
  for (const [code, { is, todo }] of AREAS.flatMap((area) => kindsOf(area)))
    assert.equal(todo === null, is === 'ok', code)
})

test('the Node that doctor asks for is the one of package.json', () => {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  assert.equal((JSON.parse(manifest) as { engines: { node: string } }).engines.node, `>=${NODE_LEAST}.0`)
})

/** What is different each time stands in italics there. */
const asWritten = (text: string): string => text.replaceAll(/\{(\w+)\}/g, '_$1_').replaceAll('|', '\\|')
