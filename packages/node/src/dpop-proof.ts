/**
 * Proofs that a request comes from who holds a key, and the nonces that servers want in them (RFC 9449 sections 4, 8 and 9).
 *
 * Nonces are kept in memory only: one that is lost costs one answer.
 */
import { createHash } from 'node:crypto'
import type { Clock, DpopKey } from '@tokenkeep/core'
import { importJWK, SignJWT, type JWK } from 'jose'

/** Whose nonces: the authorization server of one provider, or its APIs. One origin can be both, with nonces of its own for each. */
export type Nonces = `${'server' | 'api'}:${string}`

export interface ProofOf {
  readonly method: string
  readonly url: URL
  readonly nonces: Nonces
  /** With a request to an API: the token that comes with it, which the proof names by its hash. */
  readonly accessToken?: string | undefined
}

export interface DpopProofs {
  /** A proof for one request: another one each time, with the newest nonce known. */
  make(key: DpopKey, of: ProofOf): Promise<string>
  /** A server named the nonce that it wants from now on. */
  heard(from: Pick<ProofOf, 'url' | 'nonces'>, nonce: string | undefined): void
}

const ORIGINS_MOST = 1000

export function createDpopProofs(clock: Pick<Clock, 'now'>): DpopProofs {
  const newest = new Map<string, string>()
  const keys = new WeakMap<DpopKey, Promise<Signing>>()

  const signingOf = (key: DpopKey): Promise<Signing> => {
    const known = keys.get(key)
    if (known !== undefined) return known
    const signing = readSigning(key)
    keys.set(key, signing)
    return signing
  }

  return {
    async make(key, { method, url, nonces, accessToken }) {
      const { alg, jwk, privateKey } = await signingOf(key)
      const nonce = newest.get(nameOf(nonces, url))
      const payload = {
        htm: method,
        htu: `${url.origin}${url.pathname}`,
        ...(nonce === undefined ? {} : { nonce }),
        ...(accessToken === undefined ? {} : { ath: hashOf(accessToken) }),
      }
      return new SignJWT(payload)
        .setProtectedHeader({ typ: 'dpop+jwt', alg, jwk })
        .setJti(crypto.randomUUID())
        .setIssuedAt(Math.floor(clock.now().wall / 1000))
        .sign(privateKey)
    },

    heard({ nonces, url }, nonce) {
      if (nonce === undefined) return
      const name = nameOf(nonces, url)
      // Put anew, so that those heard last are the last in order.
      newest.delete(name)
      if (newest.size >= ORIGINS_MOST) newest.delete(newest.keys().next().value ?? '')
      newest.set(name, nonce)
    },
  }
}

interface Signing {
  readonly alg: string
  /** Of the public key, which each proof carries. */
  readonly jwk: JWK
  readonly privateKey: Awaited<ReturnType<typeof importJWK>>
}

async function readSigning(key: DpopKey): Promise<Signing> {
  const { alg = '', ...jwk } = JSON.parse(key.reveal()) as JWK
  const privateKey = await importJWK(jwk, alg)
  const { kty, crv, x, y } = jwk
  return { alg, privateKey, jwk: { kty, crv, x, ...(y === undefined ? {} : { y }) } as JWK }
}

const nameOf = (nonces: Nonces, url: URL): string => `${nonces} ${url.origin}`
const hashOf = (accessToken: string): string => createHash('sha256').update(accessToken).digest('base64url')
