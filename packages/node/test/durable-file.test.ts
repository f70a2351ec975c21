import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeFolder } from '../src/durable-file.ts'

test('many that make the same folders at once all find them made', async () => {
  const root = await mkdtemp(join(tmpdir(), 'tokenkeep-folders-'))
  for (let time = 0; time < 50; time += 1) {
    const names = ['owners', 'spill', '', 'owners', 'a/b/c', 'a/d'].map((name) => join(root, `state ${time}`, name))
    await Promise.all(names.map(makeFolder))
    for (const name of names) assert.equal((await stat(name)).mode & 0o777, 0o700)
  }
  await rm(root, { recursive: true })
})

test('where a file system says of a folder that it is not there, making one in it ends with an error', async () => {
  await assert.rejects(() => makeFolder('/proc/tokenkeep/state'), { code: 'ENOENT' })
})
