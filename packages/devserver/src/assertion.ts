import { createLocalJWKSet, decodeJwt, errors as joseErrors, jwtVerify, type JWTPayload } from 'jose'
import { errors } from 'oidc-provider'
import type { PublicKeys } from './options.ts'
import type { Realm } from './realm.ts'

/** Whose assertions a request may carry, by their `iss`. */
export type KeysOf = (issuer: string) => PublicKeys | null

/** What an assertion says, once it is believed. */
export interface Assertion {
  readonly issuer: string
  readonly subject: string
  readonly claims: JWTPayload
}

const ALGORITHMS = ['ES256', 'ES384', 'RS256', 'PS256', 'EdDSA', 'Ed25519']
const LIFE_SECONDS = 3600 // An assertion that lives longer is a password; Google takes an hour too.
const CLOCK_SECONDS = 10

/** The keys of the realm's trusted issuers. */
export function trustedKeys(realm: Realm): KeysOf {
  return (issuer) => realm.settings.trustedIssuers.find((it) => it.issuer === issuer)?.jwks ?? null
}

/**
 * Believes a JWT that somebody trusted has signed for this realm, or refuses it with `invalid_grant`.
 *
 * @see RFC 7523 section 3; RFC 8693 section 2.1 for a subject token
 */
export async function believe(realm: Realm, jwt: string, keysOf: KeysOf): Promise<Assertion> {
  const issuer = issuerOf(jwt)
  const keys = issuer === null ? null : keysOf(issuer)
  if (issuer === null || keys === null) throw refusal('its issuer is not trusted')
  const { payload: claims } = await jwtVerify(jwt, createLocalJWKSet({ keys: [...keys.keys] }), {
    issuer,
    audience: [realm.issuer, `${realm.issuer}/protocol/openid-connect/token`],
    algorithms: ALGORITHMS,
    requiredClaims: ['sub', 'exp'],
    clockTolerance: CLOCK_SECONDS,
  }).catch((error: unknown) => {
    if (error instanceof joseErrors.JOSEError || error instanceof TypeError) throw refusal(error.message)
    throw error
  })
  if (typeof claims.sub !== 'string' || claims.sub === '') throw refusal('sub is missing')
  if ((claims.exp ?? Infinity) > Date.now() / 1000 + LIFE_SECONDS + CLOCK_SECONDS) throw refusal('exp is too far away')
  return { issuer, subject: claims.sub, claims }
}

/** Takes an assertion once: it must have a `jti`, and one that did not come before. */
export async function takeOnce(realm: Realm, { issuer, claims }: Assertion): Promise<void> {
  if (typeof claims.jti !== 'string' || claims.jti === '') throw refusal('jti is missing')
  const until = (claims.exp ?? 0) + CLOCK_SECONDS
  const isNew = await realm.provider.ReplayDetection.unique(issuer, claims.jti, until)
  if (!isNew) throw refusal('jti was used before')
}

function issuerOf(jwt: string): string | null {
  try {
    return decodeJwt(jwt).iss ?? null
  } catch {
    return null
  }
}

function refusal(why: string): Error {
  return new errors.CustomOIDCProviderError('invalid_grant', `the assertion is not accepted: ${why}`)
}
