/** What the checks read of our own source: its files, and what stands in them. */
import { globSync, readFileSync } from 'node:fs'
import { sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))

export interface SourceFile {
  /** From the root of the repository, with `/`. */
  readonly path: string
  readonly tree: ts.SourceFile
}

/** @returns the TypeScript files that the patterns name, never declarations or what was built */
export function sourceFiles(...patterns: readonly string[]): readonly SourceFile[] {
  const paths = repositoryFiles(...patterns).filter((path) => /\.tsx?$/.test(path) && !path.endsWith('.d.ts'))
  return paths.map((path) => ({
    path,
    tree: ts.createSourceFile(path, readFileSync(ROOT + path, 'utf8'), ts.ScriptTarget.Latest, true),
  }))
}

/** @returns the files that the patterns name, but for what was installed, built or stored */
export function repositoryFiles(...patterns: readonly string[]): readonly string[] {
  const left = new Set(['node_modules', 'dist', '.git', '.tokenkeep'])
  return globSync(patterns, { cwd: ROOT, exclude: (path) => left.has(path.split(sep).at(-1) ?? '') })
    .map((path) => path.split(sep).join('/'))
    .sort()
}

export interface Import {
  readonly from: string
  /** `type`: gone when the code runs. `later`: by `import()`, when it is called. */
  readonly when: 'type' | 'start' | 'later'
}

export function importsOf({ tree }: SourceFile): readonly Import[] {
  const found: Import[] = []
  visit(tree, (node) => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const isType = node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword
      found.push({ from: node.moduleSpecifier.text, when: isType ? 'type' : 'start' })
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier && ts.isStringLiteral(node.moduleSpecifier)) {
      found.push({ from: node.moduleSpecifier.text, when: node.isTypeOnly ? 'type' : 'start' })
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      if (ts.isStringLiteral(node.argument.literal)) found.push({ from: node.argument.literal.text, when: 'type' })
    } else if (ts.isCallExpression(node)) {
      const [target] = node.arguments
      const resolves =
        node.expression.kind === ts.SyntaxKind.ImportKeyword || node.expression.getText() === 'import.meta.resolve'
      if (resolves && target && ts.isStringLiteral(target)) found.push({ from: target.text, when: 'later' })
    }
  })
  return found
}

/** Calls `see` for a node and everything below it. */
export function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node)
  ts.forEachChild(node, (child) => visit(child, see))
}

/** @returns `path:line`, as editors understand it */
export function placeOf({ path, tree }: SourceFile, node: ts.Node): string {
  return `${path}:${tree.getLineAndCharacterOfPosition(node.getStart()).line + 1}`
}
