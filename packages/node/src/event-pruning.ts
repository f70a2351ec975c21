/** Forgets old events, a few at a time: nobody waits for a long delete. */
import { later, ms, type Clock } from '@tokenkeep/core'
import type { EventRows } from './event-rows.ts'

const HOUR_MS = 3_600_000
/** Said all is well: a million connections refresh 280 times a second, and the history of each has its last hundred. */
export const ROUTINE_KEPT_MS = ms(HOUR_MS)
/** Longer than anybody is away who wants to know why a connection died. */
export const NOTABLE_KEPT_MS = ms(30 * 24 * HOUR_MS)

const EVERY_MS = ms(60_000)
/** One short transaction. */
const AT_ONCE = 500
/** Between two of them, so that others write as well. */
const PAUSE_MS = ms(20)
/** What was too young when it was passed is looked at again. */
const AGAIN_FROM_THE_START_MS = 24 * HOUR_MS

/** Looks once a minute. A store that is away is asked again then. */
export function keepPruning({ rows, clock }: { readonly rows: Pick<EventRows, 'prune'>; readonly clock: Clock }): {
  stop(): void
} {
  let stopped = false
  let passed = 0
  let startedAt = clock.now().mono
  let alarm = clock.alarm(EVERY_MS)

  const prune = async (): Promise<void> => {
    const { mono, wall } = clock.now()
    if (mono - startedAt > AGAIN_FROM_THE_START_MS) {
      passed = 0
      startedAt = mono
    }
    const before = { routine: later(wall, ms(-ROUTINE_KEPT_MS)), notable: later(wall, ms(-NOTABLE_KEPT_MS)) }
    while (!stopped) {
      const to = await rows.prune(passed, before, AT_ONCE)
      if (to === passed) return
      passed = to
      await clock.alarm(PAUSE_MS).rung
    }
  }
  const rounds = async (): Promise<void> => {
    for (;;) {
      await alarm.rung
      if (stopped) return
      await prune().catch(() => undefined)
      alarm = clock.alarm(EVERY_MS)
    }
  }
  void rounds()
  return {
    stop() {
      stopped = true
      alarm.cancel()
    },
  }
}
