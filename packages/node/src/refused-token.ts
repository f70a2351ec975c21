/** What follows a 401: the token is reported, and another one is asked for. */
import type { ApiProofs } from './api-proofs.ts'
import type { TokenWritten } from './token-header.ts'

export interface RefusedTokenSetup {
  /** An access token that works, refreshed first where needed. */
  readonly token: (connectionId: string) => Promise<TokenWritten>
  /** An API answered 401 to this access token. */
  readonly rejected: (connectionId: string, accessToken: string) => Promise<unknown>
  readonly proofs: ApiProofs
}

/**
 * Reports the refused token and asks again.
 *
 * @returns null where there is no other token: the caller then gets the 401, which says more about this request than
 * our own trouble with the next token; that is said when the next one is asked for
 */
export async function anotherToken(
  setup: RefusedTokenSetup,
  connectionId: string,
  refused: string,
  signal: AbortSignal,
): Promise<TokenWritten | null> {
  try {
    await setup.rejected(connectionId, refused)
    const token = await unlessAborted(setup.token(connectionId), signal)
    return token.accessToken === refused ? null : token
  } catch (error) {
    if (signal.aborted) throw error
    return null
  }
}

/** A caller that gives up goes at once. The refresh that it waited for goes on: it belongs to all. */
export async function unlessAborted<Value>(waiting: Promise<Value>, signal: AbortSignal): Promise<Value> {
  // What nobody waits for any longer may fail: an end that nobody hears of would end the process.
  waiting.catch(() => undefined)
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort)
  try {
    return await Promise.race([waiting, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
