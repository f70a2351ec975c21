/** A SQLite database in a folder of its own, opened once for each store, as several processes would. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { NUMBERS, type Moment } from '@tokenkeep/core'
import { createBootClock } from '../../src/boot.ts'
import { createSystemClock } from '../../src/clock-system.ts'
import type { Keyring } from '../../src/keyring.ts'
import { createSystemRandom } from '../../src/random-system.ts'
import { openSqliteDatabase, type SqliteDatabase } from '../../src/sqlite-database.ts'
import { createSqliteStore } from '../../src/store-sqlite.ts'
import { newKeyring, type Backend } from './store-world.ts'

export interface Folder {
  readonly path: string
  readonly database: string
  remove(): Promise<void>
}

export async function newFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'tokenkeep-store-'))
  return { path, database: join(path, 'tokens.db'), remove: () => rm(path, { recursive: true, force: true }) }
}

export const BACKGROUND = createSystemClock({ alarms: 'background' })

export function openDatabase(
  path: string,
  keys: Keyring,
  bootNow: () => Moment = createBootClock().now,
): Promise<SqliteDatabase> {
  const [clock, random] = [createSystemClock(), createSystemRandom()]
  return openSqliteDatabase({ path, keys, clock, random, bootNow, leaseMs: NUMBERS.leaseMs })
}

/** A new database for each call; it goes with `end`. */
export async function sqliteBackend(): Promise<Backend> {
  const folder = await newFolder()
  return backendOn(folder.database, newKeyring(), folder.remove)
}

export interface SqliteBackend extends Backend {
  /** The databases opened so far, one for each store, and first the backend's own. */
  readonly databases: readonly SqliteDatabase[]
}

export async function backendOn(path: string, keys: Keyring, remove: () => Promise<void>): Promise<SqliteBackend> {
  const first = await openDatabase(path, keys)
  const databases = [first]
  return {
    installation: first.installation,
    keys,
    databases,
    open: async (parts, bootNow) => {
      const database = await openDatabase(path, keys)
      databases.push(database)
      return createSqliteStore({ ...parts, database, bootNow, background: BACKGROUND })
    },
    swapRefreshTokens: async (one, other) => {
      const sql = new DatabaseSync(path)
      const sealed = (uid: string) =>
        sql.prepare('SELECT refresh_token FROM connection WHERE uid = ?').get(uid)?.['refresh_token'] ?? null
      const [a, b] = [sealed(one), sealed(other)]
      const put = sql.prepare('UPDATE connection SET refresh_token = ? WHERE uid = ?')
      put.run(b, one)
      put.run(a, other)
      sql.close()
    },
    end: async () => {
      await first.close()
      await remove()
    },
  }
}
