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

const CONNECTIONS = 1000
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
    // Nothing is remembered, so that every call is the first one.
    await using installation = await openInstallation({ cacheBytes: 0 })
    const { keep } = installation
    const ids = await installation.connect('dealer', CONNECTIONS, HOUR_MS)
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
