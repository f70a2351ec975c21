import { setTimeout as sleep } from 'node:timers/promises'
import type { Tokenkeep } from '@tokenkeep/node'
import type { App } from '../http/app.ts'

/** Requests that wait for nobody are answered before the database is closed. */
const QUICK_ANSWERS_MS = 250
/** A refresh is heard out for 12 s, and those who wait for it are answered then. */
const ANSWERS_MS = 15_000

/**
 * Ends a server so that nobody who was let in goes away with nothing: after `drainMs` of serving on, no request is taken
 * any more, then no refresh begins; who waits for a refresh that is on its way is answered by it, others are told to try
 * later.
 *
 * Not the refreshes first: a request that came in before would find the database closed.
 */
export async function endOrderly(of: {
  readonly app: App
  readonly keep: Tokenkeep
  readonly drainMs: number
}): Promise<void> {
  const { app, keep, drainMs } = of
  app.stopping()
  await sleep(drainMs)
  const answered = app.close(ANSWERS_MS)
  const quick = new AbortController()
  await Promise.race([answered, sleep(QUICK_ANSWERS_MS, undefined, { signal: quick.signal }).catch(() => undefined)])
  quick.abort()
  await Promise.all([answered, keep.close()])
}
