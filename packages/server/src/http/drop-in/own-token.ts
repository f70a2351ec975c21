/** The token that revocation and introspection are about, and whether it is a local refresh token of who asks. */
import type { Callers, Shared } from '@tokenkeep/node'
import type { AskedByForm } from './form-endpoint.ts'
import { OAuthRefusal } from './refusal.ts'

/** @throws OAuthRefusal `invalid_request`: it is missing */
export function tokenOf({ form }: Pick<AskedByForm, 'form'>): string {
  const token = form.get('token')
  if (token === undefined) throw new OAuthRefusal('invalid_request', 'token is missing')
  return token
}

/**
 * @returns null: unknown, revoked, another client's, or of another realm, which all look the same
 * @throws OAuthRefusal `unsupported_token_type`: it is said to be an access token (RFC 7009 section 2.2.1). Those are
 *   the provider's; to call one inactive, or revoked, would be a lie
 */
export async function ownToken(
  callers: Callers,
  { caller, form, realm }: AskedByForm,
  token: string,
): Promise<Shared | null> {
  const shared = await callers.byLocalRefreshToken(token)
  if (shared !== null && shared.apiKey === caller.apiKey.id && shared.provider === realm) return shared
  if (form.get('token_type_hint') !== 'access_token') return null
  throw new OAuthRefusal(
    'unsupported_token_type',
    "access tokens are the provider's: only refresh tokens of this server can be revoked and introspected here",
  )
}
