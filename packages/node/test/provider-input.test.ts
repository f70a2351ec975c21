import assert from 'node:assert/strict'
import test from 'node:test'
import { inspect } from 'node:util'
import {
  NO_WORDS,
  STANDARD_ANSWER,
  STANDARD_AUTHORIZATION,
  STANDARD_REQUEST,
  TokenError,
  type FailureCode,
} from '@tokenkeep/core'
import { readClientInput, type ClientInput } from '../src/client-input.ts'
import { PRESETS } from '../src/presets.ts'
import { readProviderInput as readWith, type ProviderInput } from '../src/provider-input.ts'

const readProviderInput = (input: ProviderInput) => readWith(input, PRESETS)

const ISSUER = 'https://id.example.org/realms/external'
const PLAIN: ProviderInput = { id: 'external', tokenEndpoint: 'https://id.example.org/token' }

test('a provider with a token endpoint alone gets the cautious defaults', () => {
  assert.deepEqual(readProviderInput(PLAIN), {
    id: 'external',
    preset: null,
    issuer: null,
    tokenEndpoint: 'https://id.example.org/token',
    refreshEndpoint: null,
    revocationEndpoint: null,
    introspectionEndpoint: null,
    authorizationEndpoint: null,
    pushedAuthorizationRequestEndpoint: null,
    deviceAuthorizationEndpoint: null,
    jwksUri: null,
    userinfoEndpoint: null,
    tokenEndpointAuthMethod: 'client_secret_basic',
    reuse: { kind: 'unknown' },
    narrowing: 'unknown',
    refreshKillsAccessToken: false,
    accessTokenLifetimeMs: null,
    refreshTokenIdleMs: null,
    refreshTokenAbsoluteMs: null,
    introspectEveryMs: null,
    eventAudience: null,
    requestsPerMinute: null,
    concurrency: 32,
    words: NO_WORDS,
    request: STANDARD_REQUEST,
    answer: STANDARD_ANSWER,
    authorization: STANDARD_AUTHORIZATION,
    apiBaseUrls: [],
    allowPrivateNetwork: false,
  })
})

test('a provider with an issuer alone is discovered', () => {
  const provider = readProviderInput({ id: 'external', issuer: ISSUER })
  assert.equal(provider.issuer, ISSUER)
  assert.equal(provider.tokenEndpoint, null)
})

test('keycloak`s endpoints follow from the issuer, with or without its trailing slash', () => {
  for (const issuer of [ISSUER, `${ISSUER}/`]) {
    const provider = readProviderInput({ id: 'external', preset: 'keycloak', issuer })
    assert.equal(provider.issuer, issuer)
    assert.equal(provider.tokenEndpoint, `${ISSUER}/protocol/openid-connect/token`)
    assert.equal(provider.revocationEndpoint, `${ISSUER}/protocol/openid-connect/revoke`)
    assert.equal(provider.introspectionEndpoint, `${ISSUER}/protocol/openid-connect/token/introspect`)
    assert.equal(provider.accessTokenLifetimeMs, 300_000)
  }
})

test('what is written wins over the preset, and null takes an endpoint away', () => {
  const provider = readProviderInput({
    id: 'external',
    preset: 'keycloak',
    issuer: ISSUER,
    tokenEndpoint: 'https://id.example.org/own',
    revocationEndpoint: null,
    reuse: { kind: 'counted', n: 2 },
    narrowing: 'token_only',
    refreshKillsAccessToken: true,
    accessTokenLifetimeMs: null,
    refreshTokenIdleMs: 1_800_000,
    words: { rejected: ['token_dead'] },
    apiBaseUrls: ['https://api.example.org/v1'],
  })
  assert.equal(provider.tokenEndpoint, 'https://id.example.org/own')
  assert.equal(provider.revocationEndpoint, null)
  assert.deepEqual(provider.reuse, { kind: 'counted', n: 2 })
  assert.equal(provider.narrowing, 'token_only')
  assert.equal(provider.refreshKillsAccessToken, true)
  assert.equal(provider.accessTokenLifetimeMs, null)
  assert.equal(provider.refreshTokenIdleMs, 1_800_000)
  assert.deepEqual(provider.words, { ...NO_WORDS, rejected: ['token_dead'] })
  assert.deepEqual(provider.apiBaseUrls, ['https://api.example.org/v1'])
})

test('another issuer for a preset that has one moves its endpoints along', () => {
  const provider = readProviderInput({ id: 'stage', preset: 'jobrad', issuer: 'https://id.example.org/realms/stage' })
  assert.equal(provider.tokenEndpoint, 'https://id.example.org/realms/stage/protocol/openid-connect/token')
})

const REUSES: readonly NonNullable<ProviderInput['reuse']>[] = [
  { kind: 'reusable' },
  { kind: 'strict' },
  { kind: 'unknown' },
  { kind: 'counted', n: 1 },
  { kind: 'grace', seconds: 30, winner: 'same' },
  { kind: 'grace', until: 'successor_used', winner: 'newest' },
]
test('every reuse policy is read as it is', () => {
  for (const reuse of REUSES) assert.deepEqual(readProviderInput({ ...PLAIN, reuse }).reuse, reuse)
})

function refused(read: () => unknown, code: FailureCode): string {
  try {
    read()
  } catch (error) {
    assert.ok(error instanceof TokenError)
    assert.equal(error.code, code, error.message)
    return error.message
  }
  return assert.fail('it was accepted')
}

const provider = (changes: Record<string, unknown>): (() => unknown) => {
  return () => readProviderInput({ ...PLAIN, ...changes })
}

const WRONG_PROVIDERS: readonly (readonly [Record<string, unknown>, RegExp, FailureCode?])[] = [
  [{ id: '' }, /a provider id has 1 to 64/],
  [{ id: 'a/b' }, /a provider id has 1 to 64/],
  [{ id: 'a\u0000b' }, /a provider id has 1 to 64/],
  [{ id: 'a'.repeat(65) }, /a provider id has 1 to 64/],
  [{ id: 42 }, /a provider id has 1 to 64/],
  [
    { tokenEndpont: 'https://id.example.org' },
    /"tokenEndpont" is not a member; known are id, preset, variables, issuer/,
  ],
  [{ 'x\u001b[2J': 1 }, /one that is not a plain word/],
  [{ preset: 'keyclock' }, /preset is not known; known are atlassian, auth0, authentik/],
  [{ preset: 'constructor' }, /not known/],
  [{ preset: 7 }, /preset is not known/],
  [{ preset: 'keycloak', tokenEndpoint: undefined }, /this preset needs an issuer/],
  [{ tokenEndpoint: undefined }, /give tokenEndpoint, or issuer to discover it, or a preset/],
  [{ tokenEndpoint: 5 }, /tokenEndpoint must be a URL/],
  [{ issuer: 'https://id.example.org?x=1' }, /issuer must not have a query/],
  [
    { tokenEndpoint: 'http://id.example.org/token' },
    /provider "external": tokenEndpoint must begin with https/,
    'provider_refused',
  ],
  [{ tokenEndpoint: 'https://10.0.0.1/token' }, /tokenEndpoint .*allowPrivateNetwork: true/, 'provider_refused'],
  [{ issuer: 'https://192.168.0.1/' }, /issuer .*allowPrivateNetwork: true/, 'provider_refused'],
  [{ revocationEndpoint: 'https://a@id.example.org/' }, /revocationEndpoint .*user name/, 'provider_refused'],
  [{ introspectionEndpoint: 'https://id.example.org/#a' }, /introspectionEndpoint .*fragment/, 'provider_refused'],
  [{ tokenEndpoint: `https://id.example.org/${'a'.repeat(3000)}` }, /at most 2000/, 'provider_refused'],
  [{ apiBaseUrls: ['http://api.example.org'] }, /each of apiBaseUrls must begin with https/, 'provider_refused'],
  [{ apiBaseUrls: ['https://api.example.org/?a=b'] }, /without a query/, 'provider_refused'],
  [{ apiBaseUrls: 'https://api.example.org' }, /apiBaseUrls must be a list/],
  [{ apiBaseUrls: new Array(51).fill('https://api.example.org') }, /at most 50/],
  [{ reuse: 'strict' }, /reuse must be an object/],
  [{ reuse: { kind: 'loose' } }, /reuse\.kind must be one of reusable, grace, counted, strict, unknown/],
  [{ reuse: { kind: 'strict', n: 1 } }, /reuse\.strict has no member "n"/],
  [{ reuse: { kind: 'counted', n: 0 } }, /reuse\.n must be a whole number/],
  [{ reuse: { kind: 'counted', n: 1.5 } }, /reuse\.n must be a whole number/],
  [{ reuse: { kind: 'grace', seconds: 0, winner: 'any' } }, /either seconds/],
  [{ reuse: { kind: 'grace', seconds: Infinity, winner: 'any' } }, /either seconds/],
  [{ reuse: { kind: 'grace', seconds: 3, until: 'successor_used', winner: 'any' } }, /either seconds/],
  [{ reuse: { kind: 'grace', seconds: 3 } }, /reuse\.winner must be one of same, any, newest/],
  [{ narrowing: 'yes' }, /narrowing must be one of token_only, sticks, unknown/],
  [{ refreshKillsAccessToken: 'yes' }, /refreshKillsAccessToken must be true or false/],
  [{ allowPrivateNetwork: 1 }, /allowPrivateNetwork must be true or false/],
  [{ accessTokenLifetimeMs: 300 }, /accessTokenLifetimeMs must be milliseconds/],
  [{ accessTokenLifetimeMs: NaN }, /accessTokenLifetimeMs must be milliseconds/],
  [{ refreshTokenIdleMs: 1e15 }, /refreshTokenIdleMs must be milliseconds/],
  [{ requestsPerMinute: 0 }, /requestsPerMinute must be a whole number from 1 to 100000, or null: not limited/],
  [{ requestsPerMinute: 1.5 }, /requestsPerMinute must be a whole number/],
  [{ concurrency: 1001 }, /concurrency must be a whole number from 1 to 1000/],
  [{ concurrency: '4' }, /concurrency must be a whole number/],
  [{ words: ['a'] }, /words must be an object/],
  [{ words: { dead: ['a'] } }, /words has no member "dead"; known are reused, rejected/],
  [{ words: { rejected: 'a' } }, /words\.rejected must be a list/],
  [{ words: { rejected: ['a\nb'] } }, /each of words\.rejected must not contain control characters/],
  [{ words: { rejected: [''] } }, /each of words\.rejected must be a string that is not empty/],
  [{ words: { rejected: [7] } }, /each of words\.rejected must be a word, or an object such as/],
  [{ words: { rejected: [{ status: 99 }] } }, /status must be a whole number from 200 to 599/],
  [{ words: { rejected: [{ status: 400, words: 'a' }] } }, /has no member "words"; known are status, word/],
  [{ words: { rejected: [{ status: 503, word: 'a' }] } }, /status 503 says that it passes/],
  [{ words: { misconfigured: [{ status: 429 }] } }, /status 429 says that it passes/],
  [{ words: { rejected: [{ status: 200 }] } }, /status 200 needs a word beside it/],
  [{ request: 'json' }, /request must be an object/],
  [{ request: { encoding: 'xml' } }, /request\.encoding must be one of form, json/],
  [{ request: { parameters: { refresh_token: 'canary' } } }, /request\.parameters must not have "refresh_token"/],
  [{ request: { headers: { Authorization: 'canary' } } }, /request\.headers must not have "Authorization"/],
  [{ request: { headers: { 'X-A': 'a\r\nb' } } }, /request\.headers\.X-A must not contain control characters/],
  [{ request: { headers: { 'X A': 'a' } } }, /request\.headers has a name that is not a plain word/],
  [{ request: { scopeSeparator: ';' } }, /request\.scopeSeparator must be one of/],
  [{ authorization: { parameters: { state: 'canary' } } }, /authorization\.parameters must not have "state"/],
  [{ authorization: { parameters: { redirect_uri: 'canary' } } }, /must not have "redirect_uri"/],
  [{ authorization: { pkce: 'plain' } }, /authorization\.pkce must be one of S256, none/],
  [{ authorization: { scope: '' } }, /authorization\.scope/],
  [{ authorization: { scopes: [] } }, /authorization/],
  [{ answer: { token: ['a'] } }, /answer has no member "token"; known are tokensIn, accessToken/],
  [{ answer: { tokensIn: 'a' } }, /answer\.tokensIn must be a list/],
  [{ answer: { subject: ['data.access_token'] } }, /answer\.subject must not name a token/],
  [{ answer: { tokenType: 'DPoP' } }, /answer\.tokenType must be one of Bearer/],
  [{ tokenEndpointAuthMethod: 'basic' }, /tokenEndpointAuthMethod must be one of client_secret_basic/],
  [{ refreshEndpoint: 'http://id.example.org/refresh' }, /refreshEndpoint .*https/, 'provider_refused'],
  [{ variables: { tenant: 'a' } }, /variables has no member "tenant"; there are none here/],
]
for (const [changes, message, code = 'invalid_input'] of WRONG_PROVIDERS) {
  test(`a provider with ${inspect(changes, { breakLength: Infinity, maxStringLength: 40, maxArrayLength: 1 })} is refused`, () => {
    assert.match(refused(provider(changes), code), message)
  })
}

test('a list, a request or an answer that is given leaves the rest of them as the preset says', () => {
  const presets = {
    odd: {
      ...PRESETS['keycloak']!,
      words: { ...PRESETS['keycloak']!.words, value: { ...NO_WORDS, rejected: ['dead'], reused: ['spent'] } },
      request: { ...PRESETS['keycloak']!.request, value: { ...STANDARD_REQUEST, encoding: 'json' as const } },
      answer: { ...PRESETS['keycloak']!.answer, value: { ...STANDARD_ANSWER, tokensIn: ['data'] } },
    },
  }
  const read = readWith(
    {
      id: 'p',
      preset: 'odd',
      issuer: ISSUER,
      words: { rejected: ['gone', { status: 403, word: 'over' }] },
      request: { parameters: { redirect_uri: 'https://app.example.org/' } },
      answer: { scopeSeparator: ',' },
    },
    presets,
  )
  assert.deepEqual(read.words, { ...NO_WORDS, rejected: ['gone', { status: 403, word: 'over' }], reused: ['spent'] })
  assert.deepEqual(read.request.encoding, 'json')
  assert.deepEqual(read.request.parameters, { redirect_uri: 'https://app.example.org/' })
  assert.deepEqual(read.answer, { ...STANDARD_ANSWER, tokensIn: ['data'], scopeSeparator: ',' })
})

test('what stands in braces in the URLs of a preset is given by the user, and cannot lead to another host', () => {
  const keycloak = PRESETS['keycloak']!
  const presets = {
    tenants: {
      ...keycloak,
      variables: { tenant: 'the tenant' },
      tokenEndpoint: { ...keycloak.tokenEndpoint, value: 'https://id.example.org/{tenant}/token' },
      revocationEndpoint: { ...keycloak.tokenEndpoint, value: null },
      introspectionEndpoint: { ...keycloak.tokenEndpoint, value: null },
    },
  }
  const read = (variables?: Record<string, string>) => readWith({ id: 'p', preset: 'tenants', variables }, presets)
  assert.equal(read({ tenant: 'acme' }).tokenEndpoint, 'https://id.example.org/acme/token')
  assert.match(
    refused(() => read(), 'invalid_input'),
    /this preset needs variables\.tenant \(the tenant\)/,
  )
  assert.match(
    refused(() => read({ shop: 'a' }), 'invalid_input'),
    /has no member "shop"; known are tenant/,
  )
  for (const tenant of ['a/../b', '@evil.example', '', '.', 'a b', '{issuer}', 'a%2f', 'x'.repeat(300)]) {
    assert.match(
      refused(() => read({ tenant }), 'invalid_input'),
      /variables\.tenant must be of letters/,
      tenant,
    )
  }
})

test('a client with a secret uses the method of its provider unless it says otherwise', () => {
  const secret: ClientInput = { id: 'app', provider: 'external', clientId: 'c', clientSecret: 's' }
  assert.equal(readClientInput(secret, 'client_secret_post').tokenEndpointAuthMethod, 'client_secret_post')
  const said: ClientInput = { ...secret, tokenEndpointAuthMethod: 'client_secret_basic' }
  assert.equal(readClientInput(said, 'client_secret_post').tokenEndpointAuthMethod, 'client_secret_basic')
  const publicClient: ClientInput = { id: 'app', provider: 'external', clientId: 'c' }
  assert.equal(readClientInput(publicClient, 'client_secret_post').tokenEndpointAuthMethod, 'none')
})

test('private networks are allowed where the provider says so, for every URL', () => {
  const read = readProviderInput({
    id: 'inside',
    issuer: 'https://10.0.0.1/',
    tokenEndpoint: 'https://10.0.0.1/token',
    apiBaseUrls: ['https://10.0.0.2/'],
    allowPrivateNetwork: true,
  })
  assert.equal(read.allowPrivateNetwork, true)
})

test('what is no object is refused', () => {
  for (const nothing of [null, undefined, 'external', [PLAIN], 7]) {
    assert.match(
      refused(() => readProviderInput(nothing as never), 'invalid_input'),
      /as an object/,
    )
    assert.match(
      refused(() => readClientInput(nothing as never), 'invalid_input'),
      /as an object/,
    )
  }
})

// ---- clients -------------------------------------------------------------------------------------------------------

const CLIENT: ClientInput = { id: 'app', provider: 'external', clientId: 'my-client', clientSecret: 'canary-secret' }

test('a client with a secret uses basic authentication unless it says otherwise', () => {
  const client = readClientInput(CLIENT)
  assert.equal(client.tokenEndpointAuthMethod, 'client_secret_basic')
  assert.equal(client.clientSecret?.reveal(), 'canary-secret')
  assert.equal(
    readClientInput({ ...CLIENT, tokenEndpointAuthMethod: 'client_secret_post' }).tokenEndpointAuthMethod,
    'client_secret_post',
  )
})

test('a client without a secret is a public one', () => {
  const client = readClientInput({ id: 'app', provider: 'external', clientId: 'my-client' })
  assert.equal(client.tokenEndpointAuthMethod, 'none')
  assert.equal(client.clientSecret, null)
})

test('a client as it was read does not print its secret', () => {
  assert.doesNotMatch(inspect(readClientInput(CLIENT), { showHidden: true }), /canary/)
})

const WRONG_CLIENTS: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [{ id: 'a b' }, /a client id has 1 to 64/],
  [{ provider: 'a b' }, /a provider id has 1 to 64/],
  [{ provider: undefined }, /a provider id has 1 to 64/],
  [{ clientId: '' }, /clientId must be a string that is not empty/],
  [{ clientId: undefined }, /clientId must be a string/],
  [{ clientId: 'a'.repeat(1001) }, /clientId must have at most 1000 characters, this one has 1001/],
  [{ clientId: 'a\r\nb' }, /clientId must not contain control characters/],
  [{ clientSecret: '' }, /clientSecret must be a string that is not empty/],
  [{ clientSecret: 5 }, /clientSecret must be a string/],
  [{ clientSecret: 'canary-secret\n' }, /clientSecret must not contain control characters/],
  [{ clientSecret: 'canary\uD800' }, /clientSecret must not contain .*broken Unicode/],
  [{ clientSecret: 'canary'.repeat(1000) }, /clientSecret must have at most 4000 characters/],
  [{ secret: 'canary-secret' }, /"secret" is not a member; known are id, provider, clientId, clientSecret/],
  [
    { tokenEndpointAuthMethod: 'attest_jwt' },
    /must be one of client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt/,
  ],
  [{ tokenEndpointAuthMethod: 'private_key_jwt' }, /"private_key_jwt" sends no secret, and a clientSecret is given/],
  [{ tokenEndpointAuthMethod: 'tls_client_auth' }, /"tls_client_auth" sends no secret/],
  [
    { tokenEndpointAuthMethod: 'client_secret_jwt', tokenEndpointAuthSigningAlg: 'ES256' },
    /one of HS256, HS384, HS512/,
  ],
  [{ tokenEndpointAuthSigningAlg: 'HS256' }, /"client_secret_basic" signs nothing/],
  [{ clientKey: 'canary' }, /"client_secret_basic" sends no key, and a clientKey is given/],
  [{ clientAssertionFile: '/canary' }, /"client_secret_basic" sends no assertion/],
  [{ clientSecret: undefined, clientAssertionFile: 'canary' }, /must be an absolute path/],
  [{ clientSecret: undefined, clientAssertionFile: '/canary', clientKey: 'canary' }, /leave one of them out/],
  [{ clientSecret: undefined, clientAssertionFile: '/canary', tokenEndpointAuthSigningAlg: 'ES256' }, /has signed/],
  [
    { clientSecret: undefined, clientCertificate: 'canary' },
    /"tls_client_auth" needs a clientCertificate and its clientKey/,
  ],
  [{ clientSecret: undefined, clientKey: 'canary'.repeat(10_000) }, /clientKey must have at most 40000 characters/],
  [{ clientSecret: undefined, clientKey: 5 }, /clientKey must be a string/],
  [{ clientSecret: undefined, clientKey: 'canary', kid: 'a b' }, /kid must be printable ASCII without spaces/],
  [{ kid: 'canary' }, /kid names a clientKey of private_key_jwt/],
  [{ clientSecret: undefined, clientKey: 'k', tokenEndpointAuthSigningAlg: 'none' }, /must be one of ES256/],
  [{ tokenEndpointAuthMethod: 'none' }, /"none" sends no secret/],
  [
    { clientSecret: undefined, tokenEndpointAuthMethod: 'client_secret_post' },
    /"client_secret_post" needs a clientSecret/,
  ],
]
for (const [changes, message] of WRONG_CLIENTS) {
  test(`a client with ${inspect(changes, { breakLength: Infinity, maxStringLength: 40 })} is refused, its secret not repeated`, () => {
    const said = refused(() => readClientInput({ ...CLIENT, ...changes }), 'invalid_input')
    assert.match(said, message)
    assert.doesNotMatch(said, /canary/)
  })
}

test('a secret in the wrong place is not repeated', () => {
  for (const name of ['id', 'preset', 'tokenEndpoint', 'narrowing', 'reuse', 'allowPrivateNetwork', 'words']) {
    const said = refused(
      provider({ [name]: 'canary secret/token' }),
      name === 'tokenEndpoint' ? 'provider_refused' : 'invalid_input',
    )
    assert.doesNotMatch(said, /canary/)
  }
})
