/**
 * Callers: programs known by an API key, or by a JWT of an identity that a key trusts, and the local refresh tokens by which they use a connection at the drop-in.
 *
 * Keys and local refresh tokens are 32 random bytes, shown once and kept as their SHA-256. A slow hash would protect
 * guessable passwords; these cannot be guessed, and a fast one keeps a flood of wrong keys cheap.
 */
import { hash, randomBytes } from 'node:crypto'
import { TokenError, type Clock, type ConnectionId } from '@tokenkeep/core'
import { readApiKeyInput, readSource, type ApiKeyInput, type ApiKeyScope } from './api-key-input.ts'
import type { Named, ShownBecause, ShownJwts } from './shown-jwt.ts'
import { readTrustedIdentity, type TrustedIdentity, type TrustedIdentityInput } from './trusted-identity.ts'

/** A key as people see it: the key itself is in nothing that is kept. */
export interface ApiKey {
  /** Also the `client_id` of the caller at the drop-in token endpoint. */
  readonly id: string
  readonly name: string
  readonly scopes: readonly ApiKeyScope[]
  /** Only connections with every one of these labels exist for this key; empty: all. */
  readonly labels: Readonly<Record<string, string>>
  /** For each provider the connection whose token serves `client_credentials` at the drop-in. */
  readonly sources: Readonly<Record<string, string>>
  /** Whose JWTs are as good as the key itself, oldest first. */
  readonly identities: readonly TrustedIdentity[]
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Epoch milliseconds; null: never. */
  readonly expiresAt: number | null
  /** Epoch milliseconds; null: it was not revoked. */
  readonly revokedAt: number | null
}

export interface ApiKeys {
  /**
   * Makes a key.
   *
   * @returns with `key`, which is shown now and never again: `tkk_` and 43 characters
   * @throws TokenError `invalid_input`, `unknown_connection`, `unknown_provider`, `store_unavailable`
   */
  create(input: ApiKeyInput): Promise<{ readonly apiKey: ApiKey; readonly key: string }>
  /** @throws TokenError `unknown_api_key` */
  get(id: string): Promise<ApiKey>
  /** All of them, the revoked ones too, oldest first. */
  list(): Promise<readonly ApiKey[]>
  /** From now on nobody is known by it; its local refresh tokens end with it. Repeating it changes nothing. */
  revoke(id: string): Promise<ApiKey>
  /**
   * Names the connection whose token serves `client_credentials` of a provider; null: none any more.
   *
   * @throws TokenError `unknown_api_key`, `unknown_provider`, `unknown_connection` (also one of another provider, one
   *   without the key's labels, and one that is being deleted), `invalid_input`
   */
  setSource(id: string, provider: string, connection: string | null): Promise<ApiKey>
  /**
   * Trusts an identity: from now on its JWTs are as good as the key. One of the same issuer and subject that the key
   * trusts already keeps its id, and has what is given here from now on.
   *
   * @throws TokenError `unknown_api_key` (also one that is revoked or past its end), `in_use` (a key that lives trusts
   *   this issuer and subject already), `invalid_input`
   */
  trust(id: string, identity: TrustedIdentityInput): Promise<ApiKey>
  /**
   * Trusts an identity no more.
   *
   * @throws TokenError `unknown_api_key`, `invalid_input` (the key trusts no identity of this id)
   */
  untrust(id: string, identity: string): Promise<ApiKey>
}

/** A refresh token of ours, bound to one caller, that stands for one connection. It is not kept, only its SHA-256. */
export interface LocalRefreshToken {
  readonly id: string
  readonly connection: string
  /** The id of the key that alone may use it. */
  readonly apiKey: string
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Epoch milliseconds; null: it was not revoked. */
  readonly revokedAt: number | null
}

export interface LocalRefreshTokens {
  /**
   * Makes a local refresh token for one caller: stable, and good for any number of processes at once.
   *
   * @returns with `refreshToken`, which is shown now and never again: `tkr_` and 43 characters
   * @throws TokenError `unknown_connection` (also one without the labels that the key is limited to, and one that is
   *   being deleted), `unknown_api_key` (also one that is revoked or past its end), `invalid_input`, `store_unavailable`
   */
  share(
    connection: string,
    to: { readonly with: string },
  ): Promise<{ readonly localRefreshToken: LocalRefreshToken; readonly refreshToken: string }>
  /** Those of one connection, oldest first. @throws TokenError `unknown_connection`, `invalid_input` */
  list(connection: string): Promise<readonly LocalRefreshToken[]>
  /** @throws TokenError `unknown_local_refresh_token` */
  get(id: string): Promise<LocalRefreshToken>
  /** From now on it is refused. Repeating it changes nothing. @throws TokenError `unknown_local_refresh_token` */
  revoke(id: string): Promise<LocalRefreshToken>
}

/** What a local refresh token stands for at this moment. */
export interface Shared extends LocalRefreshToken {
  readonly provider: string
  readonly subject: string | null
  /** The scope that the connection was granted; null: as asked for. */
  readonly scope: string | null
  /** A refresh can bring another access token; false where the provider gave no refresh token. */
  readonly renewable: boolean
}

/** Whom a JWT shows. */
export type ByJwt =
  /** @param until when the JWT ends, epoch milliseconds */
  | ({ readonly kind: 'known'; readonly until: number } & Trusting)
  /** It is no JWT, or no key that lives trusts whom it names. */
  | { readonly kind: 'nobody' }
  /** It names whom a key trusts, and is not valid. */
  | ({ readonly kind: 'not_valid'; readonly because: ShownBecause } & Trusting)
  /** The keys of its issuer cannot be had, so nobody knows whether it is valid. */
  | ({ readonly kind: 'unavailable' } & Trusting)

interface Trusting {
  readonly apiKey: ApiKey
  readonly identity: TrustedIdentity
}

/** What a server asks about each request. Nothing here is remembered: a revoked key is unknown at once. */
export interface Callers {
  /** Who presents this key; null: nobody, or it is revoked or past its end. */
  byKey(key: string): Promise<ApiKey | null>
  /** Which key trusts the identity that this JWT shows. */
  byJwt(jwt: string): Promise<ByJwt>
  /**
   * What this local refresh token stands for; null: unknown or revoked, its key is revoked or past its end, or its
   * connection is gone, also while that is being deleted.
   */
  byLocalRefreshToken(token: string): Promise<Shared | null>
  /**
   * Whether there is such a connection with every one of these labels, be it one that is being deleted. One with other
   * labels takes as long as none.
   *
   * @throws TokenError `invalid_input`: no connection can have this id
   */
  admits(connection: string, labels: ApiKey['labels']): Promise<boolean>
  /**
   * The connection that serves `client_credentials` of a provider to this key; null: none is named, or it is gone, also
   * while it is being deleted, or what has its id now is another provider's or lacks the key's labels.
   */
  source(apiKey: ApiKey, provider: string): Promise<string | null>
}

/** What a database has to be able to do for callers. */
export interface CallerRows {
  /** With its sources, or not at all: then with the provider whose source is wrong. */
  addApiKey(
    apiKey: ApiKey,
    digest: string,
  ): Promise<'added' | { readonly wrong: WrongSource; readonly provider: string }>
  apiKeys(): Promise<readonly ApiKey[]>
  apiKey(by: { readonly id: string } | { readonly digest: string }): Promise<ApiKey | null>
  /** The key that trusts this identity. */
  apiKeyTrusting(identity: Named): Promise<ApiKey | null>
  /** `taken`: another key trusts it that is neither revoked nor past its end, epoch milliseconds. */
  trust(apiKey: string, identity: TrustedIdentity, now: number): Promise<'trusted' | 'taken'>
  untrust(apiKey: string, identity: string): Promise<'untrusted' | 'unknown'>
  /** Notes the moment where none was noted yet. */
  revokeApiKey(id: string, at: number): Promise<void>
  setSource(of: LimitedKey, provider: string, connection: string | null): Promise<'set' | WrongSource>
  source(of: LimitedKey, provider: string): Promise<string | null>
  admits(connection: string, labels: ApiKey['labels']): Promise<boolean>
  /** `unknown`: there is no connection of that id with these labels, or it is being deleted. */
  addLocalRefreshToken(token: LocalRefreshToken, digest: string, labels: ApiKey['labels']): Promise<'added' | 'unknown'>
  localRefreshTokens(connection: string): Promise<readonly LocalRefreshToken[] | 'unknown'>
  localRefreshToken(id: string): Promise<LocalRefreshToken | null>
  revokeLocalRefreshToken(id: string, at: number): Promise<void>
  /** @param now epoch milliseconds: a key that ended by then is gone */
  shared(digest: string, now: number): Promise<Shared | null>
}

export type LimitedKey = Pick<ApiKey, 'id' | 'labels'>
/** There is no such provider; or it has no such connection with the key's labels. */
export type WrongSource = 'unknown_provider' | 'unknown_connection'

export interface CallersSetup {
  readonly rows: CallerRows
  readonly clock: Pick<Clock, 'now'>
  /** Reads an id that a person wrote. @throws TokenError `invalid_input` */
  readonly connectionId: (given: unknown) => ConnectionId
  /** Loaded with the first JWT. */
  readonly shownJwts: () => Promise<ShownJwts>
}

export function createCallers({ rows, clock, connectionId, shownJwts }: CallersSetup): {
  readonly apiKeys: ApiKeys
  readonly localRefreshTokens: LocalRefreshTokens
  readonly callers: Callers
} {
  const lives = ({ revokedAt, expiresAt }: ApiKey): boolean =>
    revokedAt === null && (expiresAt === null || clock.now().wall < expiresAt)

  const apiKey = async (id: string): Promise<ApiKey> => {
    const found = typeof id === 'string' ? await rows.apiKey({ id }) : null
    if (found === null) throw unknownApiKey(id)
    return found
  }

  const localRefreshToken = async (id: string): Promise<LocalRefreshToken> => {
    const found = typeof id === 'string' ? await rows.localRefreshToken(id) : null
    if (found === null) throw unknownLocalRefreshToken(id)
    return found
  }

  return {
    apiKeys: {
      async create(input) {
        const key = `${KEY_PREFIX}${randomBytes(SECRET_BYTES).toString('base64url')}`
        const made: ApiKey = {
          ...readApiKeyInput(input, { now: clock.now().wall, connectionId }),
          identities: [],
          id: `key_${randomName()}`,
          createdAt: Math.round(clock.now().wall),
          revokedAt: null,
        }
        const added = await rows.addApiKey(made, digestOf(key))
        if (added !== 'added') throw noSuchSource(added.wrong, added.provider, made.sources[added.provider] ?? null)
        return { apiKey: made, key }
      },
      get: apiKey,
      list: () => rows.apiKeys(),
      async revoke(id) {
        const { id: known } = await apiKey(id)
        await rows.revokeApiKey(known, Math.round(clock.now().wall))
        return apiKey(known)
      },
      async setSource(id, provider, connection) {
        const { id: known, labels } = await apiKey(id)
        const named = connection === null ? null : connectionId(connection)
        const set = await rows.setSource({ id: known, labels }, readSource(provider), named)
        if (set !== 'set') throw noSuchSource(set, provider, named)
        return apiKey(known)
      },
      async trust(id, input) {
        const holder = await apiKey(id)
        if (!lives(holder)) throw unknownApiKey(holder.id)
        const wanted = readTrustedIdentity(input)
        const before = holder.identities.find((each) => isSame(each, wanted))
        if (before === undefined && holder.identities.length >= IDENTITIES_MAX) throw tooManyIdentities()
        const now = Math.round(clock.now().wall)
        const made: TrustedIdentity = { ...wanted, id: `idn_${randomName()}`, createdAt: now }
        if ((await rows.trust(holder.id, made, now)) === 'taken') throw takenIdentity()
        return apiKey(holder.id)
      },
      async untrust(id, identity) {
        const { id: known } = await apiKey(id)
        const removed = typeof identity === 'string' ? await rows.untrust(known, identity) : 'unknown'
        if (removed === 'unknown') throw unknownIdentity()
        return apiKey(known)
      },
    },
    localRefreshTokens: {
      async share(connection, to) {
        const id = connectionId(connection)
        const holder = await apiKey(to?.with)
        if (!lives(holder)) throw unknownApiKey(holder.id)
        const refreshToken = `${LOCAL_REFRESH_TOKEN_PREFIX}${randomBytes(SECRET_BYTES).toString('base64url')}`
        const made: LocalRefreshToken = {
          id: `lrt_${randomName()}`,
          connection: id,
          apiKey: holder.id,
          createdAt: Math.round(clock.now().wall),
          revokedAt: null,
        }
        const added = await rows.addLocalRefreshToken(made, digestOf(refreshToken), holder.labels)
        if (added === 'unknown') throw unknownConnection(id, holder)
        return { localRefreshToken: made, refreshToken }
      },
      async list(connection) {
        const id = connectionId(connection)
        const found = await rows.localRefreshTokens(id)
        if (found === 'unknown') throw unknownConnection(id)
        return found
      },
      get: localRefreshToken,
      async revoke(id) {
        const { id: known } = await localRefreshToken(id)
        await rows.revokeLocalRefreshToken(known, Math.round(clock.now().wall))
        return localRefreshToken(known)
      },
    },
    callers: {
      async byKey(key) {
        if (!looksLike(KEY_PREFIX, key)) return null
        const found = await rows.apiKey({ digest: digestOf(key) })
        return found !== null && lives(found) ? found : null
      },
      async byJwt(jwt) {
        // What is no JWT at all is told from one without the library.
        if (typeof jwt !== 'string' || !COMPACT.test(jwt)) return { kind: 'nobody' }
        const { named, check } = await shownJwts()
        const shown = named(jwt)
        if (shown === null) return { kind: 'nobody' }
        const apiKey = await rows.apiKeyTrusting(shown)
        const identity = apiKey?.identities.find((each) => isSame(each, shown))
        if (apiKey === null || identity === undefined || !lives(apiKey)) return { kind: 'nobody' }
        const checked = await check(jwt, identity)
        return checked.kind === 'valid'
          ? { kind: 'known', apiKey, identity, until: checked.until }
          : { ...checked, apiKey, identity }
      },
      async byLocalRefreshToken(token) {
        if (!looksLike(LOCAL_REFRESH_TOKEN_PREFIX, token)) return null
        return rows.shared(digestOf(token), Math.floor(clock.now().wall))
      },
      admits: async (connection, labels) => rows.admits(connectionId(connection), labels),
      // A realm comes from a path, and may be anything: nobody has named a source for that.
      source: async ({ id, labels }, provider) =>
        typeof provider === 'string' ? rows.source({ id, labels }, provider) : null,
    },
  }
}

/** By which a scanner for secrets recognises them. */
export const KEY_PREFIX = 'tkk_'
export const LOCAL_REFRESH_TOKEN_PREFIX = 'tkr_'
const SECRET_BYTES = 32
const NAME_BYTES = 9

const IDENTITIES_MAX = 100
/** A signed JWT in its compact form (RFC 7515 section 7.1). */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/
const isSame = (one: Named, other: Named): boolean => one.issuer === other.issuer && one.subject === other.subject

const digestOf = (secret: string): string => hash('sha256', secret, 'base64url')
/** Letters and digits alone, so that it needs no quotes anywhere and does not begin like an option. */
const randomName = (): string => randomBytes(NAME_BYTES).toString('hex')

/** What cannot be one of ours is not looked for. */
const looksLike = (prefix: string, secret: unknown): secret is string =>
  typeof secret === 'string' &&
  secret.length === prefix.length + Math.ceil((SECRET_BYTES * 4) / 3) &&
  secret.startsWith(prefix)

const unknownApiKey = (id: unknown): TokenError =>
  new TokenError(
    'unknown_api_key',
    'there is no such API key, or it is revoked or past its end: give the id of one (`tokenkeep key list`), not the key itself.',
    named(id, /^key_[0-9a-f]{1,40}$/),
  )

const unknownLocalRefreshToken = (id: unknown): TokenError =>
  new TokenError(
    'unknown_local_refresh_token',
    'there is no such local refresh token: give its id (`tokenkeep connection shares ID` lists them), not the token itself.',
    named(id, /^lrt_[0-9a-f]{1,40}$/),
  )

const takenIdentity = (): TokenError =>
  new TokenError(
    'in_use',
    'another API key trusts this issuer and subject: a JWT stands for one key. Take it from that one first (`tokenkeep key untrust`).',
  )

const unknownIdentity = (): TokenError =>
  new TokenError(
    'invalid_input',
    'this API key trusts no identity of that id: `tokenkeep key list` shows them, they begin with idn_.',
  )

const tooManyIdentities = (): TokenError =>
  new TokenError('invalid_input', `an API key trusts at most ${IDENTITIES_MAX} identities.`)

/** Whoever gives the secret for its id must not find it in an error. */
const named = (id: unknown, shape: RegExp): { subject?: string } =>
  typeof id === 'string' && shape.test(id) ? { subject: id } : {}

/** An id as an error may repeat it: a secret of ours in its place has the form of an id. */
const repeatable = (id: string): boolean => !id.startsWith(KEY_PREFIX) && !id.startsWith(LOCAL_REFRESH_TOKEN_PREFIX)
const quoted = (id: string): string => (repeatable(id) ? `"${id}"` : 'of this name')
const about = (id: string): { subject?: string } => (repeatable(id) ? { subject: id } : {})

const unknownConnection = (id: string, holder: Pick<ApiKey, 'id' | 'labels'> | null = null): TokenError =>
  new TokenError(
    'unknown_connection',
    holder === null || Object.keys(holder.labels).length === 0
      ? `there is no connection ${quoted(id)} (\`tokenkeep connection list\`).`
      : `there is no connection ${quoted(id)} with the labels that API key "${holder.id}" is limited to.`,
    about(id),
  )

const noSuchSource = (wrong: WrongSource, provider: string, connection: string | null): TokenError =>
  wrong === 'unknown_provider' || connection === null
    ? new TokenError('unknown_provider', `there is no provider ${quoted(provider)}`, about(provider))
    : new TokenError(
        'unknown_connection',
        `provider ${quoted(provider)} has no connection ${quoted(connection)} that this key may use: a source is a ` +
          'connection of that provider, with the labels that the key is limited to.',
        about(connection),
      )
