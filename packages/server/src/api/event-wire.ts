/** What an event is on the wire: in the answers of `GET /v1/events`, in the stream of them, and in webhooks. */
import { z } from 'zod'
import { moment } from './moment.ts'
import { BLOCKED, REASONS } from './wire.ts'

const count = z.number().int()
const ofConnection = {
  connection: z.string(),
  provider: z.string(),
  client: z.string(),
  labels: z.record(z.string(), z.string()).meta({ description: 'As they were then' }),
}
const ofClient = { provider: z.string(), client: z.string() }
const fence = count.meta({ description: 'Of the presentation; its line in the history has the same' })
const retryAt = moment.nullable().meta({ description: 'When it is tried again by itself; null: not' })
const status = count.nullable().meta({ description: 'Of the HTTP answer; null: there was none' })
const word = z.string().nullable().meta({ description: "The provider's own error word (RFC 6749 section 5.2)" })

/** What each type says. */
export const EVENT_DATA = {
  'connection.created': z.object({ ...ofConnection, grant_type: z.string() }),
  'connection.refreshed': z.object({
    ...ofConnection,
    generation: count,
    fence,
    why: z.string().nullable(),
    rotated: z.boolean().meta({ description: 'The refresh token changed' }),
    expires_at: moment.nullable(),
    scope: z.string().nullable(),
  }),
  'connection.refresh_failed': z.object({ ...ofConnection, fence, because: z.string(), status, retry_at: retryAt }),
  'connection.in_doubt': z.object({ ...ofConnection, fence, because: z.string(), status, retry_at: retryAt }),
  'connection.suspect': z.object({ ...ofConnection, fence, refusals: count, retry_at: retryAt }),
  'connection.blocked': z.object({ ...ofConnection, fence, reason: z.enum(BLOCKED), word, retry_at: moment }),
  'connection.needs_user': z.object({ ...ofConnection, reason: z.enum(REASONS) }),
  'connection.expiring': z.object({ ...ofConnection, ends_at: moment }),
  'connection.signed_out': z.object(ofConnection),
  'connection.reconnected': z.object(ofConnection),
  'connection.updated': z.object(ofConnection),
  'connection.access_token_rejected': z.object({ ...ofConnection, still_refused: z.boolean() }),
  'connection.revoked': z.object({ ...ofConnection, revoked_upstream: z.boolean() }),
  'provider.misconfigured': z.object({ ...ofClient, word, retry_at: moment }),
  'provider.unreachable': z.object({ ...ofClient, connections: count }),
  'provider.reachable': z.object({ ...ofClient, unreachable_seconds: z.number() }),
  'provider.rate_limited': z.object({ ...ofClient, wait_seconds: z.number() }),
  'installation.on_hold': z.object({ because: z.string() }),
  'installation.adopted': z.object({ epoch: count }),
} as const

export type EventTypeWire = keyof typeof EVENT_DATA
export const EVENT_TYPES_WIRE = Object.keys(EVENT_DATA) as [EventTypeWire, ...EventTypeWire[]]

export const Event = z
  .object({
    id: z.string().meta({ description: 'evt_...: the same wherever it is told' }),
    type: z.enum(EVENT_TYPES_WIRE),
    timestamp: moment,
    data: z.record(z.string(), z.unknown()).meta({ description: 'By type: docs/events.md lists the members' }),
  })
  .meta({ id: 'Event' })

export const EventsQuery = z.strictObject({
  after: z.string().max(100).optional().meta({ description: 'next_cursor of the page before; absent: from the first' }),
  order: z.enum(['oldest', 'newest']).optional().meta({ description: 'What comes first; oldest where absent' }),
  type: z.array(z.enum(EVENT_TYPES_WIRE)).max(EVENT_TYPES_WIRE.length).optional(),
  connection: z.string().max(1000).optional(),
  label: z
    .array(z.string().regex(/^[^=]+=/, 'is NAME=VALUE'))
    .max(32)
    .optional()
    .meta({ description: 'NAME=VALUE, may be repeated: all of them, as they were then' }),
  limit: z.number().int().min(1).max(1000).optional().meta({ description: '100 where absent' }),
})
export const EventsAnswer = z
  .object({
    events: z.array(Event),
    next_cursor: z
      .string()
      .nullable()
      .meta({ description: 'Where to go on, also where nothing was found; null: with order=newest nothing is before' }),
    more: z
      .boolean()
      .meta({ description: 'There is more now. A page can be short, or empty, and there is more all the same' }),
  })
  .meta({ id: 'Events' })

export type EventWire = z.infer<typeof Event>
export type EventsWire = z.infer<typeof EventsAnswer>
