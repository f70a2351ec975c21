/** Reads what was counted by the minute: who was handed what, and what became of refreshes. */
import { setImmediate } from 'node:timers/promises'
import { REFRESH_OUTCOMES, TokenError, type Clock, type ConnectionId, type RefreshOutcome } from '@tokenkeep/core'
import { nothingTook } from './minute-counts.ts'
import { MINUTE_MS, TOOK_MS, type HandOutMinute, type HandOutRow, type MinuteRows } from './minute-rows.ts'

/** Hand-outs of one minute to one caller. */
export interface HandOutCount {
  /** When the minute began, epoch milliseconds. */
  readonly minute: number
  /** The id of an API key; `library` or `command` without one; `other`: too many to be told apart. */
  readonly caller: string
  /** The identity of the API key that was shown as a JWT (`idn_...`). */
  readonly identity: string | null
  /** What it is called now, or was when it was deleted; null: several, or deleted long ago. */
  readonly connection: string | null
  /** Null: several, which were too many to be told apart. */
  readonly uid: string | null
  readonly count: number
}

export interface HandOutsQuery {
  /** Of the connection that has this id, or had it last. */
  readonly connection?: string | undefined
  /** The id of an API key, `library` or `command`. */
  readonly caller?: string | undefined
  /** From the minute of this moment on, epoch milliseconds; as far back as there are any where absent. */
  readonly from?: number | undefined
  /** Before this moment; now where absent. */
  readonly to?: number | undefined
  /** Only connections with all of these labels. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** 1 to 1000 at most; 100 where absent. */
  readonly limit?: number | undefined
  /** The `nextCursor` of the page before. */
  readonly cursor?: string | undefined
}

export interface HandOutsPage {
  readonly handOuts: readonly HandOutCount[]
  /** Null: that was all. A page may have less than its limit, and none, and still not be the last. */
  readonly nextCursor: string | null
}

export interface HandOuts {
  /**
   * Who was handed tokens of which connection in which minute, newest first. What other processes counted in the last ten
   * seconds may be missing.
   *
   * @throws TokenError `invalid_input`, `store_unavailable`, `closed`
   */
  list(query?: HandOutsQuery): Promise<HandOutsPage>
}

export interface RefreshesQuery {
  /** Epoch milliseconds; an hour before `to` where absent. */
  readonly from?: number | undefined
  /** Now where absent. */
  readonly to?: number | undefined
  /** Whole minutes, milliseconds; where absent as many as give 60 to 120 steps. */
  readonly stepMs?: number | undefined
  readonly provider?: string | undefined
}

/** What became of the refreshes at one provider, a number for each step. */
export type RefreshesOfProvider = Readonly<Record<RefreshOutcome, readonly number[]>> & {
  /** `other`: the rest, where there are too many. */
  readonly provider: string
  /** How long half of the granted ones took at most, milliseconds; null: none was granted. */
  readonly p50Ms: readonly (number | null)[]
  /** The same for 95 of 100. */
  readonly p95Ms: readonly (number | null)[]
}

export interface RefreshSeries {
  readonly stepMs: number
  /** When each step begins, epoch milliseconds: at a multiple of the step. */
  readonly starts: readonly number[]
  /** In the order of their names; those without a refresh in that time are not there. */
  readonly providers: readonly RefreshesOfProvider[]
}

export interface Refreshes {
  /**
   * What became of refreshes over time. What other processes counted in the last ten seconds may be missing.
   *
   * @throws TokenError `invalid_input`, `store_unavailable`, `closed`
   */
  series(query?: RefreshesQuery): Promise<RefreshSeries>
}

const LIMIT_MOST = 1000
const LIMIT_DEFAULT = 100
/** Rows looked at for one page, in parts; those of other callers count as well. */
const LOOKED_AT_ONCE = 1000
const LOOKS_MOST = 10
export const STEPS_MOST = 1500
const PROVIDERS_MOST = 50
const HOUR_MS = 60 * MINUTE_MS

export interface MinuteReadingSetup {
  readonly rows: MinuteRows
  readonly clock: Pick<Clock, 'now'>
  readonly connectionId: (given: unknown) => ConnectionId
  /** Writes what this process counted so far. */
  readonly flush: () => Promise<void>
}

export function createHandOuts({ rows, clock, connectionId, flush }: MinuteReadingSetup): HandOuts {
  return {
    async list(query = {}) {
      const limit = query.limit ?? LIMIT_DEFAULT
      if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MOST) throw wrong(`limit is 1 to ${LIMIT_MOST}`)
      const { from, to } = spanOf(query, 0, clock.now().wall)
      const { caller, labels = {} } = query
      if (caller !== undefined && !isCaller(caller)) throw wrong(NO_CALLER)
      await flush()
      const uid = query.connection === undefined ? null : await rows.uidOf(connectionId(query.connection))
      if (query.connection !== undefined && uid === null) return { handOuts: [], nextCursor: null }
      const isMeant = (row: HandOutRow): boolean =>
        (caller === undefined || row.caller === caller) &&
        Object.entries(labels).every(([name, value]) => Object.hasOwn(row.labels, name) && row.labels[name] === value)

      const found: HandOutRow[] = []
      let behind = query.cursor === undefined ? null : readCursor(query.cursor)
      for (let look = 0; look < LOOKS_MOST; look += 1) {
        // Whatever else this process has to do goes first.
        if (look > 0) await setImmediate()
        const some = await rows.handOuts({ from: minuteOf(from), to: to - 1, uid, behind, most: LOOKED_AT_ONCE })
        for (const row of some) {
          behind = row
          if (isMeant(row)) found.push(row)
          if (found.length === limit) return { handOuts: found.map(countOf), nextCursor: cursorOf(row) }
        }
        if (some.length < LOOKED_AT_ONCE) return { handOuts: found.map(countOf), nextCursor: null }
      }
      return { handOuts: found.map(countOf), nextCursor: behind === null ? null : cursorOf(behind) }
    },
  }
}

/** Whoever gives a key for its id must not find it in an error, nor in a URL. */
const isCaller = (given: unknown): boolean =>
  typeof given === 'string' && /^(?:key_\w{1,80}|library|command|other)$/.test(given)
const NO_CALLER = 'a caller is the id of an API key (key_...), library or command: the key itself is not asked for'

const countOf = ({ minute, caller, identity, uid, count, connection }: HandOutRow): HandOutCount => ({
  minute,
  caller,
  identity: identity === '' ? null : identity,
  connection,
  uid: uid === '' ? null : uid,
  count,
})

export function createRefreshes({ rows, clock, flush }: MinuteReadingSetup): Refreshes {
  return {
    async series(query = {}) {
      const { from, to } = spanOf(query, HOUR_MS, clock.now().wall)
      const stepMs = query.stepMs ?? stepFor(to - from)
      if (!Number.isInteger(stepMs) || stepMs < MINUTE_MS || stepMs % MINUTE_MS !== 0)
        throw wrong('a step is a whole number of minutes')
      const first = Math.floor(from / stepMs) * stepMs
      const steps = Math.ceil((to - first) / stepMs)
      if (steps > STEPS_MOST)
        throw wrong(`from, to and step make ${steps} steps, and there are ${STEPS_MOST} at most: take a longer step`)
      const starts = Array.from({ length: steps }, (_, at) => first + at * stepMs)
      const end = first + steps * stepMs
      const series = createSeries(starts, stepMs)
      await flush()
      const atOnceMs = Math.max(stepMs, Math.floor(rows.readAtOnceMs / stepMs) * stepMs)
      for (let at = first; at < end; at += atOnceMs) {
        if (at > first) await setImmediate()
        const part = { from: at, to: Math.min(end, at + atOnceMs) - 1, stepMs, provider: query.provider ?? null }
        for (const row of await rows.refreshes(part)) series.add(row)
      }
      return { stepMs, starts, providers: series.providers() }
    },
  }
}

type Added = Record<RefreshOutcome, number[]> & { readonly took: Map<number, number[]>; total: number }

function createSeries(starts: readonly number[], stepMs: number) {
  const byProvider = new Map<string, Added>()
  const zeros = (): number[] => Array<number>(starts.length).fill(0)
  const none = (): Added => {
    const counts = Object.fromEntries(REFRESH_OUTCOMES.map((outcome) => [outcome, zeros()]))
    return { ...(counts as Record<RefreshOutcome, number[]>), took: new Map(), total: 0 }
  }
  const addTo = (added: Added, outcome: RefreshOutcome, at: number, count: number, took: readonly number[]): void => {
    const counts = added[outcome]
    counts[at] = (counts[at] ?? 0) + count
    added.total += count
    if (outcome !== 'granted') return
    const before = added.took.get(at) ?? nothingTook()
    added.took.set(
      at,
      before.map((each, bucket) => each + (took[bucket] ?? 0)),
    )
  }
  const shown = (provider: string, added: Added): RefreshesOfProvider => {
    const { took, total: _total, ...counts } = added
    const percentiles = (share: number) => starts.map((_, at) => percentileOf(took.get(at) ?? [], share))
    return { provider, ...counts, p50Ms: percentiles(0.5), p95Ms: percentiles(0.95) }
  }
  return {
    add({ minute, provider, outcome, count, took }: Awaited<ReturnType<MinuteRows['refreshes']>>[number]): void {
      const added = byProvider.get(provider) ?? none()
      byProvider.set(provider, added)
      addTo(added, outcome, Math.round((minute - (starts[0] ?? 0)) / stepMs), count, took)
    },
    providers(): RefreshesOfProvider[] {
      const most = [...byProvider].toSorted(([, one], [, two]) => two.total - one.total)
      const told = new Map(most.slice(0, PROVIDERS_MOST))
      for (const [, rest] of most.slice(PROVIDERS_MOST)) {
        const other = told.get(OTHER) ?? none()
        told.set(OTHER, other)
        for (const outcome of REFRESH_OUTCOMES)
          for (const at of starts.keys()) addTo(other, outcome, at, rest[outcome][at] ?? 0, rest.took.get(at) ?? [])
      }
      return [...told].toSorted(([one], [two]) => (one < two ? -1 : 1)).map(([name, added]) => shown(name, added))
    },
  }
}
const OTHER = 'other'

/** How long this share of them took at most: within a bucket as if they were spread evenly. */
export function percentileOf(took: readonly number[], share: number): number | null {
  const total = took.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  const wanted = total * share
  let before = 0
  for (const [bucket, count] of took.entries()) {
    if (count === 0 || before + count < wanted) {
      before += count
      continue
    }
    const least = TOOK_MS[bucket - 1] ?? 0
    // How much more than the last bound nobody knows.
    const most = TOOK_MS[bucket] ?? least
    return Math.round(least + ((most - least) * (wanted - before)) / count)
  }
  return TOOK_MS.at(-1) ?? null
}

const NICE_MINUTES = [1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440]
const STEPS_WANTED = 120
const stepFor = (spanMs: number): number =>
  MINUTE_MS *
  (NICE_MINUTES.find((minutes) => spanMs / (minutes * MINUTE_MS) <= STEPS_WANTED) ??
    Math.ceil(spanMs / STEPS_WANTED / MINUTE_MS))

const minuteOf = (at: number): number => Math.floor(at / MINUTE_MS) * MINUTE_MS
/** The last millisecond that a date can have. */
const LAST_MS = 8_640_000_000_000_000

/** @param backMs so long before `to` it begins where nothing is said; 0: with the first there is */
function spanOf(
  given: { readonly from?: number | undefined; readonly to?: number | undefined },
  backMs: number,
  now: number,
): { readonly from: number; readonly to: number } {
  // The minute of now is under way, and meant.
  const to = given.to ?? minuteOf(now) + MINUTE_MS
  const from = given.from ?? (backMs === 0 ? 0 : to - backMs)
  for (const [name, value] of Object.entries({ from, to })) {
    if (!Number.isInteger(value) || value < 0 || value > LAST_MS)
      throw wrong(`${name} is a moment: epoch milliseconds, a whole number`)
  }
  if (from >= to) throw wrong('from is before to')
  return { from, to }
}

type Place = Omit<HandOutMinute, 'count'>
const cursorOf = ({ minute, caller, identity, uid }: Place): string =>
  Buffer.from(JSON.stringify([minute, caller, identity, uid]), 'utf8').toString('base64url')

function readCursor(cursor: string): Place {
  try {
    const read = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as unknown
    const [minute, caller, identity, uid] = Array.isArray(read) ? (read as unknown[]) : []
    if (Number.isSafeInteger(minute) && [caller, identity, uid].every((each) => typeof each === 'string'))
      return { minute: minute as number, caller: caller as string, identity: identity as string, uid: uid as string }
  } catch {
    // Said below.
  }
  throw wrong('cursor is not the cursor of another page')
}

const wrong = (what: string): TokenError => new TokenError('invalid_input', what)
