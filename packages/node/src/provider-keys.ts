/**
 * The keys that a provider signs with: asked for when a signature is to be checked, and again when it names a key that is
 * not among them.
 *
 * @see RFC 7517 section 5 (JWK Set); RFC 8414 section 2 and OpenID Connect Discovery 1.0 section 3 (`jwks_uri`)
 */
import { agedBy, fromSeconds, type Clock, type Now, type Provider, type ProviderId } from '@tokenkeep/core'
import type { createLocalJWKSet, JSONWebKeySet } from 'jose'
import type { EndpointDiscovery } from './endpoint-discovery.ts'
import type { Exchange } from './single-exchange.ts'

export type KeySet = ReturnType<typeof createLocalJWKSet>

export interface ProviderKeys {
  /**
   * The keys of a provider.
   *
   * @param wanted `newer`: those known do not have the key that was named, so they are asked for again, once in a while
   * @returns `none`: it publishes no keys; `failed`: they could not be had. Never rejects.
   */
  of(provider: Provider, wanted: 'known' | 'newer'): Promise<KeySet | 'none' | 'failed'>
}

const KEPT_MS = fromSeconds(3600)
/** Whoever sends tokens with invented key ids must not make us ask for keys with each of them. */
const APART_MS = fromSeconds(30)
const DEADLINE_MS = fromSeconds(10)

interface Kept {
  readonly revision: Provider['revision']
  readonly keys: KeySet | 'none' | 'failed'
  readonly at: Now
}

export function createProviderKeys(setup: {
  readonly clock: Clock
  readonly exchange: Exchange
  readonly discovery: EndpointDiscovery
  readonly headers: Readonly<Record<string, string>>
}): ProviderKeys {
  const { clock, exchange, discovery, headers } = setup
  const kept = new Map<ProviderId, Kept>()
  const running = new Map<string, Promise<Kept>>()

  const asked = async (provider: Provider): Promise<KeySet | 'none' | 'failed'> => {
    const url = await discovery.find(provider, 'jwksUri', DEADLINE_MS)
    if (!(url instanceof URL)) return url
    const to = { url, method: 'GET', allowPrivateNetwork: provider.allowPrivateNetwork } as const
    const answer = await exchange(to, { headers, body: null }, DEADLINE_MS)
    return answer?.status === 200 ? readKeys(answer.body.reveal()) : 'failed'
  }

  /** One question at a time for each provider as it is now. */
  const ask = (provider: Provider): Promise<Kept> => {
    const key = `${provider.id} ${provider.revision}`
    const flight = running.get(key)
    if (flight !== undefined) return flight
    const started = asked(provider)
      .then((keys) => {
        const before = kept.get(provider.id)
        // Keys that we have serve on while the server is away.
        const serve = keys === 'failed' && before?.revision === provider.revision ? before.keys : keys
        const now: Kept = { revision: provider.revision, keys: serve, at: clock.now() }
        kept.set(provider.id, now)
        return now
      })
      .finally(() => running.delete(key))
    running.set(key, started)
    return started
  }

  return {
    async of(provider, wanted) {
      const known = kept.get(provider.id)
      const keptMs = wanted === 'newer' || known?.keys === 'failed' ? APART_MS : KEPT_MS
      if (known?.revision === provider.revision && agedBy(known.at, clock.now()) < keptMs) return known.keys
      return (await ask(provider)).keys
    },
  }
}

/** The library is loaded with the first signature that is checked: most processes check none. */
async function readKeys(body: string): Promise<KeySet | 'failed'> {
  const jose = await import('jose')
  try {
    return jose.createLocalJWKSet(JSON.parse(body) as JSONWebKeySet)
  } catch {
    return 'failed'
  }
}
