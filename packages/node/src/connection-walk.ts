/**
 * The text of every query that looks for some connections among many, for each engine.
 *
 * All that fits is found by walking one index in the order of the ids, a stretch at a time, and by looking at each row that
 * it names: so no statement takes longer the more there are. Which index is for whoever asks (`store-page.ts`).
 */
import {
  BLOCKED_REASONS,
  NEEDS_USER_REASONS,
  TROUBLES,
  type ListQuery,
  type Status,
  type Trouble,
  type UnixMs,
} from '@tokenkeep/core'
import { havingLabels, statusCondition, wholeConnections, type Dialect, type Page } from './connection-select.ts'

/** Where to go on, and how many index entries to look at. */
export interface Stretch {
  readonly after: string
  readonly most: number
}

/** Some of the connections, among them all that a query asks for: `uid` and `id` in the order of the ids. */
export interface Source {
  readonly name: string
  /** It may hold connections that have not the labels that are asked for. */
  readonly foreign: boolean
  readonly stretch: (stretch: Stretch) => Page
}

/** What a query comes to. */
export interface Walk {
  /** From the one that is likely to be short to the longest. */
  readonly sources: readonly Source[]
  /** `count`: how many entries of a source are left, so many at most. */
  readonly measure: (source: Source, stretch: Stretch) => Page
  /** `looked`, `last`, and `hits`: a JSON array of the uids that fit. */
  readonly look: (source: Source, stretch: Stretch) => Page
  /** Whole connections, of a JSON array of uids, that fit still. */
  readonly whole: (uids: readonly string[]) => Page
}

export interface WalkQueries {
  /** Null: nothing can fit. */
  walk(query: ListQuery, now: UnixMs): Walk | null
  /**
   * `subjects`, `labels`: of how many subjects and label values begin with a text, so many of each at most. They lie not in
   * the order of the ids, and are a source only where they are few.
   */
  measureSearch(search: string, most: number): Page
}

export function walkQueries(dialect: Dialect): WalkQueries {
  const connection = `${dialect.table('connection')} c`
  const label = `${dialect.table('label')} l`
  return {
    walk(query, now) {
      const statuses = statusesOf(query)
      if (statuses?.length === 0) return null
      const fits = and(conditionsOf(dialect, query, statuses, now))
      const sources = sourcesOf({ dialect, connection, label }, query, statuses)
      return {
        sources,
        measure(source, stretch) {
          const { text, values } = source.stretch(stretch)
          return { text: `SELECT count(*) AS count FROM (${text}) m`, values }
        },
        look(source, stretch) {
          const { text, values } = source.stretch(stretch)
          return {
            text: `SELECT count(*) AS looked, max(k.id) AS last, ${dialect.uids(fits.text)} AS hits
              FROM (${text}) k ${dialect.inOrder} ${connection} ON c.uid = k.uid`,
            values: [...fits.values, ...values],
          }
        },
        whole(uids) {
          const source = `${dialect.given} ${dialect.inOrder} ${connection} ON c.uid = j.value`
          return {
            text: `${wholeConnections(dialect, source)} WHERE ${fits.text} ORDER BY c.id`,
            values: [JSON.stringify(uids), ...fits.values],
          }
        },
      }
    },

    measureSearch(search, most) {
      const [from, to] = beginningWith(search)
      return {
        text: `SELECT
            (SELECT count(*) FROM (SELECT 1 AS one FROM ${connection} WHERE ${SUBJECT_BEGINS} LIMIT ?) s) AS subjects,
            (SELECT count(*) FROM (SELECT 1 AS one FROM ${label} WHERE l.value >= ? AND l.value < ? LIMIT ?) s) AS labels`,
        values: [from, to, most, from, to, most],
      }
    },
  }
}

// ---- what fits -----------------------------------------------------------------------------------------------------

/** Null: any. A reason says which statuses it is a reason of. */
function statusesOf({ status, reason }: ListQuery): readonly Status[] | null {
  const asked = status === undefined ? null : [status].flat().filter((each) => each !== 'erased')
  if (reason === undefined) return asked
  const having = (['needs_user', 'blocked'] as const).filter((each) =>
    reason.some((word) => REASONS_OF[each].includes(word)),
  )
  return having.filter((each) => asked === null || asked.includes(each))
}

const REASONS_OF: Readonly<Record<'needs_user' | 'blocked', readonly string[]>> = {
  needs_user: NEEDS_USER_REASONS,
  blocked: BLOCKED_REASONS,
}

/** A connection without refresh token reads as `needs_user` from the moment when it lapses; the write that says so comes a moment later. */
const LAPSED = `(c.status = 'ready' AND c.lapses_at <= ?)`

function conditionsOf(
  dialect: Dialect,
  query: ListQuery,
  statuses: readonly Status[] | null,
  now: UnixMs,
): readonly Page[] {
  const { provider, client, sessionId, subject, labels = {}, reason, search = '' } = query
  const conditions: Page[] = [{ text: `c.status <> 'erased'`, values: [] }]
  const equal = (column: string, value: string | undefined): void => {
    if (value !== undefined) conditions.push({ text: `c.${column} = ?`, values: [value] })
  }
  equal('provider', provider)
  equal('client', client)
  equal('session_id', sessionId)
  equal('subject', subject)
  if (Object.keys(labels).length > 0) conditions.push(havingLabels(dialect, labels, 'c.uid'))
  if (statuses !== null) conditions.push(or(statuses.map((each) => statusNow(each, now))))
  if (reason !== undefined) {
    const words = { text: `c.reason IN (${reason.map(() => '?').join(', ')})`, values: reason }
    conditions.push(reason.includes('no_refresh_token') ? or([words, { text: LAPSED, values: [now] }]) : words)
  }
  if (search !== '') {
    const [from, to] = beginningWith(search)
    const ofLabel = `EXISTS (SELECT 1 FROM ${dialect.table('label')} o WHERE o.uid = c.uid AND o.value >= ? AND o.value < ?)`
    conditions.push({
      text: `((c.id >= ? AND c.id < ?) OR (${SUBJECT_BEGINS}) OR ${ofLabel})`,
      values: [from, to, from, to, from, to],
    })
  }
  return conditions
}

function statusNow(status: Status, now: UnixMs): Page {
  if (status === 'ready') {
    return { text: `(c.status = 'ready' AND (c.lapses_at IS NULL OR c.lapses_at > ?))`, values: [now] }
  }
  if (status === 'needs_user') return { text: `(c.status = 'needs_user' OR ${LAPSED})`, values: [now] }
  return { text: `c.status = ?`, values: [status] }
}

const joined =
  (by: 'AND' | 'OR') =>
  (pages: readonly Page[]): Page => ({
    text: `(${pages.map(({ text }) => text).join(` ${by} `)})`,
    values: pages.flatMap(({ values }) => values),
  })
const and = joined('AND')
const or = joined('OR')

const SUBJECT_BEGINS = 'c.subject IS NOT NULL AND c.subject >= ? AND c.subject < ?'

/** The texts from one to before the other begin with it, by their UTF-8 bytes: no id, subject or label holds U+10FFFF. */
const beginningWith = (text: string): readonly [string, string] => [text, `${text}\u{10FFFF}`]

// ---- where it is looked for ----------------------------------------------------------------------------------------

interface Tables {
  readonly dialect: Dialect
  readonly connection: string
  readonly label: string
}

/** Their entries lie in the order of the ids behind what the condition fixes. */
const range =
  (from: string, of: 'c' | 'l', condition: string, ...values: readonly string[]) =>
  ({ after, most }: Stretch): Page => ({
    text: `SELECT ${of}.uid, ${of}.id FROM ${from} WHERE ${condition} AND ${of}.id > ? ORDER BY ${of}.id LIMIT ?`,
    values: [...values, after, most],
  })

/** Several, one behind the other: of each no more is read than is wanted of all. */
const merged =
  (ranges: readonly Source['stretch'][]) =>
  (stretch: Stretch): Page => {
    const [only, ...others] = ranges
    if (only !== undefined && others.length === 0) return only(stretch)
    const pages = ranges.map((each) => each(stretch))
    return {
      // A connection can be in two of them.
      text: `SELECT u.uid, u.id FROM (${pages.map(({ text }) => `SELECT * FROM (${text}) r`).join(' UNION ')}) u
        ORDER BY u.id LIMIT ?`,
      values: [...pages.flatMap(({ values }) => values), stretch.most],
    }
  }

function sourcesOf(tables: Tables, query: ListQuery, statuses: readonly Status[] | null): readonly Source[] {
  const { connection, label } = tables
  const { provider, client, sessionId, subject, search = '' } = query
  const labels = Object.entries(query.labels ?? {})
  const sources: Source[] = []
  const add = (name: string, stretch: Source['stretch'], foreign = labels.length > 0): void =>
    void sources.push({ name, foreign, stretch })
  const living = `c.status <> 'erased'`

  if (sessionId !== undefined) {
    add('session', range(connection, 'c', `${living} AND c.session_id = ?`, sessionId))
  }
  if (subject !== undefined) add('subject', range(connection, 'c', `${living} AND c.subject = ?`, subject))
  const marks = statuses === null ? null : marksOf(statuses)
  if (marks !== null) {
    const [first] = labels
    if (first !== undefined && !marks.includes('presenting')) {
      const ofLabel = 'l.name = ? AND l.value = ? AND l.trouble = ?'
      add('label in trouble', merged(marks.map((mark) => range(label, 'l', ofLabel, ...first, mark))), false)
    }
    add('status', merged(marks.map((mark) => inStatus(tables, mark))))
  }
  if (search !== '') add('search', merged(searched(tables, search)))
  for (const each of labels) add('label', range(label, 'l', 'l.name = ? AND l.value = ?', ...each), false)
  // A client has one provider.
  if (client !== undefined) add('client', range(connection, 'c', 'c.client = ?', client))
  else if (provider !== undefined) add('provider', range(connection, 'c', `${living} AND c.provider = ?`, provider))
  if (sources.every(({ name }) => name === 'search')) add('living', range(connection, 'c', living))
  return sources
}

function inStatus({ dialect, connection }: Tables, mark: Trouble | 'lapsing' | 'presenting'): Source['stretch'] {
  if (mark === 'lapsing') return range(connection, 'c', 'c.lapses_at IS NOT NULL')
  return range(mark === 'presenting' ? dialect.presenting : connection, 'c', statusCondition(mark))
}

/** Few connections have one of these; null: among them is `ready`, which nearly all are. */
function marksOf(statuses: readonly Status[]): readonly (Trouble | 'lapsing' | 'presenting')[] | null {
  if (statuses.includes('ready')) return null
  const troubles = TROUBLES.filter((each) => statuses.includes(each))
  return [
    ...troubles,
    ...(troubles.includes('needs_user') ? (['lapsing'] as const) : []),
    ...(statuses.includes('presenting') ? (['presenting'] as const) : []),
  ]
}

/** What begins with a text: the ids in their order, and the few others, which are sorted. */
function searched({ connection, label }: Tables, search: string): readonly Source['stretch'][] {
  const [from, to] = beginningWith(search)
  const few =
    (of: 'c' | 'l', table: string, condition: string) =>
    ({ after, most }: Stretch): Page => ({
      text: `SELECT s.uid, s.id FROM (SELECT ${of}.uid, ${of}.id FROM ${table} WHERE ${condition} LIMIT ${SEARCHED_MOST}) s
        WHERE s.id > ? ORDER BY s.id LIMIT ?`,
      values: [from, to, after, most],
    })
  return [
    range(connection, 'c', `c.status <> 'erased' AND c.id >= ? AND c.id < ?`, from, to),
    few('c', connection, SUBJECT_BEGINS),
    few('l', label, 'l.value >= ? AND l.value < ?'),
  ]
}

/** More subjects or label values that begin with a text are found by looking at all connections. */
export const SEARCHED_MOST = 5_000
