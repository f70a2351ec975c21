/** What an operator asks of all connections at once, counted by work that is bounded whatever the database holds. */
import type { BlockedReason, NeedsUserReason, Status } from './connection.ts'
import type { DurationMs, UnixMs } from './time.ts'
import { ms } from './time.ts'

/** `atLeast`: counting stopped there, and there may be more. */
export interface Count {
  readonly count: number
  readonly atLeast: boolean
}

export const TROUBLES = [
  'in_doubt',
  'suspect',
  'blocked',
  'needs_user',
  'deleting',
] as const satisfies readonly Status[]
/** A status that is neither `ready` nor a refresh that is under way. */
export type Trouble = (typeof TROUBLES)[number]
/** Every status that a living connection can have. */
export const LIVING = ['ready', 'presenting', ...TROUBLES] as const satisfies readonly Status[]

export const NEEDS_USER_REASONS = [
  'revoked',
  'expired',
  'answer_lost',
  'reused',
  'signed_out',
  'interaction_required',
  'no_refresh_token',
] as const satisfies readonly NeedsUserReason[]
export const BLOCKED_REASONS = ['client', 'endpoint', 'request', 'grant'] as const satisfies readonly BlockedReason[]

/** A connection that only a person keeps alive beyond a known moment. */
export interface Expiry {
  readonly connection: string
  readonly provider: string
  readonly client: string
  /** Epoch milliseconds. */
  readonly expiresAt: number
  /** `session_end`: no refresh moves the end of its session; `no_refresh_token`: its access token is all it has. */
  readonly because: 'session_end' | 'no_refresh_token'
}

export interface OfProvider extends Readonly<Record<Trouble, Count>> {
  readonly provider: string
  /** Null where only connections with some labels were asked for: those of one provider are not counted then. */
  readonly total: Count | null
  readonly expiring: Count
}

export interface Overview {
  /** Epoch milliseconds, store time. */
  readonly at: number
  readonly total: Count
  readonly byStatus: Readonly<Record<(typeof LIVING)[number], Count>>
  readonly needsUser: Readonly<Record<NeedsUserReason, Count>>
  readonly blocked: Readonly<Record<BlockedReason, Count>>
  /** Those that have connections, in the order of their ids. */
  readonly providers: readonly OfProvider[]
  readonly expiring: {
    readonly withinMs: number
    readonly count: Count
    /** The next ones, the soonest first. */
    readonly next: readonly Expiry[]
  }
}

/** What counts as soon: a week to ask a person in. A session's end is announced three days ahead at most. */
export const EXPIRING_WITHIN_MS: DurationMs = ms(7 * 24 * 3_600_000)
/** How many of the next ones are named. */
export const EXPIRING_NAMED = 10

/** What was found of one provider, status and reason. */
export interface TroubleFound {
  readonly provider: string
  readonly trouble: Trouble
  readonly reason: string | null
  readonly count: number
}

/** What counting brought. */
export interface Counted {
  readonly at: UnixMs
  readonly total: Count
  /** Of each provider; null: not counted. */
  readonly living: ReadonlyMap<string, number> | null
  readonly presenting: Count
  readonly troubled: Readonly<Record<Trouble, Count>>
  /** Of every status whose groups could not be counted to the end. */
  readonly cut: ReadonlySet<Trouble>
  readonly groups: readonly TroubleFound[]
  readonly expiring: Count
  readonly expiringOf: ReadonlyMap<string, number>
  readonly next: readonly Expiry[]
}

/** The overview from what was counted. */
export function overviewOf(found: Counted): Overview {
  const { troubled, groups, cut } = found
  const counted = (trouble: Trouble, of: (group: TroubleFound) => boolean): Count => ({
    count: groups.reduce((sum, group) => sum + (group.trouble === trouble && of(group) ? group.count : 0), 0),
    atLeast: cut.has(trouble),
  })
  const troubles = <Value>(of: (trouble: Trouble) => Value) =>
    Object.fromEntries(TROUBLES.map((trouble) => [trouble, of(trouble)])) as Record<Trouble, Value>
  const names = new Set([
    ...(found.living?.keys() ?? []),
    ...groups.map(({ provider }) => provider),
    ...found.expiringOf.keys(),
  ])
  return {
    at: found.at,
    total: found.total,
    byStatus: { ready: readyOf(found), presenting: found.presenting, ...troubled },
    needsUser: byReason(NEEDS_USER_REASONS, (reason) => counted('needs_user', (group) => group.reason === reason)),
    blocked: byReason(BLOCKED_REASONS, (reason) => counted('blocked', (group) => group.reason === reason)),
    providers: [...names].sort().map((provider) => ({
      provider,
      total: found.living === null ? null : { count: found.living.get(provider) ?? 0, atLeast: false },
      ...troubles((trouble) => counted(trouble, (group) => group.provider === provider)),
      expiring: { count: found.expiringOf.get(provider) ?? 0, atLeast: found.expiring.atLeast },
    })),
    expiring: { withinMs: EXPIRING_WITHIN_MS, count: found.expiring, next: found.next },
  }
}

/** Nobody counts the ready ones: they are what is left. Where that is not known, none is claimed. */
function readyOf({ total, presenting, troubled }: Counted): Count {
  const others = [presenting, ...Object.values(troubled)]
  if (others.some(({ atLeast }) => atLeast)) return { count: 0, atLeast: true }
  const left = others.reduce((sum, { count }) => sum - count, total.count)
  return { count: Math.max(0, left), atLeast: total.atLeast }
}

const byReason = <Reason extends string>(reasons: readonly Reason[], of: (reason: Reason) => Count) =>
  Object.fromEntries(reasons.map((reason) => [reason, of(reason)])) as Record<Reason, Count>
