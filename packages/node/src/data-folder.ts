import { randomUUID } from 'node:crypto'
import { closeSync, openSync, statfsSync, statSync, unlinkSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import process from 'node:process'
import { TokenError } from '@tokenkeep/core'
import { makeFolder } from './durable-file.ts'
import { inWords, systemErrorCode } from './system-error.ts'

export interface DataFolderOptions {
  /**
   * Uses the folder also on NFS, SMB, 9p or FUSE, where locks and syncs may not do what they promise: two processes can
   * then present the same refresh token.
   */
  readonly allowNetworkFileSystem?: boolean
  /** How the type of a file system is found out. */
  readonly fileSystemType?: (folder: string) => Promise<number>
}

// What follows asks the disk at once, on this thread: these are single calls, once at a start, and a command that
// prints one token would spend several times as long on sending each of them to the thread pool.

/**
 * Prepares the folder of a database: made for its user alone where it is missing, and checked.
 *
 * @param database path of the database file
 * @returns the folder, absolute
 * @throws TokenError `folder_unusable`
 */
export async function prepareDataFolder(database: string, options: DataFolderOptions = {}): Promise<string> {
  const path = resolve(database)
  const folder = dirname(path)
  await prepareFolder(folder, options)
  refuseOddDatabase(path)
  return folder
}

/** The same for a folder that holds no database: the state folder of a manager whose store is elsewhere. */
export async function prepareFolder(folder: string, options: DataFolderOptions = {}): Promise<void> {
  try {
    if (!isFolder(folder)) await makeFolder(folder)
  } catch (error) {
    throw unusable(folder, `cannot be made: ${inWords(error)}. Make the folder above it writable, or choose another`)
  }
  refuseOpenToAll(folder)
  refuseUnwritable(folder)
  if (options.allowNetworkFileSystem !== true) await refuseNetwork(folder, options.fileSystemType ?? typeOf)
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

const unusable = (folder: string, what: string): TokenError =>
  new TokenError('folder_unusable', `the folder ${folder} ${what}.`)

/**
 * A folder that we may write and not everybody may was given to us by its owner, whoever that is: containers and mounts
 * change owners too often to ask for more.
 */
function refuseOpenToAll(folder: string): void {
  const mode = modeOf(folder)
  const forAll = process.platform !== 'win32' && (mode & 0o002) !== 0
  // In a folder with the sticky bit, like /tmp, nobody can replace the file of another.
  if (forAll && (mode & 0o1000) === 0) {
    throw unusable(folder, `can be written by every user, who could replace the database. Run: chmod o-w '${folder}'`)
  }
}

function modeOf(folder: string): number {
  try {
    return statSync(folder).mode
  } catch (error) {
    throw unusable(folder, `cannot be looked at: ${inWords(error)}`)
  }
}

/** Tried, not asked: permission bits say nothing of a full disk or a read-only mount. */
function refuseUnwritable(folder: string): void {
  const path = join(folder, `.tokenkeep-${randomUUID()}`)
  try {
    closeSync(openSync(path, 'wx', 0o600))
    unlinkSync(path)
  } catch (error) {
    throw unusable(folder, `cannot be written: ${inWords(error)}. Make it writable for this user, or choose another`)
  }
}

async function refuseNetwork(folder: string, fileSystemType: (folder: string) => Promise<number>): Promise<void> {
  const type = await fileSystemType(folder).catch((error: unknown) => {
    throw unusable(folder, `is on a file system that does not say its type: ${inWords(error)}`)
  })
  const name = networkFileSystem(type)
  if (name === null) return
  throw unusable(
    folder,
    `is on a network file system (${name}), whose locks cannot be relied on: a refresh token could be presented twice ` +
      `and the sign-in lost. Choose a folder on a local disk; the setting allowNetworkFileSystem uses it all the same`,
  )
}

/** The numbers are Linux's; other systems number their file systems as they like. */
const typeOf = async (folder: string): Promise<number> => (process.platform === 'linux' ? statfsSync(folder).type : 0)

/**
 * The name of a file system whose locks depend on somebody else.
 *
 * @param type `f_type` of statfs(2)
 * @returns null for local ones
 * @see linux/magic.h
 */
export const networkFileSystem = (type: number): string | null =>
  // A 32-bit kernel has the larger numbers as negative ones.
  NETWORK_FILE_SYSTEMS.get(type >>> 0) ?? null

const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xfe534d42, 'SMB'],
  [0xff534d42, 'SMB'],
  [0x01021997, '9p'],
  [0x65735546, 'FUSE'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x73757245, 'Coda'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  // Their locks hold between machines, and the memory that SQLite's write-ahead log shares does not.
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  // Folders that a virtual machine is given of its host.
  [0x786f4256, 'VirtualBox shared folder'],
  [0xbacbacbc, 'VMware shared folder'],
])

function refuseOddDatabase(path: string): void {
  try {
    if (statSync(path).isFile()) return
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return
    throw new TokenError('folder_unusable', `cannot look at the database ${path}: ${inWords(error)}.`)
  }
  throw new TokenError(
    'folder_unusable',
    `the database ${path} is not a file. Name a file, for example tokens.db in it.`,
  )
}
