import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { timesIn } from '../guards/guard.ts'
import { GUARDS } from '../guards/guards.ts'
import { repositoryFiles, ROOT } from './source-file.ts'

const removals = GUARDS.flatMap(({ removals: each }) => each)
const read = (path: string): string => readFileSync(ROOT + path, 'utf8')

test('every guard of the protocol is there, in its order', () => {
  assert.deepEqual(
    GUARDS.map(({ number }) => number),
    Array.from({ length: 39 }, (_, index) => index + 1),
  )
})

test('every guard can be removed, or says why not', () => {
  assert.deepEqual(
    GUARDS.filter(({ removals: each, open }) => each.length === 0 && open === undefined).map(({ name }) => name),
    [],
  )
})

test('what is to be changed stands in its file exactly once', () => {
  const moved = removals.flatMap(({ what, changes }) =>
    changes
      .map((change) => ({ change, times: timesIn(read(change.file), change) }))
      .filter(({ times }) => times !== 1)
      .map(({ change, times }) => `${what}: ${times} times in ${change.file}: ${change.find}`),
  )
  assert.deepEqual(moved, [])
})

/** A text that is put together, as of a table of cases, is known by its fixed parts. */
const TITLE = /\btest\(\s*(['"`])(.*?)\1,/gs

test('every test that must fail is there', () => {
  const titles = repositoryFiles('packages/*/test/**/*.ts').flatMap((path) =>
    [...read(path).matchAll(TITLE)].map(([, , title = '']) => title.split(/\$\{.*?\}/)),
  )
  const isThere = (name: string): boolean =>
    titles.some((parts) => {
      const [first = '', ...others] = parts
      if (others.length === 0) return name === first
      return name.startsWith(first) && name.endsWith(others.at(-1) ?? '') && parts.every((part) => name.includes(part))
    })
  const missing = removals.map(({ caughtBy }) => caughtBy.test).filter((name) => !isThere(name))
  assert.deepEqual(missing, [])
})

test('docs/guards.md is of these guards: npm run guards -- --write', () => {
  const text = read('docs/guards.md')
  const missing = [...GUARDS.map(({ name }) => name), ...removals.map(({ what }) => what)]
  assert.deepEqual(
    missing.filter((each) => !text.includes(` ${each} `)),
    [],
  )
})
