/**
 * Which client asks: an API key is an OAuth client, its id the `client_id`, the key the `client_secret`
 * (RFC 6749 sections 2.3.1 and 3.2.1), or a JWT of an identity that it trusts the `client_assertion` (RFC 7523 section 2.2).
 */
import { Buffer } from 'node:buffer'
import { decode, type Form } from './form.ts'
import { isKey } from '../caller.ts'
import { OAuthRefusal } from './refusal.ts'
import { HAS_WHITE_SPACE, hasWhiteSpace, subjectTokenOf, TOKEN_EXCHANGE } from './token-exchange.ts'

export interface ClientProof {
  /** As the client names itself; null: only what it shows says who it is. */
  readonly id: string | null
  /** An API key; a JWT where it is proven by one. */
  readonly credential: string
  /** `subject_token`: it is not authenticated, and is whom the token shows that it exchanges (RFC 8693 section 2.1). */
  readonly by: (typeof AUTHENTICATION_METHODS)[number] | 'subject_token'
}

/** As RFC 8414 section 2 has them. `private_key_jwt` is the nearest name for a JWT of an issuer that is trusted. */
export const AUTHENTICATION_METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'] as const

/** RFC 7523 section 2.2. */
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/**
 * Reads what a client proves itself with. Whether it is good is for the caller desk to say.
 *
 * @throws OAuthRefusal `invalid_client`: there is no proof, or one of a kind that is not served;
 *   `invalid_request`: there are two, or what is exchanged cannot be read
 */
export function readProof(
  authorization: string | undefined,
  form: Form,
  at: { readonly exchanges: boolean },
): ClientProof {
  return authorization === undefined ? fromForm(form, at) : fromHeader(authorization, form)
}

/** What the caller desk is asked about: a key alone is a secret, and a JWT alone asserts something. */
export const credentialOf = ({ by, credential }: Pick<ClientProof, 'by' | 'credential'>): string =>
  isKey(credential) === (by === 'client_secret_basic' || by === 'client_secret_post') ? credential : ''

/** One answer for an unknown, a revoked and another client's proof. */
export function unknownClient({ by }: Pick<ClientProof, 'by'>): OAuthRefusal {
  switch (by) {
    case 'client_secret_basic':
    case 'client_secret_post':
      return invalidClient('this client_id and client_secret are not an API key that is known here, and in force', by)
    case 'private_key_jwt':
      return invalidClient('this client_assertion is not valid here, or of nobody whom the API key trusts', by)
    case 'subject_token':
      return unknownSubject()
  }
}

/** RFC 8693 section 2.2.2: the token is invalid for whatever reason, or not acceptable. */
export const unknownSubject = (): OAuthRefusal =>
  new OAuthRefusal(
    'invalid_request',
    'this subject_token is not valid here, or of nobody whom the API key of this client trusts',
    { code: 'unauthorized' },
  )

function fromHeader(authorization: string, form: Form): ClientProof {
  const by = 'client_secret_basic'
  const [, encoded] = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(authorization) ?? []
  if (encoded === undefined) {
    throw invalidClient('the header Authorization is not Basic with a client_id and a client_secret', by)
  }
  if (form.get('client_secret') !== undefined || form.get('client_assertion') !== undefined) {
    throw new OAuthRefusal(
      'invalid_request',
      'the client proves itself twice: use the header Authorization or the body, not both',
    )
  }
  const [id, secret] = userAndPassword(encoded) ?? []
  if (id === undefined || secret === undefined) {
    throw invalidClient('the header Authorization cannot be read: form-encode both, join them by a colon, base64', by)
  }
  const named = form.get('client_id')
  if (named !== undefined && named !== id) {
    throw new OAuthRefusal('invalid_request', 'client_id in the body is not the one in the header Authorization')
  }
  if (secret === '') throw publicClient(by)
  return { id, credential: secret, by }
}

/** Form-encoded before they were joined (RFC 6749 section 2.3.1), which RFC 7617 alone does not ask for. */
function userAndPassword(encoded: string): readonly [string, string] | null {
  const joined = Buffer.from(encoded, 'base64').toString('latin1')
  const colon = joined.indexOf(':')
  if (colon < 1) return null
  try {
    return [decode(joined.slice(0, colon)), decode(joined.slice(colon + 1))]
  } catch {
    return null
  }
}

function fromForm(form: Form, { exchanges }: { readonly exchanges: boolean }): ClientProof {
  const by = 'client_secret_post'
  const id = form.get('client_id')
  const secret = form.get('client_secret')
  if (secret === undefined) {
    const assertion = form.get('client_assertion')
    if (assertion !== undefined) return fromAssertion(assertion, form)
    if (exchanges && form.get('grant_type') === TOKEN_EXCHANGE) {
      return { id: id ?? null, credential: subjectTokenOf(form), by: 'subject_token' }
    }
    if (id === undefined) {
      const only = form.get('subject_token') === undefined ? '' : `; a subject_token alone does for ${TOKEN_EXCHANGE}`
      throw invalidClient(`the client does not say who it is: send client_id and client_secret${only}`, by)
    }
    throw publicClient(by)
  }
  if (form.get('client_assertion') !== undefined) {
    throw new OAuthRefusal('invalid_request', 'the client proves itself twice: client_secret and client_assertion')
  }
  if (id === undefined) throw new OAuthRefusal('invalid_request', 'client_id is missing')
  return { id, credential: secret, by }
}

function fromAssertion(credential: string, form: Form): ClientProof {
  const by = 'private_key_jwt'
  if (form.get('client_assertion_type') !== JWT_BEARER) {
    throw invalidClient(`client_assertion_type has to be ${JWT_BEARER}`, by)
  }
  if (hasWhiteSpace(credential)) throw invalidClient(`client_assertion ${HAS_WHITE_SPACE}`, by)
  return { id: form.get('client_id') ?? null, credential, by }
}

/** RFC 9700 section 2.2.2: a public client's refresh tokens have to be rotated, and those of this endpoint are stable. */
const publicClient = (by: ClientProof['by']): OAuthRefusal =>
  invalidClient('client_secret is missing: public clients are not served, for their refresh tokens would rotate', by)

/** RFC 6749 section 5.2: the challenge is for whoever tried the header. Some clients look no further than that. */
const invalidClient = (description: string, by: ClientProof['by']): OAuthRefusal =>
  new OAuthRefusal('invalid_client', description, {
    code: 'unauthorized',
    headers: by === 'client_secret_basic' ? { 'www-authenticate': 'Basic realm="tokenkeep"' } : {},
  })
