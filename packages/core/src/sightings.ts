/**
 * How long other processes' attempts have been open without a sign of life, for those that nobody waits for.
 *
 * A lease has to be watched for one lease before it counts as over, and one that is watched only from its end is over two
 * leases after its last heartbeat: in a short grace window that is too late. So each round notes by name what is open; what
 * a later round finds as it was has been silent ever since, and is watched as if it had been from then on (`PROTOCOL.md`
 * section 10: the timer alone comes inside the window).
 */
import type { View } from './connection.ts'
import type { Fence, Revision, Uid } from './ids.ts'
import { attemptOf } from './lease.ts'
import type { Clock, ConnectionStore } from './ports.ts'
import { windowLeftMs } from './schedule.ts'
import type { MonoMs } from './time.ts'

export interface Sightings {
  /** Looks once; to be called in each round. The attempts that fell silent and whose window closes before long. */
  look(): Promise<readonly View[]>
  /** Since when this process has seen the attempt of this view as it is; null: for no longer than the view. */
  since(view: View): MonoMs | null
  /** What was seen did not prove enough: whoever watches it begins anew. */
  forget(uid: Uid): void
  /** The store was away: no owner could give a sign of life, so no silence counts. */
  forgetAll(): void
}

interface Sighting {
  readonly fence: Fence
  readonly heartbeat: number
  readonly at: MonoMs
  /** It was looked at: nothing is lost where it is taken over later. */
  canWait: boolean
}

/** From the end of a lease one more passes until it is over, and a third one is enough for a try of one's own. */
const LEASES = 3
/** No row has it, so each one is told. */
const NONE = 0 as Revision

export function createSightings(
  store: Pick<ConnectionStore, 'openElsewhere' | 'changes'>,
  clock: Pick<Clock, 'now'>,
): Sightings {
  let sightings = new Map<Uid, Sighting>()

  return {
    async look() {
      const before = sightings
      // Of a store that was away nobody knows what it forgot.
      sightings = new Map()
      const open = await store.openElsewhere()
      // After the answer: what was so when it was read has been so at least since now.
      const at = clock.now().mono
      const silent: Sighting[] = []
      const asked: (readonly [Uid, Revision])[] = []
      for (const { uid, fence, heartbeat } of open) {
        const known = before.get(uid)
        const same = known?.fence === fence && known.heartbeat === heartbeat ? known : null
        const sighting = same ?? { fence, heartbeat, at, canWait: false }
        sightings.set(uid, sighting)
        if (same === null || same.canWait) continue
        silent.push(same)
        asked.push([uid, NONE])
      }
      if (asked.length === 0) return []
      const views = (await store.changes(asked)).filter(closesSoon)
      const closing = new Set(views.map(({ row }) => row.uid))
      for (const [index, sighting] of silent.entries())
        sighting.canWait = !closing.has(asked[index]?.[0] ?? ('' as Uid))
      return views
    },
    since({ row }) {
      const seen = sightings.get(row.uid)
      return seen?.fence === row.fence && seen.heartbeat === attemptOf(row.state)?.heartbeat ? seen.at : null
    },
    forget: (uid) => void sightings.delete(uid),
    forgetAll: () => sightings.clear(),
  }
}

/** Whether the doubt that this attempt would be has a window that could close before its lease is watched from its end on. */
function closesSoon({ row, terms, readAt }: View): boolean {
  const { state } = row
  const attempt = attemptOf(state)
  if (state.status !== 'presenting' || attempt === null) return false
  const { from } = state
  const doubt = from.status === 'in_doubt' ? from : { since: attempt.acquiredAt }
  const leftMs = windowLeftMs(doubt, terms.policy, readAt.store)
  return leftMs > 0 && leftMs < LEASES * attempt.leaseMs
}
