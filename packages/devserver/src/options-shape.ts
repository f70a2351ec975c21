import {
  flag,
  InvalidInput,
  list,
  members,
  oneOf,
  optional,
  positive,
  text,
  whole,
  type Members,
} from './json-shape.ts'
import {
  REALM_DEFAULTS,
  type ClientOptions,
  type DevserverOptions,
  type Offer,
  type PublicKeys,
  type RealmOptions,
  type TrustedIssuer,
} from './options.ts'
import type { RealmSettings } from './options.ts'
import type { Rotation } from './rotation.ts'

const REALM_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/ // RFC 6749 section 3.3

export function readDevserverOptions(value: unknown): DevserverOptions {
  const from = members(value, 'options', ['host', 'port', 'tls', 'stateFile', 'realms'])
  return {
    ...optional(from, 'host', text),
    ...optional(from, 'port', port),
    ...optional(from, 'tls', readTls),
    ...optional(from, 'stateFile', text),
    ...optional(from, 'realms', (it, key) =>
      list(it, key).map((realm, at) => readRealmOptions(realm, `realms[${at}]`)),
    ),
  }
}

export function readRealmOptions(value: unknown, path: string): RealmOptions {
  const from = members(value, path)
  const name = text(from, 'name')
  if (!REALM_NAME.test(name)) throw new InvalidInput(`${path}.name may hold letters, digits, "-", "_" and "." only`)
  return { name, ...readRealmChange(value, path) }
}

/** Reads what may be changed about a realm while it runs: everything but its name. */
export function readRealmChange(value: unknown, path: string): Partial<Omit<RealmOptions, 'name'>> {
  const from = members(value, path, ['name', ...Object.keys(REALM_DEFAULTS), 'clients'])
  return {
    ...optional(from, 'rotation', readRotation),
    ...optional(from, 'narrowing', (it, key) => oneOf(it, key, ['token_only', 'sticks'])),
    ...optional(from, 'accessTokenFormat', (it, key) => oneOf(it, key, ['jwt', 'opaque'])),
    ...optional(from, 'accessTokenSeconds', (it, key) => whole(it, key, 1)),
    ...optional(from, 'refreshTokenSeconds', (it, key) => whole(it, key, 0)),
    ...optional(from, 'sessionSeconds', (it, key) => whole(it, key, 0)),
    ...optional(from, 'refreshKillsAccessToken', flag),
    ...optional(from, 'pushedAuthorizationRequests', offer),
    ...optional(from, 'authorizationResponseIss', flag),
    ...optional(from, 'trustedIssuers', readTrustedIssuers),
    ...optional(from, 'dpop', offer),
    ...optional(from, 'dpopNonce', flag),
    ...optional(from, 'deviceFlow', flag),
    ...optional(from, 'deviceCodeSeconds', (it, key) => whole(it, key, 1)),
    ...optional(from, 'devicePollSeconds', (it, key) => whole(it, key, 0)),
    ...optional(from, 'clients', (it, key) =>
      list(it, key).map((client, at) => readClientOptions(client, `${path}.clients[${at}]`)),
    ),
  }
}

/** Lays the given options over the settings a realm has already, or over the defaults. */
export function settleRealm(options: RealmOptions, before: RealmSettings | null): RealmSettings {
  const { clients: _clients, ...given } = options
  return { ...REALM_DEFAULTS, ...before, ...given }
}

export function readClientOptions(value: unknown, path: string): ClientOptions {
  const from = members(value, path, [
    'clientId',
    'clientSecret',
    'tokenEndpointAuthMethod',
    'basicCredentials',
    'jwks',
    'jwksUri',
    'tokenEndpointAuthSigningAlg',
    'tlsClientAuthSubjectDn',
    'redirectUris',
    'mayRefresh',
    'accessTokenSeconds',
    'scope',
    'requirePushedAuthorizationRequests',
    'assertionJwks',
    'jwtBearer',
    'tokenExchange',
    'dpopBoundAccessTokens',
    'deviceFlow',
    'backchannelLogoutUri',
    'backchannelLogoutSessionRequired',
    'backchannelLogoutRevokeOfflineAccess',
  ])
  const client: ClientOptions = {
    clientId: text(from, 'clientId'),
    ...optional(from, 'clientSecret', text),
    ...optional(from, 'tokenEndpointAuthMethod', (it, key) =>
      oneOf(it, key, [
        'client_secret_post',
        'client_secret_basic',
        'client_secret_jwt',
        'private_key_jwt',
        'tls_client_auth',
        'self_signed_tls_client_auth',
        'none',
      ]),
    ),
    ...optional(from, 'basicCredentials', (it, key) => oneOf(it, key, ['encoded', 'raw'])),
    ...optional(from, 'jwks', readJwks),
    ...optional(from, 'jwksUri', text),
    ...optional(from, 'tokenEndpointAuthSigningAlg', text),
    ...optional(from, 'tlsClientAuthSubjectDn', text),
    ...optional(from, 'redirectUris', (it, key) =>
      list(it, key).map((uri, at) => text({ object: { uri }, path: `${path}.redirectUris[${at}]` }, 'uri')),
    ),
    ...optional(from, 'mayRefresh', flag),
    ...optional(from, 'accessTokenSeconds', (it, key) => whole(it, key, 1)),
    ...optional(from, 'scope', readScope),
    ...optional(from, 'requirePushedAuthorizationRequests', flag),
    ...optional(from, 'assertionJwks', readPublicKeys),
    ...optional(from, 'jwtBearer', flag),
    ...optional(from, 'tokenExchange', flag),
    ...optional(from, 'dpopBoundAccessTokens', flag),
    ...optional(from, 'deviceFlow', flag),
    ...optional(from, 'backchannelLogoutUri', webAddress),
    ...optional(from, 'backchannelLogoutSessionRequired', flag),
    ...optional(from, 'backchannelLogoutRevokeOfflineAccess', flag),
  }
  const secretNeeded = client.tokenEndpointAuthMethod?.startsWith('client_secret_') ?? false
  if (secretNeeded && client.clientSecret === undefined) {
    throw new InvalidInput(`${path}.clientSecret is needed for ${client.tokenEndpointAuthMethod}`)
  }
  if (client.tokenEndpointAuthMethod === 'none' && client.clientSecret !== undefined) {
    throw new InvalidInput(`${path}.clientSecret contradicts tokenEndpointAuthMethod "none"`)
  }
  return client
}

function readTls(outer: Members, key: string): NonNullable<DevserverOptions['tls']> {
  const from = members(outer.object[key], `${outer.path}.${key}`, ['cert', 'key', 'clientCa'])
  return { cert: text(from, 'cert'), key: text(from, 'key'), ...optional(from, 'clientCa', text) }
}

/** The engine is the judge of each key. */
function readJwks(outer: Members, key: string): NonNullable<ClientOptions['jwks']> {
  const path = `${outer.path}.${key}`
  const from = members(outer.object[key], path, ['keys'])
  return { keys: list(from, 'keys').map((jwk, at) => members(jwk, `${path}.keys[${at}]`).object) }
}

export function readScope(from: Members, key: string): string {
  const scope = text(from, key)
  if (!SCOPE.test(scope)) throw new InvalidInput(`${from.path}.${key} must be scopes separated by single spaces`)
  return scope
}

export function readRotation(outer: Members, key: string): Rotation {
  const path = `${outer.path}.${key}`
  const from = members(outer.object[key], path, ['kind', 'seconds', 'winner', 'reuses', 'answer'])
  const kind = oneOf(from, 'kind', ['strict', 'grace', 'counted', 'reusable'])
  switch (kind) {
    case 'strict':
      return { kind }
    case 'grace':
      return {
        kind,
        seconds: positive(from, 'seconds'),
        ...optional(from, 'winner', (it, member) => oneOf(it, member, ['any', 'newest', 'same'])),
      }
    case 'counted':
      return { kind, reuses: whole(from, 'reuses', 0) }
    case 'reusable':
      return { kind, ...optional(from, 'answer', (it, member) => oneOf(it, member, ['same', 'none'])) }
  }
}

function readTrustedIssuers(outer: Members, key: string): readonly TrustedIssuer[] {
  return list(outer, key).map((value, at) => {
    const from = members(value, `${outer.path}.${key}[${at}]`, ['issuer', 'jwks'])
    return { issuer: text(from, 'issuer'), jwks: readPublicKeys(from, 'jwks') }
  })
}

function readPublicKeys(outer: Members, key: string): PublicKeys {
  const path = `${outer.path}.${key}`
  const keys = list(members(outer.object[key], path, ['keys']), 'keys')
  return {
    keys: keys.map((value, at) => {
      const { object } = members(value, `${path}.keys[${at}]`)
      // Whoever holds a private key signs; a server that is given one has been given too much.
      if ('d' in object || 'k' in object) throw new InvalidInput(`${path}.keys[${at}] must be a public key`)
      return object
    }),
  }
}

export function webAddress(from: Members, key: string): string {
  const address = text(from, key)
  const url = URL.parse(address)
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.hash !== '') {
    throw new InvalidInput(`${from.path}.${key} must be an http or https URL without a fragment`)
  }
  return address
}

function offer(from: Members, key: string): Offer {
  return oneOf(from, key, ['off', 'allowed', 'required'])
}

function port(from: Members, key: string): number {
  const value = whole(from, key, 0)
  if (value > 65535) throw new InvalidInput(`${from.path}.${key} must be at most 65535, not ${value}`)
  return value
}
