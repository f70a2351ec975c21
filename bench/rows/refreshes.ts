/** Refreshes a second, 64 at a time, each durable in SQLite before its token is handed out. */
import { secondCopy } from '../copy.ts'
import { CLIENT_ID, CLIENT_SECRET, openInstallation } from '../installation.ts'
import { issueToken, REFRESH_TOKEN_BYTES } from '../issued-token.ts'
import { prepareExchanges } from '../references/bare-exchange.ts'
import { alternate } from '../rounds.ts'
import type { Row } from '../row.ts'
import { startTokenEndpoint } from '../token-endpoint.ts'

const AT_ONCE = 64
const A_ROUND = 512

export const refreshes: Row<'rate'> = {
  name: 'refreshes',
  figures: {
    rate: {
      name: 'refreshes',
      reference: 'same exchange over node:http, keeping nothing',
      direction: 'at least',
      unit: 'ratio',
      bound: 0.65,
    },
  },
  processes: 1,
  async measure() {
    await using endpoint = await startTokenEndpoint({ delayMs: 0 })
    await using installation = await openInstallation({ tokenEndpoint: endpoint.url })
    const { keep } = installation
    const client = { id: CLIENT_ID, secret: CLIENT_SECRET }
    const exchanges = prepareExchanges(endpoint.url, client)
    const { prepareExchanges: prepareAgain } = await secondCopy<typeof import('../references/bare-exchange.ts')>(
      new URL('../references/bare-exchange.ts', import.meta.url),
    )
    const copy = prepareAgain(endpoint.url, client)

    let batch = 0
    const subject = async (): Promise<{ rate: number }> => {
      batch += 1
      // A connection is refreshed once by its first request; the next would be served from memory.
      const left = [...(await installation.connect(`batch-${batch}`, A_ROUND, null))]
      const startedAt = performance.now()
      const work = async (): Promise<void> => {
        for (let next = left.pop(); next !== undefined; next = left.pop()) await keep.token(next)
      }
      await Promise.all(Array.from({ length: AT_ONCE }, work))
      return { rate: (A_ROUND / (performance.now() - startedAt)) * 1000 }
    }
    const refreshTokens = Array.from({ length: A_ROUND }, (_, index) => issueToken(`rt-${index}`, REFRESH_TOKEN_BYTES))
    return await alternate(
      {
        subject,
        reference: async () => ({ rate: await exchanges(refreshTokens, AT_ONCE) }),
        copy: async () => ({ rate: await copy(refreshTokens, AT_ONCE) }),
      },
      { rounds: 15, warmUp: 3 },
    )
  },
}
