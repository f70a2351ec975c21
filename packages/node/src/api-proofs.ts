/** Proofs for requests to APIs, by the key that a hand-out is bound to; and what an API says about such a proof. */
import { TokenError, type BoundKey } from '@tokenkeep/core'
import { readNonce } from './dpop-nonce.ts'
import type { DpopProofs, Nonces } from './dpop-proof.ts'

export interface ApiProofs {
  /**
   * @param of `dpopJkt`: the thumbprint of the key that the token is bound to
   * @throws TokenError `unavailable`: the connection was signed in anew meanwhile, so this key is gone; and whatever reading a
   *   connection throws
   */
  make(of: {
    readonly connectionId: string
    readonly provider: string
    readonly dpopJkt: string
    readonly accessToken: string
    readonly method: string
    readonly url: URL
  }): Promise<string>
  /** Any answer can name the next nonce. */
  heard(provider: string, url: URL, header: unknown): void
}

export interface ApiProofsSetup {
  readonly proofs: () => Promise<DpopProofs>
  /** The key of a connection, by its id; null: it has none. */
  readonly boundKey: (connectionId: string) => Promise<BoundKey | null>
}

const KEYS_MOST = 1000

export function createApiProofs({ proofs, boundKey }: ApiProofsSetup): ApiProofs {
  // By thumbprint, which names one key for ever: where tokens are handed out from memory, they can be proven from it, too.
  const known = new Map<string, BoundKey>()
  let loaded: DpopProofs | null = null

  const keyFor = async (connectionId: string, jkt: string): Promise<BoundKey> => {
    const remembered = known.get(jkt)
    if (remembered !== undefined) return remembered
    const found = await boundKey(connectionId)
    if (found?.jkt !== jkt) {
      throw new TokenError(
        'unavailable',
        `connection "${connectionId}" was signed in anew at this moment, with another key: ask again`,
        { subject: connectionId },
      )
    }
    if (known.size >= KEYS_MOST) known.delete(known.keys().next().value ?? '')
    known.set(jkt, found)
    return found
  }

  return {
    async make({ connectionId, provider, dpopJkt, accessToken, method, url }) {
      const { key } = await keyFor(connectionId, dpopJkt)
      loaded ??= await proofs()
      return loaded.make(key, { method, url, nonces: noncesOf(provider), accessToken })
    },
    // Nobody has proven anything yet: what was said was not said to us.
    heard: (provider, url, header) => loaded?.heard({ nonces: noncesOf(provider), url }, readNonce(header)),
  }
}

const noncesOf = (provider: string): Nonces => `api:${provider}`

/**
 * What a 401 says where it is about the proof and not about the token: `nonce` asks for the same request once more, with the
 * nonce that came along; null: it says nothing of the proof.
 *
 * @see RFC 9449 sections 7.1 and 9
 */
export function saidOfProof(wwwAuthenticate: string | null, nonce: unknown): 'nonce' | 'invalid' | null {
  const [, word] = /\berror="?(use_dpop_nonce|invalid_dpop_proof)\b/.exec(wwwAuthenticate ?? '') ?? []
  if (word === undefined) return null
  return word === 'use_dpop_nonce' && readNonce(nonce) !== undefined ? 'nonce' : 'invalid'
}
