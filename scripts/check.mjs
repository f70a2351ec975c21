// `npm run check`: all that is judged without running the product. One line for each part; what a part printed only
// where it failed. `npm run check -- types lint` runs some of them.
import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const AT_ONCE = 2

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
const tool = (path) => fileURLToPath(new URL(`../node_modules/${path}`, import.meta.url))

/** Each part with the arguments for Node. The longest come first, so that the last does not run alone. */
const PARTS = {
  // eslint with the types of the whole repository
  lint: [tool('eslint/bin/eslint.js'), '.', '--max-warnings', '0'],
  // publint and attw on what `npm pack` makes of a fresh build
  packages: ['scripts/packages.mjs'],
  // the web page, for browsers
  page: [tool('typescript/bin/tsc'), '-p', 'packages/dashboard'],
  types: [tool('typescript/bin/tsc'), '-p', 'tsconfig.check.json'],
  // the house rules that are tests: direction of imports, who may reveal, who may read a clock, public API, ...
  // Those that run or pack the product belong to `npm test` alone.
  rules: [
    '--conditions=tokenkeep-source',
    '--test',
    ...globSync('checks/*.test.ts', { exclude: ['checks/{readme,tarballs}.test.ts'] }),
  ],
  format: [tool('prettier/bin/prettier.cjs'), '--check', '.', '--log-level', 'warn'],
}

const chosen = process.argv.slice(2)
const unknown = chosen.filter((name) => !(name in PARTS))
if (unknown.length > 0) {
  console.error(`tokenkeep: no part is called ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`)
  process.exit(2)
}
const waiting = chosen.length > 0 ? chosen : Object.keys(PARTS)
const count = waiting.length
const failed = []
await Promise.all(Array.from({ length: AT_ONCE }, work))
for (const { name, output } of failed) console.log(`\n---- ${name} ----\n${output.trimEnd()}`)
console.log(
  `\ntokenkeep: ${failed.length === 0 ? `all ${count} parts passed` : `failed: ${failed.map(({ name }) => name).join(', ')}`}`,
)
process.exitCode = failed.length === 0 ? 0 : 1

async function work() {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    const startedAt = performance.now()
    const { code, output } = await run(PARTS[name])
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${name.padEnd(10)} ${seconds.padStart(6)} s`)
    if (code !== 0) failed.push({ name, output })
  }
}

function run(args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
    child.on('error', (error) => resolve({ code: 1, output: error.message }))
    child.on('close', (code) => resolve({ code, output }))
  })
}
