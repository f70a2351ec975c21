/** The master key changes while processes run: nothing is lost, and nothing but ciphertexts changes. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, chown, cp, lstat, mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { Worker } from 'node:worker_threads'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { TokenError } from '@tokenkeep/core'
import { addKey, removeKey } from '../src/key-change.ts'
import { openKeyFile } from '../src/key-file.ts'
import { openWorld, type World } from './world.ts'

const tried = (act: Promise<unknown>): Promise<string> =>
  act.then(
    () => 'done',
    (error: unknown) => (error instanceof TokenError ? error.code : String(error)),
  )
const keyFile = (world: World): string => join(world.folder, 'config', 'test.key')
const namesIn = async (path: string): Promise<readonly string[]> =>
  (await openKeyFile({ path, notBelow: null })).keys.map(({ name }) => name)
const STRICT = { realm: { rotation: { kind: 'strict' } }, provider: { reuse: { kind: 'strict' } } } as const

function dump(path: string): Record<string, unknown>[] {
  const sql = new DatabaseSync(path, { readOnly: true })
  const rows = ['connection', 'access_token', 'client'].flatMap((table) => sql.prepare(`SELECT * FROM ${table}`).all())
  sql.close()
  return rows.map((row) => ({ ...row }))
}

test('a new master key seals everything anew, and nothing but ciphertexts and revisions changes', async () => {
  await using world = await openWorld(STRICT)
  for (const id of ['a', 'b', 'c']) await world.connect(id)
  const before = dump(world.path)
  const { name, resealed } = await world.keep.masterKeys.rotate()
  assert.equal(resealed, 4, 'three connections and a client')
  const [now, first] = await world.keep.masterKeys.list()
  assert.deepEqual([now?.name, now?.current, now?.sealed], [name, true, 7])
  assert.equal(name, `key-${String(now?.id)}`)
  assert.deepEqual([first?.name, first?.current, first?.sealed], ['first', false, 0])
  const after = dump(world.path)
  const ciphertexts = ['refresh_token', 'sealed', 'secret']
  for (const [index, row] of after.entries()) {
    const changed = Object.keys(row).filter((column) => String(row[column]) !== String(before[index]?.[column]))
    const wanted = Object.keys(row).filter((column) => ciphertexts.includes(column))
    const isConnection = 'generation' in row
    assert.deepEqual(changed.sort(), [...wanted, ...(isConnection ? ['revision'] : [])].sort())
  }
  assert.equal(await tried(world.keep.token('a')), 'done')
})

test('a process that runs finds the new key without a restart, opens with it, and seals with it', async () => {
  await using world = await openWorld(STRICT)
  await world.connect('a', { accessTokenSeconds: 60 })
  const other = await world.reopen()
  await other.token('a')
  await world.keep.masterKeys.rotate()
  world.clocks.forward(61_000)
  assert.equal(await tried(other.token('a')), 'done')
  const [now, first] = await other.masterKeys.list()
  assert.deepEqual([now?.sealed, first?.sealed], [3, 0])
})

test('while everything is refreshed and sealed anew at once, nothing is lost and nothing presented twice', async () => {
  await using world = await openWorld({ ...STRICT, realm: { ...STRICT.realm, accessTokenSeconds: 300 } })
  const ids = Array.from({ length: 12 }, (_, index) => `c${index}`)
  for (const id of ids) await world.connect(id)
  const other = await world.reopen()
  let rotating = true
  const refreshing = ids.map(async (id, index) => {
    for (let call = 0; rotating; call += 1) {
      const keep = index % 2 === 0 ? world.keep : other
      await keep.token(id, { resource: `https://api.example/${call}` })
    }
  })
  const names: string[] = []
  for (let time = 0; time < 3; time += 1) names.push((await world.keep.masterKeys.rotate()).name)
  await other.masterKeys.reseal()
  rotating = false
  await Promise.all(refreshing)
  await world.keep.masterKeys.reseal()
  const [now, ...old] = await world.keep.masterKeys.list()
  assert.deepEqual([now?.name, old.map(({ sealed }) => sealed)], [names[2], [0, 0, 0]])
  for (const id of ids) await other.token(id, { resource: 'https://api.example/after' })
  for (const session of await world.server.control.sessions('external')) {
    assert.deepEqual([session.secondPresentations, session.killed], [0, false])
  }
})

test('a connection that is deleted while everything is sealed anew stays deleted', async () => {
  await using world = await openWorld()
  for (const id of ['a', 'b']) await world.connect(id)
  await Promise.all([world.keep.masterKeys.rotate(), world.keep.connections.delete('a')])
  assert.equal(await tried(world.keep.token('a')), 'unknown_connection')
  assert.equal(await tried(world.keep.token('b')), 'done')
})

test('a process without the key hands out what it remembers, and presents nothing', async () => {
  await using world = await openWorld({ ...STRICT, realm: { ...STRICT.realm, accessTokenSeconds: 600 } })
  const { sessionId } = await world.connect('a')
  const old = join(world.folder, 'config', 'old.key')
  await cp(keyFile(world), old)
  const behind = await world.reopen({ keyFile: old })
  const { accessToken } = await behind.token('a')
  await world.keep.masterKeys.rotate()
  // In its refresh-ahead window it is no longer fresh from memory, and what is stored does not open here.
  world.clocks.forward(580_000)
  assert.equal((await behind.token('a', { minTtlMs: 250_000 })).accessToken, accessToken)
  world.clocks.forward(60_000)
  assert.equal(await tried(behind.token('a')), 'unreadable')
  assert.equal((await world.server.control.counters('external', sessionId)).presentations, 0)
  await cp(keyFile(world), old)
  assert.equal(await tried(behind.token('a')), 'done', 'as soon as its key file has the key')
})

test('the database is refused without the key that seals now', async () => {
  await using world = await openWorld()
  const old = join(world.folder, 'config', 'old.key')
  await cp(keyFile(world), old)
  await world.keep.masterKeys.rotate()
  assert.equal(await tried(world.reopen({ keyFile: old })), 'key_wrong')
})

test('a key is taken out only when nothing names it', async () => {
  await using world = await openWorld()
  await world.connect('a')
  const { masterKeys } = world.keep
  assert.equal(await tried(masterKeys.remove('first')), 'invalid_input', 'it seals')
  assert.equal(await tried(masterKeys.remove('nobody')), 'invalid_input')
  const added = await addKey(keyFile(world), 'seals')
  assert.equal(await tried(masterKeys.remove('first')), 'in_use', 'secrets are sealed with it')
  await masterKeys.reseal()
  const other = await world.reopen()
  assert.equal(await tried(masterKeys.remove('first')), 'in_use', 'another process may have answers in its memory')
  await other.close()
  await writeFile(join(world.folder, 'config', '00000000-0000-4000-8000-000000000000.marker'), 'database "/else.db"\n')
  await assert.rejects(() => masterKeys.remove('first'), /else\.db/)
  await masterKeys.remove('first', { othersChecked: true })
  assert.deepEqual(await namesIn(keyFile(world)), [added.name])
  await world.keep.close()
  const again = await world.reopen()
  assert.equal(await tried(again.token('a')), 'done')
})

test('a key that seals when it is looked at is not taken out, though another one seals a moment later', async () => {
  await using world = await openWorld()
  await world.connect('a')
  const { masterKeys } = world.keep
  const { name } = await masterKeys.rotate()
  // It has the file's lock when the other reads the file, and has changed it when the other gets the lock.
  const adding = addKey(keyFile(world), 'seals')
  assert.equal(await tried(masterKeys.remove(name)), 'invalid_input')
  await adding
  assert.ok((await namesIn(keyFile(world))).includes(name))
})

test('another key than the one that was looked at is not taken out, though it has its name', async () => {
  await using world = await openWorld()
  await addKey(keyFile(world), 'seals')
  const { id } = await addKey(keyFile(world), 'seals')
  assert.equal(await tried(removeKey(keyFile(world), { name: 'first', id })), 'invalid_input')
  assert.ok((await namesIn(keyFile(world))).includes('first'))
})

test('of many who change the key file at once none loses the key of another', async () => {
  await using world = await openWorld()
  await Promise.all(Array.from({ length: 8 }, () => addKey(keyFile(world), 'seals')))
  assert.equal((await namesIn(keyFile(world))).length, 9)
  assert.equal((await stat(keyFile(world))).mode & 0o777, 0o600)
})

test('a key file is changed where a link leads to, and stays with its owner and mode', async (t) => {
  await using world = await openWorld()
  const own = join(world.folder, 'elsewhere', 'own.key')
  await mkdir(join(world.folder, 'elsewhere'))
  await rename(keyFile(world), own)
  await symlink(own, keyFile(world))
  await chmod(own, 0o400)
  const isRoot = process.getuid?.() === 0
  if (isRoot) await chown(own, 4711, 4712)
  else t.diagnostic('NOT RUN: only root can give a file to another user')
  await world.keep.masterKeys.rotate()
  assert.ok((await lstat(keyFile(world))).isSymbolicLink())
  assert.equal((await namesIn(own)).length, 2)
  const { mode, uid, gid } = await stat(own)
  assert.equal(mode & 0o777, 0o400)
  if (isRoot) assert.deepEqual([uid, gid, (await stat(`${own}.lock`)).uid], [4711, 4712, 4711])
  await world.keep.masterKeys.remove('first')
  assert.equal((await namesIn(keyFile(world))).length, 1)
})

test('a key file whose lock cannot be had says so at once, in words of ours', async () => {
  await using world = await openWorld()
  const lock = `${keyFile(world)}.lock`
  await mkdir(lock)
  await assert.rejects(() => addKey(keyFile(world), 'seals'), {
    code: 'folder_unusable',
    message: /test\.key\.lock.*writable/,
  })
  await rm(lock, { recursive: true })
  await writeFile(lock, 'something else that somebody keeps under this name '.repeat(20))
  await assert.rejects(() => addKey(keyFile(world), 'seals'), {
    code: 'folder_unusable',
    message: /not a SQLite database/,
  })
  assert.equal((await namesIn(keyFile(world))).length, 1)
  await assert.rejects(() => addKey(join(world.folder, 'nothing.key'), 'seals'), { code: 'key_missing' })
})

test('a marker beside the key file that cannot be read counts as another database', async () => {
  await using world = await openWorld()
  const { masterKeys } = world.keep
  await masterKeys.rotate()
  await mkdir(join(world.folder, 'config', 'odd.marker'))
  await assert.rejects(() => masterKeys.remove('first'), { code: 'in_use', message: /odd\.marker/ })
  await masterKeys.remove('first', { othersChecked: true })
})

test('a key file that is gone or nonsense while a process runs takes nothing from it', async () => {
  await using world = await openWorld(STRICT)
  await world.connect('a', { accessTokenSeconds: 60 })
  await writeFile(keyFile(world), 'nonsense')
  world.clocks.forward(61_000)
  assert.equal(await tried(world.keep.token('a')), 'done')
})

// ---- backup --------------------------------------------------------------------------------------------------------

test('a backup of a database in use is whole, for its owner alone, and starts on hold', async () => {
  await using world = await openWorld()
  const { accessToken } = await world.connect('a')
  const file = join(world.folder, 'backup.db')
  await world.keep.backUp(file)
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  const before = await readFile(file)
  assert.equal(await tried(world.keep.backUp(file)), 'invalid_input')
  assert.ok(before.equals(await readFile(file)), 'and replaces none')
  const restored = await world.reopen({ path: file })
  assert.equal((await restored.incarnation()).hold?.because, 'backup')
  assert.equal((await restored.token('a')).accessToken, accessToken)
  assert.equal((await restored.adopt()).inDoubt, 1)
  assert.equal((await world.keep.incarnation()).hold, null, 'the control: nothing was written into the original')
})

test('a backup is for its owner alone already while it is written', async (t) => {
  await using world = await openWorld()
  const sql = new DatabaseSync(world.path)
  sql.exec('CREATE TABLE ballast AS SELECT zeroblob(40000000) AS bytes')
  sql.close()
  const folder = join(world.folder, 'backups')
  await mkdir(folder)
  const umask = process.umask(0o022)
  t.after(() => process.umask(umask))
  // Another thread, because this one does nothing else meanwhile.
  const watcher = new Worker(new URL('fixtures/modes-in-folder.ts', import.meta.url), { workerData: folder })
  // Before the world, and its folder with it, is gone.
  await using _ = { [Symbol.asyncDispose]: async () => void (await watcher.terminate()) }
  const [ready] = (await once(watcher, 'message')) as [string]
  assert.equal(ready, 'ready')
  let modes: readonly string[] = []
  watcher.on('message', (seen: readonly string[]) => (modes = seen))
  for (let time = 0; time < 20 && modes.length === 0; time += 1) await world.keep.backUp(join(folder, `${time}.db`))
  assert.deepEqual(modes, ['600'])
})

test('a backup that is put back in the place of its original starts on hold, too', async () => {
  await using world = await openWorld()
  await world.connect('a')
  const file = join(world.folder, 'backup.db')
  await world.keep.backUp(file)
  await world.keep.close()
  await writeFile(world.path, await readFile(file))
  const restored = await world.reopen()
  assert.equal((await restored.incarnation()).hold?.because, 'backup')
})
