/** Each client: whether its provider takes it, and how long that will last. No refresh token is presented for it. */
import type { Client } from '@tokenkeep/core'
import type { ClientAnswer, ClientSeen, Metadata } from '@tokenkeep/node'
import { daysUntil } from './days.ts'
import { findingsOf, type Finding, type Kinds } from './finding.ts'

export const CLIENTS = {
  client: {
    is: 'ok',
    says: '{client}: taken at the {endpoint} endpoint of {provider} ({method})',
    todo: null,
  },
  client_none: {
    is: 'note',
    says: 'there is no client yet',
    todo: '`tokenkeep client add` adds one.',
  },
  client_refused: {
    is: 'wrong',
    says: '{client}: {provider} refuses it at its {endpoint} endpoint: {answer}',
    todo: 'Compare id, secret or key with the registration there, and put them anew: `tokenkeep client add`. No sign-in is hurt.',
  },
  client_unclear: {
    is: 'note',
    says: '{client}: {provider} answers {answer} at its {endpoint} endpoint, which says neither yes nor no',
    todo: 'The next refresh says it: `tokenkeep connection list --status blocked`.',
  },
  client_unasked: {
    is: 'note',
    says: '{client}: {provider} has no endpoint that could be asked without presenting a token',
    todo: 'Nothing. If it has one (RFC 7662, RFC 7009), give it: `provider add --introspection-endpoint`, `--revocation-endpoint`.',
  },
  client_no_answer: {
    is: 'note',
    says: '{client}: {provider} gave no answer, so nobody can say whether it takes it',
    todo: 'Look at what stands above about this provider.',
  },
  client_offline: {
    is: 'note',
    says: '{client}: whether {provider} takes it was not asked',
    todo: 'Run doctor without --offline.',
  },
  client_locked: {
    is: 'wrong',
    says: '{client}: what it proves itself with cannot be opened: {why}',
    todo: 'Put back the master key that has sealed it, or put the client anew: `tokenkeep client add`.',
  },
  client_without_proof: {
    is: 'wrong',
    says: '{client}: it has nothing to prove itself with ({method})',
    todo: 'Give it its secret, key or certificate: `tokenkeep client add`.',
  },
  client_assertion_missing: {
    is: 'wrong',
    says: '{client}: its assertion file is missing, cannot be read, or holds no JWT: {file}',
    todo: 'Look at who writes it, and whether this user may read it.',
  },
  client_assertion_ended: {
    is: 'wrong',
    says: '{client}: the assertion in {file} ended {minutes} min ago: nobody renews it',
    todo: 'Look at who writes it: a projected token, the agent of the workload.',
  },
  client_certificate_ended: {
    is: 'wrong',
    says: '{client}: its certificate has ended',
    todo: 'Have a new one made, register it, and put it: `tokenkeep client add --certificate-file`.',
  },
  client_certificate_ends: {
    is: 'wrong',
    says: '{client}: its certificate ends in {days} days',
    todo: 'Have a new one made, register it, and put it: `tokenkeep client add --certificate-file`.',
  },
  client_without_key: {
    is: 'wrong',
    says: '{client}: no key of its own signs now',
    todo: 'Make one and register it: `tokenkeep client rotate-key ID --now`, `tokenkeep client jwks ID`.',
  },
  client_next_key: {
    is: 'note',
    says: '{client}: a new key ({kid}) is published, and signs soon',
    todo: 'See that its provider has it, if it does not fetch it: `tokenkeep client jwks ID`.',
  },
  client_method_unlisted: {
    is: 'note',
    says: '{client}: the metadata of {provider} do not name its method {method}',
    todo: 'If it is refused, choose one that is named ({listed}): `tokenkeep client add --auth-method`.',
  },
  client_alg_unlisted: {
    is: 'note',
    says: '{client}: the metadata of {provider} do not name its algorithm {alg}',
    todo: 'If it is refused, choose one that is named ({listed}): `tokenkeep client add --signing-alg`.',
  },
  client_dpop_unlisted: {
    is: 'note',
    says: '{client}: its tokens are to be bound to a key, and the metadata of {provider} name no algorithm ES256 for that',
    todo: 'If sign-ins fail, put the client without --dpop.',
  },
  client_not_asked: {
    is: 'note',
    says: '{left} of {all} clients were not asked about: the time was over, or there are too many',
    todo: 'Run doctor again when the others answer faster.',
  },
} as const satisfies Kinds

const found = findingsOf('clients', CLIENTS)

export const noClient = (): Finding => found('client_none', {})
export const clientsLeft = (left: number, all: number): Finding => found('client_not_asked', { left, all })

export interface ClientLooked {
  readonly client: Client
  readonly seen: ClientSeen
  /** What its provider says of itself; null: it was not had. */
  readonly metadata: Metadata | null
  /** Its provider has one of the two endpoints; null: that could not be found out. */
  readonly hasEndpoint: boolean | null
  readonly online: boolean
  readonly now: number
}

/** To order a certificate, register it and put it. */
const CERTIFICATE_DAYS_LEAST = 30

export const judgeClient = (looked: ClientLooked): readonly Finding[] => [
  ...judgeProof(looked),
  ...judgeListing(looked),
]

function judgeProof({ client: of, seen, hasEndpoint, online, now }: ClientLooked): readonly Finding[] {
  const { id: client, provider, tokenEndpointAuthMethod: method, clientAssertionFile: file } = of
  const ends = endings(of, seen, now)
  switch (seen.unusable) {
    case 'no_key':
      return [found('client_locked', { client, why: 'its master key is missing' })]
    case 'tampered':
      return [found('client_locked', { client, why: 'it was changed, or moved from another place' })]
    case 'client_assertion_file':
      return [found('client_assertion_missing', { client, file: file ?? '' })]
    case 'client_certificate_expired':
      return [found('client_certificate_ended', { client })]
    case 'client':
      return method === 'private_key_jwt' && file === null
        ? [found('client_without_key', { client })]
        : [found('client_without_proof', { client, method })]
    case null:
      break
  }
  if (!online) return [found('client_offline', { client, provider }), ...ends]
  if (seen.asked.length === 0) {
    const nothing = hasEndpoint === false ? 'client_unasked' : 'client_no_answer'
    return [found(nothing, { client, provider }), ...ends]
  }
  return [verdict(of, seen.asked), ...ends]
}

/** Taken by one is taken: the other may be for others. */
function verdict(
  { id: client, provider, tokenEndpointAuthMethod: method }: Client,
  asked: readonly ClientAnswer[],
): Finding {
  const taken = asked.find(isTaken)
  if (taken !== undefined) return found('client', { client, provider, method, endpoint: taken.endpoint })
  const refused = asked.findLast(isRefused)
  const [last] = asked.slice(-1)
  const said = refused ?? last
  const answer = said?.error == null ? `${said?.status}` : `${said.status} ${said.error}`
  const facts = { client, provider, endpoint: said?.endpoint ?? '', answer }
  // The one that is asked last is for every client; a refusal by the first alone can be about what it may ask.
  return refused !== undefined && refused === last ? found('client_refused', facts) : found('client_unclear', facts)
}

const isTaken = ({ endpoint, status, active, error }: ClientAnswer): boolean =>
  endpoint === 'introspection'
    ? status === 200 && active === false
    : status === 200 && (error === null || error === 'invalid_token')

const isRefused = ({ status, error }: ClientAnswer): boolean =>
  status === 401 || error === 'invalid_client' || error === 'unauthorized_client'

function endings(
  { id: client, certificate, clientAssertionFile: file }: Client,
  { assertionEndsAt, keys }: ClientSeen,
  now: number,
): readonly Finding[] {
  const days = certificate === null ? null : daysUntil(certificate.expiresAt, now)
  const next = keys.find(({ state }) => state === 'next')
  return [
    ...(days !== null && days < CERTIFICATE_DAYS_LEAST ? [found('client_certificate_ends', { client, days })] : []),
    ...(file !== null && assertionEndsAt !== null && assertionEndsAt <= now
      ? [found('client_assertion_ended', { client, file, minutes: Math.ceil((now - assertionEndsAt) / 60_000) })]
      : []),
    ...(next === undefined ? [] : [found('client_next_key', { client, kid: next.kid })]),
  ]
}

// ---- what the metadata list ----------------------------------------------------------------------------------------

function judgeListing({ client: of, metadata }: ClientLooked): readonly Finding[] {
  if (metadata === null) return []
  const { id: client, provider, tokenEndpointAuthMethod: method, tokenEndpointAuthSigningAlg: alg } = of
  // RFC 8414 section 2: where nothing is listed, it is this one.
  const methods = metadata.authMethods ?? ['client_secret_basic']
  const { signingAlgs, dpopAlgs } = metadata
  return [
    ...(method === 'none' || methods.includes(method)
      ? []
      : [found('client_method_unlisted', { client, provider, method, listed: methods.join(', ') })]),
    ...(alg === null || signingAlgs === null || signingAlgs.includes(alg)
      ? []
      : [found('client_alg_unlisted', { client, provider, alg, listed: signingAlgs.join(', ') })]),
    ...(of.dpopBoundAccessTokens && dpopAlgs?.includes('ES256') !== true
      ? [found('client_dpop_unlisted', { client, provider })]
      : []),
  ]
}
