/**
 * Brings what was counted to the database: every ten seconds, and at an orderly end. A process that is killed loses what it
 * counted since; a database that is away gets it later. Nobody who is handed a token waits for any of it.
 */
import { ms, refreshOutcomeOf, type Clock, type CountHandOut, type TokenkeepEvent } from '@tokenkeep/core'
import {
  createHandOutCounts,
  createRefreshCounts,
  createWaiting,
  HAND_OUT_ROWS,
  REFRESH_ROWS,
  type Waiting,
} from './minute-counts.ts'
import {
  HAND_OUTS_KEPT_MS,
  MINUTE_MS,
  REFRESHES_KEPT_MS,
  ROWS_AT_ONCE,
  type MinuteRows,
  type Recipient,
} from './minute-rows.ts'

/** It divides a minute, so that what is counted between two rounds is of one minute. */
export const WRITE_EVERY_MS = 10_000
/** Where nothing is counted, what is over is looked for so seldom. */
const FORGET_EVERY_MS = 60 * MINUTE_MS
/** At an orderly end nobody waits longer for a database that is away. */
const END_MOST_MS = 2_000

export interface Minutes {
  /** Asked before each round for what is counted elsewhere. */
  before(tell: () => void): void
  /** Counts what is handed out to somebody. */
  handedTo(recipient: Recipient): CountHandOut
  heard(event: TokenkeepEvent): void
  /** Writes what was counted so far, as far as the database takes it. */
  flush(): Promise<void>
  /** Ends the rounds, and writes what is left. */
  stop(): Promise<void>
}

export interface MinutesSetup {
  readonly rows: MinuteRows
  readonly clock: Pick<Clock, 'now'>
  /** Its alarms keep no process alive. */
  readonly background: Clock
}

export function keepMinutes({ rows, clock, background }: MinutesSetup): Minutes {
  const handOuts = createHandOutCounts()
  const refreshes = createRefreshCounts()
  const waitingHandOuts = createWaiting(HAND_OUT_ROWS)
  const waitingRefreshes = createWaiting(REFRESH_ROWS)
  let tellHandOuts = (): void => undefined
  const minuteNow = (): number => Math.floor(clock.now().wall / MINUTE_MS) * MINUTE_MS
  // Of what is counted between two rounds: the first of them rings at the minute's begin, or a moment later.
  let minute = minuteNow()
  let forgotAt = clock.now().wall as number

  const collect = (): void => {
    tellHandOuts()
    waitingHandOuts.add(handOuts.take(minute))
    waitingRefreshes.add(refreshes.take(minute))
    minute = minuteNow()
  }

  /** @returns how many were written */
  const writeAll = async <Row>(
    waiting: Waiting<Row>,
    write: (some: readonly Row[]) => Promise<void>,
  ): Promise<number> => {
    let written = 0
    for (let left = waiting.size; left > 0; left -= ROWS_AT_ONCE) {
      const some = waiting.take(Math.min(left, ROWS_AT_ONCE))
      try {
        await write(some)
      } catch (error) {
        // Where the database is away after it has taken them, they are counted twice: rather that than not at all.
        waiting.add(some)
        throw error
      }
      written += some.length
    }
    return written
  }

  /** As much as was written is deleted, and some more, so that what is over goes even where much is written. */
  const forget = async (some: (before: number, most: number) => Promise<number>, before: number, written: number) => {
    for (let left = written + ROWS_AT_ONCE; left > 0; left -= ROWS_AT_ONCE) {
      if ((await some(before, ROWS_AT_ONCE)) < ROWS_AT_ONCE) return
    }
  }

  const writeAndForget = async (): Promise<void> => {
    const { wall } = clock.now()
    const handed = await writeAll(waitingHandOuts, rows.addHandOuts)
    const refreshed = await writeAll(waitingRefreshes, rows.addRefreshes)
    if (handed + refreshed === 0 && wall - forgotAt < FORGET_EVERY_MS) return
    forgotAt = wall
    await forget(rows.forgetHandOuts, wall - HAND_OUTS_KEPT_MS, handed)
    await forget(rows.forgetRefreshes, wall - REFRESHES_KEPT_MS, refreshed)
  }

  /** One after the other, so that rows that failed and wait again are not overtaken. */
  let writing: Promise<void> = Promise.resolve()
  const flush = (): Promise<void> => {
    collect()
    writing = writing.then(writeAndForget).catch(() => undefined)
    return writing
  }

  const nextRound = () => background.alarm(ms(WRITE_EVERY_MS - (clock.now().wall % WRITE_EVERY_MS)))
  let alarm = nextRound()
  let stopped = false
  const goOn = async (): Promise<void> => {
    for (;;) {
      await alarm.rung
      if (stopped) return
      await flush()
      alarm = nextRound()
    }
  }
  void goOn()

  return {
    handedTo: handOuts.of,
    heard(event) {
      const outcome = refreshOutcomeOf(event.type)
      if (outcome === null || !('provider' in event)) return
      refreshes.add(event.provider, outcome, event.type === 'refreshed' ? event.tookMs : null)
    },
    before(tell) {
      tellHandOuts = tell
    },
    flush,
    async stop() {
      stopped = true
      alarm.cancel()
      const late = background.alarm(ms(END_MOST_MS))
      await Promise.race([flush(), late.rung])
      late.cancel()
    },
  }
}
