/**
 * One connection for one request: opened before the ticket is taken, written in one tick, reset when abandoned.
 *
 * Entered with an established socket (`dial.ts`). Left by `send`, which writes everything at once and then listens until
 * an answer is complete or the connection ends; or by `close`, which sends nothing. There is no timer here: after a
 * freeze a timer fires before the socket is read, and would throw away an answer that has come. Whoever wants to stop
 * listening calls `abandon`.
 */
import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import {
  Secret,
  type Answer,
  type Clock,
  type NoAnswer,
  type NotSent,
  type Now,
  type Presentation,
} from '@tokenkeep/core'
import { readBody } from './answer-body.ts'
import { readNonce } from './dpop-nonce.ts'

/** What goes out on a line. */
export interface Outgoing {
  /** Beside the line's own: Host, Accept-Encoding, Connection and Content-Length. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
}

/** More than any token answer needs; what is longer is cut, so that an endless body costs nothing. */
export const BODY_BYTES_MAX = 64 * 1024

/** A connection over which nothing was sent yet. */
export class Line {
  /** The socket that is written to, TLS or not. */
  readonly #socket: Socket
  /** The TCP socket below it: the one that can be reset. */
  readonly #tcp: Socket
  readonly #request: ClientRequest
  readonly #clock: Clock
  #used = false
  #ended = false
  /** Of the first error; empty where it ended without one. */
  #errorCode = ''

  private constructor(socket: Socket, tcp: Socket, prepared: ClientRequest, clock: Clock) {
    this.#socket = socket
    this.#tcp = tcp
    this.#request = prepared
    this.#clock = clock
  }

  /**
   * Prepares the one request of an established connection, so that sending it later is a single write.
   *
   * @param tcp the same as `socket`, or the TCP socket below its TLS
   */
  static async over(
    socket: Socket,
    tcp: Socket,
    to: { readonly url: URL; readonly method: 'GET' | 'POST' },
    clock: Clock,
  ): Promise<Line> {
    const prepared = request({
      createConnection: () => socket,
      method: to.method,
      path: `${to.url.pathname}${to.url.search}`,
      setHost: false,
      headers: { Host: to.url.host, 'Accept-Encoding': 'identity', Connection: 'close' },
    })
    const line = new Line(socket, tcp, prepared, clock)
    line.#watch()
    // Node hands a request its socket in a later tick; until then a write would be queued instead of leaving at once.
    await new Promise<void>((resolve) => {
      prepared.once('socket', () => resolve())
      prepared.once('close', () => resolve())
    })
    return line
  }

  /**
   * Sends the one request of this line, if the connection still lives.
   *
   * @param last called in the tick in which the request is written, with the moment of sending: the last check, and what
   * to send. `over`: nothing is sent.
   * @throws Error sent before: a line carries one request
   */
  send(last: (now: Now) => Outgoing | 'over'): Presentation {
    if (this.#used) throw new Error('a line carries one request: this one was used already')
    this.#used = true
    const sentAt = this.#clock.now()
    const outgoing = this.#ended ? 'ended' : this.#lastWord(last, sentAt)
    if (outgoing === 'ended' || outgoing === 'over') this.#socket.destroy()
    if (outgoing === 'over') return nothingSent('send_limit')
    // A server that refuses a TLS 1.3 client says so after the client's side of the handshake is done.
    if (outgoing === 'ended') return nothingSent(this.#errorCode.startsWith('ERR_SSL_') ? 'tls' : 'closed')
    return this.#present(outgoing, sentAt)
  }

  /** Ends it without sending anything; after `send` it does nothing. */
  close(): void {
    if (this.#used) return
    this.#used = true
    this.#socket.destroy()
  }

  #watch(): void {
    const ended = (): void => {
      this.#ended = true
    }
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#errorCode ||= error.code ?? ''
      ended()
    })
    this.#socket.once('end', ended)
    this.#socket.once('close', ended)
    // An answer before the question (an overloaded server says 503 and hangs up) is not an answer to what we would send.
    this.#request.once('response', ended)
    this.#request.on('error', (error: NodeJS.ErrnoException) => {
      // Of these errors only the parser's are not the socket's, too; a mere end is dressed up as a reset here.
      if (error.code?.startsWith('HPE_') === true) this.#errorCode ||= error.code
      ended()
    })
  }

  #lastWord(last: (now: Now) => Outgoing | 'over', sentAt: Now): Outgoing | 'over' {
    try {
      return last(sentAt)
    } catch (error) {
      this.#socket.destroy()
      throw error
    }
  }

  #present(outgoing: Outgoing, sentAt: Now): Presentation {
    const listening = listen(this.#request, this.#socket, sentAt, () => this.#errorCode)
    for (const [name, value] of Object.entries(outgoing.headers)) this.#request.setHeader(name, value)
    if (outgoing.body === null) this.#request.end()
    else {
      this.#request.setHeader('Content-Length', Buffer.byteLength(outgoing.body))
      this.#request.end(outgoing.body)
    }
    void listening.ever.then(() => this.#socket.destroy())
    return {
      ever: listening.ever,
      abandon: () => {
        this.#reset()
        listening.abandon()
      },
    }
  }

  /** Drops the connection so that nothing on its way is delivered. */
  #reset(): void {
    // After its server hung up, Node ends its own side; resetting then fails, and would leak the handle.
    if (this.#socket.writableEnded || this.#tcp.writableEnded) this.#socket.destroy()
    else this.#tcp.resetAndDestroy()
  }
}

function nothingSent(because: NotSent['because']): Presentation {
  return {
    ever: Promise.resolve({ kind: 'not_sent', because }),
    abandon: () => undefined,
  }
}

/** Reads one answer; the first of complete, cut, ended and abandoned decides. */
function listen(
  presented: ClientRequest,
  socket: Socket,
  sentAt: Now,
  errorCode: () => string,
): { readonly ever: Promise<Answer | NotSent>; readonly abandon: () => void } {
  const { promise: ever, resolve } = Promise.withResolvers<Answer | NotSent>()
  const noAnswer = (because: NoAnswer['because']): void => resolve({ kind: 'no_answer', because, sentAt })
  const chunks: Buffer[] = []
  let bytes = 0
  let response: IncomingMessage | null = null

  const seen = (message: IncomingMessage, whole: boolean, cut: { readonly abandoned?: true } = {}): void => {
    const body = readBody(Buffer.concat(chunks), message.headers['content-encoding'] ?? '', BODY_BYTES_MAX)
    const nonce = readNonce(message.headers['dpop-nonce'])
    resolve({
      kind: 'response',
      status: message.statusCode ?? 0,
      retryAfter: message.headers['retry-after'] ?? null,
      date: message.headers.date ?? null,
      body: new Secret('answer_body', body.text),
      complete: whole && body.whole,
      ...cut,
      ...(nonce === undefined ? {} : { dpopNonce: nonce }),
      sentAt,
    })
  }

  presented.once('response', (message) => {
    response = message
    message.on('data', (chunk: Buffer) => {
      const room = BODY_BYTES_MAX - bytes
      chunks.push(chunk.subarray(0, room))
      bytes += Math.min(chunk.length, room)
      if (chunk.length > room) seen(message, false)
    })
    message.once('end', () => seen(message, message.complete))
    message.once('close', () => seen(message, message.complete))
    // Its end is reported by `close`, too; without a listener the error would end the process.
    message.on('error', () => undefined)
  })
  socket.once('close', () => {
    if (response !== null) return
    if (REFUSED_CERTIFICATE.includes(errorCode())) resolve({ kind: 'not_sent', because: 'tls' })
    else noAnswer(howItEnded(errorCode()))
  })

  return {
    ever,
    abandon: () => {
      // What came of a granted answer can hold the only copy of the next refresh token, so it is judged, not dropped.
      const granted = response !== null && bytes > 0 && Math.floor((response.statusCode ?? 0) / 100) === 2
      if (response !== null && granted) seen(response, false, { abandoned: true })
      else noAnswer('abandoned')
    },
  }
}

/**
 * A server of TLS 1.3 judges our certificate only after we may send, and tells its verdict by one of these alerts: its handshake
 * has failed, so what was written meanwhile was opened by nobody (RFC 8446 sections 4.4.2.4, 4.4.4 and 6.2).
 */
const REFUSED_CERTIFICATE: readonly string[] = [
  'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
  'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
  'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE',
  'ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE',
  'ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED',
  'ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED',
  'ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN',
]

function howItEnded(errorCode: string): NoAnswer['because'] {
  if (errorCode.startsWith('HPE_')) return 'malformed'
  return errorCode === '' ? 'closed' : 'reset'
}
