/**
 * Identities that an API key trusts: whoever shows a JWT of this issuer with this subject is known as by the key itself.
 */
import { Buffer } from 'node:buffer'
import { readProviderUrl } from './address-rules.ts'
import { flag, onlyMembers, recordOf, textOf, type Refuse } from './input-members.ts'
import { TokenError } from '@tokenkeep/core'

/** A workload's identity, as a JWT says it. */
export interface TrustedIdentity {
  /** For people, and to take it away again; it is in no JWT. */
  readonly id: string
  /** The `iss` of its JWTs, character by character. */
  readonly issuer: string
  /** Their `sub`, character by character. No other key trusts the same issuer and subject. */
  readonly subject: string
  /** What their `aud` has to name: this Tokenkeep, and nothing else that takes such JWTs. */
  readonly audience: string
  /** Where the issuer's keys are; null: where its metadata says (RFC 8414, OpenID Connect Discovery). */
  readonly jwksUri: string | null
  /** Its keys may be fetched from a private network. */
  readonly allowPrivateNetwork: boolean
  /** Epoch milliseconds. */
  readonly createdAt: number
}

export interface TrustedIdentityInput {
  /** An https URL; anything where `jwksUri` is given, for it is then only compared. */
  readonly issuer: string
  readonly subject: string
  readonly audience: string
  /** Discovered from the issuer's metadata where absent or null. */
  readonly jwksUri?: string | null | undefined
  /** False where absent. Plain http stays limited to loopback. */
  readonly allowPrivateNetwork?: boolean | undefined
}

/**
 * Reads which identity a key shall trust.
 *
 * @throws TokenError `invalid_input`
 */
export function readTrustedIdentity(input: TrustedIdentityInput): Omit<TrustedIdentity, 'id' | 'createdAt'> {
  const given = recordOf('a trusted identity', input)
  const refuse: Refuse = (sentence) => {
    throw new TokenError('invalid_input', `a trusted identity: ${sentence}`)
  }
  onlyMembers(given, MEMBERS, refuse)
  const allowPrivateNetwork = flag(given, 'allowPrivateNetwork', false, refuse)
  const url = (name: 'issuer' | 'jwksUri', text: string): string => {
    const read = readProviderUrl(text, { allowPrivateNetwork })
    return 'wrong' in read ? refuse(`${name} ${read.wrong}`) : text
  }
  const issuer = plain('issuer', given['issuer'], refuse)
  const jwksUri = given['jwksUri'] == null ? null : url('jwksUri', plain('jwksUri', given['jwksUri'], refuse))
  if (jwksUri === null && !URL.canParse(issuer))
    refuse('issuer must be an absolute URL such as https://issuer.example.org, unless jwksUri says where its keys are')
  if (jwksUri === null && issuer.includes('?')) refuse('issuer must not have a query (RFC 8414 section 2)')
  return {
    issuer: jwksUri === null ? url('issuer', issuer) : issuer,
    subject: plain('subject', given['subject'], refuse),
    audience: plain('audience', given['audience'], refuse),
    jwksUri,
    allowPrivateNetwork,
  }
}

const LENGTH_MAX = 500
/** Issuer and subject together are an entry of an index, and those of Postgres have 2704 bytes at most. */
const BYTES_MAX = 1000

/** It is compared and shown as it is. */
function plain(name: string, value: unknown, refuse: Refuse): string {
  const text = textOf(name, value, LENGTH_MAX, refuse)
  const bytes = Buffer.byteLength(text)
  if (bytes > BYTES_MAX) return refuse(`${name} must have at most ${BYTES_MAX} bytes as UTF-8, this one has ${bytes}`)
  if (/tk[ckr]_[A-Za-z0-9_-]{43}/.test(text)) return refuse(`${name} holds an API key or a local refresh token`)
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text) && text.startsWith('eyJ') ? refuse(`${name} is a JWT`) : text
}

const MEMBERS = Object.keys({
  issuer: true,
  subject: true,
  audience: true,
  jwksUri: true,
  allowPrivateNetwork: true,
} satisfies Record<keyof TrustedIdentityInput, true>)
