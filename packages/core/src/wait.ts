/**
 * Watching open attempts until they end: how a waiter learns of a commit, of a renewal, or that its owner is gone
 * (`PROTOCOL.md` section 7).
 *
 * One loop serves all that this process waits for. It is woken by notices and reads by `changes`, in one query for all
 * who are to be asked; polling, with its back-off, goes on underneath, because a notice may be lost.
 */
import { fewAtOnce } from './at-once.ts'
import type { View } from './connection.ts'
import type { OwnerId, Uid } from './ids.ts'
import { attemptOf, openAttempt, type Busy } from './lease.ts'
import { COMPARE_EVERY_MS, LOOK_WAITING_MS, PAUSE_AFTER_EACH_MS, PROBE_EVERY_MS } from './policy.ts'
import { later, ms, since, type DurationMs, type MonoMs } from './time.ts'
import type { Evidence, Listener, LockMissing, Ports, ProofOfDeath, Spilled } from './ports.ts'
import { createSightings } from './sightings.ts'
import { replayAll } from './spill.ts'

export interface Watches {
  /**
   * Resolves when the attempt that `view` shows open has ended, by whomever, or after `close`. One watch a connection.
   *
   * @param patiently nobody waits: it is asked for once a second, and when its lease is over
   * @returns the doubt, where this process made it one because the lease was over; null: look again
   */
  watch(view: View, patiently?: 'patiently'): Promise<View | null>
  /** What others have open in silence, in a window that closes: nobody may be waiting for it. To be called once a round. */
  fellSilent(): Promise<readonly View[]>
  /** A round met a store that is away: whatever was silent until now may have been so for that. */
  storeWasAway(): void
  /**
   * Probes other owners; whoever is dead is buried: slots replayed, open attempts put in doubt.
   *
   * @param most so many, drawn anew at each call; absent: all
   */
  buryTheDead(most?: number): Promise<void>
  close(): void
}

/** One connection that is watched, for whoever waits for it. */
interface Watch {
  readonly over: Promise<View | null>
  readonly end: (doubt: View | null) => void
  readonly fail: (error: unknown) => void
  view: View
  seen: Busy
  /** Since when this fence and heartbeat are seen, by our own monotonic clock. */
  seenAt: MonoMs
  askedAt: MonoMs
  /** The next poll comes so long after the last one. */
  pollMs: DurationMs
  /** Nobody waits for it. */
  patient: boolean
  /** Its takeover is on its way: there is nothing to ask any more. */
  concluding: boolean
}

/**
 * @param isKeeping whether this process has an answer for the connection that the store has yet to take: its own attempt
 *   is then not silent, however long the store takes
 */
export function createWatches(ports: Ports, owner: OwnerId, isKeeping: (uid: Uid) => boolean = () => false): Watches {
  const { store, clock, liveness, notices } = ports
  const watches = new Map<Uid, Watch>()
  const sightings = createSightings(store, clock)
  /** When each owner that is waited for was probed last; endless while a probe is on its way. */
  const probed = new Map<OwnerId, MonoMs>()
  /** The dead whose slots could not be read: told once, and tried at every probe. */
  const unreadable = new Set<OwnerId>()
  let looping = false
  let closed = false
  /** Ends the pause of the loop. */
  let wake: () => void = () => undefined

  const drop = (watch: Watch): void => {
    const { uid } = watch.view.row
    // It may have ended in another way meanwhile, and the connection be watched anew.
    if (watches.get(uid) === watch) watches.delete(uid)
    wake()
  }
  const end = (watch: Watch, doubt: View | null = null): void => {
    drop(watch)
    watch.end(doubt)
  }
  const fail = (watch: Watch, error: unknown): void => {
    drop(watch)
    watch.fail(error)
  }
  const of = (other: OwnerId): Watch[] => [...watches.values()].filter(({ seen }) => seen.owner === other)

  // ---- the dead ----

  async function* readable(proof: ProofOfDeath): AsyncGenerator<Spilled> {
    try {
      yield* ports.spill.pending(proof)
    } catch (error) {
      if (!unreadable.has(proof.owner)) {
        unreadable.add(proof.owner)
        ports.events.tell({ type: 'slots_unreadable', at: clock.now().wall, owner: proof.owner })
      }
      throw error
    }
  }

  const bury = async (proof: ProofOfDeath): Promise<void> => {
    let done = false
    try {
      // Slots before takeover: an answer that was received beats every doubt about it.
      await replayAll(ports, readable(proof))
      await takeOverAll(proof.owner, 'owner_dead', () => proof)
      done = true
    } finally {
      proof.release(done)
    }
  }

  /** Who lost its lock may be alive, with the answer in its hands: what it has open is in doubt, and nothing else is done. */
  const missed = async ({ owner: missing }: LockMissing): Promise<void> => {
    await takeOverAll(missing, 'owner_silent', ofMissingLock)
  }

  const takeOverAll = async (
    from: OwnerId,
    because: 'owner_dead' | 'owner_silent',
    evidenceFor: (view: View) => Evidence | null,
  ): Promise<void> => {
    await fewAtOnce(await store.openAttempts(from), async (view) => {
      const evidence = evidenceFor(view)
      if (evidence === null) return
      const taken = await store.takeOver(view.at, evidence)
      if (taken.kind === 'in_doubt') tellInDoubt(ports, taken.view, because)
    })
  }

  const act = (judged: ProofOfDeath | LockMissing): Promise<void> =>
    judged.kind === 'dead' ? bury(judged) : missed(judged)

  const probe = async (other: OwnerId): Promise<void> => {
    probed.set(other, Number.POSITIVE_INFINITY as MonoMs)
    try {
      const judged = await liveness.judge(other, bootOf(of(other)[0]?.view))
      if (typeof judged !== 'string') {
        await act(judged)
        // Nothing was done about an attempt that shows no lock: it goes on being watched.
        for (const watch of of(other)) if (judged.kind === 'dead' || ofMissingLock(watch.view) !== null) end(watch)
      }
      probed.set(other, clock.now().mono)
    } catch (error) {
      // Whoever waits looks again, and begins with a probe.
      probed.delete(other)
      for (const watch of of(other)) fail(watch, error)
    }
  }

  const probeWhoIsDue = (now: MonoMs): void => {
    const others = new Set([...watches.values()].map(({ seen }) => seen.owner))
    others.delete(owner)
    for (const known of probed.keys()) if (!others.has(known)) probed.delete(known)
    for (const other of others) {
      const at = probed.get(other)
      // As the pause before reckons it: two sums of the same numbers can differ.
      if (at === undefined || later(at, PROBE_EVERY_MS) <= now) void probe(other)
    }
  }

  // ---- the living ----

  const ask = async (asked: readonly Watch[]): Promise<void> => {
    const now = clock.now().mono
    for (const watch of asked) {
      watch.askedAt = now
      const capMs = watch.patient ? COMPARE_EVERY_MS : watch.view.terms.policy.pollCapMs
      watch.pollMs = ms(Math.min(watch.pollMs * 2, capMs))
    }
    try {
      const changed = new Map<Uid, View>()
      for (const view of await store.changes(asked.map(({ view }) => [view.row.uid, view.row.revision])))
        changed.set(view.row.uid, view)
      for (const watch of asked) look(watch, changed.get(watch.view.row.uid))
    } catch (error) {
      for (const watch of asked) fail(watch, error)
    }
  }

  const look = (watch: Watch, changed: View | undefined): void => {
    const now = clock.now().mono
    if (changed === undefined) {
      const watchedMs = since(watch.seenAt, now)
      if (watchedMs < watch.seen.leaseMs) return
      if (watch.seen.owner === owner && isKeeping(watch.view.row.uid)) watch.seenAt = now
      else void conclude(watch, watchedMs)
      return
    }
    const open = openAttempt(changed.row, changed.readAt.store)
    if (open?.fence !== watch.seen.fence) return end(watch)
    if (open.heartbeat !== watch.seen.heartbeat) watch.seenAt = now
    watch.view = changed
    watch.seen = open
  }

  const conclude = async (watch: Watch, watchedMs: DurationMs): Promise<void> => {
    const { fence, heartbeat } = watch.seen
    watch.concluding = true
    try {
      const taken = await store.takeOver(watch.view.at, { kind: 'lease_over', fence, heartbeat, watchedMs })
      if (taken.kind === 'in_doubt') {
        tellInDoubt(ports, taken.view, 'owner_silent')
        return void end(watch, taken.view)
      }
      // It ended in this very moment, the row is gone, or the store's clock says otherwise. Whoever waits reads again.
      sightings.forget(watch.view.row.uid)
      end(watch)
    } catch (error) {
      fail(watch, error)
    }
  }

  // ---- the loop ----

  const waiting = (): Watch[] => [...watches.values()].filter(({ concluding }) => !concluding)

  /** When it is asked for again: after a pause, and in the moment in which its lease is over, for a window may be closing. */
  const asksAt = ({ askedAt, pollMs, seenAt, seen, view }: Watch): MonoMs => {
    const soonest = later(askedAt, view.terms.policy.pollFirstMs)
    return Math.min(later(askedAt, pollMs), Math.max(soonest, later(seenAt, seen.leaseMs))) as MonoMs
  }

  /** Polls come in groups: whoever has waited for half of its pause is asked with those whose pause is over. */
  const due = (now: MonoMs): Watch[] => {
    const all = waiting()
    const isDue = all.some((watch) => asksAt(watch) <= now)
    return isDue ? all.filter((watch) => asksAt(watch) <= now || since(watch.askedAt, now) >= watch.pollMs / 2) : []
  }

  const nextAt = (): MonoMs => {
    let next = Number.POSITIVE_INFINITY
    for (const watch of waiting()) next = Math.min(next, asksAt(watch))
    for (const at of probed.values()) next = Math.min(next, later(at, PROBE_EVERY_MS))
    return next as MonoMs
  }

  const loop = async (listener: Listener): Promise<void> => {
    /** Before this moment nothing is asked for by notices that name nothing. */
    let listensFrom = clock.now().mono
    while (watches.size > 0 && !closed) {
      probeWhoIsDue(clock.now().mono)
      const from = clock.now().mono
      const listens = from >= listensFrom
      await pause(listens ? listener : null, ms((listens ? nextAt() : Math.min(nextAt(), listensFrom)) - from))
      if (closed) return
      const now = clock.now().mono
      const heard = now >= listensFrom ? listener.take() : []
      const named = heard === 'unknown' ? waiting() : heard.flatMap((uid) => watches.get(uid) ?? [])
      const asked = [...new Set([...named, ...due(now)])].filter(({ concluding }) => !concluding)
      if (asked.length === 0) continue
      await ask(asked)
      if (heard === 'unknown') listensFrom = later(clock.now().mono, ms(asked.length * PAUSE_AFTER_EACH_MS))
    }
  }

  const pause = async (listener: Listener | null, forMs: DurationMs): Promise<void> => {
    const woken = new Promise<void>((resolve) => (wake = resolve))
    const alarm = clock.alarm(ms(Math.max(0, forMs)))
    const isWanted = waiting().some(({ patient }) => !patient)
    const bell = listener?.bell(isWanted ? LOOK_WAITING_MS : COMPARE_EVERY_MS) ?? null
    await Promise.race([alarm.rung, woken, ...(bell === null ? [] : [bell.rung])])
    alarm.cancel()
    bell?.cancel()
  }

  /** Somebody waits for it from now on. */
  const hasten = (watch: Watch): void => {
    watch.patient = false
    watch.pollMs = watch.view.terms.policy.pollFirstMs
    wake()
  }

  const begin = async (): Promise<void> => {
    looping = true
    const listener = notices.listen()
    try {
      // Whoever came after the loop had seen nobody left, and before it was known to have ended, is waited for as well.
      do await loop(listener)
      while (watches.size > 0 && !closed)
    } catch (error) {
      for (const watch of watches.values()) fail(watch, error)
    } finally {
      listener.close()
      looping = false
    }
  }

  return {
    watch(view, patiently) {
      const { uid } = view.row
      const patient = patiently !== undefined
      const known = watches.get(uid)
      if (known !== undefined) {
        if (known.patient && !patient) hasten(known)
        return known.over
      }
      const seen = openAttempt(view.row, view.readAt.store)
      if (seen === null || closed) return Promise.resolve(null)
      const { promise: over, resolve, reject } = Promise.withResolvers<View | null>()
      const { mono } = clock.now()
      watches.set(uid, {
        over,
        end: resolve,
        fail: reject,
        view,
        seen,
        seenAt: sightings.since(view) ?? mono,
        askedAt: mono,
        pollMs: patient ? COMPARE_EVERY_MS : view.terms.policy.pollFirstMs,
        patient,
        concluding: false,
      })
      if (looping) wake()
      else void begin()
      return over
    },
    async fellSilent() {
      return (await sightings.look()).filter(({ row }) => !watches.has(row.uid))
    },
    storeWasAway: sightings.forgetAll,
    async buryTheDead(most = Number.POSITIVE_INFINITY) {
      const others = await liveness.others()
      const from = others.length > most ? Math.floor(ports.random.fraction() * others.length) : 0
      for (const other of [...others.slice(from), ...others.slice(0, from)].slice(0, most)) {
        const judged = await liveness.judge(other, null)
        // One that cannot be buried now is met again by whoever watches its attempt.
        if (typeof judged !== 'string') await act(judged).catch(() => undefined)
      }
    },
    close() {
      closed = true
      for (const watch of watches.values()) end(watch)
    },
  }
}

/** Null: nothing is open, or by an owner whose lock was never to be seen. */
function ofMissingLock({ row }: View): (Evidence & LockMissing) | null {
  const attempt = attemptOf(row.state)
  if (attempt?.showsLock !== true) return null
  const { owner, fence, heartbeat } = attempt
  return { kind: 'lock_missing', owner, fence, heartbeat }
}

/** The boot in which the owner of the open attempt gave its last sign of life. */
const bootOf = (view: View | undefined): string | null =>
  view === undefined ? null : (attemptOf(view.row.state)?.heartbeatAt.boot ?? null)

function tellInDoubt(ports: Ports, view: View, because: 'owner_dead' | 'owner_silent'): void {
  const { id, uid, provider, fence, dueAt, state } = view.row
  // A held answer may have been promoted instead: then there is no doubt to announce.
  if (state.status !== 'in_doubt') return
  ports.events.tell({
    type: 'in_doubt',
    at: ports.clock.now().wall,
    connection: id,
    uid,
    provider,
    fence,
    because,
    status: null,
    retryAt: dueAt,
  })
}
