/** What one preset is: facts about a provider, each with how it is known and where from. */
import {
  fromSeconds,
  NO_WORDS,
  STANDARD_ANSWER,
  STANDARD_AUTHORIZATION,
  STANDARD_REQUEST,
  type AnswerShape,
  type AuthorizationShape,
  type DurationMs,
  type Narrowing,
  type ProviderWords,
  type RequestShape,
  type ReusePolicy,
  type TokenEndpointAuthMethod,
} from '@tokenkeep/core'

/**
 * How a fact is known, best first: the provider's own documentation or staff; its source code; the provider's words as
 * others quote them; other people's documentation; other people's code; a report in an issue or forum; remembered and not
 * read again; concluded from another fact and never tried; not known.
 */
export type Evidence =
  | 'official'
  | 'source_code'
  | 'official_text_via_quotation'
  | 'secondary'
  | 'third_party_code'
  | 'issue_or_forum'
  | 'recalled_not_reread'
  | 'concluded_not_tried'
  | 'unknown'

export interface Fact<Value> {
  readonly value: Value
  readonly evidence: Evidence
  /** Addresses, or how it was found. Empty only where nothing is known. */
  readonly source: readonly string[]
  /** What the value leaves out. */
  readonly note?: string
}

/** Facts about one provider. In URLs `{issuer}` stands for the issuer without its trailing slash. */
export interface Preset {
  /** How the provider is called by people. */
  readonly name: string
  /** Other words in braces in its URLs, and what they are: the user gives them. */
  readonly variables: Readonly<Record<string, string>>
  /** Null: none, or every installation has its own and the user gives it. */
  readonly issuer: Fact<string | null>
  /** Null: discovered from the issuer. */
  readonly tokenEndpoint: Fact<string | null>
  /** Null: refreshes go to the token endpoint. */
  readonly refreshEndpoint: Fact<string | null>
  readonly revocationEndpoint: Fact<string | null>
  readonly introspectionEndpoint: Fact<string | null>
  /** Null here and below: discovered from the issuer, or none. */
  readonly authorizationEndpoint: Fact<string | null>
  readonly pushedAuthorizationRequestEndpoint: Fact<string | null>
  readonly deviceAuthorizationEndpoint: Fact<string | null>
  readonly jwksUri: Fact<string | null>
  /** Null: not asked. */
  readonly userinfoEndpoint: Fact<string | null>
  /** Of those that we speak; the first is what a client with a secret uses unless it says otherwise. */
  readonly tokenEndpointAuthMethods: Fact<readonly TokenEndpointAuthMethod[]>
  readonly reuse: Fact<ReusePolicy>
  readonly narrowing: Fact<Narrowing>
  readonly refreshKillsAccessToken: Fact<boolean>
  /** Where answers do not say it. */
  readonly accessTokenLifetimeMs: Fact<DurationMs | null>
  readonly refreshTokenIdleMs: Fact<DurationMs | null>
  /** Where answers do not say it, and a refresh does not move it. */
  readonly refreshTokenAbsoluteMs: Fact<DurationMs | null>
  readonly words: Fact<ProviderWords>
  readonly request: Fact<RequestShape>
  readonly answer: Fact<AnswerShape>
  readonly authorization: Fact<AuthorizationShape>
}

/** The members of a preset that are facts. */
export type FactName = Exclude<keyof Preset, 'name' | 'variables'>

/** A preset from what is known; the rest is said to be unknown, and has the value that asks for the most care. */
export function preset(name: string, known: Partial<Omit<Preset, 'name'>>): Preset {
  return { name, ...NOTHING_KNOWN, ...known }
}

export const unknown = <Value>(value: Value, note?: string): Fact<Value> => ({
  value,
  evidence: 'unknown',
  source: [],
  ...(note === undefined ? {} : { note }),
})

const NOTHING_KNOWN: Omit<Preset, 'name'> = {
  variables: {},
  issuer: unknown(null),
  tokenEndpoint: unknown(null),
  refreshEndpoint: unknown(null),
  revocationEndpoint: unknown(null),
  introspectionEndpoint: unknown(null),
  authorizationEndpoint: unknown(null),
  pushedAuthorizationRequestEndpoint: unknown(null),
  deviceAuthorizationEndpoint: unknown(null),
  jwksUri: unknown(null),
  userinfoEndpoint: unknown(null),
  tokenEndpointAuthMethods: unknown([]),
  reuse: unknown({ kind: 'unknown' }),
  narrowing: unknown('unknown'),
  refreshKillsAccessToken: unknown(false),
  accessTokenLifetimeMs: unknown(null),
  refreshTokenIdleMs: unknown(null),
  refreshTokenAbsoluteMs: unknown(null),
  words: unknown(NO_WORDS),
  request: unknown(STANDARD_REQUEST),
  answer: unknown(STANDARD_ANSWER),
  authorization: unknown(STANDARD_AUTHORIZATION),
}

type Source = string | readonly string[]

const known =
  (evidence: Exclude<Evidence, 'unknown'>) =>
  <const Value>(value: Value, source: Source, note?: string): Fact<Value> => ({
    value,
    evidence,
    source: typeof source === 'string' ? [source] : source,
    ...(note === undefined ? {} : { note }),
  })

export const official = known('official')
export const sourceCode = known('source_code')
export const quoted = known('official_text_via_quotation')
export const secondary = known('secondary')
export const thirdPartyCode = known('third_party_code')
export const reported = known('issue_or_forum')
export const recalled = known('recalled_not_reread')
export const concluded = known('concluded_not_tried')

export const words = (lists: Partial<ProviderWords>): ProviderWords => ({ ...NO_WORDS, ...lists })
export const request = (shape: Partial<RequestShape>): RequestShape => ({ ...STANDARD_REQUEST, ...shape })
export const authorization = (shape: Partial<AuthorizationShape>): AuthorizationShape => ({
  ...STANDARD_AUTHORIZATION,
  ...shape,
})
export const answer = (shape: Partial<AnswerShape>): AnswerShape => ({ ...STANDARD_ANSWER, ...shape })

/** A list of endpoints that an integrator keeps in public; the bare fact is taken from it, nothing else. */
export const PROVIDER_LIST =
  'https://github.com/NangoHQ/nango/blob/2f4c0af671e2ca1c43dd4e78f3c369218bf3fc87/packages/providers/providers.yaml'
/** The same list as it was later: where people sign in was taken from it. */
export const SIGN_IN_LIST =
  'https://github.com/NangoHQ/nango/blob/0004941efdc462b2a0d2b527f8e99702717a132f/packages/providers/providers.yaml'
export const STRING_SEARCH = 'string search over public source files (index names no repository)'

export const days = (count: number): DurationMs => fromSeconds(count * 24 * 3600)
