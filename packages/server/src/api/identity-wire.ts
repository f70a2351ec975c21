/** Identities that an API key trusts, as they travel. */
import { z } from 'zod'
import { moment } from './moment.ts'

const identityText = z.string().min(1).max(500)
export const TrustedIdentity = z
  .object({
    id: z.string(),
    issuer: z.string().meta({ description: 'The iss of its JWTs' }),
    subject: z.string().meta({ description: 'Their sub' }),
    audience: z.string().meta({ description: 'What their aud has to name' }),
    jwks_uri: z.string().nullable().meta({ description: "Where the issuer's keys are; null: where its metadata says" }),
    allow_private_network: z.boolean(),
    created_at: moment,
  })
  .meta({ id: 'TrustedIdentity', description: 'Whose JWTs are as good as the key' })
export const TrustBody = z
  .strictObject({
    issuer: identityText,
    subject: identityText,
    audience: identityText,
    jwks_uri: identityText.nullable().optional(),
    allow_private_network: z.boolean().optional(),
  })
  .meta({ id: 'NewTrustedIdentity' })

export type TrustedIdentityWire = z.infer<typeof TrustedIdentity>
export type NewTrustedIdentityWire = z.infer<typeof TrustBody>
