/** What `import '@tokenkeep/node'` costs a program at its start: what is published, compiled from this source. */
import { spawnSync } from 'node:child_process'
import { cp, mkdir, readdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Row } from '../row.ts'
import { makeScratch } from '../scratch.ts'

const ROUNDS = 20
const WARM_UP = 3
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export const importTime: Row<'time'> = {
  name: 'import-time',
  figures: {
    time: {
      name: 'import-time',
      reference: '-',
      direction: 'at most',
      unit: 'ms',
      bound: 40,
    },
  },
  processes: 1,
  async measure() {
    await using scratch = await makeScratch()
    const built = await build(join(scratch.folder, 'built'))
    // There is no reference: noise is how far a second copy of the same files lies from the first.
    const again = join(scratch.folder, 'again')
    await cp(join(scratch.folder, 'built'), again, { recursive: true, verbatimSymlinks: true })
    const copy = join(again, built)
    const rounds: number[] = []
    const noise: number[] = []
    for (let round = -WARM_UP; round < ROUNDS; round += 1) {
      const tookMs = importing(join(scratch.folder, 'built', built))
      const copyTookMs = importing(copy)
      if (round < 0) continue
      rounds.push(tookMs)
      noise.push(copyTookMs / tookMs)
    }
    return { time: { rounds, noise } }
  },
}

/** Compiles core and node as `npm run build` does, apart from the clone, whose `dist` belongs to others. */
async function build(folder: string): Promise<string> {
  const modules = join(folder, 'node_modules')
  await mkdir(join(modules, '@tokenkeep'), { recursive: true })
  for (const name of ['core', 'node']) {
    for (const part of ['src', 'package.json', 'tsconfig.json']) {
      await cp(join(ROOT, 'packages', name, part), join(folder, 'packages', name, part), { recursive: true })
    }
    await symlink(join('..', '..', 'packages', name), join(modules, '@tokenkeep', name))
  }
  await cp(join(ROOT, 'tsconfig.base.json'), join(folder, 'tsconfig.base.json'))
  for (const name of await readdir(join(ROOT, 'node_modules'))) {
    if (name.startsWith('.') || name === '@tokenkeep' || name === 'tokenkeep') continue
    await symlink(join(ROOT, 'node_modules', name), join(modules, name))
  }
  const compiler = fileURLToPath(import.meta.resolve('typescript/bin/tsc'))
  const { status, stdout } = spawnSync(process.execPath, [compiler, '-b', 'packages/node'], {
    cwd: folder,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`the build failed:\n${stdout}`)
  return join('packages', 'node', 'dist', 'index.js')
}

/** @returns milliseconds that a fresh process takes for the import alone */
function importing(path: string): number {
  const program = `
    const startedAt = performance.now()
    await import(${JSON.stringify(pathToFileURL(path).href)})
    process.stdout.write(String(performance.now() - startedAt))`
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
    // No flags of ours and no compile cache: as an installed package is imported for the first time.
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_'))),
  })
  if (status !== 0) throw new Error(stderr)
  return Number(stdout)
}
