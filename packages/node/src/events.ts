/** Recorded events for those who read them: page by page, or as they come. */
import { parseConnectionId, TokenError, type Clock, type RecordedEventType } from '@tokenkeep/core'
import { EVENT_TYPES } from './event-types.ts'
import type { EventRows, StoredEvent } from './event-rows.ts'
import { createFeed } from './event-feed.ts'

/** Something that happened. Moments in `data` are epoch milliseconds, and end in `At`. */
export interface RecordedEvent {
  /** `evt_...`: the same wherever it is told. */
  readonly id: string
  readonly type: RecordedEventType
  /** Epoch milliseconds. */
  readonly at: number
  /** Null: it is about none. So are the others. */
  readonly connection: string | null
  readonly provider: string | null
  readonly client: string | null
  /** Of the connection, as they were then. */
  readonly labels: Readonly<Record<string, string>>
  /** What the type says; `docs/events.md` lists it. */
  readonly data: Readonly<Record<string, unknown>>
}

export interface FollowedEvent extends RecordedEvent {
  /** What comes after this one is read from here. */
  readonly cursor: string
}

export interface EventFilter {
  /** Only these types; absent: all. */
  readonly types?: readonly RecordedEventType[] | undefined
  /** Only those about this connection. */
  readonly connection?: string | undefined
  /** Every given label must be there with that value; events that are about no connection are left out then. */
  readonly labels?: Readonly<Record<string, string>> | undefined
}

export interface EventListOptions extends EventFilter {
  /** A cursor: later ones; with `newestFirst` earlier ones. Absent: from the first that is kept, or the last. */
  readonly after?: string | undefined
  readonly newestFirst?: boolean | undefined
  /** 1 to 1000; 100 where absent. */
  readonly limit?: number | undefined
}

export interface EventPage {
  readonly events: readonly RecordedEvent[]
  /** Where to go on, also where nothing was found; null: with `newestFirst` there is nothing before. */
  readonly cursor: string | null
  /** There are more now. A page can be short, or empty, and there are more all the same. */
  readonly more: boolean
}

export interface Events {
  /**
   * What happened, oldest first.
   *
   * @throws TokenError `invalid_input`: a cursor that is none of this database, an unknown type, a limit out of bounds
   */
  list(options?: EventListOptions): Promise<EventPage>
  /**
   * What happens from now on, or after a cursor, as it comes: at most a second after it was written, by whatever process.
   *
   * @param options with `signal` it ends where that is aborted
   * @throws TokenError `invalid_input`, `store_unavailable`, `closed`
   */
  follow(options?: FollowOptions): AsyncIterable<FollowedEvent>
}

export interface FollowOptions extends EventFilter {
  readonly after?: string | undefined
  readonly signal?: AbortSignal | undefined
}

const LIST_DEFAULT = 100
const LIST_MOST = 1000
/** Looked through for one page at most: who filters sharply goes on from its cursor. */
const LOOKED_THROUGH = 2000

export function createEvents({ rows, clock }: { readonly rows: EventRows; readonly clock: Clock }): Events {
  const feed = createFeed({ rows, clock })

  const positionOf = async (cursor: string): Promise<number> => {
    const parsed = parseCursor(cursor)
    if (parsed === null) throw notOurs()
    const { position, check } = parsed
    if (position === 0) return 0
    const id = await rows.idAt(position)
    // One that is gone by its age was there; one that is still to come was not.
    const isOurs = id === null ? position <= (await rows.newest()) : checkOf(id) === check
    if (!isOurs) throw notOurs()
    return position
  }

  return {
    async list(options = {}) {
      const { after, newestFirst = false, limit = LIST_DEFAULT } = options
      if (!Number.isInteger(limit) || limit < 1 || limit > LIST_MOST)
        throw new TokenError('invalid_input', `limit must be a whole number from 1 to ${LIST_MOST}`)
      const wanted = readFilter(options)
      let from = after === undefined ? null : await positionOf(after)
      let last: string | null = after ?? (newestFirst ? null : BEGINNING)
      const events: RecordedEvent[] = []
      for (let looked = 0; looked < LOOKED_THROUGH;) {
        const asked = Math.min(LOOKED_THROUGH - looked, Math.max(limit - events.length, wanted.isSharp ? 500 : 1))
        const page = await rows.read({ ...wanted.query, from, newestFirst, limit: asked })
        for (const event of page) {
          looked += 1
          from = event.position
          last = cursorOf(event)
          if (wanted.takes(event)) events.push(recorded(event))
          if (events.length === limit) return { events, cursor: last, more: true }
        }
        if (page.length < asked) return { events, cursor: newestFirst ? null : last, more: false }
      }
      return { events, cursor: last, more: true }
    },

    async *follow({ after, signal, ...filter } = {}) {
      const wanted = readFilter(filter)
      const position = after === undefined ? await rows.newest() : await positionOf(after)
      for await (const event of feed.from(position, wanted.query, signal))
        if (wanted.takes(event)) yield recorded(event)
    },
  }
}

interface Wanted {
  readonly query: { readonly notableOnly: boolean; readonly connection: StoredEvent['connection'] }
  /** Much of what is read is left out. */
  readonly isSharp: boolean
  takes(event: StoredEvent): boolean
}

function readFilter({ types, connection, labels = {} }: EventFilter): Wanted {
  for (const type of types ?? [])
    if (!EVENT_TYPES.includes(type))
      throw new TokenError('invalid_input', `there is no such type of event; the types are ${EVENT_TYPES.join(', ')}`)
  const parsed = connection === undefined ? null : parseConnectionId(connection)
  if (parsed !== null && 'wrong' in parsed) throw new TokenError('invalid_input', parsed.wrong)
  const id = parsed === null ? null : parsed.id
  const every = Object.entries(labels)
  return {
    query: { notableOnly: types !== undefined && !types.includes('connection.refreshed'), connection: id },
    isSharp: types !== undefined || every.length > 0,
    takes: (event) =>
      (types === undefined || types.includes(event.type)) &&
      (id === null || event.connection === id) &&
      every.every(([name, value]) => Object.hasOwn(event.labels, name) && event.labels[name] === value),
  }
}

/** The same object for all who are told. */
const known = new WeakMap<StoredEvent, FollowedEvent>()

function recorded(event: StoredEvent): FollowedEvent {
  const before = known.get(event)
  if (before !== undefined) return before
  const { position: _, uid: __, ...told } = event
  const made = { ...told, cursor: cursorOf(event) }
  known.set(event, made)
  return made
}

// ---- cursors -------------------------------------------------------------------------------------------------------

const BEGINNING = '0'
const CURSOR = /^(\d{1,16})(?:-([0-9a-f]{8}))?$/

/** With a piece of the event's id, so that a cursor of another database, or from before a restore, is told from one of ours. */
export const cursorOf = ({ position, id }: Pick<StoredEvent, 'position' | 'id'>): string => `${position}-${checkOf(id)}`

const checkOf = (id: string): string => id.slice('evt_'.length, 'evt_'.length + 8)

function parseCursor(cursor: string): { readonly position: number; readonly check: string } | null {
  const [, position, check] = CURSOR.exec(cursor) ?? []
  if (position === undefined || (check === undefined && cursor !== BEGINNING)) return null
  return { position: Number(position), check: check ?? '' }
}

const notOurs = (): TokenError =>
  new TokenError(
    'invalid_input',
    'this cursor is none of this database, or of before it was put back: begin without one, and look at what you missed.',
  )
