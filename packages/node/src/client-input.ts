/** What users write about clients, read into what the registry keeps: everything said, nothing guessed. */
import { isAbsolute } from 'node:path'
import {
  assertNever,
  KEY_ALGS,
  Secret,
  SECRET_ALGS,
  TOKEN_ENDPOINT_AUTH_METHODS,
  type Client,
  type ClientId,
  type ClientSecret,
  type ClientSigningAlg,
  type MethodOfSecrets,
  type ProviderId,
  type TokenEndpointAuthMethod,
} from '@tokenkeep/core'
import {
  flag,
  nameOf,
  onlyMembers,
  oneOf,
  recordOf,
  refuser,
  textOf,
  type Given,
  type Refuse,
} from './input-members.ts'

/** A client as users write it: our registration at a provider. */
export interface ClientInput {
  /** As a provider's id. */
  readonly id: string
  /** The id of a provider. */
  readonly provider: string
  /** RFC 6749 section 2.2 client identifier. */
  readonly clientId: string
  /** For `client_secret_basic`, `client_secret_post` and `client_secret_jwt`. */
  readonly clientSecret?: string | undefined
  /**
   * Absent: with a secret the provider's default (else that of RFC 8414 section 2, `client_secret_basic`), with a certificate
   * `tls_client_auth`, with a key or an assertion file `private_key_jwt`, with nothing `none`.
   */
  readonly tokenEndpointAuthMethod?: TokenEndpointAuthMethod | undefined
  /**
   * What assertions are signed with: `HS256` (absent), `HS384`, `HS512` with `client_secret_jwt`; `ES256` (absent), `RS256`,
   * `PS256`, `EdDSA` and more with `private_key_jwt`, for keys made from now on, or what the given key is used with.
   */
  readonly tokenEndpointAuthSigningAlg?: ClientSigningAlg | undefined
  /**
   * A private key of one's own, PEM or a JWK: signs with `private_key_jwt`, where a key is made if this is absent and there is
   * none; or belongs to `clientCertificate`.
   */
  readonly clientKey?: string | undefined
  /** What the provider calls `clientKey`; absent: the `kid` of the JWK, else its thumbprint (RFC 7638). */
  readonly kid?: string | undefined
  /** For `tls_client_auth` and `self_signed_tls_client_auth`: PEM, the client's own certificate first. */
  readonly clientCertificate?: string | undefined
  /** Instead of a key: the absolute path of a file that holds the assertion, read anew for each request. */
  readonly clientAssertionFile?: string | undefined
  /**
   * Whether tokens are bound to a key (DPoP, RFC 9449): each sign-in from now on gets one of its own, and each request proves
   * it. Absent: false. What was signed in before stays as it is.
   */
  readonly dpopBoundAccessTokens?: boolean | undefined
}

/** A client that was read: its keys and certificates are still text. */
export interface ClientRead extends Omit<Client, 'revision' | 'certificate'> {
  readonly clientSecret: ClientSecret | null
  readonly clientKey: string | null
  readonly kid: string | null
  readonly clientCertificate: string | null
}

const CLIENT_ID_LENGTH_MAX = 1000
const CLIENT_SECRET_LENGTH_MAX = 4000
const PEM_LENGTH_MAX = 40_000
const PATH_LENGTH_MAX = 1000
const KID_LENGTH_MAX = 200

/**
 * Reads a client. The provider is not looked up here.
 *
 * @param methodWithSecret what the provider's clients with a secret use unless they say otherwise
 * @throws TokenError `invalid_input`: what is wrong, where, and what to do; never the secret itself
 */
export function readClientInput(
  input: ClientInput,
  methodWithSecret: MethodOfSecrets = 'client_secret_basic',
): ClientRead {
  const given = recordOf('a client', input)
  const id = nameOf<ClientId>('client', given['id'])
  const where = `client "${id}"`
  const refuse = refuser('invalid_input', where, id)
  onlyMembers(given, CLIENT_MEMBERS, refuse)

  const provider = nameOf<ProviderId>('provider', given['provider'])
  const clientId = textOf('clientId', given['clientId'], CLIENT_ID_LENGTH_MAX, refuse)
  const text = (name: keyof ClientInput, lengthMax: number): string | null =>
    given[name] === undefined || given[name] === null ? null : textOf(name, given[name], lengthMax, refuse)
  const credential: Credential = {
    clientSecret: text('clientSecret', CLIENT_SECRET_LENGTH_MAX),
    clientKey: linesOf('clientKey', given, refuse),
    clientCertificate: linesOf('clientCertificate', given, refuse),
    clientAssertionFile: text('clientAssertionFile', PATH_LENGTH_MAX),
  }
  const method =
    given['tokenEndpointAuthMethod'] === undefined
      ? methodFor(credential, methodWithSecret)
      : oneOf('tokenEndpointAuthMethod', given['tokenEndpointAuthMethod'], TOKEN_ENDPOINT_AUTH_METHODS, refuse)
  checkCredential(method, credential, refuse)
  const kid = text('kid', KID_LENGTH_MAX)
  if (kid !== null && (credential.clientKey === null || method !== 'private_key_jwt')) {
    refuse('kid names a clientKey of private_key_jwt, and there is none: leave it out')
  }
  if (kid !== null && !/^[\x21-\x7e]+$/.test(kid)) refuse('kid must be printable ASCII without spaces')
  const { clientSecret, ...others } = credential
  return {
    id,
    provider,
    clientId,
    tokenEndpointAuthMethod: method,
    tokenEndpointAuthSigningAlg: signingAlgOf(method, given, credential, refuse),
    ...others,
    clientSecret: clientSecret === null ? null : new Secret('client_secret', clientSecret),
    kid,
    dpopBoundAccessTokens: flag(given, 'dpopBoundAccessTokens', false, refuse),
  }
}

type Credential = Record<'clientSecret' | 'clientKey' | 'clientCertificate' | 'clientAssertionFile', string | null>

function methodFor(credential: Credential, methodWithSecret: MethodOfSecrets): TokenEndpointAuthMethod {
  if (credential.clientSecret !== null) return methodWithSecret
  if (credential.clientCertificate !== null) return 'tls_client_auth'
  return credential.clientKey !== null || credential.clientAssertionFile !== null ? 'private_key_jwt' : 'none'
}

/** What each method is proven with. */
function checkCredential(method: TokenEndpointAuthMethod, credential: Credential, refuse: Refuse): void {
  const only = (...used: readonly (keyof Credential)[]): void => {
    const idle = (Object.keys(credential) as (keyof Credential)[]).find(
      (name) => credential[name] !== null && !used.includes(name),
    )
    if (idle !== undefined) {
      refuse(
        `tokenEndpointAuthMethod "${method}" sends no ${NAMES[idle]}, and a ${idle} is given: leave one of them out, or choose ${INSTEAD[idle]}`,
      )
    }
  }
  switch (method) {
    case 'client_secret_basic':
    case 'client_secret_post':
    case 'client_secret_jwt':
      only('clientSecret')
      if (credential.clientSecret === null) {
        refuse(`tokenEndpointAuthMethod "${method}" needs a clientSecret; for a public client it is "none"`)
      }
      return
    case 'private_key_jwt': {
      only('clientKey', 'clientAssertionFile')
      const { clientKey, clientAssertionFile: file } = credential
      if (clientKey !== null && file !== null) {
        refuse('clientKey and clientAssertionFile are two ways to the same assertion: leave one of them out')
      }
      if (file !== null && !isAbsolute(file)) {
        refuse('clientAssertionFile must be an absolute path: whoever reads it may have another working folder')
      }
      return
    }
    case 'tls_client_auth':
    case 'self_signed_tls_client_auth':
      only('clientKey', 'clientCertificate')
      if (credential.clientCertificate === null || credential.clientKey === null) {
        refuse(`tokenEndpointAuthMethod "${method}" needs a clientCertificate and its clientKey`)
      }
      return
    case 'none':
      only()
      return
    default:
      assertNever(method)
  }
}

const NAMES = {
  clientSecret: 'secret',
  clientKey: 'key',
  clientCertificate: 'certificate',
  clientAssertionFile: 'assertion',
} as const satisfies Record<keyof Credential, string>
const INSTEAD = {
  clientSecret: 'client_secret_basic or client_secret_post',
  clientKey: 'private_key_jwt',
  clientCertificate: 'tls_client_auth or self_signed_tls_client_auth',
  clientAssertionFile: 'private_key_jwt',
} as const satisfies Record<keyof Credential, string>

function signingAlgOf(
  method: TokenEndpointAuthMethod,
  given: Given,
  { clientAssertionFile }: Credential,
  refuse: Refuse,
): ClientSigningAlg | null {
  const alg = given['tokenEndpointAuthSigningAlg']
  if (method === 'client_secret_jwt') {
    return alg === undefined ? 'HS256' : oneOf('tokenEndpointAuthSigningAlg', alg, SECRET_ALGS, refuse)
  }
  if (alg === undefined) return null
  if (method === 'private_key_jwt' && clientAssertionFile === null) {
    return oneOf('tokenEndpointAuthSigningAlg', alg, KEY_ALGS, refuse)
  }
  return refuse(
    clientAssertionFile === null
      ? `tokenEndpointAuthSigningAlg is for client_secret_jwt and private_key_jwt; "${method}" signs nothing`
      : 'tokenEndpointAuthSigningAlg does not go with clientAssertionFile: whoever writes that file has signed',
  )
}

/** Text of several lines: PEM, or JSON. */
function linesOf(name: 'clientKey' | 'clientCertificate', given: Given, refuse: Refuse): string | null {
  const value = given[name]
  if (value === undefined || value === null) return null
  if (typeof value !== 'string' || value.trim() === '') return refuse(`${name} must be a string that is not empty`)
  if (value.length > PEM_LENGTH_MAX) {
    return refuse(`${name} must have at most ${PEM_LENGTH_MAX} characters, this one has ${value.length}`)
  }
  return value
}

const CLIENT_MEMBERS = Object.keys({
  id: true,
  provider: true,
  clientId: true,
  clientSecret: true,
  tokenEndpointAuthMethod: true,
  tokenEndpointAuthSigningAlg: true,
  clientKey: true,
  kid: true,
  clientCertificate: true,
  clientAssertionFile: true,
  dpopBoundAccessTokens: true,
} satisfies Record<keyof ClientInput, true>)
