/** A random story: a plan, then peace; and what was broken and what was lost in it. */
import { TokenError } from '@tokenkeep/core'
import { createArmedFaults } from './armed-faults.ts'
import { createCallers, type Asked } from './callers.ts'
import { createDraw } from './draw.ts'
import { createHappen } from './happen.ts'
import type { Loss } from './losses.ts'
import type { HappeningKind, Plan } from './plan.ts'
import { createProcessControl } from './processes.ts'
import { createWorld } from './world.ts'

export interface Verdict {
  /** Sentences; empty: everything held. */
  readonly broken: readonly string[]
  readonly losses: readonly Loss[]
  readonly happened: readonly HappeningKind[]
  readonly presentations: number
  readonly steps: number
  /** What happened, in order, for whoever reads the story. */
  readonly story: readonly string[]
}

/** After the last fault: nobody waits longer than a lease, patience, an access token and the longest back-off. */
const PEACE_ROUNDS = 40
const CALLS_MOST_MS = 10_000

/**
 * @param left what of the plan is left out
 * @param tells whether the verdict has a story
 */
export async function play(plan: Plan, left: ReadonlySet<number> = new Set(), tells = false): Promise<Verdict> {
  const draw = createDraw(plan.seed ^ 0x5bd1e995)
  const happened: HappeningKind[] = []
  const count = (kind: HappeningKind): void => void happened.push(kind)
  const faults = createArmedFaults(count)
  const world = createWorld({
    setting: plan,
    draw,
    faults,
    control: (given) => createProcessControl({ ...given, draw, faults, callMsMost: plan.callMsMost }),
    tells,
  })
  const { timeline, control, presentations, hosts, processes, lives, numbers, storeState, broken, tell } = world
  const callers = createCallers(world)
  const happen = createHappen({ world, callers, faults, count })

  await timeline.advance(1)
  const first = world.signInInput()
  world.act(
    'the first import',
    world.lifeOf(0)?.custody.import({ id: 'x', client: 'c', ...first.input }) ?? Promise.resolve(),
  )
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
  const { loss } = world.end()
  return {
    broken,
    losses: loss === null ? [] : [loss],
    happened,
    presentations: presentations.all.length,
    steps,
    story: world.story,
  }

  /** No faults any more: everybody gets a token, or a plain word, and every connection settles. */
  async function peace(): Promise<void> {
    tell('peace')
    faults.disarm()
    storeState.awayUntil = 0
    for (const host of hosts) host.lostUntil = 0
    for (const process of processes) {
      process.diskFullUntil = 0
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
      last = everybody.map((life) => callers.ask(life, null))
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
    broken.push(
      `it did not settle: callers were told ${told.join(', ')}, the row is ${world.rowNow()?.state.status ?? 'gone'}`,
    )
  }

  function isSettled(last: readonly Asked[]): boolean {
    const status = world.rowNow()?.state.status
    const settled = status === undefined || status === 'ready' || status === 'needs_user'
    return (
      settled &&
      last.every(
        ({ token, error }) =>
          token !== null ||
          (error instanceof TokenError && (error.code === 'needs_user' || error.code === 'unknown_connection')),
      )
    )
  }
}
