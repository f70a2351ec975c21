/**
 * JWTs by which workloads say who they are: read, and checked against the identity that a key trusts.
 *
 * @see RFC 7523 section 3 (issuer, subject, audience and end are all checked), RFC 8725 section 3
 */
import { hash } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader, type JWTPayload } from 'jose'
import { askIssuer } from './issuer-metadata.ts'
import { ASKING_HEADERS, type ProviderAccess } from './provider-access.ts'
import { createPublishedKeys, KEYS_DEADLINE_MS } from './published-keys.ts'
import { isLoopbackHost, readProviderUrl } from './address-rules.ts'
import { verifySignedToken, type NotValidBecause, type TokenSigner } from './signed-token.ts'
import type { TrustedIdentity } from './trusted-identity.ts'

/** Whom a JWT names. Nobody has looked whether that is true. */
export interface Named {
  readonly issuer: string
  readonly subject: string
}

export type Shown =
  /** @param until epoch milliseconds: from then on it is refused */
  | { readonly kind: 'valid'; readonly until: number }
  | { readonly kind: 'not_valid'; readonly because: ShownBecause }
  /** The issuer's keys cannot be had at this moment. */
  | { readonly kind: 'unavailable' }

export type ShownBecause = NotValidBecause | 'no_keys' | 'subject' | 'lasts_too_long' | 'bound_to_a_key' | 'event'

export interface ShownJwts {
  /** Whom it names; null: it is no JWT that could show anybody. */
  readonly named: (jwt: string) => Named | null
  /** Whether it is a JWT of this identity, for us, and of now. Never rejects. */
  readonly check: (jwt: string, identity: TrustedIdentity) => Promise<Shown>
}

/** Longer than any workload needs one, and short enough that one that leaked ends by itself. */
const LIFE_MOST_MS = 24 * 3_600_000
const CLOCKS_APART_MS = 60_000
const LENGTH_MAX = 16 * 1024
/** A checked signature is believed for so long; what is asked of the database is not. */
const CHECKED_MS = 300_000
const CHECKED_MAX = 1_000
/** Logout tokens, security events and proofs of possession are JWTs of the same issuers, and say something else (RFC 8725 section 3.11). */
const TYPES = ['jwt', 'at+jwt', 'client-authentication+jwt']

interface Issuer extends TokenSigner {
  readonly issuer: string
  readonly jwksUri: string | null
}

export function createShownJwts({ clock, exchange }: Pick<ProviderAccess, 'clock' | 'exchange'>): ShownJwts {
  const headers = ASKING_HEADERS
  const keys = createPublishedKeys<Issuer>({
    clock,
    exchange,
    headers,
    async locate({ issuer, jwksUri, allowPrivateNetwork }) {
      if (jwksUri !== null) return URL.parse(jwksUri) ?? 'failed'
      const rules = { allowPrivateNetwork }
      const found = await askIssuer(
        { exchange, headers },
        { issuer, ...rules },
        KEYS_DEADLINE_MS,
        ({ jwks_uri: uri }) => (uri === undefined ? 'none' : readProviderUrl(uri, rules)),
      )
      if (found === null || found === 'none') return found ?? 'failed'
      // Whoever names an issuer out there must not make us ask a program of this machine.
      const leadsInside = 'url' in found && isLoopbackHost(found.url) && !isLoopbackHost(new URL(issuer))
      return 'url' in found && !leadsInside ? found.url : 'failed'
    },
  })
  const checked = new Map<string, { readonly until: number; readonly believedUntil: number }>()

  const verify = async (jwt: string, identity: TrustedIdentity): Promise<Shown> => {
    const verified = await verifySignedToken({ keys, clock }, signerOf(identity), jwt, {
      type: null,
      audience: [identity.audience],
      required: ['sub', 'exp'],
    })
    if (verified.kind === 'not_known') {
      return verified.because === 'unavailable' ? { kind: 'unavailable' } : { kind: 'not_valid', because: 'no_keys' }
    }
    if (verified.kind === 'not_valid') return verified
    const { exp = 0 } = verified.claims
    const because = wrongWith(verified.claims, identity, clock.now().wall)
    return because === null ? { kind: 'valid', until: exp * 1000 + CLOCKS_APART_MS } : { kind: 'not_valid', because }
  }

  return {
    named,
    async check(jwt, identity) {
      const now = clock.now().wall
      const name = hash('sha256', JSON.stringify([jwt, identity]), 'base64url')
      const known = checked.get(name)
      if (known !== undefined && now < known.believedUntil) return { kind: 'valid', until: known.until }
      const shown = await verify(jwt, identity)
      checked.delete(name)
      if (shown.kind === 'valid') {
        if (checked.size >= CHECKED_MAX) checked.clear()
        checked.set(name, { until: shown.until, believedUntil: Math.min(shown.until, now + CHECKED_MS) })
      }
      return shown
    },
  }
}

/** What is wrong with claims that the issuer signed, and that are for us and of now; null: nothing. */
function wrongWith(
  { sub, exp = 0, iat, cnf, events }: JWTPayload,
  { subject }: TrustedIdentity,
  now: number,
): ShownBecause | null {
  if (sub !== subject) return 'subject'
  if (exp * 1000 > now + LIFE_MOST_MS) return 'lasts_too_long'
  if (iat !== undefined && iat * 1000 > now + CLOCKS_APART_MS) return 'not_yet'
  // The key is not shown here (RFC 7800 section 3).
  if (cnf !== undefined) return 'bound_to_a_key'
  // A security event whose type is not said.
  return events === undefined ? null : 'event'
}

function named(jwt: string): Named | null {
  if (jwt.length > LENGTH_MAX) return null
  try {
    const { typ } = decodeProtectedHeader(jwt)
    if (typ !== undefined && !TYPES.includes(typ.toLowerCase().replace(/^application\//, ''))) return null
    const { iss, sub } = decodeJwt(jwt)
    return typeof iss === 'string' && typeof sub === 'string' ? { issuer: iss, subject: sub } : null
  } catch {
    return null
  }
}

/** Its keys are asked for once for all identities that say the same of it. */
function signerOf({ issuer, jwksUri, allowPrivateNetwork }: TrustedIdentity): Issuer {
  const id = JSON.stringify([issuer, jwksUri, allowPrivateNetwork])
  return { id, revision: 1, issuer, jwksUri, allowPrivateNetwork }
}
