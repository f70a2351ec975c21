import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { TokenError } from '@tokenkeep/core'
import { makeFolder, replaceFile } from './durable-file.ts'
import { inWords, systemErrorCode } from './system-error.ts'

/**
 * What the configuration folder remembers of a database, so that an old copy of it or one in another place is noticed.
 *
 * Kept beside the master key and never in the data folder, as JSON of these three members and `tokenkeepMarker: 1`.
 */
export interface Marker {
  readonly installation: string
  /** Host and path with file identity, as the store names its place. */
  readonly place: string
  /** The highest epoch seen. */
  readonly epoch: number
}

/**
 * Reads the marker.
 *
 * @returns null where there is none
 * @throws TokenError `folder_unusable` where it cannot be read or is not a marker
 */
export async function readMarker(path: string): Promise<Marker | null> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return null
    throw new TokenError('folder_unusable', `cannot read the marker file ${path}: ${inWords(error)}`)
  }
  const marker = parseMarker(text)
  if (marker !== null) return marker
  throw new TokenError(
    'folder_unusable',
    `${path} is not a marker file. It guards against an old copy of the database; if you know that the database is the ` +
      `newest one, remove the file.`,
  )
}

/**
 * Raises the epoch of this installation and place; a marker that is as high already stays as it is.
 *
 * The epoch is raised in the database first, and there by one process at a time. Should two raise the marker in the same
 * instant, the lower of both may stay until the next raise.
 *
 * @returns `other` where the marker is of another installation or place, and was left alone
 * @throws TokenError `folder_unusable`
 */
export async function raiseMarker(path: string, to: Marker): Promise<'raised' | 'other'> {
  const kept = await readMarker(path)
  if (kept !== null) {
    if (kept.installation !== to.installation || kept.place !== to.place) return 'other'
    if (kept.epoch >= to.epoch) return 'raised'
  }
  await replaceMarker(path, to)
  return 'raised'
}

/**
 * Begins a new incarnation: puts this marker in the place of any other.
 *
 * @throws TokenError `folder_unusable`
 */
export async function replaceMarker(path: string, marker: Marker): Promise<void> {
  const { installation, place, epoch } = marker
  try {
    await makeFolder(dirname(path))
    await replaceFile(path, `${JSON.stringify({ tokenkeepMarker: 1, installation, place, epoch }, null, 2)}\n`)
  } catch (error) {
    throw new TokenError('folder_unusable', `cannot write the marker file ${path}: ${inWords(error)}`)
  }
}

function parseMarker(text: string): Marker | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const { tokenkeepMarker, installation, place, epoch } = value as Record<string, unknown>
  if (tokenkeepMarker !== 1 || typeof installation !== 'string' || typeof place !== 'string') return null
  if (typeof epoch !== 'number' || !Number.isSafeInteger(epoch) || epoch < 0) return null
  return { installation, place, epoch }
}
