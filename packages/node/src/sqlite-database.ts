/**
 * Opens the database file: recognises it, refuses what is not ours, newer, or sealed with other keys, and only then
 * writes: migrations, the installation's name and key check, the next epoch.
 */
import { closeSync, openSync, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import {
  TokenError,
  goesOn,
  ms,
  type Clock,
  type DurationMs,
  type Incarnation,
  type Marker,
  type Moment,
  type MonoMs,
  type Random,
} from '@tokenkeep/core'
import { assertOwnKeys, checkOf, type KeyCheck, type Keyring } from './keyring.ts'
import { sqliteBoots } from './sqlite-boots.ts'
import { atOpening, isBusy, whileInUse } from './sqlite-failures.ts'
import { groupCommit, type GroupCommit } from './sqlite-group-commit.ts'
import { identityIn } from './incarnation-codec.ts'
import { writeIncarnation } from './sqlite-incarnation.ts'
import { placeOf } from './sqlite-place.ts'
import { APPLICATION_ID, MIGRATIONS, VERSION, VERSION_WITH_HOLD } from './sqlite-schema.ts'
import { inWords, systemErrorCode } from './system-error.ts'

/** What a database says of itself. */
export interface SqliteIdentity extends Incarnation {
  readonly version: number
  readonly keyCheck: KeyCheck
}

/** Its incarnation is that of the moment when it was opened. */
export interface SqliteDatabase extends Incarnation {
  readonly path: string
  /** Which file it is now; another one than `place` means that this is a copy. Null: the file system cannot say. */
  readonly placeNow: string | null
  /** One for each open. */
  readonly session: string
  /** For the files that hold its statements. */
  readonly sql: DatabaseSync
  readonly write: GroupCommit['write']
  /** One query outside of any transaction. */
  read<Result>(query: () => Result): Promise<Result>
  committed(): number
  close(): Promise<void>
}

export interface SqliteOptions {
  readonly path: string
  /** The keyring: its check is kept at first open, and must be the same ever after. */
  readonly keys: Keyring
  /** What {@link inspectSqlite} just said of it; null or absent: it is looked at again. */
  readonly seen?: SqliteIdentity | null
  /** What was remembered outside about this installation, read before it is opened. */
  readonly markers?: readonly Marker[]
  readonly clock: Pick<Clock, 'now' | 'alarm'>
  readonly random: Random
  /** Store time, which names the boot. */
  readonly bootNow: () => Moment
  /** So long after its last write another machine counts as alive. */
  readonly leaseMs: DurationMs
}

// A blocked event loop refreshes nothing. Whoever has to wait for longer waits without it.
const BUSY_TIMEOUT_MS = 20
const BUSY_MOST_MS = 5_000
const BUSY_PAUSE_MS = 25
const PAGE_BYTES = 8192
/** Reads look whether the file is still there no more often; what writes looks each time. */
const LOOK_EVERY_MS = 500

/**
 * Looks at a database without writing anything.
 *
 * @returns null where nobody has used the file yet, or there is none
 * @throws TokenError `newer_database`, `folder_unusable`, `store_unavailable`
 */
export async function inspectSqlite({
  path,
  clock,
  random,
}: Pick<SqliteOptions, 'path' | 'clock' | 'random'>): Promise<SqliteIdentity | null> {
  if (!fileExists(path)) return null
  return patiently(
    { clock, random },
    (error) => atOpening(error, path),
    () => {
      const sql = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS })
      try {
        return identityOf(sql, path)
      } finally {
        sql.close()
      }
    },
  )
}

/**
 * Opens or makes the database.
 *
 * @throws TokenError `newer_database`, `key_wrong`, `folder_unusable`: nothing was written; `store_unavailable`, also where
 *   another machine uses it
 */
export async function openSqliteDatabase(options: SqliteOptions): Promise<SqliteDatabase> {
  const { path, keys, clock, random } = options
  const seen = options.seen ?? (await inspectSqlite(options))
  if (seen !== null) assertOwnKeys(keys, seen.keyCheck, path)
  createForOwnerAlone(path)

  const opening = (error: unknown): unknown => atOpening(error, path)
  const sql = await patiently(options, opening, () => connect(path))
  try {
    const placeNow = await placeOf(path)
    const { installation, place, epoch, branch, hold } = await patiently(options, opening, () =>
      begin(sql, { ...options, placeNow }),
    )
    const assertInPlace = watchOver(path)
    const assertAlone = sqliteBoots({ ...options, sql })
    const commits = groupCommit({ sql, path, clock, random, before: assertInPlace, first: assertAlone })
    let open = true
    let lookedAt = clock.now().mono
    return {
      path,
      installation,
      place,
      epoch,
      branch,
      hold,
      placeNow,
      session: random.uuid(),
      sql,
      write: commits.write,
      read: (query) =>
        patiently(
          options,
          (error) => whileInUse(error, path),
          () => {
            if (!open) throw new TokenError('closed', `the database ${path} is closed`)
            const { mono } = clock.now()
            if (mono - lookedAt >= LOOK_EVERY_MS) {
              assertInPlace()
              lookedAt = mono
            }
            return query()
          },
        ),
      committed: commits.committed,
      close: async () => {
        await commits.close()
        if (!open) return
        open = false
        closeQuietly(sql)
      },
    }
  } catch (error) {
    sql.close()
    throw error
  }
}

function fileExists(path: string): boolean {
  try {
    if (statSync(path).isFile()) return true
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false
    throw new TokenError('folder_unusable', `cannot open the database ${path}: ${inWords(error)}`)
  }
  throw new TokenError('folder_unusable', `cannot open the database ${path}: it is a folder or a device, not a file`)
}

function createForOwnerAlone(path: string): void {
  try {
    // An existing file is not opened here: closing it again would free the locks of this process.
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return
    throw new TokenError('folder_unusable', `cannot make the database ${path}: ${inWords(error)}`)
  }
}

/**
 * Whether the file at its path is still the one that was opened. Moved, deleted or replaced by a copy, it would go on
 * taking what nobody else sees, and what comes after would present refresh tokens that are spent.
 */
function watchOver(path: string): () => void {
  const identity = (): string | null => {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false })
    return found === undefined ? null : `${found.dev}:${found.ino}`
  }
  const opened = identity()
  return () => {
    if (identity() === opened) return
    throw new TokenError(
      'store_unavailable',
      `the database ${path} was moved, deleted or replaced while it is open, so nothing is written or sent any more. ` +
        'Put that very file back, not a copy of it; a copy is for after every process that uses it has ended.',
    )
  }
}

function connect(path: string): DatabaseSync {
  const sql = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: true })
  try {
    sql.exec(`PRAGMA page_size = ${PAGE_BYTES}`)
    const mode = sql.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode']
    if (mode !== 'wal') {
      throw new TokenError('folder_unusable', `the file system of ${path} does not support SQLite's write-ahead log`)
    }
    sql.exec(`
      PRAGMA synchronous = FULL;
      PRAGMA fullfsync = ON;
      PRAGMA checkpoint_fullfsync = ON;
      PRAGMA temp_store = MEMORY;
      PRAGMA secure_delete = ON;
      PRAGMA trusted_schema = OFF;
    `)
    return sql
  } catch (error) {
    sql.close()
    throw error
  }
}

/** Everything that opening writes, in one transaction: of two first starters one makes the database. */
function begin(
  sql: DatabaseSync,
  {
    path,
    keys,
    random,
    clock,
    placeNow,
    markers = [],
    bootNow,
    leaseMs,
  }: SqliteOptions & { readonly placeNow: string | null },
): SqliteIdentity {
  sql.exec('BEGIN IMMEDIATE')
  try {
    const before = identityOf(sql, path)
    if (before !== null) assertOwnKeys(keys, before.keyCheck, path)
    for (const migration of MIGRATIONS.slice(before?.version ?? 0)) sql.exec(migration)
    sql.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${VERSION}`)
    const { value, sealedWith } = checkOf(keys)
    if (before === null) {
      sql
        .prepare(
          `INSERT INTO installation (only_row, installation, key_check, sealed_with, place, epoch, created_at)
           VALUES (1, ?, ?, ?, ?, 0, ?)`,
        )
        .run(random.uuid(), value, sealedWith, placeNow, clock.now().wall)
    }
    sqliteBoots({ sql, path, bootNow, leaseMs })()
    sql.prepare('UPDATE installation SET sealed_with = ?').run(sealedWith)
    const identity = identityOf(sql, path)
    if (identity === null) throw new Error('a database that was just made has no identity')
    const around = { placeNow, markers, now: clock.now().wall, branch: random.uuid() }
    const life = goesOn(identity, around)
    writeIncarnation(sql, life)
    sql.exec('COMMIT')
    return { ...identity, ...life }
  } catch (error) {
    if (sql.isTransaction) sql.exec('ROLLBACK')
    throw error
  }
}

function identityOf(sql: DatabaseSync, path: string): SqliteIdentity | null {
  const header = (pragma: string): unknown => sql.prepare(`PRAGMA ${pragma}`).get()?.[pragma]
  const application = header('application_id')
  const version = Number(header('user_version'))
  if (application !== APPLICATION_ID) {
    const tables = Number(sql.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.['tables'])
    if (application === 0 && version === 0 && tables === 0) return null
    throw new TokenError('folder_unusable', `${path} is the database of another program; nothing was changed`)
  }
  if (version > VERSION) {
    throw new TokenError(
      'newer_database',
      `${path} was written by a newer Tokenkeep: it has version ${version}, this program knows versions up to ` +
        `${VERSION}. Nothing was changed. Use the newer program.`,
    )
  }
  // Of an older version, whose column for it is still missing.
  const columns =
    version < VERSION_WITH_HOLD ? 'place, epoch, NULL AS branch, NULL AS hold' : 'place, epoch, branch, hold'
  const row = sql.prepare(`SELECT installation, key_check, sealed_with, ${columns} FROM installation`).get()
  const unusable = (why: string): TokenError =>
    new TokenError('folder_unusable', `the database ${path} cannot be used: ${why}. Nothing was changed.`)
  return { version, ...identityIn(row, unusable) }
}

/** Tries again, with the event loop running, as long as somebody else holds the lock. */
async function patiently<Result>(
  { clock, random }: Pick<SqliteOptions, 'clock' | 'random'>,
  inOurWords: (error: unknown) => unknown,
  action: () => Result,
): Promise<Result> {
  const until = clock.now().mono + BUSY_MOST_MS
  for (;;) {
    try {
      return action()
    } catch (error) {
      if (!isBusy(error) || clock.now().mono >= (until as MonoMs)) throw inOurWords(error)
    }
    await clock.alarm(ms(1 + random.fraction() * BUSY_PAUSE_MS)).rung
  }
}

function closeQuietly(sql: DatabaseSync): void {
  try {
    // Leaves one file behind where nobody else has it open.
    sql.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  } catch {
    // Everything is durable in the log already; whoever opens it next reads it there.
  }
  sql.close()
}
