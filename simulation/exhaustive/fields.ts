/** What is explored: each policy in each scene, with as many processes and as many interleavings as can all be played. */
import { POLICIES } from '../policies.ts'
import type { Setting } from '../world.ts'
import type { Bounds } from './choices.ts'
import { SCENES, type Scene } from './scenes.ts'

export interface Field {
  readonly name: string
  readonly setting: Setting
  readonly scene: Scene
  readonly bounds: Bounds
}

const EVERY: Bounds = { faultsMost: 1, preemptionsMost: null }
const TWO_PREEMPTIONS: Bounds = { faultsMost: 1, preemptionsMost: 2 }

/** Who takes part, and how far it goes. */
const CASTS: readonly {
  readonly name: string
  readonly scenes: readonly string[]
  readonly hosts: readonly number[]
  readonly bounds: Bounds
  /** Sign-ins are bound to a key, and nobody knows the nonce at first: for these policies alone, where a second presentation kills. */
  readonly nonceAt?: readonly string[]
}[] = [
  { name: '2-hosts', scenes: ['callers'], hosts: [0, 1], bounds: EVERY },
  // As on two hosts, but for a death that is proven at once.
  { name: '1-host', scenes: ['callers'], hosts: [0, 0], bounds: TWO_PREEMPTIONS },
  { name: '3-processes', scenes: ['callers'], hosts: [0, 1, 1], bounds: TWO_PREEMPTIONS },
  { name: '2-hosts', scenes: ['ahead', 'reconnect', 'delete'], hosts: [0, 1], bounds: TWO_PREEMPTIONS },
  {
    ...{ name: '2-hosts-nonce', scenes: ['callers', 'reconnect'], hosts: [0, 1], bounds: TWO_PREEMPTIONS },
    nonceAt: ['strict', 'unknown'],
  },
]

export const FIELDS: readonly Field[] = POLICIES.flatMap((policy) =>
  policy.behaviours.flatMap((behaviour, index) =>
    CASTS.filter(({ nonceAt }) => nonceAt?.includes(policy.name) !== false).flatMap(
      ({ name, scenes, hosts, bounds, nonceAt }) =>
        SCENES.filter((scene) => scenes.includes(scene.name)).map((scene): Field => ({
          name: `${policy.name}${index === 0 ? '' : `-${index + 1}`}/${scene.name}/${name}`,
          setting: {
            policy,
            behaviour,
            lifetimeSeconds: 20,
            nonceSeconds: nonceAt === undefined ? null : 10_000,
            hosts,
            showsLocks: false,
            // A caller has to wait for longer than a window is open.
            numbers: policy.reuse.kind === 'grace' ? 'seldom' : 'short_seldom',
            ...(scene.background === 'always' ? {} : { background: 'in_peace' }),
          },
          scene,
          bounds,
        })),
    ),
  ),
)
