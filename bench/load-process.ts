/**
 * Asks a server as fast as it answers, over connections that stay open, and says how fast that was.
 *
 * On plain sockets, because an HTTP client costs more than the servers that are measured. It understands what those send
 * and nothing else: answers with a Content-Length.
 */
import { connect, type Socket } from 'node:net'
import process from 'node:process'
import type { Load, Loaded } from './load.ts'
import { quantile } from './verdict.ts'

const HEAD_END = Buffer.from('\r\n\r\n')

process.on('message', (load: Load) => {
  run(load).then(
    (loaded) => process.send?.(loaded),
    (error: unknown) => process.send?.({ wrong: String(error) }),
  )
})
process.once('disconnect', () => process.exit())

async function run(load: Load): Promise<Loaded> {
  const { hostname, port } = new URL(load.url)
  const question = questionOf(load)
  const sockets = await Promise.all(Array.from({ length: load.connections }, () => opened(Number(port), hostname)))
  const tookMs: number[] = []
  const startedAt = performance.now()
  const until = startedAt + load.forMs
  await Promise.all(sockets.map((socket) => askUntil(socket, question, until, tookMs)))
  const seconds = (performance.now() - startedAt) / 1000
  for (const socket of sockets) socket.destroy()
  return {
    perSecond: tookMs.length / seconds,
    p50Ms: quantile(tookMs, 0.5),
    p99Ms: quantile(tookMs, 0.99),
  }
}

function questionOf({ url, method = 'GET', headers = {}, body = '' }: Load): Buffer {
  const { host, pathname, search } = new URL(url)
  const lines = Object.entries({
    host,
    ...headers,
    ...(body === '' ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`${method} ${pathname}${search} HTTP/1.1\r\n${lines.join('')}\r\n${body}`)
}

function opened(port: number, host: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host, noDelay: true }, () => resolve(socket))
    socket.once('error', reject)
  })
}

/** One question after another over one connection; the one that is on its way when the time is over counts, too. */
function askUntil(socket: Socket, question: Buffer, until: number, tookMs: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let received: Buffer | null = null
    let askedAt = performance.now()
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the server ended a connection')))
    socket.on('data', (part: Buffer) => {
      received = received === null ? part : Buffer.concat([received, part])
      const headEnd = received.indexOf(HEAD_END)
      if (headEnd === -1) return
      const head = received.toString('latin1', 0, headEnd)
      const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
      if (!head.startsWith('HTTP/1.1 200 ') || length === undefined) {
        return reject(new Error(`the server answered ${head.split('\r\n', 1)[0] ?? ''}, or without a Content-Length`))
      }
      if (received.length < headEnd + HEAD_END.length + Number(length)) return
      received = null
      const now = performance.now()
      tookMs.push(now - askedAt)
      if (now >= until) return resolve()
      askedAt = now
      socket.write(question)
    })
    socket.write(question)
  })
}
