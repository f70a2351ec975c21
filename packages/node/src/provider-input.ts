/** What users write about providers and clients, read into what the registry keeps: everything said, nothing guessed. */
import {
  NO_WORDS,
  Secret,
  TOKEN_ENDPOINT_AUTH_METHODS,
  type ClientId,
  type Narrowing,
  type OpenedClient,
  type Provider,
  type ProviderId,
  type ProviderWords,
  type ReusePolicy,
  type TokenEndpointAuthMethod,
  type Winner,
} from '@tokenkeep/core'
import {
  flag,
  isRecord,
  nameOf,
  onlyMembers,
  oneOf,
  recordOf,
  refuser,
  spanOf,
  spelled,
  textOf,
  type Refuse,
} from './input-members.ts'
import { readProviderUrl } from './address-rules.ts'
import { PRESETS, type Preset } from './presets.ts'

/** A provider as users write it. What is left out comes from the preset, else from the cautious default. */
export interface ProviderInput {
  /** 1 to 64 of the characters `A-Z a-z 0-9 . _ -`, the first a letter or digit. */
  readonly id: string
  /** A known provider whose facts fill in what is left out: `keycloak` (give `issuer`), `jobrad`. */
  readonly preset?: string | undefined
  /** RFC 8414 issuer, an https URL; endpoints that are not given are discovered from it. */
  readonly issuer?: string | null | undefined
  /** Needed where there is neither an issuer nor a preset that has it. */
  readonly tokenEndpoint?: string | null | undefined
  /** RFC 7009. Null: there is none, whatever the preset says. */
  readonly revocationEndpoint?: string | null | undefined
  /** RFC 7662. Null: there is none, whatever the preset says. */
  readonly introspectionEndpoint?: string | null | undefined
  /** What a second presentation of one refresh token does; `unknown` where absent. */
  readonly reuse?: ReusePolicy | undefined
  /** What asking for less at a refresh does; `unknown` where absent, and then narrower tokens are not asked for. */
  readonly narrowing?: Narrowing | undefined
  /** A refresh ends the access tokens handed out before; false where absent. */
  readonly refreshKillsAccessToken?: boolean | undefined
  /** Lifetime of access tokens where answers do not say it, milliseconds. */
  readonly accessTokenLifetimeMs?: number | null | undefined
  /** A refresh token dies when it is not used for so long, milliseconds. */
  readonly refreshTokenIdleMs?: number | null | undefined
  /** Error words and statuses of this provider, tried before the standard ones. */
  readonly words?: Partial<ProviderWords> | undefined
  /** The APIs that its tokens are for, as URLs; `fetchFor` sends them nowhere else. Absent: not limited. */
  readonly apiBaseUrls?: readonly string[] | undefined
  /** Its URLs may point into private networks; false where absent. */
  readonly allowPrivateNetwork?: boolean | undefined
}

/** A client as users write it: our registration at a provider. */
export interface ClientInput {
  /** As a provider's id. */
  readonly id: string
  /** The id of a provider. */
  readonly provider: string
  /** RFC 6749 section 2.2 client identifier. */
  readonly clientId: string
  /** Absent for public clients. */
  readonly clientSecret?: string | undefined
  /** Absent: `client_secret_basic` with a secret (the default of RFC 8414 section 2), `none` without. */
  readonly tokenEndpointAuthMethod?: TokenEndpointAuthMethod | undefined
}

const CLIENT_ID_LENGTH_MAX = 1000
const CLIENT_SECRET_LENGTH_MAX = 4000
const WORDS_MAX = 50
const WORD_LENGTH_MAX = 100
const BASE_URLS_MAX = 50
const GRACE_SECONDS_MAX = 30 * 24 * 3600
const COUNTED_MAX = 1000

/**
 * Reads a provider.
 *
 * @throws TokenError `invalid_input`: what is wrong, where, and what to do; `provider_refused`: a URL that is plain http,
 * carries credentials, or points into a private network without `allowPrivateNetwork`
 */
export function readProviderInput(input: ProviderInput): Omit<Provider, 'revision'> {
  const given = recordOf('a provider', input)
  const id = nameOf<ProviderId>('provider', given['id'])
  const where = `provider "${id}"`
  onlyMembers(where, given, PROVIDER_MEMBERS)
  const refuse = refuser('invalid_input', where, id)

  const preset = presetOf(given['preset'], refuse)
  const rules = { allowPrivateNetwork: flag(given, 'allowPrivateNetwork', false, refuse) }
  const refuseUrl = refuser('provider_refused', where, id)
  const url = (name: string, fallback: string | null): string | null => {
    const value = given[name] === undefined ? fallback : given[name]
    if (value === null) return null
    if (typeof value !== 'string') return refuse(`${name} must be a URL, as a string`)
    const read = readProviderUrl(value, rules)
    return 'url' in read ? value : refuseUrl(`${name} ${read.wrong}`)
  }

  const issuer = url('issuer', preset?.issuer.value ?? null)
  if (issuer !== null && issuer.includes('?')) refuse('issuer must not have a query (RFC 8414 section 2)')
  const endpoint = (name: 'tokenEndpoint' | 'revocationEndpoint' | 'introspectionEndpoint'): string | null =>
    url(name, fromTemplate(preset?.[name].value ?? null, issuer))
  const tokenEndpoint = endpoint('tokenEndpoint')
  if (tokenEndpoint === null && issuer === null) {
    refuse(
      preset === null
        ? 'nothing says where its tokens come from: give tokenEndpoint, or issuer to discover it, or a preset'
        : 'this preset needs an issuer, such as https://id.example.org/realms/NAME',
    )
  }

  return {
    id,
    preset: preset === null ? null : String(given['preset']),
    issuer,
    tokenEndpoint,
    revocationEndpoint: endpoint('revocationEndpoint'),
    introspectionEndpoint: endpoint('introspectionEndpoint'),
    reuse:
      given['reuse'] === undefined ? (preset?.reuse.value ?? { kind: 'unknown' }) : reuseOf(given['reuse'], refuse),
    narrowing:
      given['narrowing'] === undefined
        ? (preset?.narrowing.value ?? 'unknown')
        : oneOf('narrowing', given['narrowing'], NARROWINGS, refuse),
    refreshKillsAccessToken: flag(
      given,
      'refreshKillsAccessToken',
      preset?.refreshKillsAccessToken.value ?? false,
      refuse,
    ),
    accessTokenLifetimeMs: spanOf(given, 'accessTokenLifetimeMs', preset?.accessTokenLifetimeMs.value ?? null, refuse),
    refreshTokenIdleMs: spanOf(given, 'refreshTokenIdleMs', preset?.refreshTokenIdleMs.value ?? null, refuse),
    words: given['words'] === undefined ? (preset?.words.value ?? NO_WORDS) : wordsOf(given['words'], refuse),
    apiBaseUrls: baseUrlsOf(given['apiBaseUrls'], rules, refuse, refuseUrl),
    ...rules,
  }
}

/**
 * Reads a client. The provider is not looked up here.
 *
 * @throws TokenError `invalid_input`: what is wrong, where, and what to do; never the secret itself
 */
export function readClientInput(input: ClientInput): Omit<OpenedClient, 'revision'> {
  const given = recordOf('a client', input)
  const id = nameOf<ClientId>('client', given['id'])
  const where = `client "${id}"`
  onlyMembers(where, given, CLIENT_MEMBERS)
  const refuse = refuser('invalid_input', where, id)

  const provider = nameOf<ProviderId>('provider', given['provider'])
  const clientId = textOf('clientId', given['clientId'], CLIENT_ID_LENGTH_MAX, refuse)
  const secret =
    given['clientSecret'] === undefined || given['clientSecret'] === null
      ? null
      : textOf('clientSecret', given['clientSecret'], CLIENT_SECRET_LENGTH_MAX, refuse)
  const method =
    given['tokenEndpointAuthMethod'] === undefined
      ? secret === null
        ? 'none'
        : 'client_secret_basic'
      : oneOf('tokenEndpointAuthMethod', given['tokenEndpointAuthMethod'], TOKEN_ENDPOINT_AUTH_METHODS, refuse)
  if (method === 'none' && secret !== null) {
    refuse(
      'tokenEndpointAuthMethod "none" sends no secret, and a clientSecret is given: leave one of them out, or choose client_secret_basic or client_secret_post',
    )
  }
  if (method !== 'none' && secret === null) {
    refuse(`tokenEndpointAuthMethod "${method}" needs a clientSecret; for a public client it is "none"`)
  }
  return {
    id,
    provider,
    clientId,
    tokenEndpointAuthMethod: method,
    clientSecret: secret === null ? null : new Secret('client_secret', secret),
  }
}

// ---- members -------------------------------------------------------------------------------------------------------

const PROVIDER_MEMBERS = Object.keys({
  id: true,
  preset: true,
  issuer: true,
  tokenEndpoint: true,
  revocationEndpoint: true,
  introspectionEndpoint: true,
  reuse: true,
  narrowing: true,
  refreshKillsAccessToken: true,
  accessTokenLifetimeMs: true,
  refreshTokenIdleMs: true,
  words: true,
  apiBaseUrls: true,
  allowPrivateNetwork: true,
} satisfies Record<keyof ProviderInput, true>)

const CLIENT_MEMBERS = Object.keys({
  id: true,
  provider: true,
  clientId: true,
  clientSecret: true,
  tokenEndpointAuthMethod: true,
} satisfies Record<keyof ClientInput, true>)

const NARROWINGS = ['token_only', 'sticks', 'unknown'] as const satisfies readonly Narrowing[]
const WINNERS = ['same', 'any', 'newest'] as const satisfies readonly Winner[]
const REUSE_KINDS = [
  'reusable',
  'grace',
  'counted',
  'strict',
  'unknown',
] as const satisfies readonly ReusePolicy['kind'][]
const WORD_LISTS = Object.keys(NO_WORDS) as readonly (keyof ProviderWords)[]

function presetOf(name: unknown, refuse: Refuse): Preset | null {
  if (name === undefined || name === null) return null
  const preset = typeof name === 'string' && Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined
  const known = Object.keys(PRESETS).join(', ')
  return preset ?? refuse(`preset is not known; known are ${known}`)
}

function fromTemplate(template: string | null, issuer: string | null): string | null {
  if (template?.includes('{issuer}') !== true) return template
  return issuer === null ? null : template.replaceAll('{issuer}', issuer.replace(/\/+$/, ''))
}

function reuseOf(value: unknown, refuse: Refuse): ReusePolicy {
  if (!isRecord(value)) return refuse(`reuse must be an object such as { kind: 'strict' }`)
  const kind = oneOf('reuse.kind', value['kind'], REUSE_KINDS, refuse)
  const members = (...known: readonly string[]): void => {
    const unknown = Object.keys(value).find((name) => name !== 'kind' && !known.includes(name))
    if (unknown !== undefined) {
      refuse(
        `reuse.${kind} has no member ${spelled(unknown)}${known.length === 0 ? '' : `; known are ${known.join(', ')}`}`,
      )
    }
  }
  switch (kind) {
    case 'reusable':
    case 'strict':
    case 'unknown':
      members()
      return { kind }
    case 'counted': {
      members('n')
      const { n } = value
      if (typeof n !== 'number' || !Number.isInteger(n) || n < 1 || n > COUNTED_MAX) {
        return refuse(`reuse.n must be a whole number from 1 to ${COUNTED_MAX}; none at all is { kind: 'strict' }`)
      }
      return { kind, n }
    }
    case 'grace': {
      members('seconds', 'until', 'winner')
      const winner = oneOf('reuse.winner', value['winner'], WINNERS, refuse)
      const { seconds, until } = value
      if (until === 'successor_used' && seconds === undefined) return { kind, until, winner }
      if (until === undefined && typeof seconds === 'number' && seconds > 0 && seconds <= GRACE_SECONDS_MAX) {
        return { kind, seconds, winner }
      }
      return refuse(
        `reuse.grace needs either seconds (more than 0, at most ${GRACE_SECONDS_MAX}) or until: 'successor_used'`,
      )
    }
  }
}

function wordsOf(value: unknown, refuse: Refuse): ProviderWords {
  if (!isRecord(value)) return refuse(`words must be an object such as { rejected: ['token_dead'] }`)
  const unknown = Object.keys(value).find((name) => !WORD_LISTS.some((list) => list === name))
  if (unknown !== undefined) refuse(`words has no list ${spelled(unknown)}; known are ${WORD_LISTS.join(', ')}`)
  const list = (name: keyof ProviderWords): readonly string[] => {
    const words = value[name] ?? []
    if (!Array.isArray(words) || words.length > WORDS_MAX) {
      return refuse(`words.${name} must be a list of at most ${WORDS_MAX} strings`)
    }
    return words.map((word: unknown) => textOf(`each of words.${name}`, word, WORD_LENGTH_MAX, refuse))
  }
  return {
    reused: list('reused'),
    rejected: list('rejected'),
    interactionRequired: list('interactionRequired'),
    misconfigured: list('misconfigured'),
    unavailable: list('unavailable'),
  }
}

function baseUrlsOf(
  value: unknown,
  rules: { readonly allowPrivateNetwork: boolean },
  refuse: Refuse,
  refuseUrl: Refuse,
): readonly string[] {
  const urls = value ?? []
  if (!Array.isArray(urls) || urls.length > BASE_URLS_MAX) {
    return refuse(`apiBaseUrls must be a list of at most ${BASE_URLS_MAX} URLs`)
  }
  return urls.map((text: unknown) => {
    const read = readProviderUrl(text, rules)
    if ('wrong' in read) return refuseUrl(`each of apiBaseUrls ${read.wrong}`)
    if (read.url.search !== '') return refuseUrl('each of apiBaseUrls must be without a query (?...)')
    return read.url.href
  })
}
