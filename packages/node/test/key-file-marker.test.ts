import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { raiseMarker, readMarker, replaceMarker, type Marker } from '../src/marker.ts'

const marker: Marker = { installation: 'i-1', place: 'host:/data/tokens.db:42', epoch: 3 }

async function pathFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-marker-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'config', 'tokens.marker')
}

test('a marker that was never written is none', async (t) => {
  assert.equal(await readMarker(await pathFor(t)), null)
})

test('a raise is kept, for the owner alone, and leaves no draft behind', async (t) => {
  const path = await pathFor(t)
  assert.equal(await raiseMarker(path, marker), 'raised')
  assert.equal(await raiseMarker(path, { ...marker, epoch: 4 }), 'raised')
  assert.deepEqual(await readMarker(path), { ...marker, epoch: 4 })
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.deepEqual(await readdir(join(path, '..')), ['tokens.marker'])
})

test('a raise never lowers: an old copy of the database does not wipe out the trace of the newer one', async (t) => {
  const path = await pathFor(t)
  await raiseMarker(path, marker)
  assert.equal(await raiseMarker(path, { ...marker, epoch: 1 }), 'raised')
  assert.deepEqual(await readMarker(path), marker)
})

test('the marker of another installation or place is left alone until it is replaced on purpose', async (t) => {
  const path = await pathFor(t)
  await raiseMarker(path, marker)
  const others = [
    { ...marker, installation: 'i-2', epoch: 9 },
    { ...marker, place: 'host:/copy/tokens.db:43', epoch: 9 },
  ]
  for (const other of others) {
    assert.equal(await raiseMarker(path, other), 'other')
    assert.deepEqual(await readMarker(path), marker)
  }
  await replaceMarker(path, { ...marker, place: 'elsewhere', epoch: 1 })
  assert.deepEqual(await readMarker(path), { ...marker, place: 'elsewhere', epoch: 1 })
})

test('what is no marker is refused, not taken for a missing one', async (t) => {
  const path = await pathFor(t)
  await raiseMarker(path, marker)
  const texts = [
    '',
    '{',
    'null',
    '[]',
    '{"tokenkeepMarker":2}',
    ...['3', 1.5, -1, null].map((epoch) => JSON.stringify({ tokenkeepMarker: 1, ...marker, epoch })),
  ]
  for (const text of texts) {
    await writeFile(path, text)
    await assert.rejects(readMarker(path), { code: 'folder_unusable', message: new RegExp(path) })
    await assert.rejects(raiseMarker(path, marker), { code: 'folder_unusable' })
  }
})
