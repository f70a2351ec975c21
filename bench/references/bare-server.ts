/** A `node:http` server that does nothing but answer. */
import { createServer } from 'node:http'

export interface BareAnswer {
  /** Length of the answer's body. */
  readonly bytes: number
  /** Answer only after the whole body of the request has come. */
  readonly readsBody: boolean
}

export interface BareServer extends AsyncDisposable {
  readonly url: string
}

export async function startBareServer({ bytes, readsBody }: BareAnswer): Promise<BareServer> {
  const body = JSON.stringify({ access_token: 'x'.repeat(bytes - '{"access_token":""}'.length) })
  const headers = { 'content-type': 'application/json', 'content-length': body.length, 'cache-control': 'no-store' }
  const server = createServer((request, response) => {
    if (!readsBody) {
      response.writeHead(200, headers).end(body)
      return
    }
    let form = ''
    request.setEncoding('latin1')
    request.on('data', (part: string) => (form += part))
    request.on('end', () => response.writeHead(form === '' ? 400 : 200, headers).end(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}/`,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
