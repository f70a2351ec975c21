import type { Tokenkeep } from '@tokenkeep/node'
import { threadMs } from '../thread-time.ts'

/** @returns calls in a millisecond of the thread, over all connections in turn */
export const tokenLoop =
  (keep: Pick<Tokenkeep, 'token'>, ids: readonly string[]): ((forMs: number) => Promise<number>) =>
  async (forMs) => {
    const startedAt = threadMs()
    let calls = 0
    let passedMs: number
    do {
      for (const id of ids) await keep.token(id)
      calls += ids.length
      passedMs = threadMs() - startedAt
    } while (passedMs < forMs)
    return calls / passedMs
  }
