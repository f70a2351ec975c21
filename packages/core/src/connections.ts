/** The acts on connections that await: import, reconnect, list, introspect, report a 401, delete. */
import type { NeedsUserReason, SealedGrant, Status, View } from './connection.ts'
import { assertNever, TokenError } from './failures.ts'
import { closedError, goneError, unreadable } from './handout.ts'
import { parseConnectionId, type ClientId, type ConnectionId, type ProviderId, type Serial, type Uid } from './ids.ts'
import type { Manager } from './manager.ts'
import type { Deletion, Draft, HistoryEntry, ListQuery, Ports, Sealer } from './ports.ts'
import type { OpenedClient, Provider } from './provider.ts'
import { Secret } from './secret.ts'
import { later, ms, since, type UnixMs } from './time.ts'
import { FULL } from './variant.ts'
import { jwtLifetime } from './grant.ts'

/** A sign-in that exists already, to be kept from now on. */
export interface ConnectionInput {
  /** What you call it: 1 to 200 characters without white space. */
  readonly id: string
  /** The id of the client it was made with (`clients.put`). */
  readonly client: string
  /** Absent or null with `client_credentials`, or where the provider gave none. */
  readonly refreshToken?: string | null | undefined
  /** `client_credentials`: a machine's own access (RFC 6749 section 4.4). `refresh_token` where absent. */
  readonly grantType?: 'refresh_token' | 'client_credentials' | undefined
  readonly accessToken?: string | undefined
  /** `Bearer` where absent. */
  readonly tokenType?: string | undefined
  /** Of the access token, epoch milliseconds. */
  readonly expiresAt?: number | undefined
  /** Of the refresh token, epoch milliseconds. */
  readonly refreshTokenExpiresAt?: number | undefined
  /** The scope that was granted, or, for `client_credentials`, that is asked for. */
  readonly scope?: string | undefined
  /** Whose sign-in it is, in your words or the provider's `sub`. */
  readonly subject?: string | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
}

/** A connection as people see it: no secret is in it. */
export interface ConnectionInfo {
  readonly id: string
  readonly uid: string
  readonly provider: string
  readonly client: string
  readonly grantType: 'refresh_token' | 'client_credentials'
  readonly status: Status
  /** With `needs_user`. */
  readonly reason: NeedsUserReason | null
  readonly subject: string | null
  readonly labels: Readonly<Record<string, string>>
  readonly scope: string | null
  readonly generation: number
  readonly hasRefreshToken: boolean
  /** Epoch milliseconds; null: no access token, or none that lives. */
  readonly accessTokenExpiresAt: number | null
  /** The lifetime of the access token was assumed, because the provider did not say it. */
  readonly lifetimeAssumed: boolean
  readonly refreshTokenExpiresAt: number | null
  readonly lastRefreshAt: number | null
  readonly nextActionAt: number | null
  readonly createdAt: number
}

export interface ListOptions {
  readonly provider?: string | undefined
  readonly status?: Status | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** 1 to 1000; 100 where absent. */
  readonly limit?: number | undefined
  /** The last id of the page before. */
  readonly after?: string | undefined
}

export interface Connections {
  /** @throws TokenError `connection_exists`, `refresh_token_held`, `unknown_client`, `invalid_input` */
  import(input: ConnectionInput): Promise<ConnectionInfo>
  /** A new sign-in for a connection that exists; its id, labels and history stay. */
  reconnect(id: string, input: Omit<ConnectionInput, 'id' | 'client' | 'grantType' | 'labels'>): Promise<ConnectionInfo>
  get(id: string): Promise<ConnectionInfo>
  list(options?: ListOptions): Promise<readonly ConnectionInfo[]>
  /** Hand-outs stop at once; the refresh token is revoked at the provider (RFC 7009); then every secret is erased. */
  delete(id: string): Promise<{ readonly revokedUpstream: boolean }>
  /** Who presented this connection's refresh tokens, newest first. */
  history(id: string, limit?: number): Promise<readonly HistoryEntry[]>
}

export interface Custody extends Connections {
  rejected(id: string, accessToken: string): Promise<{ readonly current: boolean }>
  introspect(id: string): Promise<'active' | 'inactive' | 'unsupported' | 'unavailable'>
  finishDeletion(view: View): Promise<void>
}

const TOKEN_LENGTH_MAX = 16 * 1024
const LABELS_MAX = 32
const LABEL_LENGTH_MAX = 200
const LIST_MAX = 1000

export function createConnections(ports: Ports, manager: Manager, isClosed: () => boolean): Custody {
  const { store, registry, cipher, clock, random, events } = ports

  const open = (): void => {
    if (isClosed()) throw closedError()
  }

  const seen = async (given: string): Promise<View> => {
    open()
    const id = connectionId(given)
    const view = await store.read(id)
    if ('kind' in view) throw goneError(view, id)
    return view
  }

  const clientOf = async (view: View): Promise<OpenedClient> => {
    const client = await registry.client(view.row.client)
    if (client === null) throw unknownClient(view.row.client)
    if (typeof client === 'string') throw unreadable(client, view.row.id)
    return client
  }

  const about = (view: View) => ({
    at: clock.now().wall,
    connection: view.row.id,
    uid: view.row.uid,
    provider: view.row.provider,
  })

  /** Revokes what is left and erases; while an attempt is open, or the provider cannot be reached, the rest stays due. */
  const revokeAndErase = async (deletion: Deletion): Promise<{ revokedUpstream: boolean } | 'later'> => {
    if (deletion.open !== null) return 'later'
    const { view } = deletion
    const client = await registry.client(view.row.client)
    let revokedUpstream = deletion.toRevoke.length > 0
    if (client !== null && typeof client !== 'string') {
      for (const token of deletion.toRevoke) {
        const revoked = await ports.endpoint.revoke(view.terms.provider, client, token)
        if (revoked !== 'revoked') revokedUpstream = false
        const state = view.row.state
        const tried = state.status === 'deleting' ? since(state.since, clock.now().wall) : ms(0)
        if (revoked === 'unavailable' && tried < view.terms.policy.revokeTriedMs) return 'later'
      }
    } else revokedUpstream = false
    await store.finishDelete(deletion)
    manager.cache.drop(view.row.uid)
    events.tell({ ...about(view), type: 'connection_deleted', revokedUpstream })
    return { revokedUpstream }
  }

  return {
    async import(input) {
      open()
      const id = connectionId(input.id)
      const grantType = input.grantType ?? 'refresh_token'
      const client = await registry.client(clientIdOf(input.client))
      if (client === null) throw unknownClient(input.client)
      if (typeof client === 'string') throw unreadable(client, id)
      const provider = await registry.provider(client.provider)
      if (provider === null)
        throw new TokenError('unknown_provider', `client "${client.id}" names a provider that does not exist`, {
          subject: client.id,
        })
      const uid = random.uuid() as Uid
      const draft: Draft = {
        uid,
        id,
        client: client.id,
        grantType,
        subject: shortText('subject', input.subject),
        labels: readLabels(input.labels),
        granted: sealInput(
          input,
          grantType,
          provider,
          uid,
          await cipher.sealer(),
          random.uuid() as Serial,
          clock.now().wall,
        ),
      }
      const created = await store.create(draft)
      if ('kind' in created) {
        if (created.kind === 'exists') throw exists(id)
        throw held(created.id, id)
      }
      events.tell({ ...about(created), type: 'connection_imported' })
      return infoOf(created)
    },

    async reconnect(given, input) {
      for (;;) {
        const view = await seen(given)
        if (view.row.grantType === 'client_credentials') {
          throw new TokenError(
            'invalid_input',
            `connection "${view.row.id}" uses client credentials: there is no sign-in to renew`,
            { subject: view.row.id },
          )
        }
        const granted = sealInput(
          input,
          view.row.grantType,
          view.terms.provider,
          view.row.uid,
          await cipher.sealer(),
          random.uuid() as Serial,
          clock.now().wall,
        )
        const done = await store.replaceGrant(view.at, granted, shortText('subject', input.subject))
        if (!('kind' in done)) {
          manager.cache.drop(view.row.uid)
          events.tell({ ...about(done), type: 'connection_reconnected' })
          return infoOf(done)
        }
        switch (done.kind) {
          case 'moved':
            continue
          case 'gone':
            throw goneError(done, given)
          case 'twin':
            throw held(done.id, view.row.id)
          default:
            assertNever(done)
        }
      }
    },

    async get(given) {
      return infoOf(await seen(given))
    },

    async list(options = {}) {
      open()
      return (await store.list(readList(options))).map(infoOf)
    },

    async delete(given) {
      for (;;) {
        const view = await seen(given)
        const deletion = await store.beginDelete(view.at)
        if (deletion.kind === 'gone') throw goneError(deletion, given)
        manager.cache.drop(view.row.uid)
        if (deletion.open !== null) {
          await (manager.flights.of(view.row.uid)?.done ?? manager.watches.watch(deletion.view))
          const again = await store.beginDelete(deletion.view.at)
          if (again.kind === 'gone') return { revokedUpstream: true }
          const done = await revokeAndErase(again)
          return done === 'later' ? { revokedUpstream: false } : done
        }
        const done = await revokeAndErase(deletion)
        return done === 'later' ? { revokedUpstream: false } : done
      }
    },

    async history(given, limit = 50) {
      const view = await seen(given)
      return store.history(view.row.id, Math.max(1, Math.min(limit, LIST_MAX)))
    },

    async rejected(given, accessToken) {
      const view = await seen(given)
      const token = new Secret('access_token', readToken('accessToken', accessToken))
      const fingerprint = (await cipher.sealer()).fingerprint(token)
      const result = await store.reject(view.at, fingerprint)
      if ('kind' in result) throw goneError(result, given)
      if (result.current) manager.cache.drop(view.row.uid)
      events.tell({
        ...about(result.view),
        type: 'access_token_rejected',
        accessToken: fingerprint,
        current: result.current,
      })
      return { current: result.current }
    },

    async introspect(given) {
      const view = await seen(given)
      const token = view.accessTokens.find((each) => each.variant === FULL.key)
      if (token === undefined) return 'inactive'
      const answer = await ports.endpoint.introspect(view.terms.provider, await clientOf(view), token.token)
      if (answer === 'inactive') {
        await store.reject(view.at, token.fingerprint)
        manager.cache.drop(view.row.uid)
      }
      return answer
    },

    async finishDeletion(view) {
      const deletion = await store.beginDelete(view.at)
      if (deletion.kind === 'gone') return
      if (deletion.open !== null) await manager.watches.watch(deletion.view)
      else await revokeAndErase(deletion)
    },
  }
}

// ---- reading what people wrote -------------------------------------------------------------------------------------

function connectionId(given: unknown): ConnectionId {
  const parsed = parseConnectionId(given)
  if ('wrong' in parsed) throw new TokenError('invalid_input', parsed.wrong)
  return parsed.id
}

function clientIdOf(given: unknown): ClientId {
  if (typeof given !== 'string' || given === '')
    throw new TokenError('invalid_input', 'client is the id of a client (`clients.put`)')
  return given as ClientId
}

/** Tokens are never echoed: not in the message, not cut, not counted to the character. */
function readToken(field: string, value: unknown): string {
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

function shortText(field: string, value: string | undefined): string | null {
  if (value === undefined) return null
  if (typeof value !== 'string' || value.length > LABEL_LENGTH_MAX || /\p{C}/u.test(value)) {
    throw new TokenError(
      'invalid_input',
      `${field} is a text of at most ${LABEL_LENGTH_MAX} characters without control characters`,
    )
  }
  return value
}

function readLabels(labels: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> {
  const entries = Object.entries(labels ?? {})
  if (entries.length > LABELS_MAX) throw new TokenError('invalid_input', `at most ${LABELS_MAX} labels`)
  for (const [name, value] of entries) {
    if (!/^[A-Za-z0-9._/-]{1,64}$/.test(name)) {
      throw new TokenError('invalid_input', 'a label name has 1 to 64 of the characters A-Z a-z 0-9 . _ / -')
    }
    shortText(`label "${name}"`, value)
  }
  return Object.fromEntries(entries)
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

function sealInput(
  input: Omit<ConnectionInput, 'id' | 'client' | 'labels'>,
  grantType: 'refresh_token' | 'client_credentials',
  provider: Provider,
  uid: Uid,
  sealer: Sealer,
  serial: Serial,
  now: UnixMs,
): SealedGrant {
  if (grantType !== 'refresh_token' && grantType !== 'client_credentials') {
    throw new TokenError('invalid_input', 'grantType is "refresh_token" or "client_credentials"')
  }
  const given = input.refreshToken ?? undefined
  if (grantType === 'client_credentials' && given !== undefined) {
    throw new TokenError(
      'invalid_input',
      'client credentials have no refresh token: leave one of the two out (RFC 6749 section 4.4.3)',
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
  const saidEnd = epoch('expiresAt', input.expiresAt)
  const lifetimeMs =
    saidEnd !== null
      ? since(now, saidEnd)
      : (provider.accessTokenLifetimeMs ?? (at === null ? null : jwtLifetime(at)) ?? ms(5 * 60_000))
  return {
    variant: FULL.key,
    refreshToken: rt && {
      sealed: sealer.seal(rt, { owner: uid, purpose: 'rt', serial }),
      serial,
      fingerprint: sealer.fingerprint(rt),
      receivedAt: now,
      endsAt: rtEnds,
      lifetimeMs: rtEnds === null ? null : since(now, rtEnds),
    },
    accessToken: at && {
      variant: FULL.key,
      sealed: sealer.seal(at, { owner: uid, purpose: `at:${FULL.key}`, serial }),
      serial,
      fingerprint: sealer.fingerprint(at),
      tokenType: input.tokenType ?? 'Bearer',
      scope,
      lifetimeMs: ms(Math.max(1, lifetimeMs)),
      assumed: saidEnd === null,
      sentAt: now,
      expiresAt: saidEnd ?? later(now, lifetimeMs),
    },
    scope,
  }
}

function shortScope(scope: string | undefined): string | null {
  if (scope === undefined || scope.trim() === '') return null
  if (scope.length > 4000 || !/^[\x20-\x7E]+$/.test(scope))
    throw new TokenError('invalid_input', 'scope is a list of scope tokens separated by spaces (RFC 6749 section 3.3)')
  return scope.trim()
}

function readList(options: ListOptions): ListQuery {
  const limit = options.limit ?? 100
  if (!Number.isInteger(limit) || limit < 1 || limit > LIST_MAX)
    throw new TokenError('invalid_input', `limit is a whole number from 1 to ${LIST_MAX}`)
  return {
    provider: options.provider as ProviderId | undefined,
    status: options.status,
    labels: options.labels,
    limit,
    after: options.after as ConnectionId | undefined,
  }
}

// ---- telling -------------------------------------------------------------------------------------------------------

/** What people may see of a view. */
export function infoOf(view: View): ConnectionInfo {
  const { row } = view
  const now = view.readAt.store.wall
  const full = view.accessTokens.find(
    (token) => token.variant === FULL.key && token.expiresAt > now && token.refusedAt === null,
  )
  return {
    id: row.id,
    uid: row.uid,
    provider: row.provider,
    client: row.client,
    grantType: row.grantType,
    status: row.state.status,
    reason: row.state.status === 'needs_user' ? row.state.reason : null,
    subject: row.subject,
    labels: row.labels,
    scope: row.scope,
    generation: row.generation,
    hasRefreshToken: view.refreshToken !== null,
    accessTokenExpiresAt: full?.expiresAt ?? null,
    lifetimeAssumed: full?.assumed ?? false,
    refreshTokenExpiresAt: view.refreshToken?.endsAt ?? null,
    lastRefreshAt: row.lastGrant?.at ?? null,
    nextActionAt: row.dueAt,
    createdAt: row.createdAt,
  }
}

const unknownClient = (id: string): TokenError =>
  new TokenError(
    'unknown_client',
    `there is no client "${id}". Make it with \`clients.put\` (CLI: \`tokenkeep client add\`).`,
    { subject: id },
  )

const exists = (id: string): TokenError =>
  new TokenError(
    'connection_exists',
    `connection "${id}" exists. Use \`connections.reconnect\` (CLI: \`connection import --reconnect\`) to give it a new sign-in, or another id.`,
    { subject: id },
  )

const held = (holder: string, id: string): TokenError =>
  new TokenError(
    'refresh_token_held',
    `connection "${holder}" holds this refresh token already. Two keepers of one refresh token would end the sign-in: use "${holder}", or give "${id}" a sign-in of its own.`,
    { subject: holder },
  )
