// Runs every test from source, each file in a process of its own, and names what could not run.
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const chosen = process.argv.slice(2)
const files = chosen.length > 0 ? chosen : globSync(['packages/*/test/**/*.test.ts', 'checks/**/*.test.ts'], { cwd: root }).sort()
if (files.length === 0) {
  console.error('tokenkeep: no test file was found, so nothing was proven')
  process.exit(1)
}
const { status, signal } = spawnSync(
  process.execPath,
  ['--conditions=tokenkeep-source', '--test', '--test-timeout=120000', ...files],
  { cwd: root, stdio: 'inherit', env: { ...process.env, NODE_NO_WARNINGS: '1' } },
)
if (signal !== null) console.error(`tokenkeep: the tests were ended by ${signal}`)
process.exit(status ?? 1)
