/** What a list of connections can be asked for. */
import { z } from 'zod'
import { BLOCKED, name, REASONS, STATUSES } from './wire.ts'

export const ConnectionsQuery = z.strictObject({
  search: z
    .string()
    .max(200)
    .optional()
    .meta({ description: 'The id, the subject or the value of a label begins with this text, letter by letter' }),
  status: z.array(z.enum(STATUSES)).max(10).optional().meta({ description: 'May be repeated: one of them' }),
  reason: z
    .array(z.enum([...REASONS, ...BLOCKED]))
    .max(20)
    .optional()
    .meta({ description: 'Why it needs its user, or is blocked. May be repeated: one of them' }),
  provider: name.optional(),
  client: name.optional(),
  label: z
    .array(z.string().regex(/^[^=]+=/, 'is NAME=VALUE'))
    .max(32)
    .optional()
    .meta({ description: 'NAME=VALUE, may be repeated: all of them' }),
  limit: z.number().int().min(1).max(1000).optional().meta({ description: '100 where absent' }),
  cursor: z
    .string()
    .max(1500)
    .optional()
    .meta({ description: 'next_cursor of the page before, which may be short or empty and have one' }),
})
