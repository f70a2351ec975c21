import type { Seen } from './answer.ts'
import type { Endpoint, Fault } from './fault.ts'

/** One request as the server saw it; tokens only as fingerprints. */
export interface LoggedRequest {
  /** Epoch milliseconds. */
  readonly at: number
  readonly endpoint: Endpoint
  readonly realm: string | null
  readonly grantType: string | null
  readonly clientId: string | null
  /** TCP port that the request came from: tells connections apart, and whoever made them knows its own. */
  readonly clientPort: number | null
  readonly sessionId: string | null
  /** Of the refresh or access token that came with it. */
  readonly tokenFingerprint: string | null
  readonly scope: string | null
  readonly seen: Seen
  readonly faultBefore: Fault['kind'] | null
  readonly faultAfter: Fault['kind'] | null
  readonly tookMs: number
}

const KEPT = 2000 // A test looks at the last few; a day of `tokenkeep dev` must not fill the memory.

/** The last requests, oldest first; not kept over a restart. */
export class RequestLog {
  #entries: LoggedRequest[] = []

  add(entry: LoggedRequest): void {
    this.#entries.push(entry)
    if (this.#entries.length > 2 * KEPT) this.#entries = this.#entries.slice(-KEPT)
  }

  list(): readonly LoggedRequest[] {
    return this.#entries.slice(-KEPT)
  }

  clear(): void {
    this.#entries = []
  }
}
