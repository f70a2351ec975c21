/** The databases that every scenario can play on, and how each of them goes away and comes back. */
import { spawnSync } from 'node:child_process'
import { mkdir, open, rename, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { DatabaseSync } from 'node:sqlite'
import type { OpenOptions } from '@tokenkeep/node'
import { postgresMissing, startPostgres, type PostgresServer } from '@tokenkeep/testpostgres'

export const DATABASES = ['sqlite', 'postgres'] as const
export type DatabaseKind = (typeof DATABASES)[number]

/** A way in which a database is away for a while. */
export interface Outage {
  readonly name: string
  /** Where locks and slots lie meanwhile. */
  readonly stateFolder: string
  begin(): Promise<void>
  /** Does nothing where it has not begun. */
  end(): Promise<void>
}

export interface Database extends AsyncDisposable {
  readonly kind: DatabaseKind
  /** How Tokenkeep is told to use it. */
  readonly options: Pick<OpenOptions, 'path' | 'postgres' | 'stateFolder'>
  /** Where managers keep their locks and slots. */
  readonly stateFolder: string
  readonly outages: readonly Outage[]
  /** What this machine lacks for more outages; null: nothing. */
  readonly missing: string | null
}

const DATABASE_FILE = 'tokenkeep.db'
/** Room for a database, the slots of eight managers, and no more than is quick to fill. */
const DISK_MEGABYTES = 96

/**
 * Makes an empty one.
 *
 * @param small for outages: on a disk of its own that can be filled up, where this machine allows that, or in a server of
 *   its own
 */
export async function makeDatabase(
  kind: DatabaseKind,
  folder: string,
  { small = false }: { small?: boolean } = {},
): Promise<Database> {
  switch (kind) {
    case 'sqlite':
      return makeSqlite(folder, small)
    case 'postgres':
      return makePostgres(folder, small)
  }
}

/** Why this machine cannot play on it; null: it can. */
export const databaseMissing = (kind: DatabaseKind): string | null => (kind === 'postgres' ? postgresMissing() : null)

/** Places of one scenario share a server, unless it is to go away. */
let shared: Promise<PostgresServer> | null = null

async function makePostgres(folder: string, own: boolean): Promise<Database> {
  const server = await (own ? startPostgres() : (shared ??= startPostgres()))
  const stateFolder = join(folder, 'state')
  return {
    kind: 'postgres',
    options: { postgres: await server.createDatabase(), stateFolder },
    stateFolder,
    outages: [
      {
        name: 'Postgres stopped with -m immediate',
        stateFolder,
        begin: () => server.stop('immediate'),
        end: () => server.start(),
      },
      { name: 'kill -9 of the postmaster', stateFolder, begin: () => server.kill(), end: () => server.start() },
    ],
    missing: null,
    [Symbol.asyncDispose]: async () => {
      // A shared one ends with this process.
      if (own) await server[Symbol.asyncDispose]()
    },
  }
}

async function makeSqlite(folder: string, small: boolean): Promise<Database> {
  const root = join(folder, 'disk')
  const data = join(root, 'data')
  await mkdir(root)
  const disk = small ? mountDisk(root) : 'not asked for'
  await mkdir(data)
  const path = join(data, DATABASE_FILE)
  const stateFolder = `${path}.state`
  const full = typeof disk === 'string' ? [] : [fullDisk(root, stateFolder)]
  return {
    kind: 'sqlite',
    options: { path },
    stateFolder,
    outages: [...full, lockedByAnother(path, stateFolder), movedAway(data)],
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

function fullDisk(folder: string, stateFolder: string): Outage {
  const filler = join(folder, 'filler')
  return {
    name: 'disk full',
    stateFolder,
    async begin() {
      const { bavail, bsize } = await statfs(folder)
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

/** A backup, or a person with a shell, that holds the database's write lock. */
function lockedByAnother(path: string, stateFolder: string): Outage {
  let holder: DatabaseSync | null = null
  return {
    name: 'database locked by another program',
    stateFolder,
    async begin() {
      holder = new DatabaseSync(path, { timeout: 5_000 })
      holder.exec('BEGIN IMMEDIATE')
    },
    async end() {
      holder?.close()
      holder = null
    },
  }
}

function movedAway(data: string): Outage {
  const elsewhere = `${data}.elsewhere`
  let moved = false
  return {
    name: 'data folder moved away',
    stateFolder: join(elsewhere, `${DATABASE_FILE}.state`),
    async begin() {
      await rename(data, elsewhere)
      moved = true
    },
    async end() {
      if (moved) await rename(elsewhere, data)
      moved = false
    },
  }
}
