/** Which signed events were received and acted on, so that a repeated one does nothing, on whatever host it arrives. */
import { createHash } from 'node:crypto'
import type { ProviderId, UnixMs } from '@tokenkeep/core'

export interface ReceivedEventRows {
  /** @param jti as `digestOf` has it */
  has(provider: ProviderId, jti: string): Promise<boolean>
  /**
   * Remembers one, and forgets a few whose time is over.
   *
   * @param until when it is refused for its age anyway
   */
  add(provider: ProviderId, jti: string, until: UnixMs, now: UnixMs): Promise<void>
}

/** An identifier can be of any length and alphabet (RFC 7519 section 4.1.7). It is no secret. */
export const digestOf = (jti: string): string => createHash('sha256').update(jti).digest('base64url')
