/** A server's events as the library has them. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { EventFilter, EventPage, RecordedEvent } from '@tokenkeep/node'
import type { EventsWire, EventWire } from '../api/event-wire.ts'
import type { Asked, Exchange } from './exchange.ts'
import type { Keeper } from './keeper.ts'
import { membersOf } from './members.ts'

/** Asked so often, a server tells what happened within about a second. */
const ASK_EVERY_MS = 1_000
const AT_ONCE = 1_000

export function remoteEvents({
  ask,
  get,
}: {
  readonly ask: Exchange['ask']
  readonly get: (path: string, query?: URLSearchParams) => Asked
}): Keeper['events'] {
  const list: Keeper['events']['list'] = async ({ after, newestFirst = false, limit, ...filter } = {}) => {
    const query = filterOf(filter)
    if (after !== undefined) query.set('after', after)
    if (newestFirst) query.set('order', 'newest')
    if (limit !== undefined) query.set('limit', String(limit))
    return ask(get('/v1/events', query), readPage)
  }
  return {
    list,
    async *follow({ signal, ...filter } = {}) {
      // Events that are written while this is asked are later than the last of them.
      const last = await list({ newestFirst: true, limit: 1 })
      let after = last.events.length === 0 ? '0' : (last.cursor ?? '0')
      while (signal?.aborted !== true) {
        const page = await list({ ...filter, after, limit: AT_ONCE })
        yield* page.events
        after = page.cursor ?? after
        if (!page.more) await sleep(ASK_EVERY_MS, undefined, { signal }).catch(() => undefined)
      }
    },
  }
}

function filterOf({ types = [], connection, labels = {} }: EventFilter): URLSearchParams {
  const query = new URLSearchParams()
  for (const type of types) query.append('type', type)
  if (connection !== undefined) query.set('connection', connection)
  for (const [name, value] of Object.entries(labels)) query.append('label', `${name}=${value}`)
  return query
}

function readPage(answer: unknown): EventPage {
  const page = membersOf<EventsWire>(answer, 'the answer')
  return { events: page.list('events', readEvent), cursor: page.textOrNull('next_cursor'), more: page.flag('more') }
}

function readEvent(given: unknown): RecordedEvent {
  const event = membersOf<EventWire>(given, 'an event')
  const { connection, provider, client, labels, ...data } = event.record('data')
  return {
    id: event.text('id'),
    // A newer server may have types that this program does not know: they are shown as they are called.
    type: event.text('type') as RecordedEvent['type'],
    at: event.moment('timestamp'),
    connection: textOrNull(connection),
    provider: textOrNull(provider),
    client: textOrNull(client),
    labels: Object.fromEntries(Object.entries(labels ?? {}).map(([name, value]) => [name, String(value)])),
    data: Object.fromEntries(Object.entries(data).map(inTheLibrary)),
  }
}

const textOrNull = (value: unknown): string | null => (typeof value === 'string' ? value : null)

/** The other way of `eventWire`. */
function inTheLibrary([name, value]: readonly [string, unknown]): readonly [string, unknown] {
  if (name.endsWith('_seconds') && typeof value === 'number')
    return [`${camel(name.slice(0, -'_seconds'.length))}Ms`, Math.round(value * 1000)]
  const moment = name.endsWith('_at') && typeof value === 'string' ? Date.parse(value) : Number.NaN
  return [camel(name), Number.isNaN(moment) ? value : moment]
}

const camel = (name: string): string => name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
