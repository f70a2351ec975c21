/**
 * What an OAuth client finds out by itself: where the endpoints are, and what they take (RFC 8414; the same document
 * where OpenID Connect looks for it). There is no `jwks_uri`, since no ID token is handed out, and no
 * `authorization_endpoint`, since nobody signs in here.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { parseName, TokenError } from '@tokenkeep/core'
import { SIGNING_ALGORITHMS, type Tokenkeep } from '@tokenkeep/node'
import type { Addressed } from '../addressed.ts'
import type { Metrics } from '../metrics.ts'
import type { Pressure } from '../pressure.ts'
import { AUTHENTICATION_METHODS } from './client-authentication.ts'
import { GRANT_TYPES } from './token-endpoint.ts'

export interface DiscoverySetup {
  readonly keep: Tokenkeep
  readonly addressed: Addressed
  readonly metrics: Metrics
  readonly pressure: Pressure
}

/** RFC 8414 section 2. */
export interface ServerMetadata {
  readonly issuer: string
  readonly token_endpoint: string
  readonly revocation_endpoint: string
  readonly introspection_endpoint: string
  readonly grant_types_supported: readonly string[]
  /** Required by RFC 8414, and empty: there is no authorization endpoint. */
  readonly response_types_supported: readonly string[]
  readonly token_endpoint_auth_methods_supported: readonly string[]
  readonly revocation_endpoint_auth_methods_supported: readonly string[]
  readonly introspection_endpoint_auth_methods_supported: readonly string[]
  /** Required beside `private_key_jwt`. */
  readonly token_endpoint_auth_signing_alg_values_supported: readonly string[]
  readonly revocation_endpoint_auth_signing_alg_values_supported: readonly string[]
  readonly introspection_endpoint_auth_signing_alg_values_supported: readonly string[]
}

const OPERATION = 'dropInDiscovery'
/** RFC 8414 section 3.1 puts the well-known part before the path of the issuer, OpenID Connect Discovery after it. */
const PATHS = [
  '/realms/:realm/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server/realms/:realm',
]

export function registerDiscovery(app: FastifyInstance, setup: DiscoverySetup): void {
  const { keep, addressed, metrics, pressure } = setup
  for (const url of PATHS) {
    app.route({
      method: 'GET',
      url,
      config: { operation: OPERATION },
      handler: async (request, reply) => {
        pressure.check()
        const { realm } = request.params as { realm: string }
        await known(keep, realm)
        const text = JSON.stringify(metadataOf(issuerOf(addressed, request, realm)))
        metrics.answered(OPERATION, 200)
        return reply.header('content-type', 'application/json; charset=utf-8').send(text)
      },
    })
  }
}

/** As the caller addresses this server, so that what it finds is where it looked. */
export const issuerOf = (addressed: Addressed, request: FastifyRequest, realm: string): string =>
  `${addressed.baseUrl(request.headers.host, request.protocol)}/realms/${realm}`

/** @throws TokenError `unknown_provider` */
async function known(keep: Tokenkeep, realm: string): Promise<void> {
  if ('wrong' in parseName('provider', realm)) {
    throw new TokenError('unknown_provider', 'there is no such realm: a realm is the id of a provider.')
  }
  await keep.providers.get(realm)
}

function metadataOf(issuer: string): ServerMetadata {
  const endpoints = `${issuer}/protocol/openid-connect`
  return {
    issuer,
    token_endpoint: `${endpoints}/token`,
    revocation_endpoint: `${endpoints}/revoke`,
    introspection_endpoint: `${endpoints}/token/introspect`,
    grant_types_supported: GRANT_TYPES,
    response_types_supported: [],
    // `none` for token exchange alone: the subject token says who asks.
    token_endpoint_auth_methods_supported: [...AUTHENTICATION_METHODS, 'none'],
    revocation_endpoint_auth_methods_supported: AUTHENTICATION_METHODS,
    introspection_endpoint_auth_methods_supported: AUTHENTICATION_METHODS,
    token_endpoint_auth_signing_alg_values_supported: SIGNING_ALGORITHMS,
    revocation_endpoint_auth_signing_alg_values_supported: SIGNING_ALGORITHMS,
    introspection_endpoint_auth_signing_alg_values_supported: SIGNING_ALGORITHMS,
  }
}
