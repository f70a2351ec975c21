/** `token()` of a connection whose access token is remembered and fresh, in process, over 1,000 connections. */
import { secondCopy } from '../copy.ts'
import { openInstallation } from '../installation.ts'
import { prepareMapLookup, type Kept } from '../references/map-lookup.ts'
import { alternate } from '../rounds.ts'
import type { Row } from '../row.ts'
import { threadMs } from '../thread-time.ts'

const CONNECTIONS = 1000
const HOUR_MS = 3_600_000
const ROUND_MS = 100

export const tokenFresh: Row<'rate'> = {
  name: 'token-fresh',
  figures: {
    rate: {
      name: 'token-fresh',
      reference: 'async Map lookup and clock compare',
      direction: 'at least',
      unit: 'ratio',
      bound: 0.8,
    },
  },
  processes: 3,
  async measure() {
    await using installation = await openInstallation()
    const { keep } = installation
    const ids = await installation.connect('dealer', CONNECTIONS, HOUR_MS)
    const kept = new Map<string, Kept>()
    // The ids come from requests and the keys from a store: equal texts, and not the same string.
    for (const id of ids) kept.set(Buffer.from(id).toString(), { ...(await keep.token(id)) })
    const reference = prepareMapLookup(kept)
    const { prepareMapLookup: prepareAgain } = await secondCopy<typeof import('../references/map-lookup.ts')>(
      new URL('../references/map-lookup.ts', import.meta.url),
    )
    const copy = prepareAgain(kept)

    const subject = async (forMs: number): Promise<number> => {
      const startedAt = threadMs()
      let calls = 0
      let passedMs = 0
      while (passedMs < forMs) {
        for (const id of ids) await keep.token(id)
        calls += ids.length
        passedMs = threadMs() - startedAt
      }
      return calls / passedMs
    }
    return await alternate(
      {
        subject: async () => ({ rate: await subject(ROUND_MS) }),
        reference: async () => ({ rate: await reference(ids, ROUND_MS) }),
        copy: async () => ({ rate: await copy(ids, ROUND_MS) }),
      },
      { rounds: 15, warmUp: 3 },
    )
  },
}
