/** A folder and its file system, tried by one write that has to reach the disk. */
import { randomUUID } from 'node:crypto'
import { access, constants, open, rm, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import process from 'node:process'
import type { Clock } from '@tokenkeep/core'
import { networkFileSystem } from '../data-folder.ts'
import { inWords, systemErrorCode } from '../system-error.ts'
import type { FileSystemSeen, FolderSeen } from './seen.ts'

/** As long as a spill slot's header and a token: what a commit writes at least. */
const PROBE_BYTES = 8192

/** @throws Error of the system, where not even the folder above can be looked at */
export async function lookAtFolder(path: string, clock: Pick<Clock, 'now'>): Promise<FolderSeen> {
  const there = await nearest(path)
  const { mode, uid } = await stat(there)
  const missing = there !== path
  return {
    path,
    missing,
    mode: mode & 0o7777,
    users: process.getuid === undefined ? null : { owner: uid, own: process.getuid() },
    fileSystem: await fileSystemOf(there),
    sync: missing ? await mayMakeIn(there) : await syncIn(path, clock),
  }
}

/** The folder, or the one above it that is there. */
async function nearest(path: string): Promise<string> {
  try {
    await stat(path)
    return path
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT' || dirname(path) === path) throw error
    return nearest(dirname(path))
  }
}

/** Asked and not tried: nothing is made in a folder that is not ours. */
const mayMakeIn = (folder: string): Promise<null | { readonly failed: string }> =>
  access(folder, constants.W_OK).then(
    () => null,
    (error: unknown) => ({ failed: inWords(error) }),
  )

async function syncIn(folder: string, clock: Pick<Clock, 'now'>): Promise<FolderSeen['sync']> {
  const path = join(folder, `.tokenkeep-${randomUUID()}`)
  try {
    const file = await open(path, 'wx', 0o600)
    try {
      const startedAt = clock.now().mono
      await file.write(Buffer.alloc(PROBE_BYTES))
      await file.sync()
      return clock.now().mono - startedAt
    } finally {
      await file.close()
      await rm(path, { force: true })
    }
  } catch (error) {
    return { failed: inWords(error) }
  }
}

/** The numbers are Linux's; other systems number their file systems as they like. */
async function fileSystemOf(path: string): Promise<FileSystemSeen> {
  const { type, bavail, bsize, files, ffree } = await statfs(path)
  const space = { freeBytes: bavail * bsize, freeFiles: files === 0 ? null : ffree }
  return { ...kindOf(process.platform === 'linux' ? type : 0), ...space }
}

function kindOf(type: number): Pick<FileSystemSeen, 'kind' | 'name'> {
  const network = networkFileSystem(type)
  if (network !== null) return { kind: 'network', name: network }
  return NOT_LASTING.get(type >>> 0) ?? { kind: 'local', name: 'local' }
}

/** linux/magic.h */
const NOT_LASTING: ReadonlyMap<number, Pick<FileSystemSeen, 'kind' | 'name'>> = new Map([
  [0x01021994, { kind: 'memory', name: 'tmpfs' }],
  [0x858458f6, { kind: 'memory', name: 'ramfs' }],
  [0x794c7630, { kind: 'layer', name: 'overlayfs' }],
])
