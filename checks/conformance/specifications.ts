/** All specifications whose requirements are listed, in the order of the document. */
import { RFC_7523, RFC_8705 } from './clients.ts'
import { RFC_7009, RFC_7662, RFC_8414 } from './endpoints.ts'
import { RFC_6749, RFC_6750 } from './framework.ts'
import { RFC_8628, RFC_8693, RFC_9449 } from './grants.ts'
import { BACK_CHANNEL_LOGOUT, OPENID_CORE, OPENID_DISCOVERY } from './openid.ts'
import type { Specification } from './requirement.ts'
import { RFC_7636, RFC_8707, RFC_9126, RFC_9207, RFC_9700 } from './sign-in.ts'
import { RFC_7519, RFC_8417, RFC_8725, RFC_8935 } from './tokens.ts'

export const SPECIFICATIONS: readonly Specification[] = [
  ...[RFC_6749, RFC_6750, RFC_7009, RFC_7519, RFC_7523, RFC_7636, RFC_7662, RFC_8414, RFC_8417, RFC_8628],
  ...[RFC_8693, RFC_8705, RFC_8707, RFC_8725, RFC_8935, RFC_9126, RFC_9207, RFC_9449, RFC_9700],
  ...[OPENID_CORE, OPENID_DISCOVERY, BACK_CHANNEL_LOGOUT],
]
