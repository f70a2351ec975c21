/** Looks at a server from outside: what it tells everybody, and what it lets the API key do. */
import { TokenError, type Trouble } from '@tokenkeep/core'
import type { CountedConnections } from '@tokenkeep/node'
import type { Context } from '../cli/context.ts'
import type { ServerPlace } from '../cli/server-place.ts'
import type { ServerKeeper } from '../remote/keeper.ts'
import { parseServerUrl } from '../remote/server-url.ts'
import { askServer } from './ask-server.ts'
import { judgeClocks } from './clock.ts'
import { judgeTroubled } from './connections.ts'
import type { Looks } from './looks.ts'
import { unlessRefused, type Refusal } from './refusal.ts'
import { isOurs, judgeApiKey, judgeServer, restOnHost } from './server.ts'

const ANSWER_MS = 5_000
const KEY_MS = 9_000
export const SERVER_MS = 2 * ANSWER_MS + KEY_MS
const LISTED_MOST = 100
const EXAMPLES = 3

/** @throws TokenError `invalid_input` for a URL that is none */
export async function examineServer(
  { around, output }: Context,
  { server, own }: { readonly server: ServerPlace; readonly own: string },
  { findings, look }: Looks,
): Promise<void> {
  const url = parseServerUrl(server.url, server.said)
  const now = (): number => around.now()
  const seen = await look(`the server at ${url}`, 2 * ANSWER_MS + 500, () =>
    askServer({ url, certificate: 'checked', now, withinMs: ANSWER_MS }),
  )
  if (seen !== null) {
    findings.push(...judgeServer({ url, which: 'named', seen, own, now: now() }))
    const { clockMs } = seen
    if (clockMs !== null)
      findings.push(
        ...judgeClocks({
          others: [{ other: 'the server', differenceMs: clockMs }],
          jumpedMs: 0,
          databaseAheadMs: 0,
          offline: false,
        }),
      )
  }
  if (seen !== null && !('failed' in seen.ready) && isOurs(seen.ready)) {
    await look('what the API key may do', KEY_MS, async () => {
      const scopes = server.apiKey === null ? null : await scopesOf({ around, output }, server, findings)
      findings.push(...judgeApiKey({ scopes }))
    })
  }
  findings.push(restOnHost())
}

/** Not even one that somebody made would be refreshed: nobody waits for it. */
const NOBODY = 'tokenkeep-doctor-asks-for-nobody'

/** What is tried changes nothing: lists of one, and a token of a connection that there cannot be. */
const TRIALS: readonly (readonly [string, (keep: ServerKeeper) => Promise<unknown>])[] = [
  ['connections:read', (keep) => keep.connections.list({ limit: 1 })],
  ['token:read', (keep) => keep.token(NOBODY, { waitMs: 0 })],
  ['keys:write', (keep) => keep.apiKeys.list()],
]

async function scopesOf(
  { around, output }: Pick<Context, 'around' | 'output'>,
  server: ServerPlace,
  findings: Looks['findings'],
): Promise<readonly string[] | Refusal> {
  const { openServer } = await import('../cli/server-opening.ts')
  const opened = await unlessRefused(() => openServer(server, around, output))
  if ('refused' in opened) return opened
  await using keep = opened
  const scopes: string[] = []
  for (const [scope, trial] of TRIALS) {
    const said = await tried(() => trial(keep))
    if (typeof said === 'object') return said
    if (said === 'may') scopes.push(scope)
  }
  if (scopes.includes('connections:read')) findings.push(...judgeTroubled(await troubledAt(keep)))
  return scopes
}

async function tried(trial: () => Promise<unknown>): Promise<'may' | 'may_not' | Refusal> {
  try {
    await trial()
    return 'may'
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    // It was let in, and there is none of that name.
    if (error.code === 'unknown_connection') return 'may'
    if (error.code === 'forbidden') return 'may_not'
    return { refused: { code: error.code, message: error.message } }
  }
}

async function troubledAt(keep: ServerKeeper): Promise<Readonly<Record<Trouble, CountedConnections>>> {
  const counted = async (status: Trouble): Promise<CountedConnections> => {
    const found = await keep.connections.list({ status, limit: LISTED_MOST })
    return { count: found.length, most: LISTED_MOST, examples: found.slice(0, EXAMPLES).map(({ id }) => id) }
  }
  const [blocked, needs_user, in_doubt, suspect, deleting] = await Promise.all([
    counted('blocked'),
    counted('needs_user'),
    counted('in_doubt'),
    counted('suspect'),
    counted('deleting'),
  ])
  return { blocked, needs_user, in_doubt, suspect, deleting }
}
