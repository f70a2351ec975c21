/**
 * Answers requests for access tokens: from what this process remembers, else by `decide`, and by whatever it says.
 *
 * The path of one refresh is `refresh.ts`; this file only orders reading, deciding, waiting and handing out.
 */
import { cacheKey, counted, createCache, type Cache, type CountHandOut } from './cache.ts'
import type { OpenedAccessToken, View } from './connection.ts'
import { decide, factsOf, patienceWith, variantFor, type Asked, type Decision, type Refusal } from './decide.ts'
import { assertNever, TokenError } from './failures.ts'
import { createFlights, shares, type Flight, type Flights } from './flight.ts'
import { createGate, type Gate, type Standing } from './gate.ts'
import type { Outcome } from './grant.ts'
import { sourceOf } from './grant-request.ts'
import {
  bindingOf,
  closedError,
  errorFor,
  goneError,
  handOutOf,
  onHold,
  scopeRefused,
  unreadable,
  type HandOut,
} from './handout.ts'
import { next, type ConnectionId, type OwnerId, type Revision, type Uid } from './ids.ts'
import { COMPARE_EVERY_MS, type Numbers } from './policy.ts'
import type { ConnectionStore, Ports } from './ports.ts'
import { refresh, reserved, storeAway, type Refreshed, type Refreshing } from './refresh.ts'
import { rememberingPairs } from './remembered-pairs.ts'
import { createRefusedScopes } from './refused-scopes.ts'
import { schedule } from './schedule.ts'
import {
  agedBy,
  later,
  laterMoment,
  longer,
  ms,
  since,
  type DurationMs,
  type Moment,
  type MonoMs,
  type Now,
} from './time.ts'
import { keyOf, readRequest, type TokenOptions } from './token-request.ts'
import { URGENCIES, urgencyOf, wantedUrgency, type Urgency } from './urgency.ts'
import { FULL, type Variant } from './variant.ts'
import { createWatches, type Watches } from './wait.ts'

export interface Manager {
  /** For the program around us: each hand-out is counted. */
  token(id: string, options?: TokenOptions): Promise<HandOut>
  /** The same for somebody else, who is counted as `count` does it. */
  tokenFor(count: CountHandOut, id: string, options?: TokenOptions): Promise<HandOut>
  /** Tells what was counted and not told yet. */
  tellHandOuts(): void
  /** Does what is due for one connection: a refresh ahead, a confirmation, a try in doubt, a takeover. */
  tend(view: View): Promise<void>
  readonly cache: Cache
  readonly flights: Flights
  readonly watches: Watches
  readonly gate: Gate
  /** The store, which is given back what it forgot and this process remembers. */
  readonly store: ConnectionStore
  readonly numbers: Numbers
  /** False: an answer could not be kept here, so what is due is left to others. Looked at only after a refresh found no room. */
  hasRoom(): Promise<boolean>
  /** The background found the store there, or away: a caller's reading is not the only one to tell. */
  storeWas(what: 'there' | 'away'): void
  /** From now on no refresh begins here. What lives is handed out, and who waits for a refresh on its way gets its token. */
  stopRefreshing(): void
  /**
   * No new refresh begins; what is on its way is awaited for at most `withinMs`.
   *
   * @returns `flying`: an answer may still come, and `flights.landed` says when; what keeps it has to stay open until then
   */
  close(withinMs: DurationMs): Promise<'landed' | 'flying'>
}

export interface ManagerOptions {
  readonly owner: OwnerId
  readonly numbers: Numbers
  /** Bound of the hand-outs remembered, bytes. */
  readonly cacheBytes: number
  /**
   * The clocks as a hand-out from memory reads them, where two readings cost as much as all the rest: its wall time may
   * lag by 1 ms in which this process ran. `clock.now` where absent.
   */
  readonly glance?: (() => Now) | undefined
  /** Hears of hand-outs to the program around us, some of them late and together. */
  readonly onHandOut?: CountHandOut | undefined
}

const LINE_FEED = 10

export function createManager(given: Ports, options: ManagerOptions): Manager {
  const { clock } = given
  const store = rememberingPairs(given.store, clock)
  const ports: Ports = { ...given, store }
  const { owner, numbers } = options
  const glance = options.glance ?? clock.now
  const count: CountHandOut = options.onHandOut ?? (() => undefined)
  const cache = createCache(options.cacheBytes, numbers, count)
  /** Connections with an answer here that the store has yet to take. */
  const keeping = new Set<Uid>()
  const watches = createWatches(ports, owner, (uid) => keeping.has(uid))
  const gate = createGate(ports, numbers)
  const flights = createFlights((of) => inTurn(ports, gate, of))
  const refusedScopes = createRefusedScopes(numbers)
  let closed = false
  let refreshes = true
  /** The last refresh could not be written down, so nothing was sent. */
  let notWritten: string | null = null
  /** The last refresh found no place for its answer. */
  let roomless = false
  /** When the store was first found away, by the monotonic clock. */
  let awaySince: MonoMs | null = null

  /** For a caller who says nothing but an id: a call more on this way, or a look at the id, costs a tenth of it. */
  const plain = (id: string): HandOut | undefined => (closed ? undefined : cache.plain(id, glance()))

  const hot = (id: string, { scope, resource, minTtlMs, waitMs }: TokenOptions): HandOut | undefined => {
    // Not looked at yet: with a line feed in front it would be the key of a narrower token.
    if (closed || typeof id !== 'string' || id.charCodeAt(0) === LINE_FEED) return undefined
    if (scope !== undefined || resource !== undefined || !(waitMs === undefined || waitMs >= 0)) return undefined
    if (!(minTtlMs === undefined || minTtlMs >= 0)) return undefined
    return cache.fresh(id, (minTtlMs ?? null) as DurationMs | null, glance())
  }

  /** What was asked for since this process last waited: equal requests are one, whether they are two or ten thousand. */
  const asking = new Map<string, Promise<HandOut>>()

  const together = (given: string, asked: TokenOptions): Promise<HandOut> => {
    const key = keyOf(given, asked)
    if (key === null) return cold(given, asked)
    const same = asking.get(key)
    if (same !== undefined) return same
    // Not for longer: whoever asks after a 401 was reported must not get an answer from before it.
    if (asking.size === 0) void Promise.resolve().then(() => asking.clear())
    const answer = cold(given, asked)
    asking.set(key, answer)
    return answer
  }

  const cold = async (given: string, asked: TokenOptions): Promise<HandOut> => {
    if (closed) throw closedError()
    const { id, variant, minTtlMs, waitMs } = readRequest(given, asked, numbers)
    const remembered = cache.fresh(cacheKey(id, variant.key), minTtlMs, clock.now())
    if (remembered !== undefined) return remembered
    const until = later(clock.now().mono, waitMs)
    let sawFence: Asked['sawFence'] = null
    let living: HandOut | null = null
    let betterUntil = until
    for (;;) {
      const view = await readOrRemembered(id, variant, living)
      // After the reading: from here to a launch nothing is awaited, so none begins once it is closed.
      if (closed) throw closedError()
      if ('accessToken' in view) return view
      const meant = variantFor(view, variant)
      const olderByMs = cache.olderByMs(view, meant.key, view.readAt.local)
      const decision = decide(view, { variant: meant, minTtlMs, sawFence, olderByMs }, owner, storeNow(view))
      sawFence ??= view.row.fence
      if ('meanwhile' in decision && decision.meanwhile !== null) {
        // Said once for the whole request: half of what is left, again and again, is all of it.
        if (living === null) betterUntil = betterBy(decision.meanwhile, view, until)
        living = handOutOf(decision.meanwhile, view.row)
      }
      const better = 'meanwhile' in decision && decision.meanwhile !== null
      const got = await follow(decision, view, meant, better ? betterUntil : until)
      if (got !== null) return got
      if (clock.now().mono >= until) throw tooLate(view, wantedUrgency(urgencyNow(view)))
    }
  }

  /** Whose fault it is that time ran out: ours as well, where the last refresh could not be written down. */
  const tooLate = (view: View, urgency: Urgency): TokenError => {
    const { id } = view.row
    if (notWritten !== null) return cannotWrite(id, notWritten)
    const held = gate.standing(view, urgency)
    return held === null
      ? errorFor({ code: 'unavailable', retryAt: null, source: sourceOf(view.row.grantRequest) }, id)
      : heldBack(held, id)
  }

  const heldBack = ({ because, until }: Standing, id: string): TokenError => {
    const now = clock.now()
    const retryAt = later(now.wall, ms(Math.ceil(since(now.mono, until))))
    return errorFor(
      because === 'client' ? { code: 'blocked', reason: 'client', retryAt } : { code: 'unavailable', retryAt },
      id,
    )
  }

  /** Until when a caller with a living token waits for a better one. */
  const betterBy = (token: OpenedAccessToken, view: View, until: MonoMs): MonoMs => {
    const patient = later(clock.now().mono, patienceWith(token, view.readAt.store.wall))
    return patient < until ? patient : until
  }

  /** The moment of now in store time: this process may have stood still since it read. */
  const storeNow = ({ readAt }: View): Moment =>
    laterMoment(readAt.store, longer(ms(0), agedBy(readAt.local, clock.now())))

  /** Null: it has ended while something was waited for. */
  const ifLiving = (view: View, token: OpenedAccessToken | null): OpenedAccessToken | null =>
    token !== null && token.expiresAt > storeNow(view).wall ? token : null

  /** Time is up for a better token, or for any. Null: there was one, which has ended; whether any time is left is seen next. */
  const atDeadline = (view: View, meanwhile: OpenedAccessToken | null, error: TokenError): HandOut | null => {
    if (meanwhile === null) throw error
    const living = ifLiving(view, meanwhile)
    return living === null ? null : handOutOf(living, view.row)
  }

  /** One look a second for all who wait for the same refresh. */
  const looks = new WeakMap<Flight, Promise<{ readonly kind: 'looked'; readonly view: View | undefined }>>()
  const look = (flight: Flight, uid: Uid): ReturnType<typeof looksLater> => {
    const known = looks.get(flight)
    if (known !== undefined) return known
    const looked = looksLater(flight, uid).finally(() => looks.delete(flight))
    looks.set(flight, looked)
    return looked
  }
  const looksLater = async (flight: Flight, uid: Uid): Promise<{ kind: 'looked'; view: View | undefined }> => {
    const alarm = clock.alarm(COMPARE_EVERY_MS)
    const cancel = (): void => alarm.cancel()
    flight.done.then(cancel, cancel)
    await alarm.rung
    const [view] = await store.changes([[uid, 0 as Revision]]).catch(() => [])
    return { kind: 'looked', view }
  }

  /** What our own refresh came to. `overtaken`: others signed in anew, or presented later, and what they have is in the store. */
  const landed = async (flight: Flight, view: View, until: MonoMs): Promise<Refreshed | 'deadline' | 'overtaken'> => {
    for (;;) {
      const first = await within(Promise.race([flight.done, look(flight, view.row.uid)]), left(until))
      if (first === 'deadline' || first.kind !== 'looked') return first
      if (first.view !== undefined && isPast(first.view, view)) return 'overtaken'
    }
  }

  /** Does what was decided; null: something changed, or may have, so read again. */
  const follow = async (decision: Decision, view: View, variant: Variant, until: MonoMs): Promise<HandOut | null> => {
    const { id, uid, grant } = view.row
    switch (decision.action) {
      case 'hand_out':
        // What would be held back is not begun: the next hand-out, or the scheduler, sees when it may go.
        if (decision.ahead !== null && refreshes && gate.standing(view, URGENCIES.ahead) === null)
          launch(view, decision.ahead, variant, { wanted: true, urgency: URGENCIES.ahead })
        // About to be ended by our own refresh: remembered, it would be handed out beyond that.
        if (view.terms.provider.refreshKillsAccessToken && flights.of(uid) !== undefined)
          return handOutOf(decision.token, view.row)
        return cache.put(view, decision.token, clock.now())
      case 'refuse':
        throw errorFor(refusalFor(view, decision.refusal), id)
      case 'wait': {
        if (!refreshes) throw errorFor(refusalFor(view, decision.refusal), id)
        const waits = ms(Math.max(1, decision.until - view.readAt.store.wall))
        if (later(clock.now().mono, waits) > until) throw errorFor(refusalFor(view, decision.refusal), id)
        // Looked at again every second: another process may have brought a token meanwhile.
        await clock.alarm(ms(Math.min(waits, 1000))).rung
        return null
      }
      case 'watch': {
        const flight = flights.of(uid)
        if (flight !== undefined) {
          // It may bring what the store has yet to take, which nobody can read there.
          const flown = await landed(flight, view, until)
          if (flown === 'deadline') return atDeadline(view, decision.meanwhile, errorFor(decision.refusal, id))
          if (flown === 'overtaken' || !shares(flight, grant, variant.key)) return null
          return land(flown, view, variant, ifLiving(view, decision.meanwhile), id)
        }
        const ended = watches.watch(view)
        // A watch that fails has not seen the end: look again, after a pause.
        const patient = await within(
          ended.catch(() => clock.alarm(numbers.pollCapMs).rung),
          left(until),
        )
        return patient === 'deadline' ? atDeadline(view, decision.meanwhile, errorFor(decision.refusal, id)) : null
      }
      case 'refresh': {
        if (!refreshes && flights.of(uid) === undefined) {
          if (decision.meanwhile === null) throw closedError()
          return handOutOf(decision.meanwhile, view.row)
        }
        if (refusedScopes.holds(view, variant, clock.now().mono)) {
          if (decision.meanwhile === null) throw scopeRefused(id)
          return handOutOf(decision.meanwhile, view.row)
        }
        const urgency = wantedUrgency(urgencyNow(view))
        const held = flights.of(uid) === undefined ? gate.standing(view, urgency) : null
        if (decision.meanwhile !== null && (held !== null || gate.isQueued(uid))) {
          return handOutOf(decision.meanwhile, view.row)
        }
        if (held !== null && held.until > until) throw heldBack(held, id)
        // With a living token in hand nobody waits for a turn.
        const waits = decision.meanwhile === null || flights.of(uid) !== undefined || gate.isOpen(view, urgency)
        const flight = launch(view, decision.why, variant, { wanted: true, urgency: waits ? urgency : URGENCIES.ahead })
        if (!waits && decision.meanwhile !== null) return handOutOf(decision.meanwhile, view.row)
        const flown = await landed(flight, view, until)
        if (flown === 'overtaken') return null
        if (flown === 'deadline') return atDeadline(view, decision.meanwhile, tooLate(view, urgency))
        if (!shares(flight, grant, variant.key)) return null
        return land(flown, view, variant, ifLiving(view, decision.meanwhile), id)
      }
      default:
        return assertNever(decision)
    }
  }

  /** What a refresh brought, for one who shares it; null: read again. */
  const land = async (
    flown: Refreshed,
    view: View,
    variant: Variant,
    meanwhile: OpenedAccessToken | null,
    id: string,
  ): Promise<HandOut | null> => {
    switch (flown.kind) {
      case 'ended': {
        if (flown.outcome.kind === 'misconfigured' && flown.outcome.reason === 'asked') throw scopeRefused(id)
        const brought = broughtBy(flown, variant)
        if (brought === null || brought.expiresAt <= clock.now().wall) return null
        return cache.put(flown.view ?? acquiredFrom(view), brought, clock.now())
      }
      case 'on_hold':
        if (meanwhile !== null) return handOutOf(meanwhile, view.row)
        throw onHold(id)
      case 'unreadable': {
        if (meanwhile !== null) return handOutOf(meanwhile, view.row)
        // A key that this process has not: what it handed out before may well live.
        const remembered = cache.living(cacheKey(id, variant.key), clock.now())
        if (flown.because === 'no_key' && remembered !== undefined) return remembered
        throw unreadable(flown.because, id)
      }
      case 'no_room':
      case 'store_unavailable':
        if (meanwhile !== null) return handOutOf(meanwhile, view.row)
        if (flown.kind === 'no_room' && flown.because === 'disk') throw noRoom(id)
        if (flown.kind === 'no_room' && flown.because === 'no_key') throw unreadable('no_key', id)
        await clock.alarm(numbers.pollCapMs).rung
        return null
      case 'held_back':
        // Its turn did not come. Whoever still waits goes to the end of the queue.
        if (meanwhile !== null) return handOutOf(meanwhile, view.row)
        if (!refreshes) throw closedError()
        return null
      case 'busy':
      case 'moved':
      case 'not_yet':
      case 'gone':
        // Nothing was presented: what we had read is no longer so. One poll's pause keeps two clocks from racing.
        await clock.alarm(numbers.pollFirstMs).rung
        return null
      default:
        return assertNever(flown)
    }
  }

  const launch = (
    view: View,
    why: Parameters<typeof flights.start>[0]['why'],
    variant: Variant,
    by: { readonly wanted: boolean; readonly urgency: Urgency },
  ): Flight => {
    const open = flights.of(view.row.uid)
    if (open !== undefined) {
      if (by.urgency <= URGENCIES.caller) gate.raise(view.row.uid)
      return open
    }
    const used = by.wanted || cache.wasUsed(view.row.uid)
    const flight = flights.start({ view, why, variant, usedAt: used ? clock.now().wall : null, urgency: by.urgency })
    // From now on callers look into the store, and wait.
    if (view.terms.provider.refreshKillsAccessToken) cache.drop(view.row.uid)
    // What a refresh in the background brings is remembered, too, so that the next caller need not look.
    void flight.done.then(
      (flown) => {
        notWritten = flown.kind === 'store_unavailable' ? flown.words : null
        tellOfRoom(flown)
        if (flown.kind !== 'ended') return
        if (flown.outcome.kind === 'granted') refusedScopes.granted(view, variant)
        if (flown.outcome.kind === 'misconfigured' && flown.outcome.reason === 'asked')
          refusedScopes.refused(view, variant, clock.now().mono)
        const brought = broughtBy(flown, variant)
        if (brought !== null) cache.remember(flown.view ?? acquiredFrom(view), brought, clock.now())
        else if (flown.view !== null && flown.outcome.kind !== 'unavailable' && flown.outcome.kind !== 'not_sent')
          cache.drop(view.row.uid)
        if (flown.spilled === null) return
        keeping.add(view.row.uid)
        // While this process stood still another one may have gone past it, and ended what it brought.
        void flown.spilled.taken.then((stands) => {
          keeping.delete(view.row.uid)
          if (stands === null) cache.drop(view.row.uid)
          else cache.heard(stands, clock.now())
        })
      },
      () => undefined,
    )
    return flight
  }

  /** Told once, also where nobody waits: without room nothing is sent, and the provider would be blamed for it. */
  const tellOfRoom = (flown: Refreshed): void => {
    const without = flown.kind === 'no_room' && flown.because === 'disk'
    if (without && !roomless) ports.events.tell({ type: 'store_unavailable', at: clock.now().wall })
    roomless = without
  }

  /** While the store is away, what lives is handed out for a while: what this caller read before, or what is remembered. */
  const readOrRemembered = async (
    id: ConnectionId,
    variant: Variant,
    living: HandOut | null,
  ): Promise<View | HandOut> => {
    try {
      const view = await store.read(id)
      awaySince = null
      if ('kind' in view) throw goneError(view, id)
      return view
    } catch (error) {
      if (!(error instanceof TokenError) || error.code !== 'store_unavailable') throw error
      const now = clock.now()
      awaySince ??= now.mono
      if (since(awaySince, now.mono) >= numbers.cacheWithoutStoreMs) throw error
      if (living !== null && living.expiresAt > now.wall) return living
      const remembered = cache.living(cacheKey(id, variant.key), now)
      if (remembered === undefined) throw error
      return remembered
    }
  }

  const tend = async (view: View): Promise<void> => {
    if (closed || !refreshes || view.hold !== null) return
    const { status } = view.row.state
    if (status === 'presenting') {
      const flight = flights.of(view.row.uid)
      const doubt = flight === undefined ? await watches.watch(view, 'patiently') : (await flight.done, null)
      if (doubt !== null) await goOn(doubt)
      return
    }
    const at = schedule(factsOf(view), view.terms, owner, view.readAt.store, false)
    if (at.kind !== 'now') return
    const flight = flights.of(view.row.uid)
    // The one before, whose end is in the store already: what was claimed would be left for a lease, and a window may close.
    if (flight !== undefined) await flight.done
    else {
      const flown = await launch(view, at.why, FULL, { wanted: false, urgency: urgencyNow(view) }).done
      // It was claimed, so for a while nobody else tries it, and a window may close: a store that failed is asked again.
      if (flown.kind !== 'store_unavailable' || urgencyNow(view) !== URGENCIES.closing) return
      await clock.alarm(numbers.pollCapMs).rung
    }
    await tendAnew(view)
  }

  const tendAnew = async ({ row }: View): Promise<void> => {
    const view = await store.read(row.id)
    if (!('kind' in view)) await tend(view)
  }

  /** A doubt that this process has just made, and nobody waits for: the next round could be too late for its window. */
  const goOn = async (doubt: View): Promise<void> => {
    if (urgencyNow(doubt) !== URGENCIES.closing) return
    const at = schedule(factsOf(doubt), doubt.terms, owner, doubt.readAt.store, false)
    const afterMs = at.kind === 'later' ? ms(at.at - doubt.readAt.store.wall) : ms(0)
    if (at.kind === 'never' || afterMs > COMPARE_EVERY_MS) return
    await clock.alarm(afterMs).rung
    await tendAnew(doubt)
  }

  const left = (until: MonoMs): DurationMs => ms(Math.max(0, since(clock.now().mono, until)))

  const within = async <Value>(promise: Promise<Value>, limit: DurationMs): Promise<Value | 'deadline'> => {
    const alarm = clock.alarm(limit)
    try {
      return await Promise.race([promise, alarm.rung.then(() => 'deadline' as const)])
    } finally {
      alarm.cancel()
    }
  }

  const tokenFor: Manager['tokenFor'] = async (counting, id, asked = {}) =>
    counted(counting, hot(id, asked) ?? (await together(id, asked)))

  return {
    // The only async function between a caller and a remembered token; one that awaits nothing costs less.
    async token(id, asked) {
      return (asked === undefined ? plain(id) : undefined) ?? tokenFor(count, id, asked)
    },
    tokenFor,
    tellHandOuts: cache.tellHandOuts,
    tend,
    async hasRoom() {
      if (!roomless) return true
      const room = await reserved(ports)
      if ('kind' in room) return false
      room.release()
      roomless = false
      return true
    },
    cache,
    flights,
    watches,
    gate,
    store,
    numbers,
    storeWas(what) {
      if (what === 'there') awaySince = null
      else watches.storeWasAway()
    },
    stopRefreshing() {
      refreshes = false
      // What waits for its turn has not begun.
      gate.close()
    },
    async close(withinMs) {
      closed = true
      gate.close()
      watches.close()
      const ended = await within(flights.landed(), withinMs)
      cache.clear()
      return ended === 'deadline' ? 'flying' : 'landed'
    },
  }
}

/** How pressing a presentation of this connection is now, as far as it knows itself. */
const urgencyNow = (view: View): Urgency =>
  urgencyOf(factsOf(view), view.terms, view.readAt.store.wall, view.readAt.store)

/** One refresh, in its turn. */
async function inTurn(ports: Ports, gate: Gate, of: Refreshing): Promise<Refreshed> {
  // Before its turn: whoever waits for another one in the queue must not stand in its way.
  const source = sourceOf(of.view.row.grantRequest)
  if (source !== null) await ports.endpoint.awaitSource(source)
  const pass = await gate.enter(of.view, of.urgency)
  if (pass.kind === 'held_back') return pass
  let outcome: Outcome | null = null
  try {
    const flown = await (pass.waited ? refreshAnew(ports, of) : refresh(ports, of))
    if (flown.kind === 'ended') outcome = flown.outcome
    return flown
  } finally {
    pass.leave(outcome)
  }
}

/** After a wait the provider may have moved, and the connection been refreshed by others: it is read again. */
async function refreshAnew(ports: Ports, of: Refreshing): Promise<Refreshed> {
  const { at, row } = of.view
  const view = await ports.store.read(row.id).catch(storeAway)
  if ('kind' in view) return view
  const same = view.at.uid === at.uid && view.at.grant === at.grant && view.at.fence === at.fence
  return same ? refresh(ports, { ...of, view }) : { kind: 'moved' }
}

const refusalFor = (view: View, refusal: Refusal): Refusal =>
  view.unreadable === null || refusal.code === 'needs_user' ? refusal : { code: 'unreadable', because: view.unreadable }

/** Whether somebody else went on from where our own refresh, which `view` led to or shows, began. */
function isPast({ row }: View, view: View): boolean {
  const ours = view.row.state.status === 'presenting' ? view.row.fence : next(view.row.fence)
  // Ours may still wait for its turn, and another process have had its own.
  const granted = row.lastGrant?.fence !== view.row.lastGrant?.fence
  return row.grant !== view.row.grant || row.fence > ours || granted
}

/** The access token that a refresh brought for `variant`: from the row, or from an answer that the store has yet to take. */
function broughtBy(flown: Refreshed & { kind: 'ended' }, variant: Variant): OpenedAccessToken | null {
  if (flown.outcome.kind !== 'granted') return null
  if (flown.view !== null) {
    const { accessTokens, row } = flown.view
    // Signed out or deleted while the answer was on its way: it was committed, and hand-outs have stopped.
    if (row.signedOutAt !== null || row.state.status === 'deleting') return null
    return accessTokens.find((each) => each.variant === variant.key && each.refusedAt === null) ?? null
  }
  const stored = flown.spilled?.granted.accessToken ?? null
  const opened = flown.spilled?.tokens.accessToken ?? null
  if (stored === null || opened === null) return null
  const { sealed: _sealed, serial: _serial, ...rest } = stored
  const key = flown.spilled?.dpopKey ?? null
  const binding = bindingOf(stored.tokenType, typeof key === 'string' ? null : key)
  return { ...rest, fence: flown.fence, refusedAt: null, token: opened.token, ...binding }
}

/** The view as our own acquire left the row: without it the next poll would take our own write for somebody else's. */
const acquiredFrom = (view: View): View => ({ ...view, row: { ...view.row, revision: next(view.row.revision) } })

const cannotWrite = (id: string, words: string): TokenError =>
  new TokenError(
    'store_unavailable',
    `nothing is sent for connection "${id}", for the intent to refresh cannot be written down: ${words}`,
    { subject: id },
  )

const noRoom = (id: string): TokenError =>
  new TokenError(
    'store_unavailable',
    `nothing is sent for connection "${id}": an answer could not be kept, for the data folder takes no more. Make room on its disk and see that it can be written.`,
    { subject: id },
  )
