/** What is counted by the minute, on the wire: who was handed what, and what became of refreshes. */
import { z } from 'zod'
import { moment } from './moment.ts'

const from = moment.optional().meta({ description: 'RFC 3339, in UTC: the minute in which this is, or later' })
const to = moment.optional().meta({ description: 'RFC 3339, in UTC: before this; now where absent' })

export const HandOutsQuery = z.strictObject({
  connection: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .meta({ description: 'Of the connection that has this id, or had it last' }),
  api_key: z
    .string()
    .regex(/^(?:key_\w{1,80}|library|command|other)$/, 'is the id of an API key (key_...), library or command')
    .optional()
    .meta({ description: 'The id of an API key; library or command: handed out in the process of the data itself' }),
  from,
  to,
  limit: z.number().int().min(1).max(1000).optional().meta({ description: '100 where absent' }),
  cursor: z.string().max(2000).optional().meta({ description: 'next_cursor of the page before' }),
})

export const HandOut = z
  .object({
    minute: moment.meta({ description: 'When the minute began' }),
    api_key: z
      .string()
      .meta({ description: 'Its id; library or command: no key was needed; other: too many to be told apart' }),
    identity: z.string().nullable().meta({ description: 'The id of the identity that was shown instead of the key' }),
    connection: z
      .string()
      .nullable()
      .meta({ description: 'What it is called, or was when it was deleted; null: several, or deleted long ago' }),
    uid: z.string().nullable().meta({ description: 'Never used again; null: several' }),
    count: z.int().min(1),
  })
  .meta({ id: 'HandOut', description: 'How often a caller was handed tokens of a connection in one minute' })

export const HandOutsAnswer = z
  .object({
    hand_outs: z.array(HandOut).meta({ description: 'Newest first' }),
    next_cursor: z
      .string()
      .nullable()
      .meta({ description: 'null: that was all; a page with fewer than its limit may have one' }),
  })
  .meta({ id: 'HandOuts' })

export const RefreshesQuery = z.strictObject({
  from: from.meta({ description: 'RFC 3339, in UTC; an hour before to where absent' }),
  to,
  step: z
    .number()
    .int()
    .min(60)
    .max(2_592_000)
    .multipleOf(60, 'is a number of seconds that is a multiple of 60')
    .optional()
    .meta({ description: 'Seconds, whole minutes; where absent so many that there are at most 120 steps' }),
  provider: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'is not the id of a provider')
    .optional(),
})

const counts = z.array(z.int().min(0))
const lengths = z.array(z.number().min(0).nullable())

export const RefreshesOfProvider = z
  .object({
    provider: z.string().meta({ description: 'other: the rest, where there are more than 50' }),
    granted: counts,
    unavailable: counts,
    refused: counts,
    in_doubt: counts,
    blocked: counts,
    needs_user: counts,
    p50_ms: lengths.meta({ description: 'Half of the granted ones took so many milliseconds at most; null: none was' }),
    p95_ms: lengths,
  })
  .meta({ id: 'RefreshesOfProvider', description: 'A number for each step, in their order' })

export const RefreshesAnswer = z
  .object({
    step: z.int().meta({ description: 'Seconds' }),
    starts: z.array(moment).meta({ description: 'When each step begins: at a multiple of the step, 1500 at most' }),
    providers: z
      .array(RefreshesOfProvider)
      .meta({ description: 'By their names; those without a refresh in that time are not there' }),
  })
  .meta({ id: 'Refreshes', description: 'What became of refreshes over time' })

export type HandOutWire = z.infer<typeof HandOut>
export type HandOutsWire = z.infer<typeof HandOutsAnswer>
export type RefreshesOfProviderWire = z.infer<typeof RefreshesOfProvider>
export type RefreshesWire = z.infer<typeof RefreshesAnswer>
