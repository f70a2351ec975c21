/** A real authorization server, a real Tokenkeep on a file, and the server in front of it, with a clock that moves. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MonoMs, UnixMs } from '@tokenkeep/core'
import {
  startDevserver,
  type Devserver,
  type RealmOptions,
  type SeededSession,
  type SessionSeed,
} from '@tokenkeep/devserver'
import {
  openTokenkeep,
  type ApiKeyInput,
  type ConnectionInput,
  type OpenOptions,
  type ProviderInput,
  type Tokenkeep,
  type TokenkeepEvent,
} from '@tokenkeep/node'
import { createApp, type App } from '../src/http/app.ts'
import { HTTP_SETTINGS, type HttpSettings } from '../src/http/settings.ts'

export const REALM = 'external'
export const CLIENT_SECRET = 'client-secret-canary-7f3a'

/** Tests share their machine with others: a server that turns them away when that is slow is a test of its own. */
export const PATIENT = { eventLoopDelayMsMax: 0 } as const

export interface ServedKey {
  readonly id: string
  readonly key: string
}

export type FormEndpoint = 'token' | 'revoke' | 'token/introspect'

export interface PostMore {
  readonly headers?: Readonly<Record<string, string>>
  /** `external` where absent. */
  readonly realm?: string
  readonly signal?: AbortSignal
}

export interface FormAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The text as JSON; empty where there is none. */
  readonly body: Readonly<Record<string, unknown>>
}

export interface ServedWorld extends AsyncDisposable {
  /** The authorization server upstream. */
  readonly upstream: Devserver
  readonly keep: Tokenkeep
  /** Of the server under test, without a slash at the end. */
  readonly url: string
  /** Of its realm `external`, or of another one. */
  issuer(realm?: string): string
  tokenEndpoint(realm?: string): string
  /** May do everything. */
  readonly admin: ServedKey
  makeKey(input?: Partial<ApiKeyInput>): Promise<ServedKey>
  /** Seeds a session upstream and imports it; its access token is fresh unless `imported` says otherwise. */
  connect(id: string, seed?: Partial<SessionSeed>, imported?: Partial<ConnectionInput>): Promise<SeededSession>
  /** A connection whose access token has ended: whoever asks for one causes a refresh. */
  connectExpired(id: string, seed?: Partial<SessionSeed>): Promise<SeededSession>
  /** A local refresh token for this connection, bound to this key. */
  share(connection: string, key: ServedKey): Promise<string>
  /** Sends a form to an endpoint of the drop-in; a text goes as it is. */
  postForm(
    endpoint: FormEndpoint,
    form: Readonly<Record<string, string>> | string,
    more?: PostMore,
  ): Promise<FormAnswer>
  /** A token request with a local refresh token, the client in the body. */
  refresh(key: ServedKey, refreshToken: string, more?: Readonly<Record<string, string>>): Promise<FormAnswer>
  /** Puts the server's monotonic clock forward: what it believes, counts and waits for ages. Tokens do not. */
  forward(byMs: number): void
  /** What was counted: `handOut drop_in ok`, `answered dropInToken 200`, `refused unauthorized`. */
  readonly counted: readonly string[]
  /** What was told to the operator. */
  readonly logged: readonly (readonly unknown[])[]
  readonly events: readonly TokenkeepEvent[]
  /** Every token, key and secret that this world knows of. */
  readonly secrets: ReadonlySet<string>
}

export interface ServedWorldOptions {
  readonly realm?: Partial<RealmOptions>
  readonly provider?: Partial<ProviderInput>
  readonly open?: Partial<OpenOptions>
  readonly settings?: Partial<HttpSettings>
}

export const asClient = ({ id, key }: ServedKey): { client_id: string; client_secret: string } => ({
  client_id: id,
  client_secret: key,
})

/** RFC 6749 section 2.3.1, for ids and keys that need no form encoding. */
export const asBasic = ({ id, key }: ServedKey): { authorization: string } => ({
  authorization: `Basic ${Buffer.from(`${id}:${key}`).toString('base64')}`,
})

export async function openServedWorld(options: ServedWorldOptions = {}): Promise<ServedWorld> {
  const { realm = {}, provider = {}, open = {}, settings = {} } = options
  const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-served-'))
  const upstream = await startDevserver({
    realms: [
      {
        name: REALM,
        ...realm,
        clients: [
          { clientId: 'app', clientSecret: CLIENT_SECRET, tokenEndpointAuthMethod: 'client_secret_post' },
          ...(realm.clients ?? []),
        ],
      },
    ],
  })
  const secrets = new Set<string>([CLIENT_SECRET])
  const events: TokenkeepEvent[] = []
  const keep = await openTokenkeep({
    path: join(folder, 'tokens.db'),
    keyFile: join(folder, 'config', 'test.key'),
    keyBesideData: true,
    background: false,
    onEvent: (event) => events.push(event),
    ...open,
  })
  await keep.providers.put({
    id: REALM,
    preset: 'keycloak',
    issuer: upstream.issuer(REALM),
    narrowing: 'token_only',
    ...provider,
  })
  await keep.clients.put({
    id: 'app',
    provider: REALM,
    clientId: 'app',
    clientSecret: CLIENT_SECRET,
    tokenEndpointAuthMethod: 'client_secret_post',
  })
  const makeKey = async (input: Partial<ApiKeyInput> = {}): Promise<ServedKey> => {
    const { apiKey, key } = await keep.apiKeys.create({ name: 'a test', ...input })
    secrets.add(key)
    return { id: apiKey.id, key }
  }
  const served = await serve(keep, { ...HTTP_SETTINGS, ...PATIENT, ...settings })
  const connect: ServedWorld['connect'] = async (id, seed = {}, imported = {}) => {
    const session = await upstream.control.seedSession(REALM, { clientId: 'app', ...seed })
    secrets.add(session.accessToken)
    if (session.refreshToken !== null) secrets.add(session.refreshToken)
    await keep.connections.import({
      id,
      client: 'app',
      refreshToken: session.refreshToken,
      accessToken: session.accessToken,
      expiresAt: Date.now() + session.expiresIn * 1000,
      scope: session.scope,
      ...imported,
    })
    return session
  }
  const postForm: ServedWorld['postForm'] = async (endpoint, form, more = {}) => {
    const { headers = {}, realm: name = REALM, signal } = more
    const response = await fetch(`${served.url}/realms/${name}/protocol/openid-connect/${endpoint}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
      ...(signal === undefined ? {} : { signal }),
    })
    const text = await response.text()
    const json = response.headers.get('content-type')?.includes('json') === true
    const body = json ? (JSON.parse(text) as FormAnswer['body']) : {}
    return { status: response.status, headers: response.headers, text, body }
  }
  return {
    ...served,
    upstream,
    keep,
    issuer: (name = REALM) => `${served.url}/realms/${name}`,
    tokenEndpoint: (name = REALM) => `${served.url}/realms/${name}/protocol/openid-connect/token`,
    admin: await makeKey({ scopes: ['admin'] }),
    makeKey,
    connect,
    connectExpired: (id, seed) => connect(id, seed, { expiresAt: Date.now() - 1000 }),
    async share(connection, key) {
      const { refreshToken } = await keep.localRefreshTokens.share(connection, { with: key.id })
      secrets.add(refreshToken)
      return refreshToken
    },
    postForm,
    refresh: (key, refreshToken, more = {}) =>
      postForm('token', {
        grant_type: 'refresh_token',
        refresh_token: refreshToken,
        ...asClient(key),
        ...more,
      }),
    events,
    secrets,
    async [Symbol.asyncDispose]() {
      await served.app.close(1000)
      await keep.close()
      await upstream.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

interface Served extends Pick<ServedWorld, 'url' | 'forward' | 'counted' | 'logged'> {
  readonly app: App
}

async function serve(keep: Tokenkeep, settings: HttpSettings): Promise<Served> {
  const counted: string[] = []
  const logged: (readonly unknown[])[] = []
  let aheadMs = 0
  const log = (level: string) => (fields: Readonly<Record<string, unknown>>, message: string) => {
    logged.push([level, fields, message])
  }
  const app = createApp({
    keep,
    settings,
    version: '0.0.0',
    clock: { now: () => ({ wall: Date.now() as UnixMs, mono: (performance.now() + aheadMs) as MonoMs }) },
    log: { error: log('error'), warn: log('warn'), info: log('info'), debug: log('debug') },
    metrics: {
      handOut: (by, outcome) => counted.push(`handOut ${by} ${outcome}`),
      answered: (operation, status) => counted.push(`answered ${operation} ${status}`),
      received: (kind, outcome) => counted.push(`received ${kind} ${outcome}`),
      refused: (because) => counted.push(`refused ${because}`),
      proxied: (provider, outcome) => counted.push(`proxied ${provider} ${outcome}`),
      heard: () => undefined,
      expose: () => Promise.resolve({ contentType: 'text/plain', text: '' }),
    },
  })
  const { url } = await app.listen({ host: '127.0.0.1', port: 0 })
  return {
    app,
    url,
    counted,
    logged,
    forward: (byMs) => {
      aheadMs += byMs
    },
  }
}
