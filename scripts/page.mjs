// Builds the web page into packages/server/page, where the server finds it, unless it is built of these very sources.
//
// It is made beside that folder and moved there whole: a server that starts meanwhile finds the old one or the new one.
import { hash } from 'node:crypto'
import { globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)
const PAGE = 'packages/server/page'
const MARK = `${PAGE}/sources`
const ZIPPED_FROM_BYTES = 1000

const sources = globSync(
  ['packages/dashboard/{index.html,package.json,vite.config.mjs}', 'packages/dashboard/src/**/*'],
  {
    withFileTypes: true,
  },
)
  .filter((entry) => entry.isFile())
  .map((entry) => `${entry.parentPath}/${entry.name}`)
  .sort()
const digest = hash(
  'sha256',
  [...sources, 'scripts/page.mjs'].map((path) => `${hash('sha256', readFileSync(path))} ${path}`).join('\n'),
)

if (!isBuilt()) await build()

function isBuilt() {
  try {
    return readFileSync(MARK, 'utf8') === digest
  } catch {
    return false
  }
}

async function build() {
  const draft = `packages/server/.page-${process.pid}`
  // Loaded only where there is something to build.
  const { build: vite } = await import('vite')
  await vite({
    configFile: 'packages/dashboard/vite.config.mjs',
    logLevel: 'warn',
    build: { outDir: `${root}${draft}`, emptyOutDir: true },
  })
  for (const path of globSync(`${draft}/**/*.{html,js,css,svg}`)) {
    const plain = readFileSync(path)
    if (plain.length >= ZIPPED_FROM_BYTES) writeFileSync(`${path}.gz`, gzipSync(plain, { level: 9 }))
  }
  writeFileSync(`${draft}/sources`, digest)
  const old = `${draft}-old`
  mkdirSync(PAGE, { recursive: true })
  try {
    renameSync(PAGE, old)
    renameSync(draft, PAGE)
  } catch (error) {
    // Somebody else built it at the same moment, of the same sources.
    if (!isBuilt()) throw error
  } finally {
    rmSync(old, { recursive: true, force: true })
    rmSync(draft, { recursive: true, force: true })
  }
  const zipped = globSync(`${PAGE}/assets/*.js.gz`).reduce((sum, path) => sum + readFileSync(path).length, 0)
  console.log(`tokenkeep: built the web page, ${(zipped / 1000).toFixed(1)} kB of script (gzip)`)
}
