/** What is answered where no request could be read: there is only a socket, and perhaps an earlier request on it. */
import { Buffer } from 'node:buffer'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { answerOn } from './connections.ts'
import { HttpProblem, refusalOf } from './problem.ts'
import { SECURITY_HEADERS } from './security-headers.ts'

/** That is no HTTP, or it came too slowly. */
export function answerUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  const answer = answerOn(socket)
  // Whose handshake failed, or never came, cannot be told anything.
  if (error.code === 'ECONNRESET' || /^ERR_(TLS|SSL)_/.test(error.code ?? '') || !socket.writable) socket.destroy()
  // An earlier request waits for its answer, and would take this one for it.
  else if (answer !== null && (answer.headersSent || answer.req.complete)) endAnswered(socket.pause())
  else if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT')
    endWith(socket, new HttpProblem('request_timeout', 'the request did not arrive whole in time.'))
  else if (error.code === 'HPE_HEADER_OVERFLOW')
    endWith(socket, new HttpProblem('headers_too_large', 'the headers are larger than this server takes.'))
  else endWith(socket, new HttpProblem('malformed_request', 'that is not an HTTP request.'))
}

const LINGER_MS = 1_000

export function endWith(socket: Duplex, problem: HttpProblem): void {
  const { status, headers, body } = refusalOf(problem, 0)
  const text = JSON.stringify(body)
  const lines = Object.entries({
    ...SECURITY_HEADERS,
    ...headers,
    'content-type': 'application/problem+json; charset=utf-8',
    'content-length': String(Buffer.byteLength(text)),
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  // On a tunnel nobody else listens, and an error that nobody hears ends the process.
  socket.on('error', () => socket.destroy())
  // Node looks after it no longer: whoever never closes its own end would keep ours.
  const cut = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(cut))
  socket.resume()
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${text}`)
}

/** Ends a connection of which nothing more is read, after the last answer. */
function endAnswered(socket: Socket): void {
  const answer = answerOn(socket)
  if (answer === null) socket.end()
  else answer.once('close', () => endAnswered(socket))
}
