/**
 * What a token exchange asks for: a workload's JWT for the access token of a connection.
 *
 * @see RFC 8693 sections 2.1 and 3
 */
import type { Form } from './form.ts'
import { OAuthRefusal } from './refusal.ts'

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token'
/** What a JWT of an issuer may be called. It is checked as the same, whatever it is called. */
const SUBJECT_TOKEN_TYPES = [
  'urn:ietf:params:oauth:token-type:jwt',
  'urn:ietf:params:oauth:token-type:id_token',
  ACCESS_TOKEN_TYPE,
]

/**
 * The JWT that is exchanged.
 *
 * @throws OAuthRefusal `invalid_request`: it is missing, of a type that is not taken, or something else is wanted for it
 */
export function subjectTokenOf(form: Form): string {
  const token = form.get('subject_token')
  if (token === undefined) throw invalid('subject_token is missing')
  if (hasWhiteSpace(token)) throw invalid(`subject_token ${HAS_WHITE_SPACE}`)
  const type = form.get('subject_token_type')
  if (type === undefined) throw invalid('subject_token_type is missing')
  if (!SUBJECT_TOKEN_TYPES.includes(type))
    throw invalid(`subject_token_type is one of ${SUBJECT_TOKEN_TYPES.join(', ')}`)
  if (form.get('actor_token') !== undefined) throw invalid('actor_token is not taken here: nobody acts for another')
  if ((form.get('requested_token_type') ?? ACCESS_TOKEN_TYPE) !== ACCESS_TOKEN_TYPE)
    throw invalid(`requested_token_type can only be ${ACCESS_TOKEN_TYPE}`)
  return token
}

/** What was read from a file and sent with its line feed: no JWT has any. */
export const hasWhiteSpace = (jwt: string): boolean => /\s/.test(jwt)
export const HAS_WHITE_SPACE = 'has white space in it or around it: was a line feed copied with it?'

const invalid = (description: string): OAuthRefusal => new OAuthRefusal('invalid_request', description)
