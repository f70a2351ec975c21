/**
 * When may this refresh token be presented, and for which reason? The one place where the rules of `PROTOCOL.md`
 * sections 6, 8 and 10 about time stand: decide reads it, acquire enforces it, and `dueAt` comes from it.
 */
import type {
  BackOff,
  Blocked,
  ConnectionRow,
  InDoubt,
  Resting,
  Sibling,
  State,
  StoredAccessToken,
  StoredRefreshToken,
  Suspect,
  Why,
} from './connection.ts'
import { assertNever } from './failures.ts'
import type { OwnerId, Uid } from './ids.ts'
import {
  CLOCKS_AGREE_MS,
  CLOSING_CLAIM_MS,
  aheadWindowMs,
  backOffMs,
  endMarginMs,
  floorMs,
  keepAliveLeadMs,
  usedLatelyMs,
  type Policy,
  type Terms,
} from './policy.ts'
import { lapsesAt } from './lapse.ts'
import { siblingsLive, siblingToTry } from './sibling.ts'
import {
  earliest,
  later,
  latest,
  ms,
  perhapsElapsed,
  shorter,
  since,
  surelyElapsed,
  type DurationMs,
  type Moment,
  type UnixMs,
} from './time.ts'

/** The part of a row that time is decided by. A view has it, too. */
export interface Facts {
  readonly uid: Uid
  readonly grantType: ConnectionRow['grantType']
  readonly state: State
  readonly refreshToken: Pick<StoredRefreshToken, 'endsAt' | 'lifetimeMs' | 'presentations' | 'receivedAt'> | null
  readonly accessTokens: readonly Pick<
    StoredAccessToken,
    'expiresAt' | 'refusedAt' | 'variant' | 'lifetimeMs' | 'fence'
  >[]
  readonly siblings: readonly Pick<Sibling, 'fence' | 'spent' | 'backOff'>[]
  readonly signedOutAt: Moment | null
  readonly presentNow: Moment | null
  readonly usedAt: UnixMs | null
  readonly lastGrant: ConnectionRow['lastGrant']
  readonly createdAt: UnixMs
}

export type Schedule =
  | { readonly kind: 'now'; readonly why: Why }
  | { readonly kind: 'later'; readonly why: Why; readonly at: UnixMs }
  | { readonly kind: 'never'; readonly because: 'presenting' | 'needs_user' | 'no_refresh_token' | 'gone' | 'on_hold' }

/**
 * @param owner who asks: the prompt retry belongs to the one who saw the end
 * @param waited a caller waits: back-off is capped lower
 */
export function schedule(facts: Facts, terms: Terms, owner: OwnerId, now: Moment, waited: boolean): Schedule {
  const { state } = facts
  switch (state.status) {
    case 'presenting':
      return { kind: 'never', because: 'presenting' }
    case 'deleting':
    case 'erased':
      return { kind: 'never', because: 'gone' }
    case 'blocked':
      return blockedSchedule(facts, state, terms, owner, now, waited)
    case 'ready':
    case 'in_doubt':
    case 'suspect':
    case 'needs_user':
      return restingSchedule(facts, state, terms, owner, now, waited)
    default:
      return assertNever(state)
  }
}

function blockedSchedule(
  facts: Facts,
  state: Blocked,
  terms: Terms,
  owner: OwnerId,
  now: Moment,
  waited: boolean,
): Schedule {
  const resting = restingSchedule(facts, state.from, terms, owner, now, waited)
  const changed = state.clientRevision !== terms.client.revision || state.providerRevision !== terms.provider.revision
  // A retry further away than any is set: the wall clock was put back meanwhile.
  const stepped = state.retryAt - now.wall > terms.policy.blockedCapMs
  if (changed || stepped || facts.presentNow !== null || now.wall >= state.retryAt || resting.kind === 'never')
    return resting
  return {
    kind: 'later',
    why: resting.why,
    at: resting.kind === 'later' ? latest(resting.at, state.retryAt) : state.retryAt,
  }
}

function restingSchedule(
  facts: Facts,
  state: Resting,
  terms: Terms,
  owner: OwnerId,
  now: Moment,
  waited: boolean,
): Schedule {
  const { policy } = terms
  if (state.status === 'needs_user') {
    return siblingSchedule(facts, policy, now, waited) ?? { kind: 'never', because: 'needs_user' }
  }
  if (facts.grantType === 'refresh_token' && facts.refreshToken === null) {
    return { kind: 'never', because: 'no_refresh_token' }
  }
  // An operator may take the wait away, never what the provider asked for.
  const told = latest(whenToldToTry(state.backOff, now), whenSignOutIsDone(facts, policy, now))
  const free = facts.presentNow === null ? latest(whenBackOffEnds(state.backOff, policy, now, waited), told) : told
  switch (state.status) {
    case 'ready':
      return when(
        pastKnownEnd(facts, now.wall) ? 'last' : 'fresh',
        latest(free, floorAfterBareGrant(facts, policy, now.wall)),
        now,
      )
    case 'in_doubt': {
      if (facts.presentNow !== null) return when(pastKnownEnd(facts, now.wall) ? 'last' : 'in_doubt', told, now)
      const allowed = whenDoubtAllows(facts, state, terms, owner, now)
      const why = pastKnownEnd(facts, now.wall) ? 'last' : 'in_doubt'
      // The prompt retry is not a try after a failure of its own, so only Retry-After holds it back.
      const from = allowed.prompt ? told : whileWindowIsOpen(free, state, policy, now)
      return when(why, latest(allowed.at, from), now)
    }
    case 'suspect': {
      const sibling = siblingSchedule(facts, policy, now, waited)
      // Nothing is confirmed that is believed already, and where every answer stays valid a sibling harms nothing.
      const first = state.believed !== null || (state.refusals > 0 && siblingsLive(policy))
      if (sibling !== null && first && facts.signedOutAt === null) return sibling
      if (pastKnownEnd(facts, now.wall)) return when('last', free, now)
      return when('confirm', latest(whenToConfirm(facts, state, policy, now), free), now)
    }
    default:
      return assertNever(state)
  }
}

/** When a sibling is presented that was not refused yet; null: there is none. */
function siblingSchedule(facts: Facts, policy: Policy, now: Moment, waited: boolean): Schedule | null {
  const sibling = siblingToTry(facts.siblings)
  if (sibling === null) return null
  const free = whenBackOffEnds(sibling.backOff, policy, now, waited)
  return when('sibling', free, now)
}

const when = (why: Why, at: UnixMs, now: Moment): Schedule =>
  at <= now.wall ? { kind: 'now', why } : { kind: 'later', why, at }

/**
 * A provider may tell of a sign-out before it has ended the session itself, and until then grants what it refuses
 * afterwards: Keycloak posts its logout tokens first.
 */
const whenSignOutIsDone = ({ signedOutAt, presentNow }: Facts, policy: Policy, now: Moment): UnixMs =>
  signedOutAt === null || presentNow !== null ? now.wall : surelyAfter(signedOutAt, policy.signOutTakesMs, now)

/** The wall time at which `wait` will surely have passed since `from`. */
const surelyAfter = (from: Moment, wait: DurationMs, now: Moment): UnixMs =>
  // Whole milliseconds, rounded up: a store's clock knows fractions, and people and other programs are told this moment.
  later(now.wall, ms(Math.ceil(Math.max(0, wait - surelyElapsed(from, now)))))

function whenBackOffEnds(backOff: BackOff | null, policy: Policy, now: Moment, waited: boolean): UnixMs {
  if (backOff === null) return now.wall
  const capMs = waited ? policy.backOffCapWithCallerMs : policy.backOffCapMs
  const drawn = surelyAfter(backOff.failedAt, backOffMs(backOff.failures, backOff.draw, capMs, policy), now)
  return latest(drawn, whenToldToTry(backOff, now))
}

/** `Retry-After` is a length of time from its answer: a wall clock that steps neither hides nor prolongs it. */
function whenToldToTry(backOff: BackOff | null, now: Moment): UnixMs {
  if (backOff?.notBefore == null) return now.wall
  const at = surelyAfter(backOff.failedAt, since(backOff.failedAt.wall, backOff.notBefore), now)
  // Two clocks that agree differ by their rounding: everybody is told the same moment.
  return Math.abs(since(backOff.notBefore, at)) <= CLOCKS_AGREE_MS ? backOff.notBefore : at
}

/** A granted answer without an access token is followed by another refresh, but not at once: it may come again. */
function floorAfterBareGrant(facts: Facts, policy: Policy, now: UnixMs): UnixMs {
  const { lastGrant } = facts
  const bare = lastGrant !== null && !facts.accessTokens.some((token) => token.fence === lastGrant.fence)
  // A grant in the future is one from before the wall clock was put back.
  return bare && lastGrant.at <= now ? later(lastGrant.at, policy.floorLeastMs) : (0 as UnixMs)
}

/**
 * 15 s and 60 s after the first refusal. Where the refresh token ends sooner, at a third and at two thirds of what was
 * left of it: a refusal that was none is over by one of them, if it is over at all before the end.
 */
function whenToConfirm(facts: Facts, state: Suspect, policy: Policy, now: Moment): UnixMs {
  const { refusals, firstRefusedAt, believed } = state
  const decides = refusals === 0 || believed !== null || facts.signedOutAt !== null || facts.presentNow !== null
  if (decides) return now.wall
  const at = surelyAfter(firstRefusedAt, policy.confirmAfterMs[refusals - 1] ?? ms(0), now)
  const endsAt = facts.refreshToken?.endsAt ?? null
  if (endsAt === null) return at
  const leftMs = since(firstRefusedAt.wall, endsAt)
  return earliest(at, later(firstRefusedAt.wall, ms(Math.ceil((leftMs * refusals) / 3))))
}

function whenDoubtAllows(
  facts: Facts,
  state: InDoubt,
  terms: Terms,
  owner: OwnerId,
  now: Moment,
): { at: UnixMs; prompt: boolean } {
  const { policy } = terms
  const asStrict = (): { at: UnixMs; prompt: boolean } => ({
    at: whenStrictAllows(facts, state, policy, now),
    prompt: false,
  })
  if (state.adopted === true && policy.reuse.kind !== 'reusable') return asStrict()
  switch (policy.reuse.kind) {
    case 'reusable':
      return { at: now.wall, prompt: false }
    case 'grace':
      return windowLeftMs(state, policy, now) > 0 ? { at: now.wall, prompt: false } : asStrict()
    case 'counted':
      return (facts.refreshToken?.presentations ?? 0) < (policy.presentationsMost ?? 1)
        ? { at: now.wall, prompt: false }
        : asStrict()
    case 'strict':
      return asStrict()
    case 'unknown': {
      const strict = asStrict()
      if (state.promptRetry === null) return strict
      // Whoever may make it: before that the request in doubt may still be queued at the server, and would come second.
      const { by, from } = state.promptRetry
      const prompt = from.boot === now.boot ? later(now.wall, ms(Math.max(0, from.at - now.at))) : now.wall
      if (by === owner && prompt <= strict.at) return { at: prompt, prompt: true }
      return { at: latest(prompt, strict.at), prompt: false }
    }
    default:
      return assertNever(policy.reuse)
  }
}

/** Back-off never waits until a window is closed: one try more is made while it can still leave inside. */
function whileWindowIsOpen(free: UnixMs, state: InDoubt, policy: Policy, now: Moment): UnixMs {
  const leftMs = windowLeftMs(state, policy, now)
  if (leftMs <= policy.connectDeadlineMs || leftMs === Number.POSITIVE_INFINITY) return free
  const lastMoment = later(now.wall, ms(leftMs - policy.connectDeadlineMs))
  return latest(earliest(free, lastMoment), whenToldToTry(state.backOff, now))
}

/**
 * For how long due work is left to whoever claimed it: that one writes the row within a lease, or is gone. A window that
 * closes does not wait for so long.
 */
export function claimMs({ state }: Pick<Facts, 'state'>, policy: Policy, now: Moment): DurationMs {
  const closes = state.status === 'in_doubt' && policy.windowMs !== null && windowLeftMs(state, policy, now) > 0
  return closes ? shorter(policy.leaseMs, CLOSING_CLAIM_MS) : policy.leaseMs
}

/** How long a retry in doubt may still be sent. Endless where no window closes. */
export function windowLeftMs(state: Pick<InDoubt, 'since' | 'adopted'>, policy: Policy, now: Moment): DurationMs {
  if (state.adopted === true) return ms(0)
  if (policy.windowMs === null) return ms(Number.POSITIVE_INFINITY)
  return ms(Math.max(0, policy.windowMs - perhapsElapsed(state.since, now)))
}

function whenStrictAllows(facts: Facts, state: InDoubt, policy: Policy, now: Moment): UnixMs {
  const end = itsEnd(facts, policy, now.wall)
  if (state.silentSince === null) return end
  // A frozen owner may hold the answer in its socket: it gets its lease and our patience to wake up and commit.
  const patient = surelyAfter(state.silentSince.heartbeatAt, ms(state.silentSince.leaseMs + policy.patienceMs), now)
  return latest(end, patient)
}

/**
 * The moment when waiting has nothing left to protect: the end of the longest living access token, or now where none
 * lives or the sign-in is said to be over, and never past the last moment of the refresh token itself.
 */
export function itsEnd(facts: Facts, policy: Policy, now: UnixMs): UnixMs {
  if (facts.signedOutAt !== null) return now
  const ends = facts.accessTokens.filter((at) => at.refusedAt === null && at.expiresAt > now).map((at) => at.expiresAt)
  const end = ends.length === 0 ? now : latest(...ends)
  const known = knownEndWithMargin(facts, policy)
  return known === null ? end : latest(now, earliest(end, known))
}

export const pastKnownEnd = (facts: Facts, now: UnixMs): boolean =>
  facts.refreshToken?.endsAt != null && facts.refreshToken.endsAt <= now

/** The last moment to use a refresh token whose end was announced. */
export function knownEndWithMargin(facts: Facts, policy: Policy): UnixMs | null {
  const token = facts.refreshToken
  if (token?.endsAt == null) return null
  const lifeMs = token.lifetimeMs ?? ms(token.endsAt - token.receivedAt)
  return later(token.endsAt, ms(-endMarginMs(lifeMs, policy)))
}

/** Stable for a uid, from 0 to 1: spreads the refreshes of tokens that were granted together. */
export const jitterOf = (uid: Uid): number => Number.parseInt(uid.slice(-8), 16) / 2 ** 32

/** When an access token enters its refresh-ahead window. */
export function aheadAt(uid: Uid, token: { expiresAt: UnixMs; lifetimeMs: DurationMs }, policy: Policy): UnixMs {
  const window = aheadWindowMs(token.lifetimeMs, policy)
  return later(token.expiresAt, ms(-window * (1 - jitterOf(uid) / 5)))
}

/**
 * When something has to happen by itself. Never null for a state that waits for something (invariant 14).
 */
export function dueAt(facts: Facts, terms: Terms, owner: OwnerId, now: Moment): UnixMs | null {
  const { state } = facts
  const { policy } = terms
  switch (state.status) {
    case 'ready': {
      const lapse = lapsesAt(facts)
      if (lapse !== null) return lapse
      const ahead = readyDueAt(facts, policy, terms.provider.refreshTokenIdleMs)
      if (ahead === null) return null
      const free = schedule(facts, terms, owner, now, false)
      return free.kind === 'later' ? latest(free.at, ahead) : free.kind === 'now' ? ahead : null
    }
    case 'presenting':
      // Looked at when the lease is over by the store's clock; whoever looks must still have watched it.
      return later(state.attempt.heartbeatAt.wall, state.attempt.leaseMs)
    case 'in_doubt':
    case 'suspect':
    case 'blocked': {
      const at = schedule(facts, terms, owner, now, false)
      return at.kind === 'later' ? at.at : now.wall
    }
    case 'deleting':
      // Whoever began it goes on with it within a lease, or is gone.
      return state.attempt === null
        ? later(now.wall, policy.leaseMs)
        : later(state.attempt.heartbeatAt.wall, state.attempt.leaseMs)
    case 'needs_user': {
      const at = schedule(facts, terms, owner, now, false)
      return at.kind === 'never' ? null : at.kind === 'later' ? at.at : now.wall
    }
    case 'erased':
      return null
    default:
      return assertNever(state)
  }
}

function readyDueAt(facts: Facts, policy: Policy, idleMs: DurationMs | null): UnixMs | null {
  const moments: UnixMs[] = []
  const full = facts.accessTokens.find((at) => at.variant === '')
  if (full !== undefined && facts.usedAt !== null) {
    const ahead = aheadAt(facts.uid, full, policy)
    // A grant that brought no newer token does not make the old one due again at once.
    const floor = facts.lastGrant === null ? ahead : later(facts.lastGrant.at, floorMs(full.lifetimeMs, policy))
    if (ahead - facts.usedAt <= usedLatelyMs(full.lifetimeMs, policy)) moments.push(latest(ahead, floor))
  }
  moments.push(...endsAhead(facts, policy), ...idleAhead(facts, policy, idleMs))
  return moments.length === 0 ? null : earliest(...moments)
}

/** What is done because the end of the refresh token is known. */
function endsAhead(facts: Facts, policy: Policy): readonly UnixMs[] {
  const { refreshToken, lastGrant } = facts
  const margin = knownEndWithMargin(facts, policy)
  if (refreshToken?.endsAt == null || margin === null) return []
  const notSince = (moment: UnixMs): readonly UnixMs[] => (lastGrant === null || lastGrant.at < moment ? [moment] : [])
  // Once the sign-in is over the provider has the last word: it says so plainly, or it is not.
  const living = facts.accessTokens.filter((at) => at.refusedAt === null).map((at) => at.expiresAt)
  const over = notSince(refreshToken.endsAt).map((end) => latest(end, ...living))
  const end = lastGrant?.sessionEnd
  // A fixed end is moved by no refresh. One more, in time, tells whoever has to sign in again.
  if (end !== undefined) return [...over, ...(end.announceAt === null ? [] : [end.announceAt])]
  const lifeMs = refreshToken.lifetimeMs ?? ms(refreshToken.endsAt - refreshToken.receivedAt)
  const ahead = later(refreshToken.endsAt, ms(-keepAliveLeadMs(lifeMs, policy)))
  // Refreshed ahead already, and nobody said another end: once more in its last moment, and then no more.
  const again = notSince(ahead)
  return [...over, ...(again.length > 0 ? again : notSince(margin))]
}

/** What is done because a refresh token dies when it is not used. */
function idleAhead(facts: Facts, policy: Policy, idleMs: DurationMs | null): readonly UnixMs[] {
  const { refreshToken, lastGrant } = facts
  if (refreshToken === null) return []
  const limitMs = idleMs ?? (refreshToken.endsAt === null ? policy.idleAssumedMs : null)
  if (limitMs === null) return []
  return [later(lastGrant?.at ?? refreshToken.receivedAt, ms(limitMs - keepAliveLeadMs(limitMs, policy)))]
}
