import { AsyncLocalStorage } from 'node:async_hooks'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'

const VERSION = 1

const SCHEMA = `
  CREATE TABLE realm (name TEXT PRIMARY KEY, settings TEXT NOT NULL, keys TEXT NOT NULL) STRICT;
  CREATE TABLE client (
    realm TEXT NOT NULL, client_id TEXT NOT NULL, options TEXT NOT NULL,
    PRIMARY KEY (realm, client_id)
  ) STRICT;
  CREATE TABLE session (
    realm TEXT NOT NULL, id TEXT NOT NULL, client_id TEXT NOT NULL, subject TEXT NOT NULL, scope TEXT NOT NULL,
    created_ms INTEGER NOT NULL, access_seconds INTEGER, refresh_seconds INTEGER,
    arrivals INTEGER NOT NULL DEFAULT 0, presentations INTEGER NOT NULL DEFAULT 0, refreshes INTEGER NOT NULL DEFAULT 0,
    answered_again INTEGER NOT NULL DEFAULT 0, second_presentations INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0, killed_ms INTEGER, killed_because TEXT,
    last_presented_ms INTEGER, last_outcome TEXT,
    PRIMARY KEY (realm, id)
  ) STRICT;
  CREATE TABLE refresh_token (
    realm TEXT NOT NULL, name TEXT NOT NULL, session_id TEXT NOT NULL, client_id TEXT NOT NULL, parent TEXT,
    expires_ms INTEGER NOT NULL, uses INTEGER NOT NULL DEFAULT 0, first_used_ms INTEGER, stale INTEGER NOT NULL DEFAULT 0,
    answer BLOB,
    PRIMARY KEY (realm, name)
  ) STRICT;
  CREATE INDEX refresh_token_parent ON refresh_token (realm, parent);
  CREATE TABLE artifact (
    realm TEXT NOT NULL, model TEXT NOT NULL, name TEXT NOT NULL, grant_id TEXT, uid TEXT, payload TEXT NOT NULL,
    expires_ms INTEGER, revoked_ms INTEGER,
    PRIMARY KEY (realm, model, name)
  ) STRICT;
  CREATE INDEX artifact_grant ON artifact (realm, grant_id);
  CREATE INDEX artifact_uid ON artifact (realm, model, uid);
  CREATE TABLE tally (name TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT;
`

const DAY_MS = 86_400_000

/** The state file cannot be used; the message says why and what to do. */
export class StateUnusable extends Error {
  override readonly name = 'StateUnusable'
}

export type Row = Readonly<Record<string, unknown>>

/** Writes that belong together: all of them are durable, or none is. */
export interface Unit {
  /** Forgets everything written in this unit so far and until its end. */
  discard(): void
}

interface PendingUnit {
  readonly writes: (() => void)[]
  discarded: boolean
}

/**
 * The devserver's whole memory: one SQLite file.
 *
 * The engine writes a rotation in several asynchronous steps (consume, save, save). {@link State.together} holds such
 * writes back and makes them durable in one transaction, so that a crash never leaves a consumed refresh token without
 * its successor. Reads inside a unit see what was committed before it.
 */
export class State {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  readonly #units = new AsyncLocalStorage<PendingUnit>()

  /** @param file path of the state file; null keeps everything in memory */
  constructor(file: string | null) {
    this.#database = open(file)
  }

  row(sql: string, ...values: SQLInputValue[]): Row | null {
    return this.#prepared(sql).get(...values) ?? null
  }

  rows(sql: string, ...values: SQLInputValue[]): readonly Row[] {
    return this.#prepared(sql).all(...values)
  }

  /** Writes now, durably; inside a unit, with the unit. */
  write(sql: string, ...values: SQLInputValue[]): void {
    const unit = this.#units.getStore()
    const run = () => void this.#prepared(sql).run(...values)
    if (unit) unit.writes.push(run)
    else run()
  }

  /** Runs `work`; when it has ended well, everything it wrote is committed in one transaction before this resolves. */
  async together<T>(work: (unit: Unit) => Promise<T>): Promise<T> {
    const pending: PendingUnit = { writes: [], discarded: false }
    const result = await this.#units.run(pending, () => work({ discard: () => void (pending.discarded = true) }))
    if (!pending.discarded) this.#commit(pending.writes)
    return result
  }

  close(): void {
    this.#database.close()
  }

  #commit(writes: readonly (() => void)[]): void {
    if (writes.length === 0) return
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      for (const write of writes) write()
      this.#database.exec('COMMIT')
    } catch (error) {
      this.#database.exec('ROLLBACK')
      throw error
    }
  }

  #prepared(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known) return known
    const statement = this.#database.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }
}

function open(file: string | null): DatabaseSync {
  if (file === null) return prepare(new DatabaseSync(':memory:'), 'memory')
  let database: DatabaseSync | null = null
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    closeSync(openSync(file, 'a', 0o600)) // SQLite would create it readable by everyone.
    database = new DatabaseSync(file, { timeout: 500 })
    // One devserver per file: two would each believe they decide alone which presentation came first.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;')
    return prepare(database, file)
  } catch (error) {
    database?.close()
    if (error instanceof StateUnusable) throw error
    throw new StateUnusable(explain(file, error))
  }
}

function prepare(database: DatabaseSync, place: string): DatabaseSync {
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
  if (version > VERSION) {
    throw new StateUnusable(
      `state file ${place} was written by a newer devserver (version ${version}, this one knows ${VERSION}): update, or name another file`,
    )
  }
  if (version === 0) database.exec(`BEGIN IMMEDIATE; ${SCHEMA} PRAGMA user_version = ${VERSION}; COMMIT;`)
  else database.exec('BEGIN IMMEDIATE; COMMIT;') // Takes the exclusive lock now, not at the first request.
  forgetTheLongDead(database, Date.now())
  return database
}

// A consumed refresh token must be recognised when it comes back, but not for ever: a week is longer than any test runs.
function forgetTheLongDead(database: DatabaseSync, nowMs: number): void {
  database.prepare('DELETE FROM artifact WHERE expires_ms < ?').run(nowMs - DAY_MS)
  database.prepare('DELETE FROM artifact WHERE revoked_ms < ?').run(nowMs - DAY_MS)
  database
    .prepare('DELETE FROM refresh_token WHERE expires_ms < ? OR first_used_ms < ?')
    .run(nowMs - 7 * DAY_MS, nowMs - 7 * DAY_MS)
}

function explain(file: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  if (/locked|busy/.test(message)) {
    return `state file ${file} is in use by another devserver: stop it, or name another file`
  }
  if (/not a database|malformed|disk image/.test(message)) {
    return `state file ${file} is not a devserver's state (${message}): name another file, or delete it to start anew`
  }
  return `state file ${file} cannot be opened (${message}): check that its folder exists and is writable`
}
