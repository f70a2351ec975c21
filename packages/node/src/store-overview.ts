/** Counts connections for an overview, a stretch of an index at a time: between two of them the event loop goes on. */
import { setImmediate as turn } from 'node:timers/promises'
import {
  EXPIRING_WITHIN_MS,
  TROUBLES,
  later,
  overviewOf,
  type Count,
  type Counted,
  type Expiry,
  type Moment,
  type Overview,
  type Trouble,
  type TroubleFound,
} from '@tokenkeep/core'
import { integer, integerOrNull, text, textOrNull, type CellRecord } from './cells.ts'
import type { Page } from './connection-select.ts'
import type { Stretch } from './connection-walk.ts'
import type { Labels, Mark, OverviewQueries } from './overview-select.ts'

/** Index entries that one statement looks at, so that none holds an event loop up for more than a few milliseconds; */
const STRETCH = 5_000
/** fewer where each of them means another row; */
const STRETCH_LABELLED = 500
/** what is told apart by provider and reason, of each status; */
const GROUPED_MOST = 100_000
const GROUPED_LABELLED_MOST = 20_000
/** and what is counted at all. */
const COUNTED_MOST = 1_000_000
/** Few present or expire at any moment. */
const SHORT_MOST = 20_000

export interface Counting {
  readonly queries: OverviewQueries
  readonly ask: (page: Page) => Promise<readonly CellRecord[]>
  readonly now: Moment
}

export async function overviewBy(counting: Counting, labels: Labels): Promise<Overview> {
  const { queries, ask, now } = counting
  const limited = Object.keys(labels).length > 0
  const between = [now.wall, later(now.wall, EXPIRING_WITHIN_MS)] as const
  const living = limited ? null : await livingBy(counting)
  const total = living === null ? await countLabelled(counting, labels) : exactly(sum([...living.values()]))
  const presenting = counted(await ask(queries.presenting(labels, SHORT_MOST)))
  const lapsed = limited ? await tell(counting, 'lapsing', labels) : await lapsedInAll(counting)
  const found = new Map<Trouble, Told>()
  for (const trouble of TROUBLES) found.set(trouble, await tell(counting, trouble, labels))
  const expiring = await ask(queries.expiring(labels, between, SHORT_MOST))
  const next = await ask(queries.next(labels, between, SHORT_MOST))
  return overviewOf({
    at: now.wall,
    total,
    living,
    presenting,
    ...together(found, lapsed),
    expiring: counted(expiring),
    expiringOf: new Map(expiring.map((record) => [text(record, 'provider'), integer(record, 'count')])),
    next: next.map(readExpiry),
  })
}

/** Of one status: how many, and how many of each provider and reason. */
interface Told {
  readonly all: Count
  readonly groups: readonly Omit<TroubleFound, 'trouble'>[]
  /** Not all of them were told apart. */
  readonly cut: boolean
}

async function tell(counting: Counting, mark: Mark, labels: Labels): Promise<Told> {
  const { queries, ask, now } = counting
  const limited = Object.keys(labels).length > 0
  const [most, stretch] = limited ? [GROUPED_LABELLED_MOST, STRETCH_LABELLED] : [GROUPED_MOST, STRETCH]
  const groups = new Map<string, Omit<TroubleFound, 'trouble'>>()
  const { ended, last } = await walk(stretch, most, async (from) => {
    const records = await ask(queries.troubled(mark, labels, now.wall, from))
    for (const record of records) {
      const group = { provider: text(record, 'provider'), reason: textOrNull(record, 'reason') }
      const key = JSON.stringify(group)
      groups.set(key, { ...group, count: (groups.get(key)?.count ?? 0) + integer(record, 'count') })
    }
    return { looked: sumOf(records, 'looked'), last: lastOf(records) }
  })
  const told = { groups: [...groups.values()], cut: !ended }
  const count = sum(told.groups.map((group) => group.count))
  if (ended || limited || mark === 'lapsing') return { ...told, all: { count, atLeast: !ended } }
  const rest = await countOn(last, async (from) => {
    const [record = {}] = await ask(queries.troubledInAll(mark, from))
    return { looked: integer(record, 'count'), count: integer(record, 'count'), last: textOrNull(record, 'last') }
  })
  return { ...told, all: { count: count + rest.count, atLeast: rest.atLeast } }
}

async function livingBy({ queries, ask }: Counting): Promise<ReadonlyMap<string, number>> {
  const records = await ask({ text: queries.totals, values: [] })
  return new Map(
    records.map((record) => [text(record, 'provider'), integer(record, 'living')] as const).filter(([, n]) => n > 0),
  )
}

const countLabelled = ({ queries, ask }: Counting, labels: Labels): Promise<Count> =>
  countOn('', async (from) => {
    const [record = {}] = await ask(queries.labelled(labels, from))
    return { looked: integer(record, 'looked'), count: integer(record, 'count'), last: textOrNull(record, 'last') }
  })

async function lapsedInAll({ queries, ask, now }: Counting): Promise<Told> {
  const records = await ask(queries.lapsed(now.wall, SHORT_MOST))
  const all = counted(records)
  const groups = records
    .map((record) => ({ provider: text(record, 'provider'), reason: null, count: integer(record, 'count') }))
    .filter(({ count }) => count > 0)
  return { groups, cut: all.atLeast, all }
}

/** A connection that has lapsed reads as one that needs its user, and no write says so. */
function together(found: ReadonlyMap<Trouble, Told>, lapsed: Told): Pick<Counted, 'troubled' | 'groups' | 'cut'> {
  const all = (trouble: Trouble): Count => {
    const { count, atLeast } = found.get(trouble)?.all ?? exactly(0)
    if (trouble !== 'needs_user') return { count, atLeast }
    return { count: count + lapsed.all.count, atLeast: atLeast || lapsed.all.atLeast }
  }
  const cut = [...found].filter(([, told]) => told.cut).map(([trouble]) => trouble)
  return {
    troubled: Object.fromEntries(TROUBLES.map((trouble) => [trouble, all(trouble)])) as Record<Trouble, Count>,
    groups: [
      ...[...found].flatMap(([trouble, { groups }]) => groups.map((group) => ({ ...group, trouble }))),
      ...lapsed.groups.map((group) => ({ ...group, reason: 'no_refresh_token', trouble: 'needs_user' as const })),
    ],
    cut: new Set(lapsed.cut ? [...cut, 'needs_user'] : cut),
  }
}

interface Looked {
  readonly looked: number
  /** The last id that was looked at; null: there was none. */
  readonly last: string | null
}

/** @returns where it stopped; `ended`: nothing is behind it */
async function walk(
  stretch: number,
  most: number,
  look: (from: Stretch) => Promise<Looked>,
  after = '',
): Promise<{ readonly ended: boolean; readonly last: string }> {
  let last = after
  for (let left = most; left > 0; left -= stretch) {
    const found = await look({ after: last, most: stretch })
    last = found.last ?? last
    if (found.looked < stretch) return { ended: true, last }
    await turn()
  }
  return { ended: false, last }
}

async function countOn(
  after: string,
  look: (from: Stretch) => Promise<Looked & { readonly count: number }>,
): Promise<Count> {
  let count = 0
  const { ended } = await walk(
    STRETCH,
    COUNTED_MOST,
    async (from) => {
      const found = await look(from)
      count += found.count
      return found
    },
    after,
  )
  return { count, atLeast: !ended }
}

const exactly = (count: number): Count => ({ count, atLeast: false })
const counted = (records: readonly CellRecord[]): Count => ({
  count: sumOf(records, 'count'),
  atLeast: sumOf(records, 'looked') >= SHORT_MOST,
})
const sum = (counts: readonly number[]): number => counts.reduce((all, each) => all + each, 0)
const sumOf = (records: readonly CellRecord[], column: string): number =>
  sum(records.map((record) => integer(record, column)))

/** The ids are in the order of their UTF-8 bytes. */
function lastOf(records: readonly CellRecord[]): string | null {
  const ids = records.map((record) => text(record, 'last'))
  return ids.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))).at(-1) ?? null
}

const readExpiry = (record: CellRecord): Expiry => ({
  connection: text(record, 'id'),
  provider: text(record, 'provider'),
  client: text(record, 'client'),
  expiresAt: integer(record, 'expiring_at'),
  because: integerOrNull(record, 'lapses_at') === null ? 'session_end' : 'no_refresh_token',
})
