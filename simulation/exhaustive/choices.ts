/** The ways on from where a world stands. */
import type { ServerFault } from '../plan.ts'
import type { Process } from '../processes.ts'
import type { World } from '../world.ts'
import { canGo, isOwn, isWriting, type Choice, type Step } from './steps.ts'

/** Shorter than a lease, and longer than most graces are used for. */
const FROZEN_MS: readonly number[] = [3100, 9100]
const NETWORK_FAULTS: readonly ServerFault[] = ['lost_request', 'lost_answer', 'silent']

export interface Spent {
  /** Crash, freeze or loss: one at most. */
  readonly faults: number
  readonly preemptions: number
  /** Who went last, since time went on; null: nobody. */
  readonly last: Process | null
}

export interface Bounds {
  /** Crash, freeze or loss: none, or one. */
  readonly faultsMost: 0 | 1
  /**
   * How often another process goes on although the last one could, and a process does its own calls in the order in which it
   * began them; null: in every order, and as often as there is another one.
   */
  readonly preemptionsMost: number | null
}

export function choicesOf(
  world: World,
  waiting: readonly Step[],
  spent: Spent,
  { faultsMost, preemptionsMost }: Bounds,
): readonly Choice[] {
  const able = waiting.filter(canGo)
  const own = able.find(isOwn)
  const next = own === undefined ? inOrder(able, preemptionsMost !== null) : [own]
  const goesOn = next.filter(({ of }) => of === spent.last)
  const mustGoOn = preemptionsMost !== null && spent.preemptions >= preemptionsMost && goesOn.length > 0
  const others = mustGoOn ? [] : next.filter(({ of }) => of !== spent.last)
  const choices: Choice[] = [...goesOn, ...others].map((step) => ({ kind: 'step', step }))
  if (next.some(isWriting))
    for (const process of world.processes)
      if (process.frozenSince !== null && process.frozenForMs === frozenMostMs(world))
        choices.push({ kind: 'thaw', process })
  if (spent.faults >= faultsMost) return choices
  // Between two of its own steps a process is where it is before the next one that others see.
  if (own !== undefined && own.name !== 'connect') return choices
  for (const process of own === undefined ? world.processes : [own.of])
    if (process.diedAt === null && process.frozenSince === null) choices.push(...faultsOf(world, process, waiting))
  if (own?.name === 'connect') for (const fault of NETWORK_FAULTS) choices.push({ kind: 'network', step: own, fault })
  return choices
}

/** Longer than a lease, patience and listening; or until somebody else is about to do what others see. */
function frozenMostMs({ numbers }: World): number {
  return numbers.leaseMs + numbers.patienceMs + numbers.listeningLimitMs + 100
}

/** The steps that may go next: the first one of each process, where it keeps to its order. */
function inOrder(able: readonly Step[], keeps: boolean): readonly Step[] {
  return keeps ? able.filter((step, index) => able.findIndex(({ of }) => of === step.of) === index) : able
}

function faultsOf(world: World, process: Process, waiting: readonly Step[]): readonly Choice[] {
  const hasCalls = waiting.some(({ of }) => of === process)
  const ways = hasCalls ? (['lost', 'going_on'] as const) : (['lost'] as const)
  return ways.flatMap((calls): readonly Choice[] => [
    { kind: 'crash', process, calls: calls === 'lost' ? 'dropped' : calls },
    ...[...FROZEN_MS, frozenMostMs(world)].map((forMs): Choice => ({
      kind: 'freeze',
      process,
      calls: calls === 'lost' ? 'standing_still' : calls,
      forMs,
    })),
  ])
}

/** In words, for whoever reads the story. */
export function wordsOf(choice: Choice): string {
  switch (choice.kind) {
    case 'step':
      return `${choice.step.of.owner} ${choice.step.name}`
    case 'network':
      return `${choice.step.of.owner} ${choice.step.name}, ${choice.fault} ahead`
    case 'crash':
      return `${choice.process.owner} crashes, its calls ${choice.calls}`
    case 'thaw':
      return `${choice.process.owner} goes on`
    case 'freeze':
      return `${choice.process.owner} is frozen for ${choice.forMs} ms, its calls ${choice.calls}`
  }
}
