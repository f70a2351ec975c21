import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { test } from 'node:test'
import ts from 'typescript'
import { importsOf, ROOT, sourceFiles, visit, type SourceFile } from './source-file.ts'

/** What each package may import of ours, at any time. */
const OF_OURS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  node: ['@tokenkeep/core'],
  server: ['@tokenkeep/core', '@tokenkeep/node'],
  dashboard: [],
  devserver: [],
  testpostgres: [],
}
/** The server starts the devserver where it is installed: by its types, and by `import()` when that is asked for. */
const LATER_OF_OURS: Readonly<Record<string, readonly string[]>> = { server: ['@tokenkeep/devserver'] }

/** The page knows the server by the contract of its HTTP API, and by its types only: nothing of it is in what a browser loads. */
const CONTRACT = { from: 'packages/dashboard/src/contract.ts', folder: 'packages/server/src/api/' }

/** The path of a token. Each file may use those before it. */
const PATH_OF_A_TOKEN = ['connection', 'decide', 'lease', 'grant', 'commit', 'handout', 'manager']
/** The files of core that await, each with what it waits for. All others are pure. */
const AWAITING: Readonly<Record<string, string>> = {
  manager: 'the one path, in its order',
  refresh: 'one refresh, step by step',
  flight: 'who shares a refresh',
  gate: 'the turn at a provider',
  wait: 'another process that presents',
  sightings: 'what others have open, once a second',
  spill: 'a slot on disk, and its replay',
  'at-once': 'durable writes that wait together',
  'remembered-pairs': 'a store that shows less than it had',
  connections: 'import, reconnect, delete',
  scheduler: 'due work',
  introspections: 'questions to a provider',
}

const packageOf = (path: string): string => path.split('/')[1] ?? ''
const nameOf = (path: string): string => posix.basename(path, '.ts')
const isOurs = (from: string): boolean => from === 'tokenkeep' || /^tokenkeep\/|^@tokenkeep\//.test(from)
const isRelative = (from: string): boolean => from.startsWith('.')
/** `@scope/name/deep` and `name/deep` belong to `@scope/name` and `name`. */
const packageNamed = (from: string): string => from.split('/', from.startsWith('@') ? 2 : 1).join('/')

const sources = sourceFiles('packages/*/src/**')
const core = sources.filter(({ path }) => packageOf(path) === 'core')

test('every package is listed here', () => {
  assert.deepEqual([...new Set(sources.map(({ path }) => packageOf(path)))].sort(), Object.keys(OF_OURS).sort())
})

test('packages import each other only in the direction of the design', () => {
  const wrong = sources.flatMap((file) =>
    importsOf(file)
      .filter(({ from, when }) => {
        const allowed = OF_OURS[packageOf(file.path)]?.includes(from) ?? false
        const later = when !== 'start' && (LATER_OF_OURS[packageOf(file.path)]?.includes(from) ?? false)
        return isOurs(from) && !allowed && !later
      })
      .map(({ from }) => `${file.path} imports ${from}`),
  )
  assert.deepEqual(wrong, [])
})

test('a package imports only what its package.json brings to whoever installs it', () => {
  const wrong = sources.flatMap((file) => {
    const brought = dependenciesOf(packageOf(file.path))
    return importsOf(file)
      .filter(({ from, when }) => !isRelative(from) && !from.startsWith('node:') && when !== 'type')
      .filter(({ from }) => !(LATER_OF_OURS[packageOf(file.path)]?.includes(from) ?? false))
      .filter(({ from }) => !brought.includes(packageNamed(from)))
      .map(({ from }) => `${file.path} imports ${from}`)
  })
  assert.deepEqual(wrong, [])
})

test('a relative import never leaves its package, and names its file', () => {
  const wrong = sourceFiles('packages/*/{src,test}/**').flatMap((file) =>
    importsOf(file)
      .filter(({ from }) => isRelative(from))
      .filter(({ from, when }) => {
        const target = posix.join(posix.dirname(file.path), from)
        if (file.path === CONTRACT.from && when === 'type' && target.startsWith(CONTRACT.folder)) return false
        return !target.startsWith(`packages/${packageOf(file.path)}/`) || !/\.(tsx?|js|json|css)$/.test(from)
      })
      .map(({ from }) => `${file.path} imports ${from}`),
  )
  assert.deepEqual(wrong, [])
})

test('of the server the page knows the contract of the HTTP API, in one file', () => {
  const contract = sources.filter(({ path }) => path === CONTRACT.from)
  assert.equal(contract.length, 1)
  const others = contract
    .flatMap(importsOf)
    .filter(({ from }) => !posix.join(posix.dirname(CONTRACT.from), from).startsWith(CONTRACT.folder))
  assert.deepEqual(others, [])
})

test('core imports nothing but its own files', () => {
  const wrong = core.flatMap((file) =>
    importsOf(file)
      .filter(({ from }) => !isRelative(from))
      .map(({ from }) => `${file.path} imports ${from}`),
  )
  assert.deepEqual(wrong, [])
})

test('only the listed files of core await', () => {
  const awaiting = core.filter(awaits).map(({ path }) => nameOf(path))
  assert.deepEqual(awaiting.sort(), Object.keys(AWAITING).sort())
})

test('a pure file of core imports no file that awaits', () => {
  const wrong = core
    .filter(({ path }) => !(nameOf(path) in AWAITING) && nameOf(path) !== 'index')
    .flatMap((file) =>
      importsOf(file)
        .filter(({ from }) => nameOf(from) in AWAITING)
        .map(({ from }) => `${file.path} imports ${from}`),
    )
  assert.deepEqual(wrong, [])
})

test('a file on the path of a token uses only the files before it', () => {
  const missing = PATH_OF_A_TOKEN.filter((name) => core.every(({ path }) => nameOf(path) !== name))
  assert.deepEqual(missing, [])
  const wrong = core.flatMap((file) => {
    const place = PATH_OF_A_TOKEN.indexOf(nameOf(file.path))
    if (place === -1) return []
    return importsOf(file)
      .filter(({ from, when }) => when === 'start' && PATH_OF_A_TOKEN.indexOf(nameOf(from)) >= place)
      .map(({ from }) => `${file.path} uses ${from}`)
  })
  assert.deepEqual(wrong, [])
})

test('no file uses, over whatever way, a file that uses it', () => {
  const uses = new Map(
    sources.map((file) => [
      file.path,
      importsOf(file)
        .filter(({ from, when }) => isRelative(from) && when === 'start')
        .map(({ from }) => posix.join(posix.dirname(file.path), from)),
    ]),
  )
  assert.deepEqual(circlesIn(uses), [])
})

function dependenciesOf(name: string): readonly string[] {
  const text = readFileSync(`${ROOT}packages/${name}/package.json`, 'utf8')
  const { private: isPrivate, ...manifest } = JSON.parse(text) as Record<string, Record<string, string> | undefined>
  // Of a private package nobody installs anything: what it needs is in what it is built into.
  return Object.keys({ ...manifest['dependencies'], ...(isPrivate ? manifest['devDependencies'] : {}) })
}

function awaits({ tree }: SourceFile): boolean {
  let found = false
  visit(tree, (node) => {
    if (node.kind === ts.SyntaxKind.AsyncKeyword || ts.isAwaitExpression(node)) found = true
    if (ts.isPropertyAccessExpression(node) && node.name.text === 'then') found = true
  })
  return found
}

function circlesIn(uses: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const circles: string[] = []
  const done = new Set<string>()
  const walk = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(' -> '))
    if (done.has(path) || way.includes(path)) return
    for (const next of uses.get(path) ?? []) walk(next, [...way, path])
    done.add(path)
  }
  for (const path of uses.keys()) walk(path, [])
  return circles
}
