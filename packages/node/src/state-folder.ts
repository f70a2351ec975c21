/** Where a manager keeps what belongs to its host: beside the SQLite database, or in a local folder with Postgres. */
import { join } from 'node:path'
import type { OwnerId } from '@tokenkeep/core'

export const ownersFolder = (folder: string): string => join(folder, 'owners')
export const spillFolder = (folder: string): string => join(folder, 'spill')

/** Locked as long as its owner lives. Never opened but through SQLite: closing it in another way would drop the lock. */
export const ownerFile = (folder: string, owner: OwnerId): string => join(ownersFolder(folder), `${owner}.db`)

/** The answers that an owner could not commit. */
export const slotsFile = (folder: string, owner: OwnerId): string => join(spillFolder(folder), `${owner}.slots`)

/** The owner that a file in {@link ownersFolder} belongs to; null for files of others. */
export function ownerOf(fileName: string): OwnerId | null {
  const name = fileName.endsWith('.db') ? fileName.slice(0, -'.db'.length) : ''
  return isOwnerId(name) ? name : null
}

/** Owners become file names, so only a UUID is one: a path written into the database leads nowhere. */
export const isOwnerId = (text: string): text is OwnerId =>
  /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text)
