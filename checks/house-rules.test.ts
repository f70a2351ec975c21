import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { test } from 'node:test'
import ts from 'typescript'
import { placeOf, repositoryFiles, ROOT, sourceFiles, visit } from './source-file.ts'

const DRAWERS = /^(utils?|helpers?|common|shared|lib|misc|types|interfaces|constants)$/
/** Folders of the machines that this was written on. Put together here, so that this file does not hold them. */
const MACHINE_PATHS = new RegExp(['work/', 'root/', 'tmp/bash'].map((path) => `(?<![\\w.*:}~-])/${path}`).join('|'))
const BINARY = /\.(db|png|ico|tgz|woff2)$/
const LINES_MOST = { source: 600, test: 1000 }

const repository = repositoryFiles(
  '*',
  '.*',
  '.ci/**',
  '{bench,checks,docs,gauntlet,guards,interop,packages,prove,scripts,simulation}/**/*',
).filter((path) => posix.extname(path) !== '' || path === '.ci/run')
const code = sourceFiles('packages/*/{src,test}/**', 'checks/**')
const tests = code.filter(({ path }) => path.endsWith('.test.ts'))

test('no file or folder is a drawer for what has no name', () => {
  const drawers = code.filter(({ path }) => path.split('/').some((part) => DRAWERS.test(part.split('.')[0] ?? '')))
  assert.deepEqual(
    drawers.map(({ path }) => path),
    [],
  )
})

test('no test is skipped, marked as to do, or run alone', () => {
  const left = tests.flatMap((file) => {
    const found: string[] = []
    visit(file.tree, (node) => {
      if (isLeftOut(node)) found.push(placeOf(file, node))
    })
    return found
  })
  assert.deepEqual(left, [])
})

test('no file holds a path of the machine that it was written on', () => {
  const found = repository
    .filter((path) => !BINARY.test(path))
    .flatMap((path) =>
      readFileSync(ROOT + path, 'utf8')
        .split('\n')
        .flatMap((line, index) => (MACHINE_PATHS.test(line) ? [`${path}:${index + 1} ${line.trim()}`] : [])),
    )
  assert.deepEqual(found, [])
})

test('a file of more than 600 lines, or a test of more than 1000, has a decision record that says why', () => {
  const long = code
    .filter(
      ({ path, tree }) => tree.getLineStarts().length > (path.includes('/src/') ? LINES_MOST.source : LINES_MOST.test),
    )
    .filter(({ path }) =>
      repositoryFiles('docs/adr/*.md').every((adr) => !readFileSync(ROOT + adr, 'utf8').includes(path)),
    )
  assert.deepEqual(
    long.map(({ path }) => path),
    [],
  )
})

const LEFT_OUT = ['skip', 'todo', 'only']
const TEST_CALLS = /^(test|it|describe|suite|t\.test|context\.test)$/

function isLeftOut(node: ts.Node): boolean {
  if (!ts.isCallExpression(node)) return false
  const { expression } = node
  if (ts.isPropertyAccessExpression(expression) && LEFT_OUT.includes(expression.name.text)) {
    return /^(test|it|describe|suite|t|context)$/.test(expression.expression.getText())
  }
  return (
    TEST_CALLS.test(expression.getText()) &&
    node.arguments.some(
      (argument) =>
        ts.isObjectLiteralExpression(argument) &&
        argument.properties.some(({ name }) => name !== undefined && LEFT_OUT.includes(name.getText())),
    )
  )
}
