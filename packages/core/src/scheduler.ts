/**
 * Does by itself what is due: refreshes ahead, tries in doubt, confirmations, takeovers, deletions; and asks once a
 * second whether others wrote to what was used lately (`PROTOCOL.md` sections 10 and 11).
 */
import type { View } from './connection.ts'
import type { Manager } from './manager.ts'
import type { Ports } from './ports.ts'
import { ms, since, type MonoMs } from './time.ts'

const EVERY_MS = ms(1000)
/** What one round claims; the next round is a second away, and a claim that is not done comes back by itself. */
const BATCH = 64
/**
 * How many others are probed in a round, each for well under a millisecond. As every process does so, a death is seen
 * within a second or two however many they are, and nobody spends the second on probing.
 */
const PROBES = 8

export interface Scheduler {
  /** From now on what is due is left to other processes; what this one remembers is still compared with the store. */
  onlyWatch(): void
  /** Ends the rounds; resolves when the one on its way is over. */
  stop(): Promise<void>
}

/**
 * Begins the rounds, one a second.
 *
 * @param finishDeletion goes on with a deletion that is due again; null: what is due is left to other processes, and
 *   only what this one remembers is compared with the store
 */
export function startScheduler(
  ports: Ports,
  manager: Manager,
  finishDeletion: ((view: View) => Promise<void>) | null,
): Scheduler {
  const { store, clock, events } = ports
  let stopped = false
  let finish = finishDeletion
  /** When the store was first found away, by the monotonic clock. */
  let awaySince: MonoMs | null = null

  const tend = (view: View, finishIt: (view: View) => Promise<void>): Promise<void> =>
    view.row.state.status === 'deleting' ? finishIt(view) : manager.tend(view)

  const round = async (): Promise<void> => {
    for (const view of await store.changes(manager.cache.usedLately())) manager.cache.drop(view.row.uid)
    if (finish === null) return
    for (const view of await store.due({ limit: BATCH, except: [] })) {
      // Nobody waits for these; each settles by itself, and what fails stays due.
      tend(view, finish).catch(() => undefined)
    }
    // Also where nobody waits for the one who died: a grace window does not wait for the end of its lease.
    await manager.watches.buryTheDead(PROBES)
  }

  const run = async (): Promise<void> => {
    while (!stopped) {
      try {
        await round()
        awaySince = null
      } catch {
        const now = clock.now()
        if (awaySince === null) events.tell({ type: 'store_unavailable', at: now.wall })
        awaySince ??= now.mono
        // Nobody knows any more whether they were deleted or replaced.
        if (since(awaySince, now.mono) >= manager.numbers.cacheWithoutStoreMs) manager.cache.clear()
      }
      await Promise.race([clock.alarm(EVERY_MS).rung, ended])
    }
  }

  let end: () => void = () => undefined
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const running = run()
  return {
    onlyWatch() {
      finish = null
    },
    async stop() {
      stopped = true
      end()
      await running
    },
  }
}
