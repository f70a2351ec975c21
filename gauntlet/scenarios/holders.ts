/** Whoever presents a refresh token is killed or frozen, right after the server has spent it. */
import { setTimeout as pause } from 'node:timers/promises'
import type { DriverChild } from '../driver-child.ts'
import type { Reuse } from '../logins.ts'
import type { Scenario } from '../scenario.ts'
import type { AuthorizationServer } from '../server.ts'
import { ENDED_MS, type Stage } from '../stage.ts'

const KILLED_LOGINS = 20
/** Longer than a slow peer takes for all of them, for tokens are shown to the API when all calls have ended. */
const KILLED_LIFE_SECONDS = 30
const FROZEN_LOGINS = 10
const FROZEN_MS = 12_000
/** So that what the frozen holder was granted still lives when it goes on. */
const FROZEN_LIFE_SECONDS = 30
const GRACE: Reuse = { kind: 'grace', seconds: 10 }
/** Longer than it takes to see the commit and send a signal, so that the answer never comes before. */
const HELD_MS = 5_000
/** Some present one after another, or fewer than all. */
const SPENT_LIMIT_MS = 4_000

export const killedWithGrace: Scenario = {
  name: 'kill-grace',
  title: 'killed after the commit, grace 10 s',
  about:
    'A process presents the refresh tokens of 20 logins, and is killed when the server has spent them and not answered yet. A second process asks at once. The server answers again for 10 s.',
  limitSeconds: 300,
  play: (stage) => killAfterCommit(stage, GRACE),
}

export const killedStrict: Scenario = {
  name: 'kill-strict',
  title: 'killed after the commit, no grace',
  about:
    'The same at a server that takes every second presentation for theft: the only answer died, and nobody can win.',
  limitSeconds: 300,
  play: (stage) => killAfterCommit(stage, { kind: 'strict' }),
}

async function killAfterCommit(stage: Stage, reuse: Reuse): Promise<void> {
  const server = await stage.set({ reuse, accessTokenSeconds: KILLED_LIFE_SECONDS })
  const [holder, second] = await stage.start(2)
  if (holder === undefined || second === undefined) return
  const ids = await stage.signIn(KILLED_LOGINS, ENDED_MS)
  for (const id of ids) server.order(id, { kind: 'late', ms: HELD_MS })
  await presented(server, holder, ids)
  server.forgetOrders()
  await holder.crash()
  await stage.call([{ by: second, ids }])
}

export const frozen: Scenario = {
  name: 'frozen',
  title: 'frozen after the commit, 12 s',
  about:
    'A process presents the refresh tokens of 10 logins, and is stopped (SIGSTOP) when the server has spent them; it goes on after 12 s. Meanwhile a second process asks, and waits for up to 60 s. No grace.',
  limitSeconds: 300,
  async play(stage) {
    const server = await stage.set({ accessTokenSeconds: FROZEN_LIFE_SECONDS })
    const [holder, second] = await stage.start(2)
    if (holder === undefined || second === undefined) return
    const ids = await stage.signIn(FROZEN_LOGINS, ENDED_MS)
    for (const id of ids) server.order(id, { kind: 'late', ms: HELD_MS })
    await presented(server, holder, ids)
    server.forgetOrders()
    holder.freeze()
    const asked = stage.call([{ by: second, ids }])
    await pause(FROZEN_MS)
    holder.thaw()
    await asked
  },
}

/**
 * Lets a process ask for all of them; resolves when the server has spent what it was shown. Its calls are not counted. Who
 * presents one after another has not shown all by then: what it presents later is answered at once.
 */
async function presented(server: AuthorizationServer, by: DriverChild, ids: readonly string[]): Promise<void> {
  const refreshes = (): readonly number[] => ids.map((id) => server.logins.counters(id).refreshes)
  const before = refreshes()
  // It is killed before it can answer.
  by.call(ids, { limitMs: HELD_MS + SPENT_LIMIT_MS }).catch(() => undefined)
  const until = performance.now() + SPENT_LIMIT_MS
  const spent = (): boolean => refreshes().every((now, at) => now > (before[at] ?? 0))
  while (!spent() && performance.now() < until) await pause(5)
}
