/**
 * How an answer becomes durable: by its commit, or, when the store does not take it in time, in its slot, from where it
 * is repeated until the store has it (`PROTOCOL.md` section 4.9).
 */
import { fewAtOnce } from './at-once.ts'
import { keptFrom } from './commit.ts'
import { TokenError } from './failures.ts'
import type { End } from './grant.ts'
import type { Lease } from './lease.ts'
import { backOffMs, type Policy, type Terms } from './policy.ts'
import type { CommitResult, Kept, Ports, Room, Spilled } from './ports.ts'
import { later, ms, shorter, type DurationMs } from './time.ts'

/**
 * Ends the attempt of `lease`.
 *
 * A granted answer that the store has not acknowledged after 250 ms, or refuses, goes into its slot; the repetition goes
 * on after this returns. One that is durable nowhere is not let out of here until it is. Other ends are awaited until the
 * commit deadline, and repeated for as long as anybody could wait for this attempt: left open, it would become in doubt,
 * which is weaker than the truth and never wrong.
 *
 * @param afterwards hears of the commit that came after this returned `spilled` or `open`
 * @returns what the store did; `spilled`: durable in its slot; `open`: nothing durable
 */
export async function settle(
  ports: Ports,
  policy: Policy,
  lease: Lease,
  room: Room,
  end: End,
  afterwards: (result: CommitResult) => void = () => undefined,
): Promise<CommitResult | 'spilled' | 'open'> {
  const first = attempt(() => ports.store.commit(lease, end))
  if (end.kind !== 'granted') {
    room.release()
    const commit = (): Promise<CommitResult> => ports.store.commit(lease, end)
    const capMs = shorter(policy.replayCapMs, policy.commitDeadlineMs)
    const soon = (await first) ?? (await retryFor(ports, policy, { forMs: policy.commitDeadlineMs, capMs }, commit))
    if (soon !== null) return soon
    // Nobody else may present before a lease and patience are over, unless they learn how this one ended.
    void retryFor(ports, policy, { forMs: ms(policy.leaseMs + policy.patienceMs), capMs }, commit).then((late) => {
      if (late !== null) afterwards(late)
    })
    return 'open'
  }
  const alarm = ports.clock.alarm(policy.spillAfterMs)
  const inTime = await Promise.race([first, alarm.rung.then(() => 'late' as const)])
  alarm.cancel()
  if (inTime !== 'late' && inTime !== null) {
    room.release()
    return inTime
  }
  const kept = keptFrom(lease, end.granted)
  const keep = (): Promise<Spilled | null> => attempt(() => ports.spill.keep(room, kept))
  const atOnce = await keep()
  const taken = untilKept(ports, policy, kept, inTime === 'late' ? first : null)
  // A disk that was full for a moment: whoever waits need not wait for the store, and a kill loses nothing any more.
  const entry = atOnce ?? (await retryUntil(ports, policy, taken, keep))
  const committed = taken.then(async (result) => {
    if (result !== null) await cleared(ports, room, entry)
    return result
  })
  if (entry === null) return (await committed) ?? 'open'
  void committed.then((result) => {
    if (result !== null) afterwards(result)
  })
  return 'spilled'
}

/** Whatever a store or a disk throws, also a defect of ours: the answer is still to be kept, so it is tried again. */
async function attempt<Value>(verb: () => Promise<Value>): Promise<Value | null> {
  try {
    return await verb()
  } catch {
    return null
  }
}

/**
 * Repeats a verb that the store has not acknowledged.
 *
 * @param forMs for so long at most; endless where nothing ends it but the store
 * @param capMs the longest wait between two tries
 * @returns null: not within that time, or the store was closed
 */
export async function retryFor<Value>(
  { clock, random }: Ports,
  policy: Policy,
  { forMs, capMs }: { readonly forMs: DurationMs; readonly capMs: DurationMs },
  verb: () => Promise<Value>,
): Promise<Value | null> {
  const until = later(clock.now().mono, forMs)
  for (let failures = 1; ; failures += 1) {
    const wait = backOffMs(failures, random.fraction(), capMs, policy)
    if (later(clock.now().mono, wait) >= until) return null
    await clock.alarm(wait).rung
    try {
      return await verb()
    } catch (error) {
      if (error instanceof TokenError && error.code === 'closed') return null
    }
  }
}

/** Repeats what brings null; null: `over` was first. */
async function retryUntil<Value>(
  { clock, random }: Ports,
  policy: Policy,
  over: Promise<unknown>,
  verb: () => Promise<Value | null>,
): Promise<Value | null> {
  let isOver = false
  void over.then(() => (isOver = true))
  for (let failures = 1; ; failures += 1) {
    const alarm = clock.alarm(backOffMs(failures, random.fraction(), policy.replayCapMs, policy))
    await Promise.race([alarm.rung, over])
    alarm.cancel()
    if (isOver) return null
    const value = await verb()
    if (value !== null) return value
  }
}

/**
 * Repeats until the store has it: an answer that was received is not given up. A store that was closed takes nothing any
 * more; the answer stays in its slot for whoever opens it next.
 */
async function untilKept(
  ports: Ports,
  policy: Policy,
  kept: Kept,
  running: Promise<CommitResult | null> | null,
): Promise<CommitResult | null> {
  const endless = { forMs: ms(Number.POSITIVE_INFINITY), capMs: policy.replayCapMs }
  return (await running) ?? (await retryFor(ports, policy, endless, () => ports.store.replay(kept)))
}

async function cleared(ports: Ports, room: Room, entry: Spilled | null): Promise<void> {
  // A slot that cannot be cleared is replayed at the next start, where its answer is known again.
  if (entry !== null) await attempt(() => ports.spill.clear(entry))
  room.release()
}

/** Replays what an owner left in its slots. To be called with proof of its death, before any takeover. */
export async function replayAll(ports: Ports, entries: AsyncIterable<Spilled>): Promise<void> {
  await fewAtOnce(entries, async (entry) => {
    const result = await ports.store.replay(entry)
    await ports.spill.clear(entry)
    if (result.kind === 'revoke' && result.terms !== null) void revokeKept(ports, entry, result.terms)
    if (result.view !== null) {
      const { id, uid, provider } = result.view.row
      ports.events.tell({
        type: 'replayed',
        at: ports.clock.now().wall,
        connection: id,
        uid,
        provider,
        fence: entry.fence,
      })
    }
  })
}

/** The connection was deleted before anybody replayed this: nobody will ever use what it brought. Once, as after any late answer. */
async function revokeKept(ports: Ports, { uid, granted: { refreshToken } }: Kept, terms: Terms): Promise<void> {
  if (refreshToken === null) return
  const client = await attempt(() => ports.registry.client(terms.client.id))
  if (client === null || typeof client === 'string') return
  const place = { owner: uid, purpose: 'rt', serial: refreshToken.serial }
  const token = ports.cipher.open('refresh_token', refreshToken.sealed, place)
  if (typeof token !== 'string') await attempt(() => ports.endpoint.revoke(terms.provider, client, token))
}
