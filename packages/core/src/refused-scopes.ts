/**
 * Scopes and resources that a provider refused to one request (`scope_refused`): asked for again and again, they would be
 * presented again and again, each time with the refresh token of everybody else. Each process remembers its own.
 */
import type { View } from './connection.ts'
import { blockedMs, type Numbers } from './policy.ts'
import { later, type MonoMs } from './time.ts'
import type { Variant } from './variant.ts'

export interface RefusedScopes {
  /** It was refused, and is not asked for again yet. */
  holds(view: View, variant: Variant, now: MonoMs): boolean
  refused(view: View, variant: Variant, now: MonoMs): void
  granted(view: View, variant: Variant): void
}

interface Entry {
  /** Another sign-in, or a change of client or provider, may be allowed what this one was not. */
  readonly under: string
  readonly times: number
  readonly until: MonoMs
}

/** Callers choose what they ask for: the oldest is forgotten. */
const REMEMBERED_MAX = 1000

export function createRefusedScopes(numbers: Numbers): RefusedScopes {
  const entries = new Map<string, Entry>()
  const nameOf = (view: View, variant: Variant): string => `${view.row.uid}\n${variant.key}`
  const underOf = ({ row, terms }: View): string => `${row.grant} ${terms.client.revision} ${terms.provider.revision}`
  const entryOf = (view: View, variant: Variant): Entry | undefined => {
    const entry = entries.get(nameOf(view, variant))
    return entry?.under === underOf(view) ? entry : undefined
  }
  return {
    holds: (view, variant, now) => (entryOf(view, variant)?.until ?? now) > now,
    refused(view, variant, now) {
      const name = nameOf(view, variant)
      const times = (entryOf(view, variant)?.times ?? 0) + 1
      const oldest = entries.size >= REMEMBERED_MAX && !entries.has(name) ? entries.keys().next().value : undefined
      if (oldest !== undefined) entries.delete(oldest)
      entries.set(name, { under: underOf(view), times, until: later(now, blockedMs(times, numbers)) })
    },
    granted: (view, variant) => void entries.delete(nameOf(view, variant)),
  }
}
