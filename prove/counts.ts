/** What the authorization server counted, summed over sessions. */
import type { SessionCounters } from '@tokenkeep/devserver'
import type { Call } from '../packages/node/test/fixtures/manager-orders.ts'
import type { Place, SignIn } from './place.ts'

export interface Counts {
  readonly refreshes: number
  readonly secondPresentations: number
  readonly arrivals: number
  readonly killed: number
}

export async function countersOf(place: Place, signIns: readonly SignIn[]): Promise<readonly SessionCounters[]> {
  const wanted = new Set(signIns.map(({ sessionId }) => sessionId))
  const all = await place.server.control.sessions(place.realm)
  return all.filter(({ sessionId }) => wanted.has(sessionId))
}

export async function countOf(place: Place, signIns: readonly SignIn[]): Promise<Counts> {
  const counters = await countersOf(place, signIns)
  const sum = (pick: (each: SessionCounters) => number): number =>
    counters.reduce((total, each) => total + pick(each), 0)
  return {
    refreshes: sum((each) => each.refreshes),
    secondPresentations: sum((each) => each.secondPresentations),
    arrivals: sum((each) => each.arrivals),
    killed: sum((each) => (each.killed ? 1 : 0)),
  }
}

/** Calls that did not get a token that works: an error, or one that the API refuses. */
export const badCalls = (calls: readonly Call[]): readonly Call[] =>
  calls.filter((call) => !call.ok || (call.api !== null && call.api !== 200))

/** Why, in a few words, for the table. */
export function wordsFor(calls: readonly Call[]): string {
  const words = new Map<string, number>()
  for (const call of badCalls(calls)) {
    const word = call.ok ? `api ${call.api}` : [call.code, call.reason].filter((each) => each !== null).join(' ')
    words.set(word, (words.get(word) ?? 0) + 1)
  }
  return words.size === 0 ? '' : ` (${[...words].map(([word, count]) => `${count} ${word}`).join(', ')})`
}
