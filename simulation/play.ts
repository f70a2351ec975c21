/** A random story: a plan, then peace; and what was broken and what was lost in it. */
import { TokenError } from '@tokenkeep/core'
import { createArmedFaults } from './armed-faults.ts'
import { createCallers, type Asked } from './callers.ts'
import { createDraw } from './draw.ts'
import { createHappen } from './happen.ts'
import type { Loss } from './losses.ts'
import type { CameAbout, Plan } from './plan.ts'
import { createProcessControl } from './processes.ts'
import { createWorld } from './world.ts'

export interface Verdict {
  /** Sentences; empty: everything held. */
  readonly broken: readonly string[]
  readonly losses: readonly Loss[]
  readonly happened: readonly CameAbout[]
  readonly presentations: number
  readonly steps: number
  /** What happened, in order, for whoever reads the story. */
  readonly story: readonly string[]
}

/** After the last fault: nobody waits longer than a lease, patience, an access token and the longest back-off. */
const PEACE_ROUNDS = 40
const CALLS_MOST_MS = 20_000

/**
 * @param left what of the plan is left out
 * @param tells whether the verdict has a story
 */
export async function play(plan: Plan, left: ReadonlySet<number> = new Set(), tells = false): Promise<Verdict> {
  const draw = createDraw(plan.seed ^ 0x5bd1e995)
  const happened: CameAbout[] = []
  const count = (kind: CameAbout): void => void happened.push(kind)
  const faults = createArmedFaults(count)
  const world = createWorld({
    setting: plan,
    draw,
    faults,
    control: (given) => createProcessControl({ ...given, draw, faults, callMsMost: plan.callMsMost }),
    tells,
    cameAbout: count,
  })
  const { timeline, control, presentations, hosts, processes, lives, numbers, storeState, broken, tell } = world
  const callers = createCallers(world)
  const happen = createHappen({ world, callers, faults, count })

  let peaceAt = 0
  await timeline.advance(1)
  for (const id of world.connections) {
    const { input } = world.signInInput(id)
    const first = world.lifeOf(0)?.custody.import({ id, client: world.clientOf(id), ...input })
    world.act(`the first import of ${id}`, first ?? Promise.resolve())
  }
  await timeline.advance(200)
  plan.planned.forEach(({ at, happening }, index) => {
    if (!left.has(index)) timeline.after(Math.max(0, at - timeline.now()), () => happen(happening))
  })
  try {
    await timeline.advance(plan.endsAt)
    await peace()
  } catch (error) {
    broken.push(error instanceof Error ? error.message : 'something that is no error was thrown')
  }
  const steps = timeline.happened()
  const { losses } = world.end()
  return {
    broken,
    losses,
    happened,
    presentations: presentations.all.length,
    steps,
    story: world.story,
  }

  /** No faults any more: everybody gets a token, or a plain word, and every connection settles. */
  async function peace(): Promise<void> {
    tell('peace')
    peaceAt = timeline.now()
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
      // A caller's deadline, and what a call of the store can take at its beginning and its end.
      const toldBefore = timeline.now() - numbers.callerDeadlineMs - CALLS_MOST_MS
      for (const one of callers.asked)
        if (one.by.diedAt === null && one.token === null && one.error === null && one.at < toldBefore)
          broken.push(`a caller of ${one.by.owner} waits since ${(one.at / 1000).toFixed(1)} s and is told nothing`)
      if (broken.length > 0) return
      if (everybody.length === plan.hosts.length && isSettled(last)) return
      await timeline.advance(timeline.now() + 5000)
    }
    const told = last.map(({ error }) => (error instanceof TokenError ? error.code : 'a token'))
    broken.push(`it did not settle: callers were told ${told.join(', ')}, the rows are ${statuses().join(', ')}`)
  }

  function statuses(): string[] {
    return world.connections.map((id) => world.rowNow(id)?.state.status ?? 'gone')
  }

  /** Where a provider takes fewer requests than its tokens need, one after another gets its turn. */
  function isOneTooMany({ code }: TokenError, id: string): boolean {
    const isLimited = plan.beside?.limits.requestsPerMinute != null && world.providerOf(id) === 'p'
    return (
      code === 'unavailable' &&
      isLimited &&
      callers.asked.some((one) => one.id === id && one.at >= peaceAt && one.token !== null)
    )
  }

  function isSettled(last: readonly Asked[]): boolean {
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
