import process from 'node:process'
import { TokenError } from '@tokenkeep/core'
import type { OpenOptions, Tokenkeep } from './tokenkeep.ts'

/**
 * Opens Tokenkeep inside this process, on a SQLite file that any number of processes of this host may share.
 *
 * @param options at least `path`; the file is made where it is missing, and so is its key
 * @returns what hands out tokens until it is closed; use `await using`, or call `close()`
 * @throws TokenError `node_too_old`, `folder_unusable`, `key_missing`, `key_wrong`, `newer_database`,
 *   `store_unavailable`, `invalid_input`; then nothing was touched
 */
export async function openTokenkeep(options: OpenOptions): Promise<Tokenkeep> {
  refuseOldNode(process.versions.node)
  // Loaded only now: a Node without SQLite could not even link it, and would say so in words of its own.
  const { openOnThisHost } = await import('./open-tokenkeep.ts')
  return openOnThisHost(options)
}

/** The first Node whose SQLite has all that we ask of it. */
const OLDEST = [22, 19] as const

/** @throws TokenError `node_too_old` */
export function refuseOldNode(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return
  throw new TokenError(
    'node_too_old',
    `this is Node ${version}, and Tokenkeep needs Node ${OLDEST.join('.')} or later, which has SQLite built in. Start the program with a newer Node; nothing was touched.`,
  )
}
