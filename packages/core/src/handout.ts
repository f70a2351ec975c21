/** What the caller receives: a token, its type, its end and its scope, or an error that says what to do. */
import type { BlockedReason, ConnectionRow, NeedsUserReason, OpenedAccessToken } from './connection.ts'
import type { Refusal } from './decide.ts'
import { assertNever, TokenError } from './failures.ts'
import type { Gone } from './lease.ts'
import type { Uid } from './ids.ts'
import type { UnixMs } from './time.ts'

export interface HandOut {
  readonly accessToken: string
  /** As the provider wrote it, mostly `Bearer`; compare without regard to case (RFC 6749 section 7.1). */
  readonly tokenType: string
  /** Epoch milliseconds; counted from the moment when our request left. */
  readonly expiresAt: number
  /** The scope granted, where it is known. */
  readonly scope: string | null
  /** The thumbprint (RFC 7638) of the key that each use has to prove; absent: whoever has the token can use it. */
  readonly dpopJkt?: string
}

/**
 * The key binding of a token: with the type that the provider said, a key of the grant is its key (RFC 9449 section 5).
 *
 * A server that ignored our proof says Bearer, and then the token is used as that.
 */
export const bindingOf = (tokenType: string, key: { readonly jkt: string } | null): { readonly dpopJkt?: string } =>
  key !== null && tokenType.toLowerCase() === 'dpop' ? { dpopJkt: key.jkt } : {}

/** Opens the access token: the one place where it leaves us. The object is frozen, for it is shared between callers. */
export const handOut = (token: OpenedAccessToken, scope: string | null): HandOut =>
  Object.freeze({
    accessToken: token.token.reveal(),
    tokenType: token.tokenType,
    expiresAt: token.expiresAt,
    scope: token.scope ?? scope,
    ...(token.dpopJkt === undefined ? {} : { dpopJkt: token.dpopJkt }),
  })

/** Whose each hand-out is: it does not say so itself, for callers pass it on as it is. */
const uids = new WeakMap<HandOut, Uid>()

/** The access token of a connection, as a caller gets it. */
export function handOutOf(token: OpenedAccessToken, { uid, scope }: Pick<ConnectionRow, 'uid' | 'scope'>): HandOut {
  const given = handOut(token, scope)
  uids.set(given, uid)
  return given
}

/** The connection of a hand-out that {@link handOutOf} made. */
export const uidOf = (given: HandOut): Uid | undefined => uids.get(given)

const RECONNECT =
  'Sign in again at the provider and hand the new refresh token to `connections.reconnect` (CLI: `tokenkeep connection import --reconnect`).'

const BECAUSE = {
  revoked: 'the provider refused its refresh token three times: the sign-in was revoked or has ended.',
  expired: 'its refresh token reached its end.',
  answer_lost:
    'an answer of the provider was lost, probably with the new refresh token in it, and the old one is no longer accepted.',
  reused: 'the provider saw a spent refresh token and ended the sign-in: another program may hold a copy.',
  signed_out: 'the user signed out at the provider.',
  interaction_required: 'the provider asks for the user (consent or a new sign-in).',
  no_refresh_token: 'its access token has ended and there is no refresh token.',
} as const satisfies Record<NeedsUserReason, string>

const TO_MEND = {
  client:
    'the provider refuses our client. The operator checks client id, client secret and authentication method, and puts them right with `clients.put` (CLI: `tokenkeep client add`).',
  endpoint:
    'its token endpoint is not where we ask: it is missing or redirects. The operator puts the endpoint or issuer right with `providers.put` (CLI: `tokenkeep provider add`).',
  request:
    'the provider does not understand our request. The operator compares its token endpoint, the authentication method and the scope with what the provider expects (`providers.put`, `clients.put`).',
  grant:
    'the provider refuses what its grant brings: the assertion, the token to exchange, or what is asked for it. The operator looks at the subject, the audience and the claims, at the key, file or connection that it comes from, and at the token type; what is wrong in the connection itself is put right by deleting it and importing it again.',
} as const satisfies Record<BlockedReason, string>

const at = (moment: UnixMs | null): string =>
  moment === null ? '' : ` The next try is at ${new Date(moment).toISOString()}.`

const whyNone = (source: string | null): string =>
  source === null
    ? 'its provider did not grant one yet.'
    : `it is exchanged for the token of connection "${source}", and one of the two was not granted yet. Ask for that one: it says what it lacks.`

/** The error for a refusal. */
export function errorFor(refusal: Refusal, id: string): TokenError {
  const name = `connection "${id}"`
  switch (refusal.code) {
    case 'needs_user':
      return new TokenError('needs_user', `${name} needs its user: ${BECAUSE[refusal.reason]} ${RECONNECT}`, {
        subject: id,
        reason: refusal.reason,
      })
    case 'blocked':
      return new TokenError(
        'blocked',
        `${name} is blocked by its registration, not by its sign-in: ${TO_MEND[refusal.reason]} Nothing is lost meanwhile.${at(refusal.retryAt)}`,
        { subject: id, blocked: refusal.reason, retryAt: refusal.retryAt },
      )
    case 'in_doubt':
      return new TokenError(
        'in_doubt',
        `${name} is in doubt: its refresh token was perhaps sent and no answer came, so it is presented again only when that is safe.${at(refusal.retryAt)}`,
        { subject: id, retryAt: refusal.retryAt },
      )
    case 'suspect':
      return new TokenError(
        'suspect',
        `${name} is suspect: its refresh token was refused, or its user signed out, which is confirmed before anybody is asked to sign in again.${at(refusal.retryAt)}`,
        { subject: id, retryAt: refusal.retryAt },
      )
    case 'on_hold':
      return onHold(id)
    case 'unavailable':
      return new TokenError(
        'unavailable',
        `no access token for ${name} in time: ${whyNone(refusal.source ?? null)}${at(refusal.retryAt)}`,
        {
          subject: id,
          retryAt: refusal.retryAt,
        },
      )
    case 'variant_unsupported':
      return new TokenError(
        'variant_unsupported',
        `${name} hands out no narrower tokens: its provider is not known to narrow only the one token. ` +
          'If it does, say so with `narrowing: "token_only"` in `providers.put`; else leave scope and resource out.',
        { subject: id },
      )
    case 'deleting':
      return goneError({ kind: 'gone', because: 'deleting' }, id)
    case 'unreadable':
      return unreadable(refusal.because, id)
    default:
      return assertNever(refusal)
  }
}

export const unreadable = (because: 'tampered' | 'no_key', id: string): TokenError =>
  new TokenError(
    'unreadable',
    because === 'no_key'
      ? `the key that sealed the tokens of connection "${id}" is not here. Put the key file or TOKENKEEP_KEY back with which it was stored; nothing was changed.`
      : `the stored tokens of connection "${id}" do not open in their place: the database was altered or damaged. Restore that row from a backup or reconnect; other connections are not affected.`,
    { subject: id },
  )

export const onHold = (id: string): TokenError =>
  new TokenError(
    'on_hold',
    `nothing is presented for connection "${id}": this database is a copy or was put back, and its original may have spent the refresh token. ` +
      'When the original is off for good, say so: `tokenkeep adopt` (`keep.adopt()`). Access tokens that live are handed out meanwhile.',
    { subject: id },
  )

export const goneError = (gone: Gone, id: string): TokenError => {
  switch (gone.because) {
    case 'unknown':
    case 'erased':
      return new TokenError(
        'unknown_connection',
        `there is no connection "${id}". Import it with \`connections.import\` (CLI: \`tokenkeep connection import\`), or look at \`tokenkeep connection list\`.`,
        { subject: id },
      )
    case 'deleting':
      return new TokenError('deleting', `connection "${id}" is being deleted and hands out nothing any more.`, {
        subject: id,
      })
    default:
      return assertNever(gone.because)
  }
}

export const scopeRefused = (id: string): TokenError =>
  new TokenError(
    'scope_refused',
    `the provider refuses the scope or resource asked for with connection "${id}". Ask for a part of what was granted; other callers are not affected.`,
    { subject: id },
  )

export const closedError = (): TokenError =>
  new TokenError('closed', 'this Tokenkeep is closed: open another one with `openTokenkeep`.')
