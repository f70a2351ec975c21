import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import ts from 'typescript'
import { conformanceDocument, DOCUMENT, idOf, partsOf, pathsOf, reasonOf, sectionOf } from './conformance-document.ts'
import { SPECIFICATIONS } from './conformance/specifications.ts'
import { namesIn, testNames } from './test-names.ts'

const all = SPECIFICATIONS.flatMap((specification) =>
  specification.requirements.map((requirement) => ({ id: idOf(specification, requirement), requirement })),
)

test('every test that is named there exists, in the file that is named', () => {
  const names = testNames()
  const missing = all.flatMap(({ id, requirement }) =>
    'shownBy' in requirement
      ? requirement.shownBy
          .filter((reference) => {
            const { file, test: name } = partsOf(reference)
            return !pathsOf(file).some((path) => names.get(path)?.has(name))
          })
          .map((reference) => `${id}: ${reference}`)
      : [],
  )
  assert.deepEqual(missing, [])
})

test('every requirement has a test, or a reason why there is none', () => {
  const bare = all.filter(({ requirement }) => {
    if ('shownBy' in requirement)
      return requirement.shownBy.length === 0 || new Set(requirement.shownBy).size < requirement.shownBy.length
    const reason = reasonOf(requirement)?.reason ?? ''
    return reason.length < 10 || /[.\n]$/.test(reason)
  })
  assert.deepEqual(
    bare.map(({ id }) => id),
    [],
  )
})

test('every requirement has an id of its own, that begins with its section, and says what is required in a sentence', () => {
  assert.deepEqual(
    all.map(({ id }) => id).filter((id, at, ids) => ids.indexOf(id) !== at),
    [],
  )
  const odd = all.filter(
    ({ requirement }) =>
      !/^(?:\d+(?:\.\d+)*|[A-Z])-[a-z0-9]+(?:-[a-z0-9]+)*$/.test(requirement.id) ||
      sectionOf(requirement) === '' ||
      !/^[A-Z`].*\.$/.test(requirement.says),
  )
  assert.deepEqual(
    odd.map(({ id }) => id),
    [],
  )
  const specifications = SPECIFICATIONS.map(({ name }) => name)
  assert.equal(new Set(specifications).size, specifications.length)
})

test('a name is read where a test is made, whole or as it is written for many cases, and nowhere else', () => {
  const source = [
    "test('plain', () => undefined)",
    'test(`whole`, () => undefined)',
    'for (const n of [1]) test(`one of ${n} cases`, () => undefined)',
    "test('outer', async (t) => { await t.test('inner', () => undefined) })",
    "test.skip('skipped', () => undefined)",
    "test.todo('to do')",
    "// test('commented', () => undefined)",
    "const text = `test('quoted', () => undefined)`",
    "other('of something else', () => undefined)",
    'test(name, () => undefined)',
  ].join('\n')
  const names = namesIn(ts.createSourceFile('a.test.ts', source, ts.ScriptTarget.Latest, true))
  assert.deepEqual([...names], ['plain', 'whole', 'one of ${n} cases', 'outer', 'inner'])
})

test('docs/conformance.md says what is listed (node --conditions=tokenkeep-source scripts/conformance-document.mjs --write)', async () => {
  assert.equal(readFileSync(DOCUMENT, 'utf8'), await conformanceDocument(SPECIFICATIONS))
})
