import { errors, type TokenEndpointGrantContext } from 'oidc-provider'
import { checkDpopReplay, validateClientScope, validateDpop } from 'oidc-provider/lib/helpers/grants.js'
import { openSession } from './open-session.ts'
import type { Realm } from './realm.ts'
import { tokenAnswer, type TokenAnswer } from './token-answer.ts'

export interface WantedAccessToken {
  readonly subject: string
  readonly scope: string
  /** null: the realm's default. */
  readonly audience: string | null
  /** The session that it belongs to; null opens one, so that it can be ended. */
  readonly sessionId: string | null
}

/** Issues one access token to whom a grant without a browser has convinced; there is no refresh token. */
export async function issueAccessToken(
  realm: Realm,
  ctx: TokenEndpointGrantContext,
  wanted: WantedAccessToken,
): Promise<TokenAnswer> {
  const { provider, client } = ctx.oidc
  validateClientScope(provider, ctx)
  const proof = await validateDpop(provider, ctx)
  if (proof) await checkDpopReplay(provider, ctx, proof, client.clientId, errors.InvalidDpopProof)
  else if (client.dpopBoundAccessTokens === true) throw new errors.InvalidDpopProof('DPoP proof is missing')

  const { subject, scope } = wanted
  const sessionId =
    wanted.sessionId ?? (await openSession(realm, { clientId: client.clientId, subject, scope })).session.id
  const expiresIn = realm.client(client.clientId)?.accessTokenSeconds ?? realm.settings.accessTokenSeconds
  const token = new provider.AccessToken({
    client,
    accountId: subject,
    grantId: sessionId,
    gty: ctx.oidc.params.grant_type,
    scope,
    expiresIn,
  })
  if (wanted.audience !== null) token.setAudience(wanted.audience)
  if (proof) token.setThumbprint('jkt', proof.thumbprint)
  await token.save()
  return tokenAnswer({
    accessToken: realm.presentable(token, expiresIn),
    tokenType: token.tokenType,
    expiresIn,
    refreshToken: null,
    refreshExpiresIn: null,
    idToken: null,
    scope,
    sessionId,
  })
}

/** A parameter that may be there once. */
export function parameter(ctx: TokenEndpointGrantContext, name: string): string | null {
  const value = ctx.oidc.params[name]
  return typeof value === 'string' && value !== '' ? value : null
}

export function needed(ctx: TokenEndpointGrantContext, name: string): string {
  const value = parameter(ctx, name)
  if (value === null) throw new errors.InvalidRequest(`missing required parameter(s) '${name}'`)
  return value
}
