/** The acts on connections that await: import, reconnect, list, introspect, report a 401, delete. */
import type { BlockedReason, BoundKey, NeedsUserReason, SealedGrant, Status, View } from './connection.ts'
import {
  checkConnectionMembers,
  checkSignInMembers,
  clientIdOf,
  connectionId,
  readLabelChanges,
  readLabels,
  readLimit,
  readList,
  readLogout,
  readToken,
  sealSignIn,
  shortText,
  type ConnectionInput,
  type LabelOptions,
  type ListOptions,
  type LogoutInput,
  type SealingFor,
  type SignInInput,
} from './connection-input.ts'
import { assertNever, TokenError } from './failures.ts'
import { sourceOf, type GrantRequest } from './grant-request.ts'
import { readGrantRequest } from './grant-request-input.ts'
import { closedError, errorFor, goneError, onHold, unreadable } from './handout.ts'
import type { ConnectionId, Serial, Uid } from './ids.ts'
import { labelsRefused } from './label-refused.ts'
import { createIntrospectionTrust } from './introspection-trust.ts'
import type { Manager } from './manager.ts'
import type { Overview } from './overview.ts'
import type { Deletion, Draft, HistoryEntry, Ports } from './ports.ts'
import { runsAgain, type GrantType, type OpenedClient } from './provider.ts'
import { Secret } from './secret.ts'
import { ms, since } from './time.ts'
import { FULL } from './variant.ts'

/** A connection as people see it: no secret is in it. */
export interface ConnectionInfo {
  readonly id: string
  readonly uid: string
  readonly provider: string
  readonly client: string
  readonly grantType: GrantType
  /** What a grant that is run again brings beside its client; null: nothing. */
  readonly grantRequest: GrantRequest | null
  readonly status: Status
  /** With `needs_user`. */
  readonly reason: NeedsUserReason | null
  /** With `blocked`: what the operator has to mend. */
  readonly blocked: BlockedReason | null
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

export interface Connections {
  /** @throws TokenError `connection_exists`, `refresh_token_held`, `unknown_client`, `invalid_input` */
  import(input: ConnectionInput): Promise<ConnectionInfo>
  /** A new sign-in for a connection that exists; its id, labels and history stay. */
  reconnect(id: string, input: SignInInput): Promise<ConnectionInfo>
  get(id: string): Promise<ConnectionInfo>
  /**
   * In the order of the ids' UTF-8 bytes, up to the limit.
   *
   * @throws TokenError `invalid_input`, `store_unavailable`, `closed`
   */
  list(options?: ListOptions): Promise<readonly ConnectionInfo[]>
  /**
   * The same, but for so much work at once: a page can be short, or empty, and have a next one all the same.
   *
   * @returns `next`: to be given as `after`; null: there is nothing behind
   * @throws TokenError `invalid_input`, `store_unavailable`, `closed`
   */
  page(options?: ListOptions): Promise<ConnectionsPage>
  /**
   * How many there are in each status, what is wrong with them, and whose end comes soon.
   *
   * @param labels only connections with all of these are counted; all where absent
   * @throws TokenError `invalid_input`, `store_unavailable`, `closed`
   */
  overview(labels?: Readonly<Record<string, string>>): Promise<Overview>
  /**
   * Hand-outs stop at once; the refresh token is revoked at the provider (RFC 7009); then every secret is erased.
   *
   * @returns `revokedUpstream` false: the provider has no revocation, or did not confirm it yet. While it cannot be
   *   reached the connection stays `deleting`, and revoking is tried again for 3 days
   * @throws TokenError `unknown_connection`, `store_unavailable`, `closed`
   */
  delete(id: string): Promise<{ readonly revokedUpstream: boolean }>
  /**
   * Lets the refresh token of a connection that is in doubt, suspect or blocked be presented now, once, and waits for what
   * comes of it. In doubt this can end the sign-in where the provider is strict; the other way out is `reconnect`.
   *
   * @param how `present` is the one way
   * @returns the connection afterwards; unchanged where there was nothing to resolve
   * @throws TokenError `needs_user`: only a new sign-in helps; `unknown_connection`, `deleting`, `store_unavailable`
   */
  resolve(id: string, how: 'present'): Promise<ConnectionInfo>
  /**
   * A provider ended a session, or all sessions of a subject: hand-outs stop at once for every connection of them, and the
   * next presentation decides.
   *
   * @returns the ids of those connections; not those that signed in after the event, nor offline access unless the event
   *   revokes it
   * @throws TokenError `invalid_input`, `store_unavailable`
   * @see OpenID Connect Back-Channel Logout 1.0 sections 2.6 and 2.7
   */
  logout(event: LogoutInput): Promise<{ readonly signedOut: readonly string[] }>
  /**
   * Sets labels, and takes some away.
   *
   * @param changes null takes a label away; what is not named stays (RFC 7396)
   * @throws TokenError `unknown_connection`, `deleting`; `changed_meanwhile`: the labels are not those of `unchangedFrom`;
   *   `forbidden`: they would not be `within` any more; `invalid_input`, `store_unavailable`
   */
  label(id: string, changes: Readonly<Record<string, string | null>>, options?: LabelOptions): Promise<ConnectionInfo>
  /** Who presented this connection's refresh tokens, newest first. */
  history(id: string, limit?: number): Promise<readonly HistoryEntry[]>
}

export interface ConnectionsPage {
  readonly connections: readonly ConnectionInfo[]
  readonly next: string | null
}

/** A session or a subject has few connections; read in pages all the same. */
const LOGOUT_PAGE = 100

/** What became of the report that an API refused an access token. */
export interface Rejection {
  /** It is the one that we hand out. Otherwise the next hand-out is another anyway. */
  readonly current: boolean
  /** It came from a refresh that such a report had forced: that API refuses everything, and no refresh follows now. */
  readonly stillRefused: boolean
  /** With `stillRefused`: from when on a report is heard again, epoch milliseconds. */
  readonly retryAt: number | null
}

export interface Custody extends Connections {
  rejected(id: string, accessToken: string): Promise<Rejection>
  introspect(id: string): Promise<'active' | 'inactive' | 'unsupported' | 'unavailable'>
  finishDeletion(view: View): Promise<void>
  /** The key that the tokens of a connection are bound to; null: they are bound to none. */
  boundKey(id: string): Promise<BoundKey | null>
}

export function createConnections(ports: Ports, manager: Manager, isClosed: () => boolean): Custody {
  const { registry, cipher, clock, random, events } = ports
  const { store } = manager
  const trust = createIntrospectionTrust()

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

  /** A key for this grant alone: the one that came with it, or a new one. */
  const keyFor = async (
    input: SignInInput,
    { client, id }: { readonly client: OpenedClient; readonly id: ConnectionId },
  ): Promise<BoundKey | null> => {
    const wrong = whyNotBound(input, client)
    if (wrong !== null) throw new TokenError('invalid_input', wrong, { subject: id })
    if (!client.dpopBoundAccessTokens) return null
    const bound = await (input.dpopKey === undefined ? ports.dpopKeys.make() : ports.dpopKeys.read(input.dpopKey))
    if ('wrong' in bound) throw new TokenError('invalid_input', `dpopKey ${bound.wrong}`, { subject: id })
    return bound
  }

  const sealed = async (
    input: SignInInput,
    of: Pick<SealingFor, 'grantType' | 'provider' | 'uid'> & Parameters<typeof keyFor>[1],
  ): Promise<SealedGrant> => {
    const key = await keyFor(input, of)
    return sealSignIn(input, {
      ...of,
      dpopKey: key,
      sealer: await cipher.sealer(),
      serial: random.uuid() as Serial,
      now: clock.now().wall,
      unknownLifetimeMs: manager.numbers.lifetimeUnknownMs,
    })
  }

  /** A token that is exchanged for one that is exchanged for it would never come. */
  const refuseCircle = async (id: ConnectionId, first: ConnectionId | null): Promise<void> => {
    const seenIds: ConnectionId[] = []
    for (let source = first; source !== null;) {
      if (source === id || seenIds.includes(source)) {
        throw new TokenError(
          'invalid_input',
          `connection "${id}" would be exchanged for the token of connection "${first ?? ''}", which comes from "${id}" itself: name another connection`,
          { subject: id },
        )
      }
      seenIds.push(source)
      const view = await store.read(source)
      if ('kind' in view && source === first) throw goneError(view, source)
      if ('kind' in view) return
      source = sourceOf(view.row.grantRequest)
    }
  }

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
    if ((await store.finishDelete(deletion, revokedUpstream)) === 'changed') {
      // A late answer was kept while we revoked: what it brought lives, and nobody else will revoke it.
      const again = await store.beginDelete(view.at)
      return again.kind !== 'deleting' ? { revokedUpstream: false } : revokeAndErase(again)
    }
    manager.cache.drop(view.row.uid)
    events.tell({ ...about(view), type: 'connection_deleted', revokedUpstream })
    return { revokedUpstream }
  }

  return {
    async import(input) {
      open()
      checkConnectionMembers(input)
      const id = connectionId(input.id)
      const grantType = input.grantType ?? 'refresh_token'
      const grantRequest = readGrantRequest(input)
      const client = await registry.client(clientIdOf(input.client))
      if (client === null) throw unknownClient(input.client)
      if (typeof client === 'string') throw unreadable(client, id)
      const provider = await registry.provider(client.provider)
      if (provider === null)
        throw new TokenError('unknown_provider', `client "${client.id}" names a provider that does not exist`, {
          subject: client.id,
        })
      if (grantType === 'client_credentials') refusePublic(client)
      if (grantRequest !== null) {
        refuseKeyless(grantRequest, client)
        await refuseCircle(id, sourceOf(grantRequest))
      }
      const uid = random.uuid() as Uid
      const draft: Draft = {
        uid,
        id,
        client: client.id,
        grantType,
        grantRequest,
        subject: shortText('subject', input.subject),
        sessionId: shortText('sessionId', input.sessionId),
        labels: readLabels(input.labels),
        granted: await sealed(input, { grantType, provider, uid, client, id }),
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
      open()
      checkSignInMembers(input)
      for (;;) {
        const view = await seen(given)
        if (runsAgain(view.row.grantType)) {
          throw new TokenError(
            'invalid_input',
            `connection "${view.row.id}" runs its grant again (${view.row.grantType}): there is no sign-in to renew`,
            { subject: view.row.id },
          )
        }
        const { grantType, uid } = view.row
        refuseOtherAccount(view, input)
        const of = { grantType, provider: view.terms.provider, uid, client: await clientOf(view), id: view.row.id }
        const granted = await sealed(input, of)
        const done = await store.replaceGrant(view.at, granted, {
          subject: shortText('subject', input.subject),
          sessionId: shortText('sessionId', input.sessionId),
        })
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

    async page(options = {}) {
      open()
      const { views, next } = await store.page(readList(options))
      return { connections: views.map(infoOf), next }
    },

    async overview(labels) {
      open()
      return store.overview(readLabels(labels))
    },

    async delete(given) {
      const view = await seen(given)
      let deletion = await store.beginDelete(view.at)
      if (deletion.kind === 'on_hold') throw onHold(given)
      if (deletion.kind === 'gone') throw goneError(deletion, given)
      manager.cache.drop(view.row.uid)
      if (deletion.open !== null) {
        await (manager.flights.of(view.row.uid)?.done ?? manager.watches.watch(deletion.view))
        deletion = await store.beginDelete(deletion.view.at)
        // Another process has erased it meanwhile. Whether it was revoked was said there, and is not known here.
        if (deletion.kind !== 'deleting') return { revokedUpstream: false }
      }
      const done = await revokeAndErase(deletion)
      return done === 'later' ? { revokedUpstream: false } : done
    },

    async resolve(given, how) {
      const view = await seen(given)
      // People write this by hand, also in plain JavaScript.
      if ((how as string) !== 'present')
        throw new TokenError('invalid_input', 'how is "present"; to sign in anew use `connections.reconnect`')
      const { id, state } = view.row
      if (state.status === 'needs_user') throw errorFor({ code: 'needs_user', reason: state.reason }, id)
      const allowed = await store.presentNow(view.at)
      if ('kind' in allowed) throw goneError(allowed, id)
      if (allowed.row.presentNow === null) return infoOf(allowed)
      await manager.tend(allowed)
      return infoOf(await seen(given))
    },

    async label(given, changes, options = {}) {
      const wanted = readLabelChanges(changes)
      const view = await seen(given)
      const done = await store.label(view.at, wanted, options)
      if (!('kind' in done)) return infoOf(done)
      throw done.kind === 'gone' ? goneError(done, given) : labelsRefused(done.kind, view.row.id)
    },

    async logout(given) {
      open()
      const { provider, clients, ...event } = readLogout(given)
      const signedOut: string[] = []
      let after: ConnectionId | undefined
      for (;;) {
        const views = await store.list({ provider, ...event.of, limit: LOGOUT_PAGE, after })
        for (const view of views) {
          if (clients?.has(view.row.client) === false) continue
          const done = await store.signOut(view.at, event)
          if (done.kind !== 'marked' && done.kind !== 'known') continue
          signedOut.push(view.row.id)
          manager.cache.drop(view.row.uid)
          if (done.kind === 'marked') events.tell({ ...about(done.view), type: 'signed_out' })
        }
        after = views.at(-1)?.row.id
        if (views.length < LOGOUT_PAGE) return { signedOut }
      }
    },

    async history(given, limit = 50) {
      const view = await seen(given)
      return store.history(view.row.id, readLimit(limit))
    },

    async rejected(given, accessToken) {
      const view = await seen(given)
      const token = new Secret('access_token', readToken('accessToken', accessToken))
      const fingerprint = (await cipher.sealer()).fingerprint(token)
      const result = await store.reject(view.at, fingerprint)
      if ('kind' in result) throw goneError(result, given)
      // Also one that is not current: what we remember may be older than what another process wrote.
      manager.cache.drop(view.row.uid)
      events.tell({
        ...about(result.view),
        type: 'access_token_rejected',
        accessTokenFingerprint: fingerprint,
        current: result.current,
      })
      const named = result.view.accessTokens.find((each) => each.fingerprint === fingerprint)
      const stillRefused = result.current && named?.refusedAt === null
      return {
        current: result.current,
        stillRefused,
        retryAt: stillRefused ? (result.view.row.forced?.notBefore ?? null) : null,
      }
    },

    async introspect(given) {
      const view = await seen(given)
      if (view.row.state.status === 'deleting') throw goneError({ kind: 'gone', because: 'deleting' }, view.row.id)
      const token = view.accessTokens.find((each) => each.variant === FULL.key)
      if (token === undefined) return 'inactive'
      const { client, uid } = view.row
      if (trust.isSilent(client, clock.now().mono)) return 'unsupported'
      const answer = await ports.endpoint.introspect(view.terms.provider, await clientOf(view), token.token)
      if (answer === 'unsupported' || answer === 'unavailable') return answer
      const about = { client, uid, fingerprint: token.fingerprint }
      if (!trust.hear(about, answer === 'active', clock.now().mono)) return 'unsupported'
      if (answer === 'inactive') {
        await store.reject(view.at, token.fingerprint)
        manager.cache.drop(view.row.uid)
      }
      return answer
    },

    async boundKey(given) {
      const view = await seen(given)
      if (typeof view.dpopKey === 'string') throw unreadable(view.dpopKey, view.row.id)
      return view.dpopKey
    },

    async finishDeletion(view) {
      const deletion = await store.beginDelete(view.at)
      if (deletion.kind !== 'deleting') return
      if (deletion.open !== null) await manager.watches.watch(deletion.view)
      else await revokeAndErase(deletion)
    },
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
    grantRequest: row.grantRequest,
    status: row.state.status,
    reason: row.state.status === 'needs_user' ? row.state.reason : null,
    blocked: row.state.status === 'blocked' ? row.state.reason : null,
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

/** Why tokens of this sign-in could never be used with a key of ours; null: they can, or are bound to none. */
function whyNotBound(
  input: SignInInput,
  { id, dpopBoundAccessTokens, tokenEndpointAuthMethod }: OpenedClient,
): string | null {
  const { dpopKey, tokenType, refreshToken } = input
  if (!dpopBoundAccessTokens) {
    return dpopKey === undefined
      ? null
      : `dpopKey is given and client "${id}" proves none: set dpopBoundAccessTokens with \`clients.put\` (CLI: \`client add --dpop\`)`
  }
  if (dpopKey !== undefined) return null
  if (input.accessToken !== undefined && typeof tokenType === 'string' && tokenType.toLowerCase() === 'dpop') {
    return 'its access token is bound to a key (DPoP) which is not given: bring dpopKey, or leave the access token out'
  }
  // RFC 9449 section 5: those of a client that proves itself otherwise are bound to no key.
  return refreshToken != null && tokenEndpointAuthMethod === 'none'
    ? `refresh tokens of client "${id}", which has no secret, are bound to the key that they were made with: bring it as dpopKey (CLI: \`--dpop-key-file\`), or sign in anew`
    : null
}

/** RFC 6749 section 4.4: who has nothing to prove itself with has no access of its own. */
function refusePublic({ id, tokenEndpointAuthMethod }: OpenedClient): void {
  if (tokenEndpointAuthMethod !== 'none') return
  throw new TokenError(
    'invalid_input',
    `client "${id}" proves itself by nothing, and client credentials are for clients that do: give it its secret, key or ` +
      'certificate (`clients.put`, CLI: `tokenkeep client add`), or let a person sign in',
    { subject: id },
  )
}

/** What cannot ever be signed is refused before it is kept. */
function refuseKeyless(request: GrantRequest, client: OpenedClient): void {
  if (request.kind !== 'jwt_bearer' || request.assertion.from !== 'client_key' || client.keys.signing !== null) return
  throw new TokenError(
    'invalid_input',
    `client "${client.id}" has no key of its own to sign an assertion with: give it one (\`clients.put\` with ` +
      '`tokenEndpointAuthMethod: "private_key_jwt"`, CLI: `tokenkeep client add --auth-method private_key_jwt`), or name a ' +
      'file that holds the assertion',
    { subject: client.id },
  )
}

/** A slip here would give one person the tokens of another. */
function refuseOtherAccount(view: View, { subject, otherAccount }: SignInInput): void {
  const { id, subject: known } = view.row
  if (otherAccount === true || subject === undefined || known === null || subject === known) return
  throw new TokenError(
    'invalid_input',
    `connection "${id}" belongs to another subject than this sign-in. Import it under an id of its own, or say ` +
      '`otherAccount: true` (CLI: `--other-account`) where the change is meant.',
    { subject: id },
  )
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
