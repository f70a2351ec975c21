import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

export interface Arrived {
  readonly method: string
  /** Path and query, as they were sent. */
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** A server that answers as it is told, also as no Tokenkeep would. */
export interface AnsweringServer extends AsyncDisposable {
  readonly url: string
  readonly arrived: readonly Arrived[]
}

export type Answering = (response: ServerResponse, request: Arrived) => void

export async function startAnswering(answering: Answering): Promise<AnsweringServer> {
  const arrived: Arrived[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      const whole = { method, url, headers, body: Buffer.concat(chunks).toString() }
      arrived.push(whole)
      answering(response, whole)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it listens nowhere')
  return {
    url: `http://127.0.0.1:${address.port}`,
    arrived,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

export const json =
  (body: unknown, status = 200): Answering =>
  (response) =>
    void response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body))

export const problem =
  (status: number, members: object): Answering =>
  (response) =>
    void response.writeHead(status, { 'content-type': 'application/problem+json; charset=utf-8' }).end(
      JSON.stringify({
        type: 'about:blank',
        title: 'Refused',
        status,
        detail: 'as it was told',
        retryable: false,
        retry_at: null,
        subject: null,
        reason: null,
        blocked: null,
        ...members,
      }),
    )
