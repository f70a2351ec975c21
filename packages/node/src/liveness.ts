/**
 * Who lives: each manager holds an exclusive SQLite transaction on a small file of its own until its process ends.
 *
 * The kernel frees that lock at death and not at a freeze, whatever process-id namespace the owner lives in. Whoever gets
 * the lock of another owner holds the proof of its death, alone, until it is released.
 */
import { closeSync, existsSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs'
import process from 'node:process'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { areTwoBoots, TokenError } from '@tokenkeep/core'
import type { Liveness, OwnerId, ProofOfDeath } from '@tokenkeep/core'
import type { OwnerLocks } from './postgres-owner-locks.ts'
import { makeFolder } from './durable-file.ts'
import { isBusy } from './sqlite-failures.ts'
import { isOwnerId, ownerFile, ownerOf, ownersFolder, slotsFile } from './state-folder.ts'
import { inWords, systemErrorCode } from './system-error.ts'

/** This manager's own sign of life. Keep it referenced: collected as garbage, its lock would be freed. */
export interface OwnLiveness extends Liveness {
  /** Files prove, or say nothing. */
  judge(owner: OwnerId, seenOn: string | null): Promise<ProofOfDeath | 'alive' | 'unknown'>
  /** Ends the sign of life. The file stays where answers wait in spill slots, so that another owner finds them. */
  close(): void
}

// Two probers in the same instant can turn each other away from the lock of a dead owner.
const SECOND_LOOKS_MS = [2, 5, 11]
// Each try is lost only to a prober that looks in that very instant.
const OWN_TRIES_MAX = 50

export interface LivenessOptions {
  /** The state folder, on a local file system. */
  readonly folder: string
  /** A UUID in lower case that was never used before. */
  readonly owner: OwnerId
  /** The boot of this host, where the store's moments name it; absent: another boot in the store proves nothing. */
  readonly boot?: string | undefined
}

/**
 * Takes this owner's lock.
 *
 * @throws TokenError `folder_unusable`
 */
export async function createLiveness({ folder, owner, boot }: LivenessOptions): Promise<OwnLiveness> {
  if (!isOwnerId(owner)) throw new TokenError('invalid_input', 'an owner is named by a UUID in lower case')
  let own: DatabaseSync | null = await takeOwn(folder, owner)
  return {
    judge: async (other, seenOn) => {
      if (other === owner) return 'alive'
      const judged = await judge(folder, other)
      // Without its file nothing shows that it lived here. No process outlives the boot of its host.
      const ended = boot !== undefined && seenOn !== null && areTwoBoots(seenOn, boot)
      return judged === 'unknown' && ended && isOwnerId(other) ? proofByBoot(folder, other) : judged
    },
    others: async () => ownersIn(folder).filter((other) => other !== owner),
    close: () => {
      if (own === null) return
      endLock(own, existsSync(slotsFile(folder, owner)) ? [] : [ownerFile(folder, owner)])
      own = null
    },
  }
}

/** What files on this host prove, and what can be seen of those who have none here. */
export function withOwnerLocks(files: Liveness, locks: Pick<OwnerLocks, 'judge' | 'unseen'>): Liveness {
  return {
    judge: async (other, seenOn) => {
      const judged = await files.judge(other, seenOn)
      return judged === 'unknown' ? locks.judge(other) : judged
    },
    others: async () => [...new Set([...(await files.others()), ...(await locks.unseen())])],
  }
}

/** Whether somebody has the database of this state folder open at this moment. */
export async function isAnyoneAlive(folder: string): Promise<boolean> {
  if (!existsSync(ownersFolder(folder))) return false
  for (const owner of ownersIn(folder)) {
    const judged = await judge(folder, owner)
    if (judged === 'alive') return true
    if (judged !== 'unknown') judged.release(false)
  }
  return false
}

/** Who has left a file here: living, or dead and not yet buried. Nothing is removed. */
export async function ownersSeen(
  folder: string,
): Promise<readonly { readonly owner: OwnerId; readonly is: 'alive' | 'dead' | 'unknown' }[]> {
  if (!existsSync(ownersFolder(folder))) return []
  const seen: { readonly owner: OwnerId; readonly is: 'alive' | 'dead' | 'unknown' }[] = []
  for (const owner of ownersIn(folder)) {
    const judged = await judge(folder, owner)
    if (typeof judged !== 'string') judged.release(false)
    seen.push({ owner, is: typeof judged === 'string' ? judged : 'dead' })
  }
  return seen
}

async function takeOwn(folder: string, owner: OwnerId): Promise<DatabaseSync> {
  const path = ownerFile(folder, owner)
  try {
    if (!existsSync(ownersFolder(folder))) await makeFolder(ownersFolder(folder))
    const own = process.platform === 'win32' ? await takeInPlace(path) : takeThenName(path)
    if (own !== null) return own
  } catch (error) {
    throw new TokenError(
      'folder_unusable',
      `cannot write to ${ownersFolder(folder)}: ${inWords(error)}. Make the folder writable, or choose another.`,
    )
  }
  throw new TokenError(
    'folder_unusable',
    `cannot lock a file in ${ownersFolder(folder)}: its file system has no working locks. Choose a folder on a local disk.`,
  )
}

/**
 * Locks a file that nobody looks at yet, and gives it its name afterwards. Nobody ever finds it without its lock, and so
 * nobody takes us for dead while we start; locks belong to the file and not to its name.
 */
function takeThenName(path: string): DatabaseSync | null {
  const unnamed = `${path}.new`
  createEmpty(unnamed)
  const own = tryLock(unnamed)
  if (!(own instanceof DatabaseSync)) return null
  renameSync(unnamed, path)
  return own
}

/** Windows gives an open file no other name. */
async function takeInPlace(path: string): Promise<DatabaseSync | null> {
  // Another process that looks between these two steps finds a file without a lock, takes us for dead, and removes it.
  // Once we have the lock nobody can, so a file that is still there is ours; else we begin again.
  for (let tries = 0; tries < OWN_TRIES_MAX; tries += 1) {
    createEmpty(path)
    const own = tryLock(path)
    if (own instanceof DatabaseSync) {
      if (existsSync(path)) return own
      own.close()
    }
    await pause(SECOND_LOOKS_MS[0])
  }
  return null
}

/** It exists already only when we begin again; then it is left alone, and no descriptor of it is closed. */
function createEmpty(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error
  }
}

async function judge(folder: string, other: OwnerId): Promise<ProofOfDeath | 'alive' | 'unknown'> {
  if (!isOwnerId(other)) return 'unknown'
  const path = ownerFile(folder, other)
  let seen = tryLock(path)
  for (const ms of SECOND_LOOKS_MS) {
    if (seen !== 'contended') break
    await pause(ms)
    seen = tryLock(path)
  }
  if (seen === 'held' || seen === 'contended') return 'alive'
  if (seen === 'unusable') return 'unknown'
  // Another prober finished with this owner between our opening and our lock: what we hold is a file without a name.
  if (!existsSync(path)) {
    seen.close()
    return 'unknown'
  }
  return proofOfDeath(folder, other, seen)
}

function proofByBoot(folder: string, owner: OwnerId): ProofOfDeath {
  const proof = {
    kind: 'dead' as const,
    owner,
    release: (done: boolean): void => {
      if (done) forget(slotsFile(folder, owner))
    },
  }
  return proof as unknown as ProofOfDeath
}

function proofOfDeath(folder: string, owner: OwnerId, lock: DatabaseSync): ProofOfDeath {
  let held = true
  const proof = {
    kind: 'dead' as const,
    owner,
    release: (done: boolean): void => {
      if (!held) return
      held = false
      // Slots first: without its owner's file nobody would look for them.
      endLock(lock, done ? [slotsFile(folder, owner), ownerFile(folder, owner)] : [])
    },
  }
  return proof as unknown as ProofOfDeath
}

/**
 * Asks for the exclusive lock once, without waiting.
 *
 * The file stays empty: nothing is ever written to it, so nothing in it can break.
 *
 * @returns the lock; `held`: somebody has it; `contended`: somebody else was asking for it in this instant
 */
function tryLock(path: string): DatabaseSync | 'held' | 'contended' | 'unusable' {
  // Never creates a file: a missing one is an answer.
  const url = pathToFileURL(path)
  url.search = 'mode=rw'
  let database: DatabaseSync | undefined
  let readable = false
  try {
    database = new DatabaseSync(url, { timeout: 0 })
    // A rollback journal on disk would be a second file to clean up after a kill. Reading takes a shared lock, which
    // whoever holds the exclusive one keeps out.
    database.exec('PRAGMA journal_mode = MEMORY; PRAGMA schema_version')
    readable = true
    database.exec('BEGIN EXCLUSIVE')
    return database
  } catch (error) {
    database?.close()
    if (!isBusy(error)) return 'unusable'
    return readable ? 'contended' : 'held'
  }
}

function ownersIn(folder: string): OwnerId[] {
  try {
    return readdirSync(ownersFolder(folder)).flatMap((name) => ownerOf(name) ?? [])
  } catch (error) {
    throw new TokenError('folder_unusable', `cannot list ${ownersFolder(folder)}: ${inWords(error)}.`)
  }
}

/** Removes files under the lock, so that nobody finds them half removed, and then frees it. */
function endLock(lock: DatabaseSync, files: readonly string[]): void {
  for (const file of files) forget(file)
  lock.close()
  // Windows does not remove open files.
  if (process.platform === 'win32') for (const file of files) forget(file)
}

/** A file that stays is found again at the next start, and means only that a dead owner is judged once more. */
function forget(path: string): void {
  try {
    rmSync(path, { force: true })
  } catch {
    // Said above.
  }
}
