/** The folder of the data and its file system. */
import type { FolderSeen } from '@tokenkeep/node'
import { findingsOf, type Finding, type Kinds } from './finding.ts'

export const FOLDER = {
  folder: {
    is: 'ok',
    says: '{path}: writable, {free} MiB free, a write is on the disk after {ms} ms',
    todo: null,
  },
  folder_missing: {
    is: 'note',
    says: 'there is no folder {path} yet: it is made together with the database',
    todo: 'Nothing, unless the name has a slip.',
  },
  folder_unseen: {
    is: 'wrong',
    says: 'the folder {path} cannot be looked at ({reason})',
    todo: 'Run this as the user that the data belong to, or make the folder accessible to this one.',
  },
  folder_unwritable: {
    is: 'wrong',
    says: 'nothing can be written to {path}: {reason}',
    todo: 'Make it writable for this user, or make room; for a read-only mount, mount it for writing.',
  },
  folder_open_to_all: {
    is: 'wrong',
    says: 'every user can write to {path}, and replace the database (mode {mode})',
    todo: 'Close it: `chmod o-w`.',
  },
  folder_of_other_user: {
    is: 'note',
    says: '{path} belongs to user {owner}, and this runs as {own}: what is permitted here says little of the server',
    todo: 'Run doctor as the user that the server runs as.',
  },
  disk_slow: {
    is: 'note',
    says: 'a write to {path} took {ms} ms until it was on the disk; each refresh waits for two of them',
    todo: 'Look at what else writes to this disk, or use a faster one.',
  },
  space_low: {
    is: 'wrong',
    says: '{free} MiB are free at {path}: a process that refreshes sets 6 MiB aside for answers, or sends nothing',
    todo: 'Make room: 64 MiB at least.',
  },
  space_below_database: {
    is: 'note',
    says: 'less is free at {path} ({free} MiB) than the database is large ({size} MiB): a backup beside it has no room',
    todo: 'Make room before the next backup or update.',
  },
  files_low: {
    is: 'wrong',
    says: 'the file system of {path} has room for {files} more files, whatever its free space',
    todo: 'Remove small files that nobody needs, or make a file system with more inodes.',
  },
  file_system_network: {
    is: 'wrong',
    says: '{path} is on {name}: its locks depend on somebody else, and a refresh token could be presented twice',
    todo: 'Put the data on a local disk, or keep them in Postgres (docs/postgres.md).',
  },
  file_system_memory: {
    is: 'wrong',
    says: '{path} is on {name}, in memory: all sign-ins are lost when this machine stops',
    todo: 'Put the data on a disk or volume that lasts.',
  },
  file_system_layer: {
    is: 'note',
    says: '{path} is on {name}, a layer of a container: it is gone with the container',
    todo: 'Mount a volume there.',
  },
} as const satisfies Kinds

const found = findingsOf('folder', FOLDER)

/** Slots of several processes, the write-ahead log, and what a checkpoint writes. */
const FREE_BYTES_LEAST = 64 * 1024 * 1024
const FREE_FILES_LEAST = 100
/** A disk that needs longer halves what one process refreshes in a second. */
const SYNC_SLOW_MS = 200
const MIB = 1024 * 1024

/** @param databaseBytes 0: there is no database in it */
export function judgeFolder(seen: FolderSeen, databaseBytes: number): readonly Finding[] {
  const { path, missing, mode, users, sync, fileSystem } = seen
  const free = Math.floor(fileSystem.freeBytes / MIB)
  const owned = users !== null && users.owner !== users.own && users.own !== 0
  return [
    ...(missing ? [found('folder_missing', { path })] : []),
    ...writing(seen, free),
    // In a folder with the sticky bit, like /tmp, nobody can replace the file of another.
    ...(!missing && users !== null && (mode & 0o002) !== 0 && (mode & 0o1000) === 0
      ? [found('folder_open_to_all', { path, mode: mode.toString(8) })]
      : []),
    ...(owned && !missing ? [found('folder_of_other_user', { path, ...users })] : []),
    ...(typeof sync === 'number' && sync > SYNC_SLOW_MS ? [found('disk_slow', { path, ms: Math.round(sync) })] : []),
    ...space(seen, free, databaseBytes),
    ...kindOf(seen),
  ]
}

const writing = ({ path, sync }: FolderSeen, free: number): readonly Finding[] => {
  if (sync === null) return []
  if (typeof sync !== 'number') return [found('folder_unwritable', { path, reason: sync.failed })]
  return [found('folder', { path, free, ms: Math.ceil(sync) })]
}

function space({ path, fileSystem }: FolderSeen, free: number, databaseBytes: number): readonly Finding[] {
  const { freeBytes, freeFiles } = fileSystem
  const files =
    freeFiles !== null && freeFiles < FREE_FILES_LEAST ? [found('files_low', { path, files: freeFiles })] : []
  if (freeBytes < FREE_BYTES_LEAST) return [found('space_low', { path, free }), ...files]
  if (freeBytes >= databaseBytes) return files
  return [found('space_below_database', { path, free, size: Math.ceil(databaseBytes / MIB) }), ...files]
}

function kindOf({ path, fileSystem: { kind, name } }: FolderSeen): readonly Finding[] {
  switch (kind) {
    case 'local':
      return []
    case 'network':
      return [found('file_system_network', { path, name })]
    case 'memory':
      return [found('file_system_memory', { path, name })]
    case 'layer':
      return [found('file_system_layer', { path, name })]
  }
}

export const folderUnseen = (path: string, reason: string): Finding => found('folder_unseen', { path, reason })
