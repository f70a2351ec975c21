/**
 * What happens in a world, drawn before it begins: a list of acts and faults, each of which can be left out. So a story
 * that fails can be told shorter, and told again.
 */
import { createDraw, type Draw } from './draw.ts'
import type { Beside } from './world.ts'
import { POLICIES, type Behaviour, type ModelledPolicy } from './policies.ts'

/** Every await of core that a process can be stopped at: the verbs of its ports. */
export const VERBS = [
  'acquire',
  'answer',
  'beginDelete',
  'changes',
  'clear',
  'client',
  'commit',
  'connect',
  'create',
  'due',
  'finishDelete',
  'incarnation',
  'judge',
  'keep',
  'list',
  'openAttempts',
  'others',
  'pending',
  'presentNow',
  'read',
  'reject',
  'renew',
  'replaceGrant',
  'replay',
  'reserve',
  'revoke',
  'sealer',
  'signOut',
  'takeOver',
] as const
export type Verb = (typeof VERBS)[number]

/** A call of a port, counted from the moment of the fault: the first, second, third. */
interface AtCall {
  readonly verb: Verb
  readonly nth: number
}
/** Before or after what the call does. */
type Side = 'before' | 'after'

/** What a server or the way to it does to the next presentation. */
export const SERVER_FAULTS = [
  'lost_request',
  'lost_answer',
  'silent',
  'late',
  'queued',
  'cut',
  'nonsense',
  'too_many_requests',
  'down',
  'broken',
  'spurious_refusal',
  'asks_nonce',
] as const
export type ServerFault = (typeof SERVER_FAULTS)[number]
export interface PlannedServerFault {
  readonly kind: ServerFault
  /** How late, where it is late. */
  readonly forMs: number
  /** So many presentations meet it. */
  readonly times: number
}
export const isServerFault = (happening: Happening): happening is PlannedServerFault =>
  SERVER_FAULTS.some((kind) => kind === happening.kind)

/** What somebody does to a connection, by a process. */
interface OfOne {
  readonly process: number
  /** Which one; the first where absent. */
  readonly connection?: number
}

export type Happening =
  | ({ readonly kind: 'ask'; readonly scope: string | null; readonly callers: number } & OfOne)
  | ({ readonly kind: 'report_401'; readonly reports: number } & OfOne)
  | ({ readonly kind: 'reconnect' } & OfOne)
  | ({ readonly kind: 'delete' } & OfOne)
  | ({ readonly kind: 'import' } & OfOne)
  | ({ readonly kind: 'logout' } & OfOne)
  | ({ readonly kind: 'resolve' } & OfOne)
  | { readonly kind: 'outage'; readonly forMs: number }
  | PlannedServerFault
  | ({ readonly kind: 'kill'; readonly side: Side; readonly backAfterMs: number } & AtCall)
  | ({ readonly kind: 'freeze'; readonly side: Side; readonly forMs: number } & AtCall)
  | { readonly kind: 'kill_at_once'; readonly process: number; readonly backAfterMs: number }
  | { readonly kind: 'freeze_at_once'; readonly process: number; readonly forMs: number }
  | { readonly kind: 'host_lost'; readonly host: number; readonly backAfterMs: number }
  | ({ readonly kind: 'store_error'; readonly times: number } & AtCall)
  | ({ readonly kind: 'lost_acknowledgement' } & AtCall)
  | ({ readonly kind: 'slow_call'; readonly forMs: number } & AtCall)
  | { readonly kind: 'store_away'; readonly forMs: number }
  | { readonly kind: 'cut_off'; readonly process: number; readonly forMs: number }
  | ({ readonly kind: 'store_forgets'; readonly writes: number } & AtCall)
  | { readonly kind: 'wall_step'; readonly host: number; readonly byMs: number }
  | { readonly kind: 'mono_step'; readonly host: number; readonly byMs: number }
  | { readonly kind: 'store_clock_step'; readonly byMs: number }
  | { readonly kind: 'disk_full'; readonly process: number; readonly forMs: number }
export type HappeningKind = Happening['kind']

/** What came about: planned, or because of what was. */
export type Unplanned =
  'circuit_opened' | 'rate_limited' | 'waited_for_killing_refresh' | 'presented_near_its_end' | 'presented_with_nonce'
export type CameAbout = HappeningKind | Unplanned

/** Each of these comes about in a long run, or the run shows less than it says. */
export const HAPPENING_KINDS: readonly CameAbout[] = [
  ...SERVER_FAULTS,
  'ask',
  'report_401',
  'reconnect',
  'delete',
  'import',
  'logout',
  'resolve',
  'kill',
  'freeze',
  'kill_at_once',
  'freeze_at_once',
  'host_lost',
  'store_error',
  'lost_acknowledgement',
  'slow_call',
  'store_away',
  'cut_off',
  'store_forgets',
  'wall_step',
  'mono_step',
  'store_clock_step',
  'disk_full',
  'outage',
  'circuit_opened',
  'rate_limited',
  'waited_for_killing_refresh',
  'presented_near_its_end',
  'presented_with_nonce',
]

export interface Planned {
  readonly at: number
  readonly happening: Happening
}

export interface Plan {
  readonly seed: number
  readonly policy: ModelledPolicy
  readonly behaviour: Behaviour
  readonly lifetimeSeconds: number
  /** How long a call of a port takes at most. */
  readonly callMsMost: number
  /** On which host each process runs. */
  readonly hosts: readonly number[]
  readonly showsLocks: boolean
  /** The numbers that users have, or the same ones in a fifth of the time. */
  readonly numbers: 'real' | 'short'
  /** Whether each refresh ends the access tokens before it. */
  readonly kills: boolean
  /** How long a refresh token lives unused, as answers say; null: for ever. */
  readonly refreshSeconds: number | null
  /** How long a nonce lasts, where sign-ins are bound to a key; null: they are not. */
  readonly nonceSeconds: number | null
  readonly beside: Beside | null
  readonly planned: readonly Planned[]
  /** When it is over and peace begins. */
  readonly endsAt: number
}

const S = 1000

/** What can be drawn, and how often. */
const FAULTS: readonly (readonly [number, (draw: Draw) => Happening])[] = [
  ...SERVER_FAULTS.filter((kind) => kind !== 'asks_nonce').map(
    (kind) =>
      [1.2, (draw: Draw): Happening => ({ kind, forMs: draw.pick(LATE), times: draw.pick([1, 1, 1, 2, 3]) })] as const,
  ),
  [5, (draw) => ({ kind: 'kill', side: draw.pick(SIDES), backAfterMs: draw.pick(BACK), ...call(draw) })],
  [5, (draw) => ({ kind: 'freeze', side: draw.pick(SIDES), forMs: draw.pick(FROZEN), ...call(draw) })],
  [1, (draw) => ({ kind: 'kill_at_once', process: draw.below(3), backAfterMs: draw.pick(BACK) })],
  [1, (draw) => ({ kind: 'freeze_at_once', process: draw.below(3), forMs: draw.pick(FROZEN) })],
  [0.5, (draw) => ({ kind: 'host_lost', host: draw.below(2), backAfterMs: draw.pick(BACK) })],
  [2, (draw) => ({ kind: 'store_error', times: draw.pick([1, 2, 5]), ...call(draw) })],
  [2, (draw) => ({ kind: 'lost_acknowledgement', ...call(draw) })],
  [1, (draw) => ({ kind: 'slow_call', forMs: draw.pick([100, 400, 3 * S, 8 * S]), ...call(draw) })],
  [1, (draw) => ({ kind: 'store_away', forMs: draw.pick([200, 2 * S, 20 * S, 60 * S]) })],
  [1, (draw) => ({ kind: 'cut_off', process: draw.below(3), forMs: draw.pick([200, 2 * S, 20 * S, 60 * S]) })],
  [1, (draw) => ({ kind: 'store_forgets', writes: draw.pick([1, 1, 2, 3]), ...call(draw) })],
  [0.5, (draw) => ({ kind: 'wall_step', host: draw.below(2), byMs: draw.pick(STEPS) })],
  [0.5, (draw) => ({ kind: 'mono_step', host: draw.below(2), byMs: draw.pick([2 * S, 10 * S, 60 * S]) })],
  [0.3, (draw) => ({ kind: 'store_clock_step', byMs: draw.pick(STEPS) })],
  [0.5, (draw) => ({ kind: 'disk_full', process: draw.below(3), forMs: draw.pick([2 * S, 20 * S]) })],
]
const ACTS: readonly (readonly [number, (draw: Draw) => Happening])[] = [
  [20, (draw) => ({ kind: 'ask', process: draw.below(3), scope: null, callers: draw.pick([1, 1, 2, 3]) })],
  [3, (draw) => ({ kind: 'ask', process: draw.below(3), scope: draw.pick(['a', 'b']), callers: 1 })],
  [1.5, (draw) => ({ kind: 'report_401', process: draw.below(3), reports: draw.pick([1, 1, 5]) })],
  [0.6, (draw) => ({ kind: 'reconnect', process: draw.below(3) })],
  [0.3, (draw) => ({ kind: 'delete', process: draw.below(3) })],
  [0.3, (draw) => ({ kind: 'import', process: draw.below(3) })],
  [0.3, (draw) => ({ kind: 'logout', process: draw.below(3) })],
  [0.4, (draw) => ({ kind: 'resolve', process: draw.below(3) })],
]

const SIDES = ['before', 'after'] as const
const LATE = [300, 1500, 5 * S, 12 * S, 40 * S]
const BACK = [50, 1 * S, 5 * S, 30 * S]
const FROZEN = [50, 1 * S, 4 * S, 10 * S, 30 * S, 70 * S]
const STEPS = [-60 * S, -5 * S, 5 * S, 60 * S]
const ON_THE_PATH: readonly Verb[] = ['acquire', 'commit', 'connect', 'answer', 'acquire', 'commit', 'answer', 'read']

function call(draw: Draw): AtCall {
  return { verb: draw.chance(0.6) ? draw.pick(ON_THE_PATH) : draw.pick(VERBS), nth: draw.pick([1, 1, 1, 2, 3]) }
}

function weighted(draw: Draw, from: readonly (readonly [number, (draw: Draw) => Happening])[]): Happening {
  let left = draw.fraction() * from.reduce((sum, [weight]) => sum + weight, 0)
  for (const [weight, make] of from) {
    left -= weight
    if (left < 0) return make(draw)
  }
  throw new Error('weights do not add up')
}

/** In every fourth world a connection is not alone. */
function drawBeside(draw: Draw, numbers: Plan['numbers']): Beside | null {
  if (!draw.chance(0.25)) return null
  const policy = draw.pick(POLICIES)
  return {
    neighbours: draw.below(3),
    second: draw.chance(0.5) ? { policy, behaviour: draw.pick(policy.behaviours) } : null,
    limits: {
      // A minute is a minute for every number: who waits for a fifth of the time waits for a turn all the same.
      requestsPerMinute: draw.pick(numbers === 'real' ? [null, null, 6, 20] : [null, null, 20, 30]),
      concurrency: draw.pick([null, null, 1, 2]),
    },
  }
}

/** Acts of other connections, more of them, and in some worlds a server that is out. */
function shared(draw: Draw, alone: readonly Planned[], beside: Beside, moment: () => number): readonly Planned[] {
  const others = beside.neighbours + (beside.second === null ? 0 : 1)
  const planned = alone.map(({ at, happening }): Planned => {
    if (!('process' in happening) || !OF_ONE.includes(happening.kind)) return { at, happening }
    return { at, happening: { ...happening, connection: draw.below(1 + others) } as Happening }
  })
  for (let left = others * (2 + draw.below(4)); left > 0; left -= 1) {
    const connection = 1 + draw.below(others)
    planned.push({ at: moment(), happening: { ...weighted(draw, ACTS), connection } as Happening })
  }
  if (draw.chance(0.3)) {
    const at = moment()
    planned.push({ at, happening: { kind: 'outage', forMs: draw.pick([2 * S, 10 * S, 30 * S]) } })
    // All of them find it out, at one process.
    const process = draw.below(3)
    for (let connection = 0; connection <= others; connection += 1)
      planned.push({ at: at + 50, happening: { kind: 'ask', process, scope: null, callers: 1, connection } })
  }
  return planned
}
/** A server that asks although the nonce is right, so often that an attempt may hear it twice. */
function asksAgain(draw: Draw, endsAt: number): readonly Planned[] {
  return Array.from({ length: draw.below(3) }, () => ({
    at: Math.floor(draw.fraction() * endsAt),
    happening: { kind: 'asks_nonce', forMs: 0, times: draw.pick([1, 1, 2, 3]) },
  }))
}
/** So short that one changes while a request is on its way, or so long that only who starts does not know it. */
const NONCE_SECONDS = [2, 15, 60, 10_000]

const OF_ONE: readonly HappeningKind[] = ['ask', 'report_401', 'reconnect', 'delete', 'import', 'logout', 'resolve']

/** @param policy the name of one, or null: drawn as well */
export function drawPlan(seed: number, policy: string | null): Plan {
  const draw = createDraw(seed)
  const drawn = draw.pick(POLICIES)
  const modelled = policy === null ? drawn : (POLICIES.find(({ name }) => name === policy) ?? drawn)
  const lifetimeSeconds = draw.pick([10, 20, 60])
  const endsAt = lifetimeSeconds * S * draw.pick([1.5, 2.5, 4])
  // Near the end of an access token there is most to happen; between, little.
  const moment = (): number => {
    const expiry = lifetimeSeconds * S * (1 + draw.below(Math.ceil(endsAt / lifetimeSeconds / S)))
    const near = draw.chance(0.6) ? expiry - draw.fraction() * lifetimeSeconds * 200 : draw.fraction() * endsAt
    return Math.floor(Math.min(near, endsAt))
  }
  const planned: Planned[] = []
  for (let left = 4 + draw.below(8); left > 0; left -= 1)
    planned.push({ at: moment(), happening: weighted(draw, ACTS) })
  for (let left = 1 + draw.below(4); left > 0; left -= 1) {
    const at = moment()
    // Somebody asks right after most faults: what nobody waits for is seldom interesting.
    planned.push({ at, happening: weighted(draw, FAULTS) })
    if (draw.chance(0.7)) {
      const happening = { kind: 'ask', process: draw.below(3), scope: null, callers: draw.pick([1, 2]) } as const
      planned.push({ at: at + draw.below(400), happening })
    }
  }
  const behaviour = draw.pick(modelled.behaviours)
  const callMsMost = draw.pick([0, 2, 2, 20])
  const hosts = draw.pick([
    [0, 1],
    [0, 0],
    [0, 0, 1],
    [0, 1, 1],
  ])
  const showsLocks = draw.chance(0.5)
  const numbers = draw.chance(0.1) ? 'real' : 'short'
  const ending = createDraw(seed ^ 0x3c6ef372)
  const more = createDraw(seed ^ 0x2545f491)
  const beside = drawBeside(more, numbers)
  const proving = createDraw(seed ^ 0x41c64e6d)
  const nonceSeconds = proving.chance(0.2) ? proving.pick(NONCE_SECONDS) : null
  const asked = nonceSeconds === null ? [] : asksAgain(proving, endsAt)
  const happenings = [...(beside === null ? planned : shared(more, planned, beside, moment)), ...asked]
  return {
    seed,
    policy: modelled,
    behaviour,
    // A quarter of its life has to hold two leases and patience: whoever stands still with it is waited for so long.
    refreshSeconds: numbers === 'short' && ending.chance(0.2) ? ending.pick([100, 120]) : null,
    nonceSeconds,
    kills: createDraw(seed ^ 0x6c078965).chance(0.1),
    beside,
    lifetimeSeconds,
    callMsMost,
    hosts,
    showsLocks,
    numbers,
    planned: happenings.toSorted((one, other) => one.at - other.at),
    endsAt,
  }
}
