/** One of all the stories of a scene: the choices that are given, and then the first way on each time. */
import { createArmedFaults } from '../armed-faults.ts'
import { createCallers } from '../callers.ts'
import type { Draw } from '../draw.ts'
import type { Loss } from '../losses.ts'
import { letPeaceCome } from '../peace.ts'
import { createProcessControl, type Process } from '../processes.ts'
import { createWorld, type Setting, type World } from '../world.ts'
import { choicesOf, wordsOf, type Bounds, type Spent } from './choices.ts'
import type { Scene } from './scenes.ts'
import { condense, sharedBy, stateOf } from './state.ts'
import { createSteps, isWriting, type Choice, type Steps } from './steps.ts'

export interface Told {
  /** Every choice up to its end. */
  readonly path: readonly number[]
  /** Sentences; empty: everything held. */
  readonly broken: readonly string[]
  readonly loss: Loss | null
  readonly story: readonly string[]
  /** Left where another story had been before. */
  readonly isLeft: boolean
}

/** Of all stories: where they have been. */
export interface Territory {
  /** Asked at each choice after those of its beginning. `leave`: another story goes on from here. */
  arrives(state: string, path: readonly number[], choices: readonly Choice[]): 'leave' | 'go_on'
  /** Something was done that others see. */
  wrote(): void
  timeGoesOn(): void
}

export interface StoryOptions {
  readonly setting: Setting
  readonly scene: Scene
  readonly bounds: Bounds
  /** The choices at its beginning. */
  readonly path: readonly number[]
  readonly tells: boolean
  readonly territory: Territory
}

/** Its lease is over by then, and patience after it is not. */
const SILENT_LEASES = 1.25
/** By then everything has come to rest, or never does. */
const REST_AFTER_MS = 300_000

/** Nothing is drawn: everything that is random elsewhere is in the middle here. */
const EVEN: Draw = {
  fraction: () => 0.5,
  below: (count) => Math.floor(count / 2),
  chance: (of) => of > 0.5,
  pick(values) {
    const value = values[Math.floor(values.length / 2)]
    if (value === undefined) throw new Error('there is nothing to pick from')
    return value
  },
}

export async function tellStory(options: StoryOptions): Promise<Told> {
  const { setting, scene, bounds, tells, territory } = options
  const faults = createArmedFaults(() => undefined)
  const parts: { steps?: Steps } = {}
  const world: World = createWorld({
    setting,
    draw: EVEN,
    faults,
    tells,
    control(given) {
      parts.steps = createSteps({
        timeline: given.timeline,
        unheld: createProcessControl({ ...given, draw: EVEN, faults, callMsMost: 0 }),
        shared: () => sharedBy(world),
        condense,
        arm: (kind) => faults.armServer({ kind, forMs: 0, times: 1 }),
      })
      return parts.steps.control
    },
  })
  const { steps } = parts
  if (steps === undefined) throw new Error('a world without control')
  const { timeline, broken } = world
  const callers = createCallers(world)
  const path: number[] = []

  const told = (isLeft: boolean, loss: Loss | null): Told => {
    for (const process of world.processes) process.diedAt ??= timeline.now()
    return { path, broken, loss, story: world.story, isLeft }
  }

  await timeline.advance(1)
  await scene.prepare(world, callers)
  steps.hold()
  const before = world.rowNow()
  scene.begin(world, callers)
  const from = timeline.now()
  /** Of those who run nobody has anything left to do. */
  const isAtRest = (): boolean => {
    const row = world.rowNow()
    const status = row?.state.status
    return (
      (status === undefined || status === 'ready' || status === 'needs_user') &&
      (row?.grant !== before?.grant ||
        row?.lastGrant?.fence !== before?.lastGrant?.fence ||
        status !== before?.state.status) &&
      callers.asked.every(({ by, token, error }) => !runs(by) || token !== null || error !== null)
    )
  }
  const stateNow = (): string => stateOf(world, steps, `${spent.faults} ${spent.preemptions} ${spent.last?.owner}`)
  let spent: Spent = { faults: 0, preemptions: 0, last: null }
  try {
    for (;;) {
      // Whatever this instant leads to by itself.
      await timeline.advance(timeline.now())
      world.look()
      if (broken.length > 0) return told(false, null)
      const choices = choicesOf(world, steps.waiting(), spent, bounds)
      if (!choices.some(({ kind }) => kind === 'step')) {
        const next = timeline.nextAt()
        if (isAtRest() || next === Number.POSITIVE_INFINITY) {
          const frozen = world.processes.find(({ frozenSince }) => frozenSince !== null)
          if (frozen === undefined) {
            if (path.length < options.path.length || territory.arrives(stateNow(), path, []) === 'go_on') break
            return told(true, null)
          }
          // However long it stands still from here on, it meets the same.
          world.tell(`${frozen.owner} goes on`)
          world.control.thaw(frozen)
          continue
        }
        if (next - from > REST_AFTER_MS) {
          broken.push('it does not come to rest')
          return told(false, null)
        }
        spent = { ...spent, last: null }
        territory.timeGoesOn()
        await timeline.advance(next)
        continue
      }
      const taken = options.path[path.length] ?? 0
      if (path.length >= options.path.length && (choices.length > 1 || spent.last === null)) {
        if (territory.arrives(stateNow(), path, choices) === 'leave') return told(true, null)
      }
      const choice = choices[taken]
      if (choice === undefined) throw new Error(`there is no way ${taken} of ${choices.length} at ${path.length}`)
      path.push(taken)
      world.tell(`(${path.length}) ${wordsOf(choice)}`)
      spent = spentBy(choice, choices, spent)
      if (choice.kind === 'step' && isWriting(choice.step)) territory.wrote()
      steps.take(choice)
      if (choice.kind === 'freeze') {
        const { process } = choice
        timeline.after(SILENT_LEASES * world.numbers.leaseMs, () => scene.silent?.(world, callers, process))
      }
    }
    steps.release()
    await letPeaceCome({ world, callers, faults })
  } catch (error) {
    broken.push(error instanceof Error ? error.message : 'something that is no error was thrown')
  }
  const { loss } = world.end()
  return told(false, loss)
}

const runs = ({ diedAt, frozenSince }: Process): boolean => diedAt === null && frozenSince === null

function spentBy(choice: Choice, choices: readonly Choice[], { faults, preemptions, last }: Spent): Spent {
  if (choice.kind === 'thaw') return { faults, preemptions, last }
  if (choice.kind !== 'step') return { faults: faults + 1, preemptions, last }
  const { of } = choice.step
  const couldGoOn = choices.some((other) => other.kind === 'step' && other.step.of === last)
  return { faults, preemptions: preemptions + (last !== null && of !== last && couldGoOn ? 1 : 0), last: of }
}
