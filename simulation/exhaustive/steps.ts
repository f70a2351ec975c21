/**
 * Who goes next: every call of a port, and every request and reply on its way, waits until it is chosen. Between two
 * choices no time passes.
 */
import type { ServerFault, Verb } from '../plan.ts'
import type { Process, ProcessControl, Way } from '../processes.ts'
import type { Timeline } from '../timeline.ts'

/** Something that takes effect when it is chosen. */
export interface Step {
  readonly of: Process
  readonly name: Verb | Way
  /** What its process had met when it began it. */
  readonly after: string
  /** It was on its way when its process was frozen, and stands still with it. */
  standsStill: boolean
  run(): void
}

/** One way on from here. */
export type Choice =
  | { readonly kind: 'step'; readonly step: Step }
  /** What it has on its way to the store gets there, or does not. */
  | { readonly kind: 'crash'; readonly process: Process; readonly calls: 'dropped' | 'going_on' }
  | {
      readonly kind: 'freeze'
      readonly process: Process
      readonly calls: 'standing_still' | 'going_on'
      readonly forMs: number
    }
  | { readonly kind: 'thaw'; readonly process: Process }
  /** It connects, and what it sends meets this. */
  | { readonly kind: 'network'; readonly step: Step; readonly fault: ServerFault }

export interface Steps {
  readonly control: ProcessControl
  /** From here on everything waits to be chosen; before, and after `release`, it happens in the order of its time. */
  hold(): void
  release(): void
  /** All that waits, in the order in which it was begun. */
  waiting(): readonly Step[]
  take(choice: Choice): void
  /** All that a process has met, condensed: where it is the same, the process stands where it stood. */
  metBy(process: Process): string
}

export interface StepsOptions {
  readonly timeline: Timeline
  /** Happens in the order of time. */
  readonly unheld: ProcessControl
  /** What all share, in words: what a call that writes finds. */
  shared(): string
  condense(text: string): string
  /** What is sent next meets this. */
  arm(fault: ServerFault): void
}

/** Nobody else sees these, and they see nobody: who goes before them makes no difference. */
const OWN: ReadonlySet<string> = new Set<Verb>(['sealer', 'client', 'connect', 'reserve'])
/** What they return says all that they have seen. */
const READING: ReadonlySet<string> = new Set<Verb>([
  'changes',
  'due',
  'incarnation',
  'judge',
  'list',
  'openAttempts',
  'others',
  'pending',
  'read',
])
export const isOwn = ({ name }: Step): boolean => OWN.has(name)
/** What it does is seen by others. */
export const isWriting = ({ name }: Step): boolean => !OWN.has(name) && !READING.has(name)
export const canGo = (step: Step): boolean => !step.standsStill || step.of.frozenSince === null

const WAYS: ReadonlySet<string> = new Set<Way>(['request', 'reply'])
/** After a crash its host starts another one when most is over. */
const BACK_AFTER_MS = 30_000

export function createSteps({ timeline, unheld, shared, condense, arm }: StepsOptions): Steps {
  const met = new Map<Process, string>()
  let waiting: Step[] = []
  let holds = false
  const never = new Promise<never>(() => undefined)

  const meets = (process: Process, what: string): void =>
    void met.set(process, condense(`${met.get(process) ?? ''} ${timeline.now()} ${what}`))
  const wait = (of: Process, name: Step['name'], run: () => void): void =>
    void waiting.push({ of, name, after: met.get(of) ?? '', standsStill: false, run })
  const goes = (step: Step): void => {
    waiting = waiting.filter((each) => each !== step)
    step.run()
  }

  const control: ProcessControl = {
    ...unheld,
    deliver(to, way, run) {
      unheld.deliver(to, way, () => {
        if (holds) meets(to, way)
        run()
      })
    },
    call(of, verb, effect) {
      if (!holds) return unheld.call(of, verb, effect)
      if (of.diedAt !== null) return never
      return new Promise((resolve, reject) => {
        wait(of, verb, () => {
          const before = READING.has(verb) || OWN.has(verb) ? '' : shared()
          const answers = (seen: string, run: () => void): void =>
            unheld.deliver(of, 'arrived', () => {
              meets(of, `${verb} ${seen}`)
              run()
            })
          effect().then(
            (value) => answers(READING.has(verb) ? JSON.stringify(value) : before, () => resolve(value)),
            (error: unknown) =>
              answers(String(error), () => reject(error instanceof Error ? error : new Error(String(error)))),
          )
        })
      })
    },
    travel(of, way, ms, arrives) {
      if (holds) wait(of, way, arrives)
      else unheld.travel(of, way, ms, arrives)
    },
    arrive(to, run, dropped) {
      unheld.arrive(
        to,
        () => {
          if (holds) meets(to, `reply ${shared()}`)
          run()
        },
        dropped,
      )
    },
  }

  return {
    control,
    hold: () => void (holds = true),
    release() {
      holds = false
      for (const step of waiting.splice(0)) timeline.after(0, step.run)
    },
    waiting: () => waiting,
    metBy: (process) => met.get(process) ?? '',
    take(choice) {
      switch (choice.kind) {
        case 'step':
          return void goes(choice.step)
        case 'network':
          meets(choice.step.of, choice.fault)
          arm(choice.fault)
          return void goes(choice.step)
        case 'crash': {
          const { process, calls } = choice
          meets(process, `crash ${calls}`)
          if (calls === 'dropped') waiting = waiting.filter(({ of, name }) => of !== process || WAYS.has(name))
          return void unheld.kill(process, BACK_AFTER_MS)
        }
        case 'freeze': {
          const { process, calls, forMs } = choice
          meets(process, `freeze ${forMs} ${calls}`)
          for (const step of waiting)
            if (step.of === process && !WAYS.has(step.name)) step.standsStill = calls === 'standing_still'
          return void unheld.freeze(process, forMs)
        }
        case 'thaw':
          meets(choice.process, 'thaw')
          return void unheld.thaw(choice.process)
      }
    },
  }
}
