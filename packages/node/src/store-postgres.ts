/** The store in Postgres, for the processes of many hosts. */
import type { Moment } from '@tokenkeep/core'
import { connectionStore } from './connection-store.ts'
import type { PostgresDatabase } from './postgres-database.ts'
import { postgresEvents } from './postgres-events.ts'
import type { PostgresNotices } from './postgres-notices.ts'
import type { OwnerLocks } from './postgres-owner-locks.ts'
import { postgresRegistry, postgresTerms } from './postgres-registry.ts'
import { postgresRows } from './postgres-rows.ts'
import type { StandingSession } from './postgres-standing-session.ts'
import { statement, tableIn } from './postgres-statement.ts'
import { registry } from './registry.ts'
import { storedSecrets } from './reseal.ts'
import { storeContext, type OpenStore, type StoreParts } from './store-context.ts'

export interface PostgresStoreOptions extends StoreParts {
  /** Opened by `openPostgresDatabase`; closed together with this store. */
  readonly database: PostgresDatabase
  readonly notices: Pick<PostgresNotices, 'notices' | 'tell'>
  readonly locks: Pick<OwnerLocks, 'isShown'>
  /** In which both live; closed together with this store, too. */
  readonly standing: StandingSession
  /** Store time, where a test moves it; absent: the server's own, the same for every host. */
  readonly storeNow?: () => Moment
}

/**
 * A connection store and registry in one Postgres database.
 *
 * Every verb fails with TokenError `store_unavailable` where the database cannot be reached or refuses, and with `closed`
 * after `close`.
 */
export function createPostgresStore(options: PostgresStoreOptions): OpenStore {
  const { database, notices, locks, standing, storeNow, ...parts } = options
  let commits = 0
  const rows = postgresRows({
    database,
    terms: postgresTerms(),
    onWritten: (uid) => {
      commits += 1
      notices.tell(uid)
    },
    storeNow,
  })
  const registryRows = postgresRegistry(database)
  const noteKey = async (id: string): Promise<void> => {
    const installation = tableIn(database.schema)('installation')
    await database.write(statement(`UPDATE ${installation} SET sealed_with = ?`), [id])
  }
  return {
    store: connectionStore(rows, storeContext(parts, { session: () => database.session, showsLock: locks.isShown })),
    registry: registry(registryRows, parts),
    notices: notices.notices,
    incarnation: rows.incarnation,
    events: postgresEvents(database),
    secrets: storedSecrets(rows, registryRows, noteKey),
    committed: () => commits,
    close: async () => {
      await standing.close()
      await database.close()
    },
  }
}
