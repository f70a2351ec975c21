/** A relay in front of an authorization server that learns every token which passes. */
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface TokenRelay extends AsyncDisposable {
  readonly origin: string
  readonly tokens: ReadonlySet<string>
}

export async function openTokenRelay(to: string): Promise<TokenRelay> {
  const tokens = new Set<string>()
  const learn = (text: string): void => {
    for (const [, token] of text.matchAll(/"(?:access|refresh|id)_token"\s*:\s*"([^"]+)"/g)) {
      if (token !== undefined) tokens.add(token)
    }
  }
  const server = createServer((incoming, outgoing) => {
    const headers = { ...incoming.headers, host: new URL(to).host }
    const onward = request(new URL(incoming.url ?? '/', to), { method: incoming.method, headers }, (answer) => {
      const parts: Buffer[] = []
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.on('data', (part: Buffer) => parts.push(part)).pipe(outgoing)
      answer.on('error', () => outgoing.destroy())
      answer.on('close', () => learn(Buffer.concat(parts).toString('utf8')))
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tokens,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
