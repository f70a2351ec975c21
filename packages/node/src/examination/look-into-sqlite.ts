/** A SQLite database, opened read-only: what it says of itself. Nothing is migrated, and no process of ours is announced. */
import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { areTwoBoots, type Clock, type Marker, type Moment, type Random } from '@tokenkeep/core'
import { atOpening, isBusy } from '../sqlite-failures.ts'
import { inspectSqlite, type SqliteIdentity } from '../sqlite-database.ts'
import { placeSeen } from '../sqlite-place.ts'
import { sqliteRegistry, sqliteTerms } from '../sqlite-registry.ts'
import { VERSION, VERSION_WITH_BOOT } from '../sqlite-schema.ts'
import type { Keyring } from '../keyring.ts'
import { holdAhead, keysAgainst, refuseWriting, sealedWithOther, type Reading } from './reading.ts'
import type { SqliteSeen } from './seen.ts'

export interface SqliteLook {
  readonly path: string
  readonly ring: Keyring | null
  /** Of an installation, read before the database is: they are never ahead of it. */
  readonly markers: (installation: string) => readonly Marker[]
  readonly clock: Pick<Clock, 'now' | 'alarm'>
  readonly random: Random
  readonly bootNow: () => Moment
  /** So long after its last write another machine counts as alive, milliseconds. */
  readonly leaseMs: number
}

const BUSY_MS = 1_000

/**
 * @returns null where there is no database
 * @throws TokenError as opening does
 */
export async function lookIntoSqlite(look: SqliteLook): Promise<Reading | null> {
  const { path, ring, clock, random } = look
  const first = await inspectSqlite({ path, clock, random })
  if (first === null) return null
  const markers = look.markers(first.installation)
  const seen = (await inspectSqlite({ path, clock, random })) ?? first
  const sql = opened(path)
  const read = <Result>(query: () => Result): Promise<Result> =>
    Promise.resolve().then(() => {
      try {
        return query()
      } catch (error) {
        throw isBusy(error) ? atOpening(error, path) : error
      }
    })
  return {
    seen: {
      name: path,
      version: seen.version,
      newest: VERSION,
      keys: keysAgainst(ring, seen.keyCheck, path),
      sealedWithOther: sealedWithOther(ring, seen.keyCheck),
      hold: seen.hold?.because ?? null,
      holdAhead: holdAhead(seen, { placeNow: placeSeen(path), markers, now: clock.now().wall }),
      sqlite: fileSeen(sql, seen, look),
      postgres: null,
    },
    installation: seen.installation,
    rows: sqliteRegistry({ sql, read, write: refuseWriting }, sqliteTerms(sql)),
    table: (name) => name,
    all: (text, values) => read(() => sql.prepare(text).all(...values)),
    close: async () => sql.close(),
  }
}

function opened(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { readOnly: true, timeout: BUSY_MS })
  } catch (error) {
    throw atOpening(error, path)
  }
}

function fileSeen(sql: DatabaseSync, { version }: SqliteIdentity, { path, bootNow, leaseMs }: SqliteLook): SqliteSeen {
  const { size, mode } = statSync(path)
  const file = {
    bytes: size,
    walBytes: statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0,
    mode: mode & 0o777,
  }
  if (version < VERSION_WITH_BOOT) return { ...file, otherMachineSecondsAgo: null, aheadMs: 0 }
  const row = sql.prepare('SELECT boot, boot_seen_at AS at FROM installation').get()
  const [boot, at] = [row?.['boot'], Number(row?.['at'] ?? 0)]
  const now = bootNow()
  const agoMs = now.wall - at
  // A mark from before this boot is that of an earlier one, perhaps of this very machine.
  const other =
    typeof boot === 'string' && areTwoBoots(boot, now.boot) && at > now.wall - now.at && Math.abs(agoMs) < leaseMs
  return {
    ...file,
    otherMachineSecondsAgo: other ? Math.round(Math.abs(agoMs) / 1000) : null,
    aheadMs: Math.max(0, -agoMs),
  }
}
