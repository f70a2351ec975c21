/**
 * The keys that somebody signs with: asked for when a signature is to be checked, and again when it names a key that is
 * not among them.
 *
 * @see RFC 7517 section 5 (JWK Set)
 */
import { agedBy, fromSeconds, type Clock, type Now } from '@tokenkeep/core'
import type { createLocalJWKSet, JSONWebKeySet } from 'jose'
import type { Exchange } from './single-exchange.ts'

export type KeySet = ReturnType<typeof createLocalJWKSet>

/** Whoever publishes keys. */
export interface Signer {
  readonly id: string
  /** Keys that were had under another one are not used. */
  readonly revision: number
  readonly allowPrivateNetwork: boolean
}

export interface PublishedKeys<Of extends Signer> {
  /**
   * The keys of a signer.
   *
   * @param wanted `newer`: those known do not have the key that was named, so they are asked for again, once in a while
   * @returns `none`: it publishes no keys; `failed`: they could not be had. Never rejects.
   */
  of(signer: Of, wanted: 'known' | 'newer'): Promise<KeySet | 'none' | 'failed'>
}

export const KEYS_DEADLINE_MS = fromSeconds(10)
const KEPT_MS = fromSeconds(3600)
/** From here on keys that are used are asked for ahead, so that nobody waits for an issuer that is slow. */
const AHEAD_MS = fromSeconds(1800)
/** Whoever sends tokens with invented key ids must not make us ask for keys with each of them. */
const APART_MS = fromSeconds(30)
const SIGNERS_MAX = 10_000

interface Kept {
  readonly revision: number
  readonly keys: KeySet | 'none' | 'failed'
  readonly at: Now
}

export function createPublishedKeys<Of extends Signer>(setup: {
  readonly clock: Clock
  readonly exchange: Exchange
  readonly headers: Readonly<Record<string, string>>
  /** Where the signer's keys are. Never rejects. */
  readonly locate: (signer: Of) => Promise<URL | 'none' | 'failed'>
}): PublishedKeys<Of> {
  const { clock, exchange, headers, locate } = setup
  const kept = new Map<string, Kept>()
  const running = new Map<string, Promise<Kept>>()

  const asked = async (signer: Of): Promise<KeySet | 'none' | 'failed'> => {
    const url = await locate(signer)
    if (!(url instanceof URL)) return url
    const to = { url, method: 'GET', allowPrivateNetwork: signer.allowPrivateNetwork } as const
    const answer = await exchange(to, { headers, body: null }, KEYS_DEADLINE_MS)
    return answer?.status === 200 ? readKeys(answer.body.reveal()) : 'failed'
  }

  /** One question at a time for each signer as it is now. */
  const ask = (signer: Of): Promise<Kept> => {
    const key = `${signer.id} ${signer.revision}`
    const flight = running.get(key)
    if (flight !== undefined) return flight
    const started = asked(signer)
      .then((keys) => {
        const before = kept.get(signer.id)
        // Keys that we have serve on while the server is away.
        const serve = keys === 'failed' && before?.revision === signer.revision ? before.keys : keys
        const now: Kept = { revision: signer.revision, keys: serve, at: clock.now() }
        if (kept.size >= SIGNERS_MAX) kept.clear()
        kept.set(signer.id, now)
        return now
      })
      .finally(() => running.delete(key))
    running.set(key, started)
    return started
  }

  return {
    async of(signer, wanted) {
      const known = kept.get(signer.id)
      if (known?.revision !== signer.revision) return (await ask(signer)).keys
      const age = agedBy(known.at, clock.now())
      const keptMs = wanted === 'newer' || typeof known.keys === 'string' ? APART_MS : KEPT_MS
      if (age >= keptMs) return (await ask(signer)).keys
      if (age >= AHEAD_MS) void ask(signer)
      return known.keys
    },
  }
}

/** The library is loaded with the first signature that is checked: most processes check none. */
async function readKeys(body: string): Promise<KeySet | 'failed'> {
  const jose = await import('jose')
  try {
    return jose.createLocalJWKSet(JSON.parse(body) as JSONWebKeySet)
  } catch {
    return 'failed'
  }
}
