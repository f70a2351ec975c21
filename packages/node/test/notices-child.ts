/**
 * One of several processes on a database: refreshes, waits, or remembers. Its orders come as JSON lines on stdin, the
 * first one says what to open; each is answered by one line. Times are those of the host's monotonic clock, milliseconds.
 */
import process from 'node:process'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import type { Alarm, Clock } from '@tokenkeep/core'
import { createSystemClock } from '../src/clock-system.ts'
import { openWithClocks } from '../src/open-tokenkeep.ts'
import { movableClocks } from './fixtures/movable-clocks.ts'

export interface Opening {
  readonly path: string
  readonly keyFile: string
  /** Its clocks are so far ahead of the others', so that what is fresh to them is old enough to be refreshed here. */
  readonly aheadMs: number
  /** Hands out what lives, begins no refresh, and never polls: it hears of others by notices, or not at all. */
  readonly onlyRemembers: boolean
}

export type Order =
  /** Answered with the access token handed out. */
  | { readonly act: 'hand_out'; readonly id: string }
  /** Refreshes and answers with the moment after the commit. */
  | { readonly act: 'refresh'; readonly id: string }
  /** Asks, and answers with the moment when it was handed a token. */
  | { readonly act: 'wait'; readonly id: string }
  /** Asks once a millisecond, and answers with the moment when it was handed another token than `old` first. */
  | { readonly act: 'watch'; readonly id: string; readonly old: string }

const now = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`)

/** The bells of those who wait, and of those who remember. */
const LOOKS: readonly number[] = [10, 50]
/** Shorter ones are the pause after a notice, longer ones a caller's deadline. */
const isPoll = (afterMs: number): boolean => afterMs > 1 && afterMs <= 1_000
const SILENT: Alarm = { rung: new Promise(() => undefined), cancel: () => undefined }
const without = (clock: Clock, silenced: (afterMs: number) => boolean): Clock => ({
  ...clock,
  alarm: (afterMs) => (polls || !silenced(afterMs) ? clock.alarm(afterMs) : SILENT),
})

/** As long as a call waits. */
const HEARD_WITHIN_MS = 20_000

/** While the database is opened and closed, processes may have to wait for each other. */
let polls = true

async function anotherThan(old: string, id: string): Promise<void> {
  const until = now() + HEARD_WITHIN_MS
  while ((await keep.token(id)).accessToken === old) {
    if (now() > until) throw new Error('the new token was not heard of')
    await pause(1)
  }
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const { path, keyFile, aheadMs, onlyRemembers } = JSON.parse((await lines.next()).value ?? '') as Opening
const clocks = movableClocks()
clocks.forward(aheadMs)
let committedAt = 0
const options = {
  path,
  keyFile,
  keyBesideData: true,
  onEvent: ({ type }: { type: string }) => {
    if (type === 'refreshed') committedAt = now()
  },
}
const keep = await openWithClocks(options, {
  ...clocks,
  clock: without(clocks.clock, isPoll),
  background: without(
    createSystemClock({ alarms: 'background' }),
    (afterMs) => isPoll(afterMs) && !LOOKS.includes(afterMs),
  ),
})
if (onlyRemembers) {
  keep.stopRefreshing()
  polls = false
}
say({ open: true })

for (;;) {
  const { value, done } = await lines.next()
  if (done === true) break
  const order = JSON.parse(value) as Order
  switch (order.act) {
    case 'hand_out':
      say({ token: (await keep.token(order.id)).accessToken })
      break
    case 'refresh':
      await keep.token(order.id, { minTtlMs: 3_600_000 })
      say({ at: committedAt })
      break
    case 'wait':
      await keep.token(order.id)
      say({ at: now() })
      break
    case 'watch':
      say({ watching: true })
      await anotherThan(order.old, order.id)
      say({ at: now() })
  }
}
polls = true
await keep.close()
