/** A real authorization server and a real Tokenkeep on a file, with clocks that a test can move. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startDevserver, type Devserver, type RealmOptions, type SessionSeed } from '@tokenkeep/devserver'
import type { TokenkeepEvent } from '@tokenkeep/core'
import { openWithClocks } from '../src/open-tokenkeep.ts'
import type { ProviderInput } from '../src/provider-input.ts'
import type { OpenOptions, Tokenkeep } from '../src/tokenkeep.ts'
import { movableClocks, type MovableClocks } from './fixtures/movable-clocks.ts'

export const CLIENT_SECRET = 'client-secret-canary-7f3a'

export interface World extends AsyncDisposable {
  readonly server: Devserver
  readonly keep: Tokenkeep
  readonly clocks: MovableClocks
  readonly folder: string
  readonly path: string
  readonly events: readonly TokenkeepEvent[]
  /** Seeds a session and imports it. */
  connect(
    id: string,
    seed?: Partial<SessionSeed>,
  ): Promise<{ sessionId: string; accessToken: string; refreshToken: string }>
  /** Another Tokenkeep on the same file, as another process would open it. */
  reopen(options?: Partial<OpenOptions>): Promise<Tokenkeep>
  /** Every refresh token, access token and secret that went through this test. */
  readonly secrets: ReadonlySet<string>
}

export interface WorldOptions {
  readonly realm?: Partial<RealmOptions>
  readonly provider?: Partial<ProviderInput>
  readonly open?: Partial<OpenOptions>
  /** Movable ones where absent. */
  readonly clocks?: MovableClocks
}

export async function openWorld({ realm = {}, provider = {}, open = {}, ...more }: WorldOptions = {}): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-world-'))
  const server = await startDevserver({
    realms: [
      {
        name: 'external',
        ...realm,
        clients: [
          { clientId: 'app', clientSecret: CLIENT_SECRET, tokenEndpointAuthMethod: 'client_secret_post' },
          ...(realm.clients ?? []),
        ],
      },
    ],
  })
  const clocks = more.clocks ?? movableClocks()
  const path = join(folder, 'tokens.db')
  const events: TokenkeepEvent[] = []
  const secrets = new Set<string>([CLIENT_SECRET])
  const opened: Tokenkeep[] = []
  const reopen = async (options: Partial<OpenOptions> = {}): Promise<Tokenkeep> => {
    const keep = await openWithClocks(
      {
        path,
        keyFile: join(folder, 'config', 'test.key'),
        keyBesideData: true,
        background: false,
        onEvent: (event) => events.push(event),
        ...open,
        ...options,
      },
      clocks,
    )
    opened.push(keep)
    return keep
  }
  const keep = await reopen()
  await keep.providers.put({
    id: 'external',
    preset: 'keycloak',
    issuer: server.issuer('external'),
    narrowing: 'token_only',
    ...provider,
  })
  await keep.clients.put({
    id: 'app',
    provider: 'external',
    clientId: 'app',
    clientSecret: CLIENT_SECRET,
    tokenEndpointAuthMethod: 'client_secret_post',
  })
  return {
    server,
    keep,
    clocks,
    folder,
    path,
    events,
    secrets,
    reopen,
    async connect(id, seed = {}) {
      const session = await server.control.seedSession('external', { clientId: 'app', ...seed })
      const refreshToken = session.refreshToken
      if (refreshToken === null) throw new Error('the seeded session has no refresh token')
      secrets.add(session.accessToken).add(refreshToken)
      await keep.connections.import({
        id,
        client: 'app',
        refreshToken,
        accessToken: session.accessToken,
        expiresAt: clocks.clock.now().wall + session.expiresIn * 1000,
        scope: session.scope,
      })
      return { sessionId: session.sessionId, accessToken: session.accessToken, refreshToken }
    },
    async [Symbol.asyncDispose]() {
      for (const each of opened) await each.close()
      await server.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
