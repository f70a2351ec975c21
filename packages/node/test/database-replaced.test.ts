import assert from 'node:assert/strict'
import { cp, rename, rm } from 'node:fs/promises'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { TokenError } from '@tokenkeep/core'
import { openWorld, type World } from './world.ts'

const codeOf = (error: unknown): string => (error instanceof TokenError ? error.code : String(error))
const tried = (act: Promise<unknown>): Promise<string> => act.then(() => 'done', codeOf)
const files = (path: string): readonly string[] => [path, `${path}-wal`, `${path}-shm`]

/** A connection whose next request refreshes. */
async function expired(world: World): Promise<string> {
  const { sessionId } = await world.connect('dealer-42', { accessTokenSeconds: 60 })
  await world.keep.token('dealer-42')
  world.clocks.forward(61_000)
  return sessionId
}

const presented = async (world: World, sessionId: string): Promise<number> =>
  (await world.server.control.counters('external', sessionId)).presentations

test('a database that was deleted while it is open presents nothing more, and says so to whoever reads', async () => {
  await using world = await openWorld()
  const sessionId = await expired(world)
  for (const file of files(world.path)) await rm(file, { force: true })
  assert.equal(await tried(world.keep.token('dealer-42', { waitMs: 300 })), 'store_unavailable')
  await pause(600)
  assert.equal(await tried(world.keep.providers.list()), 'store_unavailable')
  assert.equal(await presented(world, sessionId), 0)
})

test('what writes notices it at once', async () => {
  await using world = await openWorld()
  for (const file of files(world.path)) await rm(file, { force: true })
  assert.equal(await tried(world.keep.apiKeys.create({ name: 'reports' })), 'store_unavailable')
})

test('nor does one that a copy was put in the place of', async () => {
  await using world = await openWorld()
  const sessionId = await expired(world)
  await cp(world.path, `${world.path}.copy`)
  await rename(`${world.path}.copy`, world.path)
  assert.equal(await tried(world.keep.token('dealer-42', { waitMs: 300 })), 'store_unavailable')
  assert.equal(await presented(world, sessionId), 0)
})

test('where the file itself comes back, everything goes on', async () => {
  await using world = await openWorld()
  const sessionId = await expired(world)
  await rename(world.path, `${world.path}.elsewhere`)
  assert.equal(await tried(world.keep.token('dealer-42', { waitMs: 300 })), 'store_unavailable')
  await rename(`${world.path}.elsewhere`, world.path)
  assert.equal(await tried(world.keep.token('dealer-42')), 'done')
  assert.equal(await presented(world, sessionId), 1)
})

test('no second database is made beside one that is gone but open', async () => {
  await using world = await openWorld()
  await world.connect('dealer-42')
  for (const file of files(world.path)) await rm(file, { force: true })
  assert.equal(await tried(world.reopen()), 'folder_unusable')
  await world.keep.close()
  assert.equal(await tried(world.reopen()), 'done')
})
