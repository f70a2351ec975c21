import type { IncomingMessage } from 'node:http'

const LIMIT_BYTES = 64 * 1024 // A token request has a few hundred bytes; the engine's own limit is 56 KiB.

/** Reads a request's body as text; null when it is longer than 64 KiB (what comes after is not read). */
export async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > LIMIT_BYTES) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
