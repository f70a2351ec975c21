import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { members, oneOf, optional, type JsonObject } from './json-shape.ts'
import type { RealmKeys } from './realm-keys.ts'

/** A JWT as right or as wrong as a test wants it. */
export interface JwtOrder {
  /** The payload, as it is: nothing is added. */
  readonly claims: JsonObject
  /**
   * Laid over `{ alg: 'ES256', typ: 'JWT', kid }`; null leaves a member out. `alg: 'none'` has no signature; `HS256`
   * takes the public key, as PEM, for the secret; anything else is signed with ES256, whatever it says.
   */
  readonly header?: JsonObject
  /** `other`: a key that nobody knows, under the realm's `kid`. Default `realm`. */
  readonly key?: 'realm' | 'other'
}

export function readJwtOrder(value: unknown, path: string): JwtOrder {
  const from = members(value, path, ['claims', 'header', 'key'])
  return {
    claims: jsonObject(from, 'claims'),
    ...optional(from, 'header', jsonObject),
    ...optional(from, 'key', (it, key) => oneOf(it, key, ['realm', 'other'])),
  }
}

export function jsonObject(from: { readonly object: JsonObject; readonly path: string }, key: string): JsonObject {
  return members(from.object[key], `${from.path}.${key}`).object
}

/** Makes a JWT with a realm's key, or one that only looks so. */
export function makeJwt(keys: RealmKeys, { claims, header = {}, key = 'realm' }: JwtOrder): string {
  const whole = without({ alg: 'ES256', typ: 'JWT', kid: keys.signing.kid, ...header })
  const body = `${encode(whole)}.${encode(claims)}`
  return `${body}.${signature(keys, key, whole['alg'], body)}`
}

function signature(keys: RealmKeys, key: 'realm' | 'other', alg: unknown, body: string): string {
  const realmKey = createPrivateKey({ key: keys.signing, format: 'jwk' })
  if (alg === 'none') return ''
  if (alg === 'HS256') {
    const secret = createPublicKey(realmKey).export({ type: 'spki', format: 'pem' })
    return createHmac('sha256', secret).update(body).digest('base64url')
  }
  const privateKey = key === 'realm' ? realmKey : generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  return sign('sha256', Buffer.from(body), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')
}

/** An object without the members that are null. */
export function without(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null))
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
