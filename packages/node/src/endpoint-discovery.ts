/**
 * Which URLs a provider's endpoints have: what its data says, else what its issuer's metadata says.
 *
 * @see OpenID Connect Discovery 1.0 section 4; RFC 8414 section 3
 */
import {
  agedBy,
  fromSeconds,
  type Clock,
  type DurationMs,
  type Now,
  type Provider,
  type ProviderId,
} from '@tokenkeep/core'
import type { AuthorizationServer } from 'oauth4webapi'
import { readProviderUrl } from './address-rules.ts'
import { askIssuer } from './issuer-metadata.ts'
import type { Exchange } from './single-exchange.ts'

export type EndpointName =
  | 'tokenEndpoint'
  | 'refreshEndpoint'
  | 'revocationEndpoint'
  | 'introspectionEndpoint'
  | 'authorizationEndpoint'
  | 'pushedAuthorizationRequestEndpoint'
  | 'deviceAuthorizationEndpoint'
  | 'jwksUri'

/** What a server's metadata says beside its endpoints. */
export interface ServerSays {
  /** Each authorization response names its issuer (RFC 9207 section 3). */
  readonly namesIssuer: boolean
  /** It takes authorization requests only where they were pushed (RFC 9126 section 5). */
  readonly requiresPushedRequests: boolean
}

const SAYS_NOTHING: ServerSays = { namesIssuer: false, requiresPushedRequests: false }

export interface EndpointDiscovery {
  /**
   * Finds one endpoint.
   *
   * @param withinMs for this caller; a discovery that takes longer goes on for those who ask next
   * @param how `mtls`: where a client shows a certificate, which can be another URL (RFC 8705 section 5)
   * @returns its URL; `none` where the provider has no such endpoint; `failed` where that is not known, or where its
   * metadata names a URL that the address rules refuse. Never rejects.
   */
  find(
    provider: Provider,
    name: EndpointName,
    withinMs: DurationMs,
    how?: { readonly mtls: boolean },
  ): Promise<URL | 'none' | 'failed'>
  /**
   * What the server says about itself.
   *
   * @returns all false where the provider has no issuer; `failed` where its metadata could not be had. Never rejects.
   */
  says(provider: Provider, withinMs: DurationMs): Promise<ServerSays | 'failed'>
}

// A provider that moves an endpoint is noticed within the hour; the token path hardly ever waits for metadata.
const KEPT_MS = fromSeconds(3600)
const DISCOVERY_DEADLINE_MS = fromSeconds(10)

interface Found {
  readonly endpoints: Endpoints
  /** The same for clients that show a certificate. */
  readonly mtls: Endpoints
  readonly says: ServerSays
}
type Endpoints = Readonly<Record<EndpointName, URL | 'none' | 'failed'>>

interface Kept {
  readonly revision: Provider['revision']
  readonly found: Found
  readonly at: Now
}

export function createEndpointDiscovery(setup: {
  readonly clock: Clock
  readonly exchange: Exchange
  readonly headers: Readonly<Record<string, string>>
}): EndpointDiscovery {
  const { clock } = setup
  const kept = new Map<ProviderId, Kept>()
  const running = new Map<string, Promise<Found | null>>()

  /** One discovery at a time for each provider as it is now; only what was found is kept. */
  const discovered = (provider: Provider, issuer: string): Promise<Found | null> => {
    const key = `${provider.id} ${provider.revision}`
    const flight = running.get(key)
    if (flight !== undefined) return flight
    const started = discover(provider, issuer)
      .then((found) => {
        if (found !== null) kept.set(provider.id, { revision: provider.revision, found, at: clock.now() })
        return found
      })
      .finally(() => running.delete(key))
    running.set(key, started)
    return started
  }

  const discover = (provider: Provider, issuer: string): Promise<Found | null> =>
    askIssuer(setup, { issuer, allowPrivateNetwork: provider.allowPrivateNetwork }, DISCOVERY_DEADLINE_MS, (metadata) =>
      foundIn(metadata, provider),
    )

  /** What is known, or found out in time. */
  const foundWithin = async (provider: Provider, issuer: string, withinMs: DurationMs): Promise<Found | null> => {
    const known = kept.get(provider.id)
    if (known?.revision === provider.revision && agedBy(known.at, clock.now()) < KEPT_MS) return known.found
    const alarm = clock.alarm(withinMs)
    const found = await Promise.race([discovered(provider, issuer), alarm.rung.then(() => null)])
    alarm.cancel()
    return found
  }

  return {
    async find(provider, name, withinMs, { mtls } = { mtls: false }) {
      const which = mtls ? 'mtls' : 'endpoints'
      const explicit = provider[name]
      if (explicit !== null) return URL.parse(explicit) ?? 'failed'
      if (provider.issuer === null || !URL.canParse(provider.issuer))
        return name === 'tokenEndpoint' ? 'failed' : 'none'
      return (await foundWithin(provider, provider.issuer, withinMs))?.[which][name] ?? 'failed'
    },

    async says(provider, withinMs) {
      if (provider.issuer === null || !URL.canParse(provider.issuer)) return SAYS_NOTHING
      return (await foundWithin(provider, provider.issuer, withinMs))?.says ?? 'failed'
    },
  }
}

function foundIn(metadata: AuthorizationServer, provider: Provider): Found | null {
  const endpoint = (value: unknown): URL | 'none' | 'failed' => {
    if (value === undefined || value === null) return 'none'
    const read = readProviderUrl(value, provider)
    return 'url' in read ? read.url : 'failed'
  }
  const tokenEndpoint = endpoint(metadata.token_endpoint)
  // Metadata without a usable token endpoint is not kept: whoever mends it should not wait for an hour.
  if (!(tokenEndpoint instanceof URL)) return null
  const endpoints: Endpoints = {
    tokenEndpoint,
    // No metadata has one (RFC 8414 section 2): it is the token endpoint unless the provider's data says otherwise.
    refreshEndpoint: tokenEndpoint,
    revocationEndpoint: endpoint(metadata.revocation_endpoint),
    introspectionEndpoint: endpoint(metadata.introspection_endpoint),
    authorizationEndpoint: endpoint(metadata.authorization_endpoint),
    pushedAuthorizationRequestEndpoint: endpoint(metadata.pushed_authorization_request_endpoint),
    deviceAuthorizationEndpoint: endpoint(metadata.device_authorization_endpoint),
    jwksUri: endpoint(metadata.jwks_uri),
  }
  const says = {
    namesIssuer: metadata.authorization_response_iss_parameter_supported === true,
    requiresPushedRequests: metadata.require_pushed_authorization_requests === true,
  }
  const aliases = metadata.mtls_endpoint_aliases
  const alias = (value: unknown, otherwise: URL | 'none' | 'failed'): URL | 'none' | 'failed' =>
    value === undefined ? otherwise : endpoint(value)
  const mtlsTokenEndpoint = alias(aliases?.token_endpoint, tokenEndpoint)
  const mtls: Endpoints = {
    ...endpoints,
    tokenEndpoint: mtlsTokenEndpoint,
    refreshEndpoint: mtlsTokenEndpoint,
    revocationEndpoint: alias(aliases?.revocation_endpoint, endpoints.revocationEndpoint),
    introspectionEndpoint: alias(aliases?.introspection_endpoint, endpoints.introspectionEndpoint),
    pushedAuthorizationRequestEndpoint: alias(
      aliases?.pushed_authorization_request_endpoint,
      endpoints.pushedAuthorizationRequestEndpoint,
    ),
    deviceAuthorizationEndpoint: alias(aliases?.device_authorization_endpoint, endpoints.deviceAuthorizationEndpoint),
  }
  return { endpoints, mtls, says }
}
