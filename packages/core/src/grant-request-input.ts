/** What people write about a grant that runs again by itself, read and refused with a sentence that says what is wrong. */
import { TokenError } from './failures.ts'
import type { GrantRequest, JwtBearerRequest, TokenExchangeRequest, TokenFile } from './grant-request.ts'
import { parseConnectionId } from './ids.ts'
import { GRANT_TYPES, type GrantType } from './provider.ts'
import { parseVariant } from './variant.ts'

/** With `grantType: 'jwt_bearer'` (RFC 7523 section 2.1). `sub` is the `subject` of the connection. */
export interface AssertionInput {
  /** `iss`; the client's id at the provider where absent. It is `sub`, too, where the connection has no subject. */
  readonly issuer?: string | undefined
  /** `aud`; `token_endpoint` means its URL. As for the client's own assertions where absent. */
  readonly audience?: string | undefined
  /** Further claims, such as `{ scope: '...' }`. Kept and shown in the clear: no place for a secret. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined
  /** Instead of all that: the absolute path of a file that holds the assertion, read anew for each request. */
  readonly file?: string | undefined
  /** The client proves itself beside the assertion. Where absent: with a `file` only. */
  readonly clientAuthentication?: boolean | undefined
}

/** With `grantType: 'token_exchange'` (RFC 8693 section 2.1): `fromConnection` or `subjectTokenFile`. */
export interface ExchangeInput {
  /** The id of another connection: its access token of that moment is exchanged. */
  readonly fromConnection?: string | undefined
  /** The absolute path of a file that holds the subject token, a JWT; read anew for each request. */
  readonly subjectTokenFile?: string | undefined
  /** An access token for `fromConnection`, a JWT for `subjectTokenFile`, where absent: `urn:ietf:params:oauth:token-type:...`. */
  readonly subjectTokenType?: string | undefined
  readonly requestedTokenType?: string | undefined
  /** At most 20. */
  readonly audience?: readonly string[] | undefined
  /** Absolute URIs without a fragment, at most 20 (RFC 8707 section 2). */
  readonly resource?: readonly string[] | undefined
  /** True where absent. */
  readonly clientAuthentication?: boolean | undefined
}

export interface GrantInput {
  readonly grantType?: GrantType | undefined
  readonly assertion?: AssertionInput | undefined
  readonly exchange?: ExchangeInput | undefined
}

const TEXT_LENGTH_MAX = 2000
const CLAIMS_MAX = 32
const CLAIMS_LENGTH_MAX = 4000
const AUDIENCES_MAX = 20
/** Made for each request, or members of their own. */
const OURS = ['iss', 'sub', 'aud', 'exp', 'iat', 'nbf', 'jti']
const TYPE = 'urn:ietf:params:oauth:token-type:'

/**
 * What the connection asks with; null: nothing beside its refresh token, or its client's credentials.
 *
 * @throws TokenError `invalid_input`
 */
export function readGrantRequest(input: GrantInput): GrantRequest | null {
  const grantType = input.grantType ?? 'refresh_token'
  if (!GRANT_TYPES.includes(grantType)) throw wrong(`grantType is one of ${GRANT_TYPES.join(', ')}`)
  if (input.assertion !== undefined && grantType !== 'jwt_bearer') {
    throw wrong('assertion belongs to grantType "jwt_bearer": leave one of the two out')
  }
  if (input.exchange !== undefined && grantType !== 'token_exchange') {
    throw wrong('exchange belongs to grantType "token_exchange": leave one of the two out')
  }
  if (grantType === 'jwt_bearer') return readAssertion(input.assertion ?? {})
  return grantType === 'token_exchange' ? readExchange(input.exchange) : null
}

function readAssertion(given: AssertionInput): JwtBearerRequest {
  onlyMembers('assertion', given, ['issuer', 'audience', 'claims', 'file', 'clientAuthentication'])
  const proves = flag('assertion.clientAuthentication', given.clientAuthentication)
  const file = pathOf('assertion.file', given.file)
  if (file !== null) {
    const beside = (['issuer', 'audience', 'claims'] as const).find((name) => given[name] !== undefined)
    if (beside !== undefined) {
      throw wrong(`assertion.file holds an assertion that is signed already: leave ${beside} out`)
    }
    return { kind: 'jwt_bearer', assertion: file, clientAuthentication: proves ?? true }
  }
  return {
    kind: 'jwt_bearer',
    assertion: {
      from: 'client_key',
      issuer: text('assertion.issuer', given.issuer),
      audience: text('assertion.audience', given.audience),
      claims: readClaims(given.claims),
    },
    clientAuthentication: proves ?? false,
  }
}

function readClaims(given: unknown): Readonly<Record<string, unknown>> {
  if (given === undefined) return {}
  const shape = `assertion.claims is an object of at most ${CLAIMS_MAX} claims, such as { scope: '...' }, at most ${CLAIMS_LENGTH_MAX} characters as JSON`
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw wrong(shape)
  const names = Object.keys(given)
  const ours = names.find((name) => OURS.includes(name))
  if (ours !== undefined) {
    throw wrong(
      `assertion.claims has "${ours}", which is made for each request or has a member of its own ` +
        '(issuer, audience, and the subject of the connection): leave it out',
    )
  }
  if (names.length > CLAIMS_MAX) throw wrong(shape)
  try {
    const json = JSON.stringify(given)
    if (json.length <= CLAIMS_LENGTH_MAX) return JSON.parse(json) as Readonly<Record<string, unknown>>
  } catch {
    // A value that JSON cannot hold.
  }
  throw wrong(shape)
}

function readExchange(given: ExchangeInput | undefined): TokenExchangeRequest {
  if (given === undefined) {
    throw wrong('a token exchange needs a subject token: give exchange.fromConnection or exchange.subjectTokenFile')
  }
  onlyMembers('exchange', given, [
    'fromConnection',
    'subjectTokenFile',
    'subjectTokenType',
    'requestedTokenType',
    'audience',
    'resource',
    'clientAuthentication',
  ])
  const file = pathOf('exchange.subjectTokenFile', given.subjectTokenFile)
  if ((file === null) === (given.fromConnection === undefined)) {
    throw wrong('a token exchange has one subject token: give exchange.fromConnection or exchange.subjectTokenFile')
  }
  const audiences = texts('exchange.audience', given.audience)
  const resources = texts('exchange.resource', given.resource)
  const asked = parseVariant(undefined, resources)
  if ('wrong' in asked) throw wrong(`exchange.${asked.wrong}`)
  return {
    kind: 'token_exchange',
    subjectToken: file ?? { from: 'connection', id: sourceId(given.fromConnection) },
    subjectTokenType:
      tokenType('exchange.subjectTokenType', given.subjectTokenType) ?? `${TYPE}${file ? 'jwt' : 'access_token'}`,
    requestedTokenType: tokenType('exchange.requestedTokenType', given.requestedTokenType),
    audiences,
    resources: asked.variant.resources,
    clientAuthentication: flag('exchange.clientAuthentication', given.clientAuthentication) ?? true,
  }
}

function sourceId(given: unknown) {
  const parsed = parseConnectionId(given)
  if ('wrong' in parsed) throw wrong(`exchange.fromConnection: ${parsed.wrong}`)
  return parsed.id
}

// ---- members -------------------------------------------------------------------------------------------------------

function onlyMembers(what: string, given: unknown, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw wrong(`${what} is an object`)
  if (Object.keys(given).some((name) => !known.includes(name))) {
    throw wrong(`${what} has a member that is not known; known are ${known.join(', ')}`)
  }
}

function text(field: string, given: unknown): string | null {
  if (given === undefined) return null
  if (typeof given === 'string' && given !== '' && given.length <= TEXT_LENGTH_MAX && !/\p{C}/u.test(given))
    return given
  throw wrong(`${field} is a text of 1 to ${TEXT_LENGTH_MAX} characters without control characters`)
}

function texts(field: string, given: unknown): readonly string[] {
  if (given === undefined) return []
  if (!Array.isArray(given) || given.length > AUDIENCES_MAX) {
    throw wrong(`${field} is a list of at most ${AUDIENCES_MAX} texts`)
  }
  return given.map((each: unknown) => text(field, each ?? '') ?? '')
}

function tokenType(field: string, given: unknown): string | null {
  const read = text(field, given)
  if (read === null || /^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7E]+$/.test(read)) return read
  throw wrong(`${field} is a URI, such as ${TYPE}access_token (RFC 8693 section 3)`)
}

function pathOf(field: string, given: unknown): TokenFile | null {
  const path = text(field, given)
  if (path === null) return null
  // Of POSIX or of Windows.
  if (/^(?:\/|[A-Za-z]:[\\/]|\\\\)/.test(path)) return { from: 'file', path }
  throw wrong(`${field} must be an absolute path: whoever reads it may have another working folder`)
}

function flag(field: string, given: unknown): boolean | null {
  if (given === undefined) return null
  if (typeof given === 'boolean') return given
  throw wrong(`${field} is true or false`)
}

const wrong = (message: string): TokenError => new TokenError('invalid_input', message)
