/** The ports of one modelled process: the real verbs of the memory store, modelled slots, liveness, clocks and network. */
import {
  Secret,
  TokenError,
  type Alarm,
  type Cipher,
  type Clock,
  type Kept,
  type Line,
  type Moment,
  type MonoMs,
  type Now,
  type Numbers,
  type OwnerId,
  type Place,
  type Ports,
  type ProofOfDeath,
  type ProviderId,
  type Room,
  type Sealed,
  type Sealer,
  type Spilled,
  type TokenkeepEvent,
  type UnixMs,
} from '@tokenkeep/core'
import { createMemoryStore, type Memory } from '../packages/node/src/store-memory.ts'
import type { AuthorizationServer } from './authorization-server.ts'
import type { Draw } from './draw.ts'
import type { Verb } from './plan.ts'
import type { ModelledLine, Presentations } from './presentations.ts'
import type { Process, ProcessControl } from './processes.ts'
import type { Timeline } from './timeline.ts'

export const START = 1_790_000_000_000
const SLOTS_MOST = 8
/** As `LOCK_MISSING_MS` of core: a lock that others do not see for so long is a hint. */
export const LOCK_MISSING_AFTER_MS = 2000

export interface Slot {
  readonly of: Process
  readonly kept: Kept
}

export interface Surroundings {
  readonly timeline: Timeline
  readonly draw: Draw
  readonly control: ProcessControl
  readonly memory: Memory
  readonly numbers: Numbers
  readonly showsLocks: boolean
  serverAt(provider: ProviderId): AuthorizationServer
  readonly presentations: Presentations
  /** Everybody who was ever started and is not buried. */
  readonly processes: Process[]
  readonly buried: Set<Process>
  readonly slots: Set<Slot>
  readonly storeClock: { step: number }
  uuid(process: Process): string
  /** An answer is durable in a slot. */
  kept(kept: Kept): void
  told(event: TokenkeepEvent, by: Process): void
}

/** A ciphertext that opens only in its place, without arithmetic. */
interface Wrapped {
  readonly length: number
  readonly place: string
  readonly value: string
}
const nameOf = ({ owner, purpose, serial }: Place): string => `${owner} ${purpose} ${serial}`
const sealer: Sealer = {
  seal(secret, place) {
    const wrapped: Wrapped = { length: 64, place: nameOf(place), value: secret.reveal() }
    return wrapped as unknown as Sealed
  },
  fingerprint: (secret) => fingerprintOf(secret.reveal()) as ReturnType<Sealer['fingerprint']>,
}
export const fingerprintOf = (value: string): string => `fp-${value}`
export const thumbprintOf = (key: string): string => `jkt-${key}`

export function storeNow({ timeline, storeClock }: Pick<Surroundings, 'timeline' | 'storeClock'>): Moment {
  const at = timeline.now() + storeClock.step
  return { boot: 'database', at: at as MonoMs, wall: (START + at) as UnixMs }
}

export function clockOf(process: Process, { timeline, control }: Pick<Surroundings, 'timeline' | 'control'>): Clock {
  const { host } = process
  return {
    now: (): Now => ({
      wall: (START + timeline.now() + host.wallStep) as UnixMs,
      mono: (timeline.now() + host.monoStep) as MonoMs,
    }),
    tick: () =>
      new Promise((resolve) => {
        timeline.after(50, () => control.deliver(process, 'ticks', resolve))
      }),
    alarm(afterMs): Alarm {
      const { promise: rung, resolve } = Promise.withResolvers<void>()
      // Nobody waits for an endless one.
      if (!Number.isFinite(afterMs)) return { rung, cancel: () => undefined }
      const alarm = timeline.after(afterMs, () => control.deliver(process, 'timers', resolve))
      return { rung, cancel: () => alarm.cancel() }
    },
  }
}

/** The clock of background rounds: a round that would find nothing to do is not woken for. */
export function backgroundClockOf(process: Process, around: Surroundings): Clock {
  const { timeline, control } = around
  return {
    ...clockOf(process, around),
    alarm(afterMs): Alarm {
      const { promise: rung, resolve } = Promise.withResolvers<void>()
      const ring = (): void => {
        process.hasNews = false
        process.mayFind = false
        control.deliver(process, 'timers', resolve)
      }
      const round = { dueAt: timeline.now() + Math.max(0, afterMs), ring: ring as (() => void) | null }
      timeline.rounds.set(process, round)
      return { rung, cancel: () => void (round.ring = null) }
    },
  }
}

/** Others in the database see that its lock is gone. */
export const lacksLock = (
  { lockMissingSince }: Process,
  { showsLocks, timeline }: Pick<Surroundings, 'showsLocks' | 'timeline'>,
): boolean => showsLocks && lockMissingSince !== null && timeline.now() - lockMissingSince >= LOCK_MISSING_AFTER_MS

/** It has an attempt on its way, as the store has it. */
export const hasOpen = ({ owner }: Process, { memory }: Pick<Surroundings, 'memory'>): boolean =>
  [...memory.rows.values()].some(({ state }) => 'attempt' in state && state.attempt?.owner === owner)

export function portsOf(process: Process, around: Surroundings): Ports {
  const { timeline, draw, control, memory, numbers, processes, buried, slots } = around
  const { owner } = process
  const clock = clockOf(process, around)
  const call = <Value>(verb: Verb, effect: () => Promise<Value>): Promise<Value> => control.call(process, verb, effect)
  const random = { uuid: () => around.uuid(process), fraction: () => draw.fraction() }
  const cipher: Cipher = {
    sealer: () => call('sealer', async () => sealer),
    open(kind, sealed, place) {
      // Made by `seal` above.
      const wrapped = sealed as unknown as Wrapped
      return wrapped.place === nameOf(place) ? new Secret(kind, wrapped.value) : 'tampered'
    },
  }
  const { store, registry, notices } = createMemoryStore({
    memory,
    bootNow: () => storeNow(around),
    session: () => process.session,
    showsLock: () => around.showsLocks && process.cutOffUntil <= timeline.now(),
    owner,
    host: `host-${process.host.index}`,
    process: owner,
    cipher: { ...cipher, sealer: async () => sealer },
    clock,
    random,
    numbers,
  })

  const isHere = (other: Process): boolean => other.host === process.host && !buried.has(other)

  let roomsTaken = 0
  const present = around.presentations.present(process, clock.now)
  /** The newest of each provider, kept in memory alone. */
  const nonces = new Map<ProviderId, string>()
  return {
    store: {
      read: (...given) => call('read', () => store.read(...given)),
      list: (...given) => call('list', () => store.list(...given)),
      page: (...given) => call('list', () => store.page(...given)),
      overview: (...given) => call('list', () => store.overview(...given)),
      create: (...given) => call('create', () => store.create(...given)),
      acquire: (...given) => call('acquire', () => store.acquire(...given)),
      renew: (...given) => call('renew', () => store.renew(...given)),
      commit: (...given) => call('commit', () => store.commit(...given)),
      replay: (...given) => call('replay', () => store.replay(...given)),
      takeOver: (...given) => call('takeOver', () => store.takeOver(...given)),
      replaceGrant: (...given) => call('replaceGrant', () => store.replaceGrant(...given)),
      reject: (...given) => call('reject', () => store.reject(...given)),
      signOut: (...given) => call('signOut', () => store.signOut(...given)),
      presentNow: (...given) => call('presentNow', () => store.presentNow(...given)),
      label: (...given) => call('presentNow', () => store.label(...given)),
      beginDelete: (...given) => call('beginDelete', () => store.beginDelete(...given)),
      finishDelete: (...given) => call('finishDelete', () => store.finishDelete(...given)),
      due: (...given) => call('due', () => store.due(...given)),
      changes: (...given) => call('changes', () => store.changes(...given)),
      openElsewhere: () => call('openAttempts', () => store.openElsewhere()),
      openAttempts: (...given) => call('openAttempts', () => store.openAttempts(...given)),
      history: (...given) => call('read', () => store.history(...given)),
      incarnation: () => call('incarnation', () => store.incarnation()),
      adopt: (...given) => call('incarnation', () => store.adopt(...given)),
    },
    registry: {
      ...registry,
      client: (...given) => call('client', () => registry.client(...given)),
      clients: () => call('client', () => registry.clients()),
    },
    dpopKeys: {
      make: () => Promise.reject(new Error('each sign-in here brings its key')),
      read: async (text) => ({ key: new Secret('dpop_key', String(text)), jkt: thumbprintOf(String(text)) }),
    },
    endpoint: {
      awaitSource: async () => undefined,
      async connect({ id }, _client, _grant, withinMs, dpopKey = null) {
        const proof = {
          key: dpopKey?.reveal() ?? null,
          nonce: dpopKey === null ? null : (nonces.get(id) ?? 'none is known'),
        }
        const modelled: ModelledLine = { provider: id, proof, close: () => undefined }
        const line = call('connect', async () => modelled as unknown as Line)
        const alarm = clock.alarm(withinMs)
        const late = alarm.rung.then(() => ({ kind: 'not_sent', because: 'timeout' }) as const)
        const connected = await Promise.race([line, late])
        alarm.cancel()
        return connected
      },
      present(line, ...of) {
        const { ever, abandon } = present(line, ...of)
        const { provider } = line as unknown as ModelledLine
        const heard = ever.then((answer) => {
          if (answer.kind === 'response' && answer.dpopNonce !== undefined) nonces.set(provider, answer.dpopNonce)
          return answer
        })
        return { ever: heard, abandon }
      },
      revoke: ({ id }, _client, token) =>
        call('revoke', async () => {
          around.serverAt(id).revoke(token.reveal(), timeline.now())
          return 'revoked' as const
        }),
      introspect: async () => 'unsupported',
    },
    spill: {
      reserve: () =>
        call('reserve', async () => {
          if (process.diskFullUntil > timeline.now()) return { kind: 'no_room', because: 'disk' }
          if (roomsTaken >= SLOTS_MOST) return { kind: 'no_room', because: 'slots_in_use' }
          roomsTaken += 1
          let given = false
          return {
            sealer,
            release() {
              if (!given) roomsTaken -= 1
              given = true
            },
          } satisfies Room
        }),
      keep: (_room, kept) =>
        call('keep', async () => {
          if (process.diskFullUntil > timeline.now())
            throw new TokenError('store_unavailable', 'the modelled disk is full')
          slots.add({ of: process, kept })
          around.kept(kept)
          return kept as Spilled
        }),
      clear: (entry) =>
        call('clear', async () => {
          for (const slot of slots) if (slot.kept === entry) slots.delete(slot)
        }),
      async *pending({ owner: dead }) {
        const found = await call('pending', async () => [...slots].filter(({ of }) => of.owner === dead))
        for (const { kept } of found) yield kept as Spilled
      },
    },
    liveness: {
      judge: (of) =>
        call('judge', async () => {
          const other = processes.find((each) => each.owner === of)
          if (other === undefined || buried.has(other)) return 'unknown'
          if (other.host === process.host) return other.diedAt === null ? 'alive' : proofOf(of, other)
          return lacksLock(other, around) ? { kind: 'lock_missing', owner: of } : 'unknown'
        }),
      others: () =>
        call('others', async () =>
          processes
            .filter(
              (other) => other !== process && (isHere(other) || (lacksLock(other, around) && hasOpen(other, around))),
            )
            .map((other) => other.owner),
        ),
    },
    notices: {
      listen() {
        const listener = notices.listen()
        return {
          ...listener,
          bell(everyMs) {
            const { rung, cancel } = listener.bell(everyMs)
            const heard = new Promise<void>((resolve) => {
              void rung.then(() => control.deliver(process, 'arrived', resolve))
            })
            return { rung: heard, cancel }
          },
        }
      },
    },
    cipher,
    clock,
    random,
    events: { tell: (event) => around.told(event, process) },
  }

  function proofOf(of: OwnerId, other: Process): ProofOfDeath {
    const release = (done: boolean): void => {
      // Its file is forgotten once its slots are empty.
      if (done && ![...slots].some((slot) => slot.of === other)) buried.add(other)
    }
    return { kind: 'dead', owner: of, release } as unknown as ProofOfDeath
  }
}

/** What callers and the scheduler are told a moment is, in milliseconds of this world. */
export const worldMs = (wall: number): number => wall - START
