/** One Postgres server for a test file, and in it a schema of its own for each backend, opened once for each store. */
import { after, type TestContext } from 'node:test'
import type { Uid } from '@tokenkeep/core'
import { postgresMissing, startPostgres, type PostgresServer } from '@tokenkeep/testpostgres'
import { createSystemClock } from '../../src/clock-system.ts'
import type { Keyring } from '../../src/keyring.ts'
import { readPostgresUrl } from '../../src/postgres-address.ts'
import { openPostgresDatabase, type PostgresDatabase } from '../../src/postgres-database.ts'
import { postgresNotices } from '../../src/postgres-notices.ts'
import { postgresOwnerLocks } from '../../src/postgres-owner-locks.ts'
import { openStandingSession } from '../../src/postgres-standing-session.ts'
import { createSystemRandom } from '../../src/random-system.ts'
import { createPostgresStore } from '../../src/store-postgres.ts'
import { newKeyring, type Backend } from './store-world.ts'

let starting: Promise<{ readonly server: PostgresServer; readonly url: string }> | null = null
let schemas = 0

/** The server of this process; it ends with the tests. A machine that crashes is not what the contract is about. */
export function postgres(): Promise<{ readonly server: PostgresServer; readonly url: string }> {
  starting ??= startPostgres({ fsync: false }).then(async (server) => ({ server, url: await server.createDatabase() }))
  return starting
}

after(async () => {
  await (await starting)?.server[Symbol.asyncDispose]()
})

/** Says what cannot be run where there is no server. */
export function lacksPostgres(t: TestContext): boolean {
  const reason = postgresMissing()
  if (reason !== null) t.diagnostic(`NOT RUN: ${reason}`)
  return reason !== null
}

/** A URL with a schema that nobody used yet. */
export async function freshUrl(): Promise<string> {
  schemas += 1
  return `${(await postgres()).url}?schema=test_${schemas}`
}

export const openDatabase = (url: string, keys: Keyring): Promise<PostgresDatabase> =>
  openPostgresDatabase({
    address: readPostgresUrl(url),
    keys,
    clock: createSystemClock(),
    random: createSystemRandom(),
  })

export interface PostgresBackend extends Backend {
  readonly url: string
  /** The databases opened so far, one for each store, and first the backend's own. */
  readonly databases: readonly PostgresDatabase[]
}

export async function postgresBackend(): Promise<PostgresBackend> {
  const keys = newKeyring()
  const url = await freshUrl()
  const first = await openDatabase(url, keys)
  const databases = [first]
  return {
    url,
    installation: first.installation,
    keys,
    databases,
    open: async (parts, storeNow) => {
      const database = await openDatabase(url, keys)
      databases.push(database)
      const background = createSystemClock({ alarms: 'background' })
      const notices = postgresNotices({ database, sender: parts.owner })
      const locks = postgresOwnerLocks({ database, owner: parts.owner, clock: parts.clock })
      const standing = await openStandingSession({ pool: database.pool, bound: [notices, locks], background })
      return createPostgresStore({ ...parts, database, notices, locks, standing, storeNow })
    },
    swapRefreshTokens: async (one: Uid, other: Uid) => {
      const { server } = await postgres()
      const connection = `"${first.schema}".connection`
      await server.admin(
        `UPDATE ${connection} c SET refresh_token = o.refresh_token FROM ${connection} o
         WHERE (c.uid, o.uid) IN (('${one}', '${other}'), ('${other}', '${one}'))`,
        new URL(url).pathname.slice(1),
      )
    },
    end: async () => {
      await first.close()
    },
  }
}
