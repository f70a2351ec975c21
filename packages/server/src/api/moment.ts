import { z } from 'zod'

export const moment = z.iso.datetime().meta({ description: 'RFC 3339, in UTC' })
