/** Keys and certificates as users hand them over. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { TokenError, type KeyAlg, type UnixMs } from '@tokenkeep/core'
import { readCertificate, readSigningKey } from '../src/client-key-material.ts'

const NOW = Date.now() as UnixMs
const refuse = (sentence: string): never => {
  throw new TokenError('invalid_input', sentence)
}
const pem = (key: KeyObject, type: 'pkcs1' | 'pkcs8' | 'sec1' = 'pkcs8'): string =>
  key.export({ format: 'pem', type }).toString()
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })

const READ: readonly (readonly [string, string, KeyAlg | null, KeyAlg])[] = [
  ['PKCS #8', pem(ec.privateKey), null, 'ES256'],
  ['SEC 1', pem(ec.privateKey, 'sec1'), null, 'ES256'],
  ['PKCS #1', pem(rsa.privateKey, 'pkcs1'), null, 'RS256'],
  ['RSA for PS256', pem(rsa.privateKey), 'PS256', 'PS256'],
  ['P-384', pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey), null, 'ES384'],
  ['Ed25519', pem(generateKeyPairSync('ed25519').privateKey), null, 'EdDSA'],
  ['a JWK with its alg', JSON.stringify({ ...rsa.privateKey.export({ format: 'jwk' }), alg: 'PS384' }), null, 'PS384'],
]
for (const [what, text, wanted, alg] of READ) {
  test(`a key is read from ${what}`, async () => {
    const { key, privateJwk } = await readSigningKey(text, { alg: wanted, kid: null }, NOW, refuse)
    assert.equal(key.alg, alg)
    assert.match(key.kid, /^[\w-]{43}$/)
    assert.equal('d' in key.publicJwk, false)
    assert.equal('d' in (JSON.parse(privateJwk.reveal()) as object), true)
  })
}

const WRONG: readonly (readonly [string, string, KeyAlg | null, RegExp])[] = [
  ['nothing of the kind', 'canary', null, /is no private key: give a JWK or PEM/],
  ['a public key', ec.publicKey.export({ format: 'pem', type: 'spki' }).toString(), null, /holds no private key/],
  ['a public JWK', JSON.stringify(ec.publicKey.export({ format: 'jwk' })), null, /is a public key/],
  ['a set', JSON.stringify({ keys: [ec.privateKey.export({ format: 'jwk' })] }), null, /whole set of keys/],
  ['a symmetric key', JSON.stringify({ kty: 'oct', k: 'canary' }), null, /is a symmetric key/],
  ['a broken JWK', JSON.stringify({ kty: 'EC', crv: 'P-256', d: 'canary' }), null, /looks like a JWK/],
  ['another algorithm', pem(ec.privateKey), 'RS256', /"RS256" does not fit this clientKey: it signs ES256/],
  ['a short key', pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey), null, /of 1024 bits/],
  ['a key for agreement', pem(generateKeyPairSync('x25519').privateKey), null, /of a kind that nobody signs/],
  [
    'an encrypted key',
    ec.privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'canary' }).toString(),
    null,
    /encrypted with a passphrase/,
  ],
]
for (const [what, text, alg, said] of WRONG) {
  test(`${what} is refused, and not repeated`, async () => {
    await assert.rejects(
      () => readSigningKey(text, { alg, kid: null }, NOW, refuse),
      (error: Error) => said.test(error.message) && !/canary/.test(error.message) && error.cause === undefined,
    )
  })
}

const file = (name: string): string => readFileSync(new URL(`./fixtures/client-${name}.pem`, import.meta.url), 'utf8')
const [CERTIFICATE, KEY] = [file('certificate'), file('key')]

test('a certificate is read with its chain, its end and its key', () => {
  const { certificate, key } = readCertificate(`${CERTIFICATE}\n${file('authority')}`, KEY, NOW, refuse)
  assert.equal(certificate.chain.match(/BEGIN CERTIFICATE/g)?.length, 2)
  assert.match(certificate.thumbprint, /^[\w-]{43}$/)
  assert.ok(certificate.expiresAt > NOW)
  assert.match(key.reveal(), /BEGIN PRIVATE KEY/)
})

const CERTIFICATES: readonly (readonly [string, string, string, number, RegExp])[] = [
  ['another key', CERTIFICATE, file('self-signed-key'), NOW, /does not belong to clientCertificate/],
  ['the authority first', `${file('authority')}${CERTIFICATE}`, KEY, NOW, /must come first/],
  ['no certificate', 'canary', KEY, NOW, /must be PEM: 1 to 10 certificates/],
  ['a broken one', CERTIFICATE.replace('MII', 'AAA'), KEY, NOW, /something that is no certificate/],
  ['the key with it', `${CERTIFICATE}${KEY}`, KEY, NOW, /holds a private key/],
  ['one that has expired', CERTIFICATE, KEY, NOW + 200 * 365 * 24 * 3600 * 1000, /expired at 21\d\d-/],
]
for (const [what, chain, key, now, said] of CERTIFICATES) {
  test(`a certificate with ${what} is refused`, () => {
    assert.throws(
      () => readCertificate(chain, key, now as UnixMs, refuse),
      (error: Error) => said.test(error.message) && !/canary/.test(error.message),
    )
  })
}
