/** What travels where a person signs in at the page. */
import { z } from 'zod'
import { moment } from './moment.ts'
import { ApiKey } from './wire.ts'

export const SignInBody = z
  .strictObject({
    api_key: z.string().min(1).max(200).optional(),
    code: z
      .string()
      .min(1)
      .max(100)
      .optional()
      .meta({ description: 'In its place: a code that this server printed; it is good once, for a minute' }),
  })
  .meta({ id: 'SignIn' })
export const PageSession = z
  .object({
    api_key: ApiKey.pick({ id: true, name: true, scopes: true, labels: true }),
    expires_at: moment.nullable().meta({ description: 'null: a key was sent, and has no end' }),
  })
  .meta({ id: 'PageSession', description: 'Who is signed in: what the session may is what its key may' })
export const SignedOutAnswer = z.object({ signed_out: z.literal(true) }).meta({ id: 'SignedOut' })

export type PageSessionWire = z.infer<typeof PageSession>
