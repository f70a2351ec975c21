import { setTimeout as sleep } from 'node:timers/promises'
import type { Tokenkeep } from '@tokenkeep/node'
import type { App } from '../http/app.ts'

/** A refresh is heard out for 12 s, and those who wait for it are answered then. */
const ANSWERS_MS = 15_000

/**
 * Ends a server so that nobody who was let in goes away with nothing.
 *
 * At once no refresh begins any more, and probes hear that it is not ready. For `drainMs` it still takes requests, until
 * whoever sends them has noticed: what lives is handed out, others are told to try later. Then those who are here are
 * answered, who waits for a refresh on its way by that, and the database is closed.
 */
export async function endOrderly(of: {
  readonly app: App
  readonly keep: Tokenkeep
  readonly drainMs: number
}): Promise<void> {
  const { app, keep, drainMs } = of
  app.stopping()
  keep.stopRefreshing()
  await sleep(drainMs)
  await app.close(ANSWERS_MS)
  await keep.close()
}
