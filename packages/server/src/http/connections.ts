/** The connections of a server, to end them when it ends: Node's own list leaves out those that never asked anything. */
import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export interface Connections {
  /** Ends those on which no request waits for its answer. */
  closeIdle(): void
  closeAll(): void
}

/** @param of `secureConnection` where the server speaks TLS: the answers are on those */
export function watchConnections(server: Server, of: 'connection' | 'secureConnection'): Connections {
  const asking = watched(server, of)
  // Also those that have not said who they are yet.
  const all = of === 'connection' ? asking : watched(server, 'connection')
  return {
    closeIdle() {
      for (const socket of asking) if (answerOn(socket) === null) socket.destroy()
    },
    closeAll() {
      for (const socket of all) socket.destroy()
    },
  }
}

/** The answer that is being written to a connection, or will be; null: none. Node keeps it there, and nowhere else. */
export const answerOn = (socket: Socket): ServerResponse | null =>
  (socket as Socket & { readonly _httpMessage?: ServerResponse | null })._httpMessage ?? null

function watched(server: Server, event: string): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.on(event, (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return sockets
}
