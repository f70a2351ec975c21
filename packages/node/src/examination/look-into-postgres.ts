/** A Postgres database, in sessions that may not write: what it says of itself, and how it would serve us. */
import { randomInt, randomUUID } from 'node:crypto'
import { ms, type Clock, type Marker } from '@tokenkeep/core'
import { integer, text, textOrNull } from '../cells.ts'
import { readPostgresUrl, type PostgresAddress } from '../postgres-address.ts'
import { postgresIdentityOf, SERVER_LEAST } from '../postgres-database.ts'
import { postgresRegistry } from '../postgres-registry.ts'
import { VERSION } from '../postgres-schema.ts'
import { openPostgresSession, type PostgresSession } from '../postgres-session.ts'
import { CLOCK, passing, tableIn } from '../postgres-statement.ts'
import type { Keyring } from '../keyring.ts'
import { leastDifference } from './least-difference.ts'
import { holdAhead, keysAgainst, refuseWriting, sealedWithOther, type Reading } from './reading.ts'
import type { PostgresSeen } from './seen.ts'

export interface PostgresLook {
  readonly url: string
  readonly ring: Keyring | null
  /** Of an installation, read before the database is. */
  readonly markers: (installation: string, name: string) => readonly Marker[]
  readonly clock: Pick<Clock, 'now' | 'alarm'>
}

/** A server's answer to one `NOTIFY`: milliseconds where nothing is wrong. */
const HEARD_WITHIN_MS = ms(2_000)

/** A database with Tokenkeep's tables, or one without. */
export interface PostgresLooked {
  readonly name: string
  readonly server: PostgresSeen
  /** Null: nobody has used our schema yet. */
  readonly reading: Reading | null
  close(): Promise<void>
}

/** @throws TokenError `invalid_input`, `store_unavailable`, `database_unusable`, `newer_database`, as opening does */
export async function lookIntoPostgres(look: PostgresLook): Promise<PostgresLooked> {
  const address = readPostgresUrl(look.url)
  const session = await openPostgresSession(address)
  try {
    const reader = readOnly(session)
    const server = await serverSeen(session, reader, { address, clock: look.clock })
    const reading = await readingOf(reader, address, { ...look, server })
    return { name: address.name, server, reading, close: () => session.close() }
  } catch (error) {
    await session.close()
    throw error
  }
}

type Reader = Pick<PostgresSession, 'ask' | 'close'>

/**
 * Each statement in a transaction of its own that may not write. A setting of the session would do the same, and stay: behind
 * a pooler the session is somebody else's afterwards.
 */
const readOnly = (session: PostgresSession): Reader => ({
  async ask(asked, values) {
    const [, answered] = await Promise.allSettled([
      session.ask('BEGIN TRANSACTION READ ONLY'),
      session.ask(asked, values),
      session.ask('COMMIT'),
    ])
    if (answered.status === 'rejected') throw answered.reason
    return answered.value
  },
  close: () => session.close(),
})

async function readingOf(
  session: Reader,
  address: PostgresAddress,
  { ring, markers, clock, server }: PostgresLook & { readonly server: PostgresSeen },
): Promise<Reading | null> {
  const { schema, name } = address
  const first = await postgresIdentityOf(session, address)
  if (first === null) return null
  const marked = markers(first.installation, name)
  const seen = (await postgresIdentityOf(session, address)) ?? first
  const all: Reading['all'] = async (asked, values) => (await session.ask(passing(asked).text, values)).records
  return {
    seen: {
      name,
      version: seen.version,
      newest: VERSION,
      keys: keysAgainst(ring, seen.keyCheck, name),
      sealedWithOther: sealedWithOther(ring, seen.keyCheck),
      hold: seen.hold?.because ?? null,
      holdAhead: holdAhead(seen, { placeNow: null, markers: marked, now: clock.now().wall }),
      sqlite: null,
      postgres: { ...server, lacksPermission: await lacking(session, schema) },
    },
    installation: seen.installation,
    rows: postgresRegistry({
      schema,
      name,
      read: async ({ text: asked }, values = []) => (await session.ask(asked, values)).records,
      write: refuseWriting,
    }),
    table: tableIn(schema),
    all,
    close: () => session.close(),
  }
}

// ---- the server ----------------------------------------------------------------------------------------------------

async function serverSeen(
  session: PostgresSession,
  reader: Reader,
  { address, clock }: Pick<PostgresLook, 'clock'> & { readonly address: PostgresAddress },
): Promise<PostgresSeen> {
  const { records } = await reader.ask(SERVER)
  const [said = {}] = records
  const pooled = integer(said, 'process_id') !== session.processId
  return {
    serverVersion: text(said, 'version'),
    tooOld: integer(said, 'version_num') < SERVER_LEAST,
    tls: textOrNull(said, 'tls'),
    local: said['local'] === true,
    pooled,
    ...(pooled ? { listens: false, showsLocks: false } : await togetherWith(session, address, clock)),
    clockMs: await clockOf(reader, clock),
    standby: said['standby'] === true,
    fsync: text(said, 'fsync') === 'on',
    fullPageWrites: text(said, 'full_page_writes') === 'on',
    sessions: { used: integer(said, 'used'), most: integer(said, 'most') },
    lacksPermission: null,
  }
}

const SERVER = `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS version_num,
  pg_backend_pid() AS process_id, pg_is_in_recovery() AS standby, current_setting('fsync') AS fsync,
  current_setting('full_page_writes') AS full_page_writes,
  coalesce(host(inet_client_addr()) = host(inet_server_addr()), true) AS local,
  (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl) AS tls,
  (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most`

/** What one session says and holds, another one has to hear and see: tried with names of our own. */
async function togetherWith(
  session: PostgresSession,
  address: PostgresAddress,
  clock: Pick<Clock, 'alarm'>,
): Promise<{ readonly listens: boolean; readonly showsLocks: boolean }> {
  const other = await openPostgresSession(address)
  try {
    return { listens: await hears(session, other, clock), showsLocks: await isShown(session, other) }
  } finally {
    await other.close()
  }
}

async function hears(session: PostgresSession, other: PostgresSession, clock: Pick<Clock, 'alarm'>): Promise<boolean> {
  const channel = `tokenkeep_doctor_${randomUUID().replaceAll('-', '')}`
  const alarm = clock.alarm(HEARD_WITHIN_MS)
  try {
    const heard = new Promise<true>((resolve) => session.onNotification(() => resolve(true)))
    await session.ask(`LISTEN "${channel}"`)
    await other.ask('SELECT pg_notify($1, $2)', [channel, 'heard'])
    return await Promise.race([heard, alarm.rung.then(() => false)])
  } catch {
    // What speaks Postgres's protocol need not have it; a standby has not.
    return false
  } finally {
    alarm.cancel()
    await session.ask(`UNLISTEN "${channel}"`).catch(() => undefined)
  }
}

async function isShown(session: PostgresSession, other: PostgresSession): Promise<boolean> {
  const [group, owner] = [randomInt(2 ** 31), randomInt(2 ** 31)]
  try {
    const { records } = await session.ask('SELECT pg_try_advisory_lock($1, $2) AS taken', [group, owner])
    if (records[0]?.['taken'] !== true) return false
    const seen = await other.ask(
      `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid::bigint = $1 AND objid::bigint = $2`,
      [group, owner],
    )
    return seen.records[0]?.['pid'] === session.processId
  } catch {
    return false
  } finally {
    await session.ask('SELECT pg_advisory_unlock($1, $2)', [group, owner]).catch(() => undefined)
  }
}

/** The server read its clock at some moment between asking and hearing. */
async function clockOf(session: Reader, clock: Pick<Clock, 'now'>): Promise<number> {
  const before = clock.now()
  const { records } = await session.ask(`SELECT ${CLOCK} AS now`)
  const after = clock.now()
  const server = Number(records[0]?.['now'])
  return leastDifference({ from: server, to: server }, { from: before.wall, to: after.wall })
}

async function lacking(session: Reader, schema: string): Promise<string | null> {
  const { records } = await session.ask(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')
       AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
         AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))
     ORDER BY c.relname LIMIT 1`,
    [schema],
  )
  return records[0] === undefined ? null : text(records[0], 'name')
}
