import type { TokenEndpointGrantContext } from 'oidc-provider'
import { believe, takeOnce, trustedKeys } from './assertion.ts'
import { issueAccessToken, needed, parameter } from './issue-access-token.ts'
import type { Realm } from './realm.ts'

export const JWT_BEARER_PARAMETERS = ['assertion', 'scope', 'resource']

/**
 * Answers an assertion with an access token for its subject: signed by a key of the asking client, or by an issuer that
 * the realm trusts. Each is taken once.
 *
 * @see RFC 7523 section 2.1
 */
export function createJwtBearerGrant(realm: Realm): (ctx: TokenEndpointGrantContext) => Promise<void> {
  return async (ctx) => {
    const { clientId } = ctx.oidc.client
    const trusted = trustedKeys(realm)
    const own = realm.client(clientId)?.assertionJwks ?? null
    const assertion = await believe(realm, needed(ctx, 'assertion'), (issuer) =>
      issuer === clientId ? own : trusted(issuer),
    )
    await takeOnce(realm, assertion)
    ctx.body = await issueAccessToken(realm, ctx, {
      subject: assertion.subject,
      scope: parameter(ctx, 'scope') ?? '',
      audience: parameter(ctx, 'resource'),
      sessionId: null,
    })
  }
}
