import type { ConnectionInfo, TokenkeepEvent } from '@tokenkeep/core'
import type { Output } from '../cli/output.ts'
import type { DevPlace } from '../cli/place.ts'
import type { Count } from './calls.ts'
import type { Credentials } from './credentials.ts'

/** Everything that is worth knowing when the demo runs. */
export interface Facts {
  readonly authorizationServer: string
  readonly controlUrl: string
  readonly demoApi: string
  /** Where Tokenkeep serves, without a slash at the end. */
  readonly url: string
  /** The page, with a code that signs a browser in once, within a minute; null for the tour, which nobody looks at. */
  readonly page: string | null
  /** A browser was told to open it. */
  readonly pageOpened: boolean
  /** The drop-in's. */
  readonly tokenEndpoint: string
  readonly credentials: Credentials
  readonly place: DevPlace
  readonly connections: readonly string[]
  /** A sign-in that Tokenkeep does not keep, for a request by hand; null for the tour, which nobody joins. */
  readonly byHand: ByHand | null
}

export interface ByHand {
  /** The authorization server's. */
  readonly tokenEndpoint: string
  readonly clientId: string
  readonly clientSecret: string
  readonly refreshToken: string
}

export interface ConnectionStatus {
  readonly info: ConnectionInfo
  readonly calls: Count
}

/** One thing that the tour tried. */
export interface Step {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
}

/** Who tells what happens: in words for people, or as JSON lines for programs. */
export interface Narrator {
  /** How often it wants the status, milliseconds. */
  readonly statusEveryMs: number
  ready(facts: Facts): void
  event(event: TokenkeepEvent): void
  status(statuses: readonly ConnectionStatus[]): void
  callFailed(id: string, because: string): void
  step(step: Step): void
  tourEnded(ok: boolean): void
  stopping(): void
}

const STATUS_EVERY_MS = 10_000

/** One JSON object a line: the ready line first, then events as they are, and what the demo adds with a `type` of its own. */
export function createJsonNarrator(output: Output, now: () => number): Narrator {
  return {
    statusEveryMs: STATUS_EVERY_MS,
    ready({ authorizationServer, controlUrl, demoApi, place, connections, url, page, tokenEndpoint, credentials }) {
      const before = { ready: true, authorizationServer, controlUrl, demoApi, data: place.folder, connections }
      const { apiKey, clientId, clientSecret, refreshToken } = credentials
      output.line({ ...before, url, page, tokenEndpoint, apiKey, clientId, clientSecret, refreshToken })
    },
    event: (event) => output.line(event),
    status(statuses) {
      for (const { info, calls } of statuses) {
        const { id, status, reason, generation, accessTokenExpiresAt, lastRefreshAt } = info
        const line = { status, reason, generation, accessTokenExpiresAt, lastRefreshAt, calls }
        output.line({ type: 'status', at: now(), connection: id, ...line })
      }
    },
    callFailed: (id, because) => output.line({ type: 'call_failed', at: now(), connection: id, because }),
    step: (step) => output.line({ type: 'step', at: now(), ...step }),
    tourEnded: (ok) => output.line({ type: 'tour', at: now(), ok }),
    stopping: () => undefined,
  }
}
