import { createHash, randomUUID } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT, type JWK } from 'jose'

export interface ProofWishes {
  readonly method: string
  readonly url: string
  readonly accessToken?: string
  readonly nonce?: string | null
  /** Laid over the right claims; undefined leaves one out. */
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
}

/** A client's key, and proofs by it, right ones or as wrong as a test wants them. */
export interface DpopKey {
  readonly jkt: string
  prove(wishes: ProofWishes): Promise<string>
}

export async function newDpopKey(): Promise<DpopKey> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk: JWK = await exportJWK(publicKey)
  return {
    jkt: await calculateJwkThumbprint(jwk),
    prove({ method, url, accessToken, nonce, claims = {}, header = {} }) {
      const right = {
        htm: method,
        htu: url,
        jti: randomUUID(),
        iat: Math.floor(Date.now() / 1000),
        ...(accessToken === undefined ? {} : { ath: createHash('sha256').update(accessToken).digest('base64url') }),
        ...(typeof nonce === 'string' ? { nonce } : {}),
      }
      return new SignJWT({ ...right, ...claims })
        .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk, ...header })
        .sign(privateKey)
    },
  }
}
