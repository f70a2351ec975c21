/** What users write about a provider's requests and answers: words and statuses, members, parameters, headers, sign-ins. */
import {
  NO_WORDS,
  STANDARD_ANSWER,
  STANDARD_AUTHORIZATION,
  STANDARD_REQUEST,
  type AnswerShape,
  type AuthorizationShape,
  type ProviderWords,
  type RequestShape,
  type Sign,
} from '@tokenkeep/core'
import { isRecord, onlyMembers, oneOf, spelled, textOf, type Given, type Refuse } from './input-members.ts'

const SIGNS_MAX = 50
const WORD_LENGTH_MAX = 100
const NAMES_MAX = 10
const NAME_LENGTH_MAX = 100
const PARAMETERS_MAX = 20
const VALUE_LENGTH_MAX = 1000

const WORD_LISTS = Object.keys(NO_WORDS) as readonly (keyof ProviderWords)[]
/** Of these a status that speaks of the moment is no sign. */
const FINAL_LISTS: readonly (keyof ProviderWords)[] = ['rejected', 'interactionRequired', 'misconfigured']

/** @param fallback the lists that are not given */
export function wordsOf(value: unknown, fallback: ProviderWords, refuse: Refuse): ProviderWords {
  if (value === undefined) return fallback
  const given = membersOf('words', value, WORD_LISTS, `{ rejected: ['token_dead'] }`, refuse)
  const list = (name: keyof ProviderWords): readonly Sign[] => {
    const signs = given[name]
    if (signs === undefined) return fallback[name]
    if (!Array.isArray(signs) || signs.length > SIGNS_MAX) {
      return refuse(`words.${name} must be a list of at most ${SIGNS_MAX} words or statuses`)
    }
    return signs.map((sign: unknown) => signOf(name, sign, refuse))
  }
  return {
    reused: list('reused'),
    rejected: list('rejected'),
    interactionRequired: list('interactionRequired'),
    misconfigured: list('misconfigured'),
    unavailable: list('unavailable'),
    inDoubt: list('inDoubt'),
  }
}

function signOf(list: keyof ProviderWords, sign: unknown, refuse: Refuse): Sign {
  const each = `each of words.${list}`
  if (typeof sign === 'string') return textOf(each, sign, WORD_LENGTH_MAX, refuse)
  if (!isRecord(sign)) return refuse(`${each} must be a word, or an object such as { status: 403, word: 'expired' }`)
  onlyMembers(sign, ['status', 'word'], refuse, each)
  const { status, word } = sign
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599) {
    return refuse(`${each}: status must be a whole number from 200 to 599`)
  }
  if (FINAL_LISTS.includes(list) && (status === 408 || status === 425 || status === 429 || status >= 500)) {
    return refuse(`${each}: status ${status} says that it passes, so it is no sign of that`)
  }
  if (word !== undefined) return { status, word: textOf(`${each}: word`, word, WORD_LENGTH_MAX, refuse) }
  if (status < 400) return refuse(`${each}: status ${status} needs a word beside it, for it says nothing alone`)
  return { status }
}

/** Parameters that the request has already, or that would change whose request it is. */
const OWN_PARAMETERS = [
  'grant_type',
  'refresh_token',
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
  'scope',
  'resource',
]
const OWN_HEADERS = [
  'accept-encoding',
  'authorization',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'expect',
  'host',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

export function requestOf(value: unknown, fallback: RequestShape, refuse: Refuse): RequestShape {
  if (value === undefined) return fallback
  const given = membersOf('request', value, Object.keys(STANDARD_REQUEST), `{ encoding: 'json' }`, refuse)
  return {
    encoding:
      given['encoding'] === undefined
        ? fallback.encoding
        : oneOf('request.encoding', given['encoding'], ['form', 'json'] as const, refuse),
    parameters: textsOf('request.parameters', given['parameters'], fallback.parameters, OWN_PARAMETERS, refuse),
    headers: textsOf('request.headers', given['headers'], fallback.headers, OWN_HEADERS, refuse),
    scopeSeparator: separatorOf('request', given, fallback.scopeSeparator, refuse),
    basicCredentials:
      given['basicCredentials'] === undefined
        ? fallback.basicCredentials
        : oneOf('request.basicCredentials', given['basicCredentials'], ['encoded', 'raw'] as const, refuse),
    assertionAudience:
      given['assertionAudience'] === undefined
        ? fallback.assertionAudience
        : given['assertionAudience'] === null
          ? null
          : textOf('request.assertionAudience', given['assertionAudience'], VALUE_LENGTH_MAX, refuse),
  }
}

function textsOf(
  name: string,
  value: unknown,
  fallback: Readonly<Record<string, string>>,
  own: readonly string[],
  refuse: Refuse,
): Readonly<Record<string, string>> {
  if (value === undefined) return fallback
  if (!isRecord(value) || Object.keys(value).length > PARAMETERS_MAX) {
    return refuse(`${name} must be an object of at most ${PARAMETERS_MAX} strings`)
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, text]) => {
      if (!/^[A-Za-z0-9_.-]{1,64}$/.test(key)) return refuse(`${name} has a name that is not a plain word`)
      if (own.includes(key.toLowerCase()))
        return refuse(`${name} must not have ${spelled(key)}: requests have their own`)
      const read = textOf(`${name}.${key}`, text, VALUE_LENGTH_MAX, refuse)
      return /^[\x20-\x7E]+$/.test(read) ? [key, read] : refuse(`${name}.${key} must be printable ASCII`)
    }),
  )
}

export function answerOf(value: unknown, fallback: AnswerShape, refuse: Refuse): AnswerShape {
  if (value === undefined) return fallback
  const given = membersOf('answer', value, Object.keys(STANDARD_ANSWER), `{ tokensIn: ['data'] }`, refuse)
  const names = (name: Exclude<keyof AnswerShape, 'tokenType' | 'scopeSeparator'>): readonly string[] => {
    const list = given[name]
    if (list === undefined) return fallback[name]
    if (!Array.isArray(list) || list.length > NAMES_MAX) {
      return refuse(`answer.${name} must be a list of at most ${NAMES_MAX} names of members`)
    }
    return list.map((each: unknown) => textOf(`each of answer.${name}`, each, NAME_LENGTH_MAX, refuse))
  }
  const tokenType = given['tokenType']
  return {
    tokensIn: names('tokensIn'),
    accessToken: names('accessToken'),
    refreshToken: names('refreshToken'),
    expiresIn: names('expiresIn'),
    refreshTokenExpiresIn: names('refreshTokenExpiresIn'),
    scope: names('scope'),
    words: names('words'),
    subject: subjectsOf(names('subject'), refuse),
    tokenType:
      tokenType === undefined
        ? fallback.tokenType
        : tokenType === null
          ? null
          : oneOf('answer.tokenType', tokenType, ['Bearer'] as const, refuse),
    scopeSeparator: separatorOf('answer', given, fallback.scopeSeparator, refuse),
  }
}

/** Whose account it is, is shown in the clear. */
function subjectsOf(paths: readonly string[], refuse: Refuse): readonly string[] {
  const secret = paths.some((path) => path.split('.').some((name) => /token|secret/i.test(name)))
  return secret ? refuse('answer.subject must not name a token or secret: what it finds is shown to people') : paths
}

/** Parameters that make a sign-in the one that was begun, or that say whose it is. */
const OWN_AUTHORIZATION_PARAMETERS = [
  'response_type',
  'response_mode',
  'client_id',
  'client_secret',
  'redirect_uri',
  'scope',
  'state',
  'nonce',
  'code_challenge',
  'code_challenge_method',
  'resource',
  'request',
  'request_uri',
  'dpop_jkt',
]

const SCOPE_LENGTH_MAX = 4000

export function authorizationOf(value: unknown, fallback: AuthorizationShape, refuse: Refuse): AuthorizationShape {
  if (value === undefined) return fallback
  const like = `{ parameters: { prompt: 'consent' } }`
  const given = membersOf('authorization', value, Object.keys(STANDARD_AUTHORIZATION), like, refuse)
  const { parameters, scope, pkce } = given
  return {
    parameters: textsOf(
      'authorization.parameters',
      parameters,
      fallback.parameters,
      OWN_AUTHORIZATION_PARAMETERS,
      refuse,
    ),
    scope:
      scope === undefined
        ? fallback.scope
        : scope === null
          ? null
          : textOf('authorization.scope', scope, SCOPE_LENGTH_MAX, refuse),
    pkce: pkce === undefined ? fallback.pkce : oneOf('authorization.pkce', pkce, ['S256', 'none'] as const, refuse),
  }
}

const separatorOf = (where: string, given: Given, fallback: string, refuse: Refuse): string =>
  given['scopeSeparator'] === undefined
    ? fallback
    : oneOf(`${where}.scopeSeparator`, given['scopeSeparator'], [' ', ',', '+'] as const, refuse)

function membersOf(name: string, value: unknown, known: readonly string[], like: string, refuse: Refuse): Given {
  if (!isRecord(value)) return refuse(`${name} must be an object such as ${like}`)
  onlyMembers(value, known, refuse, name)
  return value
}
