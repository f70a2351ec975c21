/**
 * Asks providers whether access tokens are still active (RFC 7662): regularly about those that this process hands out, where
 * the provider's settings say so, and soon where something was said that may have ended a sign-in.
 *
 * Nothing is presented for it. A token that is inactive is replaced like one that an API refused, by a refresh that somebody
 * wants (ADR 0018). Each process asks about what it hands out itself.
 */
import type { Custody } from './connections.ts'
import type { View } from './connection.ts'
import type { ConnectionId, Fingerprint, ProviderId, Uid } from './ids.ts'
import type { Manager } from './manager.ts'
import { hasRoom, RESTED, whenPaced, withOneMore, type Pace } from './pace.ts'
import type { Ports } from './ports.ts'
import { jitterOf } from './schedule.ts'
import { later, longer, ms, since, type DurationMs, type MonoMs } from './time.ts'
import { URGENCIES } from './urgency.ts'

export interface Introspections {
  /** Begins to ask what is due; to be called once a second. */
  round(): Promise<void>
  /** About this one as soon as the provider may be asked, whatever its settings. */
  soon(id: ConnectionId): void
  /** Asks nothing more. */
  stop(): void
}

/** Half of what a provider may get at once by default: asking never takes the place of refreshing. */
const AT_ONCE = 8
/** What may wait for its turn. What is left out is asked about when it is due again, or decided by its next refresh. */
const WAITING_MAX = 10_000
/** Of those that a provider's limits held back, so many are looked at again in a round. */
const BATCH = 64
/** Settings of providers are read again after so long. */
const SETTINGS_KEPT_MS = ms(10_000)
/** A provider that has no introspection may have it one day. */
const UNSUPPORTED_AGAIN_MS = ms(3_600_000)

interface Asked {
  readonly fingerprint: Fingerprint
  readonly everyMs: DurationMs
  dueAt: MonoMs
}

export function createIntrospections(
  ports: Pick<Ports, 'clock' | 'registry'>,
  manager: Pick<Manager, 'cache' | 'gate' | 'store'>,
  introspect: Custody['introspect'],
): Introspections {
  const { clock, registry } = ports
  const { cache, gate, store } = manager
  const asked = new Map<Uid, Asked>()
  const waiting = new Set<ConnectionId>()
  /** The provider's limits, or its trouble, held them back: looked at again in the next round. */
  const heldBack = new Set<ConnectionId>()
  const paces = new Map<ProviderId, Pace>()
  const running = new Map<ProviderId, number>()
  let atOnce = 0
  let stopped = false
  let settings: { readonly at: MonoMs; readonly every: ReadonlyMap<ProviderId, DurationMs> } | null = null

  const everyOf = async (now: MonoMs): Promise<ReadonlyMap<ProviderId, DurationMs>> => {
    if (settings !== null && since(settings.at, now) < SETTINGS_KEPT_MS) return settings.every
    const every = new Map<ProviderId, DurationMs>()
    for (const { id, introspectEveryMs } of await registry.providers())
      if (introspectEveryMs !== null) every.set(id, introspectEveryMs)
    settings = { at: now, every }
    return every
  }

  /** Refreshes come first: where one of them would not go at once, nobody asks. */
  const mayAsk = (view: View, now: MonoMs): boolean => {
    const { provider } = view.terms
    const pace = paces.get(provider.id) ?? RESTED
    return (
      gate.isOpen(view, URGENCIES.ahead) &&
      whenPaced(pace, provider) <= now &&
      hasRoom(running.get(provider.id) ?? 0, provider)
    )
  }

  const ask = async (id: ConnectionId): Promise<void> => {
    const view = await store.read(id)
    if ('kind' in view) return
    const now = clock.now().mono
    const { provider } = view.terms
    if (!mayAsk(view, now)) {
      heldBack.add(id)
      return
    }
    paces.set(provider.id, withOneMore(paces.get(provider.id) ?? RESTED, provider, now))
    running.set(provider.id, (running.get(provider.id) ?? 0) + 1)
    const known = asked.get(view.row.uid)
    // From now, and not from when it was due: it may have been held back for long.
    if (known !== undefined) known.dueAt = later(now, known.everyMs)
    try {
      const answer = await introspect(id)
      if (known !== undefined && answer === 'unsupported')
        known.dueAt = later(clock.now().mono, longer(known.everyMs, UNSUPPORTED_AGAIN_MS))
    } finally {
      running.set(provider.id, (running.get(provider.id) ?? 1) - 1)
    }
  }

  const pump = (): void => {
    for (const id of waiting) {
      if (stopped || atOnce >= AT_ONCE) return
      waiting.delete(id)
      atOnce += 1
      void ask(id)
        // Nobody waits for it. What fails is due again.
        .catch(() => undefined)
        .finally(() => {
          atOnce -= 1
          pump()
        })
    }
  }

  const wait = (id: ConnectionId): void => {
    if (waiting.size < WAITING_MAX) waiting.add(id)
  }

  return {
    async round() {
      if (stopped) return
      for (const id of [...heldBack].slice(0, BATCH)) {
        heldBack.delete(id)
        wait(id)
      }
      const used = cache.inUse()
      const now = clock.now().mono
      const every = used.length === 0 ? null : await everyOf(now)
      for (const { uid, id, provider, fingerprint } of used) {
        const everyMs = every?.get(provider)
        if (everyMs === undefined) continue
        const known = asked.get(uid)
        if (known?.fingerprint !== fingerprint || known.everyMs !== everyMs) {
          // It has just been granted, or read for the first time; the second half of the first wait spreads them.
          const firstMs = ms(everyMs * (1 + jitterOf(uid)) * 0.5)
          asked.set(uid, { fingerprint, everyMs, dueAt: later(now, firstMs) })
        } else if (known.dueAt <= now) {
          known.dueAt = later(now, everyMs)
          wait(id)
        }
      }
      // Whoever is used again after a pause is asked about at once; after a long one it begins anew.
      for (const [uid, { dueAt, everyMs }] of asked) if (since(dueAt, now) > 2 * everyMs) asked.delete(uid)
      pump()
    },
    soon(id) {
      wait(id)
      pump()
    },
    stop() {
      stopped = true
      waiting.clear()
      heldBack.clear()
    },
  }
}
