/** Refreshes a second, 64 at a time, against an exchange that keeps nothing: for the rows about refreshes. */
import { CLIENT_ID, CLIENT_SECRET, openInstallation } from './installation.ts'
import { issueToken, REFRESH_TOKEN_BYTES } from './issued-token.ts'
import { alternate } from './rounds.ts'
import type { Series } from './row.ts'
import { startTokenEndpoint } from './token-endpoint.ts'

const AT_ONCE = 64
const A_ROUND = 512

/** Where the exchanges of a reference go, and as whom. */
export interface ExchangeSetup {
  readonly endpoint: string
  readonly clientId: string
  readonly clientSecret: string
}

/** Trades one refresh token for new tokens and forgets them. */
export type Exchange = (refreshToken: string) => Promise<void>

/**
 * Measures refreshes against a reference and its copy.
 *
 * @param delayMs how long the token endpoint takes for each answer, beside its work
 */
export async function compareRefreshes(
  prepareReference: (setup: ExchangeSetup) => Exchange,
  prepareCopy: (setup: ExchangeSetup) => Exchange,
  { delayMs }: { readonly delayMs: number },
): Promise<Readonly<Record<'rate', Series>>> {
  await using endpoint = await startTokenEndpoint({ delayMs })
  await using installation = await openInstallation({ tokenEndpoint: endpoint.url })
  const { keep } = installation
  const setup = { endpoint: endpoint.url, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET }
  const reference = prepareReference(setup)
  const copy = prepareCopy(setup)
  const refreshTokens = Array.from({ length: A_ROUND }, (_, index) => issueToken(`rt-${index}`, REFRESH_TOKEN_BYTES))

  let batch = 0
  const subject = async (): Promise<{ rate: number }> => {
    batch += 1
    // A connection is refreshed once, by its first request: the next would be served from memory.
    const ids = await installation.connect(`batch-${batch}`, A_ROUND, null)
    return { rate: await eachAtOnce(ids, (id) => keep.token(id)) }
  }
  return await alternate(
    {
      subject,
      reference: async () => ({ rate: await eachAtOnce(refreshTokens, reference) }),
      copy: async () => ({ rate: await eachAtOnce(refreshTokens, copy) }),
    },
    { rounds: 15, warmUp: 3 },
  )
}

/** @returns how many a second */
async function eachAtOnce(items: readonly string[], take: (item: string) => Promise<unknown>): Promise<number> {
  const left = [...items]
  const startedAt = performance.now()
  const work = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) await take(next)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return (items.length / (performance.now() - startedAt)) * 1000
}
