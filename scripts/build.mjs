// Makes what is published, from nothing: `dist` of each package, the web page, and each package's copy of LICENSE and NOTICE.
//
// The old `dist` goes first: `tsc -b` trusts its own notes and neither brings back what somebody deleted nor deletes
// what a renamed file left behind. The copies are made here and not committed, so that there is one text to change.
import { spawnSync } from 'node:child_process'
import { copyFileSync, globSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)

for (const made of globSync(['packages/*/dist', 'packages/*/*.tsbuildinfo'])) rmSync(made, { recursive: true })

const compiler = fileURLToPath(import.meta.resolve('typescript/bin/tsc'))
const { status } = spawnSync(process.execPath, [compiler, '-b'], { stdio: 'inherit' })
if (status !== 0) {
  console.error('tokenkeep: the build failed')
  process.exit(1)
}

if (spawnSync(process.execPath, ['scripts/page.mjs'], { stdio: 'inherit' }).status !== 0) {
  console.error('tokenkeep: the build of the web page failed')
  process.exit(1)
}

const folders = globSync('packages/*')
for (const folder of folders) for (const name of ['LICENSE', 'NOTICE']) copyFileSync(name, `${folder}/${name}`)
console.log(`tokenkeep: built ${folders.join(', ')}`)
