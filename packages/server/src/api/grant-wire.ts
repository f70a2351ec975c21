/** What a grant that is run again asks with, as it travels. A file is not chosen from afar, and so is not here. */
import { z } from 'zod'

export const GRANT_TYPES = ['refresh_token', 'client_credentials', 'jwt_bearer', 'token_exchange'] as const

const text = z.string().min(1).max(2000)

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
