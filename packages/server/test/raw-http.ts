/** A raw HTTP/1.1 connection for requests that no client library would send, and for many of them in little time. */
import { connect, type Socket } from 'node:net'

export interface RawAnswer {
  readonly status: number
  /** Status line and headers, as they came. */
  readonly head: string
  readonly body: string
}

export interface RawConnection {
  /** Sends these bytes and reads one answer with a Content-Length; null: the server ended the connection without one. */
  exchange(bytes: Buffer): Promise<RawAnswer | null>
  close(): void
}

/** Connects again by itself where the server ended the last exchange's connection. */
export function openRawConnection(port: number): RawConnection {
  let socket: Socket | null = null
  const opened = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const fresh = connect(port, '127.0.0.1', () => resolve(fresh))
      // Also heard when nobody waits: a reset after an answer is none of our business.
      fresh.setNoDelay(true).on('error', reject)
    })
  return {
    async exchange(bytes) {
      socket = socket === null || socket.destroyed || !socket.writable ? await opened() : socket
      const answer = await answerOn(socket, bytes)
      if (answer === null || /^connection: close/im.test(answer.head)) {
        socket.destroy()
        socket = null
      }
      return answer
    },
    close: () => void socket?.destroy(),
  }
}

function answerOn(socket: Socket, bytes: Buffer): Promise<RawAnswer | null> {
  return new Promise((resolve) => {
    let text = ''
    const done = (answer: RawAnswer | null): void => {
      socket.off('data', read).off('close', ended).off('error', ended).off('end', ended)
      resolve(answer)
    }
    const read = (chunk: Buffer): void => {
      text += chunk.toString('latin1')
      const at = text.indexOf('\r\n\r\n')
      if (at === -1) return
      const head = text.slice(0, at)
      const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)
      if (text.length < at + 4 + length) return
      done({ status: Number(head.split(' ', 2)[1]), head, body: text.slice(at + 4, at + 4 + length) })
    }
    const ended = (): void => done(null)
    socket.on('data', read).once('close', ended).once('error', ended).once('end', ended)
    socket.write(bytes)
  })
}
