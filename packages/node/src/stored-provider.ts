/** A provider as a database keeps it: its settings in one JSON text, which an earlier version may have written. */
import {
  CONCURRENCY_UNSAID,
  NO_WORDS,
  STANDARD_ANSWER,
  STANDARD_AUTHORIZATION,
  STANDARD_REQUEST,
  type Provider,
} from '@tokenkeep/core'

/** What settings of before a member existed mean by its absence. */
const BEFORE: Pick<
  Provider,
  | 'refreshEndpoint'
  | 'authorizationEndpoint'
  | 'pushedAuthorizationRequestEndpoint'
  | 'deviceAuthorizationEndpoint'
  | 'jwksUri'
  | 'userinfoEndpoint'
  | 'tokenEndpointAuthMethod'
  | 'refreshTokenAbsoluteMs'
  | 'introspectEveryMs'
  | 'eventAudience'
  | 'requestsPerMinute'
  | 'concurrency'
  | 'request'
  | 'answer'
  | 'authorization'
> = {
  refreshEndpoint: null,
  authorizationEndpoint: null,
  pushedAuthorizationRequestEndpoint: null,
  deviceAuthorizationEndpoint: null,
  jwksUri: null,
  userinfoEndpoint: null,
  tokenEndpointAuthMethod: 'client_secret_basic',
  refreshTokenAbsoluteMs: null,
  introspectEveryMs: null,
  eventAudience: null,
  requestsPerMinute: null,
  concurrency: CONCURRENCY_UNSAID,
  request: STANDARD_REQUEST,
  answer: STANDARD_ANSWER,
  authorization: STANDARD_AUTHORIZATION,
}

/** @param settings parsed, as `storedSettings` wrote them, now or in an earlier version */
export function readStoredProvider(of: Pick<Provider, 'id' | 'revision'>, settings: unknown): Provider {
  const stored = settings as Omit<Provider, 'id' | 'revision'>
  return {
    ...BEFORE,
    ...stored,
    words: { ...NO_WORDS, ...stored.words },
    request: { ...STANDARD_REQUEST, ...stored.request },
    answer: { ...STANDARD_ANSWER, ...stored.answer },
    authorization: { ...STANDARD_AUTHORIZATION, ...stored.authorization },
    ...of,
  }
}

export function storedSettings({ id: _, revision: __, ...settings }: Provider): string {
  return JSON.stringify(settings)
}
