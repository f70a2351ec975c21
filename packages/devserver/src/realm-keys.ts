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

export type Claims = Readonly<Record<string, unknown>>

/** Signs the JWTs of one realm, all of them with ES256. */
export interface JwtSigner {
  /** Any JWT; its header says at least which kind it is. */
  jwt(header: { readonly typ: string }, claims: Claims): string
  /** An access token (RFC 9068: `typ: at+jwt`). */
  sign(claims: Claims): string
  /** The claims of an access token this realm signed, expired or not; null for anything else. */
  read(token: string): Claims | null
}

export function createSigner(keys: RealmKeys): JwtSigner {
  const privateKey = createPrivateKey({ key: keys.signing, format: 'jwk' })
  const publicKey = createPublicKey(privateKey)
  const headerOf = (typ: string) => encode({ alg: 'ES256', typ, kid: keys.signing.kid })
  const header = headerOf('at+jwt')
  const signed = (head: string, claims: Claims) => {
    const body = `${head}.${encode(claims)}`
    const signature = sign('sha256', Buffer.from(body), { key: privateKey, dsaEncoding: 'ieee-p1363' })
    return `${body}.${signature.toString('base64url')}`
  }
  return {
    jwt: ({ typ }, claims) => signed(headerOf(typ), claims),
    sign: (claims) => signed(header, claims),
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
