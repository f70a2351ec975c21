/** What is known about a provider, in words for people. */
import type {
  AnswerShape,
  AuthorizationShape,
  Provider,
  ProviderWords,
  RequestShape,
  ReusePolicy,
  Sign,
} from '@tokenkeep/core'
import type { Evidence } from '@tokenkeep/node'

export function reuseInWords(reuse: ReusePolicy): string {
  switch (reuse.kind) {
    case 'strict':
      return 'ends the sign-in'
    case 'unknown':
      return 'not known'
    case 'reusable':
      return 'answered, whenever it comes'
    case 'counted':
      return `answered ${reuse.n} times more`
    case 'grace':
      return 'seconds' in reuse ? `answered for ${reuse.seconds} s` : 'answered until the successor is used'
  }
}

export const EVIDENCE = {
  official: 'documented',
  source_code: 'its source code',
  official_text_via_quotation: 'documented, as quoted',
  secondary: "others' documentation",
  third_party_code: "others' code",
  issue_or_forum: 'reports',
  recalled_not_reread: 'memory, not read again',
  concluded_not_tried: 'concluded, not tried',
  unknown: 'not known',
} as const satisfies Record<Evidence, string>

/** Each outcome that the provider has words or statuses of its own for, with these. */
export const wordsInWords = (words: ProviderWords): readonly (readonly [string, string])[] =>
  (Object.keys(OUTCOMES) as (keyof ProviderWords)[]).flatMap((list) =>
    words[list].length === 0 ? [] : [[OUTCOMES[list], words[list].map(signInWords).join(', ')] as const],
  )

const OUTCOMES = {
  reused: 'reuse was seen',
  rejected: 'refresh token dead',
  interactionRequired: 'a person must act',
  misconfigured: 'registration wrong',
  unavailable: 'try later',
  inDoubt: 'perhaps done',
} as const satisfies Record<keyof ProviderWords, string>

const signInWords = (sign: Sign): string =>
  typeof sign === 'string' ? sign : `${sign.status}${sign.word === undefined ? '' : ` ${sign.word}`}`

/** Null: as RFC 6749 has it. */
export function requestInWords(shape: RequestShape): string | null {
  const { encoding, parameters, headers, scopeSeparator, basicCredentials, assertionAudience } = shape
  const differs = [
    ...(encoding === 'json' ? ['JSON'] : []),
    ...Object.entries(parameters).map(([name, value]) => `${name}=${value}`),
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...(scopeSeparator === ' ' ? [] : [`scopes separated by "${scopeSeparator}"`]),
    ...(basicCredentials === 'raw' ? ['Basic credentials not encoded'] : []),
    ...(assertionAudience === null ? [] : [`assertions for ${assertionAudience}`]),
  ]
  return differs.length === 0 ? null : differs.join('; ')
}

/** Null: as RFC 6749 has it, with PKCE. */
export function authorizationInWords({ parameters, scope, pkce }: AuthorizationShape): string | null {
  const differs = [
    ...Object.entries(parameters).map(([name, value]) => `${name}=${value}`),
    ...(scope === null ? [] : [`scope ${scope} unless another is asked for`]),
    ...(pkce === 'none' ? ['without PKCE'] : []),
  ]
  return differs.length === 0 ? null : differs.join('; ')
}

/** Null: as RFC 6749 has it. */
export function answerInWords(shape: AnswerShape): string | null {
  const differs = [
    ...(Object.keys(MEMBERS) as (keyof typeof MEMBERS)[]).flatMap((name) =>
      shape[name].length === 0 ? [] : [`${MEMBERS[name]} in ${shape[name].join(', ')}`],
    ),
    ...(shape.tokenType === null ? [] : [`of type ${shape.tokenType}, whatever it says`]),
    ...(shape.scopeSeparator === ' ' ? [] : [`scopes separated by "${shape.scopeSeparator}"`]),
  ]
  return differs.length === 0 ? null : differs.join('; ')
}

const MEMBERS = {
  tokensIn: 'tokens',
  accessToken: 'access token',
  refreshToken: 'refresh token',
  expiresIn: 'lifetime',
  refreshTokenExpiresIn: "refresh token's life",
  scope: 'scope',
  words: 'words',
  subject: 'account',
} as const satisfies Record<Exclude<keyof AnswerShape, 'tokenType' | 'scopeSeparator'>, string>

export const NARROWING = {
  token_only: 'narrows that one access token',
  sticks: 'narrows the sign-in for good',
  unknown: 'not known, so not asked for',
} as const satisfies Record<Provider['narrowing'], string>
