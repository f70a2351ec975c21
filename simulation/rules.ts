/**
 * The invariants of the protocol that can be checked from outside, after every write, presentation and hand-out. None of
 * the rules of core is asked: what they promise is worked out anew.
 */
import type { Attempt, AttemptId, ConnectionRow, Kept, Numbers, ProviderId, ReusePolicy, Uid } from '@tokenkeep/core'
import type { Presented } from './presentations.ts'
import { fingerprintOf, worldMs } from './process-ports.ts'

export interface RulesOptions {
  reuseAt(provider: ProviderId): ReusePolicy
  readonly numbers: Numbers
  /** By the clock of the store. */
  readonly storeNow: () => number
  /** By how much clocks were set in all: what is known by a clock is known no better. */
  readonly clockSlackMs: () => number
  readonly presented: readonly Presented[]
}

/** What an acquire found, seen by the write itself. */
interface Intent {
  readonly before: ConnectionRow | null
  readonly row: ConnectionRow
  readonly storeAt: number
}

export interface Rules {
  wrote(before: ConnectionRow | undefined, after: ConnectionRow): void
  /** The store forgot its last writes: what counted up may count less. */
  forgot(row: ConnectionRow | undefined, uid: Uid): void
  left(presented: Presented): void
  /** An answer is durable in a slot. */
  kept(kept: Kept): void
  /** The store has, or had, the intent of this attempt, and did not forget it. */
  isIntended(attempt: AttemptId): boolean
  /** By the clock of the store: when the row of `uid` was last presenting anew before then; `-Infinity`: never. */
  lastIntentBefore(uid: Uid, before: number): number
  /** An operator let this attempt present at once. */
  isOperators(attempt: AttemptId): boolean
  /** The number of the write that was the last sign of life of this attempt; -1: there was none. */
  signOf(attempt: AttemptId): number
  /** The number of the write that first brought this refresh token; -1: none did. */
  storedBy(fingerprint: string): number
  /** Fingerprints of what was durable, in the store or in a slot. */
  readonly everStored: ReadonlySet<string>
  readonly violations: string[]
}

const GENERATION_MOST = 1000
/** Two clocks are read a little apart. */
const CLOCK_ROUNDING_MS = 5

export function createRules(options: RulesOptions): Rules {
  const { numbers, presented: all } = options
  const violations: string[] = []
  const intents = new Map<AttemptId, Intent>()
  const everStored = new Set<string>()
  let writes = 0
  const signs = new Map<AttemptId, { readonly heartbeat: number; readonly by: number }>()
  const storedBy = new Map<string, number>()
  const must = (holds: boolean, sentence: string): void => {
    if (!holds && violations.length < 20) violations.push(sentence)
  }

  const keepsCounting = (before: ConnectionRow, after: ConnectionRow): void => {
    must(after.revision > before.revision, `a write that did not raise the revision: ${before.revision}`)
    must(after.fence >= before.fence, `a fence went back from ${before.fence} to ${after.fence}`)
    must(after.grant >= before.grant, `a grant went back from ${before.grant} to ${after.grant}`)
    must(after.generation >= before.generation, `a generation went back from ${before.generation}`)
    must(after.generation < GENERATION_MOST, 'refreshes without end')
    must(after.uid === before.uid, 'a row changed its uid')
  }

  const movesOnlyAsAllowed = (before: ConnectionRow, after: ConnectionRow): void => {
    const from = before.state
    const to = after.state
    if (from.status === 'presenting' && to.status === 'presenting')
      must(from.attempt.id === to.attempt.id, `one attempt became another without an end (${after.id})`)
    if (from.status === 'needs_user' && to.status !== 'needs_user')
      must(
        ['ready', 'suspect', 'presenting', 'deleting'].includes(to.status),
        `needs_user became ${to.status} without a grant`,
      )
    if (from.status === 'erased') must(to.status === 'erased', `erased became ${to.status}`)
    if (from.status === 'deleting')
      must(to.status === 'deleting' || to.status === 'erased', `deleting became ${to.status}`)
    if (to.status !== 'erased' && from.status !== 'erased' && after.grant === before.grant)
      must(after.refreshToken !== null || before.refreshToken === null, 'a refresh token was deleted')
  }

  /** Nobody is asked to sign in again for less than was said. */
  const blamesWithCause = (before: ConnectionRow, after: ConnectionRow): void => {
    const { state } = after
    if (state.status !== 'needs_user' || before.state.status === 'needs_user') return
    const heard = all.filter(
      ({ uid, did, answer }) =>
        uid === after.uid && answer === 'arrived' && (did === 'refused' || did === 'killed' || did === 'lied'),
    )
    const current = heard.filter(({ refreshToken }) => fingerprintOf(refreshToken) === after.refreshToken?.fingerprint)
    switch (state.reason) {
      case 'revoked':
        return must(current.length >= 3, `revoked after ${current.length} refusals`)
      case 'answer_lost':
        return must(heard.length >= 1, 'an answer is said to be lost, and nothing was refused')
      case 'signed_out':
        return must(heard.length >= 1 && after.signedOutAt !== null, 'signed out, and nothing was refused')
      case 'expired': {
        const ends = after.refreshToken?.endsAt ?? null
        const isOver = ends !== null && worldMs(ends) <= options.storeNow() + options.clockSlackMs() + CLOCK_ROUNDING_MS
        return must(isOver && heard.length >= 1, 'expired before its end, or without a refusal')
      }
      case 'reused':
      case 'interaction_required':
      case 'no_refresh_token':
        return must(false, `needs_user: ${state.reason}, which no modelled server said`)
    }
  }

  const attemptOf = ({ state }: ConnectionRow): Attempt | null =>
    state.status === 'presenting' || state.status === 'deleting' ? state.attempt : null

  const livesAt = (row: ConnectionRow, storeAt: number): boolean =>
    row.accessTokens.some(
      (token) =>
        token.refusedAt === null && worldMs(token.expiresAt) > storeAt + options.clockSlackMs() + CLOCK_ROUNDING_MS,
    )

  /** Why the token may be presented although an earlier presentation of it is on the server's log; null: it may not. */
  const excuse = (intent: Intent, earlier: readonly Presented[]): string | null => {
    const { row, storeAt } = intent
    const reuse = options.reuseAt(row.provider)
    if (reuse.kind === 'reusable') return 'reusable'
    if (row.state.status !== 'presenting') return null
    const { from, attempt } = row.state
    if (attempt.why === 'sibling') return 'another answer is tried'
    // It was taken over before it left, by a lock that was missing, and counted by whoever presented since.
    const isLate = earlier.every((each) => (intents.get(each.attempt)?.storeAt ?? storeAt) > storeAt)
    if (isLate && reuse.kind === 'counted' && earlier.length <= reuse.n) return 'inside its count, though late'
    if (from.status === 'suspect') return 'a refusal is confirmed'
    // What the server said in words that were heard is known; and of what the store forgot nobody can know.
    const unknown = earlier.filter((each) => intents.has(each.attempt) && !isAnsweredUnspent(each))
    if (unknown.length === 0) return 'the earlier ones were answered without being spent'
    if (from.status !== 'in_doubt') return null
    if (intent.before?.presentNow != null) return 'an operator said so'
    const slack = options.clockSlackMs() + CLOCK_ROUNDING_MS
    const first = Math.min(...unknown.map(({ attempt: id }) => intents.get(id)?.storeAt ?? storeAt))
    const window = reuse.kind === 'grace' ? ('seconds' in reuse ? reuse.seconds * 750 : Number.POSITIVE_INFINITY) : 0
    if (storeAt - first <= window + slack) return 'inside its grace'
    if (reuse.kind === 'counted' && unknown.length < 1 + reuse.n) return 'inside its count'
    if (reuse.kind === 'unknown' && unknown.length === 1) return 'the one prompt retry'
    const ends = row.refreshToken?.endsAt
    const over = ends != null && worldMs(ends) <= storeAt + slack + numbers.endMarginMostMs
    if (livesAt(row, storeAt) && row.signedOutAt === null && !over) return null
    const { silentSince } = from
    if (silentSince === null) return 'nothing is left to protect'
    const patient = silentSince.heartbeatAt.at + silentSince.leaseMs + numbers.patienceMs
    return storeAt + slack >= patient ? 'nothing is left to protect, and patience is over' : null
  }

  return {
    violations,
    everStored,
    isIntended: (attempt) => intents.has(attempt),
    lastIntentBefore(uid, before) {
      let last = Number.NEGATIVE_INFINITY
      for (const { row, storeAt } of intents.values())
        if (row.uid === uid && storeAt <= before) last = Math.max(last, storeAt)
      return last
    },
    signOf: (attempt) => signs.get(attempt)?.by ?? -1,
    storedBy: (fingerprint) => storedBy.get(fingerprint) ?? -1,
    isOperators: (attempt) => intents.get(attempt)?.before?.presentNow != null,
    wrote(before, after) {
      writes += 1
      if (before !== undefined) {
        keepsCounting(before, after)
        movesOnlyAsAllowed(before, after)
        blamesWithCause(before, after)
      }
      const { status } = after.state
      must(
        after.dueAt !== null || status === 'ready' || status === 'needs_user' || status === 'erased',
        `${status} without a moment when something happens by itself`,
      )
      for (const token of [
        after.refreshToken,
        after.successor?.grant.refreshToken,
        ...after.siblings.map((each) => each.refreshToken),
      ])
        if (token != null) {
          everStored.add(token.fingerprint)
          if (!storedBy.has(token.fingerprint)) storedBy.set(token.fingerprint, writes)
        }
      for (const token of after.accessTokens) everStored.add(token.fingerprint)
      if (after.successor?.grant.accessToken != null) everStored.add(after.successor.grant.accessToken.fingerprint)
      const attempt = attemptOf(after)
      if (attempt !== null && signs.get(attempt.id)?.heartbeat !== attempt.heartbeat)
        signs.set(attempt.id, { heartbeat: attempt.heartbeat, by: writes })
      if (attempt !== null && !intents.has(attempt.id))
        intents.set(attempt.id, { before: before ?? null, row: after, storeAt: options.storeNow() })
    },
    kept({ granted }) {
      for (const token of [granted.refreshToken, granted.accessToken])
        if (token !== null) everStored.add(token.fingerprint)
    },
    forgot(row, uid) {
      const stands = row === undefined ? null : attemptOf(row)
      for (const [id, intent] of intents)
        if (intent.row.uid === uid && id !== stands?.id && (row === undefined || intent.row.fence > row.fence))
          intents.delete(id)
    },
    left(one) {
      const intent = intents.get(one.attempt)
      if (intent === undefined) return void must(false, `${one.refreshToken} left without a durable intent`)
      must(intent.row.state.status === 'presenting', `${one.refreshToken} left from ${intent.row.state.status}`)
      const same = all.filter((each) => each !== one && each.refreshToken === one.refreshToken)
      must(isFirst(one) || isAskedFor(one), `${one.refreshToken} left twice for one attempt`)
      if (same.length === 0) return
      must(
        excuse(intent, same) !== null,
        `${one.refreshToken} left for the ${same.length + 1}. time without leave, from ${fromOf(intent.row)}`,
      )
    },
  }
}

const isFirst = ({ after }: Presented): boolean => after === null
/** Once, and only in answer to a server that asked for a nonce, was heard, and was not given up. */
const isAskedFor = ({ after }: Presented): boolean =>
  after !== null &&
  after.after === null &&
  after.did === 'asked' &&
  after.answer === 'arrived' &&
  after.abandonedAt === null

const isAnsweredUnspent = ({ did, answer }: Presented): boolean =>
  answer === 'arrived' && did !== null && did !== 'granted'

function fromOf({ state }: ConnectionRow): string {
  return state.status === 'presenting' ? `${state.from.status} (${state.attempt.why})` : state.status
}
