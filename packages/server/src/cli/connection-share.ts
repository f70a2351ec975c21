/** Local refresh tokens: how an OAuth client that exists already uses a connection at a server's drop-in token endpoint. */
import type { LocalRefreshToken } from '@tokenkeep/node'
import type { Keeper } from '../remote/keeper.ts'
import { parseServerUrl } from '../remote/server-url.ts'
import { withTokenkeep, type Context } from './context.ts'
import { fromNow } from './moments.ts'
import { printable } from './printable.ts'
import { findServer } from './server-place.ts'
import { pairs, table, type Cell } from './table.ts'

/** `tokenkeep connection share ID --with KEY_ID`: makes a local refresh token and shows it, which nobody can do again. */
export async function shareConnection(context: Context, id: string, holder: string): Promise<void> {
  const { output } = context
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const { localRefreshToken, refreshToken } = await keep.localRefreshTokens.share(id, { with: holder })
    const provider = await providerOf(localRefreshToken, keep)
    const server = findServer(context.options, context.around)
    const url = server === null ? null : parseServerUrl(server.url, server.said)
    const tokenEndpoint = url === null || provider === null ? null : `${url}${pathOf(provider)}`
    output.answer({ ...localRefreshToken, refreshToken, tokenEndpoint }, () => [
      ...pairs(
        [
          ['id', localRefreshToken.id],
          ['connection', localRefreshToken.connection],
          ['token endpoint', tokenEndpoint ?? `${url ?? 'SERVER'}${pathOf(provider ?? 'PROVIDER')}`],
          ['client_id', localRefreshToken.apiKey],
          ['client_secret', 'the key itself'],
          ['refresh_token', refreshToken],
        ],
        output.colours.dim,
      ),
      '',
      'The refresh token is shown now and never again. It stays the same, and any number of processes may use it at once.',
    ])
  })
}

/** `tokenkeep connection shares ID` */
export async function listShares(context: Context, id: string): Promise<void> {
  const { output, around } = context
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const found = await keep.localRefreshTokens.list(id)
    output.answer(found, () =>
      found.length === 0
        ? [`${printable(id)} is shared with nobody: \`tokenkeep connection share\` does`]
        : table(
            ['ID', 'API KEY', 'MADE', 'REVOKED'],
            found.map(({ id, apiKey, createdAt, revokedAt }): Cell[] => [
              id,
              apiKey,
              fromNow(createdAt, around.now()),
              revokedAt === null ? '-' : fromNow(revokedAt, around.now()),
            ]),
            output.colours.dim,
          ),
    )
  })
}

/** `tokenkeep connection unshare LOCAL_REFRESH_TOKEN_ID` */
export async function unshareConnection(context: Context, id: string): Promise<void> {
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const revoked = await keep.localRefreshTokens.revoke(id)
    context.output.answer(revoked, () => [
      `${printable(revoked.id)} of ${printable(revoked.connection)} is refused from now on.`,
    ])
  })
}

const pathOf = (provider: string): string => `/realms/${provider}/protocol/openid-connect/token`

/** Null: it is not told. A key that may share need not be one that may read, and what was just made is shown, come what may. */
async function providerOf({ connection }: LocalRefreshToken, { connections }: Keeper): Promise<string | null> {
  try {
    return (await connections.get(connection)).provider
  } catch {
    return null
  }
}
