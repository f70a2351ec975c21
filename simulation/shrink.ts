/** Tells the story of a world that broke as short as it can be told: without every act and fault that it does not need. */
import type { Plan } from './plan.ts'
import { play, type Verdict } from './play.ts'

/** @returns what can be left out, and how the world breaks without it */
export async function shrink(
  plan: Plan,
  left: ReadonlySet<number>,
): Promise<{ readonly left: ReadonlySet<number>; readonly verdict: Verdict }> {
  let without = new Set(left)
  for (let smaller = true; smaller;) {
    smaller = false
    for (const index of plan.planned.keys()) {
      if (without.has(index)) continue
      const fewer = new Set([...without, index])
      const told = await play(plan, fewer)
      if (told.broken.length === 0) continue
      without = fewer
      smaller = true
    }
  }
  return { left: without, verdict: await play(plan, without, true) }
}

/** The one line that plays a world again. */
export function replayLine({ seed }: Pick<Plan, 'seed'>, policy: string | null, left: ReadonlySet<number>): string {
  const parts = [`npm run simulate -- --seed ${seed}`]
  if (policy !== null) parts.push(`--policy ${policy}`)
  if (left.size > 0) parts.push(`--without ${[...left].sort((a, b) => a - b).join(',')}`)
  return parts.join(' ')
}
