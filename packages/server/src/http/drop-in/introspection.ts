/** Says of a local refresh token whether it is in force (RFC 7662), not whether the sign-in behind it still works. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Tokenkeep } from '@tokenkeep/node'
import type { Addressed } from '../addressed.ts'
import type { Metrics } from '../metrics.ts'
import { issuerOf } from './discovery.ts'
import { registerFormEndpoint, type AskedByForm, type FormEndpointSetup } from './form-endpoint.ts'
import { ownToken, tokenOf } from './own-token.ts'

export interface IntrospectionSetup extends FormEndpointSetup {
  readonly keep: Tokenkeep
  readonly addressed: Addressed
  readonly metrics: Metrics
}

/** RFC 7662 section 2.2. There is no `exp`, for it has no end. */
export type Introspected =
  | { readonly active: false }
  | {
      readonly active: true
      readonly client_id: string
      readonly scope?: string
      readonly sub?: string
      /** Epoch seconds. */
      readonly iat: number
      readonly iss: string
    }

const OPERATION = 'dropInIntrospect'

export function registerIntrospection(scope: FastifyInstance, setup: IntrospectionSetup): void {
  const { keep, addressed, metrics } = setup

  const introspect = async (asked: AskedByForm, token: string): Promise<Introspected> => {
    const own = await ownToken(keep.callers, asked, token)
    if (own === null) return { active: false }
    return {
      active: true,
      client_id: own.apiKey,
      ...(own.scope === null ? {} : { scope: own.scope }),
      ...(own.subject === null ? {} : { sub: own.subject }),
      iat: Math.floor(own.createdAt / 1000),
      iss: issuerOf(addressed, asked.request, own.provider),
    }
  }

  registerFormEndpoint(scope, setup, {
    path: 'token/introspect',
    operation: OPERATION,
    exchanges: false,
    handle(asked: AskedByForm, reply: FastifyReply) {
      void introspect(asked, tokenOf(asked)).then(
        (introspected) => {
          metrics.answered(OPERATION, 200)
          reply.header('content-type', 'application/json; charset=utf-8').send(JSON.stringify(introspected))
        },
        (error: unknown) => reply.send(error),
      )
    },
  })
}
