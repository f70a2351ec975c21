/**
 * JWTs that somebody signed whom we know: ID tokens, logout tokens, security events, and what workloads show of themselves.
 *
 * @see RFC 7519 section 7.2 (validation), RFC 8725 section 3 (algorithms, `typ`, issuer and audience are all checked)
 */
import type { ClientSecret, Clock, Provider } from '@tokenkeep/core'
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JWTPayload, type JWTVerifyOptions } from 'jose'
import type { ProviderAccess } from './provider-access.ts'
import type { PublishedKeys, Signer } from './published-keys.ts'
import { SIGNING_ALGORITHMS } from './signing-algorithms.ts'

/** What a kind of token has to say of itself. */
export interface Expected {
  /** The `typ` of its header, without regard to case; null: it is not looked at. */
  readonly type: string | null
  /** One of these is among its `aud`. */
  readonly audience: readonly string[]
  /** Claims that it has to have, beside `iss` and `aud`. */
  readonly required: readonly string[]
}

export type NotValidBecause =
  'malformed' | 'algorithm' | 'type' | 'key' | 'signature' | 'issuer' | 'audience' | 'expired' | 'not_yet' | 'claims'

export type Verified =
  | { readonly kind: 'valid'; readonly claims: JWTPayload }
  | { readonly kind: 'not_valid'; readonly because: NotValidBecause }
  /** Its keys could not be had: whether it is valid is not known. `no_keys`: the provider publishes none. */
  | { readonly kind: 'not_known'; readonly because: 'no_keys' | 'unavailable' }

const CLOCKS_APART_SECONDS = 60
const LENGTH_MAX = 64 * 1024

/** Whoever may have signed a token, and what it must call itself. */
export interface TokenSigner extends Signer {
  /** Null: there is none to compare with. */
  readonly issuer: string | null
}

/**
 * Checks a signed token of a provider, or of another issuer, whom it must name; it is not remembered here whether it came before.
 *
 * @param secret of the client that the token is for, where that may have signed it (OpenID Connect Core section 10.1);
 *   null: only published keys may
 */
export async function verifySignedToken<Of extends TokenSigner>(
  { keys, clock }: { readonly keys: PublishedKeys<Of>; readonly clock: Pick<Clock, 'now'> },
  signer: Of,
  token: string,
  expected: Expected,
  secret: ClientSecret | null = null,
): Promise<Verified> {
  // Not the issuer that the token names, but the one that it must: without one there is nothing to compare.
  if (signer.issuer === null) return { kind: 'not_known', because: 'no_keys' }
  if (token.length > LENGTH_MAX) return { kind: 'not_valid', because: 'malformed' }
  const options: JWTVerifyOptions = {
    algorithms: [...SIGNING_ALGORITHMS],
    issuer: signer.issuer,
    audience: [...expected.audience],
    requiredClaims: [...expected.required],
    clockTolerance: CLOCKS_APART_SECONDS,
    currentDate: new Date(clock.now().wall),
    ...(expected.type === null ? {} : { typ: expected.type }),
  }
  if (secret !== null && isSymmetric(token)) return verifyBySecret(token, secret, options)
  for (const wanted of ['known', 'newer'] as const) {
    const found = await keys.of(signer, wanted)
    if (found === 'none') return { kind: 'not_known', because: 'no_keys' }
    if (found === 'failed') return { kind: 'not_known', because: 'unavailable' }
    try {
      const { payload } = await jwtVerify(token, found, options)
      return { kind: 'valid', claims: payload }
    } catch (error) {
      // The library's errors hold claims, so none of them leaves this file.
      if (error instanceof errors.JWKSNoMatchingKey && wanted === 'known') continue
      return { kind: 'not_valid', because: reasonOf(error) }
    }
  }
  return { kind: 'not_valid', because: 'key' }
}

async function verifyBySecret(token: string, secret: ClientSecret, options: JWTVerifyOptions): Promise<Verified> {
  const key = new TextEncoder().encode(secret.reveal())
  try {
    const { payload } = await jwtVerify(token, key, { ...options, algorithms: SYMMETRIC })
    return { kind: 'valid', claims: payload }
  } catch (error) {
    return { kind: 'not_valid', because: reasonOf(error) }
  }
}

const SYMMETRIC = ['HS256', 'HS384', 'HS512']

function isSymmetric(token: string): boolean {
  try {
    return SYMMETRIC.includes(decodeProtectedHeader(token).alg ?? '')
  } catch {
    return false
  }
}

/**
 * The claims of a token whose signature nobody can check, compared as those of {@link verifySignedToken}: only for one that
 * came from the provider itself, over TLS.
 *
 * @returns null: they are not what they have to be
 */
export function readUnsignedClaims(
  { clock }: Pick<ProviderAccess, 'clock'>,
  provider: Provider,
  token: string,
  expected: Pick<Expected, 'audience' | 'required'>,
): JWTPayload | null {
  try {
    // One that nobody signed says so itself, and that is nothing to believe (OpenID Connect Core section 2).
    const { alg } = decodeProtectedHeader(token)
    if (alg === undefined || ![...SIGNING_ALGORITHMS, ...SYMMETRIC].includes(alg)) return null
    const claims = decodeJwt(token)
    const { iss, aud, exp } = claims
    const now = clock.now().wall / 1000
    const complete = expected.required.every((name) => claims[name] !== undefined)
    const issued = provider.issuer === null || iss === provider.issuer
    const meant = [aud].flat().some((each) => each !== undefined && expected.audience.includes(each))
    const lives = exp === undefined || exp > now - CLOCKS_APART_SECONDS
    return complete && issued && meant && lives ? claims : null
  } catch {
    return null
  }
}

function reasonOf(error: unknown): NotValidBecause {
  if (error instanceof errors.JWTExpired) return 'expired'
  if (error instanceof errors.JWTClaimValidationFailed) {
    switch (error.claim) {
      case 'typ':
        return 'type'
      case 'iss':
        return 'issuer'
      case 'aud':
        return 'audience'
      case 'nbf':
      case 'iat':
        return error.reason === 'missing' ? 'claims' : 'not_yet'
      default:
        return 'claims'
    }
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return 'algorithm'
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) return 'key'
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'signature'
  return 'malformed'
}
