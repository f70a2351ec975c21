/** What a scenario is, and what it counts. */
import type { Stage } from './stage.ts'

export interface Scenario {
  /** As in `--only`. */
  readonly name: string
  readonly title: string
  /** What is done, in a sentence, for `results.md`. */
  readonly about: string
  /** Ended and reported after so many seconds. */
  readonly limitSeconds: number
  play(stage: Stage): Promise<void>
}

/** What one peer came to in one scenario. */
export interface Counts {
  /** Access tokens that ended, each of which makes one refresh necessary. */
  readonly expiries: number
  readonly refreshes: number
  readonly secondPresentations: number
  readonly logins: number
  /** Ended by the server for a second presentation. */
  readonly killed: number
  /** Killed, or without a token that works at the next expiry, though one process alone asks for it. */
  readonly lost: number
  readonly calls: number
  /** Calls that got no token, or one that the API refuses. */
  readonly bad: number
  /** The same, of the calls while the provider was out; null: it never was. */
  readonly out: readonly OutCalls[]
}

export interface OutCalls {
  /** For example `old token valid`. */
  readonly when: string
  readonly calls: number
  readonly failed: number
}

/** A row of the table. */
export interface Row {
  readonly scenario: string
  readonly peer: string
  /** Null: the driver did not come to the end. */
  readonly counts: Counts | null
  /** Why calls were bad, most frequent first, and what the scenario has to say; or what the driver did. */
  readonly remark: string
  readonly tookSeconds: number
}
