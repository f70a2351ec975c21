/**
 * Which file a database is: its number on its file system and the moment when it was made.
 *
 * A copy is another file, wherever it lies. The same file stays the same when it is renamed, its disk is mounted elsewhere,
 * or the host has another name, as a container has at each start. ADR 0013 has the cases.
 */
import { chmodSync, statfsSync, statSync } from 'node:fs'
import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { networkFileSystem } from './data-folder.ts'

/** @returns null where the file system numbers its files anew at each mount, or by its server: nobody can say */
export async function placeOf(path: string): Promise<string | null> {
  if (numbersAnew(path)) return null
  const { ino } = statSync(path, { bigint: true })
  const birth = await birthOf(path)
  return birth === null ? `file ${ino}` : `file ${ino} made ${birth}`
}

/** The same, looked at without touching the file; null also where that would have to be done to be sure. */
export function placeSeen(path: string): string | null {
  if (numbersAnew(path)) return null
  const { ino, birthtimeNs, ctimeNs } = statSync(path, { bigint: true })
  return birthtimeNs <= 0n || birthtimeNs === ctimeNs ? null : `file ${ino} made ${birthtimeNs}`
}

// Longer than the coarsest tick by which a kernel stamps files.
const TRIES = 12
const PAUSE_MS = 2

/**
 * The number alone is not enough: it is given to the next file when its own is deleted.
 *
 * @returns nanoseconds since 1970; null where the file system does not keep it
 */
async function birthOf(path: string): Promise<bigint | null> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const { birthtimeNs, ctimeNs, mode } = statSync(path, { bigint: true })
    if (birthtimeNs <= 0n) return null
    if (birthtimeNs !== ctimeNs) return birthtimeNs
    // Node gives the time of the last change where there is none of birth. A change tells which of the two this is; it
    // is not made by opening the file, because closing it again would free SQLite's locks of this process.
    chmodSync(path, Number(mode) & 0o7777)
    const after = statSync(path, { bigint: true })
    if (after.birthtimeNs !== birthtimeNs) return null
    await pause(PAUSE_MS)
  }
  return null
}

function numbersAnew(path: string): boolean {
  if (process.platform !== 'linux') return false
  const { type } = statfsSync(path)
  return networkFileSystem(type) !== null || FAT.has(type >>> 0)
}

/** vfat and exfat, as linux/magic.h has them. */
const FAT: ReadonlySet<number> = new Set([0x4d44, 0x2011bab0])
