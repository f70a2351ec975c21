/** How this process speaks to providers: one dial, one discovery and one memory of keys for all that is asked of them. */
import type { Clock } from '@tokenkeep/core'
import { createDial, type Dial, type DialSetup } from './dial.ts'
import { createDpopProofs, type DpopProofs } from './dpop-proof.ts'
import { createEndpointDiscovery, type EndpointDiscovery } from './endpoint-discovery.ts'
import { createProviderKeys, type ProviderKeys } from './provider-keys.ts'
import { createExchange, type Exchange } from './single-exchange.ts'

/** This package's version as providers see it in their logs; a test compares it with package.json. */
export const USER_AGENT = 'tokenkeep/0.1.0'

/** With all that is asked of a provider: JSON, and who asks. */
export const ASKING_HEADERS = { accept: 'application/json', 'user-agent': USER_AGENT } as const

export interface ProviderAccess {
  readonly clock: Clock
  readonly dial: Dial
  readonly exchange: Exchange
  readonly discovery: EndpointDiscovery
  readonly keys: ProviderKeys
  readonly proofs: DpopProofs
}

export function createProviderAccess(setup: DialSetup): ProviderAccess {
  const { clock } = setup
  const dial = createDial(setup)
  const exchange = createExchange(dial, clock)
  const headers = ASKING_HEADERS
  const discovery = createEndpointDiscovery({ clock, exchange, headers })
  const keys = createProviderKeys({ clock, exchange, discovery, headers })
  return { clock, dial, exchange, discovery, keys, proofs: createDpopProofs(clock) }
}
