import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import process from 'node:process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { masterKey } from '../src/keyring.ts'
import { backendOn, newFolder, type Folder } from './contract/sqlite-backend.ts'
import type { Order } from './contract/sqlite-child.ts'
import { createWorld, dead, keyringOf, mustRead, tryAcquire, type World } from './contract/store-world.ts'

const CHILD = fileURLToPath(new URL('./contract/sqlite-child.ts', import.meta.url))

async function sharedWorld(): Promise<{ world: World; folder: Folder; key: string }> {
  const folder = await newFolder()
  const key = randomBytes(32).toString('hex')
  const keys = keyringOf(masterKey('first', Buffer.from(key, 'hex')))
  return { world: await createWorld(() => backendOn(folder.database, keys, folder.remove)), folder, key }
}

const start = (order: Order): ChildProcess =>
  spawn(process.execPath, ['--conditions=tokenkeep-source', CHILD, JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })

async function firstLine({ stdout }: ChildProcess): Promise<string> {
  if (stdout === null) throw new Error('no output')
  let text = ''
  for await (const chunk of stdout) {
    text += String(chunk)
    if (text.includes('\n')) break
  }
  return text.trim()
}

test('an attempt survives the kill of its process: the next one finds it open, and nothing is presented', async () => {
  const { world, folder, key } = await sharedWorld()
  await world.connect('a')
  const child = start({ act: 'hold', path: folder.database, key, id: 'a', name: 'child', times: 1 })
  assert.equal(await firstLine(child), 'acquired 1')
  child.kill('SIGKILL')
  await once(child, 'exit')

  const view = await mustRead(world.one, 'a')
  assert.ok(view.row.state.status === 'presenting')
  assert.equal((await tryAcquire(world.one, view.at)).kind, 'busy')
  const { owner } = view.row.state.attempt
  assert.notEqual(owner, world.one.owner)
  const taken = await world.one.store.takeOver(view.at, dead(owner))
  assert.equal(taken.kind, 'in_doubt')
  assert.equal((await tryAcquire(world.one, (await mustRead(world.one, 'a')).at, 'in_doubt')).kind, 'not_yet')
  await world.end()
})

test('two processes that refresh one connection lose no update', { timeout: 60_000 }, async () => {
  const { world, folder, key } = await sharedWorld()
  const before = await world.connect('a')
  const times = 60
  const children = ['one', 'two'].map((name) =>
    start({ act: 'refresh', path: folder.database, key, id: 'a', name, times }),
  )
  const codes = await Promise.all(
    children.map(async (child) => {
      const [line] = await Promise.all([firstLine(child), once(child, 'exit')])
      assert.match(line, /^waited \d+$/)
      return child.exitCode
    }),
  )
  assert.deepEqual(codes, [0, 0])
  const after = await mustRead(world.one, 'a')
  assert.equal(after.at.fence, before.at.fence + 2 * times, 'one fence for each acquire')
  assert.equal(after.at.generation, before.at.generation + 2 * times, 'one generation for each commit')
  assert.equal(after.row.revision, before.row.revision + 4 * times, 'and no other write')
  assert.equal(after.row.state.status, 'ready')
  assert.equal((await world.one.store.list({ limit: 1_000 })).length, 1 + 2 * times)
  await world.end()
})
