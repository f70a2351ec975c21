/** What users write about providers, read into what the registry keeps: everything said, nothing guessed. */
import {
  CONCURRENCY_UNSAID,
  METHODS_OF_SECRETS,
  NO_WORDS,
  STANDARD_ANSWER,
  STANDARD_AUTHORIZATION,
  STANDARD_REQUEST,
  type AnswerShape,
  type AuthorizationShape,
  type DurationMs,
  type Narrowing,
  type Provider,
  type ProviderId,
  type ProviderWords,
  type RequestShape,
  type ReusePolicy,
  type MethodOfSecrets,
  type Winner,
} from '@tokenkeep/core'
import type { EndpointName } from './endpoint-discovery.ts'
import {
  flag,
  isRecord,
  limitOf,
  nameOf,
  onlyMembers,
  oneOf,
  recordOf,
  refuser,
  spanOf,
  spelled,
  type Refuse,
} from './input-members.ts'
import { readProviderUrl } from './address-rules.ts'
import type { Preset } from './presets/preset.ts'
import { answerOf, authorizationOf, requestOf, wordsOf } from './exchange-input.ts'

/** A provider as users write it. What is left out comes from the preset, else from the cautious default. */
export interface ProviderInput {
  /** 1 to 64 of the characters `A-Z a-z 0-9 . _ -`, the first a letter or digit. */
  readonly id: string
  /** A known provider whose facts fill in what is left out; `docs/providers.md` lists them. */
  readonly preset?: string | undefined
  /** What stands in the URLs of the preset in braces, such as `{ tenant: 'example.org' }`. Not kept. */
  readonly variables?: Readonly<Record<string, string>> | undefined
  /** RFC 8414 issuer, an https URL; endpoints that are not given are discovered from it. */
  readonly issuer?: string | null | undefined
  /** Needed where there is neither an issuer nor a preset that has it. */
  readonly tokenEndpoint?: string | null | undefined
  /** Where refreshes go if not to the token endpoint. */
  readonly refreshEndpoint?: string | null | undefined
  /** RFC 7009. Null: there is none, whatever the preset says. */
  readonly revocationEndpoint?: string | null | undefined
  /** RFC 7662. Null: there is none, whatever the preset says. */
  readonly introspectionEndpoint?: string | null | undefined
  /** RFC 6749 section 3.1: where a person is sent to sign in. */
  readonly authorizationEndpoint?: string | null | undefined
  /** RFC 9126. Null: there is none, whatever the preset says. */
  readonly pushedAuthorizationRequestEndpoint?: string | null | undefined
  /** RFC 8628. Null: there is none, whatever the preset says. */
  readonly deviceAuthorizationEndpoint?: string | null | undefined
  /** RFC 8414 section 2: the keys that its ID tokens, logout tokens and events are signed with. */
  readonly jwksUri?: string | null | undefined
  /** Where a new access token is shown, as Bearer, to learn whose account it is: at `sub`, or where `answer.subject` says. Never discovered. */
  readonly userinfoEndpoint?: string | null | undefined
  /** How its clients with a secret prove themselves unless they say otherwise; `client_secret_basic` where absent. */
  readonly tokenEndpointAuthMethod?: MethodOfSecrets | undefined
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
  /** A sign-in ends so long after it began, however often it is refreshed, and answers do not say so; milliseconds. */
  readonly refreshTokenAbsoluteMs?: number | null | undefined
  /**
   * So often it is asked whether an access token that is in use is still active (RFC 7662), milliseconds, at least 1000;
   * null, the default: only when somebody asks.
   */
  readonly introspectEveryMs?: number | null | undefined
  /** `aud` of the security events that it sends us, 1 to 500 characters; null, the default: the ids of our clients there. */
  readonly eventAudience?: string | null | undefined
  /** So many presentations a minute from one process at most, 1 to 100,000; null, the default: not limited. */
  readonly requestsPerMinute?: number | null | undefined
  /** So many presentations at once from one process at most, 1 to 1,000; null: not limited. 32 where absent. */
  readonly concurrency?: number | null | undefined
  /** Error words and statuses of this provider, tried before the standard ones. A list left out is the preset's. */
  readonly words?: Partial<ProviderWords> | undefined
  /** How its token requests differ from the standard. A member left out is the preset's. */
  readonly request?: Partial<RequestShape> | undefined
  /** Where its answers differ from the standard. A member left out is the preset's. */
  readonly answer?: Partial<AnswerShape> | undefined
  /** How people are sent there to sign in. A member left out is the preset's. */
  readonly authorization?: Partial<AuthorizationShape> | undefined
  /** The APIs that its tokens are for, as URLs; nothing is sent elsewhere. Absent: `fetchFor` is not limited, `forward` refuses. */
  readonly apiBaseUrls?: readonly string[] | undefined
  /** Its URLs may point into private networks; false where absent. */
  readonly allowPrivateNetwork?: boolean | undefined
}

const BASE_URLS_MAX = 50
const GRACE_SECONDS_MAX = 30 * 24 * 3600
const COUNTED_MAX = 1000
const REQUESTS_PER_MINUTE_MAX = 100_000
const CONCURRENCY_MAX = 1000
const INTROSPECT_EVERY_LEAST_MS = 1000
const AUDIENCE_LENGTH_MAX = 500

/**
 * Reads a provider.
 *
 * @param presets those that `preset` can name
 * @throws TokenError `invalid_input`: what is wrong, where, and what to do; `provider_refused`: a URL that is plain http,
 * carries credentials, or points into a private network without `allowPrivateNetwork`
 */
export function readProviderInput(
  input: ProviderInput,
  presets: Readonly<Record<string, Preset>> = {},
): Omit<Provider, 'revision'> {
  const given = recordOf('a provider', input)
  const id = nameOf<ProviderId>('provider', given['id'])
  const where = `provider "${id}"`
  const refuse = refuser('invalid_input', where, id)
  onlyMembers(given, PROVIDER_MEMBERS, refuse)

  const preset = presetOf(given['preset'], presets, refuse)
  const variables = variablesOf(given['variables'], preset, refuse)
  const rules = { allowPrivateNetwork: flag(given, 'allowPrivateNetwork', false, refuse) }
  const refuseUrl = refuser('provider_refused', where, id)
  const url = (name: string, fallback: string | null): string | null => {
    const value = given[name] === undefined ? fallback : given[name]
    if (value === null) return null
    if (typeof value !== 'string') return refuse(`${name} must be a URL, as a string`)
    const read = readProviderUrl(value, rules)
    return 'url' in read ? value : refuseUrl(`${name} ${read.wrong}`)
  }

  const issuer = url('issuer', filled(preset?.issuer.value ?? null, variables, null))
  if (issuer !== null && issuer.includes('?')) refuse('issuer must not have a query (RFC 8414 section 2)')
  const endpoint = (name: EndpointMember): string | null =>
    url(name, filled(preset?.[name].value ?? null, variables, issuer))
  const tokenEndpoint = endpoint('tokenEndpoint')
  if (tokenEndpoint === null && issuer === null) refuse(whatIsMissing(preset))

  return {
    id,
    preset: preset === null ? null : String(given['preset']),
    issuer,
    tokenEndpoint,
    refreshEndpoint: endpoint('refreshEndpoint'),
    revocationEndpoint: endpoint('revocationEndpoint'),
    introspectionEndpoint: endpoint('introspectionEndpoint'),
    authorizationEndpoint: endpoint('authorizationEndpoint'),
    pushedAuthorizationRequestEndpoint: endpoint('pushedAuthorizationRequestEndpoint'),
    deviceAuthorizationEndpoint: endpoint('deviceAuthorizationEndpoint'),
    jwksUri: endpoint('jwksUri'),
    userinfoEndpoint: endpoint('userinfoEndpoint'),
    tokenEndpointAuthMethod:
      given['tokenEndpointAuthMethod'] === undefined
        ? defaultAuthMethod(preset)
        : oneOf('tokenEndpointAuthMethod', given['tokenEndpointAuthMethod'], METHODS_OF_SECRETS, refuse),
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
    refreshTokenAbsoluteMs: spanOf(
      given,
      'refreshTokenAbsoluteMs',
      preset?.refreshTokenAbsoluteMs.value ?? null,
      refuse,
    ),
    introspectEveryMs: introspectEvery(given, refuse),
    eventAudience: audienceOf(given['eventAudience'], refuse),
    requestsPerMinute: limitOf(given, 'requestsPerMinute', { fallback: null, most: REQUESTS_PER_MINUTE_MAX }, refuse),
    concurrency: limitOf(given, 'concurrency', { fallback: CONCURRENCY_UNSAID, most: CONCURRENCY_MAX }, refuse),
    words: wordsOf(given['words'], preset?.words.value ?? NO_WORDS, refuse),
    request: requestOf(given['request'], preset?.request.value ?? STANDARD_REQUEST, refuse),
    answer: answerOf(given['answer'], preset?.answer.value ?? STANDARD_ANSWER, refuse),
    authorization: authorizationOf(
      given['authorization'],
      preset?.authorization.value ?? STANDARD_AUTHORIZATION,
      refuse,
    ),
    apiBaseUrls: baseUrlsOf(given['apiBaseUrls'], rules, refuse, refuseUrl),
    ...rules,
  }
}

// ---- members -------------------------------------------------------------------------------------------------------

const PROVIDER_MEMBERS = Object.keys({
  id: true,
  preset: true,
  variables: true,
  issuer: true,
  tokenEndpoint: true,
  refreshEndpoint: true,
  revocationEndpoint: true,
  introspectionEndpoint: true,
  authorizationEndpoint: true,
  pushedAuthorizationRequestEndpoint: true,
  deviceAuthorizationEndpoint: true,
  jwksUri: true,
  userinfoEndpoint: true,
  tokenEndpointAuthMethod: true,
  reuse: true,
  narrowing: true,
  refreshKillsAccessToken: true,
  accessTokenLifetimeMs: true,
  refreshTokenIdleMs: true,
  refreshTokenAbsoluteMs: true,
  introspectEveryMs: true,
  eventAudience: true,
  requestsPerMinute: true,
  concurrency: true,
  words: true,
  request: true,
  answer: true,
  authorization: true,
  apiBaseUrls: true,
  allowPrivateNetwork: true,
} satisfies Record<keyof ProviderInput, true>)

const NARROWINGS = ['token_only', 'sticks', 'unknown'] as const satisfies readonly Narrowing[]
const WINNERS = ['same', 'any', 'newest'] as const satisfies readonly Winner[]
const REUSE_KINDS = [
  'reusable',
  'grace',
  'counted',
  'strict',
  'unknown',
] as const satisfies readonly ReusePolicy['kind'][]

type EndpointMember = EndpointName | 'userinfoEndpoint'

function presetOf(name: unknown, presets: Readonly<Record<string, Preset>>, refuse: Refuse): Preset | null {
  if (name === undefined || name === null) return null
  const preset = typeof name === 'string' && Object.hasOwn(presets, name) ? presets[name] : undefined
  return preset ?? refuse(`preset is not known; known are ${Object.keys(presets).join(', ')}`)
}

function introspectEvery(given: Readonly<Record<string, unknown>>, refuse: Refuse): DurationMs | null {
  const every = spanOf(given, 'introspectEveryMs', null, refuse)
  if (every === null || every >= INTROSPECT_EVERY_LEAST_MS) return every
  return refuse(
    `introspectEveryMs must be ${INTROSPECT_EVERY_LEAST_MS} or more: the provider is asked so often for each token`,
  )
}

function audienceOf(value: unknown, refuse: Refuse): string | null {
  if (value === undefined || value === null) return null
  if (typeof value === 'string' && value !== '' && value.length <= AUDIENCE_LENGTH_MAX && !/\p{C}/u.test(value))
    return value
  return refuse(
    `eventAudience must be a text of 1 to ${AUDIENCE_LENGTH_MAX} characters, as the provider writes it into aud`,
  )
}

/** A name of a host, or one part of a path: nothing that could lead to another place than the preset's. */
const VARIABLE = /^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$/

function variablesOf(value: unknown, preset: Preset | null, refuse: Refuse): Readonly<Record<string, string>> {
  if (value === undefined) return {}
  if (!isRecord(value)) return refuse(`variables must be an object such as { tenant: 'example.org' }`)
  const known = Object.keys(preset?.variables ?? {})
  return Object.fromEntries(
    Object.entries(value).map(([name, text]) => {
      if (!known.includes(name)) {
        return refuse(
          `variables has no member ${spelled(name)}; ${known.length === 0 ? 'there are none here' : `known are ${known.join(', ')}`}`,
        )
      }
      return typeof text === 'string' && VARIABLE.test(text)
        ? [name, text]
        : refuse(`variables.${name} must be of letters, digits, "." and "-", and is ${preset?.variables[name] ?? ''}`)
    }),
  )
}

/** A URL of a preset with everything in it; null: something is missing. */
function filled(
  template: string | null,
  variables: Readonly<Record<string, string>>,
  issuer: string | null,
): string | null {
  if (template === null) return null
  const known: Readonly<Record<string, string>> =
    issuer === null ? variables : { ...variables, issuer: issuer.replace(/\/+$/, '') }
  const url = template.replaceAll(/\{(\w+)\}/g, (braced, name: string) => known[name] ?? braced)
  return url.includes('{') ? null : url
}

function whatIsMissing(preset: Preset | null): string {
  if (preset === null) {
    return 'nothing says where its tokens come from: give tokenEndpoint, or issuer to discover it, or a preset'
  }
  const needed = Object.entries(preset.variables).map(([name, what]) => `variables.${name} (${what})`)
  return needed.length === 0
    ? 'this preset needs an issuer, such as https://id.example.org/realms/NAME'
    : `this preset needs ${needed.join(' and ')}`
}

const defaultAuthMethod = (preset: Preset | null): MethodOfSecrets =>
  METHODS_OF_SECRETS.filter((method) => method !== 'none').find(
    (method) => method === preset?.tokenEndpointAuthMethods.value.find((known) => known.startsWith('client_secret_')),
  ) ?? 'client_secret_basic'

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
