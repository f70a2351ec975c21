/**
 * One refresh, step by step: the path of `PROTOCOL.md` section 4 in its order.
 *
 * It belongs to nobody's request: no caller's deadline or cancellation reaches it.
 */
import type { SealedGrant, View, Why } from './connection.ts'
import type { TokenkeepEvent } from './events.ts'
import { assertNever, TokenError } from './failures.ts'
import {
  formFor,
  judge,
  nonceAsked,
  type Answer,
  type End,
  type GrantedTokens,
  type NotSent,
  type Outcome,
  type Unavailable,
} from './grant.ts'
import type { HeldBack } from './gate.ts'
import type { AttemptId, Serial } from './ids.ts'
import { mayRenew, maySend, type Busy, type Gone, type Lease, type Moved, type NotYet, type OnHold } from './lease.ts'
import type { Acquired, CommitResult, NoRoom, Ports, Presentation, Room, Unreadable } from './ports.ts'
import { runsAgain, type OpenedClient } from './provider.ts'
import type { DpopKey } from './secret.ts'
import { TICK_MS, type Policy } from './policy.ts'
import { announced } from './session-end.ts'
import { retryFor, settle } from './spill.ts'
import { later, ms, since, type UnixMs } from './time.ts'
import type { Urgency } from './urgency.ts'
import type { Variant } from './variant.ts'

/** How a refresh went, for whoever waits for it. */
export type Refreshed =
  /** The attempt ended; `view` is the row afterwards, null where it is gone or the store has not taken it yet. */
  | {
      readonly kind: 'ended'
      readonly outcome: Outcome
      readonly fence: Lease['fence']
      readonly view: View | null
      readonly spilled: Spilling | null
    }
  /** Nothing was presented: read again and decide anew. */
  | Busy
  | Moved
  | NotYet
  | Gone
  | OnHold
  | Unreadable
  | NoRoom
  | HeldBack
  | StoreAway

export interface StoreAway {
  readonly kind: 'store_unavailable'
  /** What the store said, for people: it is ours, and holds no secret. */
  readonly words: string
}

/** An answer that the store has not taken yet: its access token may be handed out by the process that holds it. */
export interface Spilling {
  readonly granted: SealedGrant
  readonly tokens: GrantedTokens
  /** The key that it was asked for with. */
  readonly dpopKey: View['dpopKey']
  /** The row once the store has taken it, or has what came later; null: it is gone. */
  readonly taken: Promise<View | null>
}

export interface Refreshing {
  readonly view: View
  readonly why: Why
  readonly variant: Variant
  /** When a caller last wanted the connection; null: not since the last refresh. */
  readonly usedAt: UnixMs | null
  readonly urgency: Urgency
}

export async function refresh(ports: Ports, of: Refreshing): Promise<Refreshed> {
  const { registry } = ports
  const client = await registry.client(of.view.row.client).catch(storeAway)
  if (client === null) return { kind: 'gone', because: 'unknown' }
  if (typeof client === 'object' && 'kind' in client) return client
  if (typeof client === 'string') return { kind: 'unreadable', because: client }

  const { dpopKey } = of.view
  // A refresh token that is bound to it would be refused without.
  if (typeof dpopKey === 'string') return { kind: 'unreadable', because: dpopKey }

  const room = await reserved(ports)
  if ('kind' in room) return room

  const acquired = await acquire(ports, of, room).catch((error: unknown) => {
    room.release()
    throw error
  })
  if (acquired.kind !== 'acquired') {
    room.release()
    return acquired
  }
  const sending = { of, client, room, key: dpopKey?.key ?? null }
  const first = await exchanged(ports, sending, { ...acquired, again: false })
  const asked = dpopKey === null || first.left ? null : nonceAsked(first.answer, of.view.terms.provider)
  if (asked === null) return end(ports, of, client, first, room)
  // A new line and the same attempt: what was refused is the proof, for want of this nonce (RFC 9449 section 8).
  const second = await exchanged(ports, sending, {
    lease: first.lease,
    ticket: acquired.ticket.again(asked),
    again: true,
  })
  const { answer } = second
  if (answer.kind !== 'not_sent') return end(ports, of, client, second, room)
  // The first request has left all the same, so this attempt counts.
  const unsaid: Unavailable = { kind: 'unavailable', because: answer.because, status: asked.status, retryAfterMs: null }
  return end(ports, of, client, { ...second, answer: unsaid }, room)
}

interface Sending {
  readonly of: Refreshing
  readonly client: OpenedClient
  readonly room: Room
  readonly key: DpopKey | null
}

/** What one request of an attempt is sent with. */
interface OneRequest extends Pick<Acquired, 'lease' | 'ticket'> {
  /** It is the second one. */
  readonly again: boolean
}

/** One request on a line of its own, and what came of it. */
async function exchanged(
  ports: Ports,
  { of, client, room, key }: Sending,
  { lease: acquired, ticket, again }: OneRequest,
): Promise<Heard> {
  const { row, terms } = of.view
  const { provider, policy } = terms
  // A client that cannot be presented, without its secret for example, is no reason to leave the attempt open.
  const line = await ports.endpoint
    .connect(provider, client, row, policy.connectDeadlineMs, key)
    .catch((): NotSent => ({ kind: 'not_sent', because: 'client' }))
  if ('kind' in line) return { answer: line, lease: acquired, left: false }

  const lease = await readyToSend(ports, { lease: acquired, again }, policy)
  if ('kind' in lease) {
    line.close()
    return { answer: lease, lease: acquired, left: false }
  }
  const form = formFor(row.grantType, of.variant, row.scope)
  const presentation = presented(() => ports.endpoint.present(line, lease, ticket, form), room)
  return listen(ports, of, presentation, lease)
}

/** Room for the answer, and the key that seals it. */
export async function reserved({ spill, cipher }: Pick<Ports, 'spill' | 'cipher'>): Promise<Room | NoRoom> {
  const sealer = await cipher.sealer().catch((error: unknown) => {
    if (error instanceof TokenError) return null
    throw error
  })
  return sealer === null ? { kind: 'no_room', because: 'no_key' } : spill.reserve(sealer)
}

/** A store that is away is no defect: whoever waits may have a living token. */
export function storeAway(error: unknown): StoreAway {
  if (error instanceof TokenError && error.retryable) return { kind: 'store_unavailable', words: error.message }
  throw error
}

/** The intent, durable. A reply that was lost is asked for again under the same attempt id. */
async function acquire(
  ports: Ports,
  of: Refreshing,
  room: Room,
): Promise<Acquired | Exclude<Refreshed, { kind: 'ended' }>> {
  const { store, random } = ports
  const attempt = random.uuid() as AttemptId
  for (let tries = 1; ; tries += 1) {
    try {
      return await store.acquire(of.view.at, of.why, attempt, room, of.usedAt)
    } catch (error) {
      const away = storeAway(error)
      if (tries < 2) continue
      void withdraw(ports, of, attempt, room)
      return away
    }
  }
}

/**
 * An intent whose acknowledgement was lost may stand in the store, and nothing is sent for it. That is said as soon as the
 * store is back: whoever finds it open has to wait for a lease, and where a second presentation kills for patience, too.
 * One that does not stand there is not made now: whoever dies with it would leave a doubt about nothing.
 */
async function withdraw(ports: Ports, of: Refreshing, attempt: AttemptId, room: Room): Promise<void> {
  const { store } = ports
  const { row, at, terms } = of.view
  const { policy } = terms
  const found = await retryFor(ports, policy, { forMs: policy.leaseMs, capMs: policy.replayCapMs }, async () => {
    const [changed] = await store.changes([[row.uid, row.revision]])
    const state = changed?.row.state
    const stands = state?.status === 'presenting' && state.attempt.id === attempt
    return stands ? store.acquire(at, of.why, attempt, room, of.usedAt) : null
  })
  if (found?.kind === 'acquired')
    await settle(ports, policy, found.lease, room, { kind: 'not_sent', because: 'closed' })
}

/** A defect of an adapter says nothing about what has left: the attempt stays open until its lease makes it a doubt. */
function presented(present: () => Presentation, room: Room): Presentation {
  try {
    return present()
  } catch (error) {
    room.release()
    throw error
  }
}

/**
 * Past half of the lease it is renewed; the ticket checks once more, in the tick in which the first byte leaves.
 *
 * Before a second request it is renewed anyway: while the first one was on its way the sign-in may have been replaced.
 */
async function readyToSend(
  { store, clock }: Ports,
  { lease, again }: Omit<OneRequest, 'ticket'>,
  policy: Policy,
): Promise<Lease | NotSent> {
  const inTime = maySend(lease, clock.now())
  if (inTime && !again) return lease
  const over: NotSent = { kind: 'not_sent', because: 'send_limit' }
  // Where a renewal would close the window to everybody else, time alone decides.
  if (!mayRenew(lease, policy, clock.now())) return inTime ? lease : over
  try {
    const renewed = await store.renew(lease)
    return renewed !== 'lost' && maySend(renewed, clock.now()) ? renewed : over
  } catch {
    // Whatever it was: nothing was sent, and nothing will be.
    return over
  }
}

// A store that did not take a renewal, or a doubt, is not asked again in every tick.
const AGAIN_MS = ms(1000)

/** As `judge` has it for a connection that we reset ourselves. */
const GIVEN_UP: End = { kind: 'in_doubt', because: 'abandoned', status: null, endSeen: false, retryAfterMs: null }

interface Heard {
  readonly answer: Answer | NotSent
  readonly lease: Lease
  /** The attempt was given up before this came: the doubt may be written, and others may present. */
  readonly left: boolean
}

/**
 * Waits for the answer, counted in ticks of the running loop: after a freeze no timer may throw away an answer that is
 * in the socket already.
 *
 * Where a second presentation is harmless, the connection is reset at the grant deadline, but only once the doubt is
 * durable: as long as the store is away nobody can try again, and a window closes over an answer that was thrown away.
 * Where it can kill, we go on listening, because the answer on its way may hold the only refresh token.
 */
async function listen(ports: Ports, of: Refreshing, presentation: Presentation, sent: Lease): Promise<Heard> {
  const { policy } = of.view.terms
  const { clock, store } = ports
  // From the sign of life before it: until a lease and patience after that one nobody else presents.
  const beforeSendingMs = since(sent.t0.mono, clock.now().mono)
  let answer: Answer | NotSent | null = null
  let lease = sent
  let renewing = false
  let leaving = false
  let left = false
  const ever = presentation.ever.then((arrived) => {
    answer = arrived
  })
  const renew = (): void => {
    renewing = true
    store.renew(lease).then(
      (renewed) => {
        // Lost: somebody declared this attempt in doubt. The answer is still worth everything: it commits by ancestry.
        if (renewed !== 'lost') lease = renewed
        renewing = renewed === 'lost'
      },
      async () => {
        await clock.alarm(AGAIN_MS).rung
        renewing = false
      },
    )
  }
  const leave = (): void => {
    leaving = true
    left = true
    store.commit(lease, GIVEN_UP).then(
      () => presentation.abandon(),
      async () => {
        await clock.alarm(AGAIN_MS).rung
        leaving = false
      },
    )
  }
  for (let waitedMs = 0; answer === null; waitedMs += TICK_MS) {
    await Promise.race([ever, clock.tick()])
    if (answer !== null) break
    const over = waitedMs + TICK_MS >= policy.grantDeadlineMs
    if (over && policy.listensOn && waitedMs < policy.grantDeadlineMs) {
      ports.events.tell({ ...about(ports, of), type: 'slow', fence: lease.fence, waitedMs: policy.grantDeadlineMs })
    }
    if (over && !policy.listensOn && !leaving) leave()
    if (beforeSendingMs + waitedMs + TICK_MS >= policy.listeningLimitMs) presentation.abandon()
    const now = clock.now()
    if (!renewing && since(lease.t0.mono, now.mono) > lease.leaseMs / 2 && mayRenew(lease, policy, now)) renew()
  }
  return { answer, lease, left }
}

/** Judges, seals, commits, tells: in this order, and nothing is told before it is durable. */
async function end(
  ports: Ports,
  of: Refreshing,
  client: OpenedClient,
  { answer, lease }: Pick<Heard, 'lease'> & { readonly answer: Heard['answer'] | Unavailable },
  room: Room,
): Promise<Refreshed> {
  const { view, variant } = of
  const revoke = (result: CommitResult): void => {
    // The connection was deleted or erased meanwhile: nobody will ever use this sign-in again.
    if (result.kind === 'revoke' && outcome.kind === 'granted' && outcome.refreshToken !== null) {
      ports.endpoint.revoke(view.terms.provider, client, outcome.refreshToken).catch(() => undefined)
    }
  }
  const same = view.accessTokens.find((token) => token.variant === variant.key)
  const assumed = {
    lastLifetimeMs: same?.lifetimeMs ?? null,
    unknownLifetimeMs: view.terms.policy.lifetimeUnknownMs,
    asked: variant.key !== '',
    exchanged: view.row.grantType === 'token_exchange',
  }
  const outcome = answer.kind === 'unavailable' ? answer : judge(answer, view.terms.provider, assumed)
  if (outcome.kind !== 'granted') {
    const tell = (done: CommitResult): void => {
      // Not what only went to the history: whoever took the attempt over has told of it.
      if (done.kind !== 'history') tellOutcome(ports, of, lease, outcome, done.view)
    }
    const result = await settle(ports, view.terms.policy, lease, room, outcome, tell)
    if (typeof result === 'string') return { kind: 'ended', outcome, fence: lease.fence, view: null, spilled: null }
    tell(result)
    return { kind: 'ended', outcome, fence: lease.fence, view: result.view, spilled: null }
  }
  const sentAt = 'sentAt' in answer ? answer.sentAt.wall : lease.t0.wall
  const granted = sealGrant(outcome, of, lease, room, sentAt)
  const { promise: taken, resolve } = Promise.withResolvers<View | null>()
  const result = await settle(ports, view.terms.policy, lease, room, { kind: 'granted', granted }, (late) => {
    tellGranted(ports, of, lease, granted, late, true)
    revoke(late)
    resolve(late.view)
  })
  if (typeof result !== 'string') {
    tellGranted(ports, of, lease, granted, result, false)
    revoke(result)
  }
  return {
    kind: 'ended',
    outcome,
    fence: lease.fence,
    view: typeof result === 'string' ? null : result.view,
    // Durable before anything else: what lies in no slot is not handed out.
    spilled: result === 'spilled' ? { granted, tokens: outcome, dpopKey: view.dpopKey, taken } : null,
  }
}

function sealGrant(tokens: GrantedTokens, of: Refreshing, lease: Lease, room: Room, sentAt: UnixMs): SealedGrant {
  const { uid } = lease
  const serial = lease.attempt as string as Serial
  const { sealer } = room
  const { accessToken } = tokens
  // RFC 6749 section 4.4.3: client credentials have none. Where a server sends one all the same, the grant is run again.
  const refreshToken = runsAgain(of.view.row.grantType) ? null : tokens.refreshToken
  const asked = of.variant.scopes.length > 0 ? of.variant.scopes.join(' ') : null
  const full = of.variant.key === ''
  const said = runsAgain(of.view.row.grantType) ? null : tokens.refreshTokenLife
  const lifetimeMs = said?.lifetimeMs ?? null
  const life = { receivedAt: sentAt, endsAt: lifetimeMs === null ? null : later(sentAt, lifetimeMs), lifetimeMs }
  return {
    variant: of.variant.key,
    refreshToken: refreshToken && {
      sealed: sealer.seal(refreshToken, { owner: uid, purpose: 'rt', serial }),
      serial,
      fingerprint: sealer.fingerprint(refreshToken),
      ...life,
    },
    ...(said === null ? {} : { refreshTokenLife: life }),
    accessToken: accessToken && {
      variant: of.variant.key,
      sealed: sealer.seal(accessToken.token, { owner: uid, purpose: `at:${of.variant.key}`, serial }),
      serial,
      fingerprint: sealer.fingerprint(accessToken.token),
      tokenType: accessToken.tokenType,
      // RFC 6749 section 5.1: the scope is left out where it is what was asked for.
      scope: tokens.scope ?? asked,
      lifetimeMs: accessToken.lifetimeMs,
      assumed: accessToken.assumed,
      sentAt,
      expiresAt: later(sentAt, accessToken.lifetimeMs),
    },
    // Only an answer to an un-narrowed request says anything about the scope of the whole grant.
    scope: full ? tokens.scope : null,
  }
}

// ---- telling -------------------------------------------------------------------------------------------------------

const about = (ports: Ports, of: Refreshing) => ({
  at: ports.clock.now().wall,
  connection: of.view.row.id,
  uid: of.view.row.uid,
  provider: of.view.row.provider,
})

function tellGranted(
  ports: Ports,
  of: Refreshing,
  lease: Lease,
  granted: SealedGrant,
  result: CommitResult,
  spilled: boolean,
): void {
  const base = about(ports, of)
  const event: TokenkeepEvent =
    result.kind === 'history' || result.kind === 'revoke'
      ? { ...base, type: 'answer_kept_for_history', fence: lease.fence }
      : result.kind === 'sibling'
        ? { ...base, type: 'answer_kept_as_sibling', fence: lease.fence }
        : {
            ...base,
            type: 'refreshed',
            generation: result.view?.row.generation ?? lease.generation,
            fence: lease.fence,
            why: lease.why,
            rotated: granted.refreshToken !== null && granted.refreshToken.fingerprint !== lease.answers,
            accessTokenFingerprint: granted.accessToken?.fingerprint ?? null,
            expiresAt: granted.accessToken?.expiresAt ?? null,
            scope: granted.accessToken?.scope ?? result.view?.row.scope ?? null,
            tookMs: Math.round(since(lease.acquiredAt.mono, ports.clock.now().mono)),
            spilled,
          }
  ports.events.tell(event)
  const endsAt = result.view === null ? null : announced(of.view.row, result.view.row)
  if (endsAt !== null) ports.events.tell({ ...base, type: 'expiring', endsAt })
}

function tellOutcome(
  ports: Ports,
  of: Refreshing,
  lease: Lease,
  outcome: Exclude<Outcome, GrantedTokens>,
  view: View | null,
): void {
  const base = { ...about(ports, of), fence: lease.fence }
  const state = view?.row.state
  const retryAt = view?.row.dueAt ?? null
  if (state?.status === 'needs_user') {
    // Said once: a sibling that came too late may be tried from there.
    if (of.view.row.state.status !== 'needs_user')
      ports.events.tell({ ...about(ports, of), type: 'needs_user', reason: state.reason })
    return
  }
  switch (outcome.kind) {
    case 'rejected':
      if (state?.status === 'suspect' && lease.why !== 'sibling')
        ports.events.tell({ ...base, type: 'suspect', refusals: state.refusals, retryAt })
      return
    case 'unavailable':
      ports.events.tell({ ...base, type: 'unavailable', because: outcome.because, status: outcome.status, retryAt })
      return
    case 'not_sent':
      ports.events.tell({ ...base, type: 'unavailable', because: outcome.because, status: null, retryAt })
      return
    case 'in_doubt':
      ports.events.tell({ ...base, type: 'in_doubt', because: outcome.because, status: outcome.status, retryAt })
      return
    case 'misconfigured':
      if (state?.status === 'blocked') {
        ports.events.tell({ ...base, type: 'blocked', reason: state.reason, word: state.word, retryAt: state.retryAt })
      }
      return
    default:
      assertNever(outcome)
  }
}
