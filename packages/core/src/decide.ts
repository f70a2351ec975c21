/** What a request for an access token leads to: hand out, refresh, wait, or say why not. Pure (`PROTOCOL.md` section 4.1). */
import type { BlockedReason, NeedsUserReason, OpenedAccessToken, View, Why } from './connection.ts'
import { assertNever } from './failures.ts'
import { sourceOf } from './grant-request.ts'
import type { ConnectionId, Fence, OwnerId } from './ids.ts'
import { floorMs, owedTtlMs, type Policy } from './policy.ts'
import { runsAgain } from './provider.ts'
import { aheadAt, schedule, type Facts, type Schedule } from './schedule.ts'
import { later, ms, type DurationMs, type Moment, type UnixMs } from './time.ts'
import { FULL, type Variant } from './variant.ts'

export interface Asked {
  readonly variant: Variant
  /** The life that the caller wants left; null: it did not say. */
  readonly minTtlMs: DurationMs | null
  /** The fence that the caller saw first: an access token of a later one is fresh to it, however short its life. */
  readonly sawFence: Fence | null
  /** So much older than the wall clock says is the token, as this process remembers it: the wall clock was set back. */
  readonly olderByMs: DurationMs
}

/** Why no access token can be handed out now. */
export type Refusal =
  | { readonly code: 'needs_user'; readonly reason: NeedsUserReason }
  | { readonly code: 'blocked'; readonly reason: BlockedReason; readonly retryAt: UnixMs | null }
  | { readonly code: 'in_doubt'; readonly retryAt: UnixMs | null }
  | { readonly code: 'suspect'; readonly retryAt: UnixMs | null }
  | { readonly code: 'on_hold' }
  /** `source`: the connection whose token is exchanged for it. */
  | { readonly code: 'unavailable'; readonly retryAt: UnixMs | null; readonly source?: ConnectionId | null }
  | { readonly code: 'variant_unsupported' }
  | { readonly code: 'deleting' }
  | { readonly code: 'unreadable'; readonly because: 'tampered' | 'no_key' }

export type Decision =
  | {
      readonly action: 'hand_out'
      readonly token: OpenedAccessToken
      /** Refresh in the background, for this reason; null: not yet, or not now. */
      readonly ahead: Why | null
    }
  | { readonly action: 'refresh'; readonly why: Why; readonly meanwhile: OpenedAccessToken | null }
  /** An attempt is open, perhaps in another process. */
  | { readonly action: 'watch'; readonly meanwhile: OpenedAccessToken | null; readonly refusal: Refusal }
  /** Nothing may be presented before `until`, and no token lives. */
  | { readonly action: 'wait'; readonly until: UnixMs; readonly refusal: Refusal }
  | { readonly action: 'refuse'; readonly refusal: Refusal }

export function decide(view: View, asked: Asked, owner: OwnerId, now: Moment): Decision {
  const { terms } = view
  const facts = factsOf(view)
  const found = view.accessTokens.find((token) => token.variant === asked.variant.key)
  const kept = found === undefined ? null : older(found, asked.olderByMs)
  const token =
    kept !== null && facts.signedOutAt === null && kept.refusedAt === null && kept.expiresAt > now.wall ? kept : null
  const { status } = view.row.state
  if (status === 'deleting' || status === 'erased') return { action: 'refuse', refusal: { code: 'deleting' } }
  // What a copy shows as presented is being presented elsewhere, if at all.
  const presenting = status === 'presenting' && view.hold === null
  // Where a refresh ends the access tokens before it, one that is being refreshed is as good as dead.
  const dying = presenting && terms.provider.refreshKillsAccessToken
  const living = dying ? null : token
  const at: Schedule =
    view.hold === null ? schedule(facts, terms, owner, now, true) : { kind: 'never', because: 'on_hold' }

  if (living !== null && isEnough(living, asked, terms.policy, now.wall)) {
    const inWindow = now.wall >= aheadAt(view.row.uid, living, terms.policy)
    const may = inWindow && at.kind === 'now' && !floorHolds(living, terms.policy, now.wall)
    return { action: 'hand_out', token: living, ahead: may ? at.why : null }
  }
  if (!variantAllowed(view, asked.variant)) {
    if (living !== null) return { action: 'hand_out', token: living, ahead: null }
    return { action: 'refuse', refusal: { code: 'variant_unsupported' } }
  }
  if (at.kind === 'now') {
    if (living !== null && floorHolds(living, terms.policy, now.wall))
      return { action: 'hand_out', token: living, ahead: null }
    // An imported token that has ended already says nothing about what a refresh brings.
    const granted = kept !== null && kept.fence === view.row.lastGrant?.fence
    const ended = granted && kept.refusedAt === null && facts.signedOutAt === null ? kept : null
    if (living === null && ended !== null && !dying && floorHolds(ended, terms.policy, now.wall)) {
      // Its lifetime was shorter than the floor: the provider is not stormed for it.
      const until = later(ended.sentAt, floorMs(ended.lifetimeMs, terms.policy))
      return { action: 'wait', until, refusal: { code: 'unavailable', retryAt: until } }
    }
    return { action: 'refresh', why: at.why, meanwhile: living }
  }
  const refusal = refusalOf(view, at)
  if (at.kind === 'never' && at.because === 'presenting') return { action: 'watch', meanwhile: living, refusal }
  // A living access token beats an error: it is shorter than asked for, and says so.
  if (living !== null) return { action: 'hand_out', token: living, ahead: null }
  return at.kind === 'later' ? { action: 'wait', until: at.at, refusal } : { action: 'refuse', refusal }
}

/** The token as it would read had the wall clock not been set back since. */
export const older = (token: OpenedAccessToken, byMs: DurationMs): OpenedAccessToken =>
  byMs === 0
    ? token
    : { ...token, sentAt: later(token.sentAt, ms(-byMs)), expiresAt: later(token.expiresAt, ms(-byMs)) }

/** The part of a view that `schedule` decides by. */
export const factsOf = (view: View): Facts => ({
  ...view.row,
  refreshToken: view.refreshToken,
  siblings: view.siblings,
  accessTokens: view.accessTokens,
})

function isEnough(token: OpenedAccessToken, asked: Asked, policy: Policy, now: UnixMs): boolean {
  if (asked.sawFence !== null && token.fence > asked.sawFence) return true
  return token.expiresAt - now >= owedTtlMs(asked.minTtlMs, token.lifetimeMs, policy)
}

const floorHolds = (token: OpenedAccessToken, policy: Policy, now: UnixMs): boolean =>
  now < later(token.sentAt, floorMs(token.lifetimeMs, policy))

/** Narrower tokens are refused where asking for one narrows the whole grant, or might, or kills the others. */
function variantAllowed(view: View, variant: Variant): boolean {
  if (variant.key === '' || runsAgain(view.row.grantType)) return true
  const { provider } = view.terms
  return provider.narrowing === 'token_only' && !provider.refreshKillsAccessToken
}

function refusalOf(view: View, at: Exclude<Schedule, { kind: 'now' }>): Refusal {
  // Also for one that needs its user here: the original may have been signed in again since.
  if (view.hold !== null) return { code: 'on_hold' }
  const { state } = view.row
  const retryAt = at.kind === 'later' ? at.at : null
  switch (state.status) {
    case 'needs_user':
      return { code: 'needs_user', reason: state.reason }
    case 'blocked':
      return { code: 'blocked', reason: state.reason, retryAt }
    case 'in_doubt':
      return { code: 'in_doubt', retryAt }
    case 'suspect':
      return { code: 'suspect', retryAt }
    case 'presenting':
    case 'ready':
    case 'deleting':
    case 'erased':
      return at.kind === 'never' && at.because === 'no_refresh_token'
        ? { code: 'needs_user', reason: 'no_refresh_token' }
        : { code: 'unavailable', retryAt, source: sourceOf(view.row.grantRequest) }
    default:
      return assertNever(state)
  }
}

/** How long a caller with a living token waits for a better one: half of what is left of it. */
export const patienceWith = (token: OpenedAccessToken, now: UnixMs): DurationMs =>
  ms(Math.max(0, (token.expiresAt - now) / 2))

/** The variant as this connection means it: asking for just what was granted is asking for nothing narrower. */
export function variantFor(view: View, variant: Variant): Variant {
  if (variant.resources.length > 0 || view.row.scope === null) return variant
  const granted = [...new Set(view.row.scope.split(' ').filter((scope) => scope !== ''))].sort()
  const same =
    granted.length === variant.scopes.length && granted.every((scope, index) => scope === variant.scopes[index])
  return same ? FULL : variant
}
