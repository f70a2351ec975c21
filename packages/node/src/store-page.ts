/**
 * One page of a list. The shortest index that holds all that fits is walked; where each is long, so much of one is looked at,
 * and the page ends there: whoever wants more goes on behind it.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { ConnectionId, ListQuery, UnixMs } from '@tokenkeep/core'
import { integer, json, text, textOrNull, type CellRecord } from './cells.ts'
import type { Page } from './connection-select.ts'
import { SEARCHED_MOST, type Source, type Walk, type WalkQueries } from './connection-walk.ts'

/** Rows that one statement looks at: on SQLite the event loop stands still for it. */
const STRETCH = 500
/** Whole connections that one statement reads, with all that belongs to each. */
const WHOLE_AT_ONCE = 100
/** Rows that one page looks at. A source no longer than that is walked to its end. */
const LOOKED_MOST = 3_000

export interface Paging {
  readonly queries: WalkQueries
  readonly ask: (page: Page) => Promise<readonly CellRecord[]>
  readonly now: UnixMs
}

export interface RecordsPage {
  /** Of whole connections. */
  readonly records: readonly CellRecord[]
  /** Where to go on; null: there is nothing behind. */
  readonly next: ConnectionId | null
}

export async function pageBy(paging: Paging, query: ListQuery): Promise<RecordsPage> {
  const { ask, queries, now } = paging
  const walk = queries.walk(query, now)
  if (walk === null) return { records: [], next: null }
  const { source, short } = await sourceFor(paging, walk, query)
  const { uids, full, last } = await looked(paging, walk, source, query, short ? Infinity : LOOKED_MOST)
  const records: CellRecord[] = []
  for (let at = 0; at < uids.length; at += WHOLE_AT_ONCE) {
    if (at > 0) await turn()
    records.push(...(await ask(walk.whole(uids.slice(at, at + WHOLE_AT_ONCE)))))
  }
  const newest = records.at(-1)
  return { records, next: full && newest !== undefined ? (text(newest, 'id') as ConnectionId) : last }
}

/** The shortest of those that a page can walk to their end; else the one that is likely to hold the least besides. */
async function sourceFor(
  { queries, ask }: Paging,
  walk: Walk,
  { after, search = '' }: ListQuery,
): Promise<{ readonly source: Source; readonly short: boolean }> {
  const { sources } = walk
  let usable = sources
  if (search !== '') {
    const [record = {}] = await ask(queries.measureSearch(search, SEARCHED_MOST + 1))
    const many = Math.max(integer(record, 'subjects'), integer(record, 'labels')) > SEARCHED_MOST
    if (many) usable = sources.filter(({ name }) => name !== 'search')
  }
  const [only, ...others] = usable
  if (only !== undefined && others.length === 0) return { source: only, short: false }
  let shortest: { readonly source: Source; readonly count: number } | null = null
  for (const source of usable) {
    const most = shortest?.count ?? LOOKED_MOST + 1
    const [record = {}] = await ask(walk.measure(source, { after: after ?? '', most }))
    const count = integer(record, 'count')
    if (count <= LOOKED_MOST && (shortest === null || count < shortest.count)) shortest = { source, count }
    if (shortest !== null && shortest.count <= STRETCH) break
    await turn()
  }
  if (shortest !== null) return { source: shortest.source, short: true }
  // Where a walk stops is told: it must not name what has not the labels that the caller may see.
  const source = usable.find(({ foreign }) => !foreign) ?? only
  if (source === undefined) throw new Error('a list has nothing to walk')
  return { source, short: false }
}

interface Hits {
  readonly uids: readonly string[]
  /** There are as many as were asked for. */
  readonly full: boolean
  /** The last id that was looked at; null: there is nothing behind it. */
  readonly last: ConnectionId | null
}

async function looked(
  { ask }: Paging,
  walk: Walk,
  source: Source,
  { limit, after: from }: ListQuery,
  most: number,
): Promise<Hits> {
  const uids: string[] = []
  let after = from ?? ('' as ConnectionId)
  // Mostly the first that are looked at fit.
  let stretch = Math.min(limit, STRETCH)
  for (let seen = 0; seen < most; seen += stretch) {
    const [record = {}] = await ask(walk.look(source, { after, most: stretch }))
    uids.push(...(json(record, 'hits') as readonly string[]))
    after = (textOrNull(record, 'last') ?? after) as ConnectionId
    if (uids.length >= limit) return { uids: uids.slice(0, limit), full: true, last: after }
    if (integer(record, 'looked') < stretch) return { uids, full: false, last: null }
    stretch = STRETCH
    await turn()
  }
  return { uids, full: false, last: after }
}
