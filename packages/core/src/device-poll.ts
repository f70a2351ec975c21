/**
 * How a device asks whether its person has signed in: what each answer means for the waiting, and when it asks next.
 *
 * RFC 8628 section 3.5; what servers say beside it is in the comments.
 */
import { judge, type Assumptions, type GrantedTokens, type Outcome, type ResponseSeen } from './grant.ts'
import type { Provider } from './provider.ts'
import { fromSeconds, later, longer, ms, shorter, since, type DurationMs, type MonoMs } from './time.ts'
import { readBody, readDuration, wordsIn } from './token-response.ts'

/** Where a device stands. */
export interface DevicePoll {
  /** At least so long after an answer the next question is asked. */
  readonly intervalMs: DurationMs
  /** When the device code ends. */
  readonly endsAt: MonoMs
  /** How many questions in a row got no answer, or one that says nothing about the person. */
  readonly unanswered: number
  /** What the server asked for at such an answer. */
  readonly retryAfterMs: DurationMs
}

/** What an answer means. */
export type DeviceHeard =
  | GrantedTokens
  /** The person has not said yes or no. */
  | { readonly kind: 'pending' }
  /** The same, and the interval is too short. `intervalMs`: the one that the answer asks for; null: it names none. */
  | { readonly kind: 'slow_down'; readonly intervalMs: DurationMs | null }
  /** Nothing about the person: asked again, more rarely. */
  | { readonly kind: 'unanswered'; readonly retryAfterMs: DurationMs | null }
  | { readonly kind: 'ended'; readonly because: 'denied' | 'expired' | 'code_refused'; readonly word: string }
  /** Anything else ends the waiting, too. */
  | { readonly kind: 'refused'; readonly outcome: Exclude<Outcome, GrantedTokens> }

/** RFC 8628 section 3.2: the interval where the server names none. */
const INTERVAL_MS = fromSeconds(5)
/** A fraction of a second is a slip of the server's unit. */
const INTERVAL_LEAST_MS = fromSeconds(1)
/** RFC 8628 section 3.5: what `slow_down` adds, to this and all later intervals. */
const SLOWER_MS = fromSeconds(5)
/** REQUIRED (section 3.2); where it is missing all the same, the server's own `expired_token` says the end. */
const LIFETIME_MS = fromSeconds(600)
/** A server that is back is noticed within a minute, while a person waits. */
const BACKED_OFF_MOST_MS = fromSeconds(60)

const DENIED_WORDS = ['access_denied', 'authorization_declined']
const CODE_WORDS = ['bad_verification_code', 'incorrect_device_code']
const PASSING_WORDS = ['server_error', 'temporarily_unavailable']

/**
 * The first standing, from the answer of the device authorization endpoint.
 *
 * @param said `interval` and `expires_in` of the answer, whatever they are; seconds
 */
export function beganPolling(
  said: { readonly interval: unknown; readonly expiresIn: unknown },
  now: MonoMs,
): DevicePoll {
  return {
    intervalMs: longer(readDuration(said.interval) ?? INTERVAL_MS, INTERVAL_LEAST_MS),
    endsAt: later(now, readDuration(said.expiresIn) ?? LIFETIME_MS),
    unanswered: 0,
    retryAfterMs: ms(0),
  }
}

/**
 * Judges one answer of the token endpoint. One that carries tokens is never read as an error, and an error word counts
 * with whatever status it comes: some servers say `authorization_pending` with 200, 403 or 428.
 */
export function judgeDevicePoll(answer: ResponseSeen, provider: Provider, assume: Assumptions): DeviceHeard {
  const outcome = judge(answer, provider, assume)
  if (outcome.kind === 'granted') return outcome
  const body = answer.complete ? readBody(answer.body.reveal()) : null
  const words = body === null ? [] : wordsIn(body, provider.answer)
  const among = (list: readonly string[]): string | null => words.find((word) => list.includes(word)) ?? null
  if (among(['authorization_pending']) !== null) return { kind: 'pending' }
  if (among(['slow_down']) !== null) return { kind: 'slow_down', intervalMs: readDuration(body?.['interval']) }
  const retryAfterMs = 'retryAfterMs' in outcome ? outcome.retryAfterMs : null
  // A status that speaks of the moment, whatever the body says.
  if (answer.status === 408 || answer.status === 425 || answer.status === 429 || answer.status >= 500)
    return { kind: 'unanswered', retryAfterMs }
  const [denied, expired, refused] = [among(DENIED_WORDS), among(['expired_token']), among(CODE_WORDS)]
  if (denied !== null) return { kind: 'ended', because: 'denied', word: denied }
  if (expired !== null) return { kind: 'ended', because: 'expired', word: expired }
  if (refused !== null) return { kind: 'ended', because: 'code_refused', word: refused }
  switch (outcome.kind) {
    case 'rejected':
    case 'misconfigured':
      return { kind: 'refused', outcome }
    case 'unavailable':
      return outcome.because === 'forbidden' ? { kind: 'refused', outcome } : { kind: 'unanswered', retryAfterMs }
    case 'in_doubt':
      // An error with status 200 whose word nobody knows is an answer, and asking again brings no other one.
      return outcome.because === 'no_tokens' && typeof body?.['error'] === 'string' && among(PASSING_WORDS) === null
        ? { kind: 'refused', outcome: { kind: 'misconfigured', reason: 'client', word: null } }
        : { kind: 'unanswered', retryAfterMs }
    case 'not_sent':
      return { kind: 'unanswered', retryAfterMs }
  }
}

/** The standing after an answer that lets the device wait on. */
export function afterPoll(
  poll: DevicePoll,
  heard: Extract<DeviceHeard, { readonly kind: 'pending' | 'slow_down' | 'unanswered' }>,
): DevicePoll {
  switch (heard.kind) {
    case 'pending':
      return { ...poll, unanswered: 0, retryAfterMs: ms(0) }
    case 'slow_down': {
      const intervalMs = longer(ms(poll.intervalMs + SLOWER_MS), heard.intervalMs ?? ms(0))
      return { ...poll, intervalMs, unanswered: 0, retryAfterMs: ms(0) }
    }
    case 'unanswered':
      return { ...poll, unanswered: poll.unanswered + 1, retryAfterMs: heard.retryAfterMs ?? ms(0) }
  }
}

/**
 * How long to wait until the next question, and whether there is one.
 *
 * Doubled by each question in a row that got no answer (RFC 8628 section 3.5).
 *
 * @returns `last`: the device code ends before, and this is how long it still lives
 */
export function untilNextPoll(poll: DevicePoll, now: MonoMs): { readonly afterMs: DurationMs; readonly last: boolean } {
  const leftMs = longer(since(now, poll.endsAt), ms(0))
  const doubledMs = ms(poll.intervalMs * 2 ** Math.min(poll.unanswered, 30))
  const backedOffMs = shorter(doubledMs, longer(BACKED_OFF_MOST_MS, poll.intervalMs))
  // Who has said yes while the server was away is heard once more before the end.
  const beforeEndMs = longer(ms(leftMs - poll.intervalMs), poll.intervalMs)
  const afterMs = longer(shorter(backedOffMs, beforeEndMs), poll.retryAfterMs)
  return afterMs < leftMs ? { afterMs, last: false } : { afterMs: leftMs, last: true }
}
