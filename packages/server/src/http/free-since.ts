/**
 * Since when a connection has been free for its next request. A request that is read now may have been sent at any moment
 * since then: it waited in a queue of its client, of the kernel, or of an event loop that was late.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock, MonoMs } from '@tokenkeep/core'

export interface FreeSince {
  /** `now` for a connection that was never seen. */
  of(socket: Socket, now: MonoMs): MonoMs
  /** An answer leaves. Who does not say so lets it look free for longer than it is. */
  answered(socket: Socket): void
}

/** @param of `secureConnection` where the server speaks TLS: the requests are on those */
export function createFreeSince(
  server: Server,
  { of, clock }: { readonly of: 'connection' | 'secureConnection'; readonly clock: Pick<Clock, 'now'> },
): FreeSince {
  const since = new WeakMap<Socket, MonoMs>()
  const free = (socket: Socket): void => void since.set(socket, clock.now().mono)
  server.on(of, free)
  return { of: (socket, now) => since.get(socket) ?? now, answered: free }
}
