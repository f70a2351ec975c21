/** The drop-in token endpoint: a refresh with a local refresh token, of a token that the server remembers. */
import { compareWithBareServer } from '../http-rounds.ts'
import type { Row } from '../row.ts'
import { serveInstallation } from '../served.ts'

export const httpDropIn: Row<'rate' | 'p99'> = {
  name: 'http-drop-in',
  figures: {
    rate: {
      name: 'http-drop-in',
      reference: 'bare node:http, reads the body, fixed answer of the same size',
      direction: 'at least',
      unit: 'ratio',
      bound: 0.5,
    },
    p99: {
      name: 'http-drop-in p99',
      reference: 'bare node:http, reads the body, fixed answer of the same size',
      direction: 'at most',
      unit: 'ratio',
      bound: 2,
    },
  },
  processes: 1,
  async measure() {
    await using served = await serveInstallation()
    const url = `${served.url}/realms/bare/protocol/openid-connect/token`
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const body = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: served.clientId,
      client_secret: served.key,
      refresh_token: served.refreshToken,
    }).toString()
    const { length: bytes } = await (await fetch(url, { method: 'POST', headers, body })).text()
    return await compareWithBareServer({ url, method: 'POST', headers, body }, { bytes, readsBody: true })
  },
}
