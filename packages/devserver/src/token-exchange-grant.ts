import { errors, type TokenEndpointGrantContext } from 'oidc-provider'
import { believe, trustedKeys } from './assertion.ts'
import { issueAccessToken, needed, parameter, type WantedAccessToken } from './issue-access-token.ts'
import type { Realm } from './realm.ts'

export const TOKEN_EXCHANGE_PARAMETERS = [
  'subject_token',
  'subject_token_type',
  'requested_token_type',
  'actor_token',
  'audience',
  'resource',
  'scope',
]
const TYPE = 'urn:ietf:params:oauth:token-type:'

/**
 * Exchanges an access token of this realm, or a JWT of an issuer that it trusts, for an access token of the asking client.
 *
 * What came from an access token belongs to its session, and has no more scope than it.
 *
 * @see RFC 8693 section 2
 */
export function createTokenExchangeGrant(realm: Realm): (ctx: TokenEndpointGrantContext) => Promise<void> {
  return async (ctx) => {
    const requested = parameter(ctx, 'requested_token_type') ?? `${TYPE}access_token`
    if (![`${TYPE}access_token`, `${TYPE}jwt`].includes(requested)) {
      throw new errors.InvalidRequest('requested_token_type is not supported')
    }
    if (parameter(ctx, 'actor_token') !== null) throw new errors.InvalidRequest('actor_token is not supported')
    const audience = parameter(ctx, 'resource') ?? parameter(ctx, 'audience')
    const wanted = { ...(await subjectOf(realm, ctx)), audience }
    ctx.body = { ...(await issueAccessToken(realm, ctx, wanted)), issued_token_type: requested }
  }
}

async function subjectOf(
  realm: Realm,
  ctx: TokenEndpointGrantContext,
): Promise<Pick<WantedAccessToken, 'subject' | 'scope' | 'sessionId'>> {
  const token = needed(ctx, 'subject_token')
  const asked = parameter(ctx, 'scope')
  switch (needed(ctx, 'subject_token_type')) {
    case `${TYPE}access_token`: {
      const standing = realm.standing(token, Date.now())
      if (standing.standing !== 'active') {
        throw new errors.CustomOIDCProviderError('invalid_request', `the subject token is ${standing.standing}`)
      }
      // Who has a bound token has shown no key of it here; RFC 9449 knows no way to.
      if (standing.jkt !== null) throw new errors.InvalidRequest('the subject token is bound to a key')
      const has = standing.scope.split(' ')
      const missing = (asked?.split(' ') ?? []).filter((scope) => !has.includes(scope))
      if (missing.length > 0) throw new errors.InvalidScope('the subject token does not have it', missing.join(' '))
      return { subject: standing.subject, scope: asked ?? standing.scope, sessionId: standing.sessionId }
    }
    case `${TYPE}jwt`:
    case `${TYPE}id_token`: {
      const { subject } = await believe(realm, token, trustedKeys(realm))
      return { subject, scope: asked ?? '', sessionId: null }
    }
    default:
      throw new errors.InvalidRequest('subject_token_type is not supported')
  }
}
