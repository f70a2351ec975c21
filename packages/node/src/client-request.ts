/** One request that a client makes of its provider beside refreshing: harmless to lose, and never repeated here. */
import type { ClientUnusable, DpopKey, DurationMs, OpenedClient, Provider, ResponseSeen } from '@tokenkeep/core'
import { proofOf, type ClientProof } from './client-proof.ts'
import type { EndpointName } from './endpoint-discovery.ts'
import { outgoing } from './outgoing.ts'
import { ASKING_HEADERS, type ProviderAccess } from './provider-access.ts'

export interface ClientRequest {
  readonly provider: Provider
  readonly client: OpenedClient
  readonly endpoint: EndpointName
  /** All but what proves the client. */
  readonly parameters: URLSearchParams
  /** What its answer brings is bound to this key (RFC 9449); null or absent: to none. */
  readonly dpopKey?: DpopKey | null
}

/**
 * Asks an endpoint of the provider as one of its clients.
 *
 * @returns the answer; `none`: there is no such endpoint; `failed`: no answer came; `unusable`: the client can prove
 *   nothing now, and nothing was sent. Never rejects.
 */
export async function askAsClient(
  access: Pick<ProviderAccess, 'clock' | 'discovery' | 'exchange' | 'proofs'>,
  { provider, client, endpoint, parameters, dpopKey = null }: ClientRequest,
  withinMs: DurationMs,
): Promise<ResponseSeen | 'none' | 'failed' | 'unusable'> {
  const url = await access.discovery.find(provider, endpoint, withinMs, { mtls: showsCertificate(client) })
  if (!(url instanceof URL)) return url
  const proof = await proofFor(access, { provider, client }, withinMs)
  if ('unusable' in proof) return 'unusable'
  const asks = { method: 'POST', url, nonces: `server:${provider.id}` } as const
  const body = new URLSearchParams(parameters)
  for (const [name, value] of Object.entries(proof.parameters)) body.set(name, value)
  const headers = {
    ...ASKING_HEADERS,
    'content-type': 'application/x-www-form-urlencoded;charset=UTF-8',
    ...lowerCased(provider.request.headers),
    ...proof.headers,
    ...(dpopKey === null ? {} : { dpop: await access.proofs.make(dpopKey, asks) }),
  }
  const to = { url, method: 'POST', allowPrivateNetwork: provider.allowPrivateNetwork, tls: proof.tls } as const
  const answer = await access.exchange(to, outgoing(headers, body, provider.request.encoding), withinMs)
  access.proofs.heard(asks, answer?.dpopNonce)
  return answer ?? 'failed'
}

/** The proof for one request, whichever endpoint it goes to. */
export async function proofFor(
  { clock, discovery }: Pick<ProviderAccess, 'clock' | 'discovery'>,
  { provider, client }: Pick<ClientRequest, 'provider' | 'client'>,
  withinMs: DurationMs,
): Promise<ClientProof | { readonly unusable: ClientUnusable }> {
  // Another endpoint than the token endpoint is asked for the one whose URL may be the audience.
  const found = signs(client) ? await discovery.find(provider, 'tokenEndpoint', withinMs) : null
  const tokenEndpoint = found instanceof URL ? found : null
  return proofOf({ provider, client, tokenEndpoint, now: clock.now().wall })
}

const signs = ({ tokenEndpointAuthMethod: method }: OpenedClient): boolean =>
  method === 'client_secret_jwt' || method === 'private_key_jwt'

export const showsCertificate = ({ certificate }: OpenedClient): boolean => certificate !== null

/** Names of headers are compared without regard to case, members of an object are not. */
export const lowerCased = (headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
