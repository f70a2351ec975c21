/** The verbs around one attempt: acquire, renew, commit, replay, take over. The rules are core's; this writes them down. */
import {
  accept,
  acquire,
  commit,
  eventsOf,
  lend,
  presentedRefreshToken,
  renew,
  runsAgain,
  takeOver,
  type Acquired,
  type AttemptId,
  type CommitResult,
  type ConnectionRow,
  type ConnectionStore,
  type Lease,
  type Presented,
  type Unreadable,
} from '@tokenkeep/core'
import type { Snapshot, StoreContext } from './store-context.ts'
import { answered, begun, takenOver } from './store-history.ts'
import { unchanged, type Change, type Rows } from './store-rows.ts'

type AttemptVerbs = Pick<ConnectionStore, 'acquire' | 'renew' | 'commit' | 'replay' | 'takeOver'>

export function attemptVerbs(rows: Rows, context: StoreContext): AttemptVerbs {
  // What was lent under an attempt id stays the same object, so that asking again cannot lend the token a second time.
  const lent = new Map<AttemptId, Acquired>()

  return {
    async acquire(at, why, attempt, _room, usedAt) {
      const t0 = context.clock.now()
      const done = await rows.change(at.uid, (found, now): Change<Decided> => {
        if (found === null) return unchanged({ kind: 'gone', because: 'unknown' })
        // Read in the same transaction: whoever is not told yet that this is a copy presents nothing all the same.
        if (found.hold !== null) return unchanged({ kind: 'on_hold' })
        const { owner, host } = context
        const ours = { owner, host, session: context.session(), showsLock: context.showsLock() }
        const request = { at, why, attempt, ...ours, usedAt, t0 }
        const decision = acquire(found.row, context.termsOf(found), request, now)
        if (decision.kind !== 'acquired') return unchanged(decision)
        // Before the intent is written: a token that cannot be opened is not presented, and nothing is in doubt.
        const presented = openForPresenting(decision.row, context)
        if ('because' in presented) return unchanged(presented)
        const acquired: Acquired = {
          kind: 'acquired',
          lease: decision.lease,
          ticket: lend(presented, context.session),
        }
        if (decision.row === found.row) return unchanged(acquired)
        return { row: decision.row, history: [begun(decision.lease, context, now)], events: [], result: acquired }
      })
      if (done.kind !== 'acquired') return done
      const earlier = lent.get(attempt)
      if (earlier?.lease.fence === done.lease.fence) return earlier
      lent.set(attempt, done)
      return done
    },

    async renew(lease) {
      const t0 = context.clock.now()
      return rows.change(lease.uid, (found, now): Change<Lease | 'lost'> => {
        if (found === null) return unchanged('lost')
        const renewed = renew(found.row, context.termsOf(found), lease, t0, now)
        if (renewed === 'lost') return unchanged('lost')
        return { row: renewed.row, history: [], events: [], result: renewed.lease }
      })
    },

    async commit(lease, end) {
      // It was taken, or never will be: nobody asks for this attempt's ticket again.
      lent.delete(lease.attempt)
      const done = await rows.change(lease.uid, (found, now): Change<Concluded> => {
        if (found === null) return unchanged({ kind: end.kind === 'granted' ? 'revoke' : 'history', snapshot: null })
        const { row } = found
        const concluded = commit(row, context.termsOf(found), lease, end, context.writing(now))
        const answer = { fence: lease.fence, outcome: end.kind, result: concluded.kind }
        return {
          row: concluded.row === row ? null : concluded.row,
          history: answered(row, concluded.row, answer, now),
          events: eventsOf(row, concluded.row, { kind: 'ended', lease, end }),
          result: { kind: concluded.kind, snapshot: context.snapshot(found, concluded.row, now) },
        }
      })
      return resultOf(done, context)
    },

    async replay(entry) {
      const done = await rows.change(entry.uid, (found, now): Change<Concluded> => {
        if (found === null) return unchanged({ kind: 'revoke', snapshot: null })
        const { row } = found
        const concluded = accept(row, context.termsOf(found), entry, context.writing(now))
        const answer = { fence: entry.fence, outcome: 'granted', result: concluded.kind }
        return {
          row: concluded.row === row ? null : concluded.row,
          history: answered(row, concluded.row, answer, now),
          events: eventsOf(row, concluded.row, { kind: 'replayed' }),
          result: { kind: concluded.kind, snapshot: context.snapshot(found, concluded.row, now) },
        }
      })
      return resultOf(done, context)
    },

    async takeOver(at, evidence) {
      const snapshot = await rows.change(at.uid, (found, now): Change<Snapshot | null> => {
        // In hold the owner of what a copy shows as open may be alive, elsewhere.
        if (found === null || found.hold !== null) return unchanged(null)
        const { owner, draw } = context.writing(now)
        const row = takeOver(found.row, context.termsOf(found), evidence, owner, draw, now)
        if (row === 'moved') return unchanged(null)
        return {
          row,
          history: takenOver(found.row, row, evidence, now),
          events: eventsOf(found.row, row, { kind: 'taken_over', by: evidence.kind }),
          result: context.snapshot(found, row, now),
        }
      })
      return snapshot === null ? { kind: 'moved' } : { kind: 'in_doubt', view: context.view(snapshot) }
    },
  }
}

type Decided = Awaited<ReturnType<ConnectionStore['acquire']>>

interface Concluded {
  readonly kind: CommitResult['kind']
  readonly snapshot: Snapshot | null
}

const resultOf = ({ kind, snapshot }: Concluded, context: StoreContext): CommitResult => ({
  kind,
  view: snapshot === null || snapshot.row.state.status === 'erased' ? null : context.view(snapshot),
  terms: snapshot?.terms ?? null,
})

function openForPresenting(row: ConnectionRow, context: StoreContext): Presented | Unreadable {
  const refreshToken = presentedRefreshToken(row)
  if (runsAgain(row.grantType)) return { kind: row.grantType }
  if (refreshToken === null) return { kind: 'client_credentials' }
  const place = { owner: row.uid, purpose: 'rt', serial: refreshToken.serial }
  const opened = context.cipher.open('refresh_token', refreshToken.sealed, place)
  if (typeof opened === 'string') return { kind: 'unreadable', because: opened }
  return { kind: 'refresh_token', refreshToken: opened }
}
