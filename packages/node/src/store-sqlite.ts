/** The store on disk: SQLite, for every process of one host. */
import type { Clock, Moment } from '@tokenkeep/core'
import { connectionStore } from './connection-store.ts'
import { registry } from './registry.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { sqliteEvents } from './sqlite-events.ts'
import { storedSecrets } from './reseal.ts'
import { sqliteNotices } from './sqlite-notices.ts'
import { sqliteRegistry, sqliteTerms } from './sqlite-registry.ts'
import { sqliteRows } from './sqlite-rows.ts'
import { storeContext, type OpenStore, type StoreParts } from './store-context.ts'

export interface SqliteStoreOptions extends StoreParts {
  /** Opened by `openSqliteDatabase`; closed together with this store. */
  readonly database: SqliteDatabase
  /** Store time: the host's boot-relative clock, the same for every process. */
  readonly bootNow: () => Moment
  /** Its alarms keep no process alive. */
  readonly background: Pick<Clock, 'alarm'>
}

/**
 * A connection store and registry in one SQLite database.
 *
 * Every verb fails with TokenError `store_unavailable` where the disk or another program's lock forbids it, and with
 * `closed` after `close`.
 */
export function createSqliteStore({ database, bootNow, background, ...parts }: SqliteStoreOptions): OpenStore {
  const terms = sqliteTerms(database.sql)
  const rows = sqliteRows({ database, terms, bootNow })
  const registryRows = sqliteRegistry(database, terms)
  const { sql, write } = database
  const noteKey = async (id: string): Promise<void> =>
    write(() => void sql.prepare('UPDATE installation SET sealed_with = ?').run(id))
  return {
    store: connectionStore(rows, storeContext(parts, { session: () => database.session, showsLock: () => false })),
    registry: registry(registryRows, parts),
    notices: sqliteNotices({ sql: database.sql, background }),
    incarnation: rows.incarnation,
    events: sqliteEvents(database),
    secrets: storedSecrets(rows, registryRows, noteKey),
    committed: database.committed,
    close: () => database.close(),
  }
}
