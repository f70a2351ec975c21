/**
 * Watching an open attempt until it ends: how a waiter learns of a commit, of a renewal, or that its owner is gone
 * (`PROTOCOL.md` section 7).
 */
import type { View } from './connection.ts'
import type { OwnerId, Uid } from './ids.ts'
import { openAttempt } from './lease.ts'
import { ms, since } from './time.ts'
import type { Ports, ProofOfDeath } from './ports.ts'
import { replayAll } from './spill.ts'

/** How often a silent owner's lock is tried: the try takes well under a millisecond. */
const PROBE_EVERY_MS = 250

export interface Watches {
  /** Resolves when the attempt that `view` shows open has ended, by whomever, or after `close`. One watch a connection. */
  watch(view: View): Promise<void>
  /**
   * Probes other owners; whoever is dead is buried: slots replayed, open attempts put in doubt.
   *
   * @param most so many, drawn anew at each call; absent: all
   */
  buryTheDead(most?: number): Promise<void>
  close(): void
}

export function createWatches(ports: Ports, owner: OwnerId): Watches {
  const running = new Map<Uid, Promise<void>>()
  let closed = false

  const bury = async (proof: ProofOfDeath): Promise<void> => {
    let done = false
    try {
      // Slots before takeover: an answer that was received beats every doubt about it.
      await replayAll(ports, ports.spill.pending(proof))
      for (const view of await ports.store.openAttempts(proof.owner)) {
        const taken = await ports.store.takeOver(view.at, proof)
        if (taken.kind === 'in_doubt') tellInDoubt(ports, taken.view, 'owner_dead')
      }
      done = true
    } finally {
      proof.release(done)
    }
  }

  const watch = async (first: View): Promise<void> => {
    let view = first
    let seen = openAttempt(view.row, view.readAt.store)
    let seenAt = ports.clock.now().mono
    let probedAt: typeof seenAt | null = null
    let pollMs = first.terms.policy.pollFirstMs
    while (seen !== null && !closed) {
      if (seen.owner !== owner && (probedAt === null || since(probedAt, ports.clock.now().mono) >= PROBE_EVERY_MS)) {
        probedAt = ports.clock.now().mono
        const judged = await ports.liveness.judge(seen.owner)
        if (typeof judged !== 'string') {
          await bury(judged)
          return
        }
      }
      await ports.clock.alarm(pollMs).rung
      pollMs = ms(Math.min(pollMs * 2, view.terms.policy.pollCapMs))
      const [changed] = await ports.store.changes([[view.row.uid, view.row.revision]])
      if (changed !== undefined) {
        const open = openAttempt(changed.row, changed.readAt.store)
        if (open?.fence !== seen.fence) return
        if (open.heartbeat !== seen.heartbeat) seenAt = ports.clock.now().mono
        view = changed
        seen = open
        continue
      }
      const watchedMs = since(seenAt, ports.clock.now().mono)
      if (watchedMs < seen.leaseMs) continue
      const evidence = { kind: 'lease_over', fence: seen.fence, heartbeat: seen.heartbeat, watchedMs } as const
      const taken = await ports.store.takeOver(view.at, evidence)
      if (taken.kind === 'in_doubt') tellInDoubt(ports, taken.view, 'owner_silent')
      // Moved: it ended in this very moment, or the row is gone. Whoever waits reads again.
      return
    }
  }

  return {
    watch(view) {
      const known = running.get(view.row.uid)
      if (known !== undefined) return known
      const promise = watch(view).finally(() => running.delete(view.row.uid))
      running.set(view.row.uid, promise)
      return promise
    },
    async buryTheDead(most = Number.POSITIVE_INFINITY) {
      const others = await ports.liveness.others()
      const from = others.length > most ? Math.floor(ports.random.fraction() * others.length) : 0
      for (const other of [...others.slice(from), ...others.slice(0, from)].slice(0, most)) {
        const judged = await ports.liveness.judge(other)
        // One that cannot be buried now is met again by whoever watches its attempt.
        if (typeof judged !== 'string') await bury(judged).catch(() => undefined)
      }
    },
    close() {
      closed = true
    },
  }
}

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
