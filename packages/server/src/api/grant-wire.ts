/** What a grant that is run again asks with, as it travels. A file is not chosen from afar, and so is not here. */
import { z } from 'zod'

export const GRANT_TYPES = ['refresh_token', 'client_credentials', 'jwt_bearer', 'token_exchange'] as const

const text = z.string().min(1).max(2000)

const file = z.object({ from: z.literal('file'), path: z.string() })

const JwtBearer = z.object({
  kind: z.literal('jwt_bearer'),
  assertion: z.union([
    z.object({
      from: z.literal('client_key'),
      issuer: z.string().nullable(),
      audience: z.string().nullable(),
      claims: z.record(z.string(), z.unknown()),
    }),
    file,
  ]),
  client_authentication: z.boolean(),
})

const TokenExchange = z.object({
  kind: z.literal('token_exchange'),
  subject_token: z.union([z.object({ from: z.literal('connection'), id: z.string() }), file]),
  subject_token_type: z.string(),
  requested_token_type: z.string().nullable(),
  audience: z.array(z.string()),
  resource: z.array(z.string()),
  client_authentication: z.boolean(),
})

/** As it is kept: what was left out at the import is there, and so are files, which were chosen on the machine. */
export const GrantRequestAnswer = z.union([JwtBearer, TokenExchange])

export type JwtBearerWire = z.infer<typeof JwtBearer>
export type TokenExchangeWire = z.infer<typeof TokenExchange>
export type GrantRequestWire = z.infer<typeof GrantRequestAnswer>

export const grants = <Id extends z.ZodType>(connectionId: Id) => ({
  grant_type: z.enum(GRANT_TYPES).optional(),
  assertion: z
    .strictObject({
      issuer: text.optional().meta({ description: 'iss; the id of the client at the provider where absent' }),
      audience: text.optional().meta({ description: 'aud; token_endpoint means its URL' }),
      claims: z
        .record(z.string(), z.unknown())
        .optional()
        .meta({ description: 'Further claims, in the clear: no place for a secret' }),
      client_authentication: z.boolean().optional().meta({ description: 'false where absent' }),
    })
    .optional()
    .meta({ description: 'With jwt_bearer (RFC 7523 section 2.1): signed by the client; sub is the subject' }),
  exchange: z
    .strictObject({
      from_connection: connectionId.describe('Its access token of that moment is exchanged'),
      subject_token_type: text.optional(),
      requested_token_type: text.optional(),
      audience: z.array(text).max(20).optional(),
      resource: z.array(text).max(20).optional(),
      client_authentication: z.boolean().optional().meta({ description: 'true where absent' }),
    })
    .optional()
    .meta({ description: 'With token_exchange (RFC 8693 section 2.1)' }),
})
