/** Whose account it is, where the token response did not say: what an endpoint of the provider says to its new access token. */
import { fromSeconds, type GrantedTokens, type Provider } from '@tokenkeep/core'
import { accountIn } from './answer-member.ts'
import { ASKING_HEADERS, type ProviderAccess } from './provider-access.ts'

const USERINFO_DEADLINE_MS = fromSeconds(10)

/**
 * Asks once.
 *
 * @returns null: the provider has no such endpoint, did not answer, or did not say
 * @see OpenID Connect Core section 5.3, RFC 6750 section 2.1
 */
export async function subjectByUserinfo(
  { exchange }: Pick<ProviderAccess, 'exchange'>,
  provider: Provider,
  { accessToken }: GrantedTokens,
): Promise<string | null> {
  const { userinfoEndpoint, allowPrivateNetwork } = provider
  // A token that is bound to a key is never sent as Bearer.
  if (userinfoEndpoint === null || accessToken === null || accessToken.tokenType.toLowerCase() !== 'bearer') return null
  const to = { url: new URL(userinfoEndpoint), method: 'GET', allowPrivateNetwork } as const
  const headers = { ...ASKING_HEADERS, authorization: `Bearer ${accessToken.token.reveal()}` }
  const answer = await exchange(to, { headers, body: null }, USERINFO_DEADLINE_MS)
  return answer?.status === 200 ? accountIn(answer, [...provider.answer.subject, 'sub']) : null
}
