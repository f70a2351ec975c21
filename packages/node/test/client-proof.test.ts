import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { decodeProtectedHeader, decodeJwt, importJWK, jwtVerify } from 'jose'
import { KEY_ALGS, Secret, STANDARD_REQUEST, type OpenedClient, type Provider, type UnixMs } from '@tokenkeep/core'
import { makeSigningKey } from '../src/client-key-material.ts'
import { proofOf, type ClientProof } from '../src/client-proof.ts'
import { clientOf, providerOf } from './fixtures/provider.ts'

const NOW = 1_700_000_000_500 as UnixMs
const ISSUER = 'https://id.example.org/realms/one'
const TOKEN_ENDPOINT = new URL('https://id.example.org/realms/one/token')

const prove = (client: OpenedClient, provider: Partial<Provider> = {}, tokenEndpoint: URL | null = TOKEN_ENDPOINT) =>
  proofOf({ provider: providerOf({ issuer: ISSUER, ...provider }), client, tokenEndpoint, now: NOW })

async function proven(...of: Parameters<typeof prove>): Promise<ClientProof> {
  const proof = await prove(...of)
  assert.ok(!('unusable' in proof))
  return proof
}

const request = (changes: Partial<Provider['request']>) => ({ request: { ...STANDARD_REQUEST, ...changes } })

// ---- secrets -------------------------------------------------------------------------------------------------------

const ODD: Partial<OpenedClient> = {
  clientId: 'id:with colon',
  clientSecret: new Secret('client_secret', 'a+b%c ü:d'),
  tokenEndpointAuthMethod: 'client_secret_basic',
}
const credentialsIn = ({ headers }: ClientProof): string =>
  Buffer.from((headers['authorization'] ?? '').replace(/^Basic /, ''), 'base64').toString('utf8')

test('id and secret stand in a Basic header as in a form, and as they are where the provider wants that', async () => {
  assert.equal(credentialsIn(await proven(clientOf(ODD))), 'id%3Awith+colon:a%2Bb%25c+%C3%BC%3Ad')
  const raw = await proven(clientOf({ ...ODD, clientId: 'id' }), request({ basicCredentials: 'raw' }))
  assert.equal(credentialsIn(raw), 'id:a+b%c ü:d')
  assert.deepEqual(raw.parameters, {})
})

for (const [alg, hash] of [
  ['HS256', 'sha256'],
  ['HS384', 'sha384'],
  ['HS512', 'sha512'],
] as const) {
  test(`client_secret_jwt signs with the secret by ${alg}`, async () => {
    const secret = 'a secret of some length, and then some more of it'
    const { parameters } = await proven(
      clientOf({
        clientSecret: new Secret('client_secret', secret),
        tokenEndpointAuthMethod: 'client_secret_jwt',
        tokenEndpointAuthSigningAlg: alg,
      }),
    )
    const jwt = parameters['client_assertion'] ?? ''
    const [head, claims, signature] = jwt.split('.')
    assert.equal(createHmac(hash, secret).update(`${head}.${claims}`).digest('base64url'), signature)
    assert.deepEqual(decodeProtectedHeader(jwt), { alg, typ: 'JWT' })
    assert.equal(parameters['client_secret'], undefined)
  })
}

test('without its secret a client proves nothing, whatever the method', async () => {
  for (const tokenEndpointAuthMethod of ['client_secret_basic', 'client_secret_post', 'client_secret_jwt'] as const) {
    assert.deepEqual(await prove(clientOf({ clientSecret: null, tokenEndpointAuthMethod })), { unusable: 'client' })
  }
})

// ---- keys ----------------------------------------------------------------------------------------------------------

async function signer(alg: (typeof KEY_ALGS)[number] = 'ES256') {
  const { key, privateJwk } = await makeSigningKey(alg, NOW)
  const client = clientOf({
    clientSecret: null,
    tokenEndpointAuthMethod: 'private_key_jwt',
    keys: { signing: { kid: key.kid, alg, privateJwk }, tls: null },
  })
  return { client, key }
}

for (const alg of KEY_ALGS) {
  test(`private_key_jwt by ${alg} is verified with the public half, and says who asks whom, once and for a minute`, async () => {
    const { client, key } = await signer(alg)
    const { parameters, headers, tls } = await proven(client)
    assert.deepEqual([headers, tls], [{}, null])
    assert.equal(parameters['client_assertion_type'], 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    assert.equal(parameters['client_id'], 'my-client')
    const { payload, protectedHeader } = await jwtVerify(
      parameters['client_assertion'] ?? '',
      await importJWK({ ...key.publicJwk }, alg),
      { currentDate: new Date(NOW), audience: ISSUER, issuer: 'my-client', subject: 'my-client' },
    )
    assert.deepEqual(protectedHeader, { alg, typ: 'JWT', kid: key.kid })
    const { iat, nbf, exp, jti, aud } = payload
    assert.deepEqual([iat, nbf, exp], [1_700_000_000, 1_700_000_000, 1_700_000_060])
    assert.equal(aud, ISSUER)
    assert.match(jti ?? '', /^[0-9a-f-]{36}$/)
  })
}

test('each request has an assertion of its own', async () => {
  const { client } = await signer()
  const ids = await Promise.all(
    [1, 2, 3].map(async () => decodeJwt((await proven(client)).parameters['client_assertion'] ?? '').jti),
  )
  assert.equal(new Set(ids).size, 3)
})

const AUDIENCES: readonly (readonly [string, Partial<Provider>, URL | null, string | null])[] = [
  ['the issuer where it is known', {}, TOKEN_ENDPOINT, ISSUER],
  ['the token endpoint where no issuer is', { issuer: null }, TOKEN_ENDPOINT, TOKEN_ENDPOINT.href],
  [
    'the token endpoint where the provider wants that',
    request({ assertionAudience: 'token_endpoint' }),
    TOKEN_ENDPOINT,
    TOKEN_ENDPOINT.href,
  ],
  ['what the provider says', request({ assertionAudience: 'urn:there' }), TOKEN_ENDPOINT, 'urn:there'],
  ['nothing where the token endpoint is not known, and then nothing is proven', { issuer: null }, null, null],
]
for (const [what, provider, tokenEndpoint, audience] of AUDIENCES) {
  test(`an assertion is for ${what}`, async () => {
    const { client } = await signer()
    const proof = await prove(client, provider, tokenEndpoint)
    if (audience === null) assert.deepEqual(proof, { unusable: 'client' })
    else if ('unusable' in proof) assert.fail()
    else assert.equal(decodeJwt(proof.parameters['client_assertion'] ?? '').aud, audience)
  })
}

// ---- files ---------------------------------------------------------------------------------------------------------

const JWT = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwb2QifQ.c2ln'

async function inFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-assertion-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const byFile = (path: string) =>
  prove(clientOf({ clientSecret: null, tokenEndpointAuthMethod: 'private_key_jwt', clientAssertionFile: path }))

test('an assertion file is read anew for each request, through the links by which it is replaced', async (t) => {
  const folder = await inFolder(t)
  const path = join(folder, 'token')
  await symlink(join(folder, 'behind'), path)
  for (const [content, sent] of [
    [JWT, JWT],
    [`${JWT}2\n`, `${JWT}2`],
    [`${JWT}3\r\n`, `${JWT}3`],
  ] as const) {
    await writeFile(join(folder, 'behind'), content)
    const proof = await byFile(path)
    assert.ok(!('unusable' in proof))
    assert.equal(proof.parameters['client_assertion'], sent)
  }
})

test('what is no signed JWT is sent to nobody: missing, empty, a secret, two of them, endless, a folder, a pipe', async (t) => {
  const folder = await inFolder(t)
  const path = join(folder, 'token')
  assert.deepEqual(await byFile(path), { unusable: 'client_assertion_file' })
  for (const content of ['', '\n', 'root:x:0:0', `${JWT}\n${JWT}`, `${JWT}\n\n`, `a.${'b'.repeat(16 * 1024)}.c`]) {
    await writeFile(path, content)
    assert.deepEqual(await byFile(path), { unusable: 'client_assertion_file' }, JSON.stringify(content.slice(0, 40)))
  }
  assert.deepEqual(await byFile(folder), { unusable: 'client_assertion_file' })
  execFileSync('mkfifo', [join(folder, 'pipe')])
  assert.deepEqual(await byFile(join(folder, 'pipe')), { unusable: 'client_assertion_file' })
})
