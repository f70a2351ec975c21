import type { FaultMenu } from './fault.ts'
import type { Realm } from './realm.ts'
import type { RequestLog } from './request-log.ts'
import type { SeenProofs } from './seen-proofs.ts'
import type { State } from './state.ts'
import type { Tally } from './totals.ts'
import type { Turns } from './turns.ts'

/** Everything one running devserver consists of, passed down to whoever serves a request. */
export interface World {
  /** `http://127.0.0.1:port` */
  readonly origin: string
  readonly state: State
  readonly realms: Map<string, Realm>
  readonly faults: FaultMenu
  readonly tally: Tally
  readonly log: RequestLog
  /** One turn a session: presentations of its refresh tokens are decided one after another. */
  readonly turns: Turns
  readonly proofs: SeenProofs
  /** Aborted when the server closes. */
  readonly closing: AbortSignal
}
