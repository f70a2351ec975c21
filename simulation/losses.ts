/**
 * Which sign-ins were lost, and whether anybody who had the same answers in hand could have kept them: the server's log
 * says which refresh token lived, and the world where it was.
 */
import type { ConnectionRow, Numbers, ProviderId, Uid } from '@tokenkeep/core'
import type { AuthorizationServer, Issued, SignIn } from './authorization-server.ts'
import type { Presented } from './presentations.ts'
import { fingerprintOf, type Slot } from './process-ports.ts'
import type { Process } from './processes.ts'

/**
 * Why a sign-in is gone, where that could have been avoided: its living refresh token was here, or the server would have
 * answered again and nobody who could asked.
 */
export const AVOIDABLE = [
  'in_store',
  'in_slot',
  'in_memory',
  'on_its_way',
  'not_listened_to',
  'window_missed',
  'end_missed',
] as const
export const UNAVOIDABLE = [
  'answer_lost',
  'killed_with_answer',
  'frozen_too_long',
  'cut_off_too_long',
  'host_away',
  'store_forgot',
  'late_request',
  'clock_set',
  'server_lied',
  'operator',
  'expired',
] as const
export type Loss = (typeof AVOIDABLE)[number] | (typeof UNAVOIDABLE)[number]

export const isAvoidable = (loss: Loss): boolean => AVOIDABLE.some((each) => each === loss)

/** Before them whoever presents it was there already. */
const LAST_MOMENTS_MS = 1000
/** With less left of its window nobody can follow a try in time (ADR 0015). */
const FOLLOWED_LEAST_MS = 5000
/** A lease is renewed at the first tick after half of it, and with every slow call that is drawn. */
const TICK_MOST_MS = 100
/** From an answer's arrival to its place in a slot, with every slow call that is drawn. */
const INTO_SLOT_MOST_MS = 5000

export interface LossesOptions {
  readonly server: AuthorizationServer
  readonly numbers: Numbers
  readonly now: () => number
  readonly presented: readonly Presented[]
  readonly slots: ReadonlySet<Slot>
  readonly processes: readonly Process[]
  readonly rowsOf: () => Iterable<ConnectionRow>
  readonly everStored: ReadonlySet<string>
  /** Refresh tokens that the store had and forgot. */
  readonly forgotten: ReadonlySet<string>
  /** When the store was given what it had forgotten; -1: it had not, or was not. */
  givenBackAt(fingerprint: string): number
  isOperators(attempt: Presented['attempt']): boolean
  /** Of two writes the later one has the higher number: the last sign of life of an attempt, and the first write of a refresh token. */
  signOf(attempt: Presented['attempt']): number
  storedBy(fingerprint: string): number
  isIntended(attempt: Presented['attempt']): boolean
  /** When somebody last had leave to present before then, also who never came to it. */
  lastIntentBefore(uid: Uid, before: number): number
  /** How long the provider says that it answers again; null: it does not say so. */
  readonly graceMs: number | null
  /** How far apart its limit keeps requests; 0: it has none. */
  readonly paceMs: number
  /** Whether the connection is held open until an answer can hardly come any more. */
  readonly listensOn: boolean
  readonly clockSlackMs: () => number
  /** Whether a provider takes only so many requests. */
  isLimited(provider: ProviderId): boolean
  /** When the store forgot anything the last time; -1: never. */
  forgotAt(): number
  /** Whether the store was away, or forgot anything, since then. */
  storeAwaySince(at: number): boolean
}

export interface Losses {
  /** A request leaves: where the living refresh token is now, its sender could have known. */
  leaves(presented: Presented): void
  /** Before the server judges a request: if it ends the sign-in, this is why. */
  reaches(presented: Presented): void
  /** The row says that only a person can help. */
  gaveUp(row: ConnectionRow): void
  /** Why the sign-in of this row is lost; null: it is not. */
  lossOf(row: ConnectionRow, signIn: SignIn): Loss | null
}

export function createLosses(options: LossesOptions): Losses {
  const { server, numbers, presented } = options
  const killedBecause = new Map<SignIn, Loss>()
  const givenUpBecause = new Map<Uid, Loss>()
  const placeWhenLeft = new Map<Presented, Loss>()
  /** Requests that would have been granted had they arrived at once. */
  const leftInTime = new Set<Presented>()

  const isWell = (process: Process, forMs: number): boolean =>
    process.diedAt === null &&
    process.frozenSince === null &&
    process.cutOffUntil <= options.now() &&
    options.now() - process.wellSince >= forMs

  /** Where a refresh token is. */
  const placeOf = (token: Issued): Loss => {
    const fingerprint = fingerprintOf(token.value)
    // Whoever remembers it may be bringing it back in this moment.
    if (options.forgotten.has(fingerprint)) return 'store_forgot'
    for (const row of options.rowsOf()) {
      const held = [
        row.refreshToken,
        row.successor?.grant.refreshToken,
        ...row.siblings.map((each) => each.refreshToken),
      ]
      if (held.some((each) => each?.fingerprint === fingerprint)) return 'in_store'
    }
    const brings = presented.filter(({ carries }) => carries === token)
    if (brings.some(isOvertaken)) return 'late_request'
    // Its intent, or what was written since: a sign-in that was forgotten made its answer history.
    if (brings.some(({ attempt, at }) => !options.isIntended(attempt) || at <= options.forgotAt()))
      return 'store_forgot'
    const spilled = [...options.slots].filter(({ kept }) => kept.granted.refreshToken?.fingerprint === fingerprint)
    for (const { of } of spilled) {
      if (of.diedAt === null) return awayOrAt(of, 'in_slot')
      // Whoever lives on its host proves its death and replays its slots.
      const { diedAt } = of
      const patient = numbers.leaseMs + numbers.patienceMs
      const here = options.processes.some(
        (each) =>
          each.host === of.host && isWell(each, 0) && options.now() - Math.max(diedAt, each.wellSince) > patient / 4,
      )
      return here ? 'in_slot' : 'host_away'
    }
    for (const { by, answer, lateMs } of brings) {
      // It comes when nobody listens any more: what stands still counts nothing of that time.
      if (by.diedAt !== null || lateMs > numbers.listeningLimitMs + stoodStillMs(by)) continue
      if (answer === 'arrived') return awayOrAt(by, 'in_memory')
      if (answer === 'on_its_way') return awayOrAt(by, 'on_its_way')
    }
    if (brings.some(wasNotListenedTo)) return 'not_listened_to'
    const killed = brings.find(({ answer, by }) => answer === 'arrived' && by.diedAt !== null)
    if (killed === undefined) return 'answer_lost'
    return hadTimeToKeep(killed) ? 'in_memory' : 'killed_with_answer'
  }

  /** Where it is for one who looked at the store for the last time before the request left. */
  const placeFor = (one: Presented, living: Issued): Loss => {
    const place = placeOf(living)
    const isNews = options.storedBy(fingerprintOf(living.value)) > options.signOf(one.attempt)
    const bringer = presented.find(({ carries }) => carries === living)
    if (bringer !== undefined && server.find(one.refreshToken)?.parent === living.parent) {
      // Of two answers to one token the other one was taken: while nobody knew of this one, or when its lease was over.
      const both = presented.filter(({ carries }) => carries === living || carries?.value === one.refreshToken)
      if (both.some(({ attempt }) => !options.isIntended(attempt))) return 'store_forgot'
      if (isSilent(bringer.by)) return 'frozen_too_long'
    }
    if (place !== 'in_store' || !isNews || bringer === undefined) return place
    return options.isIntended(bringer.attempt) ? awayOrAt(bringer.by, place) : 'store_forgot'
  }

  /** Counted from its last heartbeat, for a lease or more. */
  const isSilent = ({ awayFrom }: Process): boolean =>
    awayFrom !== null && options.now() - awayFrom >= numbers.leaseMs / 2 - options.clockSlackMs()

  /** It lived on with the answer in memory alone, for longer than it takes to write it into a slot. */
  const hadTimeToKeep = ({ by, arrivedAt }: Presented): boolean => {
    if (arrivedAt === null || by.diedAt === null || by.diskFullUntil > 0) return false
    const stoodStill = by.frozenSince !== null || (by.awayFrom !== null && by.wellSince >= arrivedAt)
    return !stoodStill && by.diedAt - arrivedAt > numbers.spillAfterMs + INTO_SLOT_MOST_MS
  }

  const stoodStillMs = ({ awayFrom, wellSince }: Process): number =>
    awayFrom === null ? 0 : Math.max(0, wellSince - awayFrom)

  /** Where a second presentation can kill, an answer that comes late is waited for. */
  const wasNotListenedTo = ({ fault, at, abandonedAt }: Presented): boolean =>
    options.listensOn &&
    fault === 'late' &&
    abandonedAt !== null &&
    abandonedAt - at < numbers.listeningLimitMs - numbers.leaseMs

  /** A later request for the same token came first: the network, or a dead machine's kernel, held this one back. */
  const isOvertaken = (one: Presented): boolean =>
    presented.some((other) => other.at > one.at && other.refreshToken === one.refreshToken && other.did === 'granted')

  /** The same by a later request for what came of its token: an answer from before, which the store had forgotten, was brought back. */
  const isOutlived = (one: Presented): boolean =>
    leftInTime.has(one) &&
    presented.some(
      (other) =>
        other.at > one.at && other.did === 'granted' && comesOf(server.find(other.refreshToken), one.refreshToken),
    )

  /** By the clock of the store, which was set back, its grace is not over. */
  const isInWindowByStepped = ({ firstUsedAt }: Issued): boolean =>
    options.graceMs !== null &&
    firstUsedAt !== null &&
    options.clockSlackMs() > 0 &&
    options.now() - firstUsedAt <= options.graceMs + options.clockSlackMs()

  /** The store forgot that its token had been presented, by it or before it. */
  const isUnheardOf = (one: Presented): boolean =>
    !options.isIntended(one.attempt) ||
    presented.some(
      (other) =>
        other !== one &&
        other.refreshToken === one.refreshToken &&
        other.did === 'granted' &&
        !options.isIntended(other.attempt),
    )

  /** Another answer is tried as a last resort, because the token that lives was refused. */
  const isTriedAfterLie = ({ row }: Presented, living: Issued | undefined): boolean =>
    row?.state.status === 'presenting' &&
    row.state.attempt.why === 'sibling' &&
    presented.some(({ refreshToken, did }) => refreshToken === living?.value && did === 'lied')

  /** It would have been granted when it left; the network let it go only after a while. */
  const isHeldBack = (one: Presented): boolean => leftInTime.has(one) && one.fault === 'queued'

  /** Whoever stood still, or was cut off, for longer than a lease and patience is the trade-off of the protocol. */
  const awayOrAt = (process: Process, place: Loss): Loss => {
    const { awayFrom, wellSince, frozenSince, slowedFrom } = process
    // The store may keep it waiting for longer than it is back.
    const isHeldUp = slowedFrom !== null || options.storeAwaySince(wellSince)
    const isBack = frozenSince === null && process.cutOffUntil <= options.now() && !isHeldUp
    // It has just come back, and had no time to say what it has.
    if (awayFrom === null || (isBack && options.now() - wellSince > numbers.commitDeadlineMs)) return place
    const from = slowedFrom === null ? awayFrom : Math.min(awayFrom, slowedFrom)
    // Counted from its last heartbeat, which may be half a lease before it stopped, and a tick.
    const patient = numbers.leaseMs / 2 - TICK_MOST_MS + numbers.patienceMs - options.clockSlackMs()
    // The store that was away when it came back, or before it went, counts as well.
    if (options.now() - from < patient && !options.storeAwaySince(awayFrom)) return place
    return process.cutOffUntil > awayFrom ? 'cut_off_too_long' : 'frozen_too_long'
  }

  /** Inside its grace the server would have answered again: somebody was there for all of it, and nobody asked. */
  const isWindowMissed = (token: Issued): boolean => {
    const { firstUsedAt } = token
    if (options.graceMs === null || firstUsedAt === null || options.clockSlackMs() > 0) return false
    const same = presented.filter(({ refreshToken }) => refreshToken === token.value)
    // What was answered without being judged spent nothing.
    const first = same.find(({ did }) => did !== 'lied' && did !== 'not_spent' && did !== 'asked')
    // Counted from the first unanswered acquire, whose request may never have left, or have come late.
    const closes = Math.min(firstUsedAt, doubtedSince(first) ?? first?.at ?? firstUsedAt) + options.graceMs * 0.75
    if (first === undefined || first.at > closes) return false
    if (closes - options.lastIntentBefore(first.uid, closes) < FOLLOWED_LEAST_MS) return false
    const asked = same.filter(({ at }) => at >= first.at && at <= closes)
    const spent = Math.min(first.at, firstUsedAt)
    if (
      new Set(asked.map(({ attempt }) => attempt)).size > 1 ||
      options.storeAwaySince(spent) ||
      isPacedUntil(closes, asked[0])
    )
      return false
    // Who stands still may have claimed the try, and nobody else makes it meanwhile.
    const holdsUp = (each: Process): boolean =>
      each.slowedFrom !== null || (each !== first.by && each.awayFrom !== null && each.awayFrom >= spent)
    if (options.processes.some(holdsUp)) return false
    return options.processes.some(
      (each) =>
        each.diedAt === null &&
        each.frozenSince === null &&
        Math.max(each.startedAt, each.wellSince, each.diskFullUntil, each.cutOffUntil, each.failedAt) < spent,
    )
  }

  const doubtedSince = (one: Presented | undefined): number | null => {
    const state = one?.row?.state
    return state?.status === 'presenting' && state.from.status === 'in_doubt' ? state.from.since.at : null
  }

  /** One more would have been more than the provider takes. */
  const isPacedUntil = (closes: number, asked: Presented | undefined): boolean =>
    asked !== undefined &&
    presented.some(({ provider, at }) => provider === asked.provider && at <= closes && at + options.paceMs > closes)

  /** Missed: it was in the store for all of its last moments, somebody was there, and nobody presented it. */
  const endOf = (row: ConnectionRow, value: string, endsAt: number): Loss => {
    const lifeMs = row.refreshToken?.lifetimeMs ?? numbers.endMarginMostMs
    const from = endsAt - Math.min(numbers.endMarginMostMs, lifeMs / 4) - LAST_MOMENTS_MS
    if (options.givenBackAt(fingerprintOf(value)) > from) return 'store_forgot'
    if (options.clockSlackMs() > 0 || options.isLimited(row.provider) || options.storeAwaySince(from)) return 'expired'
    if (presented.some(({ refreshToken, at }) => refreshToken === value && at < endsAt)) return 'expired'
    const wasThere = options.processes.some(
      (each) =>
        each.startedAt < from &&
        each.awayFrom === null &&
        each.diedAt === null &&
        each.diskFullUntil === 0 &&
        each.slowedFrom === null,
    )
    return wasThere ? 'end_missed' : 'expired'
  }

  const newestLiving = (signIn: SignIn): Issued | undefined =>
    signIn.tokens.findLast((token) => server.lives(token, options.now()))

  return {
    leaves(one) {
      const token = server.find(one.refreshToken)
      if (token === undefined || token.of.end !== null) return
      if (server.lives(token, options.now())) return void leftInTime.add(one)
      const living = newestLiving(token.of)
      if (living !== undefined) placeWhenLeft.set(one, placeFor(one, living))
    },
    reaches(one) {
      const token = server.find(one.refreshToken)
      if (token === undefined || token.of.end !== null || server.lives(token, options.now())) return
      const living = newestLiving(token.of)
      if (isOvertaken(one) || isOutlived(one) || isHeldBack(one)) killedBecause.set(token.of, 'late_request')
      else if (isInWindowByStepped(token)) killedBecause.set(token.of, 'clock_set')
      else if (isUnheardOf(one)) killedBecause.set(token.of, 'store_forgot')
      else if (options.isOperators(one.attempt)) killedBecause.set(token.of, 'operator')
      else if (isTriedAfterLie(one, living)) killedBecause.set(token.of, 'server_lied')
      else if (isWindowMissed(token)) killedBecause.set(token.of, 'window_missed')
      else
        killedBecause.set(token.of, placeWhenLeft.get(one) ?? (living === undefined ? 'answer_lost' : placeOf(living)))
    },
    gaveUp(row) {
      const token = row.refreshToken === null ? undefined : tokenOf(row.refreshToken.fingerprint)
      if (token === undefined || token.of.end !== null) return
      const lied = presented.some(({ refreshToken, did }) => refreshToken === token.value && did === 'lied')
      const living = newestLiving(token.of)
      const newest = token.of.tokens.at(-1)
      if (living === undefined && newest === token && newest.endsAt !== null && options.now() >= newest.endsAt)
        return void givenUpBecause.set(row.uid, endOf(row, newest.value, newest.endsAt))
      const place = living === undefined ? 'answer_lost' : placeOf(living)
      givenUpBecause.set(row.uid, lied && place !== 'killed_with_answer' ? 'server_lied' : place)
    },
    lossOf(row, signIn) {
      if (row.state.status === 'deleting' || row.state.status === 'erased') return null
      // We ended it ourselves, and the store forgot that.
      if (signIn.end?.because === 'revoked') return null
      if (signIn.end?.because === 'reuse') return killedBecause.get(signIn) ?? 'in_store'
      if (row.state.status !== 'needs_user') return null
      return givenUpBecause.get(row.uid) ?? 'in_store'
    },
  }

  function tokenOf(fingerprint: string): Issued | undefined {
    return server.find(fingerprint.slice(fingerprintOf('').length))
  }
}

function comesOf(token: Issued | undefined, value: string): boolean {
  for (let each = token?.parent; each != null; each = each.parent) if (each.value === value) return true
  return false
}
