/** Opens a Postgres database and what belongs to it on this host. Loaded only where one is used. */
import { join, resolve } from 'node:path'
import { TokenError } from '@tokenkeep/core'
import { createAesGcmCipher } from './cipher-aes-gcm.ts'
import { prepareFolder } from './data-folder.ts'
import { defaultFolders } from './default-folders.ts'
import type { Keyring } from './keyring.ts'
import { createMarkers, type Markers } from './markers.ts'
import type { OpenedDatabase, OpeningParts } from './opened-database.ts'
import { readPostgresUrl } from './postgres-address.ts'
import { postgresAudit } from './postgres-audit.ts'
import { postgresCallers } from './postgres-callers.ts'
import { postgresConnectSessions } from './postgres-connect-sessions.ts'
import { postgresPageSessions } from './postgres-page-sessions.ts'
import { inspectPostgres, openPostgresDatabase, type PostgresIdentity } from './postgres-database.ts'
import { postgresMinutes } from './postgres-minutes.ts'
import { postgresNotices } from './postgres-notices.ts'
import { postgresOwnerLocks } from './postgres-owner-locks.ts'
import { postgresReceivedEvents } from './postgres-received-events.ts'
import { openStandingSession } from './postgres-standing-session.ts'
import { createPostgresStore } from './store-postgres.ts'

export interface PostgresOpening extends OpeningParts {
  readonly url: string
  /** In which each installation has a folder of its own; absent: the data folder of the user. */
  readonly stateFolder: string | undefined
  /** Whether our tables are made where there are none. */
  readonly create: boolean
  readonly allowNetworkFileSystem: boolean
  /** @param folder below which no key may lie */
  readonly keysFor: (folder: string, existing: PostgresIdentity | null) => Promise<Keyring>
  /** @param state the folder on this host */
  readonly markerFolders: (state: string) => readonly string[]
}

/**
 * Opens the database, and the folder on this host in which its managers show that they live and keep what the database
 * does not take: one for each installation, shared by the processes of this user.
 *
 * @throws TokenError `invalid_input`, `store_unavailable`, `database_unusable`, `newer_database`, `key_missing`,
 *   `key_wrong`, `folder_unusable`
 */
export async function openPostgresParts(opening: PostgresOpening): Promise<OpenedDatabase> {
  const {
    url,
    stateFolder,
    create,
    allowNetworkFileSystem,
    keysFor,
    markerFolders,
    background,
    bootNow: _,
    ...parts
  } = opening
  const { clock, random, owner } = parts
  const address = readPostgresUrl(url)
  const { data } = stateFolder === undefined ? defaultFolders() : { data: resolve(stateFolder) }
  const seen = await inspectPostgres({ address, random })
  if (seen === null && !create) {
    throw new TokenError(
      'database_unusable',
      `the database ${address.name} holds no Tokenkeep, and none is to be made. Is its URL right? ` +
        '`tokenkeep provider add` makes one there.',
    )
  }
  const keys = await keysFor(data, seen)
  // An answer of one installation means nothing to another, and would be revoked there.
  const stateOf = (installation: string): string => join(data, `postgres-${installation}`)
  const markersOf = (installation: string): Markers =>
    createMarkers({ folders: markerFolders(stateOf(installation)), database: address.name })
  const marked = seen === null ? [] : markersOf(seen.installation).read(seen.installation)
  const database = await openPostgresDatabase({ address, keys, markers: marked, clock, random })
  try {
    const { installation } = database
    const state = stateOf(installation)
    await prepareFolder(state, { allowNetworkFileSystem })
    const cipher = createAesGcmCipher({ installation, keys })
    const notices = postgresNotices({ database, sender: owner })
    const locks = postgresOwnerLocks({ database, owner, clock })
    const { pool } = database
    const standing = await openStandingSession({ pool, bound: [notices, locks], background })
    return {
      open: createPostgresStore({ ...parts, cipher, database, notices, locks, standing }),
      callers: postgresCallers(database),
      receivedEvents: postgresReceivedEvents(database),
      connectSessions: postgresConnectSessions(database),
      minutes: postgresMinutes(database),
      audit: postgresAudit(database),
      pageSessions: postgresPageSessions(database),
      cipher,
      keys,
      state,
      life: database,
      locks,
      coordination: () => ({
        hearsCommits: notices.isListening(),
        seesLocks: locks.isShown(),
        behindPooler: pool.pooled,
      }),
      markers: markersOf(installation),
    }
  } catch (error) {
    await database.close()
    throw error
  }
}
