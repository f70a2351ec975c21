import type { TokenEndpoint } from '@tokenkeep/core'
import type { SourceToken } from './grant-material.ts'
import type { ProviderAccess } from './provider-access.ts'

/**
 * The token endpoint, loaded when something is to be sent for the first time.
 *
 * HTTP, TLS and the OAuth library take longer to load than all the rest, and most processes only hand out what is fresh.
 */
export function tokenEndpointOnDemand(access: () => Promise<ProviderAccess>, source: SourceToken): TokenEndpoint {
  let loading: Promise<TokenEndpoint> | null = null
  let loaded: TokenEndpoint | null = null
  const load = async (): Promise<TokenEndpoint> => {
    loading ??= Promise.all([access(), import('./token-endpoint-oauth4webapi.ts')]).then(
      ([loadedAccess, { createTokenEndpoint }]) => createTokenEndpoint(loadedAccess, source),
    )
    loaded = await loading
    return loaded
  }
  return {
    // Needs nothing of what is loaded.
    awaitSource: async (id) => void (await source(id, null)),
    connect: async (...of) => (await load()).connect(...of),
    present: (...of) => {
      // There is no line before `connect`, and no second one to load between taking the ticket and sending.
      if (loaded === null) throw new Error('nothing can be presented before a line is connected')
      return loaded.present(...of)
    },
    revoke: async (...of) => (await load()).revoke(...of),
    introspect: async (...of) => (await load()).introspect(...of),
  }
}
