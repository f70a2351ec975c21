/** Revokes local refresh tokens, and nothing at the provider: others may share the connection (RFC 7009). */
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Tokenkeep } from '@tokenkeep/node'
import type { Acting } from '../acting.ts'
import type { Metrics } from '../metrics.ts'
import { registerFormEndpoint, type AskedByForm, type FormEndpointSetup } from './form-endpoint.ts'
import { ownToken, tokenOf } from './own-token.ts'
import { OAuthRefusal } from './refusal.ts'
import type { Shares } from './shares.ts'

export interface RevocationSetup extends FormEndpointSetup {
  readonly keep: Tokenkeep
  readonly acting: Acting
  readonly shares: Shares
  readonly metrics: Metrics
}

const OPERATION = 'dropInRevoke'

const notOurs = (): OAuthRefusal =>
  new OAuthRefusal(
    'unsupported_token_type',
    "access tokens are the provider's: only refresh tokens of this server can be revoked here",
  )

export function registerRevocation(scope: FastifyInstance, setup: RevocationSetup): void {
  const { keep, acting, shares, metrics } = setup

  const revoke = async (asked: AskedByForm, token: string): Promise<void> => {
    const own = await ownToken(keep.callers, asked, token)
    // An unknown token is as good as revoked (RFC 7009 section 2.2), and another client's is as good as unknown. But an
    // access token is the provider's, and would go on working (section 2.2.1).
    if (own === null && asked.form.get('token_type_hint') === 'access_token') throw notOurs()
    if (own === null) return
    await acting(asked.caller).localRefreshTokens.revoke(own.id)
    shares.forget(token)
  }

  registerFormEndpoint(scope, setup, {
    path: 'revoke',
    operation: OPERATION,
    exchanges: false,
    handle(asked: AskedByForm, reply: FastifyReply) {
      void revoke(asked, tokenOf(asked)).then(
        () => {
          metrics.answered(OPERATION, 200)
          reply.send('')
        },
        (error: unknown) => reply.send(error),
      )
    },
  })
}
