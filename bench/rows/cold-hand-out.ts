/** `token()` of connections that this process does not remember: read from SQLite, opened, handed out. */
import { generateKeySync } from 'node:crypto'
import { join } from 'node:path'
import { secondCopy } from '../copy.ts'
import { openInstallation } from '../installation.ts'
import { issueToken, REFRESH_TOKEN_BYTES } from '../issued-token.ts'
import { prepareSelectAndOpen, writeRows } from '../references/select-and-open.ts'
import { alternate } from '../rounds.ts'
import type { Row } from '../row.ts'
import { threadMs } from '../thread-time.ts'

/** More than anything of ours remembers, derived keys included: each comes back only after all others. */
const CONNECTIONS = 5000
/** Prime, and no divisor of it: each is met once before one is met again. */
const STRIDE = 2741
/** Calls between two looks at the clock, which costs as much as a call. */
const BETWEEN_LOOKS = 500
const HOUR_MS = 3_600_000
const ROUND_MS = 100

export const coldHandOut: Row<'rate'> = {
  name: 'cold-hand-out',
  figures: {
    rate: {
      name: 'cold-hand-out',
      reference: 'prepared SELECT and GCM open with a KeyObject',
      direction: 'at least',
      unit: 'ratio',
      bound: 0.55,
    },
  },
  processes: 2,
  async measure() {
    // No hand-out is remembered, so that every call is the first one.
    await using installation = await openInstallation({ cacheBytes: 0 })
    const { keep } = installation
    const made = await installation.connect('dealer', CONNECTIONS, HOUR_MS)
    // Nobody asks in the order in which rows were written, with the next one in the same page.
    const ids = made.map((_, index) => made[(index * STRIDE) % CONNECTIONS] ?? '')
    const rows = await Promise.all(
      ids.map(async (id) => ({
        id,
        refreshToken: issueToken(`rt-${id}`, REFRESH_TOKEN_BYTES),
        ...(await keep.token(id)),
      })),
    )
    const path = join(installation.folder, 'bare.db')
    const key = generateKeySync('aes', { length: 256 })
    writeRows(path, key, rows)
    const reference = prepareSelectAndOpen(path, key)
    const { prepareSelectAndOpen: prepareAgain } = await secondCopy<typeof import('../references/select-and-open.ts')>(
      new URL('../references/select-and-open.ts', import.meta.url),
    )
    const copy = prepareAgain(path, key)

    let next = 0
    const subject = async (forMs: number): Promise<number> => {
      const startedAt = threadMs()
      let calls = 0
      let passedMs = 0
      while (passedMs < forMs) {
        for (let call = 0; call < BETWEEN_LOOKS; call += 1) {
          await keep.token(ids[next] ?? '')
          next = (next + 1) % ids.length
        }
        calls += BETWEEN_LOOKS
        passedMs = threadMs() - startedAt
      }
      return calls / passedMs
    }
    const series = await alternate(
      {
        subject: async () => ({ rate: await subject(ROUND_MS) }),
        reference: async () => ({ rate: await reference.loop(ids, ROUND_MS) }),
        copy: async () => ({ rate: await copy.loop(ids, ROUND_MS) }),
      },
      { rounds: 15, warmUp: 5 },
    )
    reference.close()
    copy.close()
    return series
  },
}
