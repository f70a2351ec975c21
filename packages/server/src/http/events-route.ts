/** `GET /v1/events`: a page of what happened, or a stream of it as it happens (server-sent events). */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { TokenError, type Clock } from '@tokenkeep/core'
import type { FollowedEvent, Tokenkeep } from '@tokenkeep/node'
import type { Denied } from './acting.ts'
import { OPERATIONS } from '../api/operations.ts'
import { EventsQuery } from '../api/event-wire.ts'
import { callerOf, forbidden, may, type Caller, type CallerDesk, type SessionsOfRequests } from './caller.ts'
import { eventWire } from '../api/event-object.ts'
import { readQuery } from './input.ts'
import { labelsOf, merged, type Labels } from './labels.ts'
import type { Metrics } from './metrics.ts'
import type { Pressure } from './pressure.ts'
import { SECURITY_HEADERS } from './security-headers.ts'

export interface EventsRouteSetup {
  readonly keep: Pick<Tokenkeep, 'events'>
  readonly desk: CallerDesk
  readonly sessions: SessionsOfRequests
  readonly metrics: Metrics
  readonly pressure: Pressure
  readonly clock: Pick<Clock, 'now'>
  readonly denied: Denied
}

export interface EventStreams {
  /** Ends every stream; whoever listened comes back with `Last-Event-ID`, to another server. */
  end(): void
}

const { scopes, status } = OPERATIONS.listEvents
/** Each holds a socket; the events themselves are read once for all of them. */
const STREAMS_MAX = 2_000
const STREAMS_OF_ONE_KEY_MAX = 500
/** A revoked key is refused within a second. */
const LOOK_AT_KEY_EVERY_MS = 1_000
/** Shorter than the idle limit of common proxies, which end what is silent. */
const SAY_SOMETHING_EVERY_MS = 15_000
/** Whoever has taken nothing for so long is gone, or as good as gone. */
const SILENT_READER_MS = 60_000
/** How long a client waits before it comes back. */
const RETRY_MS = 2_000

export function registerEvents(app: FastifyInstance, setup: EventsRouteSetup): EventStreams {
  const { keep, desk, sessions, metrics, pressure, clock } = setup
  const streams = new Map<AbortController, string>()
  const frames = new WeakMap<FollowedEvent, string>()

  const frameOf = (event: FollowedEvent): string => {
    const known = frames.get(event)
    if (known !== undefined) return known
    const frame = `id: ${event.cursor}\ndata: ${JSON.stringify(eventWire(event))}\n\n`
    frames.set(event, frame)
    return frame
  }

  const checkRoom = ({ apiKey }: Caller): void => {
    const own = [...streams.values()].filter((id) => id === apiKey.id).length
    if (streams.size < STREAMS_MAX && own < STREAMS_OF_ONE_KEY_MAX) return
    const retryAt = (clock.now().wall + 30_000) as TokenError['retryAt']
    const whose = own >= STREAMS_OF_ONE_KEY_MAX ? 'this API key has' : 'this server has'
    throw new TokenError('rate_limited', `${whose} as many streams of events as it may have.`, { retryAt })
  }

  const page = async (query: Asked, labels: Labels | null, reply: FastifyReply): Promise<FastifyReply> => {
    const nothing = { events: [], next_cursor: query.after ?? null, more: false }
    const { type: types, connection, after, limit } = query
    const newestFirst = query.order === 'newest'
    const found =
      labels === null ? null : await keep.events.list({ types, connection, after, limit, newestFirst, labels })
    const answer =
      found === null ? nothing : { events: found.events.map(eventWire), next_cursor: found.cursor, more: found.more }
    metrics.answered('listEvents', status)
    return reply.code(status).header('content-type', 'application/json; charset=utf-8').send(JSON.stringify(answer))
  }

  const stream = async (query: Asked, labels: Labels | null, request: FastifyRequest, reply: FastifyReply) => {
    const caller = request.caller as Caller
    const { type: types, connection } = query
    if (query.order === 'newest') throw new TokenError('invalid_input', 'a stream has no order: leave it out')
    const last = request.headers['last-event-id']
    const filter = { types, connection, labels: labels ?? {} }
    // What is wrong with what was asked is said before the stream begins.
    await keep.events.list({ ...filter, after: query.after, limit: 1 })
    const before = typeof last === 'string' && last !== '' ? last : undefined
    const known = before === undefined || (await isKnown(keep, before))
    checkRoom(caller)

    const ends = new AbortController()
    streams.set(ends, caller.apiKey.id)
    reply.hijack()
    const { raw } = reply
    raw.on('close', () => ends.abort())
    raw.writeHead(200, { ...SECURITY_HEADERS, 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
    metrics.answered('listEvents', 200)
    raw.write(`retry: ${RETRY_MS}\n\n${known ? '' : GAP}`)
    const watch = watchKey(request, () => ends.abort())
    const heartbeat = keepAwake(reply, () => ends.abort())
    try {
      // Of a key that sees no connection there is nothing to tell.
      if (labels === null) await aborted(ends.signal)
      const after = known ? (before ?? query.after) : undefined
      for await (const event of keep.events.follow({ ...filter, after, signal: ends.signal })) {
        if (!raw.write(frameOf(event))) await drained(reply, ends.signal)
        if (ends.signal.aborted) break
      }
    } catch {
      // The database is away: whoever listens comes back, with what was heard last.
    } finally {
      clearInterval(watch)
      clearInterval(heartbeat)
      streams.delete(ends)
      raw.end()
    }
  }

  const watchKey = (request: FastifyRequest, end: () => void): NodeJS.Timeout => {
    const look = async (): Promise<void> => {
      const caller = await callerOf(request, desk, sessions)
      const { apiKey } = request.caller as Caller
      // Nor with other rights than it had.
      if (!may(caller, scopes) || JSON.stringify(caller.apiKey.labels) !== JSON.stringify(apiKey.labels)) end()
    }
    return setInterval(() => void look().catch(ifRefused(end)), LOOK_AT_KEY_EVERY_MS).unref()
  }

  app.route({
    method: 'GET',
    url: '/v1/events',
    config: { operation: 'listEvents' },
    onRequest: async (request) => {
      pressure.check()
      const caller = await callerOf(request, desk, sessions)
      if (!may(caller, scopes)) {
        setup.denied(caller, 'listEvents', undefined)
        throw forbidden(scopes)
      }
      request.caller = caller
    },
    handler: async (request, reply) => {
      const at = request.url.indexOf('?')
      const query = readQuery(EventsQuery, at === -1 ? '' : request.url.slice(at + 1))
      const labels = merged((request.caller as Caller).apiKey.labels, labelsOf(query.label))
      return wantsStream(request.headers.accept) ? stream(query, labels, request, reply) : page(query, labels, reply)
    },
  })
  return {
    end() {
      for (const each of streams.keys()) each.abort()
    },
  }
}

type Asked = ReturnType<typeof readQuery<typeof EventsQuery>>

/** Said where the cursor is of another database, or of before it was put back: what was missed nobody can say. */
const GAP = 'event: gap\ndata: {}\n\n'

const wantsStream = (accept: string | undefined): boolean =>
  accept?.toLowerCase().includes('text/event-stream') ?? false

async function isKnown({ events }: Pick<Tokenkeep, 'events'>, cursor: string): Promise<boolean> {
  try {
    await events.list({ after: cursor, limit: 1 })
    return true
  } catch (error) {
    if (error instanceof TokenError && error.code === 'invalid_input') return false
    throw error
  }
}

/** A database that does not answer takes no key away. */
const ifRefused =
  (end: () => void) =>
  (error: unknown): void => {
    if (error instanceof TokenError && error.code !== 'unauthorized') return
    end()
  }

/** A comment now and then; and an end for whoever does not take it. */
function keepAwake({ raw }: FastifyReply, end: () => void): NodeJS.Timeout {
  let unreadMs = 0
  return setInterval(() => {
    unreadMs = raw.writableLength === 0 ? 0 : unreadMs + SAY_SOMETHING_EVERY_MS
    if (unreadMs >= SILENT_READER_MS) {
      end()
      raw.destroy()
    } else if (unreadMs === 0) raw.write(':\n\n')
  }, SAY_SOMETHING_EVERY_MS).unref()
}

const drained = ({ raw }: FastifyReply, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      raw.off('drain', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    raw.once('drain', done)
    signal.addEventListener('abort', done, { once: true })
    if (signal.aborted) done()
  })

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
