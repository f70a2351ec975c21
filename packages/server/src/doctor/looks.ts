/** Looking with an end: a look that takes too long or fails ends none of the others. */
import { TokenError } from '@tokenkeep/core'
import { findingsOf, type Finding, type Kinds } from './finding.ts'

export const LOOKS = {
  look_late: {
    is: 'wrong',
    says: '{what} gave no answer within {seconds} s, and was given up',
    todo: 'Look at it by itself: a disk, a network or a server that hangs, or a machine that has too much to do.',
  },
  look_hung: {
    is: 'wrong',
    says: 'the whole process hung while it looked at {what}, and was ended: nothing else can be said',
    todo: 'Look at its disk or mount (`df`, `dmesg`): what hangs there hangs Tokenkeep as well.',
  },
  look_refused: {
    is: 'wrong',
    says: '{what} could not be looked at: {reason}',
    todo: 'Do what it says, and run doctor again.',
  },
  look_failed: {
    is: 'wrong',
    says: '{what} could not be looked at ({reason})',
    todo: 'If this is none of yours, it is a mistake in Tokenkeep. TOKENKEEP_DEBUG=1 shows the whole error.',
  },
} as const satisfies Kinds

const found = findingsOf('doctor', LOOKS)

/** The whole process hung. */
export const hung = (what: string): Finding => found('look_hung', { what })

export interface Looks {
  /** Everything that was found until now, and by looks that are still at work. */
  readonly findings: Finding[]
  /**
   * @param what as a sentence about it begins
   * @param withinMs how long it may take
   * @returns what came; null: it was given up, which was told
   */
  look<Result>(what: string, withinMs: number, job: () => Promise<Result>): Promise<Result | null>
}

export interface Watching {
  /** Is given whole errors. */
  readonly debug: (error: unknown) => void
  /** Is told what is looked at next. */
  readonly begun: (what: string) => void
}

export function createLooks({ debug, begun }: Watching): Looks {
  const findings: Finding[] = []
  return {
    findings,
    async look(what, withinMs, job) {
      const late = Symbol('late')
      let timer: NodeJS.Timeout | undefined
      const deadline = new Promise<typeof late>((resolve) => {
        timer = setTimeout(() => resolve(late), withinMs)
      })
      try {
        begun(what)
        const looking = job()
        // Whoever is given up may fail later, and nobody is there to hear it.
        looking.catch(() => undefined)
        const came = await Promise.race([looking, deadline])
        if (came !== late) return came
        findings.push(found('look_late', { what, seconds: Math.round(withinMs / 1000) }))
      } catch (error) {
        findings.push(told(what, error))
        if (!(error instanceof TokenError)) debug(error)
      } finally {
        clearTimeout(timer)
      }
      return null
    },
  }
}

/** A message of ours says nothing secret; of any other error only its kind is told. */
function told(what: string, error: unknown): Finding {
  if (error instanceof TokenError) return found('look_refused', { what, reason: error.message })
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
  const kind = error instanceof Error ? error.name : typeof error
  return found('look_failed', { what, reason: /^[A-Z_0-9]{1,40}$/.test(code) ? code : kind })
}

/** As many at once as `most`, in order; those for which no time is left are not begun. */
export async function eachOf<Item>(
  items: readonly Item[],
  { most, untilMs, now }: { readonly most: number; readonly untilMs: number; readonly now: () => number },
  job: (item: Item) => Promise<void>,
): Promise<{ readonly left: number }> {
  const waiting = [...items]
  const work = async (): Promise<void> => {
    for (;;) {
      if (now() >= untilMs) return
      const item = waiting.shift()
      if (item === undefined) return
      await job(item)
    }
  }
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, work))
  return { left: waiting.length }
}
