/** Asks a server what it tells everybody: whether it is ready, and its version. No key is sent. */
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import { differenceByDate } from '@tokenkeep/node'
import { tooLate, unreachable } from '../remote/unreachable.ts'

export interface ServerAnswer {
  readonly status: number
  readonly mediaType: string
  readonly text: string
}

export interface ServerSeen {
  readonly ready: ServerAnswer | { readonly failed: string }
  readonly version: string | null
  /** Epoch milliseconds; null without TLS. */
  readonly certificateEndsAt: number | null
  /** Its clock minus ours; null: it did not say. */
  readonly clockMs: number | null
}

export interface AskingServer {
  /** Without a slash at the end. */
  readonly url: string
  /** `own`: a loopback address stands for its name, and the certificate is not compared with that. */
  readonly certificate: 'checked' | 'own'
  readonly now: () => number
  readonly withinMs: number
}

/** More than the OpenAPI document has. */
const BYTES_MAX = 4 * 1024 * 1024

export async function askServer(asking: AskingServer): Promise<ServerSeen> {
  try {
    const ready = await get(asking, '/readyz')
    const document = await get(asking, '/openapi.json').catch(() => null)
    const { status, mediaType, text, certificateEndsAt, clockMs } = ready
    return {
      ready: { status, mediaType, text },
      version: document === null ? null : versionIn(document.text),
      certificateEndsAt,
      clockMs,
    }
  } catch (error) {
    const lost = { server: asking.url, changes: false }
    const late = error instanceof Error && error.name === 'AbortError'
    const { message } = late ? tooLate(lost, asking.withinMs) : unreachable(error, lost)
    return { ready: { failed: message }, version: null, certificateEndsAt: null, clockMs: null }
  }
}

type Got = ServerAnswer & Pick<ServerSeen, 'certificateEndsAt' | 'clockMs'>

async function get({ url, certificate, now, withinMs }: AskingServer, path: string): Promise<Got> {
  const to = new URL(`${url}${path}`)
  const { request } = to.protocol === 'https:' ? await import('node:https') : await import('node:http')
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const sentAt = now()
  const sending = request(to, {
    agent: false,
    signal: AbortSignal.timeout(withinMs),
    rejectUnauthorized: certificate === 'checked',
  })
  sending.on('response', resolve)
  sending.on('error', reject)
  sending.on('close', () => reject(new Error('it was closed')))
  sending.end()
  const response = await promise
  const receivedAt = now()
  const { date, age } = response.headers
  return {
    status: response.statusCode ?? 0,
    mediaType: (response.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '',
    certificateEndsAt: endOf(response),
    clockMs: differenceByDate({ date, age, sentAt, receivedAt }),
    text: await textOf(response),
  }
}

function endOf({ socket }: IncomingMessage): number | null {
  if (!(socket instanceof TLSSocket)) return null
  const endsAt = Date.parse(socket.getPeerCertificate().valid_to)
  return Number.isNaN(endsAt) ? null : endsAt
}

async function textOf(response: IncomingMessage): Promise<string> {
  let [text, bytes] = ['', 0]
  response.setEncoding('utf8')
  for await (const part of response as AsyncIterable<string>) {
    bytes += part.length
    if (bytes > BYTES_MAX) throw new Error('it does not end')
    text += part
  }
  return text
}

function versionIn(text: string): string | null {
  const [, version] = /"info":\{[^{}]*"version":"([\w.+-]{1,40})"/.exec(text) ?? []
  return version ?? null
}
