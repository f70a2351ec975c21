/**
 * Changes a key file: adds a key, says which one seals, or takes one out that nothing names any more. Never two at once, and
 * never losing a key: whoever changes it has the file's lock, reads it, and puts a whole new file in its place.
 */
import { existsSync } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import { TokenError } from '@tokenkeep/core'
import { createOnce, replaceFile, type Whose } from './durable-file.ts'
import { keyText, openKeyFile } from './key-file.ts'
import { newMasterKey, type Keyring, type MasterKey } from './keyring.ts'
import { atOpening, isBusy } from './sqlite-failures.ts'
import { inWords } from './system-error.ts'

/**
 * Adds a new key. The old ones stay and open.
 *
 * @param use `seals`: it seals from then on; `opens`: it only opens, until {@link sealWith} names it
 * @throws TokenError `key_missing`, `key_wrong`; `folder_unusable` where the file cannot be locked or written
 */
export const addKey = (path: string, use: 'seals' | 'opens'): Promise<MasterKey> =>
  changing(path, (ring) => {
    const added = newKey()
    const current = use === 'seals' ? added : ring.current
    return { ring: { ...ring, current, keys: [added, ...ring.keys] }, result: added }
  })

/**
 * Makes a key of the file the one that seals.
 *
 * @throws TokenError as {@link addKey}; `invalid_input` where there is none of that name
 */
export const sealWith = (path: string, name: string): Promise<MasterKey> =>
  changing(path, (ring) => {
    const current = named(ring.keys, path, name)
    return { ring: { ...ring, current }, result: current }
  })

/**
 * Takes a key out that was looked at before: by its id, for its name may mean another one by now.
 *
 * @throws TokenError `invalid_input` where it seals, or is not there
 */
export const removeKey = (path: string, { name, id }: Pick<MasterKey, 'name' | 'id'>): Promise<MasterKey> =>
  changing(path, (ring) => {
    const removed = removable({ ...ring, keys: ring.keys.filter((key) => key.id === id) }, path, name)
    return { ring: { ...ring, keys: ring.keys.filter((key) => key !== removed) }, result: removed }
  })

/**
 * The key of that name, if it does not seal.
 *
 * @param path of the key file, for the message
 * @throws TokenError `invalid_input` where it seals, or is not there
 */
export function removable({ keys, current }: Keyring, path: string, name: string): MasterKey {
  const found = named(keys, path, name)
  if (found.id === current.id) {
    throw new TokenError('invalid_input', `the key "${name}" seals: add another one first, with master-key rotate`)
  }
  return found
}

function named(keys: readonly MasterKey[], path: string, name: string): MasterKey {
  const found = keys.find((key) => key.name === name)
  if (found !== undefined) return found
  throw new TokenError('invalid_input', `the key file ${path} has no key of that name: \`tokenkeep master-key list\``)
}

/** Named by its id: the files of two hosts never have two keys of one name, and messages name the same one. */
function newKey(): MasterKey {
  const made = newMasterKey('new')
  return { ...made, name: `key-${made.id}` }
}

async function changing<Result>(
  given: string,
  change: (ring: Keyring) => { readonly ring: Keyring; readonly result: Result },
): Promise<Result> {
  const { path, whose } = await fileAt(given)
  const lock = await locked(path, whose)
  try {
    const { ring, result } = change(await openKeyFile({ path, notBelow: null }))
    await replaceFile(path, keyText(ring), whose).catch((error: unknown) => {
      throw unwritable(path, error)
    })
    return result
  } finally {
    lock.close()
  }
}

/** The file itself, where a link leads to it: whoever reads it under its own name must find the change, too. */
async function fileAt(given: string): Promise<{ readonly path: string; readonly whose: Whose }> {
  try {
    const path = await realpath(given)
    return { path, whose: await stat(path) }
  } catch {
    // It says better what is wrong with it.
    await openKeyFile({ path: given, notBelow: null })
    throw new TokenError('key_missing', `the key file ${given} went while it was being looked at: try again`)
  }
}

const TRIES = 200
const PAUSE_MS = 50

/** The kernel frees it when this process ends. The file is empty and stays: a name that comes and goes would be two locks. */
async function locked(path: string, { uid, gid }: Whose): Promise<DatabaseSync> {
  const file = `${path}.lock`
  try {
    if (!existsSync(file)) await createOnce(file, '', { uid, gid, mode: 0o600 })
  } catch (error) {
    throw unwritable(path, error)
  }
  for (let tries = 0; tries < TRIES; tries += 1) {
    const lock = tryLock(file)
    if (lock !== null) return lock
    await pause(PAUSE_MS)
  }
  throw new TokenError('in_use', `another command is changing the key file ${path}: wait for its end`)
}

/** Null: somebody else has it. */
function tryLock(file: string): DatabaseSync | null {
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(file, { timeout: 0 })
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock?.close()
    if (isBusy(error)) return null
    throw atOpening(error, file)
  }
}

const unwritable = (path: string, error: unknown): TokenError =>
  new TokenError(
    'folder_unusable',
    `cannot write the key file ${path}: ${inWords(error)}. Do it as the user whose file it is, who may write in its folder.`,
  )
