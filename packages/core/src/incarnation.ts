/**
 * Which life of which database this is, and whether it may present (`PROTOCOL.md` section 9, "Incarnation"). Pure.
 *
 * A copy or a restored backup holds refresh tokens that the original may have spent since. It is told from the original
 * by its place, and by an epoch that both the database and a marker outside of it remember.
 */
import type { ConnectionRow, InDoubt } from './connection.ts'
import type { OwnerId } from './ids.ts'
import { promoted } from './commit.ts'
import { written } from './lease.ts'
import type { Terms } from './policy.ts'
import type { Moment, MonoMs, UnixMs } from './time.ts'

/**
 * Why nothing is presented.
 *
 * - `another_place`: the file, or the database of the server, is not the one that it says it is: a copy.
 * - `older_epoch`: a marker outside has seen a later epoch: an earlier state was put back.
 * - `another_branch`: the same epoch under another name: two databases went on from one state.
 * - `backup`: it was made by our own backup.
 */
export type HoldReason = 'another_place' | 'older_epoch' | 'another_branch' | 'backup'

/** In hold living access tokens are handed out and nothing is presented, until `adopt` says that the original is off. */
export interface Hold {
  readonly since: UnixMs
  readonly because: HoldReason
}

/** What a database says of its life. */
export interface Incarnation {
  readonly installation: string
  /** Which file, or which database of which server; null: not known. */
  readonly place: string | null
  /** Raised at each open, and once a minute while commits happen. */
  readonly epoch: number
  /** A random name of this epoch; null: none was given yet. */
  readonly branch: string | null
  readonly hold: Hold | null
}

/** What is remembered outside of the database. */
export type Marker = Pick<Incarnation, 'installation' | 'epoch' | 'branch'>

/** What an opener, or one who looks again, compares a database with. */
export interface Surroundings {
  /** Where the database is now; null: nobody can say, so it is not compared. */
  readonly placeNow: string | null
  /** Read before the database: within one life it is written after it, and is never ahead. */
  readonly markers: readonly Marker[]
  readonly now: UnixMs
  /** A random name for the next epoch. */
  readonly branch: string
}

/** Why this database must not present here and now; null: it is what it was. */
export function reasonToHold(kept: Incarnation, { placeNow, markers }: Surroundings): HoldReason | null {
  if (kept.place !== null && placeNow !== null && kept.place !== placeNow) return 'another_place'
  const own = markers.filter(({ installation }) => installation === kept.installation)
  if (own.some(({ epoch }) => epoch > kept.epoch)) return 'older_epoch'
  const branched = own.some(({ epoch, branch }) => epoch === kept.epoch && branch !== kept.branch)
  return branched ? 'another_branch' : null
}

/** The next epoch of the same life, or the beginning of a hold; the same object where it is held already. */
export function goesOn(kept: Incarnation, around: Surroundings): Incarnation {
  if (kept.hold !== null) return kept
  const because = reasonToHold(kept, around)
  if (because !== null) return { ...kept, hold: { since: around.now, because } }
  return { ...kept, place: around.placeNow ?? kept.place, epoch: kept.epoch + 1, branch: around.branch }
}

/** A new incarnation: the original is off. Its epoch is higher than any that a marker here has seen. */
export const begunAnew = (kept: Incarnation, around: Surroundings): Incarnation => ({
  ...kept,
  place: around.placeNow ?? kept.place,
  epoch: Math.max(kept.epoch, ...around.markers.map(({ epoch }) => epoch)) + 1,
  branch: around.branch,
  hold: null,
})

/** Before every clock of ours: whatever window there was, it is over. */
const LONG_AGO: Moment = { boot: 'before adoption', at: 0 as MonoMs, wall: 0 as UnixMs }

/**
 * The row as adoption leaves it: in doubt, without window and prompt retry, for the original may have presented its
 * refresh token. What a reusable refresh token or no refresh token is left of stays as it is, and so does what only a
 * person can revive, or what is on its way out.
 *
 * @returns the same object where nothing changes
 */
export function adopted(row: ConnectionRow, terms: Terms, owner: OwnerId, now: Moment): ConnectionRow {
  const { status } = row.state
  if (status === 'needs_user' || status === 'deleting' || status === 'erased') return row
  if (terms.policy.reuse.kind === 'reusable' || row.refreshToken === null) return row
  const doubt: InDoubt = {
    status: 'in_doubt',
    since: LONG_AGO,
    adopted: true,
    promptRetry: null,
    silentSince: null,
    backOff: null,
  }
  if (row.state.status === 'in_doubt' && row.state.adopted === true) return row
  if (row.state.status === 'blocked') {
    const { from } = row.state
    if (from.status === 'in_doubt' && from.adopted === true) return row
    return written({ ...row, presentNow: null, state: { ...row.state, from: doubt } }, terms, owner, now)
  }
  // A good answer that was held is the newest that this database knows.
  const newest = row.state.status === 'presenting' && row.successor !== null ? promoted(row, terms, now) : row
  return written({ ...newest, presentNow: null, state: doubt }, terms, owner, now)
}
