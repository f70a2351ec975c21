/** Keys that tokens are bound to (RFC 9449): made new, or read from what users hand over. */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { Secret, type BoundKey, type DpopKeys } from '@tokenkeep/core'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose'
import { jwkIn } from './jwk-text.ts'

/** What new keys sign with: every server that takes proofs knows it. */
const ALG = 'ES256'
const TEXT_LENGTH_MAX = 4000

export const dpopKeys: DpopKeys = {
  async make() {
    const { privateKey } = await generateKeyPair(ALG, { extractable: true })
    return boundKeyOf(await exportJWK(privateKey), ALG)
  },

  async read(privateJwk) {
    if (typeof privateJwk !== 'string' || privateJwk.length > TEXT_LENGTH_MAX) return WRONG
    const jwk = jwkIn(privateJwk)
    if (jwk === null) return WRONG
    if (!('d' in jwk)) return { wrong: 'is a public key: give the private one' }
    const key = keyOf(jwk)
    if (key === null) return WRONG
    const alg = algOf(key)
    if (alg === null)
      return { wrong: 'is of a kind that proofs are not signed with here: P-256, P-384 and Ed25519 are known' }
    return boundKeyOf(key.export({ format: 'jwk' }), alg)
  },
}

const WRONG = {
  wrong: 'is no private key: give a JWK (RFC 7517) as text, such as {"kty":"EC","crv":"P-256",...,"d":"..."}',
}

function keyOf(jwk: Readonly<Record<string, unknown>>): KeyObject | null {
  try {
    return createPrivateKey({ key: jwk, format: 'jwk' })
  } catch {
    // The error may quote the key.
    return null
  }
}

function algOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string | null {
  if (type === 'ed25519') return 'EdDSA'
  if (type !== 'ec') return null
  if (details?.namedCurve === 'prime256v1') return 'ES256'
  return details?.namedCurve === 'secp384r1' ? 'ES384' : null
}

async function boundKeyOf(jwk: JWK, alg: string): Promise<BoundKey> {
  return {
    key: new Secret('dpop_key', JSON.stringify({ ...jwk, alg })),
    jkt: await calculateJwkThumbprint(jwk, 'sha256'),
  }
}
