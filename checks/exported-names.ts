/** What each published library package offers, as the compiler sees it. */
import ts from 'typescript'
import { ROOT } from './source-file.ts'

const PACKAGES = { '@tokenkeep/core': 'core', '@tokenkeep/node': 'node', tokenkeep: 'server' } as const

export const APPROVED = `${ROOT}checks/public-api.json`

/** By package: each exported name with what it is, in the order of the alphabet. */
export type ExportedNames = Readonly<Record<string, Readonly<Record<string, string>>>>

export function exportedNames(): ExportedNames {
  const { config } = ts.readConfigFile(`${ROOT}tsconfig.check.json`, (path) => ts.sys.readFile(path)) as {
    config: unknown
  }
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT)
  const entries = Object.values(PACKAGES).map((folder) => `${ROOT}packages/${folder}/src/index.ts`)
  const program = ts.createProgram(entries, options)
  const checker = program.getTypeChecker()
  return Object.fromEntries(
    Object.keys(PACKAGES).map((name, index) => {
      const file = program.getSourceFile(entries[index] ?? '')
      const module = file && checker.getSymbolAtLocation(file)
      const symbols = module === undefined ? [] : checker.getExportsOfModule(module)
      const named = symbols.map((symbol) => [symbol.name, kindOf(symbol, checker)] as const)
      return [name, Object.fromEntries(named.sort(([a], [b]) => (a < b ? -1 : 1)))]
    }),
  )
}

function kindOf(exported: ts.Symbol, checker: ts.TypeChecker): string {
  const isAlias = (exported.flags & ts.SymbolFlags.Alias) !== 0
  const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported
  // A class that is exported by `export type` cannot be constructed by whoever imports it.
  const typeOnly = exported.declarations?.some((declaration) => ts.isTypeOnlyExportDeclaration(declaration)) ?? false
  const kinds: readonly (readonly [ts.SymbolFlags, string])[] = [
    [ts.SymbolFlags.Class, 'class'],
    [ts.SymbolFlags.Function, 'function'],
    [ts.SymbolFlags.Variable, 'constant'],
    [ts.SymbolFlags.Interface, 'interface'],
    [ts.SymbolFlags.TypeAlias, 'type'],
  ]
  const kind = kinds.find(([flag]) => (symbol.flags & flag) !== 0)?.[1] ?? 'unresolved'
  return typeOnly && kind === 'class' ? 'type of a class' : kind
}
