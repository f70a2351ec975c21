import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { TestContext } from 'node:test'

export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A server that keeps what it is sent, and answers as it is told. */
export interface Receiver {
  readonly origin: string
  readonly received: readonly Received[]
  /** The status of the answers from now on. Default 200. */
  answer(status: number, more?: { body?: string; headers?: Readonly<Record<string, string>> }): void
  close(): Promise<void>
}

export async function openReceiver(test: TestContext): Promise<Receiver> {
  const received: Received[] = []
  let next: { status: number; body?: string; headers?: Readonly<Record<string, string>> } = { status: 200 }
  const server = createServer((request, response) => {
    let body = ''
    request
      .on('data', (chunk: Buffer) => (body += chunk.toString()))
      .on('end', () => {
        received.push({ path: request.url ?? '', headers: request.headers, body })
        response.writeHead(next.status, { 'content-type': 'application/json', ...next.headers }).end(next.body)
      })
  })
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  test.after(close)
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the receiver has no TCP address')
  return {
    origin: `http://127.0.0.1:${address.port}`,
    received,
    answer: (status, more = {}) => void (next = { status, ...more }),
    close,
  }
}
