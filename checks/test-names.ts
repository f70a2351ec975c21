/** The names of our tests, as their files write them. */
import ts from 'typescript'
import { sourceFiles, visit } from './source-file.ts'

/**
 * Each file below a `test` folder of a package, with the names of the tests that it has.
 *
 * A name that is made for each of several cases is told as it is written, `metadata ${what} is refused`: so a reference to it
 * breaks when the text does, and not when a case comes or goes.
 */
export function testNames(): ReadonlyMap<string, ReadonlySet<string>> {
  return new Map(sourceFiles('packages/*/test/**/*.ts').map(({ path, tree }) => [path, namesIn(tree)]))
}

export function namesIn(tree: ts.SourceFile): ReadonlySet<string> {
  const names = new Set<string>()
  visit(tree, (node) => {
    if (!ts.isCallExpression(node) || !isTest(node.expression)) return
    const [name] = node.arguments
    if (name === undefined) return
    if (ts.isStringLiteral(name) || ts.isNoSubstitutionTemplateLiteral(name)) names.add(name.text)
    else if (ts.isTemplateExpression(name)) names.add(name.getText(tree).slice(1, -1))
  })
  return names
}

/** `test(...)`, and `t.test(...)` within another one; `test.skip(...)` and its kin are none. */
const isTest = (called: ts.Expression): boolean =>
  ts.isIdentifier(called)
    ? called.text === 'test'
    : ts.isPropertyAccessExpression(called) && called.name.text === 'test' && ts.isIdentifier(called.expression)
