/** Each provider: what it says about itself against what is kept, and whether it is to be reached. */
import { assertNever, type NotSentBecause, type Provider } from '@tokenkeep/core'
import type { EndpointSeen, Metadata, MetadataEndpoint, MetadataSeen, ProviderSeen } from '@tokenkeep/node'
import { daysUntil } from './days.ts'
import { findingsOf, type Finding, type Kinds } from './finding.ts'

export const PROVIDERS = {
  provider: {
    is: 'ok',
    says: '{provider}: its token endpoint is reached{tls}; {metadata}',
    todo: null,
  },
  provider_none: {
    is: 'note',
    says: 'there is no provider yet',
    todo: '`tokenkeep provider add` adds one.',
  },
  provider_unreachable: {
    is: 'wrong',
    says: '{provider}: its token endpoint at {host} is not reached: {why}',
    todo: 'Look at the name, the network and the firewall of this machine, and at the status page of the provider.',
  },
  provider_unfound: {
    is: 'wrong',
    says: '{provider}: where its token endpoint is cannot be found out: {why}',
    todo: 'Look at its issuer (`tokenkeep provider show`), or give its token endpoint (`provider add --token-endpoint`).',
  },
  provider_refused: {
    is: 'wrong',
    says: '{provider}: {host} points into a private or special network, and nothing is sent there',
    todo: 'If it really is there: `tokenkeep provider add ... --allow-private-network`. If not, look at who answers for this name.',
  },
  provider_untrusted: {
    is: 'wrong',
    says: '{provider}: the TLS handshake with {host} fails: its certificate is not believed here, or it speaks another TLS',
    todo: 'A certificate authority of your own is named by NODE_EXTRA_CA_CERTS; a certificate that has ended is theirs to renew.',
  },
  provider_certificate_ends: {
    is: 'note',
    says: '{provider}: the certificate of {host} ends in {days} days',
    todo: 'Nothing yet: its operator renews it. If that is you, now.',
  },
  provider_metadata_missing: {
    is: 'note',
    says: '{provider}: its issuer has no metadata that could be compared ({why})',
    todo: 'If it should have some, look at its issuer: `tokenkeep provider show`.',
  },
  provider_other_issuer: {
    is: 'wrong',
    says: '{provider}: the metadata at its issuer are those of {issuer}, and so are not believed (RFC 8414 section 3.3)',
    todo: 'Write the issuer to the letter as they say it: `tokenkeep provider add ... --issuer`.',
  },
  provider_moved: {
    is: 'note',
    says: '{provider}: {endpoint} is {kept} here, and {said} in its metadata',
    todo: 'If the provider has moved it, leave it out of `tokenkeep provider add`, or give the new one.',
  },
  provider_no_refresh: {
    is: 'note',
    says: '{provider}: its metadata do not name the grant refresh_token',
    todo: 'If it grants no refresh tokens, each sign-in ends with its access token.',
  },
  provider_not_asked: {
    is: 'note',
    says: '{left} of {all} providers were not asked: the time was over',
    todo: 'Run doctor again when the others answer faster.',
  },
} as const satisfies Kinds

const found = findingsOf('providers', PROVIDERS)

export const noProvider = (): Finding => found('provider_none', {})
export const providersLeft = (left: number, all: number): Finding => found('provider_not_asked', { left, all })

/** Let's Encrypt renews with 30 days left, most others before this. */
const CERTIFICATE_DAYS_LEAST = 14

export function judgeProvider(
  provider: Provider,
  { metadata, tokenEndpoint }: ProviderSeen,
  now: number,
): readonly Finding[] {
  // A host that is not reached has said nothing of its metadata either.
  const silent = tokenEndpoint.failed !== null && metadata !== null && 'notAsked' in metadata.says
  const said = metadata === null || silent ? [] : judgeMetadata(provider, metadata)
  return [...judgeEndpoint(provider, tokenEndpoint, metadata, now), ...said]
}

// ---- reached -------------------------------------------------------------------------------------------------------

function judgeEndpoint(
  { id: provider }: Provider,
  { url, failed, certificateEndsAt }: EndpointSeen,
  metadata: MetadataSeen | null,
  now: number,
): readonly Finding[] {
  const host = url === null ? (metadata === null ? '' : hostOf(metadata.url)) : hostOf(url)
  if (failed !== null) return [unreached(provider, { host, failed, metadata })]
  const days = certificateEndsAt === null ? null : daysUntil(certificateEndsAt, now)
  const tls = days === null ? ', without TLS on this machine' : `, its certificate has ${days} days`
  return [
    found('provider', { provider, tls, metadata: agreement(metadata) }),
    ...(days !== null && days < CERTIFICATE_DAYS_LEAST
      ? [found('provider_certificate_ends', { provider, host, days })]
      : []),
  ]
}

const agreement = (metadata: MetadataSeen | null): string => {
  if (metadata === null) return 'it has no issuer to compare with'
  return 'endpoints' in metadata.says ? 'its metadata were read' : 'no metadata were read'
}

function unreached(
  provider: string,
  of: { readonly host: string; readonly failed: NotSentBecause; readonly metadata: MetadataSeen | null },
): Finding {
  const { host, failed, metadata } = of
  // Where the endpoint was to be discovered, the way to the metadata says why it was not.
  const because =
    failed === 'discovery' && metadata !== null && 'notAsked' in metadata.says ? metadata.says.notAsked : failed
  if (because === 'address_refused') return found('provider_refused', { provider, host })
  if (because === 'tls') return found('provider_untrusted', { provider, host })
  if (failed === 'discovery') return found('provider_unfound', { provider, why: undiscovered(metadata, because) })
  return found('provider_unreachable', { provider, host, why: inWords(because) })
}

function undiscovered(metadata: MetadataSeen | null, because: NotSentBecause | 'no_answer'): string {
  if (metadata === null) return 'it has neither an issuer nor a token endpoint'
  if ('notAsked' in metadata.says) return inWords(because)
  return 'status' in metadata.says
    ? `${hostOf(metadata.url)} answers ${metadata.says.status} and no metadata of this issuer`
    : 'its metadata name no token endpoint that may be used'
}

function inWords(because: NotSentBecause | 'no_answer'): string {
  switch (because) {
    case 'dns':
      return 'its name is not known here'
    case 'refused':
      return 'nobody takes the connection'
    case 'timeout':
      return 'it did not answer in time'
    case 'no_answer':
      return 'it took the connection and gave no answer'
    case 'tls':
      return 'TLS fails'
    case 'address_refused':
      return 'it points into a private network'
    case 'discovery':
      return 'its metadata are not to be had'
    case 'closed':
    case 'send_limit':
      return 'it closed the connection'
    case 'client':
    case 'client_assertion_file':
    case 'client_certificate_expired':
    case 'grant_file':
    case 'source_connection':
      return 'what was to be sent is missing'
    default:
      return assertNever(because)
  }
}

const hostOf = (url: string): string => new URL(url).host

// ---- said ----------------------------------------------------------------------------------------------------------

function judgeMetadata(provider: Provider, { says }: MetadataSeen): readonly Finding[] {
  const { id } = provider
  if ('notAsked' in says) {
    // Where the token endpoint depends on them, that was said already.
    return provider.tokenEndpoint === null
      ? []
      : [found('provider_metadata_missing', { provider: id, why: inWords(says.notAsked) })]
  }
  if ('status' in says) {
    if (says.issuer !== null && says.status === 200)
      return [found('provider_other_issuer', { provider: id, issuer: says.issuer })]
    return provider.tokenEndpoint === null
      ? []
      : [found('provider_metadata_missing', { provider: id, why: `status ${says.status}` })]
  }
  return [
    ...moved(provider, says),
    ...(says.grantTypes !== null && !says.grantTypes.includes('refresh_token')
      ? [found('provider_no_refresh', { provider: id })]
      : []),
  ]
}

const ENDPOINTS = {
  tokenEndpoint: 'the token endpoint',
  revocationEndpoint: 'the revocation endpoint',
  introspectionEndpoint: 'the introspection endpoint',
  authorizationEndpoint: 'the authorization endpoint',
  pushedAuthorizationRequestEndpoint: 'the PAR endpoint',
  deviceAuthorizationEndpoint: 'the device endpoint',
  jwksUri: 'jwks_uri',
  userinfoEndpoint: 'the userinfo endpoint',
} as const satisfies Record<MetadataEndpoint, string>

const moved = (provider: Provider, { endpoints }: Metadata): readonly Finding[] =>
  (Object.keys(ENDPOINTS) as MetadataEndpoint[]).flatMap((name) => {
    const [kept, said] = [provider[name], endpoints[name]]
    if (kept === null || said === undefined || sameUrl(kept, said)) return []
    return [found('provider_moved', { provider: provider.id, endpoint: ENDPOINTS[name], kept, said })]
  })

const sameUrl = (one: string, other: string): boolean => URL.parse(one)?.href === URL.parse(other)?.href
