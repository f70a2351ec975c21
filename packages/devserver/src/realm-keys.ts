import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  verify,
  type JsonWebKey,
} from 'node:crypto'
import { storedName } from './fingerprint.ts'

/** What a realm signs with; kept in the state file, because tokens and cookies must outlive a restart. */
export interface RealmKeys {
  /** A private P-256 key as JWK, with `kid`. RSA would cost seconds at the first start. */
  readonly signing: JsonWebKey & { readonly kid: string }
  readonly cookies: readonly string[]
}

export function generateRealmKeys(): RealmKeys {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = privateKey.export({ format: 'jwk' })
  const kid = storedName(JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y })) // RFC 7638
  return {
    signing: { ...jwk, kid, alg: 'ES256', use: 'sig' },
    cookies: [randomBytes(32).toString('base64url')],
  }
}

/** Signs and checks the JWT access tokens of one realm (RFC 9068: ES256, `typ: at+jwt`). */
export interface AccessTokenSigner {
  sign(claims: Readonly<Record<string, unknown>>): string
  /** The claims of a token this realm signed, expired or not; null for anything else. */
  read(token: string): Readonly<Record<string, unknown>> | null
}

export function createSigner(keys: RealmKeys): AccessTokenSigner {
  const privateKey = createPrivateKey({ key: keys.signing, format: 'jwk' })
  const publicKey = createPublicKey(privateKey)
  const header = encode({ alg: 'ES256', typ: 'at+jwt', kid: keys.signing.kid })
  return {
    sign(claims) {
      const body = `${header}.${encode(claims)}`
      const signature = sign('sha256', Buffer.from(body), { key: privateKey, dsaEncoding: 'ieee-p1363' })
      return `${body}.${signature.toString('base64url')}`
    },
    read(token) {
      const [head, claims, signature, ...more] = token.split('.')
      if (head !== header || claims === undefined || signature === undefined || more.length > 0) return null
      const key = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const
      const genuine = verify('sha256', Buffer.from(`${head}.${claims}`), key, Buffer.from(signature, 'base64url'))
      return genuine ? (JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>) : null
    },
  }
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
