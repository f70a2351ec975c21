/** The end of every story: no faults any more, and everything settles. */
import { TokenError } from '@tokenkeep/core'
import type { ArmedFaults } from './armed-faults.ts'
import type { Asked, Callers } from './callers.ts'
import type { World } from './world.ts'

/** After the last fault: nobody waits longer than a lease, patience, an access token and the longest back-off. */
const PEACE_ROUNDS = 40
const CALLS_MOST_MS = 20_000
const LOOKS_MOST = 10
const LOOK_EVERY_MS = 137

export interface PeaceOptions {
  readonly world: World
  readonly callers: Callers
  readonly faults: Pick<ArmedFaults, 'disarm'>
}

/** No faults any more: everybody gets a token, or a plain word, and every connection settles. */
export async function letPeaceCome({ world, callers, faults }: PeaceOptions): Promise<void> {
  const { timeline, control, hosts, processes, lives, numbers, storeState, broken, tell } = world
  const peaceAt = timeline.now()
  tell('peace')
  world.beginBackground()
  faults.disarm()
  storeState.awayUntil = 0
  world.outage.until = 0
  for (const host of hosts) host.lostUntil = 0
  for (const process of processes) {
    process.diskFullUntil = Math.min(process.diskFullUntil, timeline.now())
    if (process.cutOffUntil > timeline.now()) {
      process.cutOffUntil = 0
      world.comesBack(process)
    }
    control.thaw(process)
  }
  world.news()
  let last: Asked[] = []
  for (let round = 0; round < PEACE_ROUNDS; round += 1) {
    const everybody = lives.filter((life) => life !== null)
    last = everybody.flatMap((life) => world.connections.map((id) => callers.ask(life, null, id)))
    await timeline.advance(timeline.now() + numbers.callerDeadlineMs + 1000)
    // Where tokens are short, or the store's clock is ahead, a refresh is on its way at most looks.
    for (let looks = 0; looks < LOOKS_MOST && statuses().includes('presenting'); looks += 1)
      await timeline.advance(timeline.now() + LOOK_EVERY_MS)
    // A caller's deadline, and what a call of the store can take at its beginning and its end.
    const toldBefore = timeline.now() - numbers.callerDeadlineMs - CALLS_MOST_MS
    for (const one of callers.asked)
      if (one.by.diedAt === null && one.token === null && one.error === null && one.at < toldBefore)
        broken.push(`a caller of ${one.by.owner} waits since ${(one.at / 1000).toFixed(1)} s and is told nothing`)
    if (broken.length > 0) return
    if (everybody.length === world.setting.hosts.length && isSettled()) return
    await timeline.advance(timeline.now() + 5000)
  }
  const told = last.map(({ error }) => (error instanceof TokenError ? error.code : 'a token'))
  broken.push(`it did not settle: callers were told ${told.join(', ')}, the rows are ${statuses().join(', ')}`)

  function statuses(): string[] {
    return world.connections.map((id) => world.rowNow(id)?.state.status ?? 'gone')
  }

  /** Where a provider takes fewer requests than its tokens need, one after another gets its turn. */
  function isOneTooMany({ code }: TokenError, id: string): boolean {
    const isLimited = world.setting.beside?.limits.requestsPerMinute != null && world.providerOf(id) === 'p'
    return (
      code === 'unavailable' &&
      isLimited &&
      callers.asked.some((one) => one.id === id && one.at >= peaceAt && one.token !== null)
    )
  }

  function isSettled(): boolean {
    return (
      statuses().every((status) => status === 'gone' || status === 'ready' || status === 'needs_user') &&
      last.every(
        ({ token, error, id }) =>
          token !== null ||
          (error instanceof TokenError &&
            (error.code === 'needs_user' || error.code === 'unknown_connection' || isOneTooMany(error, id))),
      )
    )
  }
}
