/** The clock of this machine, against others. Expiry, assertions and proofs depend on it. */
import { findingsOf, type Finding, type Kinds } from './finding.ts'

export const CLOCK = {
  clock: {
    is: 'ok',
    says: 'the clock of this machine agrees with {others}',
    todo: null,
  },
  clock_alone: {
    is: 'note',
    says: 'nobody said what time it is, so the clock of this machine was compared with nothing',
    todo: '{advice}',
  },
  clock_differs: {
    is: 'wrong',
    says: 'the clock of this machine is {seconds} s {direction} that of {other}: assertions, proofs and expiry go wrong',
    todo: 'Let a time service (NTP) set it: `timedatectl` says whether one does. If it does, {other} is wrong.',
  },
  clock_differs_little: {
    is: 'note',
    says: 'the clock of this machine is {seconds} s {direction} that of {other}',
    todo: 'See that a time service (NTP) sets it: `timedatectl`.',
  },
  clock_jumped: {
    is: 'wrong',
    says: 'the clock of this machine was set by {seconds} s while this ran',
    todo: 'Look for who sets it: a time service should slew it, and only one should.',
  },
  clock_behind_database: {
    is: 'wrong',
    says: 'the database was last written {seconds} s in the future of this clock: it was set back, or was wrong then',
    todo: 'Let a time service (NTP) set it: `timedatectl` says whether one does.',
  },
} as const satisfies Kinds

const found = findingsOf('clock', CLOCK)

/** `Date` has whole seconds; less than this can be the way of an answer. */
const LITTLE_MS = 2_000
/** Strict servers take an assertion or a proof that is a few seconds from the future, and no more. */
const MUCH_MS = 5_000

export interface OtherClock {
  /** As people call it. */
  readonly other: string
  /** Its clock minus ours. */
  readonly differenceMs: number
}

export interface ClocksSeen {
  readonly others: readonly OtherClock[]
  /** How much further the wall clock went than the monotonic one while this ran. */
  readonly jumpedMs: number
  /** The last write of the database is so far in the future. */
  readonly databaseAheadMs: number
  /** Nobody was asked. */
  readonly offline: boolean
}

export function judgeClocks({ others, jumpedMs, databaseAheadMs, offline }: ClocksSeen): readonly Finding[] {
  const compared = others.flatMap(({ other, differenceMs }) => {
    const away = Math.abs(differenceMs)
    if (away < LITTLE_MS) return []
    const direction = differenceMs > 0 ? 'behind' : 'ahead of'
    const facts = { seconds: Math.round(away / 1000), direction, other }
    return [away < MUCH_MS ? found('clock_differs_little', facts) : found('clock_differs', facts)]
  })
  const agreeing = others.filter(({ differenceMs }) => Math.abs(differenceMs) < LITTLE_MS)
  const named = agreeing.map(({ other }) => other)
  const most = named.length > 3 ? `${named.slice(0, 3).join(', ')} and ${named.length - 3} more` : named.join(', ')
  return [
    ...(named.length > 0 ? [found('clock', { others: most })] : []),
    ...(others.length === 0
      ? [
          found('clock_alone', {
            advice: offline ? 'Run doctor without --offline.' : 'Run doctor again once a provider answers.',
          }),
        ]
      : []),
    ...compared,
    ...(Math.abs(jumpedMs) >= LITTLE_MS ? [found('clock_jumped', { seconds: Math.round(jumpedMs / 1000) })] : []),
    ...(databaseAheadMs >= MUCH_MS
      ? [found('clock_behind_database', { seconds: Math.round(databaseAheadMs / 1000) })]
      : []),
  ]
}
