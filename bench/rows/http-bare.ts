/**
 * A bare server against a bare server: not about us, but about how far two equal HTTP servers differ on this machine.
 * The rows about routes are read with this one beside them.
 */
import { compareWithBareServer } from '../http-rounds.ts'
import { startBareServer } from '../references/bare-server.ts'
import type { Row } from '../row.ts'

const ANSWER = { bytes: 1250, readsBody: false } as const

export const httpBare: Row<'rate' | 'p99'> = {
  name: 'http-bare',
  figures: {
    rate: {
      name: 'http-bare',
      reference: 'bare node:http, the same once more',
      direction: 'at least',
      unit: 'ratio',
      bound: null,
    },
    p99: {
      name: 'http-bare p99',
      reference: 'bare node:http, the same once more',
      direction: 'at most',
      unit: 'ratio',
      bound: null,
    },
  },
  processes: 1,
  async measure() {
    await using subject = await startBareServer(ANSWER)
    return await compareWithBareServer({ url: subject.url }, ANSWER)
  },
}
