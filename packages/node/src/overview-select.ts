/**
 * The text of every query that counts connections, for each engine. Each looks at so many rows at most, and goes on behind the
 * last one: so no statement takes longer the more there are.
 */
import { EXPIRING_NAMED, type Trouble, type UnixMs } from '@tokenkeep/core'
import type { Stretch } from './connection-walk.ts'
import { havingLabels, statusCondition, type Dialect, type Page } from './connection-select.ts'

export type Labels = Readonly<Record<string, string>>
/** What labels say of their connection, see `troubleOf`. */
export type Mark = Trouble | 'lapsing'
export interface OverviewQueries {
  /** `provider`, `living`: all connections that are not erased. */
  readonly totals: string
  /** `looked`, `count`, `last`: connections with all these labels, of which there is one at least. */
  labelled(labels: Labels, stretch: Stretch): Page
  /**
   * For each `provider` and `reason`: `looked`, `count`, `last`.
   *
   * @param now of `lapsing` those count that have lapsed
   */
  troubled(mark: Mark, labels: Labels, now: UnixMs, stretch: Stretch): Page
  /** The same without telling providers and reasons apart, which is quicker; of all connections. */
  troubledInAll(trouble: Trouble, stretch: Stretch): Page
  /** `looked`, `count`: connections that present. */
  presenting(labels: Labels, most: number): Page
  /** For each `provider` of those without refresh token whose access token has ended: `looked`, `count`. Of all connections. */
  lapsed(now: UnixMs, most: number): Page
  /** For each `provider` of those that expire in between: `looked`, `count`. */
  expiring(labels: Labels, between: readonly [UnixMs, UnixMs], most: number): Page
  /** The first of them. */
  next(labels: Labels, between: readonly [UnixMs, UnixMs], most: number): Page
}

export function overviewQueries(dialect: Dialect): OverviewQueries {
  const { table, labelled, presenting } = dialect
  const connection = `${table('connection')} c`
  const counts = 'count(*) AS looked, count(CASE WHEN s.hit THEN 1 END) AS count'

  /** @returns of a label that is walked: the condition for it, and that for the others */
  const split = (labels: Labels): { readonly first: Page; readonly others: Page } => {
    const [first = ['', ''], ...others] = Object.entries(labels)
    return {
      first: { text: 'l.name = ? AND l.value = ?', values: first },
      others: havingLabels(dialect, Object.fromEntries(others), 'l.uid'),
    }
  }

  return {
    totals: `SELECT provider, CAST(sum(living) AS bigint) AS living FROM ${table('connection_total')} GROUP BY provider ORDER BY provider`,

    labelled(labels, { after, most }) {
      const { first, others } = split(labels)
      return {
        text: `SELECT ${counts}, max(s.id) AS last FROM (
            SELECT l.id, ${others.text} AS hit FROM ${table('label')} l
            WHERE ${first.text} AND l.id > ? ORDER BY l.id LIMIT ?) s`,
        values: [...others.values, ...first.values, after, most],
      }
    },

    troubled(mark, labels, now, { after, most }) {
      const grouped = (source: string): string => `
        SELECT s.provider, s.reason, ${counts}, max(s.id) AS last FROM (${source}) s GROUP BY s.provider, s.reason`
      const lapsed = mark === 'lapsing' ? { text: 'c.lapses_at <= ?', values: [now] } : TRUE
      if (Object.keys(labels).length === 0 && mark !== 'lapsing') {
        return {
          text: grouped(`SELECT c.provider, c.reason, c.id, 1 = 1 AS hit FROM ${connection}
            WHERE ${statusCondition(mark)} AND c.id > ? ORDER BY c.id LIMIT ?`),
          values: [after, most],
        }
      }
      const { first, others } = split(labels)
      return {
        text: grouped(`SELECT c.provider, c.reason, l.id, ${others.text} AND ${lapsed.text} AS hit FROM ${labelled}
          WHERE ${first.text} AND l.trouble = ? AND l.id > ? ORDER BY l.id LIMIT ?`),
        values: [...others.values, ...lapsed.values, ...first.values, mark, after, most],
      }
    },

    troubledInAll: (trouble, { after, most }) => ({
      text: `SELECT count(*) AS count, max(s.id) AS last FROM (
          SELECT c.id FROM ${connection} WHERE ${statusCondition(trouble)} AND c.id > ? ORDER BY c.id LIMIT ?) s`,
      values: [after, most],
    }),

    presenting(labels, most) {
      const having = havingLabels(dialect, labels, 'c.uid')
      return {
        text: `SELECT ${counts} FROM (
            SELECT ${having.text} AS hit FROM ${presenting}
            WHERE ${statusCondition('presenting')} AND c.attempt_owner > '' ORDER BY c.attempt_owner LIMIT ?) s`,
        values: [...having.values, most],
      }
    },

    lapsed: (now, most) => ({
      text: `SELECT s.provider, count(*) AS looked, count(s.lapses_at) AS count FROM (
          SELECT c.provider, c.lapses_at FROM ${connection}
          WHERE c.expiring_at IS NOT NULL AND c.expiring_at <= ? ORDER BY c.expiring_at LIMIT ?) s GROUP BY s.provider`,
      values: [now, most],
    }),

    expiring(labels, between, most) {
      const having = havingLabels(dialect, labels, 'c.uid')
      return {
        text: `SELECT s.provider, ${counts} FROM (
            SELECT c.provider, ${having.text} AS hit FROM ${connection}
            WHERE ${EXPIRING} ORDER BY c.expiring_at LIMIT ?) s GROUP BY s.provider`,
        values: [...having.values, ...between, most],
      }
    },

    next(labels, between, most) {
      const having = havingLabels(dialect, labels, 'c.uid')
      return {
        text: `SELECT s.id, s.provider, s.client, s.expiring_at, s.lapses_at FROM (
            SELECT c.id, c.provider, c.client, c.expiring_at, c.lapses_at, ${having.text} AS hit FROM ${connection}
            WHERE ${EXPIRING} ORDER BY c.expiring_at, c.id LIMIT ?) s
          WHERE s.hit ORDER BY s.expiring_at, s.id LIMIT ${EXPIRING_NAMED}`,
        // Without labels the first of them are the first of all.
        values: [...having.values, ...between, having.values.length === 0 ? EXPIRING_NAMED : most],
      }
    },
  }
}

const TRUE: Page = { text: '1 = 1', values: [] }
const EXPIRING = 'c.expiring_at IS NOT NULL AND c.expiring_at > ? AND c.expiring_at <= ?'
