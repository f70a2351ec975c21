/** Recorded events in memory, for tests. */
import { ROUTINE_EVENT, type NewEvent } from '@tokenkeep/core'
import type { EventRows, StoredEvent } from './event-rows.ts'

export interface MemoryEvents {
  readonly kept: StoredEvent[]
  readonly once: Set<string>
  last: number
}

export const createMemoryEvents = (): MemoryEvents => ({ kept: [], once: new Set(), last: 0 })

export function tellMemory(events: MemoryEvents, event: NewEvent): void {
  const position = (events.last += 1)
  events.kept.push({ ...event, position, id: `evt_${position.toString(16).padStart(32, '0')}` })
}

export function memoryEvents(events: MemoryEvents, open: () => void): EventRows {
  const { kept, once } = events
  return {
    async read({ from, newestFirst, notableOnly, connection, limit }) {
      open()
      const inOrder = newestFirst ? kept.toReversed() : kept
      return inOrder
        .filter(({ position }) => from === null || (newestFirst ? position < from : position > from))
        .filter((event) => !notableOnly || event.type !== ROUTINE_EVENT)
        .filter((event) => connection === null || event.connection === connection)
        .slice(0, limit)
    },
    async newest() {
      open()
      return events.last
    },
    async idAt(position) {
      open()
      return kept.find((event) => event.position === position)?.id ?? null
    },
    async record(event, word) {
      open()
      if (once.has(word)) return
      once.add(word)
      tellMemory(events, event)
    },
    async prune(from, before, limit) {
      open()
      const page = kept.filter(({ position }) => position > from).slice(0, limit)
      const to = page.filter(({ at }) => at < before.routine).at(-1)?.position ?? from
      const goes = ({ position, type, at }: StoredEvent): boolean =>
        position > from && position <= to && at < (type === ROUTINE_EVENT ? before.routine : before.notable)
      kept.splice(0, kept.length, ...kept.filter((event) => !goes(event)))
      return to
    },
  }
}
