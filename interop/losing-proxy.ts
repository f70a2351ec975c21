/** Stands before Keycloak's token endpoint and loses an answer on order: Keycloak has granted, and nobody hears of it. */
import { createServer, request } from 'node:http'

export interface LosingProxy {
  /** Without a slash at the end. */
  readonly url: string
  /** Loses the answer to the next token request. */
  readonly loseNext: () => void
  /** Answers that were lost. */
  readonly lost: () => number
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

export async function startLosingProxy(keycloak: string): Promise<LosingProxy> {
  const { host, hostname, port } = new URL(keycloak)
  let losing = false
  let lost = 0
  const server = createServer((asked, answer) => {
    // Under Keycloak's own name, by which it makes the issuer of its tokens.
    const headers = { ...asked.headers, host }
    const upstream = request({ hostname, port, method: asked.method, path: asked.url, headers }, (answered) => {
      if (losing) {
        losing = false
        lost += 1
        answered.resume().on('end', () => asked.socket.destroy())
        return
      }
      answer.writeHead(answered.statusCode ?? 502, answered.headers)
      answered.pipe(answer)
    })
    upstream.on('error', () => asked.socket.destroy())
    asked.pipe(upstream)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy found no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    loseNext() {
      losing = true
    },
    lost: () => lost,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
