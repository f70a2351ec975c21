/**
 * Who may go to a provider now, and who waits: `pace.ts`, `breaker.ts` and `client-mark.ts` decide, this file keeps the
 * queue (`PROTOCOL.md` section 10). Nothing is acquired before it opens.
 *
 * It counts what this process sends. Several processes each have a gate, and so each their whole rate.
 */
import { CLOSED, heard, letThrough, saidBy, settled, whenLet, type Breaker, type Said } from './breaker.ts'
import { markAfter, markTried, UNMARKED, whenMarkLets, type ClientMark } from './client-mark.ts'
import type { View } from './connection.ts'
import type { TokenkeepEvent } from './events.ts'
import type { Outcome } from './grant.ts'
import type { ClientId, ProviderId, Uid } from './ids.ts'
import type { Numbers } from './policy.ts'
import { hasRoom, RESTED, whenPaced, withOneLess, withOneMore, type Limits, type Pace } from './pace.ts'
import type { Alarm, Ports } from './ports.ts'
import { CONCURRENCY_UNSAID, type Client } from './provider.ts'
import { later, longer, ms, since, type DurationMs, type MonoMs } from './time.ts'
import { HELD_BACK, isPressing, URGENCIES, type Urgency } from './urgency.ts'

/** The right to acquire. To be given back when the attempt has ended, or was none. */
export interface Pass {
  readonly kind: 'pass'
  /** It waited: what was read before may be old. */
  readonly waited: boolean
  /** @param outcome null: nothing was presented */
  leave(outcome: Outcome | null): void
}

/** Not let through in time, or at all: nothing was acquired. */
export interface HeldBack {
  readonly kind: 'held_back'
}

/** Why a presentation would not go now, whatever the queue. */
export interface Standing {
  readonly because: 'client' | 'provider'
  readonly until: MonoMs
}

export interface Gate {
  /** Waits for its turn, at most a caller's deadline. */
  enter(view: View, urgency: Urgency): Promise<Pass | HeldBack>
  /** Somebody waits now for what is in the queue already. */
  raise(uid: Uid): void
  /** Its refresh waits for its turn. */
  isQueued(uid: Uid): boolean
  /** What holds back something as pressing as this; null: at most its turn. */
  standing(view: View, urgency: Urgency): Standing | null
  /** It would go at once. */
  isOpen(view: View, urgency: Urgency): boolean
  /** The providers whose due work is better left alone now. */
  excepted(clients: () => Promise<readonly Client[]>): Promise<readonly ProviderId[]>
  close(): void
}

type Told = DistributiveOmit<Extract<TokenkeepEvent, { readonly client: ClientId }>, 'at' | 'provider' | 'client'>
type DistributiveOmit<Each, Member extends PropertyKey> = Each extends unknown ? Omit<Each, Member> : never

interface Waiting {
  readonly uid: Uid
  readonly view: View
  urgency: Urgency
  until: MonoMs
  readonly go: (through: Pass | HeldBack) => void
}

interface OnTheWay {
  readonly uid: Uid
  readonly client: ClientId
  readonly went: MonoMs
  /** It was counted as a failure already, for it hangs. */
  hangs: boolean
}

interface AtProvider {
  limits: Limits
  pace: Pace
  /** One set for each urgency, in the order of arrival. */
  readonly waiting: readonly Set<Waiting>[]
  readonly onTheWay: Set<OnTheWay>
  alarm: Alarm | null
}

interface AtClient {
  /** A change of client or provider makes all of it old. */
  readonly revisions: string
  breaker: Breaker
  mark: ClientMark
}

export function createGate(ports: Pick<Ports, 'clock' | 'random' | 'events'>, numbers: Numbers): Gate {
  const { clock, random, events } = ports
  const providers = new Map<ProviderId, AtProvider>()
  const clients = new Map<ClientId, AtClient>()
  let closed = false
  /** Longer than an answer may take: it hangs. */
  const slowAfterMs = ms(numbers.connectDeadlineMs + numbers.grantDeadlineMs)
  /** Whoever waits for longer has given up, and due work comes back by itself. */
  const patienceMs = numbers.callerDeadlineMs
  /** One for each connection: its refreshes come one after another. */
  const queued = new Map<Uid, Waiting>()

  const atProvider = ({ terms }: View): AtProvider => {
    const { id, requestsPerMinute, concurrency } = terms.provider
    const known = providers.get(id) ?? {
      limits: { requestsPerMinute, concurrency },
      pace: RESTED,
      waiting: Object.values(URGENCIES).map(() => new Set<Waiting>()),
      onTheWay: new Set<OnTheWay>(),
      alarm: null,
    }
    known.limits = { requestsPerMinute, concurrency }
    providers.set(id, known)
    return known
  }

  const atClient = ({ terms }: View): AtClient => {
    const { client, provider } = terms
    const revisions = `${client.revision} ${provider.revision}`
    const known = clients.get(client.id)
    if (known?.revisions === revisions) return known
    const fresh = { revisions, breaker: CLOSED, mark: UNMARKED }
    clients.set(client.id, fresh)
    return fresh
  }

  const tell = (view: View, event: Told): void =>
    events.tell({ ...event, at: clock.now().wall, provider: view.row.provider, client: view.row.client })

  // ---- what the pure parts say -------------------------------------------------------------------------------------

  const hear = (view: View, uid: Uid, said: Said, now: MonoMs): void => {
    const at = atClient(view)
    const before = at.breaker
    const after = heard(before, said, { uid, now, draw: random.fraction() }, numbers)
    at.breaker = after
    if (after.kind === before.kind) return
    if (after.kind === 'open') tell(view, { type: 'circuit_opened', connections: numbers.breakerConnections })
    if (after.kind === 'told_to_wait') tell(view, { type: 'rate_limited', waitMs: since(now, after.until) })
    if (before.kind === 'open') tell(view, { type: 'circuit_closed', openMs: since(before.since, now) })
  }

  /** Whoever hangs is no better than whoever failed, and is not waited for to be counted. */
  const countHanging = (view: View, provider: AtProvider, now: MonoMs): void => {
    for (const one of provider.onTheWay) {
      if (one.hangs || one.client !== view.row.client || since(one.went, now) < slowAfterMs) continue
      one.hangs = true
      hear(view, one.uid, 'failed', now)
    }
  }

  const hanging = ({ onTheWay }: AtProvider): number => [...onTheWay].filter((one) => one.hangs).length

  /** Where the endpoint hangs, callers come so rarely that as many are listened to as may be on their way. */
  const callerEveryMs = (provider: AtProvider): DurationMs => {
    if (hanging(provider) < numbers.breakerConnections) return numbers.breakerCallerEveryMs
    const atOnce = provider.limits.concurrency ?? CONCURRENCY_UNSAID
    return longer(numbers.breakerCallerEveryMs, ms(numbers.listeningLimitMs / atOnce))
  }

  const heldUntil = (view: View, urgency: Urgency, now: MonoMs): Standing | null => {
    const { breaker, mark } = atClient(view)
    const byMark = whenMarkLets(mark, urgency)
    if (byMark > now) return { because: 'client', until: byMark }
    const byBreaker = whenLet(settled(breaker, now), urgency)
    return byBreaker > now ? { because: 'provider', until: byBreaker } : null
  }

  /** `turn`: others of this provider that are no more pressing have to wait, too. */
  const verdict = (view: View, provider: AtProvider, urgency: Urgency, now: MonoMs): 'go' | 'turn' | MonoMs => {
    if (whenPaced(provider.pace, provider.limits) > now) return 'turn'
    const { breaker } = atClient(view)
    const past = isPressing(urgency) || settled(breaker, now).kind === 'closed' ? hanging(provider) : 0
    if (!hasRoom(provider.pace, provider.limits, past)) return 'turn'
    return heldUntil(view, urgency, now)?.until ?? 'go'
  }

  // ---- the queue ---------------------------------------------------------------------------------------------------

  const begin = (view: View, provider: AtProvider, urgency: Urgency, waited: boolean, now: MonoMs): Pass => {
    const { uid } = view.row
    const client = atClient(view)
    provider.pace = withOneMore(provider.pace, provider.limits, now)
    const of = { now, draw: random.fraction(), callerEveryMs: callerEveryMs(provider) }
    client.breaker = letThrough(settled(client.breaker, now), urgency, of, numbers)
    client.mark = markTried(client.mark, urgency, now, numbers)
    const one: OnTheWay = { uid, client: view.row.client, went: now, hangs: false }
    provider.onTheWay.add(one)
    return {
      kind: 'pass',
      waited,
      leave(outcome) {
        if (!provider.onTheWay.delete(one)) return
        provider.pace = withOneLess(provider.pace, one.went)
        if (outcome !== null) learn(view, outcome)
        pump(view.row.provider)
      },
    }
  }

  const learn = (view: View, outcome: Outcome): void => {
    const now = clock.now().mono
    hear(view, view.row.uid, saidBy(outcome), now)
    const at = atClient(view)
    const before = at.mark.marked
    at.mark = markAfter(at.mark, outcome, view.row.uid, now, numbers)
    const { marked } = at.mark
    if (marked === null || before !== null || outcome.kind !== 'misconfigured') return
    const retryAt = later(clock.now().wall, ms(Math.ceil(since(now, marked.retryAt))))
    tell(view, { type: 'client_refused', word: outcome.word, retryAt })
  }

  /** Lets through whoever may go now, the most pressing first, and comes back when the next one may. */
  const pump = (id: ProviderId): void => {
    const provider = providers.get(id)
    if (provider === undefined) return
    provider.alarm?.cancel()
    provider.alarm = null
    const now = clock.now().mono
    let nextAt = Number.POSITIVE_INFINITY
    let turnEnded = false
    for (const waiting of provider.waiting) {
      for (const one of waiting) {
        if (now >= one.until || closed) {
          waiting.delete(one)
          queued.delete(one.uid)
          one.go({ kind: 'held_back' })
          continue
        }
        nextAt = Math.min(nextAt, one.until)
        if (turnEnded) break
        countHanging(one.view, provider, now)
        const may = verdict(one.view, provider, one.urgency, now)
        if (may === 'go') {
          waiting.delete(one)
          queued.delete(one.uid)
          one.go(begin(one.view, provider, one.urgency, true, now))
        } else if (may === 'turn') turnEnded = true
        else nextAt = Math.min(nextAt, may)
      }
    }
    const pacedAt = whenPaced(provider.pace, provider.limits)
    if (turnEnded && pacedAt > now) nextAt = Math.min(nextAt, pacedAt)
    if (nextAt === Number.POSITIVE_INFINITY) {
      if (provider.onTheWay.size === 0 && pacedAt <= now) providers.delete(id)
      return
    }
    const alarm = clock.alarm(ms(Math.max(1, nextAt - now)))
    provider.alarm = alarm
    void alarm.rung.then(() => {
      if (provider.alarm === alarm) pump(id)
    })
  }

  const isFree = (view: View, urgency: Urgency, now: MonoMs): boolean => {
    const provider = atProvider(view)
    countHanging(view, provider, now)
    const before = provider.waiting.slice(0, urgency + 1).some((waiting) => waiting.size > 0)
    return !before && verdict(view, provider, urgency, now) === 'go'
  }

  return {
    async enter(view, urgency) {
      if (closed) return { kind: 'held_back' }
      const now = clock.now().mono
      const provider = atProvider(view)
      if (isFree(view, urgency, now)) return begin(view, provider, urgency, false, now)
      const { promise, resolve } = Promise.withResolvers<Pass | HeldBack>()
      const { uid } = view.row
      const one: Waiting = { uid, view, urgency, until: later(now, patienceMs), go: resolve }
      queued.set(uid, one)
      provider.waiting[urgency]?.add(one)
      pump(view.row.provider)
      return promise
    },
    raise(uid) {
      const one = queued.get(uid)
      if (one === undefined) return
      one.until = later(clock.now().mono, patienceMs)
      if (one.urgency <= URGENCIES.caller) return
      const { waiting } = atProvider(one.view)
      waiting[one.urgency]?.delete(one)
      one.urgency = URGENCIES.caller
      waiting[one.urgency]?.add(one)
      pump(one.view.row.provider)
    },
    isQueued: (uid) => queued.has(uid),
    standing: (view, urgency) => heldUntil(view, urgency, clock.now().mono),
    isOpen: (view, urgency) => isFree(view, urgency, clock.now().mono),
    async excepted(allClients) {
      const now = clock.now().mono
      const busy = new Set<ProviderId>()
      for (const [id, { waiting, pace, limits }] of providers) {
        const queued = HELD_BACK.some((urgency) => (waiting[urgency]?.size ?? 0) > 0)
        const full = whenPaced(pace, limits) > now || !hasRoom(pace, limits)
        if (queued || full) busy.add(id)
      }
      const held = new Set<ClientId>()
      for (const [id, { breaker, mark }] of clients) {
        const until = Math.max(whenMarkLets(mark, URGENCIES.soon), whenLet(settled(breaker, now), URGENCIES.soon))
        if (until > now) held.add(id)
      }
      if (held.size > 0) {
        const free = new Set<ProviderId>()
        const known = await allClients()
        for (const client of known) if (!held.has(client.id)) free.add(client.provider)
        // A provider with a client that nothing holds back goes on: what the others hold back is little, and comes back.
        for (const { id, provider } of known) if (held.has(id) && !free.has(provider)) busy.add(provider)
      }
      return [...busy]
    },
    close() {
      closed = true
      for (const id of [...providers.keys()]) pump(id)
    },
  }
}
