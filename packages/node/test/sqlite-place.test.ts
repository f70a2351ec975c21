import assert from 'node:assert/strict'
import { appendFileSync, copyFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { placeOf } from '../src/sqlite-place.ts'

const numberOf = (path: string): bigint => statSync(path, { bigint: true }).ino

test('a file stays the same when it is written, renamed, and looked at as soon as it is made', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-place-'))
  const path = join(folder, 'a')
  writeFileSync(path, '')
  const place = await placeOf(path)
  assert.match(place ?? '', /^file \d+( made \d+)?$/)
  appendFileSync(path, 'more')
  assert.equal(await placeOf(path), place)
  renameSync(path, join(folder, 'b'))
  assert.equal(await placeOf(join(folder, 'b')), place)
  copyFileSync(join(folder, 'b'), path)
  assert.notEqual(await placeOf(path), place)
  await rm(folder, { recursive: true })
})

test('a file that has the number of a deleted one is another', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-place-'))
  const path = join(folder, 'a')
  // Others make files here, too, so it takes some tries until the number comes back.
  let same = 0
  for (let tries = 0; tries < 300 && same < 3; tries += 1) {
    writeFileSync(path, 'one')
    const [number, place] = [numberOf(path), await placeOf(path)]
    rmSync(path)
    writeFileSync(path, 'other')
    const again = await placeOf(path)
    if (numberOf(path) === number && statSync(path, { bigint: true }).birthtimeNs > 0n) {
      same += 1
      assert.notEqual(again, place)
    }
    rmSync(path)
  }
  if (same === 0) t.diagnostic('NOT RUN: this file system gives no number twice, or keeps no time of birth')
  await rm(folder, { recursive: true })
})
