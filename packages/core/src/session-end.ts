/**
 * Does a refresh move the end of the sign-in, or is that end fixed? (`PROTOCOL.md` section 10, "keep-alive lead".) Pure.
 *
 * An end that moves is an idle limit: a refresh before it keeps the sign-in alive. One that two answers agree on is the
 * end of the session: nothing keeps it alive beyond that, and a person has to be told in time.
 */
import type { ConnectionRow, RefreshTokenLife } from './connection.ts'
import { keepAliveLeadMs, type Numbers } from './policy.ts'
import { later, ms, since, type UnixMs } from './time.ts'

/** The end of a session, seen in two answers. */
export interface SessionEnd {
  readonly at: UnixMs
  /** When a person is told that it comes; null: told. */
  readonly announceAt: UnixMs | null
}

/** Answers say whole seconds, and take a while: so near to each other two ends are one, */
const SAME_END_MS = 10_000
/** and answers have to be further apart than that to tell whether it moved. */
const COMPARED_AFTER_MS = 2 * SAME_END_MS

type Known = Pick<ConnectionRow, 'lastGrant' | 'refreshToken'>

/**
 * What is known about the end of the session after a granted answer.
 *
 * @param before the row that the answer met
 * @param life what it says of the refresh token that stands now; null: that one has no known end
 * @param fixed the provider's data says that a sign-in has a fixed length: then one and the same end is enough
 */
export function sessionEndAfter(
  before: Known,
  life: RefreshTokenLife | null,
  fixed: boolean,
  numbers: Numbers,
  now: UnixMs,
): SessionEnd | null {
  const known = before.lastGrant?.sessionEnd ?? null
  const old = before.refreshToken
  if (life === null || life.endsAt === null || old === null || old.endsAt === null) return null
  const passed = since(old.receivedAt, life.receivedAt)
  const moved = since(old.endsAt, life.endsAt)
  const inherited = fixed && moved === 0
  if (passed < COMPARED_AFTER_MS && !inherited) return known === null ? null : told(known, now)
  if (Math.abs(moved) > SAME_END_MS) return null
  if (known !== null) return told({ ...known, at: life.endsAt }, now)
  // From the life that was announced first: of what is left then, a quarter would come ever later.
  const leadMs = keepAliveLeadMs(old.lifetimeMs ?? ms(old.endsAt - old.receivedAt), numbers)
  return told({ at: life.endsAt, announceAt: later(life.endsAt, ms(-leadMs)) }, now)
}

const told = (end: SessionEnd, now: UnixMs): SessionEnd =>
  end.announceAt !== null && end.announceAt <= now ? { ...end, announceAt: null } : end

/** The end that `after` has told of and `before` had not; null: none. */
export function announced(before: Pick<Known, 'lastGrant'>, after: Pick<Known, 'lastGrant'>): UnixMs | null {
  const end = after.lastGrant?.sessionEnd
  if (end == null || end.announceAt !== null) return null
  const earlier = before.lastGrant?.sessionEnd
  return earlier != null && earlier.announceAt === null ? null : end.at
}
