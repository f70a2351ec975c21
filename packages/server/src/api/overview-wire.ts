/** How many connections there are, and what is wrong with them, as it travels. */
import { z } from 'zod'
import { moment } from './moment.ts'

const name = z.string()
const count = z
  .object({
    count: z.int().min(0),
    at_least: z.boolean().meta({ description: 'Counting stopped there: there may be more' }),
  })
  .meta({ id: 'Count' })

const troubles = { in_doubt: count, suspect: count, blocked: count, needs_user: count, deleting: count }

export const OverviewAnswer = z
  .object({
    as_of: moment,
    labels: z.record(z.string(), z.string()).meta({
      description: 'What the API key is limited to: only connections with these are counted; {}: all are',
    }),
    total: count,
    by_status: z.object({ ready: count, presenting: count, ...troubles }),
    needs_user: z
      .object({
        revoked: count,
        expired: count,
        answer_lost: count,
        reused: count,
        signed_out: count,
        interaction_required: count,
        no_refresh_token: count,
      })
      .meta({ description: 'Those that need a person, by reason' }),
    blocked: z
      .object({ client: count, endpoint: count, request: count, grant: count })
      .meta({ description: 'Those that the operator has to mend, by what' }),
    providers: z.array(
      z.object({
        provider: name,
        total: count.nullable().meta({ description: 'null for an API key that is limited by labels: not counted' }),
        ...troubles,
        expiring: count,
      }),
    ),
    expiring: z
      .object({
        within: z.number().meta({ description: 'Seconds' }),
        ...count.shape,
        next: z.array(
          z.object({
            connection: z.string(),
            provider: name,
            client: name,
            expires_at: moment,
            because: z.enum(['session_end', 'no_refresh_token']),
          }),
        ),
      })
      .meta({ description: 'Those that only a person keeps alive beyond a known moment; the next ones by name' }),
  })
  .meta({ id: 'Overview' })

export type OverviewWire = z.infer<typeof OverviewAnswer>
