/**
 * One HTTP request over a connection of its own, and what came back.
 *
 * Over `node:http` rather than `fetch`: loading that takes as long as the start of a Node (measured: 42 ms against 11), it
 * would follow redirects unless told not to, and gives up after 300 s whatever it is told.
 */
import { Buffer } from 'node:buffer'
import type { IncomingMessage } from 'node:http'

export interface Transmission {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  /** Empty: none. */
  readonly body: string
  readonly signal: AbortSignal
}

export interface Received {
  readonly status: number
  /** In lower case, without parameters; empty: none is said. */
  readonly mediaType: string
  /** Of a redirect. */
  readonly location: string | null
  /** Null: it is longer than `bytesMax`. */
  readonly text: string | null
}

/**
 * @param onHead is called when the answer begins
 * @param bytesMax of the body; a longer one is not read to its end
 * @throws whatever Node throws: it may hold what was sent
 */
export async function transmit(
  url: URL,
  { method, headers, body, signal }: Transmission,
  { onHead, bytesMax }: { readonly onHead: () => void; readonly bytesMax: number },
): Promise<Received> {
  const { request } = url.protocol === 'https:' ? await import('node:https') : await import('node:http')
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  // An agent would keep the connection, and with it this process.
  const sending = request(url, { method, headers, signal, agent: false })
  sending.on('response', resolve)
  sending.on('error', reject)
  // A change to another protocol, for one, closes it without a word.
  sending.on('close', () => reject(new Error('it was closed')))
  sending.end(body === '' ? undefined : body)
  const response = await promise
  onHead()
  const { statusCode = 0, headers: answered } = response
  return {
    status: statusCode,
    mediaType: (answered['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '',
    location: answered.location ?? null,
    text: await textOf(response, bytesMax),
  }
}

async function textOf(response: IncomingMessage, bytesMax: number): Promise<string | null> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bytesMax) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
