/**
 * Who lives on other hosts, as far as that can be seen: each process holds an advisory lock in its standing session, which
 * the server frees when that session ends (`PROTOCOL.md` section 7, "Silent").
 *
 * Locks of others are looked for in `pg_locks` and never tried: whoever tried one would hold it for a moment, and look alive.
 *
 * @see https://www.postgresql.org/docs/current/view-pg-locks.html
 */
import { createHash } from 'node:crypto'
import { LOCK_MISSING_MS, since, type Clock, type LockMissing, type MonoMs, type OwnerId } from '@tokenkeep/core'
import { integer, integerOrNull, text } from './cells.ts'
import type { PostgresDatabase } from './postgres-database.ts'
import { PostgresTrouble, isSessionEnd } from './postgres-failures.ts'
import type { SessionBound } from './postgres-standing-session.ts'
import { statement, tableIn } from './postgres-statement.ts'

export interface OwnerLocks extends SessionBound {
  /** Whether ours is held, and another session has seen it. */
  isShown(): boolean
  judge(owner: OwnerId): Promise<LockMissing | 'alive' | 'unknown'>
  /** The owners of open attempts whose locks are not to be seen. */
  unseen(): Promise<readonly OwnerId[]>
}

export interface OwnerLocksOptions {
  readonly database: Pick<PostgresDatabase, 'installation' | 'schema' | 'read'>
  readonly owner: OwnerId
  readonly clock: Pick<Clock, 'now'>
}

/** A waiter probes each owner four times a second, and `pg_locks` stops the lock manager of the server for a moment. */
const LOOK_EVERY_MS = 500
/** After a restart nobody has a lock; whoever lives takes it again within this time. */
const UP_LEAST_MS = 5_000
/** Whom nobody asks for any more is forgotten. */
const REMEMBER_MS = 600_000

const TAKE = 'SELECT pg_try_advisory_lock($1, $2) AS taken'
/** One record at least. An object id has no sign. */
const LOOK = statement(`SELECT s.up, l.objid::bigint AS owner, l.pid
  FROM (SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::bigint * 1000 AS up) s
  LEFT JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid::bigint = ?
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`)

interface Look {
  /** The session that holds it, by the owner's number. */
  readonly locks: ReadonlyMap<number, number>
  readonly upMs: number
}

export function postgresOwnerLocks({ database, owner, clock }: OwnerLocksOptions): OwnerLocks {
  const ours = numberOf(`tokenkeep ${database.installation}`)
  const open = statement(
    `SELECT DISTINCT attempt_owner AS owner FROM ${tableIn(database.schema)('connection')} WHERE attempt_owner IS NOT NULL`,
  )
  /** Since when each is missed. */
  const missing = new Map<OwnerId, MonoMs>()
  let shown = false
  let look: { readonly at: MonoMs; readonly seen: Promise<Look> } | null = null

  async function lookNow(): Promise<Look> {
    const records = await database.read(LOOK, [ours])
    const locks = new Map<number, number>()
    for (const record of records) {
      const held = integerOrNull(record, 'owner')
      if (held !== null) locks.set(held, integer(record, 'pid'))
    }
    return { locks, upMs: integer(records[0] ?? {}, 'up') }
  }

  /** Null: the database cannot be asked now, which says nothing about anybody. */
  function lately(): Promise<Look | null> {
    const at = clock.now().mono
    if (look === null || since(look.at, at) >= LOOK_EVERY_MS) look = { at, seen: lookNow() }
    return look.seen.catch(() => null)
  }

  function isMissing(other: OwnerId): boolean {
    const now = clock.now().mono
    for (const [each, from] of missing) if (since(from, now) >= REMEMBER_MS) missing.delete(each)
    const from = missing.get(other)
    if (from === undefined) missing.set(other, now)
    return from !== undefined && since(from, now) >= LOCK_MISSING_MS
  }

  return {
    async begin(session) {
      try {
        const { records } = await session.ask(TAKE, [signed(ours), signed(numberOf(owner))])
        const [taken] = records
        // By another session than the one that holds it: behind something that hands sessions around it would be that one.
        const { locks } = taken?.['taken'] === true ? await lookNow() : { locks: new Map<number, number>() }
        shown = session.processId !== null && locks.get(numberOf(owner)) === session.processId
      } catch (error) {
        // What speaks Postgres's protocol need not have its locks; a session that broke is opened again.
        if (!(error instanceof PostgresTrouble) || isSessionEnd(error)) throw error
        shown = false
      }
    },
    end: () => void (shown = false),
    isShown: () => shown,
    async judge(other) {
      const seen = shown ? await lately() : null
      if (seen !== null && seen.upMs >= UP_LEAST_MS && !seen.locks.has(numberOf(other))) {
        return isMissing(other) ? { kind: 'lock_missing', owner: other } : 'unknown'
      }
      missing.delete(other)
      return seen?.locks.has(numberOf(other)) === true ? 'alive' : 'unknown'
    },
    async unseen() {
      const seen = shown ? await lately() : null
      if (seen === null) return []
      const records = await database.read(open).catch(() => [])
      return records
        .map((record) => text(record, 'owner') as OwnerId)
        .filter((other) => other !== owner && !seen.locks.has(numberOf(other)))
    },
  }
}

/** Advisory locks are named by two numbers of 32 bits. Two owners of one number hide each other's end, and nothing else. */
const numberOf = (name: string): number => createHash('sha256').update(name).digest().readUInt32BE()
const signed = (number: number): number => number | 0
