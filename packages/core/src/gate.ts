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
import type { ClientId, ProviderId, Revision, Uid } from './ids.ts'
import type { Numbers } from './policy.ts'
import { hasRoom, isRested, RESTED, whenPaced, withOneMore, type Limits, type Pace } from './pace.ts'
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
  readonly view: View
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
  /** When the queue is looked at next. */
  ring: { readonly at: MonoMs; readonly alarm: Alarm } | null
}

interface AtClient {
  /** A change of client or provider makes all of it old. */
  readonly clientRevision: Revision
  readonly providerRevision: Revision
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
      ring: null,
    }
    known.limits = { requestsPerMinute, concurrency }
    providers.set(id, known)
    return known
  }

  const isOlder = ({ terms }: View, than: AtClient): boolean =>
    terms.client.revision < than.clientRevision || terms.provider.revision < than.providerRevision

  /** What was read before a change goes by what is known since. */
  const atClient = (view: View): AtClient => {
    const { client, provider } = view.terms
    const known = clients.get(client.id)
    const { revision: clientRevision } = client
    const { revision: providerRevision } = provider
    if (known !== undefined) {
      const same = known.clientRevision === clientRevision && known.providerRevision === providerRevision
      if (same || isOlder(view, known)) return known
    }
    const fresh = { clientRevision, providerRevision, breaker: CLOSED, mark: UNMARKED }
    clients.set(client.id, fresh)
    return fresh
  }

  const tell = (view: View, event: Told): void =>
    events.tell({ ...event, at: clock.now().wall, provider: view.row.provider, client: view.row.client })

  // ---- what the pure parts say -------------------------------------------------------------------------------------

  const hear = (one: OnTheWay, said: Said, now: MonoMs): void => {
    const { view, went } = one
    const at = atClient(view)
    // What a registration that was changed since was told says nothing about the one of now.
    if (isOlder(view, at)) return
    const before = at.breaker
    const after = heard(before, said, { uid: view.row.uid, now, went, draw: random.fraction() }, numbers)
    at.breaker = after
    if (after.kind === before.kind) return
    if (after.kind === 'open') tell(view, { type: 'circuit_opened', connections: numbers.breakerConnections })
    if (after.kind === 'told_to_wait') tell(view, { type: 'rate_limited', waitMs: since(now, after.until) })
    if (before.kind === 'open') tell(view, { type: 'circuit_closed', openMs: since(before.since, now) })
  }

  /** Whoever hangs is no better than whoever failed, and is not waited for to be counted. */
  const countHanging = (provider: AtProvider, now: MonoMs): void => {
    for (const one of provider.onTheWay) {
      if (one.hangs || since(one.went, now) < slowAfterMs) continue
      one.hangs = true
      hear(one, 'failed', now)
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
    if (!hasRoom(provider.onTheWay.size - past, provider.limits)) return 'turn'
    return heldUntil(view, urgency, now)?.until ?? 'go'
  }

  // ---- the queue ---------------------------------------------------------------------------------------------------

  const begin = (view: View, provider: AtProvider, urgency: Urgency, waited: boolean, now: MonoMs): Pass => {
    const client = atClient(view)
    provider.pace = withOneMore(provider.pace, provider.limits, now)
    const of = { now, draw: random.fraction(), callerEveryMs: callerEveryMs(provider) }
    client.breaker = letThrough(settled(client.breaker, now), urgency, of, numbers)
    client.mark = markTried(client.mark, urgency, now, numbers)
    const one: OnTheWay = { view, went: now, hangs: false }
    provider.onTheWay.add(one)
    return {
      kind: 'pass',
      waited,
      leave(outcome) {
        if (!provider.onTheWay.delete(one)) return
        if (outcome !== null) learn(one, outcome)
        pump(view.row.provider)
      },
    }
  }

  const learn = (one: OnTheWay, outcome: Outcome): void => {
    const { view } = one
    const now = clock.now().mono
    hear(one, saidBy(outcome), now)
    const at = atClient(view)
    if (isOlder(view, at)) return
    const before = at.mark.marked
    at.mark = markAfter(at.mark, outcome, view.row.uid, now, numbers)
    const { marked } = at.mark
    if (marked === null || before !== null || outcome.kind !== 'misconfigured') return
    const retryAt = later(clock.now().wall, ms(Math.ceil(since(now, marked.retryAt))))
    tell(view, { type: 'client_refused', word: outcome.word, retryAt })
  }

  const dequeue = (provider: AtProvider, one: Waiting, through: Pass | HeldBack): void => {
    provider.waiting[one.urgency]?.delete(one)
    queued.delete(one.uid)
    one.go(through)
  }

  /** Lets through whoever may go now, the most pressing first, and comes back when the next one may. */
  const pump = (id: ProviderId): void => {
    const provider = providers.get(id)
    if (provider === undefined) return
    provider.ring?.alarm.cancel()
    provider.ring = null
    const now = clock.now().mono
    countHanging(provider, now)
    let nextAt = Number.POSITIVE_INFINITY
    let turnEnded = false
    for (const waiting of provider.waiting) {
      /** Clients that wait for a moment: all of theirs that are as pressing wait for the same one. */
      const told = new Set<ClientId>()
      for (const one of waiting) {
        if (now >= one.until || closed) {
          dequeue(provider, one, { kind: 'held_back' })
          continue
        }
        nextAt = Math.min(nextAt, one.until)
        if (turnEnded) break
        if (told.has(one.view.row.client)) continue
        const may = verdict(one.view, provider, one.urgency, now)
        if (may === 'go') dequeue(provider, one, begin(one.view, provider, one.urgency, true, now))
        else if (may === 'turn') turnEnded = true
        else {
          told.add(one.view.row.client)
          nextAt = Math.min(nextAt, may)
        }
      }
    }
    if (turnEnded) nextAt = Math.min(nextAt, nextTurn(provider, now))
    if (nextAt < Number.POSITIVE_INFINITY) ringAt(id, provider, nextAt as MonoMs, now)
    else if (provider.onTheWay.size === 0 && isRested(provider.pace, now)) providers.delete(id)
  }

  /** When whoever waits for its turn may have it, if nobody leaves: by the minute, or because somebody begins to hang. */
  const nextTurn = (provider: AtProvider, now: MonoMs): MonoMs => {
    const pacedAt = whenPaced(provider.pace, provider.limits)
    if (pacedAt > now) return pacedAt
    let next = Number.POSITIVE_INFINITY
    for (const one of provider.onTheWay) if (!one.hangs) next = Math.min(next, later(one.went, slowAfterMs))
    return next as MonoMs
  }

  const ringAt = (id: ProviderId, provider: AtProvider, at: MonoMs, now: MonoMs): void => {
    if (provider.ring !== null && provider.ring.at <= at) return
    provider.ring?.alarm.cancel()
    const ring = { at, alarm: clock.alarm(ms(Math.max(1, at - now))) }
    provider.ring = ring
    void ring.alarm.rung.then(() => {
      if (provider.ring === ring) pump(id)
    })
  }

  /** Looks at whoever came alone: the others were looked at, and it is known when they are again. */
  const queueUp = (one: Waiting, provider: AtProvider, now: MonoMs): void => {
    const id = one.view.row.provider
    provider.waiting[one.urgency]?.add(one)
    const may = verdict(one.view, provider, one.urgency, now)
    if (may === 'go') return pump(id)
    const at = Math.min(one.until, may === 'turn' ? nextTurn(provider, now) : may)
    ringAt(id, provider, at as MonoMs, now)
  }

  const isFree = (view: View, urgency: Urgency, now: MonoMs): boolean => {
    const provider = atProvider(view)
    countHanging(provider, now)
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
      queueUp(one, provider, now)
      return promise
    },
    raise(uid) {
      const one = queued.get(uid)
      if (one === undefined) return
      const now = clock.now().mono
      one.until = later(now, patienceMs)
      if (one.urgency <= URGENCIES.caller) return
      const provider = atProvider(one.view)
      provider.waiting[one.urgency]?.delete(one)
      one.urgency = URGENCIES.caller
      queueUp(one, provider, now)
    },
    isQueued: (uid) => queued.has(uid),
    standing: (view, urgency) => heldUntil(view, urgency, clock.now().mono),
    isOpen: (view, urgency) => isFree(view, urgency, clock.now().mono),
    async excepted(allClients) {
      const now = clock.now().mono
      const busy = new Set<ProviderId>()
      for (const [id, { waiting, pace, limits, onTheWay }] of providers) {
        const waits = HELD_BACK.some((urgency) => (waiting[urgency]?.size ?? 0) > 0)
        const full = whenPaced(pace, limits) > now || !hasRoom(onTheWay.size, limits)
        if (waits || full) busy.add(id)
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
