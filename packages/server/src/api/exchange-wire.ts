/** How a provider's words, requests and answers are called on the wire, and in the library. */
import type { AnswerShape, AuthorizationShape, ProviderWords, RequestShape } from '@tokenkeep/core'
import type { ProviderWire } from './wire.ts'

type WordsWire = ProviderWire['words']
type RequestWire = ProviderWire['request']
type AnswerWire = ProviderWire['answer']
type AuthorizationWire = ProviderWire['authorization']

const WORDS = {
  reused: 'reused',
  rejected: 'rejected',
  interactionRequired: 'interaction_required',
  misconfigured: 'misconfigured',
  unavailable: 'unavailable',
  inDoubt: 'in_doubt',
} as const satisfies Record<keyof ProviderWords, keyof WordsWire>

const REQUEST = {
  encoding: 'encoding',
  parameters: 'parameters',
  headers: 'headers',
  scopeSeparator: 'scope_separator',
  basicCredentials: 'basic_credentials',
  assertionAudience: 'assertion_audience',
} as const satisfies Record<keyof RequestShape, keyof RequestWire>

const ANSWER = {
  tokensIn: 'tokens_in',
  accessToken: 'access_token',
  refreshToken: 'refresh_token',
  expiresIn: 'expires_in',
  refreshTokenExpiresIn: 'refresh_token_expires_in',
  scope: 'scope',
  words: 'words',
  subject: 'subject',
  tokenType: 'token_type',
  scopeSeparator: 'scope_separator',
} as const satisfies Record<keyof AnswerShape, keyof AnswerWire>

const AUTHORIZATION = {
  parameters: 'parameters',
  scope: 'scope',
  pkce: 'pkce',
} as const satisfies Record<keyof AuthorizationShape, keyof AuthorizationWire>

export const wordsWire = (words: ProviderWords): WordsWire => toWire(WORDS, words) as WordsWire
export const requestWire = (shape: RequestShape): RequestWire => toWire(REQUEST, shape) as RequestWire
export const answerWire = (shape: AnswerShape): AnswerWire => toWire(ANSWER, shape) as AnswerWire
export const authorizationWire = (shape: AuthorizationShape): AuthorizationWire =>
  toWire(AUTHORIZATION, shape) as AuthorizationWire

/** What somebody wrote of it; what is left out stays out. */
export const someWordsWire = (words: Partial<ProviderWords>): Partial<WordsWire> => toWire(WORDS, words)
export const someRequestWire = (shape: Partial<RequestShape>): Partial<RequestWire> => toWire(REQUEST, shape)
export const someAnswerWire = (shape: Partial<AnswerShape>): Partial<AnswerWire> => toWire(ANSWER, shape)
export const someAuthorizationWire = (shape: Partial<AuthorizationShape>): Partial<AuthorizationWire> =>
  toWire(AUTHORIZATION, shape)

export const someWords = (wire: object): Partial<ProviderWords> => fromWire(WORDS, wire)
export const someRequest = (wire: object): Partial<RequestShape> => fromWire(REQUEST, wire)
export const someAnswer = (wire: object): Partial<AnswerShape> => fromWire(ANSWER, wire)
export const someAuthorization = (wire: object): Partial<AuthorizationShape> => fromWire(AUTHORIZATION, wire)

type Names = Readonly<Record<string, string>>

const toWire = (names: Names, object: object): Record<string, unknown> => renamed(Object.entries(names), object)
const fromWire = (names: Names, object: object): Record<string, unknown> =>
  renamed(
    Object.entries(names).map(([ours, wire]) => [wire, ours]),
    object,
  )

function renamed(names: readonly (readonly [string, string])[], object: object): Record<string, unknown> {
  const values = new Map(Object.entries(object))
  return Object.fromEntries(
    names.filter(([from]) => values.get(from) !== undefined).map(([from, to]) => [to, values.get(from)]),
  )
}
