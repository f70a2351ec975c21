import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import process from 'node:process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('../scripts/platform-node.mjs', import.meta.url))
const as = (version: string) => {
  const pretend = `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'${version}'})`
  const { status, stderr } = spawnSync(process.execPath, ['--import', pretend, script], { encoding: 'utf8' })
  return { status, stderr }
}

test('a script started by an old Node says which one is needed, who brings it, and what to do', () => {
  const { status, stderr } = as('20.20.2')
  assert.equal(status, 1)
  assert.match(stderr, /Node 20\.20\.2.*needs Node 24.*npm ci/s)
})

test('a script started by the Node that the clone brings says nothing', () => {
  assert.deepEqual(as('24.0.0'), { status: 0, stderr: '' })
})
