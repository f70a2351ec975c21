/**
 * Does by itself what is due: refreshes ahead, tries in doubt, confirmations, takeovers, deletions; and asks once a
 * second whether others wrote to what was used lately (`PROTOCOL.md` sections 10 and 11).
 */
import type { View } from './connection.ts'
import type { Manager } from './manager.ts'
import type { Ports } from './ports.ts'
import { ms } from './time.ts'

const EVERY_MS = ms(1000)
/** What one round claims; the next round is a second away, and a claim that is not done comes back by itself. */
const BATCH = 64

export interface Scheduler {
  /** Ends the rounds; resolves when the one on its way is over. */
  stop(): Promise<void>
}

/**
 * @param finishDeletion goes on with a deletion that is due again
 */
export function startScheduler(
  ports: Ports,
  manager: Manager,
  finishDeletion: (view: View) => Promise<void>,
): Scheduler {
  const { store, clock, events } = ports
  let stopped = false
  let away = false

  const tend = (view: View): Promise<void> =>
    view.row.state.status === 'deleting' ? finishDeletion(view) : manager.tend(view)

  const round = async (): Promise<void> => {
    for (const view of await store.changes(manager.cache.usedLately())) manager.cache.drop(view.row.uid)
    for (const view of await store.due({ limit: BATCH, except: [] })) {
      // Nobody waits for these; each settles by itself, and what fails stays due.
      tend(view).catch(() => undefined)
    }
  }

  const run = async (): Promise<void> => {
    while (!stopped) {
      try {
        await round()
        away = false
      } catch {
        if (!away) events.tell({ type: 'store_unavailable', at: clock.now().wall })
        away = true
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
    async stop() {
      stopped = true
      end()
      await running
    },
  }
}
