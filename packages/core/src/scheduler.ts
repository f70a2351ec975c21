/**
 * Does by itself what is due: refreshes ahead, tries in doubt, confirmations, takeovers, deletions; and keeps what is
 * remembered the same as what others wrote: by their notices, and once a second whatever was heard (`PROTOCOL.md`
 * sections 10 and 11).
 */
import type { View } from './connection.ts'
import type { Incarnation } from './incarnation.ts'
import type { Introspections } from './introspections.ts'
import type { Manager } from './manager.ts'
import type { ConnectionId, Uid } from './ids.ts'
import { CLOCK_JUMP_MS, COMPARE_EVERY_MS, LOOK_REMEMBERING_MS, PAUSE_AFTER_EACH_MS } from './policy.ts'
import type { Ports } from './ports.ts'
import { later, ms, since, type MonoMs } from './time.ts'

/** What one round claims; the next round is a second away, and a claim that is not done comes back by itself. */
const BATCH = 64
/**
 * How many others are probed in a round, each for well under a millisecond. As every process does so, a death is seen
 * within a second or two however many they are, and nobody spends the second on probing.
 */
const PROBES = 8

export interface Scheduler {
  /** From now on what is due is left to other processes; what this one remembers is still compared with the store. */
  onlyWatch(): void
  /** Ends the rounds; resolves when the one on its way is over. */
  stop(): Promise<void>
}

/**
 * Begins the rounds, one a second.
 *
 * @param finishDeletion goes on with a deletion that is due again; null: what is due is left to other processes, and
 *   only what this one remembers is compared with the store
 * @param introspections begins to ask about what is in use; it is not waited for
 */
export function startScheduler(
  ports: Ports,
  manager: Manager,
  finishDeletion: ((view: View) => Promise<void>) | null,
  introspections: Pick<Introspections, 'round'> | null = null,
): Scheduler {
  const { clock, events } = ports
  const { cache, store } = manager
  const listener = ports.notices.listen()
  let stopped = false
  let finish = finishDeletion
  /** When the store was first found away, by the monotonic clock. */
  let awaySince: MonoMs | null = null
  /** When something was handed out last, as far as that is looked at: once a second. Null: not lately. */
  let handedOutAt: MonoMs | null = null
  let noting = false
  /** The clocks as they were at the last round. */
  let lastRound = clock.now()
  /** The wall clock was set back: until this moment it has not caught up with what was written before. */
  let behindUntil: MonoMs | null = null
  /** The last connection of the page that was looked at last. */
  const looked = new Map<'in_doubt' | 'suspect', ConnectionId>()
  /** Before this moment notices are left alone. */
  let listensFrom: MonoMs = clock.now().mono
  /** Ends the pause between two looks. */
  let wake: () => void = () => undefined
  /** Whether it was on hold when this process looked last. */
  let held = false

  const tend = (view: View, finishIt: (view: View) => Promise<void>): Promise<void> =>
    view.row.state.status === 'deleting' ? finishIt(view) : manager.tend(view)

  const tellOfHold = ({ hold, epoch }: Incarnation): void => {
    const { wall } = clock.now()
    if (hold !== null && !held) events.tell({ type: 'on_hold', at: wall, because: hold.because })
    if (hold === null && held) events.tell({ type: 'adopted', at: wall, epoch })
    held = hold !== null
  }

  /** It was written when it was claimed, and is due no more. */
  const tellOfLapse = ({ row: { state, id, uid, provider } }: View): void => {
    if (state.status !== 'needs_user' || state.reason !== 'no_refresh_token') return
    const { wall: at } = clock.now()
    events.tell({ type: 'needs_user', at, connection: id, uid, provider, reason: state.reason })
  }

  const claim = async (finishIt: (view: View) => Promise<void>): Promise<void> => {
    const except = await manager.gate.excepted(() => ports.registry.clients())
    for (const view of await store.due({ limit: BATCH, except })) {
      tellOfLapse(view)
      // Nobody waits for these; each settles by itself, and what fails stays due.
      tend(view, finishIt).catch(() => undefined)
    }
  }

  const doWhatIsDue = async (): Promise<void> => {
    tellOfHold(await store.incarnation())
    if (finish === null) return
    // Claimed by a process that could keep no answer it would be kept from those who can.
    if (await manager.hasRoom()) await claim(finish)
    // What nobody claimed as due yet: an owner that fell silent in a window, which closes before its lease is watched from its end on.
    if (!held) for (const view of await manager.watches.fellSilent()) tend(view, finish).catch(() => undefined)
    if (behindUntil !== null) await lookThrough(finish)
    if (!held) introspections?.round().catch(() => undefined)
    // Also where nobody waits for the one who died: a grace window does not wait for the end of its lease.
    await manager.watches.buryTheDead(PROBES)
  }

  const round = async (): Promise<void> => {
    noteJump()
    // What was written up to now is read here.
    listener.take()
    try {
      // Also where nothing is used: by this it is known how long the store has been away.
      await compare(cache.usedLately())
    } finally {
      // Whether or not others wrote: a window may be closing.
      await doWhatIsDue()
    }
  }

  /** One of the clocks jumped since the last round where they count differently. */
  const noteJump = (): void => {
    const now = clock.now()
    const jumpMs = since(lastRound.wall, now.wall) - since(lastRound.mono, now.mono)
    lastRound = now
    if (behindUntil !== null && now.mono >= behindUntil) behindUntil = null
    if (Math.abs(jumpMs) <= CLOCK_JUMP_MS) return
    cache.readAgain()
    if (jumpMs < 0) behindUntil = later(behindUntil ?? now.mono, ms(-jumpMs))
  }

  /**
   * After the wall clock was set back, all that is due by what was written before comes late by as much. The window of a
   * doubt does not wait for that, so whatever waits is looked at in turn, a page a second.
   */
  const lookThrough = async (finishIt: (view: View) => Promise<void>): Promise<void> => {
    for (const status of ['in_doubt', 'suspect'] as const) {
      const page = await store.list({ status, limit: BATCH, after: looked.get(status) })
      const last = page.length < BATCH ? undefined : page.at(-1)
      if (last === undefined) looked.delete(status)
      else looked.set(status, last.row.id)
      for (const view of page) tend(view, finishIt).catch(() => undefined)
    }
  }

  const compare = async (used: ReturnType<typeof cache.usedLately>): Promise<void> => {
    const newest = new Map(used)
    for (const view of await store.changes(used)) {
      const { uid, revision } = view.row
      // The store forgot its last writes: what is remembered was one of them, and others may end it unheard.
      if (revision < (newest.get(uid) ?? 0)) cache.drop(uid)
      else cache.heard(view, clock.now())
    }
  }

  const hear = async (heard: readonly Uid[] | 'unknown'): Promise<void> => {
    const used = cache.usedAmong(heard)
    if (used.length === 0) return
    // Where it fails, the next round finds what this one did not, and says that the store is away.
    await compare(used).catch(() => undefined)
    if (heard === 'unknown') listensFrom = later(clock.now().mono, ms(used.length * PAUSE_AFTER_EACH_MS))
  }

  const roundOrAway = async (): Promise<void> => {
    try {
      await round()
      awaySince = null
      manager.storeWas('there')
    } catch {
      manager.storeWas('away')
      const now = clock.now()
      if (awaySince === null) events.tell({ type: 'store_unavailable', at: now.wall })
      awaySince ??= now.mono
      // Nobody knows any more whether they were deleted or replaced.
      if (since(awaySince, now.mono) >= manager.numbers.cacheWithoutStoreMs) cache.clear()
    }
  }

  /** Notes the next hand-out, and looks closely from then on. */
  const noteNextHandOut = async (): Promise<void> => {
    if (noting) return
    noting = true
    await cache.nextHandOut()
    noting = false
    const quiet = handedOutAt === null
    handedOutAt = clock.now().mono
    if (quiet) wake()
  }

  /** Until `until`, or until something is heard, or handed out for the first time after a pause. */
  const pause = async (until: MonoMs): Promise<void> => {
    const from = clock.now().mono
    const woken = new Promise<void>((resolve) => (wake = resolve))
    const listens = from >= listensFrom
    const alarm = clock.alarm(ms(Math.max(0, since(from, listens ? until : earlier(until, listensFrom)))))
    const bell = listens ? listener.bell(handedOutAt === null ? COMPARE_EVERY_MS : LOOK_REMEMBERING_MS) : null
    await Promise.race([alarm.rung, woken, ...(bell === null ? [] : [bell.rung])])
    alarm.cancel()
    bell?.cancel()
  }

  const run = async (): Promise<void> => {
    while (!stopped) {
      await roundOrAway()
      const until = later(clock.now().mono, COMPARE_EVERY_MS)
      // What is noted once a second may have been a second before: two of them make sure of one.
      if (handedOutAt !== null && since(handedOutAt, clock.now().mono) >= 2 * COMPARE_EVERY_MS) handedOutAt = null
      void noteNextHandOut()
      while (!stopped && clock.now().mono < until) {
        await pause(until)
        if (stopped || clock.now().mono < listensFrom) continue
        const heard = listener.take()
        if (heard.length > 0) await hear(heard)
      }
    }
    listener.close()
  }

  const running = run()
  return {
    onlyWatch() {
      finish = null
    },
    async stop() {
      stopped = true
      wake()
      await running
    },
  }
}

const earlier = (a: MonoMs, b: MonoMs): MonoMs => (a < b ? a : b)
