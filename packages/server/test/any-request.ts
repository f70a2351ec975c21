/** HTTP as a client speaks it that may say anything: every header and every path as it is given. */
import { Agent, request, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'

export interface Sent {
  readonly method?: string
  /** The request target, as it stands on the request line. */
  readonly target: string
  /** A list: as often as it has members. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Uint8Array
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

export interface AnyRequests {
  send(port: number, sent: Sent): Promise<Answer>
  close(): void
}

/** @param heard is told every answer, and may throw */
export function openAnyRequests({ heard }: { readonly heard: (sent: Sent, answer: Answer) => void }): AnyRequests {
  const agent = new Agent({ keepAlive: true })
  return {
    async send(port, sent) {
      const answer = await exchange(agent, port, sent)
      heard(sent, answer)
      return answer
    },
    close: () => agent.destroy(),
  }
}

function exchange(agent: Agent, port: number, sent: Sent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', target: path, headers = {}, body } = sent
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    const lines = Object.entries({ host: `127.0.0.1:${port}`, ...length, ...headers })
    // As a list, so that Node adds no Host of its own and lets one come twice.
    const list = lines.flatMap(([name, value]) => [value].flat().flatMap((each) => [name, each]))
    const outgoing = request({ agent, host: '127.0.0.1', port, method, path, headers: list }, (incoming) => {
      const parts: Buffer[] = []
      incoming.on('data', (part: Buffer) => parts.push(part))
      incoming.on('error', reject)
      incoming.on('end', () => {
        const { statusCode: status = 0, headers: received } = incoming
        resolve({ status, headers: received, text: Buffer.concat(parts).toString('utf8') })
      })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** The answers that stand one after the other in what a connection brought; each has a Content-Length. */
export function answersIn(text: string): readonly Answer[] {
  const at = text.indexOf('\r\n\r\n')
  if (at === -1) return []
  const [line = '', ...lines] = text.slice(0, at).split('\r\n')
  const headers = Object.fromEntries(
    lines.map((header) => {
      const colon = header.indexOf(':')
      return [header.slice(0, colon).toLowerCase(), header.slice(colon + 1).trim()]
    }),
  )
  const end = at + 4 + Number(headers['content-length'] ?? 0)
  const answer = { status: Number(line.split(' ', 2)[1]), headers, text: text.slice(at + 4, end) }
  return [answer, ...answersIn(text.slice(end))]
}

/**
 * Bytes as they are, on a connection of their own.
 *
 * @param pauseMs between two parts
 * @returns everything that came until the other side, or nobody for `waitMs`, ended it
 */
export function speak(
  port: number,
  parts: readonly string[],
  { pauseMs = 0, waitMs = 5_000 }: { readonly pauseMs?: number; readonly waitMs?: number } = {},
): Promise<{ readonly text: string; readonly ended: boolean }> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    const done = (ended: boolean): void => {
      clearTimeout(limit)
      socket.destroy()
      resolve({ text, ended })
    }
    const limit = setTimeout(() => done(false), waitMs)
    socket.setEncoding('latin1')
    socket.on('data', (part: string) => (text += part))
    socket.on('error', () => done(true))
    socket.on('close', () => done(true))
    const say = ([first, ...rest]: readonly string[]): void => {
      if (first === undefined || socket.destroyed) return
      socket.write(first, 'latin1')
      if (rest.length > 0) setTimeout(() => say(rest), pauseMs)
    }
    socket.on('connect', () => say(parts))
  })
}
