/** The least that a program does which keeps its access tokens itself: a Map, and a look at the clock. */
import { threadMs } from '../thread-time.ts'

export interface Kept {
  readonly accessToken: string
  readonly tokenType: string
  readonly expiresAt: number
  readonly scope: string | null
}

/** @returns a loop: asks for each id in turn until `forMs` have passed, and returns calls a millisecond */
export function prepareMapLookup(
  kept: ReadonlyMap<string, Kept>,
): (ids: readonly string[], forMs: number) => Promise<number> {
  const token = async (id: string): Promise<Kept> => {
    const found = kept.get(id)
    if (found === undefined || Date.now() >= found.expiresAt) throw new Error(`no token for ${id}`)
    return found
  }
  return async (ids, forMs) => {
    const startedAt = threadMs()
    let calls = 0
    let passedMs = 0
    while (passedMs < forMs) {
      for (const id of ids) await token(id)
      calls += ids.length
      passedMs = threadMs() - startedAt
    }
    return calls / passedMs
  }
}
