/** Each host has a copy of the key file, so that a key which one of them begins to seal with must be everywhere before. */
import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { addKey } from '../src/key-change.ts'
import { createKeyFile } from '../src/key-file.ts'
import type { OpenOptions } from '../src/tokenkeep.ts'
import { freshUrl, lacksPostgres } from './contract/postgres-backend.ts'
import { openWorld } from './world.ts'

test('a new master key is copied to every host before one of them seals with it, and no host is locked out meanwhile', async (t) => {
  if (lacksPostgres(t)) return
  const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-hosts-'))
  t.after(() => rm(folder, { recursive: true }))
  const postgres = await freshUrl()
  const keyFileOf = (host: string): string => join(folder, host, 'config', 'test.key')
  const on = (host: string): Partial<OpenOptions> => ({
    path: undefined,
    postgres,
    stateFolder: join(folder, host, 'state'),
    keyFile: keyFileOf(host),
  })
  const copyKeys = () => cp(keyFileOf('one'), keyFileOf('two'))
  await using world = await openWorld({ provider: { reuse: { kind: 'strict' } }, open: on('one') })
  await mkdir(join(folder, 'two', 'config'), { recursive: true })
  await copyKeys()
  const one = world.keep
  const two = await world.reopen(on('two'))
  const { accessToken } = await world.connect('a')
  let resources = 0
  // A token for another resource is another presentation.
  const refreshedBy = (keep: typeof one) => keep.token('a', { resource: `https://api.example/${(resources += 1)}` })
  assert.equal((await two.token('a')).accessToken, accessToken)

  const before = await readFile(keyFileOf('one'))
  await assert.rejects(() => one.masterKeys.rotate(), { code: 'invalid_input', message: /master-key add/ })
  assert.ok(before.equals(await readFile(keyFileOf('one'))))

  const { name } = await one.masterKeys.add()
  await refreshedBy(one)
  await refreshedBy(two)
  await (await world.reopen(on('two'))).close()
  await assert.rejects(() => two.masterKeys.rotate(name), { code: 'invalid_input' })

  await copyKeys()
  assert.ok((await one.masterKeys.rotate(name)).resealed > 0)
  await refreshedBy(two)
  await (await world.reopen(on('two'))).close()
  assert.deepEqual(await two.masterKeys.rotate(name), { name, resealed: 1 }, 'what it sealed by the old one meanwhile')
  assert.deepEqual(
    (await two.masterKeys.list()).map((key) => [key.name, key.current, key.sealed]),
    [
      [name, true, 6],
      ['first', false, 0],
    ],
  )
})

test('keys that two hosts make have two names', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-hosts-'))
  t.after(() => rm(folder, { recursive: true }))
  const [one, two] = [join(folder, 'one.key'), join(folder, 'two.key')]
  await createKeyFile({ path: one, notBelow: null })
  await cp(one, two)
  assert.notEqual((await addKey(one, 'seals')).name, (await addKey(two, 'seals')).name)
})
