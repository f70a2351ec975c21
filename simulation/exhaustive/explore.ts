/**
 * Every interleaving of what several processes do at one instant, with at most one crash, freeze or loss on the network at
 * every place of it. A story is told again from its beginning for each way on that was not gone yet; where the processes,
 * the store and the server stand as they stood in another one, it would go on as that one did, and is left.
 */
import type { Loss } from '../losses.ts'
import { tellStory, type StoryOptions, type Territory } from './story.ts'

export interface Explored {
  /** Different ones, in which there was a choice. */
  states: number
  /** Ways on from them. */
  choices: number
  /** Stories that came to an end of their own. */
  ended: number
  /** The most choices in one of them. */
  deepest: number
  readonly losses: Map<Loss, number>
  readonly broken: { readonly sentences: readonly string[]; readonly path: readonly number[] }[]
}

const BROKEN_MOST = 3

/**
 * Where nobody writes before time goes on, it makes no difference which process read first: who did is tried both ways only
 * where somebody wrote.
 */
export async function explore(options: Pick<StoryOptions, 'setting' | 'scene' | 'bounds'>): Promise<Explored> {
  const explored: Explored = { states: 0, choices: 0, ended: 0, deepest: 0, losses: new Map(), broken: [] }
  const seen = new Set<string>()
  const open: (readonly number[])[] = [[]]
  let orders: (readonly number[])[] = []
  let hasWritten = false
  const territory: Territory = {
    arrives(state, at, choices) {
      if (seen.has(state)) return 'leave'
      seen.add(state)
      explored.states = seen.size
      explored.choices += choices.length
      const [first] = choices
      choices.forEach((choice, index) => {
        if (index === 0) return
        const isOrder = first?.kind === 'step' && choice.kind === 'step' && first.step.of !== choice.step.of
        const ways = isOrder && !hasWritten ? orders : open
        ways.push([...at, index])
      })
      return 'go_on'
    },
    wrote() {
      hasWritten = true
      open.push(...orders.splice(0))
    },
    timeGoesOn() {
      hasWritten = false
      orders = []
    },
  }
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    territory.timeGoesOn()
    const told = await tellStory({ ...options, path, tells: false, territory })
    // Whether anybody writes from there on, the other story knows.
    if (told.isLeft) territory.wrote()
    explored.deepest = Math.max(explored.deepest, told.path.length)
    if (!told.isLeft) explored.ended += 1
    if (told.loss !== null) explored.losses.set(told.loss, (explored.losses.get(told.loss) ?? 0) + 1)
    if (told.broken.length > 0) explored.broken.push({ sentences: told.broken, path: told.path })
    if (explored.broken.length >= BROKEN_MOST) return explored
  }
  return explored
}
