/**
 * Whose sign-in it is, by the ID token that came with the tokens, or by what stands beside them.
 *
 * It came over TLS from the token endpoint itself, so a provider that publishes no keys is believed by its claims alone
 * (OpenID Connect Core section 3.1.3.7, step 6), and so is one whose keys cannot be had now: the code is spent, and the
 * person would sign in for nothing. Where its keys are there, the signature has to be right. A provider that speaks no
 * OpenID Connect can name the account beside the tokens (`AnswerShape.subject`).
 */
import type { OpenedClient, Provider, ResponseSeen } from '@tokenkeep/core'
import { accountIn, memberOf, shownText } from './answer-member.ts'
import type { ProviderAccess } from './provider-access.ts'

export interface Identity {
  /** `sub`; null: not told. */
  readonly subject: string | null
  /** `sid`, by which a logout event is known to mean this sign-in; null: not told. */
  readonly sessionId: string | null
  /** As people call it, else its `sub`; null: not told. */
  readonly account: string | null
}

/**
 * Reads it.
 *
 * @returns `not_authentic`: it is not of this sign-in, nobody of this provider signed it, or it was asked for and is missing
 * @see OpenID Connect Core section 3.1.3.7
 */
export async function readIdToken(
  access: ProviderAccess,
  of: {
    readonly provider: Provider
    readonly client: OpenedClient
    readonly answer: ResponseSeen
    /** Null: none was sent. */
    readonly nonce: string | null
  },
): Promise<Identity | 'not_authentic'> {
  const { provider, client, answer, nonce } = of
  const token = memberOf(answer, 'id_token')
  // Keycloak names the session beside the tokens, too.
  const session = shownText(memberOf(answer, 'session_state'))
  if (token === undefined || token === null || token === '') {
    // It was asked for, and has to come (OpenID Connect Core section 3.1.3.3). A code that was slipped in, or a request from
    // which the person took it, would pass without one, as whoever it is.
    if (nonce !== null) return 'not_authentic'
    // What stands beside the tokens came from the token endpoint itself, over TLS.
    const subject = accountIn(answer, provider.answer.subject)
    return { subject, sessionId: session, account: subject }
  }
  if (typeof token !== 'string') return 'not_authentic'
  const claims = await verifiedClaims(access, { provider, client, token })
  if (claims === null || (nonce !== null && claims['nonce'] !== nonce)) return 'not_authentic'
  const { sub, aud, azp } = claims
  if (typeof sub !== 'string' || sub === '') return 'not_authentic'
  if ((azp !== undefined || (Array.isArray(aud) && aud.length > 1)) && azp !== client.clientId) return 'not_authentic'
  const account = ['email', 'preferred_username', 'name', 'sub']
    .map((name) => shownText(claims[name]))
    .find((name) => name !== null)
  return { subject: sub, sessionId: shownText(claims['sid']) ?? session, account: account ?? null }
}

async function verifiedClaims(
  access: ProviderAccess,
  { provider, client, token }: { readonly provider: Provider; readonly client: OpenedClient; readonly token: string },
): Promise<Readonly<Record<string, unknown>> | null> {
  const { verifySignedToken, readUnsignedClaims } = await import('./signed-token.ts')
  const expected = { type: null, audience: [client.clientId], required: ['exp', 'iat', 'sub'] }
  const verified = await verifySignedToken(access, provider, token, expected, client.clientSecret)
  if (verified.kind === 'valid') return verified.claims
  if (verified.kind === 'not_valid') return null
  return readUnsignedClaims(access, provider, token, expected)
}
