/** The databases that every scenario can play on, and how each of them goes away and comes back. */
import { spawnSync } from 'node:child_process'
import { mkdir, open, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import type { OpenOptions } from '@tokenkeep/node'

export const DATABASES = ['sqlite'] as const
export type DatabaseKind = (typeof DATABASES)[number]

/** A way in which a database is away for a while. */
export interface Outage {
  readonly name: string
  begin(): Promise<void>
  /** Does nothing where it has not begun. */
  end(): Promise<void>
}

export interface Database extends AsyncDisposable {
  readonly kind: DatabaseKind
  /** How Tokenkeep is told to use it. */
  readonly options: Pick<OpenOptions, 'path'>
  /** Where managers keep their locks and slots. */
  readonly stateFolder: string
  readonly outages: readonly Outage[]
  /** What this machine lacks for (more) outages; null: nothing. */
  readonly missing: string | null
}

/** Room for a database, the slots of eight managers, and no more than is quick to fill. */
const DISK_MEGABYTES = 96

/**
 * Makes an empty one.
 *
 * @param small on a disk of its own that can be filled up, where this machine allows that
 */
export async function makeDatabase(
  kind: DatabaseKind,
  folder: string,
  { small = false }: { small?: boolean } = {},
): Promise<Database> {
  const data = join(folder, 'data')
  await mkdir(data)
  const disk = small ? mountDisk(data) : 'not asked for'
  const path = join(data, 'tokenkeep.db')
  return {
    kind,
    options: { path },
    stateFolder: `${path}.state`,
    outages: typeof disk === 'string' ? [] : [fullDisk(data)],
    missing: typeof disk === 'string' ? disk : null,
    [Symbol.asyncDispose]: async () => {
      if (typeof disk !== 'string') disk.unmount()
    },
  }
}

/** @returns the disk, or why there is none */
function mountDisk(folder: string): { unmount(): void } | string {
  if (process.getuid?.() !== 0) return 'only root can mount a small disk'
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MEGABYTES}m`, 'tmpfs', folder], {
    encoding: 'utf8',
  })
  if (status !== 0) return `a small disk cannot be mounted: ${stderr.trim()}`
  return { unmount: () => void spawnSync('umount', ['--lazy', folder]) }
}

function fullDisk(folder: string): Outage {
  const filler = join(folder, 'filler')
  return {
    name: 'disk full',
    async begin() {
      const { bavail, bsize } = await statfs(folder)
      await writeFile(filler, '')
      const file = await open(filler, 'a')
      try {
        // Whatever is written meanwhile by others takes its part, so the end is found and not worked out.
        const block = Buffer.alloc(bsize, 1)
        for (let blocks = 0; blocks < bavail + 1; blocks += 1) await file.appendFile(block)
      } catch {
        // Full.
      } finally {
        await file.close()
      }
    },
    end: () => rm(filler, { force: true }),
  }
}
