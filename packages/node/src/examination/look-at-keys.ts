/** The master keys, read as whoever opens the database reads them. */
import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import process from 'node:process'
import { keysFor } from '../keys-for.ts'
import type { Keyring } from '../keyring.ts'
import type { OpenOptions } from '../tokenkeep.ts'
import type { KeysSeen } from './seen.ts'

/** A database is there, so that no key is made. */
const EXISTING = {}

/** @throws TokenError `key_missing`, `key_wrong`, `invalid_input` as opening does */
export async function lookAtKeys(
  options: Pick<OpenOptions, 'keyFile' | 'keyBesideData'>,
  folder: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<{ readonly ring: Keyring; readonly seen: KeysSeen }> {
  const ring = await keysFor(options, folder, EXISTING, environment)
  const { source, file = null, keys, current } = ring
  return {
    ring,
    seen: {
      source,
      file,
      folderOpen: file !== null && isOpen(dirname(file)),
      names: keys.map(({ name }) => name),
      current: { name: current.name, id: current.id },
    },
  }
}

/** Others can replace what lies in it; in a folder with the sticky bit they cannot. */
function isOpen(folder: string): boolean {
  if (process.platform === 'win32') return false
  const { mode } = statSync(folder)
  return (mode & 0o022) !== 0 && (mode & 0o1000) === 0
}
