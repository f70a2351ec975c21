/** A question of a sign-in whose answer brings tokens: where only the nonce of its proof was wanting, it is asked once more. */
import { ms, nonceAsked, since, type DurationMs } from '@tokenkeep/core'
import { askAsClient, type ClientRequest } from './client-request.ts'
import type { ProviderAccess } from './provider-access.ts'

/**
 * Asks as a client does, and once more with the nonce that the server wants: it refused the proof before it looked at the
 * code (RFC 9449 section 8).
 *
 * @param withinMs for both
 * @returns as `askAsClient`
 */
export async function askProving(
  access: Pick<ProviderAccess, 'clock' | 'discovery' | 'exchange' | 'proofs'>,
  request: ClientRequest,
  withinMs: DurationMs,
): ReturnType<typeof askAsClient> {
  const startedAt = access.clock.now().mono
  const answer = await askAsClient(access, request, withinMs)
  if (request.dpopKey == null || typeof answer !== 'object' || nonceAsked(answer, request.provider) === null)
    return answer
  const leftMs = withinMs - since(startedAt, access.clock.now().mono)
  return askAsClient(access, request, ms(Math.max(0, leftMs)))
}
