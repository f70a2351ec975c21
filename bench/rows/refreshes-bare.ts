/** The same against a bare exchange over `node:http`: shows also what our own protocol calls cost, and is not judged. */
import { secondCopy } from '../copy.ts'
import { prepareBareExchange } from '../references/bare-exchange.ts'
import { compareRefreshes } from '../refresh-rounds.ts'
import type { Row } from '../row.ts'

export const refreshesBare: Row<'rate'> = {
  name: 'refreshes-bare',
  figures: {
    rate: {
      name: 'refreshes-bare',
      reference: 'bare exchange over node:http, keeping nothing',
      direction: 'at least',
      unit: 'ratio',
      bound: null,
    },
  },
  processes: 1,
  async measure() {
    const { prepareBareExchange: prepareCopy } = await secondCopy<typeof import('../references/bare-exchange.ts')>(
      new URL('../references/bare-exchange.ts', import.meta.url),
    )
    return await compareRefreshes(prepareBareExchange, prepareCopy, { delayMs: 0 })
  },
}
