/** Faults that wait for the call that they meet. */
import type { Happening, HappeningKind, PlannedServerFault, ServerFault, Verb } from './plan.ts'

/** A fault of one call of a port. */
export type CallFault = Extract<Happening, { readonly verb: Verb }>

export interface Armed {
  readonly happening: CallFault
  /** So many calls of its verb go by before. */
  left: number
  times: number
}

interface ArmedAtServer {
  readonly kind: ServerFault
  readonly forMs: number
  times: number
}

export interface ArmedFaults {
  arm(happening: CallFault): void
  armServer(fault: PlannedServerFault): void
  /** The faults that meet this call. */
  strike(verb: Verb, canFail: boolean): readonly Armed[]
  /** What becomes of the next presentation; null: nothing special. */
  strikePresentation(): { readonly kind: ServerFault; readonly forMs: number } | null
  disarm(): void
  /** Nothing strikes any more, also where it was to strike later. */
  isOver(): boolean
}

const NONE: readonly Armed[] = []
/** Faults that only a call meets that can fail. */
const OF_FAILING: readonly HappeningKind[] = ['store_error', 'lost_acknowledgement', 'store_forgets']

/** @param happened counts what came about */
export function createArmedFaults(happened: (kind: HappeningKind) => void): ArmedFaults {
  let armed: Armed[] = []
  let atServer: ArmedAtServer[] = []
  let over = false
  return {
    arm(happening) {
      armed.push({ happening, left: happening.nth - 1, times: happening.kind === 'store_error' ? happening.times : 1 })
    },
    armServer: ({ kind, forMs, times }) => void atServer.push({ kind, forMs, times }),
    strike(verb, canFail) {
      if (armed.length === 0) return NONE
      const struck: Armed[] = []
      for (const each of armed) {
        if (each.happening.verb !== verb) continue
        if (!canFail && OF_FAILING.includes(each.happening.kind)) continue
        if (each.left > 0) each.left -= 1
        else {
          each.times -= 1
          struck.push(each)
          happened(each.happening.kind)
        }
      }
      if (struck.length > 0) armed = armed.filter(({ times }) => times > 0)
      return struck
    },
    strikePresentation() {
      const [first] = atServer
      if (first === undefined) return null
      first.times -= 1
      if (first.times === 0) atServer = atServer.slice(1)
      happened(first.kind)
      return first
    },
    isOver: () => over,
    disarm() {
      over = true
      armed = []
      atServer = []
    },
  }
}
