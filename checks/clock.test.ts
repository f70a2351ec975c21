import assert from 'node:assert/strict'
import { test } from 'node:test'
import ts from 'typescript'
import { placeOf, sourceFiles, visit } from './source-file.ts'

/** The files that may read a clock or draw at random, each with its reason. Everybody else is handed a moment or a draw. */
const MAY_READ: Readonly<Record<string, string>> = {
  'packages/node/src/clock-system.ts': 'is the clock',
  'packages/node/src/random-system.ts': 'is the random source',
  'packages/server/src/cli/surroundings.ts': "hands the command's own reading to whatever it runs",
  'packages/node/src/boot.ts': "is the store's clock: time since the boot of this host, and which boot",
}

const READINGS = [
  'Date.now',
  'Math.random',
  'performance.now',
  'performance.timeOrigin',
  'process.hrtime',
  'process.uptime',
]
/** What core would wait with, if it did not get a clock. */
const TIMERS = ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask']

const isDate = (node: ts.Expression): boolean => ts.isIdentifier(node) && node.text === 'Date'

function reads(node: ts.Node): boolean {
  if (ts.isPropertyAccessExpression(node)) return READINGS.includes(node.getText().replace(/^globalThis\./, ''))
  if (ts.isNewExpression(node)) return isDate(node.expression) && (node.arguments ?? []).length === 0
  return ts.isCallExpression(node) && isDate(node.expression)
}

const places = sourceFiles('packages/{core,node,server}/src/**').flatMap((file) => {
  const found: { readonly path: string; readonly at: string }[] = []
  visit(file.tree, (node) => {
    if (reads(node)) found.push({ path: file.path, at: `${placeOf(file, node)} ${node.getText()}` })
  })
  return found
})

test('only the listed files read a clock or draw at random', () => {
  assert.deepEqual(
    places.filter(({ path }) => !(path in MAY_READ)).map(({ at }) => at),
    [],
  )
})

test('every listed file does', () => {
  const used = new Set(places.map(({ path }) => path))
  assert.deepEqual(
    Object.keys(MAY_READ).filter((path) => !used.has(path)),
    [],
  )
})

test('core waits only by the clock that it is given', () => {
  const timers = sourceFiles('packages/core/src/**').flatMap((file) => {
    const found: string[] = []
    visit(file.tree, (node) => {
      if (ts.isIdentifier(node) && TIMERS.includes(node.text)) found.push(placeOf(file, node))
    })
    return found
  })
  assert.deepEqual(timers, [])
})
