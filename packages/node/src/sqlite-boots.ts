/**
 * One machine at a time: SQLite keeps the processes of one kernel apart, and nobody keeps two kernels apart that write to
 * one file. Whoever writes leaves a mark with the boot of its host; a mark of another boot that can only have been made
 * while this one was running is another machine at work (`PROTOCOL.md` section 7).
 */
import type { DatabaseSync } from 'node:sqlite'
import { areTwoBoots, TokenError, type DurationMs, type Moment } from '@tokenkeep/core'

export interface SqliteBootsOptions {
  readonly sql: DatabaseSync
  /** For messages. */
  readonly path: string
  /** Store time, which names the boot. */
  readonly bootNow: () => Moment
  /** So long after its last mark another machine counts as alive. */
  readonly leaseMs: DurationMs
}

// The mark costs a page in a transaction that is written anyway.
const MARKS_A_LEASE = 30

/**
 * @returns to be called inside each transaction that writes, before anything else: leaves the mark
 * @throws TokenError `store_unavailable` where another machine has written within a lease
 */
export function sqliteBoots({ sql, path, bootNow, leaseMs }: SqliteBootsOptions): () => void {
  const look = sql.prepare('SELECT boot, boot_seen_at FROM installation')
  const mark = sql.prepare('UPDATE installation SET boot = ?, boot_seen_at = ?')
  return () => {
    const now = bootNow()
    const seen = look.get()
    const boot = seen?.['boot'] ?? null
    const seenAt = Number(seen?.['boot_seen_at'] ?? 0)
    if (boot === now.boot) {
      const agoMs = now.wall - seenAt
      if (agoMs < 0 || agoMs >= leaseMs / MARKS_A_LEASE) mark.run(now.boot, Math.round(now.wall))
      return
    }
    if (typeof boot === 'string' && areTwoBoots(boot, now.boot) && isAlive(seenAt, now, leaseMs)) {
      throw new TokenError(
        'store_unavailable',
        `the database ${path} is in use on another machine, or was until ${Math.round(Math.abs(now.wall - seenAt) / 1000)} s ago. ` +
          'SQLite cannot keep two machines apart, so nothing is written or sent here. ' +
          `End every process there and wait ${leaseMs / 1000} s, or keep the tokens in Postgres.`,
      )
    }
    mark.run(now.boot, Math.round(now.wall))
  }
}

/** A mark from before this boot began is that of an earlier boot, perhaps of this very machine: it is over. */
const isAlive = (seenAt: number, now: Moment, leaseMs: DurationMs): boolean =>
  seenAt > now.wall - now.at && Math.abs(now.wall - seenAt) < leaseMs
