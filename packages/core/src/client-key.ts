/**
 * The keys of a client that proves itself by signing (`private_key_jwt`): which one signs, which are published, which are over.
 *
 * A key is published before it signs, so that the provider has fetched it by then; and after it signed, for as long as an
 * assertion of it can be under way and a process may still go by the clock of before. Nothing is written when one of these
 * moments comes: each state follows from the moments and now, in every process alike.
 */
import type { Secret } from './secret.ts'
import { fromSeconds, later, type DurationMs, type UnixMs } from './time.ts'

declare const kid: unique symbol
/** RFC 7517 section 4.5: the name of a key, for its provider. */
export type ClientKid = string & { readonly [kid]: true }

/** RFC 7518 section 3.1 and RFC 8037: what an assertion is signed with. The first three need a secret, the others a key. */
export type ClientSigningAlg =
  | 'HS256'
  | 'HS384'
  | 'HS512'
  | 'ES256'
  | 'ES384'
  | 'ES512'
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512'
  | 'EdDSA'
export type SecretAlg = Extract<ClientSigningAlg, `HS${string}`>
export type KeyAlg = Exclude<ClientSigningAlg, SecretAlg>
export const SECRET_ALGS = ['HS256', 'HS384', 'HS512'] as const satisfies readonly SecretAlg[]
export const KEY_ALGS = [
  'ES256',
  'ES384',
  'ES512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'EdDSA',
] as const satisfies readonly KeyAlg[]

/** The moments of one key, by the wall clock: a provider that looks at it has another clock anyway. */
export interface KeyMoments {
  readonly kid: ClientKid
  readonly createdAt: UnixMs
  readonly signsFrom: UnixMs
  /** Set when another one is to follow; null: no end. */
  readonly publishedUntil: UnixMs | null
}

/** A key as anybody may see it. */
export interface ClientKey extends KeyMoments {
  readonly alg: KeyAlg
  /** Its public half (RFC 7517), without kid, alg and use. */
  readonly publicJwk: Readonly<Record<string, string>>
}

/** The key that signs, opened: a private JWK as JSON. */
export interface SigningKey {
  readonly kid: ClientKid
  readonly alg: KeyAlg
  readonly privateJwk: Secret<'client_key'>
}

export type ClientKeyState =
  | { readonly kind: 'next'; readonly signsFrom: UnixMs }
  | { readonly kind: 'signing' }
  | { readonly kind: 'previous'; readonly publishedUntil: UnixMs }
  /** Not published any more: to be erased. */
  | { readonly kind: 'retired' }

/** Providers fetch a JWKS again within a day, most of them sooner, and at once where they meet a kid that they do not know. */
export const PUBLISHED_BEFORE_MS: DurationMs = fromSeconds(24 * 3600)
/** Far longer than an assertion lives: what counts are the hosts whose clock is behind. */
export const PUBLISHED_AFTER_MS: DurationMs = fromSeconds(24 * 3600)
/** So many in one set at most: whoever rotates more often has a loop. */
export const KEYS_MOST = 8

/**
 * The one that signs now; null only where there is none at all.
 *
 * Of those whose time has come it is the newest. Where none has, because the clock was set back, it is the first: a key that
 * is published is better than none.
 */
export function signingKey<Key extends KeyMoments>(keys: readonly Key[], now: UnixMs): Key | null {
  const ordered = inOrderOfSigning(keys)
  return ordered.findLast(({ signsFrom }) => signsFrom <= now) ?? ordered[0] ?? null
}

/** By the moment from which they sign. */
export const inOrderOfSigning = <Key extends KeyMoments>(keys: readonly Key[]): readonly Key[] =>
  keys.toSorted((a, b) => (a.signsFrom === b.signsFrom ? a.createdAt - b.createdAt : a.signsFrom - b.signsFrom))

export function stateOfKey(key: KeyMoments, keys: readonly KeyMoments[], now: UnixMs): ClientKeyState {
  if (signingKey(keys, now)?.kid === key.kid) return { kind: 'signing' }
  if (key.signsFrom > now) return { kind: 'next', signsFrom: key.signsFrom }
  // One that is followed has an end; without one it was written by hand, and nobody signs with it.
  const until = key.publishedUntil ?? now
  return until > now ? { kind: 'previous', publishedUntil: until } : { kind: 'retired' }
}

/** What belongs into the published set. */
export const publishedKeys = <Key extends KeyMoments>(keys: readonly Key[], now: UnixMs): readonly Key[] =>
  keys.filter((key) => stateOfKey(key, keys, now).kind !== 'retired')

export interface Rotation {
  /** From when on the new key signs. */
  readonly signsFrom: UnixMs
  /** How long the one before it stays published then. */
  readonly keepMs: DurationMs
}

/**
 * The keys with another one among them, what is retired left out. The one that signs now gets its end.
 *
 * @param added made new, or one that waits already and is to sign sooner
 */
export function rotated<Key extends KeyMoments>(
  keys: readonly Key[],
  added: Key,
  { signsFrom, keepMs }: Rotation,
  now: UnixMs,
): readonly Key[] {
  const before = signingKey(
    keys.filter(({ kid }) => kid !== added.kid),
    now,
  )
  const others = publishedKeys(keys, now)
    .filter(({ kid }) => kid !== added.kid)
    .map((key) => (key.kid === before?.kid ? { ...key, publishedUntil: later(signsFrom, keepMs) } : key))
  return [...others, { ...added, signsFrom, publishedUntil: null }]
}
