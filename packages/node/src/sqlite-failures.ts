/** What SQLite says, in our words. Its own errors stop here: they can name paths and statements. */
import { TokenError, type FailureCode } from '@tokenkeep/core'

/** Primary result codes, https://www.sqlite.org/rescode.html. */
const BUSY = 5
const LOCKED = 6
const READ_ONLY = 8
const IO_ERROR = 10
const CORRUPT = 11
const FULL = 13
const CANNOT_OPEN = 14
const PERMISSION = 3
const AUTHORIZATION = 23
const NOT_A_DATABASE = 26

/** The primary result code, which is the lowest byte: the others say more about it. Null where SQLite did not make this error. */
export function sqliteCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null
  return error.errcode & 0xff
}

/** Somebody else holds the lock; it passes. */
export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error)
  return code === BUSY || code === LOCKED
}

/**
 * The failure of a database that was in use until now.
 *
 * @param path for the message
 * @returns the same error where SQLite did not make it: then it is a broken promise of our own
 */
export function whileInUse(error: unknown, path: string): unknown {
  const code = sqliteCode(error)
  if (code === null) return error
  return new TokenError(
    'store_unavailable',
    `the database ${path} cannot be used now: ${WHILE_IN_USE[code] ?? other(code)}`,
  )
}

const WHILE_IN_USE: Readonly<Record<number, string>> = {
  [BUSY]: 'another program has held its lock for too long',
  [LOCKED]: 'another program has held its lock for too long',
  [FULL]: 'the disk is full; make room, nothing that was stored is lost',
  // Also what a file system says that has become read-only.
  [IO_ERROR]: 'the disk reports an error, or has become read-only',
  [READ_ONLY]: 'it has become read-only',
  [CANNOT_OPEN]: 'its files cannot be opened any more',
  [CORRUPT]: 'it is damaged; restore it from a backup',
  [NOT_A_DATABASE]: 'it is damaged; restore it from a backup',
}

/** The failure of a database that is being opened. */
export function atOpening(error: unknown, path: string): unknown {
  const code = sqliteCode(error)
  if (code === null) return error
  const [failure, words] = AT_OPENING[code] ?? (['store_unavailable', other(code)] as const)
  return new TokenError(failure, `cannot open the database ${path}: ${words}`)
}

const UNWRITABLE = ['folder_unusable', 'its file and its folder must be writable for this user'] as const
const AT_OPENING: Readonly<Record<number, readonly [FailureCode, string]>> = {
  [BUSY]: ['store_unavailable', 'another program has held its lock for too long'],
  [LOCKED]: ['store_unavailable', 'another program has held its lock for too long'],
  [FULL]: ['store_unavailable', 'the disk is full'],
  [IO_ERROR]: ['store_unavailable', 'the disk reports an error'],
  [READ_ONLY]: UNWRITABLE,
  [CANNOT_OPEN]: UNWRITABLE,
  [PERMISSION]: UNWRITABLE,
  [AUTHORIZATION]: UNWRITABLE,
  [CORRUPT]: ['folder_unusable', 'it is damaged; restore it from a backup'],
  [NOT_A_DATABASE]: ['folder_unusable', 'this file is not a SQLite database; nothing was changed'],
}

const other = (code: number): string => `SQLite reports its error ${code}`
