/**
 * Our own protocol calls without a store: connect, present once, judge the answer, forget it. What a refresh takes longer
 * than this is what keeping costs.
 */
import {
  formFor,
  FULL,
  judge,
  ms,
  NO_KEYS,
  NUMBERS,
  Secret,
  type Lease,
  type OpenedClient,
  type Ticket,
} from '@tokenkeep/core'
import { createSystemClock } from '../../packages/node/src/clock-system.ts'
import { readClientInput } from '../../packages/node/src/client-input.ts'
import { readProviderInput } from '../../packages/node/src/provider-input.ts'
import { createProviderAccess } from '../../packages/node/src/provider-access.ts'
import { createTokenEndpoint } from '../../packages/node/src/token-endpoint-oauth4webapi.ts'
import type { Exchange, ExchangeSetup } from '../refresh-rounds.ts'

export function prepareOwnExchange({ endpoint, clientId, clientSecret }: ExchangeSetup): Exchange {
  const calls = createTokenEndpoint(createProviderAccess({ clock: createSystemClock() }))
  const provider = {
    ...readProviderInput({ id: 'bare', tokenEndpoint: endpoint, reuse: { kind: 'strict' } }),
    revision: 1,
  } as Parameters<typeof calls.connect>[0]
  const client = {
    ...readClientInput({
      id: 'app',
      provider: 'bare',
      clientId,
      clientSecret,
      tokenEndpointAuthMethod: 'client_secret_post',
    }),
    revision: 1 as OpenedClient['revision'],
    keys: NO_KEYS,
    certificate: null,
  } satisfies OpenedClient
  // Only a store makes real ones, and there is none.
  const lease = {} as Lease
  const ticketFor = (refreshToken: string): Ticket =>
    ({
      take: () => ({ kind: 'refresh_token', refreshToken: new Secret('refresh_token', refreshToken) }),
    }) as unknown as Ticket

  const form = formFor('refresh_token', FULL, null)
  return async (refreshToken) => {
    const line = await calls.connect(
      provider,
      client,
      { grantType: 'refresh_token', grantRequest: null, subject: null },
      ms(5000),
    )
    if ('kind' in line) throw new Error('the token endpoint cannot be reached')
    const answer = await calls.present(line, lease, ticketFor(refreshToken), form).ever
    const asked = { lastLifetimeMs: null, unknownLifetimeMs: NUMBERS.lifetimeUnknownMs, asked: false }
    if (judge(answer, provider, asked).kind !== 'granted') throw new Error('the token endpoint granted nothing')
  }
}
