/** A Tokenkeep as users open it, with one provider and one client. */
import { join } from 'node:path'
import { openTokenkeep, type OpenOptions, type Tokenkeep } from '@tokenkeep/node'
import { issueToken, ACCESS_TOKEN_BYTES, REFRESH_TOKEN_BYTES } from './issued-token.ts'
import { makeScratch } from './scratch.ts'

export interface Installation extends AsyncDisposable {
  readonly keep: Tokenkeep
  readonly folder: string
  readonly database: string
  readonly keyFile: string
  /**
   * Imports connections named `<prefix>-<n>`, each with a refresh token of its own.
   *
   * @param accessTokenLivesMs null: without an access token, so that the first request refreshes
   */
  connect(prefix: string, count: number, accessTokenLivesMs: number | null): Promise<readonly string[]>
}

export interface InstallationOptions extends Pick<OpenOptions, 'cacheBytes'> {
  /** Where tokens are refreshed; absent: nowhere, for rows that never refresh. */
  readonly tokenEndpoint?: string
}

/** What the client says to the endpoint; the exchange that is compared with says the same. */
export const CLIENT_ID = 'bench'
export const CLIENT_SECRET = 'bench-client-secret'

export async function openInstallation({
  tokenEndpoint = 'http://127.0.0.1:9/token',
  ...options
}: InstallationOptions = {}): Promise<Installation> {
  const scratch = await makeScratch()
  const database = join(scratch.folder, 'data', 'tokenkeep.db')
  const keyFile = join(scratch.folder, 'configuration', 'tokenkeep.key')
  const keep = await openTokenkeep({ path: database, keyFile, ...options })
  await keep.providers.put({ id: 'bare', tokenEndpoint, reuse: { kind: 'strict' } })
  await keep.clients.put({
    id: 'app',
    provider: 'bare',
    clientId: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    tokenEndpointAuthMethod: 'client_secret_post',
  })
  return {
    keep,
    folder: scratch.folder,
    database,
    keyFile,
    async connect(prefix, count, accessTokenLivesMs) {
      const ids = Array.from({ length: count }, (_, index) => `${prefix}-${index}`)
      await Promise.all(
        ids.map((id) =>
          keep.connections.import({
            id,
            client: 'app',
            refreshToken: issueToken(`rt-${id}`, REFRESH_TOKEN_BYTES),
            scope: 'openid offline_access',
            ...(accessTokenLivesMs === null
              ? {}
              : {
                  accessToken: issueToken(`at-${id}`, ACCESS_TOKEN_BYTES),
                  expiresAt: Date.now() + accessTokenLivesMs,
                }),
          }),
        ),
      )
      return ids
    },
    async [Symbol.asyncDispose]() {
      await keep.close()
      await scratch[Symbol.asyncDispose]()
    },
  }
}
