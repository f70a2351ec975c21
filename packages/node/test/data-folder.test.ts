import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { test, type TestContext } from 'node:test'
import { networkFileSystem, prepareDataFolder, prepareFolder } from '../src/data-folder.ts'

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-data-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const unusable =
  (...parts: readonly (string | RegExp)[]) =>
  (error: Error & { code?: string }): boolean => {
    assert.equal(error.name, 'TokenError')
    assert.equal(error.code, 'folder_unusable')
    for (const part of parts) {
      assert.ok(typeof part === 'string' ? error.message.includes(part) : part.test(error.message), error.message)
    }
    return true
  }

test('a missing folder is made with those above it, for its user alone, and nothing is left in it', async (t) => {
  const above = join(await folderFor(t), 'a')
  const folder = join(above, 'b')
  assert.equal(await prepareDataFolder(join(folder, 'tokens.db')), folder)
  for (const made of [above, folder]) assert.equal((await stat(made)).mode & 0o777, 0o700)
  assert.deepEqual(await readdir(folder), [])
})

test('a folder that is there keeps its mode, and a relative path is made absolute', async (t) => {
  const folder = await folderFor(t)
  await chmod(folder, 0o775)
  assert.equal(await prepareDataFolder(relative(process.cwd(), join(folder, 'tokens.db'))), folder)
  assert.equal((await stat(folder)).mode & 0o777, 0o775)
})

test('a folder that every user can write is refused, unless nobody can replace the files of others in it', async (t) => {
  const folder = await folderFor(t)
  await chmod(folder, 0o777)
  await assert.rejects(prepareDataFolder(join(folder, 'tokens.db')), unusable(folder, `chmod o-w '${folder}'`))
  await chmod(folder, 0o1777)
  await prepareDataFolder(join(folder, 'tokens.db'))
})

test('a folder that cannot be made or written is refused with the reason', async (t) => {
  const folder = await folderFor(t)
  await writeFile(join(folder, 'file'), '')
  await assert.rejects(prepareDataFolder(join(folder, 'file', 'tokens.db')), unusable(join(folder, 'file'), /E[A-Z]+/))
  await assert.rejects(prepareDataFolder(join(folder, 'file', 'x', 'tokens.db')), unusable(/E[A-Z]+/))
  const closed = join(folder, 'closed')
  await mkdir(closed)
  await chmod(folder, 0o755)
  await chmod(closed, 0o555)
  // Permissions do not bind root, so an ordinary user tries.
  const root = process.geteuid?.() === 0
  if (root) process.seteuid?.(65534)
  try {
    await assert.rejects(prepareDataFolder(join(closed, 'tokens.db')), unusable(closed, 'permission denied'))
    await assert.rejects(prepareDataFolder(join(closed, 'new', 'tokens.db')), unusable('permission denied'))
  } finally {
    if (root) process.seteuid?.(0)
  }
})

test('a database path that is not a file is refused', async (t) => {
  const folder = await folderFor(t)
  await mkdir(join(folder, 'tokens.db'))
  await assert.rejects(prepareDataFolder(join(folder, 'tokens.db')), unusable(join(folder, 'tokens.db'), 'not a file'))
  await symlink(join(folder, 'nowhere.db'), join(folder, 'link.db'))
  await prepareDataFolder(join(folder, 'link.db'))
})

test('a network file system is refused by name, with the setting that uses it all the same', async (t) => {
  const folder = await folderFor(t)
  const onNfs = { fileSystemType: () => Promise.resolve(0x6969) }
  await assert.rejects(prepareFolder(folder, onNfs), unusable(folder, 'NFS', 'allowNetworkFileSystem'))
  await assert.rejects(prepareDataFolder(join(folder, 'tokens.db'), onNfs), unusable('NFS'))
  await prepareFolder(folder, { ...onNfs, allowNetworkFileSystem: true })
  await prepareFolder(folder, { fileSystemType: () => Promise.resolve(0xef53) })
})

test('network file systems are known by their number, also as a negative one', () => {
  const known: readonly [number, string | null][] = [
    [0x6969, 'NFS'],
    [0x517b, 'SMB'],
    [0xff534d42, 'SMB'],
    [0xfe534d42, 'SMB'],
    [0xff534d42 | 0, 'SMB'],
    [0x01021997, '9p'],
    [0x65735546, 'FUSE'],
    [0xef53, null],
    [0x9123683e, null],
    [0x58465342, null],
    [0x01021994, null],
    [0x794c7630, null],
    [0, null],
  ]
  for (const [type, name] of known) assert.equal(networkFileSystem(type), name, type.toString(16))
})
