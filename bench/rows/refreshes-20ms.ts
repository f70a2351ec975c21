/** The same with a token endpoint that takes 20 ms, as one does that is not on this machine. Not judged. */
import { secondCopy } from '../copy.ts'
import { prepareOwnExchange } from '../references/own-exchange.ts'
import { compareRefreshes } from '../refresh-rounds.ts'
import type { Row } from '../row.ts'

export const refreshes20Ms: Row<'rate'> = {
  name: 'refreshes-20ms',
  figures: {
    rate: {
      name: 'refreshes-20ms',
      reference: 'our own protocol calls, keeping nothing',
      direction: 'at least',
      unit: 'ratio',
      bound: null,
    },
  },
  processes: 1,
  async measure() {
    const { prepareOwnExchange: prepareCopy } = await secondCopy<typeof import('../references/own-exchange.ts')>(
      new URL('../references/own-exchange.ts', import.meta.url),
    )
    return await compareRefreshes(prepareOwnExchange, prepareCopy, { delayMs: 20 })
  },
}
