import { hash } from 'node:crypto'
import { calculateJwkThumbprint, EmbeddedJWK, errors, jwtVerify, type JWTPayload } from 'jose'

export const PROOF_ALGORITHMS = ['ES256', 'Ed25519', 'EdDSA'] // Those that the engine takes.
const AGE_SECONDS = 300 // How far a proof's clock may be off, in both directions; the engine's own measure.

/** What a DPoP proof has shown. */
export interface Proof {
  /** Thumbprint of the key that signed it (RFC 7638). */
  readonly jkt: string
  readonly jti: string
  readonly nonce: string | null
}

/** What a proof must be about. */
export interface Proven {
  readonly method: string
  /** The resource's URL; query and fragment do not count. */
  readonly url: string
  readonly accessToken: string
}

/** A DPoP proof is not what it must be; the message says in which respect. */
export class InvalidProof extends Error {
  override readonly name = 'InvalidProof'
}

/**
 * Reads the proof that came with an access token, and checks everything that it says by itself.
 *
 * Whether its nonce is ours, its key the token's and its `jti` new is left to the caller.
 *
 * @throws {InvalidProof}
 * @see RFC 9449 section 4.3
 */
export async function readProof(proof: string, proven: Proven, nowMs: number): Promise<Proof> {
  const { payload, jkt } = await verified(proof)
  if (payload['htm'] !== proven.method) throw new InvalidProof('htm is not the method of this request')
  if (bare(payload['htu']) !== bare(proven.url)) throw new InvalidProof('htu is not the URL of this request')
  if (payload['ath'] !== hash('sha256', proven.accessToken, 'base64url')) {
    throw new InvalidProof('ath is not the hash of this access token')
  }
  if (typeof payload.iat !== 'number' || Math.abs(nowMs / 1000 - payload.iat) > AGE_SECONDS) {
    throw new InvalidProof('iat is not recent')
  }
  if (typeof payload.jti !== 'string' || payload.jti === '') throw new InvalidProof('jti is missing')
  const { jti, nonce } = payload
  return { jkt, jti, nonce: typeof nonce === 'string' ? nonce : null }
}

async function verified(proof: string): Promise<{ readonly payload: JWTPayload; readonly jkt: string }> {
  try {
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
      algorithms: PROOF_ALGORITHMS,
      typ: 'dpop+jwt',
    })
    if (!protectedHeader.jwk) throw new InvalidProof('jwk is missing')
    return { payload, jkt: await calculateJwkThumbprint(protectedHeader.jwk) }
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof TypeError) {
      throw new InvalidProof(`not a signed dpop+jwt with its public key: ${error.message}`)
    }
    throw error
  }
}

function bare(url: unknown): string | null {
  const parsed = typeof url === 'string' ? URL.parse(url) : null
  return parsed && `${parsed.origin}${parsed.pathname}`
}
