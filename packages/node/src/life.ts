/**
 * Keeps the life of a database: raises its epoch once a minute while commits happen, and looks each time whether another
 * life of it went on meanwhile (`PROTOCOL.md` section 9, "Incarnation").
 */
import { goesOn, ms, type Clock, type ConnectionStore, type Incarnation, type Random } from '@tokenkeep/core'
import type { Markers } from './markers.ts'
import type { IncarnationRows } from './store-rows.ts'

export interface LifeOptions {
  readonly store: Pick<ConnectionStore, 'incarnation' | 'adopt'>
  readonly rows: IncarnationRows
  /** Writes committed so far, by this process. */
  readonly committed: () => number
  readonly markers: Markers
  /** As it was opened: its marker is written now. */
  readonly opened: Incarnation
  /** Its alarms keep no process alive. */
  readonly background: Clock
  readonly random: Random
}

export interface Adopted {
  readonly incarnation: Incarnation
  /** Whether there was a hold. */
  readonly wasOnHold: boolean
  /** Connections that are in doubt by it: presented once, when their access token has ended. */
  readonly inDoubt: number
}

export interface Life {
  /** Ends a hold: the original is off. Where there is none, nothing changes. */
  adopt(): Promise<Adopted>
  /** The last epoch of this process, where it wrote anything since the one before; then its marker. */
  close(): Promise<void>
}

const EVERY_MS = ms(60_000) // A backup that is older than this is noticed when it is put back, whoever was killed.

export function keepLife({ store, rows, committed, markers, opened, background, random }: LifeOptions): Life {
  let counted = committed()
  let closed = false
  let end: () => void = () => undefined
  const ended = new Promise<void>((resolve) => (end = resolve))

  const mark = async (life: Incarnation): Promise<void> => {
    // What is on hold is not the database that the marker is about.
    if (life.hold === null) await markers.write(life)
  }

  const goOn = async (): Promise<void> => {
    if (committed() === counted) return
    const { installation } = opened
    // Before the database: within one life it is never ahead of it.
    const around = { placeNow: rows.placeNow, markers: markers.read(installation), branch: random.uuid() }
    const life = await rows.change((kept, { wall }) => goesOn(kept, { ...around, now: wall }))
    counted = committed()
    await mark(life)
  }

  const run = async (): Promise<void> => {
    await mark(opened)
    while (!closed) {
      const alarm = background.alarm(EVERY_MS)
      await Promise.race([alarm.rung, ended])
      alarm.cancel()
      // A store that is away raises nothing; the next minute is another try.
      if (!closed) await goOn().catch(() => undefined)
    }
  }
  const running = run()

  return {
    async adopt() {
      const seen = await store.incarnation()
      const done = await store.adopt(seen, markers.read(seen.installation))
      await mark(done.incarnation)
      return { ...done, wasOnHold: seen.hold !== null }
    },
    async close() {
      if (closed) return
      closed = true
      end()
      await running
      await goOn().catch(() => undefined)
    },
  }
}
