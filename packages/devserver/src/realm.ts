import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type Provider from 'oidc-provider'
import { ApiNonces } from './api-nonces.ts'
import { BackchannelLogouts, type LogoutPost } from './backchannel-logout.ts'
import type { AccessToken, ClientCredentials } from './engine-models.ts'
import { createEngine } from './engine.ts'
import { BY_NAME, recordName } from './engine-adapter.ts'
import { storedName } from './fingerprint.ts'
import { InvalidInput } from './json-shape.ts'
import { settleLifetimes, type Lifetimes } from './lifetimes.ts'
import { KNOWN_SCOPES, type ClientOptions, type RealmOptions, type RealmSettings } from './options.ts'
import { settleRealm } from './options-shape.ts'
import { createSigner, generateRealmKeys, type JwtSigner, type RealmKeys } from './realm-keys.ts'
import { Sessions, type Session } from './sessions.ts'
import type { State } from './state.ts'

/** What is known about an access token somebody shows. */
export type AccessTokenStanding =
  | {
      readonly standing: 'active'
      readonly scope: string
      readonly subject: string
      readonly sessionId: string | null
      /** Thumbprint of the key that it is bound to (RFC 9449); null: a bearer token. */
      readonly jkt: string | null
    }
  | { readonly standing: 'expired' | 'revoked'; readonly sessionId: string | null }
  | { readonly standing: 'unknown' }

interface AccessTokenRecord {
  readonly scope?: string
  readonly accountId?: string
  readonly clientId?: string
  readonly jkt?: string
}

interface Engine {
  readonly provider: Provider
  readonly handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>
  readonly scopes: string
  /** The scopes and settings that it was built with. */
  readonly builtWith: string
}

/**
 * Opens a realm of the state file, or founds it; options that are given win over what is stored.
 *
 * @throws {InvalidInput} a client that the engine refuses
 */
export async function openRealm(state: State, origin: string, options: RealmOptions): Promise<Realm> {
  const realm = new Realm(state, origin, options)
  for (const client of options.clients ?? []) await realm.putClient(client)
  return realm
}

/** One realm: its settings, clients and sessions in the state file, and the engine that speaks for it. */
export class Realm {
  readonly name: string
  readonly issuer: string
  readonly sessions: Sessions
  readonly state: State
  readonly keys: RealmKeys
  readonly logouts: BackchannelLogouts
  readonly #signer: JwtSigner
  #nonceSecret = randomBytes(32)
  #settings: RealmSettings
  #engine: Engine

  constructor(state: State, origin: string, options: RealmOptions) {
    const stored = state.row('SELECT * FROM realm WHERE name = ?', options.name)
    this.state = state
    this.name = options.name
    this.issuer = `${origin}/realms/${options.name}`
    this.sessions = new Sessions(state, options.name)
    this.keys = stored ? (JSON.parse(String(stored['keys'])) as RealmKeys) : generateRealmKeys()
    this.#signer = createSigner(this.keys)
    this.logouts = new BackchannelLogouts(this.issuer, this.#signer)
    this.#settings = settleRealm(options, stored && (JSON.parse(String(stored['settings'])) as RealmSettings))
    this.#save()
    this.#engine = this.#startEngine()
  }

  get settings(): RealmSettings {
    return this.#settings
  }

  /** What the engine makes its DPoP nonces from; kept in memory, so that a restart makes the old ones stale. */
  get nonceSecret(): Buffer {
    return this.#nonceSecret
  }

  get apiNonces(): ApiNonces {
    return new ApiNonces(this.#nonceSecret)
  }

  get provider(): Provider {
    return this.#engine.provider
  }

  /** The engine's request handler; the realm's path must be cut off the URL already. */
  get handle(): Engine['handle'] {
    return this.#engine.handle
  }

  /** Every scope that this realm knows, separated by spaces. */
  get scopes(): string {
    return this.#engine.scopes
  }

  change(change: Partial<Omit<RealmOptions, 'name'>>): void {
    this.#settings = settleRealm({ ...change, name: this.name }, this.#settings)
    this.#save()
    this.#engine = this.#startEngine()
  }

  /** Makes every DPoP nonce stale that was given out so far, by the engine and by the demo API. */
  renewNonces(): void {
    this.#nonceSecret = randomBytes(32)
    this.#engine = this.#startEngine()
  }

  client(clientId: string): ClientOptions | null {
    const row = this.state.row('SELECT options FROM client WHERE realm = ? AND client_id = ?', this.name, clientId)
    return row && (JSON.parse(String(row['options'])) as ClientOptions)
  }

  /** Adds or replaces a client; its sessions stay. */
  async putClient(client: ClientOptions): Promise<void> {
    const before = this.client(client.clientId)
    this.#saveClient(client)
    this.#engine = this.#startEngine()
    try {
      await this.provider.Client.find(client.clientId)
    } catch (error) {
      // The engine is the judge of redirect URIs and the like; what it refuses must not stay.
      if (before) this.#saveClient(before)
      else this.state.write('DELETE FROM client WHERE realm = ? AND client_id = ?', this.name, client.clientId)
      throw new InvalidInput(`client ${client.clientId}: ${engineComplaint(error)}`)
    }
  }

  /**
   * Ends a session as a sign-out does, and tells its client where that wants to hear of it.
   *
   * @returns the post to the client; null when there was none, also for a session that was over already
   */
  async signOut(sessionId: string): Promise<LogoutPost | null> {
    const session = this.sessions.find(sessionId)
    const client = session && this.client(session.clientId)
    if (!session || session.killedBecause !== null) return null
    this.sessions.kill(sessionId, 'logout', Date.now())
    return client && this.logouts.tell({ sessionId, subject: session.subject, client })
  }

  lifetimes(session: Session, nowMs: number): Lifetimes {
    const wishes = {
      createdMs: session.createdMs,
      sessionAccessSeconds: session.accessSeconds,
      sessionRefreshSeconds: session.refreshSeconds,
      clientAccessSeconds: this.client(session.clientId)?.accessTokenSeconds ?? null,
    }
    return settleLifetimes(this.#settings, wishes, nowMs)
  }

  /**
   * The value a client gets for a saved access token: the token itself when opaque, else a JWT that names its record.
   *
   * The engine's own JWT format keeps no record, and so could neither revoke nor introspect.
   *
   * @see RFC 9068 section 2 (header, claims)
   */
  presentable(token: AccessToken | ClientCredentials, expiresInSeconds: number): string {
    if (this.#settings.accessTokenFormat === 'opaque') return token.jti
    const nowMs = Date.now()
    const subject = 'accountId' in token ? token.accountId : undefined
    return this.#signer.sign({
      iss: this.issuer,
      sub: subject ?? token.clientId,
      aud: token.aud ?? 'account', // Keycloak's default audience.
      client_id: token.clientId,
      azp: token.clientId,
      ...('grantId' in token && token.grantId !== undefined ? { sid: token.grantId } : {}),
      scope: token.scope ?? '',
      ...(token.jkt === undefined ? {} : { cnf: { jkt: token.jkt } }),
      jti: storedName(token.jti),
      iat: Math.floor(nowMs / 1000),
      exp: Math.ceil(nowMs / 1000 + expiresInSeconds),
    })
  }

  /** The id under which the engine knows a shown token: the token itself, or the record that a JWT of ours names. */
  recordId(shown: string): string {
    // An opaque token never has this prefix (its alphabet has no dot); whoever sends it knows a hash, not a token.
    if (shown.startsWith(BY_NAME)) return ''
    const claims = shown.includes('.') ? this.#signer.read(shown) : null
    return claims === null ? shown : `${BY_NAME}${String(claims['jti'])}`
  }

  standing(shown: string, nowMs: number): AccessTokenStanding {
    const row = this.state.row(
      `SELECT * FROM artifact WHERE realm = ? AND name = ? AND model IN ('AccessToken', 'ClientCredentials')`,
      this.name,
      recordName(this.recordId(shown)),
    )
    if (row === null) return { standing: this.#signer.read(shown) === null ? 'unknown' : 'expired', sessionId: null }
    const sessionId = row['grant_id'] as string | null
    if (row['revoked_ms'] !== null) return { standing: 'revoked', sessionId }
    if (Number(row['expires_ms']) <= nowMs) return { standing: 'expired', sessionId }
    const payload = JSON.parse(String(row['payload'])) as AccessTokenRecord
    const subject = payload.accountId ?? payload.clientId ?? ''
    return { standing: 'active', scope: payload.scope ?? '', subject, sessionId, jkt: payload.jkt ?? null }
  }

  #save(): void {
    this.state.write(
      'INSERT INTO realm (name, settings, keys) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET settings = excluded.settings',
      this.name,
      JSON.stringify(this.#settings),
      JSON.stringify(this.keys),
    )
  }

  #saveClient(client: ClientOptions): void {
    this.state.write(
      `INSERT INTO client (realm, client_id, options) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET options = excluded.options`,
      this.name,
      client.clientId,
      JSON.stringify(client),
    )
  }

  /**
   * The engine fixes its scopes and features at the start, so a client with a new scope or a feature that is switched
   * means a new engine; state is not in it.
   */
  #startEngine(): Engine {
    const rows = this.state.rows('SELECT options FROM client WHERE realm = ?', this.name)
    const own = rows.flatMap((row) => (JSON.parse(String(row['options'])) as ClientOptions).scope?.split(' ') ?? [])
    const scopes = [...new Set([...KNOWN_SCOPES, ...own])].sort()
    const nonces = storedName(this.#nonceSecret.toString('hex'))
    const builtWith = JSON.stringify({ scopes, settings: this.#settings, nonces })
    if (this.#engine?.builtWith === builtWith) return this.#engine
    const provider = createEngine(this, scopes)
    return { provider, handle: provider.callback(), scopes: scopes.join(' '), builtWith }
  }
}

function engineComplaint(error: unknown): string {
  if (error instanceof Error && 'error_description' in error) return String(error.error_description)
  return error instanceof Error ? error.message : String(error)
}
