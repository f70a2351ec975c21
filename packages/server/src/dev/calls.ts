import { setTimeout as sleep } from 'node:timers/promises'
import { TokenError } from '@tokenkeep/core'
import type { Tokenkeep } from '@tokenkeep/node'

/** How often a connection's token was used at the API. */
export interface Count {
  readonly ok: number
  readonly failed: number
}

export interface Calls {
  count(id: string): Count
  /** Resolves when each connection was used once. */
  readonly firstRound: Promise<void>
  /** No further call begins; the ones on their way are awaited. */
  stop(): Promise<void>
}

export interface CallsOptions {
  readonly keep: Tokenkeep
  readonly ids: readonly string[]
  /** The API. */
  readonly url: string
  readonly everyMs: number
  /**
   * The first failed call in a row, and each that fails for another reason than the one before.
   *
   * @param because a status, a failure code, or `unreachable`
   */
  readonly onFailure: (id: string, because: string) => void
}

const CALL_MS_MAX = 25_000 // A caller of Tokenkeep waits 20 s for a token; the API itself answers at once.

/** A small worker like those of a user: calls an API with each connection's token, again and again. */
export function startCalls({ keep, ids, url, everyMs, onFailure }: CallsOptions): Calls {
  const stopping = new AbortController()
  const counts = new Map<string, Count>(ids.map((id) => [id, { ok: 0, failed: 0 }]))
  const count = (id: string): Count => counts.get(id) ?? { ok: 0, failed: 0 }

  const lastFailure = new Map<string, string | null>()

  const callOnce = async (id: string, call: typeof fetch): Promise<void> => {
    const because = await failureOf(call, url)
    if (stopping.signal.aborted) return
    const { ok, failed } = count(id)
    counts.set(id, because === null ? { ok: ok + 1, failed } : { ok, failed: failed + 1 })
    if (because !== null && lastFailure.get(id) !== because) onFailure(id, because)
    lastFailure.set(id, because)
  }
  const first: Promise<void>[] = []
  const loops = ids.map(async (id) => {
    const call = keep.fetchFor(id)
    const opening = callOnce(id, call)
    first.push(opening)
    await opening
    while (!stopping.signal.aborted) {
      await sleep(everyMs, undefined, { signal: stopping.signal }).catch(() => undefined)
      if (!stopping.signal.aborted) await callOnce(id, call)
    }
  })
  return {
    count,
    firstRound: Promise.all(first).then(() => undefined),
    async stop() {
      stopping.abort()
      await Promise.all(loops)
    },
  }
}

/** Calls once. @returns null: it worked */
async function failureOf(call: typeof fetch, url: string): Promise<string | null> {
  try {
    const response = await call(url, { signal: AbortSignal.timeout(CALL_MS_MAX) })
    await response.text()
    return response.ok ? null : `status ${response.status}`
  } catch (error) {
    return error instanceof TokenError ? error.code : 'unreachable'
  }
}
