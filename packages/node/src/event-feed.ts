/**
 * What is recorded, as it comes, for any number of listeners: however many there are, the database is asked once.
 *
 * The newest events are kept in memory for as long as anybody listens. Who is behind them reads for itself until it has
 * caught up.
 */
import { ms, type Clock } from '@tokenkeep/core'
import type { EventQuery, EventRows, StoredEvent } from './event-rows.ts'

export interface Feed {
  /** Later events than `position`, without end; it ends where `signal` is aborted. */
  from(
    position: number,
    query: Pick<EventQuery, 'notableOnly' | 'connection'>,
    signal: AbortSignal | undefined,
  ): AsyncIterable<StoredEvent>
}

export interface FeedOptions {
  readonly rows: Pick<EventRows, 'read' | 'newest'>
  readonly clock: Clock
}

/** How late an event may be told at most, if the database answers at once. */
const LOOK_EVERY_MS = ms(250)
/** Read at once: a page of a process's memory, and a short query. */
const AT_ONCE = 500
/** Enough for those who are slower than the rest for some seconds. */
const KEPT = 2000

export function createFeed({ rows, clock }: FeedOptions): Feed {
  let listeners = 0
  /** In their order, and without a gap: everything after `keptFrom`, up to `head`. */
  let kept: StoredEvent[] = []
  let keptFrom = 0
  let head = 0
  let beginning: Promise<void> | null = null
  let looking: Promise<void> | null = null

  const begin = async (): Promise<void> => {
    await looking?.catch(() => undefined)
    // What was in memory before may be long behind.
    kept = []
    keptFrom = head = await rows.newest()
  }

  const look = async (): Promise<void> => {
    await clock.alarm(LOOK_EVERY_MS).rung
    for (;;) {
      const query = { from: head, newestFirst: false, notableOnly: false, connection: null, limit: AT_ONCE }
      const found = await rows.read(query)
      const last = found.at(-1)
      if (last === undefined) return
      kept.push(...found)
      head = last.position
      if (kept.length > KEPT) {
        const dropped = kept.splice(0, kept.length - KEPT)
        keptFrom = dropped.at(-1)?.position ?? keptFrom
      }
      if (found.length < AT_ONCE) return
    }
  }

  /** One look for all who wait for it. Where it fails, each of them is told. */
  const nextLook = (): Promise<void> =>
    (looking ??= look().finally(() => {
      looking = null
    }))

  const lookOrAbort = (signal: AbortSignal | undefined): Promise<void> =>
    new Promise((resolve, reject) => {
      const aborted = (): void => resolve()
      signal?.addEventListener('abort', aborted, { once: true })
      nextLook()
        .then(resolve, reject)
        .finally(() => signal?.removeEventListener('abort', aborted))
    })

  return {
    async *from(start, query, signal) {
      let position = start
      listeners += 1
      try {
        if (listeners === 1) beginning = begin()
        await beginning
        while (signal?.aborted !== true) {
          if (position < keptFrom) {
            const until = keptFrom
            const missed = await rows.read({ ...query, from: position, newestFirst: false, limit: AT_ONCE })
            for (const event of missed) {
              position = event.position
              yield event
            }
            // What the query leaves out may be all that is before the memory.
            if (missed.length < AT_ONCE) position = Math.max(position, until)
          } else if (position < head) {
            const first = firstAfter(kept, position)
            for (const event of kept.slice(first, first + AT_ONCE)) {
              position = event.position
              yield event
            }
          } else await lookOrAbort(signal)
        }
      } finally {
        listeners -= 1
      }
    },
  }
}

/** The place of the first event with a later position. */
function firstAfter(events: readonly StoredEvent[], position: number): number {
  let [from, to] = [0, events.length]
  while (from < to) {
    const middle = (from + to) >>> 1
    if ((events[middle]?.position ?? 0) > position) to = middle
    else from = middle + 1
  }
  return from
}
