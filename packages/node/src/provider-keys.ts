/**
 * The keys that a provider signs with.
 *
 * @see RFC 8414 section 2 and OpenID Connect Discovery 1.0 section 3 (`jwks_uri`)
 */
import type { Clock, Provider } from '@tokenkeep/core'
import type { EndpointDiscovery } from './endpoint-discovery.ts'
import { createPublishedKeys, KEYS_DEADLINE_MS, type PublishedKeys } from './published-keys.ts'
import type { Exchange } from './single-exchange.ts'

export type ProviderKeys = PublishedKeys<Provider>

export const createProviderKeys = ({
  discovery,
  ...setup
}: {
  readonly clock: Clock
  readonly exchange: Exchange
  readonly discovery: EndpointDiscovery
  readonly headers: Readonly<Record<string, string>>
}): ProviderKeys =>
  createPublishedKeys<Provider>({
    ...setup,
    locate: (provider) => discovery.find(provider, 'jwksUri', KEYS_DEADLINE_MS),
  })
