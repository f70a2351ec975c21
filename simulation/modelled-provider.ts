/** The provider and the client of every world, as they are registered. */
import { ms, NO_WORDS, STANDARD_ANSWER, STANDARD_REQUEST, type Client, type Provider } from '@tokenkeep/core'

/** A public client: nothing of it can be lost. */
export const CLIENT: Client = {
  id: 'c' as Client['id'],
  revision: 1 as Client['revision'],
  provider: 'p' as Client['provider'],
  clientId: 'c',
  tokenEndpointAuthMethod: 'none',
}
/** What the modelled providers have in common. */
export const NAMELESS: Omit<Provider, 'id' | 'reuse'> = {
  revision: 1 as Provider['revision'],
  preset: null,
  issuer: null,
  tokenEndpoint: 'https://modelled.example/token',
  refreshEndpoint: null,
  revocationEndpoint: 'https://modelled.example/revoke',
  introspectionEndpoint: null,
  tokenEndpointAuthMethod: 'none',
  narrowing: 'token_only',
  refreshKillsAccessToken: false,
  accessTokenLifetimeMs: ms(60_000),
  refreshTokenIdleMs: null,
  refreshTokenAbsoluteMs: null,
  requestsPerMinute: null,
  concurrency: null,
  words: NO_WORDS,
  request: STANDARD_REQUEST,
  answer: STANDARD_ANSWER,
  apiBaseUrls: [],
  allowPrivateNetwork: false,
}
