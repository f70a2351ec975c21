/** What a timeline shows of a connection: its access tokens, what was presented, and what comes next. */
import type { Connection, Presentation } from './contract.ts'
import { outcomeWords, whyWords, type Tone } from './words.ts'

/** All moments are epoch milliseconds. */
export interface Life {
  readonly from: number
  readonly to: number
  /** When the next one took its place; null: nothing has. */
  readonly replacedAt: number | null
}

export interface Shown {
  readonly begunAt: number
  /** Null: it is on its way. */
  readonly endedAt: number | null
  readonly tone: Tone
  /** What came of it, and why it was presented. */
  readonly says: string
}

export interface Coming {
  readonly at: number
  readonly says: string
  readonly tone: Tone
}

export interface Timeline {
  readonly lives: readonly Life[]
  readonly shown: readonly Shown[]
  readonly coming: readonly Coming[]
  readonly from: number
  readonly to: number
}

export type Reach = 'newest' | 'hour' | 'day' | 'week'
const BACK: Readonly<Record<Exclude<Reach, 'newest'>, number>> = { hour: 3600_000, day: 86_400_000, week: 604_800_000 }
const NEWEST_LIVES = 8
/** So much of the width lies after the last moment that is shown. */
const MARGIN = 0.07
const LEAST_MS = 10_000
const DAY_MS = 86_400_000
/** Compared with what is to come. */
const LEAST_PAST = 0.6

/**
 * @param history newest first, as the server has it
 * @param now epoch milliseconds
 */
export function timelineOf(
  connection: Connection,
  history: readonly Presentation[],
  of: { readonly now: number; readonly reach: Reach },
): Timeline {
  const oldestFirst = history.toReversed()
  const shown = oldestFirst.map((presentation): Shown => {
    const { name, tone } = outcomeWords(presentation.outcome)
    const endedAt = presentation.ended_at === null ? null : Date.parse(presentation.ended_at)
    return { begunAt: Date.parse(presentation.acquired_at), endedAt, tone, says: `${name}: ${whyWords(presentation)}` }
  })
  const lives = livesOf(connection, oldestFirst)
  const coming = comingOf(connection, of.now)
  return { lives, shown, coming, ...rangeOf({ connection, lives, shown, coming, ...of }) }
}

/** Who took the token of an answer that came too late, or was not ours to keep, handed nothing out. */
const brought = ({ outcome }: Presentation): boolean => outcome === 'granted' || outcome === 'granted, late'

/**
 * The history does not say how long each one lived: where it did not end by now, the newest one's length is taken, which is
 * what a provider's setting is.
 */
function livesOf(connection: Connection, oldestFirst: readonly Presentation[]): readonly Life[] {
  const starts = oldestFirst.flatMap((each) =>
    brought(each) && each.ended_at !== null ? [Date.parse(each.ended_at)] : [],
  )
  const endsAt = connection.access_token_expires_at === null ? null : Date.parse(connection.access_token_expires_at)
  const last = starts.at(-1)
  const length = endsAt === null || last === undefined || endsAt <= last ? null : endsAt - last
  const lives = starts.map((from, at): Life => {
    const replacedAt = starts[at + 1] ?? null
    return { from, to: length === null ? (replacedAt ?? from) : from + length, replacedAt }
  })
  const createdAt = Date.parse(connection.created_at)
  const first = starts[0]
  // What the sign-in brought; with a long history its beginning is not in it.
  const isWhole = oldestFirst.length === 0 || (oldestFirst[0]?.generation ?? 1) <= 1
  if (!isWhole) return lives
  if (first !== undefined) return [{ from: createdAt, to: Math.max(first, createdAt), replacedAt: first }, ...lives]
  return endsAt === null ? lives : [{ from: createdAt, to: Math.max(endsAt, createdAt), replacedAt: null }]
}

/** What happens next, soonest first, and what would end it. */
export function comingOf(connection: Connection, now: number): readonly Coming[] {
  const next = NEXT[connection.status]
  const all: readonly (readonly [at: string | null, coming: Omit<Coming, 'at'>])[] = [
    [connection.next_action_at, next],
    [connection.access_token_expires_at, { says: 'access token ends', tone: 'quiet' }],
    [connection.refresh_token_expires_at, { says: 'sign-in ends', tone: 'warn' }],
  ]
  return all
    .flatMap(([at, coming]) => (at === null ? [] : [{ at: Date.parse(at), ...coming }]))
    .filter(({ at }) => at > now)
    .toSorted((one, other) => one.at - other.at)
}

const NEXT: Readonly<Record<Connection['status'], Omit<Coming, 'at'>>> = {
  ready: { says: 'refresh due', tone: 'good' },
  presenting: { says: 'answer due', tone: 'busy' },
  in_doubt: { says: 'presented again', tone: 'doubt' },
  suspect: { says: 'confirmed', tone: 'warn' },
  blocked: { says: 'tried again', tone: 'bad' },
  needs_user: { says: 'looked at again', tone: 'bad' },
  deleting: { says: 'revoked again', tone: 'quiet' },
  erased: { says: 'forgotten', tone: 'quiet' },
}

function rangeOf(of: {
  readonly connection: Connection
  readonly lives: readonly Life[]
  readonly shown: readonly Shown[]
  readonly coming: readonly Coming[]
  readonly now: number
  readonly reach: Reach
}): { readonly from: number; readonly to: number } {
  const { lives, shown, coming, now, reach } = of
  if (reach !== 'newest') {
    const from = now - BACK[reach]
    return { from, to: now + BACK[reach] * 0.25 }
  }
  const begun = [
    ...lives.slice(-NEWEST_LIVES).map(({ from }) => from),
    ...shown.slice(-NEWEST_LIVES).map(({ begunAt }) => begunAt),
  ]
  const from = Math.min(now - LEAST_MS, begun.length === 0 ? Date.parse(of.connection.created_at) : Math.min(...begun))
  // The end of a sign-in can be weeks away: it stands in words below.
  const next = coming[0]?.at ?? now
  const far = Math.max(now + Math.max(LEAST_MS, now - from), next - now > DAY_MS ? now : next)
  const last = Math.max(
    now,
    ...coming.map(({ at }) => at).filter((at) => at <= far),
    ...lives.map(({ to }) => Math.min(to, far)),
  )
  // However far away the next moment is, a part of the width is what was.
  return { from: Math.min(from, now - (last - now) * LEAST_PAST), to: last + (last - from) * MARGIN }
}

const STEPS_S = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
]

/** Round moments, `most` at most, in the time of this place. */
export function ticksOf(from: number, to: number, most: number): readonly number[] {
  const step = (STEPS_S.find((seconds) => (to - from) / 1000 / seconds <= most) ?? 604_800) * 1000
  const zone = new Date(from).getTimezoneOffset() * 60_000
  const first = Math.ceil((from - zone) / step) * step + zone
  return Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, at) => first + at * step)
}
