/**
 * Connections to APIs: opened by the rules for addresses, and kept for the next request to the same place.
 *
 * A request that may not be repeated gets a connection of its own: on one that was kept, its server may be hanging up at
 * this moment, and then nobody knows whether it took the request (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1).
 */
import { Agent, type AgentOptions, type RequestOptions } from 'node:http'
import type { Duplex } from 'node:stream'
import type { DurationMs, NotSentBecause } from '@tokenkeep/core'
import type { Host, OpenSocket } from './dial.ts'

export interface ApiAgents {
  readonly kept: ApiAgent
  readonly single: ApiAgent
  /** Ends the connections that wait, and those in use. */
  close(): void
}

/** What a request to an API says of where it goes, beside what Node's own options say. */
export interface ApiRequestOptions extends RequestOptions {
  readonly to: Host
}

/** No connection came about, so nothing was sent. */
export class NotConnected extends Error {
  override readonly name = 'NotConnected'
  readonly because: NotSentBecause

  constructor(because: NotSentBecause) {
    super(`no connection: ${because}`)
    this.because = because
  }
}

/** Shorter than servers keep idle connections; of one that says how long it does, Node believes that. */
const IDLE_MS = 4_000
/** To one place. */
const IDLE_MOST = 32

export function createApiAgents(openSocket: OpenSocket, withinMs: DurationMs): ApiAgents {
  const kept = new ApiAgent({ keepAlive: true, timeout: IDLE_MS, maxFreeSockets: IDLE_MOST }, openSocket, withinMs)
  const single = new ApiAgent({ keepAlive: false }, openSocket, withinMs)
  return {
    kept,
    single,
    close() {
      kept.destroy()
      single.destroy()
    },
  }
}

class ApiAgent extends Agent {
  readonly #openSocket: OpenSocket
  readonly #withinMs: DurationMs

  constructor(options: AgentOptions, openSocket: OpenSocket, withinMs: DurationMs) {
    super(options)
    this.#openSocket = openSocket
    this.#withinMs = withinMs
  }

  /** A connection is for the same origin by the same rules only. */
  override getName(options?: RequestOptions): string {
    const { url, allowPrivateNetwork } = hostOf(options)
    return `${url.origin} ${allowPrivateNetwork}`
  }

  override createConnection(options: RequestOptions, done?: (error: Error | null, socket: Duplex) => void): undefined {
    const answer = done as ((error: Error | null, socket?: Duplex) => void) | undefined
    void this.#openSocket(hostOf(options), this.#withinMs).then((opened) => {
      if (opened.kind === 'opened') answer?.(null, opened.socket)
      else answer?.(new NotConnected(opened.because))
    })
  }
}

const hostOf = (options: RequestOptions | undefined): Host => (options as ApiRequestOptions).to
