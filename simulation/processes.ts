/**
 * Processes that can be killed and frozen at every await: whatever a port is asked for, and whatever it answers, passes
 * here.
 */
import { TokenError, type OwnerId } from '@tokenkeep/core'
import type { Draw } from './draw.ts'
import type { Armed, ArmedFaults } from './armed-faults.ts'
import type { Verb } from './plan.ts'
import type { Alarm, Timeline } from './timeline.ts'

export interface Host {
  readonly index: number
  /** How far its clocks were set. */
  wallStep: number
  monoStep: number
  /** Everybody on it is gone, and nobody is back yet. */
  lostUntil: number
}

/** What a process that stands still has not got to yet, in the order in which a loop that wakes comes to it. */
interface Inbox {
  /** Timers run before sockets are read. */
  readonly timers: (() => void)[]
  readonly arrived: (() => void)[]
  readonly ticks: (() => void)[]
}

export interface Process {
  readonly owner: OwnerId
  /** Which of all that were started. */
  readonly number: number
  /** So many ids it has made. */
  uuids: number
  readonly host: Host
  readonly startedAt: number
  diedAt: number | null
  frozenSince: number | null
  /** For how long, the last time. */
  frozenForMs: number
  /** Since when it neither stood still nor was without its store. */
  wellSince: number
  /** Since when it stood still or was cut off, the last time; null: never. */
  awayFrom: number | null
  inbox: Inbox
  thawing: Alarm | null
  cutOffUntil: number
  /** When it was cut off, the last time. */
  cutOffAt: number
  /** Since when nobody else sees its lock; null: they do. */
  lockMissingSince: number | null
  diskFullUntil: number
  session: string
  /** A call failed, or a clock was set, since its last background round: the next one is not left out. */
  hasNews: boolean
  /** When a call of it failed the last time; -1: none did. */
  failedAt: number
  /** Since when a call of it took longer than calls take, the first time; null: none did. */
  slowedFrom: number | null
  /** Something was written, or somebody died, since then: the next one may find something. */
  mayFind: boolean
}

/** To the server, or back. */
export type Way = 'request' | 'reply'

export interface ProcessControl {
  /** A call of a port: it takes time, can fail, and is where the process can be stopped. */
  call<Value>(of: Process, verb: Verb, effect: () => Promise<Value>): Promise<Value>
  /** What reaches a process reaches it when it runs, or never. */
  deliver(to: Process, way: keyof Inbox, run: () => void): void
  /** What is on its way to a server or back, for about so long. */
  travel(of: Process, way: Way, ms: number, arrives: () => void): void
  /** The answer of a server, the one arrival that is no call. */
  arrive(to: Process, run: () => void, dropped: () => void): void
  /** @param backAfterMs when its host starts another one; unsaid: after a second */
  kill(process: Process, backAfterMs?: number): void
  freeze(process: Process, forMs: number): void
  thaw(process: Process): void
}

const STORE_VERBS: ReadonlySet<Verb> = new Set<Verb>([
  'acquire',
  'beginDelete',
  'changes',
  'client',
  'commit',
  'create',
  'due',
  'finishDelete',
  'incarnation',
  'list',
  'openAttempts',
  'presentNow',
  'read',
  'reject',
  'renew',
  'replaceGrant',
  'replay',
  'signOut',
  'takeOver',
])
/** Beside the store: the slots. */
const DISK_VERBS: ReadonlySet<Verb> = new Set<Verb>(['keep', 'clear', 'pending'])

export interface ControlOptions {
  readonly timeline: Timeline
  readonly draw: Draw
  readonly faults: ArmedFaults
  readonly callMsMost: number
  /** Whether the store is away for this process now. */
  isAway(process: Process): boolean
  died(process: Process, backAfterMs: number | null): void
  /** The last writes are gone, whoever was told of them. */
  forget(writes: number): void
}

/** Who has only just come back has been away all the time. */
export function goesAway(process: Process, at: number): void {
  if (process.frozenSince !== null || process.cutOffUntil > at) return
  if (process.awayFrom === null || at - process.wellSince > BACK_AGAIN_MS) process.awayFrom = at
}
const BACK_AGAIN_MS = 1000

export function createProcessControl(options: ControlOptions): ProcessControl {
  const { timeline, draw, faults, callMsMost } = options
  const never = new Promise<never>(() => undefined)

  const deliver = (to: Process, way: keyof Inbox, run: () => void): void => {
    if (to.diedAt !== null) return
    if (to.frozenSince !== null) to.inbox[way].push(run)
    else run()
  }

  const kill = (process: Process, backAfterMs: number | null = null): void => {
    if (process.diedAt !== null) return
    process.diedAt = timeline.now()
    process.thawing?.cancel()
    options.died(process, backAfterMs)
  }

  const freeze = (process: Process, forMs: number): void => {
    if (process.diedAt !== null || process.frozenSince !== null) return
    goesAway(process, timeline.now())
    process.frozenSince = timeline.now()
    process.frozenForMs = forMs
    process.thawing = timeline.after(forMs, () => thaw(process))
  }

  const thaw = (process: Process): void => {
    if (process.diedAt !== null || process.frozenSince === null) return
    process.thawing?.cancel()
    process.frozenSince = null
    process.wellSince = timeline.now()
    process.mayFind = true
    const { timers, arrived, ticks } = process.inbox
    process.inbox = { timers: [], arrived: [], ticks: [] }
    for (const run of timers) run()
    if (arrived.length + ticks.length === 0) return
    // Whatever the timers lead to comes first.
    timeline.after(0, () => {
      for (const run of arrived) deliver(process, 'arrived', run)
      timeline.after(0, () => {
        for (const run of ticks) deliver(process, 'ticks', run)
      })
    })
  }

  const stops = (process: Process, struck: readonly Armed[], side: 'before' | 'after'): 'killed' | 'goes_on' => {
    if (faults.isOver()) return 'goes_on'
    for (const { happening } of struck) {
      if (happening.kind === 'kill' && happening.side === side) {
        kill(process, happening.backAfterMs)
        return 'killed'
      }
      if (happening.kind === 'freeze' && happening.side === side) freeze(process, happening.forMs)
    }
    return 'goes_on'
  }

  const canFail = (verb: Verb): boolean => STORE_VERBS.has(verb) || DISK_VERBS.has(verb)

  return {
    deliver,
    kill,
    freeze,
    thaw,
    call<Value>(of: Process, verb: Verb, effect: () => Promise<Value>): Promise<Value> {
      if (of.diedAt !== null) return never
      const struck = faults.strike(verb, canFail(verb))
      if (stops(of, struck, 'before') === 'killed') return never
      const slowMs = struck.reduce(
        (sum, { happening }) => sum + (happening.kind === 'slow_call' ? happening.forMs : 0),
        0,
      )
      if (slowMs > 0) of.slowedFrom ??= timeline.now()
      const fails = struck.some(({ happening }) => happening.kind === 'store_error')
      const unheard = struck.some(({ happening }) => happening.kind === 'lost_acknowledgement')
      const { promise, resolve, reject } = Promise.withResolvers<Value>()
      // What failed is tried again, or looked for, by a round.
      const failed = (error: unknown): void => {
        of.hasNews = true
        of.failedAt = timeline.now()
        reject(error)
      }
      const answer = (run: () => void): void => {
        for (const { happening } of struck) if (happening.kind === 'store_forgets') options.forget(happening.writes)
        if (stops(of, struck, 'after') === 'goes_on') deliver(of, 'arrived', run)
      }
      const reached = (): void => {
        // Of what a process had on its way when it was killed, some reaches the store.
        if (of.diedAt !== null && draw.chance(0.5)) return
        if (fails || (STORE_VERBS.has(verb) && options.isAway(of))) return answer(() => failed(storeAway(verb)))
        effect().then(
          (value) => answer(() => void (unheard ? failed(storeAway(verb)) : resolve(value))),
          (error: unknown) => answer(() => failed(error)),
        )
      }
      const takesMs = slowMs + (callMsMost === 0 ? 0 : draw.fraction() * callMsMost)
      const go = (): void => void timeline.after(takesMs, reached)
      deliver(of, 'arrived', go)
      return promise
    },
    travel: (_of, _way, ms, arrives) => void timeline.after(ms, arrives),
    arrive(to, run, dropped) {
      const struck = faults.strike('answer', false)
      if (to.diedAt !== null || stops(to, struck, 'before') === 'killed') return void dropped()
      if (to.frozenSince === null) run()
      else to.inbox.arrived.push(run)
      // It has been read: what the process does next, it does not live to do.
      stops(to, struck, 'after')
    },
  }
}

const storeAway = (verb: Verb): TokenError =>
  new TokenError('store_unavailable', `the modelled store did not answer "${verb}"`)
