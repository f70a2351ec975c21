/**
 * Opens the database: recognises it, refuses what is not ours, newer, or sealed with other keys, and only then writes:
 * migrations, the installation's name and key check, the next epoch.
 */
import {
  TokenError,
  goesOn,
  type Clock,
  type Incarnation,
  type Marker,
  type Moment,
  type MonoMs,
  type Random,
  type UnixMs,
} from '@tokenkeep/core'
import { integer, text, type CellRecord } from './cells.ts'
import { assertOwnKeys, checkOf, type KeyCheck, type Keyring } from './keyring.ts'
import type { PostgresAddress } from './postgres-address.ts'
import { isSilence, lacksPermission, notPermitted } from './postgres-failures.ts'
import { identityIn } from './incarnation-codec.ts'
import { writingOf } from './postgres-incarnation.ts'
import { createPostgresPool, type PostgresPool } from './postgres-pool.ts'
import { MIGRATIONS, VERSION } from './postgres-schema.ts'
import type { Answered, PostgresCell, PostgresSession } from './postgres-session.ts'
import { CLOCK, tableIn, type Statement } from './postgres-statement.ts'

/** What a database says of itself. */
export interface PostgresIdentity extends Incarnation {
  readonly version: number
  readonly keyCheck: KeyCheck
}

/** Asks inside a transaction. */
export type Ask = (statement: Statement, values?: readonly PostgresCell[]) => Promise<readonly CellRecord[]>

/** Its incarnation is that of the moment when it was opened. */
export interface PostgresDatabase extends Incarnation {
  /** For people: host, port and database; no user, no password. */
  readonly name: string
  readonly schema: string
  /** Where it is now: the server's identity, the database and the schema. Another one than `place` means that it is a copy. */
  readonly placeNow: string
  /** Another one after each session that was lost: what an older one made durable may be gone. */
  readonly session: string
  readonly pool: PostgresPool
  /** One statement that changes nothing, by itself. */
  read(statement: Statement, values?: readonly PostgresCell[]): Promise<readonly CellRecord[]>
  /** One statement, durable when this resolves. */
  write(statement: Statement, values?: readonly PostgresCell[]): Promise<readonly CellRecord[]>
  /** Several, all of them or none; durable when this resolves. */
  transaction<Result>(job: (ask: Ask) => Promise<Result>): Promise<Result>
  close(): Promise<void>
}

export interface PostgresOptions {
  readonly address: PostgresAddress
  /** The keyring: its check is kept at first open, and must be the same ever after. */
  readonly keys: Keyring
  /** What was remembered outside about this installation, read before it is opened. */
  readonly markers?: readonly Marker[]
  readonly clock: Pick<Clock, 'now'>
  readonly random: Random
}

/**
 * A migration of many rows takes minutes, and whoever opens the database meanwhile waits for it: behind our lock, or behind
 * that of a table. The server answered a moment before, and keep-alive notices one that is gone.
 */
const OPENING_MOST_MS = 3_600_000
/** The oldest that its makers still mend, and the oldest that has all we ask for. */
export const SERVER_LEAST = 150_000
/**
 * Asked for in each transaction, because a role, a database or a pooler can have set other ways: `remote_apply` is the one
 * that is stricter, and stays.
 */
const DURABLE = `SELECT set_config('synchronous_commit',
  CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)`
/** A process that is frozen inside a transaction must not keep others from a row. */
const BEGIN = `BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE; SET LOCAL idle_in_transaction_session_timeout = 2000; ${DURABLE}`

/**
 * Looks at a database without writing anything.
 *
 * @returns null where nobody has used our schema yet, or there is none
 * @throws TokenError `newer_database`, `database_unusable`, `store_unavailable`
 */
export async function inspectPostgres({
  address,
  random,
}: Pick<PostgresOptions, 'address' | 'random'>): Promise<PostgresIdentity | null> {
  const pool = createPostgresPool({ ...address, random, sessionsMost: 1 })
  try {
    return await pool.run(async (session) => {
      await assertUsable(session, address.name)
      return postgresIdentityOf(patient(session), address)
    })
  } catch (error) {
    throw notPermitted(error) ? lacksPermission(address.name) : error
  } finally {
    await pool.close()
  }
}

/**
 * Opens the database, and makes our tables where they are missing.
 *
 * @throws TokenError `newer_database`, `key_wrong`, `database_unusable`: nothing was written; `store_unavailable`
 */
export async function openPostgresDatabase({
  address,
  keys,
  markers = [],
  clock,
  random,
}: PostgresOptions): Promise<PostgresDatabase> {
  const { name, schema } = address
  const pool = createPostgresPool({ ...address, random })
  try {
    const { placeNow, identity } = await pool.run(async (session) => {
      await assertUsable(session, name)
      const here = await placeOf(session, schema)
      return { placeNow: here, identity: await begin(session, { address, keys, markers, clock, random, place: here }) }
    })
    const { installation, place, epoch, branch, hold } = identity
    return {
      name,
      schema,
      installation,
      place,
      epoch,
      branch,
      hold,
      placeNow,
      pool,
      // Asked each time: it changes.
      get session() {
        return pool.life
      },
      ...accessTo(pool),
    }
  } catch (error) {
    await pool.close()
    throw error
  }
}

type Access = Pick<PostgresDatabase, 'read' | 'write' | 'transaction' | 'close'>

function accessTo(pool: PostgresPool): Access {
  const asked = (session: PostgresSession, { text, name }: Statement, values: readonly PostgresCell[]) =>
    // What a session keeps is another one's behind a pooler.
    session.ask(text, values, pool.pooled ? undefined : name)

  return {
    async read(statement, values = []) {
      const once = () => pool.run((session) => asked(session, statement, values))
      const { records } = await once().catch((error: unknown) => {
        // A session that nobody used for a while may have ended without a word. Reading again changes nothing.
        if (isSilence(error)) return once()
        throw error
      })
      return records
    },

    write: (statement, values = []) =>
      pool.run(async (session) => {
        const [, done] = await inTurn([session.ask(BEGIN), asked(session, statement, values), committed(session)])
        return done?.records ?? []
      }),

    transaction: (job) =>
      pool.run(async (session) => {
        const begun = session.ask(BEGIN)
        try {
          const [result] = await Promise.all([
            job(async (statement, values = []) => (await asked(session, statement, values)).records),
            begun,
          ])
          await committed(session)
          return result
        } catch (error) {
          // Where not even that works, the session is closed, which undoes it as well.
          await session.ask('ROLLBACK').catch(() => undefined)
          throw error
        }
      }),

    close: () => pool.close(),
  }
}

/** All were sent already. The first failure is the one that tells why. */
async function inTurn<Result>(asked: readonly Promise<Result>[]): Promise<readonly Result[]> {
  const settled = await Promise.allSettled(asked)
  return settled.map((each) => {
    if (each.status === 'rejected') throw each.reason
    return each.value
  })
}

async function committed(session: Asking): Promise<Answered> {
  const answered = await session.ask('COMMIT')
  // A transaction in which something failed answers a COMMIT by undoing itself.
  if (answered.command !== 'COMMIT') throw new Error('a transaction was undone, and nothing had failed in it')
  return answered
}

async function assertUsable(session: PostgresSession, name: string): Promise<void> {
  const { records } = await session.ask(
    `SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding`,
  )
  const [record = {}] = records
  if (integer(record, 'version') < SERVER_LEAST) {
    throw unusable(name, `it is older than Postgres ${SERVER_LEAST / 10_000}`)
  }
  if (text(record, 'encoding') !== 'UTF8') throw unusable(name, 'its encoding is not UTF8: make a database that has it')
}

const unusable = (name: string, why: string): TokenError =>
  new TokenError('database_unusable', `the database ${name} cannot be used: ${why}. Nothing was changed.`)

/** Which server this is, by the name that it was given when its data folder was made; a copy of that folder has it, too. */
async function placeOf(session: PostgresSession, schema: string): Promise<string> {
  const database = `SELECT oid::text AS oid FROM pg_database WHERE datname = current_database()`
  const { records } = await session.ask(database)
  const system = await session
    .ask('SELECT system_identifier::text AS system FROM pg_control_system()')
    .then((answered) => text(answered.records[0] ?? {}, 'system'))
    .catch((error: unknown) => {
      if (notPermitted(error)) return 'unknown'
      throw error
    })
  return `postgres:${system}:${text(records[0] ?? {}, 'oid')}:${schema}`
}

type Asking = Pick<PostgresSession, 'ask'>

/** @see OPENING_MOST_MS */
const patient = (session: PostgresSession): Asking => ({
  ask: (asked, values, statementName) => session.ask(asked, values, statementName, OPENING_MOST_MS),
})

type Beginning = PostgresOptions & { readonly place: string }

/** Everything that opening writes, in one transaction: of two first starters one makes the tables. */
async function begin(opened: PostgresSession, options: Beginning): Promise<PostgresIdentity> {
  const { address, keys, markers = [], clock, random, place } = options
  const { schema, name } = address
  const session = patient(opened)
  await session.ask(BEGIN)
  try {
    await session.ask('SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0')
    await session.ask('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`tokenkeep open ${schema}`])
    const before = await postgresIdentityOf(session, address)
    if (before !== null) assertOwnKeys(keys, before.keyCheck, name)
    await migrate(session, schema, before?.version ?? 0)
    const { value, sealedWith } = checkOf(keys)
    const installation = tableIn(schema)('installation')
    if (before === null) {
      await session.ask(
        `INSERT INTO ${installation} (only_row, version, installation, key_check, sealed_with, place, epoch, created_at)
         VALUES (1, ${VERSION}, $1, $2, $3, $4, 0, ${CLOCK}::bigint)`,
        [random.uuid(), value, sealedWith, place],
      )
    }
    await session.ask(`UPDATE ${installation} SET sealed_with = $1, version = ${VERSION}`, [sealedWith])
    const identity = await postgresIdentityOf(session, address)
    if (identity === null) throw new Error('a database that was just made has no identity')
    const around = { placeNow: place, markers, now: clock.now().wall, branch: random.uuid() }
    const life = goesOn(identity, around)
    const writing = writingOf(schema, life)
    await session.ask(writing.statement.text, writing.values)
    await committed(session)
    return { ...identity, ...life }
  } catch (error) {
    await session.ask('ROLLBACK').catch(() => undefined)
    throw notPermitted(error) ? lacksPermission(name) : error
  }
}

async function migrate(session: Asking, schema: string, version: number): Promise<void> {
  const missing = MIGRATIONS.slice(version)
  if (missing.length === 0) return
  const { records } = await session.ask('SELECT 1 AS found FROM pg_namespace WHERE nspname = $1', [schema])
  // Whoever may use a schema that was made for us need not be able to make one.
  if (records.length === 0) await session.ask(`CREATE SCHEMA "${schema}"`)
  await session.ask(`SET LOCAL search_path = "${schema}"`)
  for (const migration of missing) await session.ask(migration)
}

/** What a database says of itself; null: nobody has used our schema yet. */
export async function postgresIdentityOf(
  session: Asking,
  { schema, name }: PostgresAddress,
): Promise<PostgresIdentity | null> {
  const { records: tables } = await session.ask(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`,
    [schema],
  )
  if (tables.length === 0) return null
  const names = tables.map((table) => text(table, 'name'))
  if (!['installation', 'connection', 'presentation'].every((each) => names.includes(each))) {
    throw unusable(name, `its schema "${schema}" holds tables of another program; name another one by ?schema=...`)
  }
  const { records } = await session.ask(
    // An older version has no columns for the last two yet.
    `SELECT version, installation, key_check, sealed_with, place, epoch,
       to_jsonb(i) ->> 'branch' AS branch, to_jsonb(i) ->> 'hold' AS hold FROM ${tableIn(schema)('installation')} i`,
  )
  const [row] = records
  const version = row === undefined ? 0 : integer(row, 'version')
  if (version > VERSION) {
    throw new TokenError(
      'newer_database',
      `the database ${name} was written by a newer Tokenkeep: it has version ${version}, this program knows versions ` +
        `up to ${VERSION}. Nothing was changed. Use the newer program.`,
    )
  }
  return { version, ...identityIn(row, (why) => unusable(name, why)) }
}

/** One constant for the boot: the clock of a database goes on when it is started again. */
export function momentOf(record: CellRecord): Moment {
  const at = record['store_now']
  if (typeof at !== 'number') throw new Error('the database did not say its time')
  return { boot: 'postgres', at: at as MonoMs, wall: Math.floor(at) as UnixMs }
}
