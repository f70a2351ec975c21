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

/** @returns null: unknown, revoked, another client's, or of another realm, which all look the same */
export async function ownToken(
  callers: Callers,
  { caller, realm }: AskedByForm,
  token: string,
): Promise<Shared | null> {
  const shared = await callers.byLocalRefreshToken(token)
  return shared !== null && shared.apiKey === caller.apiKey.id && shared.provider === realm ? shared : null
}
