// Packs what would be published, as `npm pack` does it, and looks into the tarballs: publint, attw, and what lies in them.
// Builds first, so that it judges this source and not the last one.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'

const PACKAGES = ['core', 'node', 'server', 'devserver']

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
const faults = []

run(process.execPath, ['scripts/build.mjs'])
const place = mkdtempSync(join(tmpdir(), 'tokenkeep-packages-'))
try {
  for (const folder of PACKAGES) await judge(folder)
} finally {
  rmSync(place, { recursive: true, force: true })
}
for (const fault of faults) console.error(fault)
process.exitCode = faults.length === 0 ? 0 : 1

async function judge(folder) {
  const manifest = JSON.parse(readFileSync(`packages/${folder}/package.json`, 'utf8'))
  const packed = npm(['pack', '--json', '--pack-destination', place, `./packages/${folder}`])
  if (packed === '') return
  const [{ filename, files }] = JSON.parse(packed)
  const tarball = join(place, filename)

  const paths = files.map(({ path }) => path)
  const wanted = ['LICENSE', 'NOTICE', 'dist/index.js', 'dist/index.d.ts', ...Object.values(manifest.bin ?? {})]
  if (manifest.bin !== undefined) wanted.push('dist/main.js')
  for (const path of wanted) if (!paths.includes(path)) faults.push(`${filename}: ${path} is missing`)
  for (const path of paths.filter((path) => /\.(tsbuildinfo|test\.ts|db)$|^test\//.test(path))) {
    faults.push(`${filename}: ${path} does not belong there`)
  }

  const { messages, pkg } = await publint({ pack: { tarball: readFileSync(tarball) }, strict: true })
  for (const message of messages) faults.push(`${filename}: publint: ${formatMessage(message, pkg)}`)

  const attw = fileURLToPath(new URL('../node_modules/@arethetypeswrong/cli/dist/index.js', import.meta.url))
  run(process.execPath, [attw, tarball, '--profile', 'esm-only', '--no-emoji', '--no-color', '--format', 'ascii'])
}

function npm(args) {
  // Inside `npm run` this names the npm that runs: it is not on every PATH.
  const cli = process.env.npm_execpath
  return cli === undefined ? run('npm', args) : run(process.execPath, [cli, ...args])
}

function run(command, args) {
  const { stdout, stderr, status, error } = spawnSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  })
  if (status !== 0) faults.push(`${command} ${args.join(' ')}\n${error?.message ?? stdout + stderr}`)
  return stdout
}
