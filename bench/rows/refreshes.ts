/** Refreshes a second, each durable in SQLite before its token is handed out, against the same calls keeping nothing. */
import { secondCopy } from '../copy.ts'
import { prepareOwnExchange } from '../references/own-exchange.ts'
import { compareRefreshes } from '../refresh-rounds.ts'
import type { Row } from '../row.ts'

export const refreshes: Row<'rate'> = {
  name: 'refreshes',
  figures: {
    rate: {
      name: 'refreshes',
      reference: 'our own protocol calls, keeping nothing',
      direction: 'at least',
      unit: 'ratio',
      bound: 0.65,
    },
  },
  processes: 1,
  async measure() {
    const { prepareOwnExchange: prepareCopy } = await secondCopy<typeof import('../references/own-exchange.ts')>(
      new URL('../references/own-exchange.ts', import.meta.url),
    )
    return await compareRefreshes(prepareOwnExchange, prepareCopy, { delayMs: 0 })
  },
}
