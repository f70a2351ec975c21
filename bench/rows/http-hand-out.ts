/** `GET /v1/connections/{id}/token` with an API key, of a token that the server remembers. */
import { compareWithBareServer } from '../http-rounds.ts'
import type { Row } from '../row.ts'
import { serveInstallation } from '../served.ts'

export const httpHandOut: Row<'rate' | 'p99'> = {
  name: 'http-hand-out',
  figures: {
    rate: {
      name: 'http-hand-out',
      reference: 'bare node:http, fixed answer of the same size',
      direction: 'at least',
      unit: 'ratio',
      bound: 0.75,
    },
    p99: {
      name: 'http-hand-out p99',
      reference: 'bare node:http, fixed answer of the same size',
      direction: 'at most',
      unit: 'ratio',
      bound: 1.5,
    },
  },
  processes: 1,
  async measure() {
    await using served = await serveInstallation()
    const url = `${served.url}/v1/connections/${served.connection}/token`
    const headers = { authorization: `Bearer ${served.key}` }
    const { length: bytes } = await (await fetch(url, { headers })).text()
    return await compareWithBareServer({ url, headers }, { bytes, readsBody: false })
  },
}
