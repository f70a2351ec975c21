/** Private keys and certificates of clients: made new, or read from what users hand over. Nothing of them is repeated in a message. */
import { createPrivateKey, createPublicKey, X509Certificate, type KeyObject } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose'
import {
  Secret,
  type ClientCertificate,
  type ClientKid,
  type KeyAlg,
  type NewClientKey,
  type UnixMs,
} from '@tokenkeep/core'
import { type Refuse } from './input-members.ts'
import { jwkIn } from './jwk-text.ts'

/** NIST SP 800-131A: less is not to be used for signatures. */
const RSA_BITS_LEAST = 2048
const RSA_BITS = 3072

/** A new key for one algorithm, named by its thumbprint (RFC 7638). */
export async function makeSigningKey(alg: KeyAlg, now: UnixMs): Promise<NewClientKey> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true, modulusLength: RSA_BITS })
  return signingKeyOf(await exportJWK(privateKey), { alg, kid: null }, now)
}

/**
 * Reads a private key that its owner brings.
 *
 * @param text a private JWK (RFC 7517) or PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted
 * @param wanted `kid` as its provider calls it; null: the JWK's own, else its thumbprint
 */
export async function readSigningKey(
  text: string,
  wanted: { readonly alg: KeyAlg | null; readonly kid: string | null },
  now: UnixMs,
  refuse: Refuse,
): Promise<NewClientKey> {
  const jwk = jwkIn(text)
  const key = jwk === null ? privateKeyOf(text, refuse) : keyOfJwk(jwk, refuse)
  const fitting = algsOf(key, refuse)
  const said = wanted.alg ?? (fitting.find((alg) => alg === jwk?.['alg']) || null)
  const alg = said === null ? fitting[0] : fitting.find((one) => one === said)
  if (alg === undefined) {
    return refuse(`tokenEndpointAuthSigningAlg "${said}" does not fit this clientKey: it signs ${fitting.join(', ')}`)
  }
  const own = typeof jwk?.['kid'] === 'string' && KID.test(jwk['kid']) ? jwk['kid'] : null
  return signingKeyOf(key.export({ format: 'jwk' }), { alg, kid: wanted.kid ?? own }, now)
}

/** What a name of a key can be: it stands in headers of JWTs and in tables. */
export const KID = /^[\x21-\x7e]{1,200}$/

async function signingKeyOf(
  jwk: JWK,
  { alg, kid }: { readonly alg: KeyAlg; readonly kid: string | null },
  now: UnixMs,
): Promise<NewClientKey> {
  const { kty, crv, x, y, n, e } = jwk as Readonly<Record<string, string>>
  const publicJwk = defined({ kty, crv, x, y, n, e })
  const named = (kid ?? (await calculateJwkThumbprint(publicJwk, 'sha256'))) as ClientKid
  return {
    key: { kid: named, alg, publicJwk, createdAt: now, signsFrom: now, publishedUntil: null },
    privateJwk: new Secret('client_key', JSON.stringify(jwk)),
  }
}

const defined = (members: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(members).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))

function keyOfJwk(jwk: Readonly<Record<string, unknown>>, refuse: Refuse): KeyObject {
  if ('keys' in jwk) refuse('clientKey is a whole set of keys (JWKS): give one private key of it')
  if (jwk['kty'] === 'oct') refuse('clientKey is a symmetric key: that is a clientSecret, for client_secret_jwt')
  if (!('d' in jwk)) refuse('clientKey is a public key: give the private one')
  try {
    return createPrivateKey({ key: jwk, format: 'jwk' })
  } catch {
    return refuse('clientKey looks like a JWK and is none that can be read')
  }
}

/** PEM. What went wrong is not handed on: the library's error may quote the text. */
function privateKeyOf(text: string, refuse: Refuse): KeyObject {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    refuse('clientKey is encrypted with a passphrase: decrypt it first (openssl pkey), it is sealed here anyway')
  }
  try {
    return createPrivateKey(text)
  } catch {
    return refuse(
      text.includes('-----BEGIN PUBLIC KEY-----') || text.includes('-----BEGIN CERTIFICATE-----')
        ? 'clientKey holds no private key: give the private one'
        : 'clientKey is no private key: give a JWK or PEM (PKCS #8, PKCS #1 or SEC 1)',
    )
  }
}

/** What a key can sign with, the usual first. */
function algsOf(key: KeyObject, refuse: Refuse): readonly KeyAlg[] {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (type === 'ed25519') return ['EdDSA']
  if (type === 'rsa') {
    if ((details?.modulusLength ?? 0) < RSA_BITS_LEAST) {
      refuse(`clientKey is an RSA key of ${details?.modulusLength} bits: it needs ${RSA_BITS_LEAST} at least`)
    }
    return ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
  }
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return ['ES256']
  if (type === 'ec' && details?.namedCurve === 'secp384r1') return ['ES384']
  if (type === 'ec' && details?.namedCurve === 'secp521r1') return ['ES512']
  return refuse(
    'clientKey is of a kind that nobody signs assertions with: RSA, P-256, P-384, P-521 and Ed25519 are known',
  )
}

// ---- certificates --------------------------------------------------------------------------------------------------

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g
const CHAIN_MOST = 10

/**
 * Reads a certificate with its private key (RFC 8705).
 *
 * @param chain PEM: the client's own certificate first
 * @param keyText PEM
 */
export function readCertificate(
  chain: string,
  keyText: string,
  now: UnixMs,
  refuse: Refuse,
): { readonly certificate: ClientCertificate; readonly key: Secret<'client_key'> } {
  const parts = chain.match(PEM_CERTIFICATE) ?? []
  if (chain.includes('PRIVATE KEY-----'))
    refuse('clientCertificate holds a private key: that is clientKey, which is sealed')
  if (parts.length === 0 || parts.length > CHAIN_MOST) {
    refuse(`clientCertificate must be PEM: 1 to ${CHAIN_MOST} certificates, the client's own first`)
  }
  const [own] = parts.map((part) => certificateOf(part, refuse))
  const key = privateKeyOf(keyText, refuse)
  if (own === undefined || !own.checkPrivateKey(key)) {
    return refuse('clientKey does not belong to clientCertificate: its own certificate must come first')
  }
  const expiresAt = own.validToDate.getTime() as UnixMs
  if (expiresAt <= now)
    refuse(`clientCertificate expired at ${own.validToDate.toISOString()}: give the one that follows it`)
  const thumbprint = Buffer.from(own.fingerprint256.replaceAll(':', ''), 'hex').toString('base64url') as ClientKid
  return {
    certificate: { chain: `${parts.join('\n')}\n`, thumbprint, expiresAt },
    key: new Secret('client_key', String(key.export({ format: 'pem', type: 'pkcs8' }))),
  }
}

function certificateOf(pem: string, refuse: Refuse): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch {
    return refuse('clientCertificate holds something that is no certificate')
  }
}

/** The public key of a certificate with the certificate itself, as a server that trusts no authority wants it (RFC 8705 section 2.2.2). */
export function jwkOfCertificate({ chain, thumbprint }: ClientCertificate): Readonly<Record<string, unknown>> {
  const own = new X509Certificate(chain)
  const jwk = createPublicKey(own.publicKey.export({ format: 'pem', type: 'spki' })).export({ format: 'jwk' })
  return { ...jwk, kid: thumbprint, use: 'sig', x5c: [own.raw.toString('base64')], 'x5t#S256': thumbprint }
}
