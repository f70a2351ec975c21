/** What the modelled authorization servers do with a spent refresh token, and what they are said to do. */
import type { ReusePolicy } from '@tokenkeep/core'

/** What a server really does when a refresh token comes again. */
export type Behaviour =
  | { readonly kind: 'reusable'; readonly rotates: boolean }
  | {
      readonly kind: 'grace'
      readonly forMs: number
      readonly winner: 'same' | 'any' | 'newest'
    }
  | { readonly kind: 'successor_used'; readonly winner: 'same' | 'any' | 'newest' }
  | { readonly kind: 'counted'; readonly n: number }
  | { readonly kind: 'strict' }

export interface ModelledPolicy {
  readonly name: string
  /** What the provider's data say. */
  readonly reuse: ReusePolicy
  /** One of these is drawn for a world. */
  readonly behaviours: readonly Behaviour[]
}

const S = 1000
const GRACE_SECONDS = 10

export const POLICIES: readonly ModelledPolicy[] = [
  { name: 'strict', reuse: { kind: 'strict' }, behaviours: [{ kind: 'strict' }] },
  {
    name: 'unknown',
    reuse: { kind: 'unknown' },
    behaviours: [
      { kind: 'strict' },
      { kind: 'grace', forMs: GRACE_SECONDS * S, winner: 'same' },
      { kind: 'grace', forMs: GRACE_SECONDS * S, winner: 'newest' },
    ],
  },
  {
    name: 'grace-same',
    reuse: { kind: 'grace', seconds: GRACE_SECONDS, winner: 'same' },
    behaviours: [{ kind: 'grace', forMs: GRACE_SECONDS * S, winner: 'same' }],
  },
  {
    name: 'grace-any',
    reuse: { kind: 'grace', seconds: GRACE_SECONDS, winner: 'any' },
    behaviours: [{ kind: 'grace', forMs: GRACE_SECONDS * S, winner: 'any' }],
  },
  {
    name: 'grace-newest',
    reuse: { kind: 'grace', seconds: GRACE_SECONDS, winner: 'newest' },
    behaviours: [{ kind: 'grace', forMs: GRACE_SECONDS * S, winner: 'newest' }],
  },
  {
    name: 'successor-used',
    reuse: { kind: 'grace', until: 'successor_used', winner: 'any' },
    behaviours: [
      { kind: 'successor_used', winner: 'any' },
      { kind: 'successor_used', winner: 'same' },
    ],
  },
  { name: 'counted', reuse: { kind: 'counted', n: 2 }, behaviours: [{ kind: 'counted', n: 2 }] },
  {
    name: 'reusable',
    reuse: { kind: 'reusable' },
    behaviours: [
      { kind: 'reusable', rotates: false },
      { kind: 'reusable', rotates: true },
    ],
  },
]
