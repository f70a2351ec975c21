/** What people write about connections, read and refused with a sentence that says what is wrong; sealed where it is secret. */
import type { BlockedReason, BoundKey, NeedsUserReason, SealedGrant, Status } from './connection.ts'
import { TokenError } from './failures.ts'
import {
  parseConnectionId,
  parseName,
  type ClientId,
  type ConnectionId,
  type ProviderId,
  type Serial,
  type Uid,
} from './ids.ts'
import type { ListQuery, LogoutEvent, Sealer } from './ports.ts'
import { BLOCKED_REASONS, NEEDS_USER_REASONS } from './overview.ts'
import type { GrantInput } from './grant-request-input.ts'
import { runsAgain, type GrantType, type Provider } from './provider.ts'
import { Secret } from './secret.ts'
import { later, ms, since, type DurationMs, type UnixMs } from './time.ts'
import { jwtLifetime } from './token-response.ts'
import { FULL } from './variant.ts'

/** A sign-in that exists already, to be kept from now on. */
export interface ConnectionInput extends GrantInput {
  /** What you call it: 1 to 200 characters without white space. */
  readonly id: string
  /** The id of the client it was made with (`clients.put`). */
  readonly client: string
  /** Absent or null where a grant is run again, or where the provider gave none. */
  readonly refreshToken?: string | null | undefined
  /**
   * `refresh_token` where absent. A grant that is run again instead, without a person: `client_credentials` (RFC 6749
   * section 4.4), `jwt_bearer` with `assertion`, `token_exchange` with `exchange`.
   */
  readonly grantType?: GrantType | undefined
  readonly accessToken?: string | undefined
  /** `Bearer` where absent; at most 64 characters (RFC 6749 section 7.1). */
  readonly tokenType?: string | undefined
  /** Of the access token, epoch milliseconds. */
  readonly expiresAt?: number | undefined
  /** Of the refresh token, epoch milliseconds. */
  readonly refreshTokenExpiresAt?: number | undefined
  /** The scope that was granted, or, where a grant is run again, that is asked for. */
  readonly scope?: string | undefined
  /** Whose sign-in it is, in your words or the provider's `sub`; for whom an assertion of ours speaks. */
  readonly subject?: string | undefined
  /** The `sid` of its ID token (OpenID Connect): by it a logout event is known to mean this sign-in. */
  readonly sessionId?: string | undefined
  /**
   * The private key that its tokens are bound to (RFC 9449), a JWK as text: for a client with `dpopBoundAccessTokens`. Absent:
   * one is made, which serves where the refresh token is not bound.
   */
  readonly dpopKey?: string | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
}

/** A new sign-in for a connection that exists already. */
export interface SignInInput extends Omit<
  ConnectionInput,
  'id' | 'client' | 'grantType' | 'assertion' | 'exchange' | 'labels'
> {
  /** The sign-in may be of another subject than the connection's: said on purpose, or it is refused. */
  readonly otherAccount?: boolean | undefined
}

/** What a logout token says, once its signature, audience and `jti` were checked. It names a session, a subject, or both. */
export interface LogoutInput {
  /** The provider that it came from. */
  readonly provider: string
  /** `sid`: its sign-ins are meant, and no others of the subject. */
  readonly sessionId?: string | undefined
  /** `sub`: without a session all sign-ins of this subject are meant. */
  readonly subject?: string | undefined
  /** The ids of the clients it is for; all clients of the provider where absent. */
  readonly clients?: readonly string[] | undefined
  /** `iat`, epoch milliseconds. */
  readonly issuedAt: number
  /** It ends offline access, too (Keycloak: `revoke_offline_access`); false where absent. */
  readonly revokesOfflineAccess?: boolean | undefined
}

export interface ListOptions {
  readonly provider?: string | undefined
  readonly client?: string | undefined
  /** One of these. */
  readonly status?: Status | readonly Status[] | undefined
  /** Why it needs its user, or is blocked: one of these. */
  readonly reason?: Reason | readonly Reason[] | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** Its id, its subject or the value of one of its labels begins with this text, letter by letter. */
  readonly search?: string | undefined
  /** 1 to 1000; 100 where absent. */
  readonly limit?: number | undefined
  /** The last id of the page before. */
  readonly after?: string | undefined
}
export type Reason = NeedsUserReason | BlockedReason

const TOKEN_LENGTH_MAX = 16 * 1024
const TOKEN_TYPE_LENGTH_MAX = 64
const SCOPE_LENGTH_MAX = 4000
/** Of one connection. */
export const LABELS_MAX = 32
const TEXT_LENGTH_MAX = 200
const LIST_MAX = 1000

const SIGN_IN_MEMBERS = [
  'refreshToken',
  'accessToken',
  'tokenType',
  'expiresAt',
  'refreshTokenExpiresAt',
  'scope',
  'subject',
  'sessionId',
  'dpopKey',
] as const satisfies readonly (keyof SignInInput)[]
const CONNECTION_MEMBERS = [
  'id',
  'client',
  'grantType',
  'assertion',
  'exchange',
  'labels',
  ...SIGN_IN_MEMBERS,
] as const satisfies readonly (keyof ConnectionInput)[]

/** @throws TokenError `invalid_input`: no object, or a member that is not known, such as `refresh_token` */
export const checkConnectionMembers = (input: unknown): void => onlyMembers('a connection', input, CONNECTION_MEMBERS)
/** @throws TokenError `invalid_input`: no object, or a member that is not known, or one that reconnecting keeps */
export const checkSignInMembers = (input: unknown): void =>
  onlyMembers('a new sign-in', input, [...SIGN_IN_MEMBERS, 'otherAccount'])

function onlyMembers(what: string, input: unknown, known: readonly string[]): void {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new TokenError('invalid_input', `${what} is given as an object, such as { refreshToken: '...' }`)
  }
  const unknown = Object.keys(input).find((name) => !known.includes(name))
  if (unknown === undefined) return
  // Not repeated unless it is a plain word: with two values swapped it is a token.
  const named = /^\w{1,40}$/.test(unknown) ? `"${unknown}"` : 'one of the members given'
  throw new TokenError('invalid_input', `${named} is no member of ${what}; known are ${known.join(', ')}`)
}

export function connectionId(given: unknown): ConnectionId {
  const parsed = parseConnectionId(given)
  if ('wrong' in parsed) throw new TokenError('invalid_input', parsed.wrong)
  return parsed.id
}

export function clientIdOf(given: unknown): ClientId {
  if (typeof given !== 'string' || given === '')
    throw new TokenError('invalid_input', 'client is the id of a client (`clients.put`)')
  const read = parseName<ClientId>('client', given)
  if ('wrong' in read) throw new TokenError('invalid_input', read.wrong)
  return read.id
}

/** Tokens are never echoed: not in the message, not cut, not counted to the character. */
export function readToken(field: string, value: unknown): string {
  if (typeof value !== 'string' || value === '')
    throw new TokenError('invalid_input', `${field} is empty: give the token itself`)
  if (value.length > TOKEN_LENGTH_MAX)
    throw new TokenError('invalid_input', `${field} is longer than ${TOKEN_LENGTH_MAX} characters: that is no token`)
  if (!/^[\x20-\x7E]+$/.test(value) || value.trim() !== value) {
    throw new TokenError(
      'invalid_input',
      `${field} has control characters, white space at an end, or characters beyond ASCII (RFC 6749 appendix A): was a line break pasted with it?`,
    )
  }
  return value
}

export const shortText = (field: string, value: string | undefined): string | null =>
  value === undefined ? null : requiredText(field, value)

function requiredText(field: string, value: unknown): string {
  if (typeof value !== 'string' || value.length > TEXT_LENGTH_MAX || /\p{C}/u.test(value)) {
    throw new TokenError(
      'invalid_input',
      `${field} is a text of at most ${TEXT_LENGTH_MAX} characters without control characters`,
    )
  }
  return value
}

export function readLabels(labels: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> {
  if (typeof (labels ?? {}) !== 'object' || Array.isArray(labels))
    throw new TokenError('invalid_input', `labels are an object of names and values, such as { team: 'sales' }`)
  const entries = Object.entries(labels ?? {})
  if (entries.length > LABELS_MAX) throw tooManyLabels()
  for (const [name, value] of entries) {
    checkLabelName(name)
    shortText(`label "${name}"`, value)
  }
  return Object.fromEntries(entries)
}

/** @throws TokenError `invalid_input` */
export function readLabelChanges(changes: unknown): Readonly<Record<string, string | null>> {
  if (typeof changes !== 'object' || changes === null || Array.isArray(changes))
    throw new TokenError(
      'invalid_input',
      `labels are an object of names and values, such as { team: 'sales', old: null }`,
    )
  const entries = Object.entries(changes) as (readonly [string, unknown])[]
  for (const [name, value] of entries) {
    checkLabelName(name)
    if (value !== null) requiredText(`label "${name}"`, value)
  }
  return Object.fromEntries(entries) as Readonly<Record<string, string | null>>
}

function checkLabelName(name: string): void {
  if (/^[A-Za-z0-9._/-]{1,64}$/.test(name)) return
  throw new TokenError('invalid_input', 'a label name has 1 to 64 of the characters A-Z a-z 0-9 . _ / -')
}

export const tooManyLabels = (): TokenError =>
  new TokenError('invalid_input', `a connection has at most ${LABELS_MAX} labels`)

export interface LabelOptions {
  /** Only if its labels are still these; all of them. */
  readonly unchangedFrom?: Readonly<Record<string, string>> | undefined
  /** Only if it has these labels, before and afterwards: otherwise it is unknown to whoever asks, or kept in their sight. */
  readonly within?: Readonly<Record<string, string>> | undefined
}

function epoch(field: string, value: number | undefined): UnixMs | null {
  if (value === undefined) return null
  // Seconds given for milliseconds would make every token long expired: say so instead.
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 1e11 || value > 1e14) {
    throw new TokenError(
      'invalid_input',
      `${field} is a moment in epoch milliseconds (Date.now()), not seconds and not a duration`,
    )
  }
  return value as UnixMs
}

/** For whom a sign-in is sealed, and what is assumed where it does not say. */
export interface SealingFor {
  readonly grantType: GrantType
  readonly provider: Provider
  readonly uid: Uid
  /** Its tokens are bound to it; null: to none. */
  readonly dpopKey: BoundKey | null
  readonly sealer: Sealer
  readonly serial: Serial
  readonly now: UnixMs
  readonly unknownLifetimeMs: DurationMs
}

/** @throws TokenError `invalid_input`, which never repeats a token */
export function sealSignIn(input: SignInInput, of: SealingFor): SealedGrant {
  const { grantType, provider, uid, dpopKey, sealer, serial, now } = of
  const given = input.refreshToken ?? undefined
  if (runsAgain(grantType) && given !== undefined) {
    throw new TokenError(
      'invalid_input',
      grantType === 'client_credentials'
        ? 'client credentials have no refresh token: leave one of the two out (RFC 6749 section 4.4.3)'
        : `grantType "${grantType}" is run again instead of a refresh token: leave one of the two out`,
    )
  }
  if (grantType === 'refresh_token' && given === undefined && input.accessToken === undefined) {
    throw new TokenError('invalid_input', 'there is neither a refresh token nor an access token: nothing to keep')
  }
  const scope = shortScope(input.scope)
  const rt = given === undefined ? null : new Secret('refresh_token', readToken('refreshToken', given))
  const at =
    input.accessToken === undefined ? null : new Secret('access_token', readToken('accessToken', input.accessToken))
  const rtEnds = epoch('refreshTokenExpiresAt', input.refreshTokenExpiresAt)
  const rtLifeMs = rtEnds === null ? provider.refreshTokenAbsoluteMs : ms(Math.max(0, since(now, rtEnds)))
  const saidEnd = epoch('expiresAt', input.expiresAt)
  const lifetimeMs =
    saidEnd !== null
      ? since(now, saidEnd)
      : (provider.accessTokenLifetimeMs ?? (at === null ? null : jwtLifetime(at)) ?? of.unknownLifetimeMs)
  return {
    variant: FULL.key,
    refreshToken: rt && {
      sealed: sealer.seal(rt, { owner: uid, purpose: 'rt', serial }),
      serial,
      fingerprint: sealer.fingerprint(rt),
      receivedAt: now,
      // A sign-in of a fixed length may be older than its import: it ends then at the latest.
      endsAt: rtEnds ?? (rtLifeMs === null ? null : later(now, rtLifeMs)),
      lifetimeMs: rtLifeMs,
    },
    accessToken: at && {
      variant: FULL.key,
      sealed: sealer.seal(at, { owner: uid, purpose: `at:${FULL.key}`, serial }),
      serial,
      fingerprint: sealer.fingerprint(at),
      tokenType: readTokenType(input.tokenType),
      scope,
      lifetimeMs: ms(Math.max(1, lifetimeMs)),
      assumed: saidEnd === null,
      sentAt: now,
      expiresAt: saidEnd ?? later(now, lifetimeMs),
    },
    scope,
    ...(dpopKey === null
      ? {}
      : {
          dpopKey: {
            sealed: sealer.seal(dpopKey.key, { owner: uid, purpose: 'dpop-key', serial }),
            serial,
            jkt: dpopKey.jkt,
          },
        }),
  }
}

function readTokenType(type: unknown): string {
  if (type === undefined) return 'Bearer'
  if (typeof type !== 'string' || type.length > TOKEN_TYPE_LENGTH_MAX || !/^[\x21-\x7E]+$/.test(type))
    throw new TokenError('invalid_input', 'tokenType is what the provider called it, such as "Bearer"')
  return type
}

function shortScope(scope: unknown): string | null {
  if (scope === undefined) return null
  if (typeof scope === 'string' && scope.trim() === '') return null
  if (typeof scope !== 'string' || scope.length > SCOPE_LENGTH_MAX || !/^[\x20-\x7E]+$/.test(scope))
    throw new TokenError('invalid_input', 'scope is a list of scope tokens separated by spaces (RFC 6749 section 3.3)')
  return scope.trim()
}

const STATUSES = [
  'ready',
  'presenting',
  'in_doubt',
  'suspect',
  'blocked',
  'needs_user',
  'deleting',
  'erased',
] as const satisfies readonly Status[]

/** @throws TokenError `invalid_input` */
export function readList(options: ListOptions): ListQuery {
  const { status, reason, labels, limit = 100 } = options
  return {
    provider: (shortText('provider', options.provider) ?? undefined) as ProviderId | undefined,
    client: (shortText('client', options.client) ?? undefined) as ClientId | undefined,
    status: status === undefined ? undefined : wordsOf('status', status, STATUSES),
    reason: reason === undefined ? undefined : wordsOf('reason', reason, REASONS),
    labels: labels === undefined ? undefined : readLabels(labels),
    // As ids are kept.
    search: shortText('search', options.search)?.normalize('NFC') || undefined,
    limit: readLimit(limit),
    after: (shortText('after', options.after) ?? undefined) as ConnectionId | undefined,
  }
}

const REASONS: readonly Reason[] = [...NEEDS_USER_REASONS, ...BLOCKED_REASONS]

function wordsOf<Word extends string>(field: string, given: Word | readonly Word[], known: readonly Word[]): Word[] {
  const words = [given].flat() as Word[]
  if (words.every((word) => known.includes(word))) return words
  throw new TokenError('invalid_input', `${field} is one or several of ${known.join(', ')}`)
}

/** Of a list or a history. */
export function readLimit(limit: unknown): number {
  if (typeof limit === 'number' && Number.isInteger(limit) && limit >= 1 && limit <= LIST_MAX) return limit
  throw new TokenError('invalid_input', `limit is a whole number from 1 to ${LIST_MAX}`)
}

/** @throws TokenError `invalid_input` */
export function readLogout(input: LogoutInput): Logout {
  onlyMembers('a logout event', input, LOGOUT_MEMBERS)
  const provider = parseName<ProviderId>('provider', input.provider)
  if ('wrong' in provider) throw new TokenError('invalid_input', provider.wrong)
  // Empty is none: nobody's sign-in is meant by it.
  const sessionId = shortText('sessionId', input.sessionId) || null
  const subject = shortText('subject', input.subject) || null
  const issuedAt = epoch('issuedAt', input.issuedAt)
  if ((sessionId === null && subject === null) || issuedAt === null) {
    throw new TokenError(
      'invalid_input',
      'a logout event names a session (`sessionId`) or a subject (`subject`), and its moment (`issuedAt`)',
    )
  }
  return {
    provider: provider.id,
    clients: input.clients === undefined ? null : new Set(input.clients.map(clientIdOf)),
    of: sessionId === null ? { subject: subject ?? '' } : { sessionId },
    issuedAt,
    revokesOfflineAccess: input.revokesOfflineAccess === true,
  }
}

export interface Logout extends LogoutEvent {
  readonly provider: ProviderId
  /** Null: all of the provider. */
  readonly clients: ReadonlySet<ClientId> | null
}

const LOGOUT_MEMBERS = [
  'provider',
  'sessionId',
  'subject',
  'clients',
  'issuedAt',
  'revokesOfflineAccess',
] as const satisfies readonly (keyof LogoutInput)[]
