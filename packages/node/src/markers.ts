/**
 * What is remembered of an installation outside of its database, so that an older state that was put back is noticed.
 *
 * Two small files: one beside the master key, which no backup of the data brings back, and one in the state folder, for
 * hosts whose configuration folder cannot be written or does not last. Text, one statement a line:
 *
 *     tokenkeep-marker 1
 *     installation <uuid>
 *     epoch <count>
 *     branch <uuid>
 *     database <path>        for people
 */
import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Incarnation, Marker } from '@tokenkeep/core'
import { defaultFolders } from './default-folders.ts'
import { makeFolder, replaceFile } from './durable-file.ts'
import { isUuid } from './incarnation-codec.ts'
import type { OpenOptions } from './tokenkeep.ts'

export interface Markers {
  /** What can be read of this installation; a marker that is missing or not ours says nothing. */
  read(installation: string): readonly Marker[]
  /** Written after the database. Never ahead of it, and never back: an older epoch does not replace a newer one. */
  write(life: Pick<Incarnation, 'installation' | 'epoch' | 'branch'>): Promise<void>
}

const BYTES_MAX = 8192

/**
 * @param folders where they lie; one that cannot be written is done without
 * @param database its path, for people who look into a marker
 */
export function createMarkers({ folders, database }: { folders: readonly string[]; database: string }): Markers {
  const pathsOf = (installation: string): readonly string[] =>
    folders.map((folder) => join(folder, `${installation}.marker`))
  return {
    // An installation becomes a file name, and whoever writes the database can put a path there.
    read: (installation) =>
      isUuid(installation) ? pathsOf(installation).flatMap((path) => readMarker(path) ?? []) : [],
    async write(life) {
      if (!isUuid(life.installation)) return
      await Promise.all(pathsOf(life.installation).map((path) => writeMarker(path, life, database)))
    },
  }
}

/** Beside the master key, which no backup of the data brings back; and in the state folder, where that one does not last. */
export function markerFolders({ keyFile }: Pick<OpenOptions, 'keyFile'>, state: string): readonly string[] {
  if (keyFile !== undefined) return [dirname(resolve(keyFile)), state]
  try {
    return [defaultFolders().config, state]
  } catch {
    // A user without a home folder, who gives the key in the variable.
    return [state]
  }
}

/** At once, on this thread: it is a small file, read once at a start and once a minute. */
function readMarker(path: string): Marker | null {
  let content: string
  try {
    content = readFileSync(path, 'utf8').slice(0, BYTES_MAX)
  } catch {
    return null
  }
  const [head, ...lines] = content.split('\n')
  if (head !== 'tokenkeep-marker 1') return null
  const said = new Map(lines.map((line) => [line.split(' ', 1)[0] ?? '', line.slice(line.indexOf(' ') + 1)]))
  const installation = said.get('installation') ?? ''
  const epoch = Number(said.get('epoch') ?? Number.NaN)
  const branch = said.get('branch') ?? ''
  return Number.isSafeInteger(epoch) && isUuid(branch) ? { installation, epoch, branch } : null
}

async function writeMarker(path: string, life: Marker, database: string): Promise<void> {
  const standing = readMarker(path)
  if (standing !== null && standing.epoch >= life.epoch) return
  const text = [
    'tokenkeep-marker 1',
    `installation ${life.installation}`,
    `epoch ${life.epoch}`,
    `branch ${life.branch}`,
    `database ${JSON.stringify(database)}`,
    '',
  ].join('\n')
  try {
    await makeFolder(dirname(path))
    await replaceFile(path, text)
  } catch {
    // A folder that cannot be written is done without: the place of the database, and the other marker, still tell.
  }
}
