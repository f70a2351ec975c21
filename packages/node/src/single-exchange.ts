/** One request and its answer with a plain deadline: for questions that are harmless to ask again. */
import type { Clock, DurationMs, ResponseSeen } from '@tokenkeep/core'
import type { Destination, Dial } from './dial.ts'
import { Line, type Outgoing } from './line.ts'

/** Asks once, without retrying. */
export interface Exchange {
  /**
   * @param withinMs for connecting and for the whole answer
   * @returns the complete answer, or null where none came in time; never rejects
   */
  (to: Destination, outgoing: Outgoing, withinMs: DurationMs): Promise<ResponseSeen | null>
}

export function createExchange(dial: Dial, clock: Clock): Exchange {
  return async (to, outgoing, withinMs) => {
    const alarm = clock.alarm(withinMs)
    try {
      const line = await dial(to, withinMs)
      if (!(line instanceof Line)) return null
      const presentation = line.send(() => outgoing)
      void alarm.rung.then(() => presentation.abandon())
      const answer = await presentation.ever
      return answer.kind === 'response' && answer.complete ? answer : null
    } finally {
      alarm.cancel()
    }
  }
}
