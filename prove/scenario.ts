/** What a scenario is, and what it hands back. */
import type { DatabaseKind } from './database.ts'

/** One sentence of what was shown, with the numbers that show it. */
export interface Finding {
  /** What must be so, as a sentence. */
  readonly claim: string
  /** What was measured. */
  readonly measured: string
  /** `not_run`: a part of the machine is missing; `measured` says which. */
  readonly verdict: 'holds' | 'fails' | 'not_run'
}

export interface Scenario {
  /** As in `--only`. */
  readonly name: string
  readonly title: string
  readonly databases: readonly DatabaseKind[]
  /** Ended and reported after so many seconds. */
  readonly limitSeconds: number
  run(stage: Stage): Promise<readonly Finding[]>
}

/** Where a scenario plays. */
export interface Stage {
  readonly database: DatabaseKind
  /** Tells whoever watches how far it is. */
  say(line: string): void
}

/** What a scenario on one database came to. */
export interface Result {
  readonly scenario: string
  readonly title: string
  readonly database: DatabaseKind
  readonly findings: readonly Finding[]
  readonly tookSeconds: number
  /** Calendar day, UTC. */
  readonly measuredOn: string
}

export function finding(claim: string, measured: string, holds: boolean): Finding {
  return { claim, measured, verdict: holds ? 'holds' : 'fails' }
}

export const notRun = (claim: string, because: string): Finding => ({ claim, measured: because, verdict: 'not_run' })
