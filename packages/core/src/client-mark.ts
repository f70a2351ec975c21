/**
 * A client that its provider refuses, seen on more than one connection (`PROTOCOL.md` section 10, "Client mark"). Pure.
 *
 * Two connections that were refused for their client, with nothing granted in between, show that it is the client and not
 * the connection. From then on nothing is presented for it but at the pace of a block; the operator is told once.
 */
import type { Outcome } from './grant.ts'
import type { Uid } from './ids.ts'
import { blockedMs, type Numbers } from './policy.ts'
import { later, type MonoMs } from './time.ts'
import { isPressing, type Urgency } from './urgency.ts'

export interface ClientMark {
  /** The last connection that was refused for its client; null: none since one was granted. */
  readonly refused: Uid | null
  /** Null: not marked. */
  readonly marked: { readonly tries: number; readonly retryAt: MonoMs } | null
}

export const UNMARKED: ClientMark = { refused: null, marked: null }

export function markAfter(mark: ClientMark, outcome: Outcome, uid: Uid, now: MonoMs, numbers: Numbers): ClientMark {
  if (outcome.kind === 'granted') return UNMARKED
  if (outcome.kind !== 'misconfigured' || outcome.reason !== 'client' || mark.marked !== null) return mark
  if (mark.refused === null || mark.refused === uid) return { refused: uid, marked: null }
  return { refused: uid, marked: { tries: 1, retryAt: later(now, blockedMs(1, numbers)) } }
}

/** When something as pressing as this may go, as far as the mark tells; a moment that has passed: now. */
export const whenMarkLets = ({ marked }: ClientMark, urgency: Urgency): MonoMs =>
  // The provider may take the client again by itself; a refresh token at its end has no time to find out later.
  marked === null || isPressing(urgency) ? (Number.NEGATIVE_INFINITY as MonoMs) : marked.retryAt

/** The mark after a try was let through. */
export function markTried(mark: ClientMark, urgency: Urgency, now: MonoMs, numbers: Numbers): ClientMark {
  if (mark.marked === null || isPressing(urgency)) return mark
  const tries = mark.marked.tries + 1
  return { ...mark, marked: { tries, retryAt: later(now, blockedMs(tries, numbers)) } }
}
