/** What the history says about an attempt: one line for each acquire, completed by whatever ended it. Pure. */
import type { CommitResult, ConnectionRow, Evidence, Fence, Lease, Moment } from '@tokenkeep/core'
import type { HistoryNote } from './store-rows.ts'

export function begun(lease: Lease, by: { readonly host: string; readonly process: string }, now: Moment): HistoryNote {
  return {
    kind: 'begun',
    entry: {
      fence: lease.fence,
      attempt: lease.attempt,
      grant: lease.grant,
      generation: lease.generation,
      presented: lease.answers,
      owner: lease.owner,
      host: by.host,
      process: by.process,
      why: lease.why,
      acquiredAt: now.wall,
      endedAt: null,
      outcome: null,
    },
  }
}

/**
 * The words for an answer: the outcome's own kind where the row took it; `held` after a granted one that waits for a
 * later attempt, `sibling` after one that lost to a later one, `late` after one that changed nothing, `orphaned` after one that belongs to nobody any more.
 */
export function answered(
  before: ConnectionRow,
  after: ConnectionRow,
  answer: { readonly fence: Fence; readonly outcome: string; readonly result: CommitResult['kind'] },
  now: Moment,
): readonly HistoryNote[] {
  const word = WORDS[answer.result]
  if (word === null) return []
  return ended(before, after, { fence: answer.fence, outcome: word(answer.outcome) }, now)
}

const WORDS = {
  committed: (outcome: string) => outcome,
  again: null,
  successor: (outcome: string) => `${outcome}, held`,
  sibling: (outcome: string) => `${outcome}, sibling`,
  history: (outcome: string) => `${outcome}, late`,
  revoke: (outcome: string) => `${outcome}, orphaned`,
} as const satisfies Record<CommitResult['kind'], ((outcome: string) => string) | null>

export const takenOver = (
  before: ConnectionRow,
  after: ConnectionRow,
  evidence: Evidence,
  now: Moment,
): readonly HistoryNote[] =>
  ended(before, after, { fence: before.fence, outcome: evidence.kind === 'dead' ? 'owner_dead' : 'owner_silent' }, now)

/** A reconnect ends an open attempt, too. */
export const reconnectedOver = (before: ConnectionRow, now: Moment): readonly HistoryNote[] =>
  before.state.status === 'presenting'
    ? [{ kind: 'ended', fence: before.state.attempt.fence, endedAt: now.wall, outcome: 'reconnected' }]
    : []

function ended(
  before: ConnectionRow,
  after: ConnectionRow,
  end: { readonly fence: Fence; readonly outcome: string },
  now: Moment,
): readonly HistoryNote[] {
  const notes: HistoryNote[] = [{ kind: 'ended', fence: end.fence, endedAt: now.wall, outcome: end.outcome }]
  const held = before.successor
  if (held !== null && after.successor === null && after.lastGrant?.attempt === held.attempt) {
    notes.push({ kind: 'ended', fence: held.fence, endedAt: now.wall, outcome: 'granted' })
  }
  return notes
}
