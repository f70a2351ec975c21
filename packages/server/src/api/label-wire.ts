/** What of a connection can be changed by hand. */
import { z } from 'zod'

export const LabelBody = z
  .strictObject({
    labels: z.record(z.string().max(64), z.string().max(200).nullable()).meta({
      description: 'null takes a label away; what is not named stays',
      examples: [{ team: 'sales', old: null }],
    }),
  })
  .meta({ id: 'ConnectionPatch', description: 'A JSON merge patch (RFC 7396)' })
