/**
 * Who shares a refresh: requests for the same variant of the same grant do, all others of a connection come one after
 * another (`PROTOCOL.md` section 11).
 */
import type { GrantNo, Uid } from './ids.ts'
import type { Refreshed, Refreshing } from './refresh.ts'
import type { VariantKey } from './variant.ts'

export interface Flight {
  readonly grant: GrantNo
  readonly variant: VariantKey
  /** Rejects only for a defect of ours. */
  readonly done: Promise<Refreshed>
}

export interface Flights {
  /** The refresh of this connection that is on its way, whatever it is for. */
  of(uid: Uid): Flight | undefined
  start(of: Refreshing): Flight
  /** Resolves when none is on its way. */
  landed(): Promise<void>
}

export function createFlights(refresh: (of: Refreshing) => Promise<Refreshed>): Flights {
  const flights = new Map<Uid, Flight>()
  return {
    of: (uid) => flights.get(uid),
    start(of) {
      const { uid, grant } = of.view.row
      const open = flights.get(uid)
      if (open !== undefined) return open
      const done = refresh(of).finally(() => flights.delete(uid))
      // A flight that nobody waits for must not end the process by an unhandled rejection; who waits still hears of it.
      done.catch(() => undefined)
      const flight = { grant, variant: of.variant.key, done }
      flights.set(uid, flight)
      return flight
    },
    async landed() {
      while (flights.size > 0) await Promise.allSettled([...flights.values()].map((flight) => flight.done))
    },
  }
}

/** Whether a request may take what this flight brings: the same grant and the same variant, nothing less. */
export const shares = (flight: Flight, grant: GrantNo, variant: VariantKey): boolean =>
  flight.grant === grant && flight.variant === variant
