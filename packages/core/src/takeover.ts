/** How an attempt ends whose owner does not end it (`PROTOCOL.md` sections 6 and 7). Pure, like `lease.ts`. */
import { promoted } from './commit.ts'
import type { Attempt, ConnectionRow } from './connection.ts'
import type { OwnerId } from './ids.ts'
import { attemptOf, doubted, isOver, written } from './lease.ts'
import type { Terms } from './policy.ts'
import type { Evidence } from './ports.ts'
import { longer, type Moment } from './time.ts'

/**
 * Ends an open attempt whose owner is dead, or has been silent for one whole lease or without its lock. It becomes `in_doubt`, never free:
 * the refresh token may have left.
 *
 * @param draw for the back-off, from 0 to 1
 */
export function takeOver(
  row: ConnectionRow,
  terms: Terms,
  evidence: Evidence,
  owner: OwnerId,
  draw: number,
  now: Moment,
): ConnectionRow | 'moved' {
  const { state } = row
  const attempt = attemptOf(state)
  if (attempt === null || !proves(evidence, attempt, now)) return 'moved'
  if (state.status === 'deleting') return written({ ...row, state: { ...state, attempt: null } }, terms, owner, now)
  if (state.status !== 'presenting') return 'moved'
  // A good answer to this refresh token is held already: the end of the later attempt commits it.
  if (row.successor !== null) return written(promoted(row, terms, now), terms, owner, now)
  const dead = evidence.kind === 'dead'
  return written(
    doubted(row, state, terms, {
      by: owner,
      promptAfterMs: dead ? terms.policy.promptRetryAfterDeathMs : null,
      // Once the window is closed it gets as long to wake as any other, however little of it this try had.
      silentSince: dead
        ? null
        : { heartbeatAt: attempt.heartbeatAt, leaseMs: longer(attempt.leaseMs, terms.policy.leaseMs) },
      notBefore: null,
      draw,
      now,
    }),
    terms,
    owner,
    now,
  )
}

function proves(evidence: Evidence, attempt: Attempt, now: Moment): boolean {
  if (evidence.kind === 'dead') return evidence.owner === attempt.owner
  if (evidence.fence !== attempt.fence || evidence.heartbeat !== attempt.heartbeat) return false
  switch (evidence.kind) {
    case 'lock_missing':
      // An owner that never had a lock, behind a pooler for example, misses none.
      return evidence.owner === attempt.owner && attempt.showsLock === true
    case 'lease_over':
      return evidence.watchedMs >= attempt.leaseMs && isOver(attempt, now)
  }
}
