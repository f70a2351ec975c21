/**
 * What signed tokens that are sent to us have in common, whoever sends them: who may have signed one, and that it is of now.
 *
 * Nobody outside learns here whether a provider exists: a token that nobody we know has signed is `not_authentic` for a
 * provider that is unknown as it is for one that is known.
 */
import type { Provider, UnixMs } from '@tokenkeep/core'
import { decodeProtectedHeader, type JWTPayload } from 'jose'
import type { ProviderAccess } from './provider-access.ts'
import { verifySignedToken, type Expected, type NotValidBecause } from './signed-token.ts'

/** Why a token is refused. `malformed` and `not_authentic` are all that who cannot sign as the provider can cause. */
export type RefusedBecause =
  'malformed' | 'not_authentic' | 'type' | 'issuer' | 'audience' | 'expired' | 'too_old' | 'not_yet' | 'claims'

export interface Refused {
  readonly kind: 'refused'
  readonly because: RefusedBecause
}

/** A token that is authentic, for us, and of now. */
export interface Authentic {
  readonly kind: 'authentic'
  readonly claims: JWTPayload
  /** The `typ` of its header in lower case, without `application/`; null: it has none. */
  readonly type: string | null
  readonly jti: string
  /** `iat`, but no moment that is yet to come. */
  readonly issuedAt: UnixMs
  /** From then on it is refused for its age, so it need not be remembered for longer. */
  readonly until: UnixMs
}

const CLOCKS_APART_MS = 60_000
/**
 * A sender whose receiver was down repeats for hours (RFC 8935 section 4), and what it says is still so. Each `jti` has to
 * be remembered for as long.
 */
const AGE_MOST_MS = 24 * 3_600_000
const JTI_LENGTH_MAX = 1024
/** A compact JWS (RFC 7515 section 7.1) with a signature. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/

/**
 * Checks a token that somebody sent.
 *
 * @param provider null: there is none of the name that it was sent to
 * @returns `unavailable`: the provider's keys cannot be had at this moment
 */
export async function readReceivedToken(
  access: Pick<ProviderAccess, 'keys' | 'clock'>,
  provider: Provider | null,
  token: string,
  expected: Expected,
): Promise<Authentic | Refused | { readonly kind: 'unavailable' }> {
  const type = typeOf(token)
  if (type === 'malformed') return refused('malformed')
  if (provider === null) return refused('not_authentic')
  const verified = await verifySignedToken(access, provider, token, expected)
  if (verified.kind === 'not_known')
    return verified.because === 'unavailable' ? { kind: 'unavailable' } : refused('not_authentic')
  if (verified.kind === 'not_valid') return refused(seenOutside(verified.because))
  const { claims } = verified
  const { jti, iat } = claims
  if (typeof jti !== 'string' || jti === '' || jti.length > JTI_LENGTH_MAX || typeof iat !== 'number')
    return refused('claims')
  const now = access.clock.now().wall
  const issuedAt = iat * 1000
  if (issuedAt > now + CLOCKS_APART_MS) return refused('not_yet')
  if (!(issuedAt > now - AGE_MOST_MS)) return refused('too_old')
  const endsAt = Math.min(issuedAt + AGE_MOST_MS, (claims.exp ?? Number.POSITIVE_INFINITY) * 1000)
  return {
    kind: 'authentic',
    claims,
    type: type.value,
    jti,
    issuedAt: Math.min(issuedAt, now) as UnixMs,
    until: Math.ceil(endsAt + CLOCKS_APART_MS) as UnixMs,
  }
}

export const refused = (because: RefusedBecause): Refused => ({ kind: 'refused', because })

function typeOf(token: string): { readonly value: string | null } | 'malformed' {
  if (typeof token !== 'string' || token.length > 64 * 1024 || !COMPACT.test(token)) return 'malformed'
  try {
    const { alg, typ } = decodeProtectedHeader(token)
    if (typeof alg !== 'string' || (typ !== undefined && typeof typ !== 'string')) return 'malformed'
    return { value: typ === undefined ? null : typ.toLowerCase().replace(/^application\//, '') }
  } catch {
    return 'malformed'
  }
}

function seenOutside(because: NotValidBecause): RefusedBecause {
  switch (because) {
    case 'malformed':
    case 'algorithm':
    case 'key':
    case 'signature':
      return 'not_authentic'
    case 'type':
    case 'issuer':
    case 'audience':
    case 'expired':
    case 'not_yet':
    case 'claims':
      return because
  }
}
