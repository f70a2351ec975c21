/** The provider and the client of every world, as they are registered. */
import { CLIENT_DEFAULTS, ms, type Client, type Provider } from '@tokenkeep/core'
import { providerOf } from '../packages/node/test/fixtures/provider.ts'

/** A public client: nothing of it can be lost. */
export const clientAt = (id: string, provider: string, dpopBoundAccessTokens: boolean): Client => ({
  id: id as Client['id'],
  revision: 1 as Client['revision'],
  provider: provider as Client['provider'],
  clientId: id,
  tokenEndpointAuthMethod: 'none',
  ...CLIENT_DEFAULTS,
  dpopBoundAccessTokens,
})
/** What the modelled providers have in common. */
export const NAMELESS: Omit<Provider, 'id' | 'reuse'> = providerOf({
  tokenEndpoint: 'https://modelled.example/token',
  revocationEndpoint: 'https://modelled.example/revoke',
  tokenEndpointAuthMethod: 'none',
  ...CLIENT_DEFAULTS,
  narrowing: 'token_only',
  accessTokenLifetimeMs: ms(60_000),
})
