/** A random story: a plan, then peace; and what was broken and what was lost in it. */
import { createArmedFaults } from './armed-faults.ts'
import { createCallers } from './callers.ts'
import { createDraw } from './draw.ts'
import { createHappen } from './happen.ts'
import type { Loss } from './losses.ts'
import { letPeaceCome } from './peace.ts'
import type { CameAbout, Plan } from './plan.ts'
import { createProcessControl } from './processes.ts'
import { watchTelling } from './telling-rules.ts'
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
  const { timeline, presentations, broken } = world
  watchTelling(world.memory, { broken, applies: () => world.storeState.forgotAt < 0 })
  const callers = createCallers(world)
  const happen = createHappen({ world, callers, faults, count })

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
    await letPeaceCome({ world, callers, faults })
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
}
