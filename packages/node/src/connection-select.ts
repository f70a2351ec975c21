/**
 * The text of every query about connections, for each engine. Whole connections come as one record for each of their access
 * tokens. Values stand as `?`, in order.
 */
import type { Status } from '@tokenkeep/core'
import type { Cell } from './cells.ts'
import { CONNECTION_COLUMNS, CONNECTION_COLUMNS_FIXED } from './connection-codec.ts'

const COLUMNS = [...CONNECTION_COLUMNS_FIXED, ...CONNECTION_COLUMNS].map((column) => `c.${column}`).join(', ')

const ACCESS_TOKEN_COLUMNS = [
  'variant',
  'sealed',
  'serial',
  'fingerprint',
  'token_type',
  'scope',
  'lifetime_ms',
  'lifetime_from',
  'sent_at',
  'expires_at',
  'fence',
  'refused_at',
]
  .map((column) => `a.${column} AS at_${column}`)
  .join(', ')

const HELD_COLUMNS = [
  'attempt',
  'fence',
  'variant',
  'scope',
  'refresh_token',
  'refresh_token_facts',
  'access_token',
  'access_token_facts',
]
  .map((column) => `h.${column} AS held_${column}`)
  .join(', ')

const PRESENTATION_COLUMNS = [
  'fence',
  'attempt',
  'grant_no',
  'generation',
  'presented',
  'owner',
  'host',
  'process',
  'why',
  'acquired_at',
  'ended_at',
  'outcome',
]
  .map((column) => `p.${column}`)
  .join(', ')

/** Where the engines differ in what they take, or in what their planners have to be told. */
export interface Dialect {
  /** A table as it stands in FROM. */
  table(name: string): string
  /** What else is read with a whole connection `c`, of its provider `p` and its client `k`. */
  readonly besides: string
  /**
   * The siblings of a connection `c`, newest first, as one cell: a JSON array of arrays of attempt, fence, the JSON of
   * `sibling`, that of `refresh_token_facts`, and `refresh_token` in hexadecimal. Mostly none, and a join would multiply
   * the records.
   */
  readonly siblings: string
  /** Connections `c` that hold a label `l`, from the labels on. */
  readonly labelled: string
  /** The heartbeat of the attempt of a connection `c`. */
  readonly heartbeat: string
  /** A join whose left side is read first. */
  readonly inOrder: string
  /** The members of a JSON array as a table `j` with the column `value`. */
  readonly given: string
  /** The uids of the connections `c` for which a condition holds, as one cell: a JSON array in the order of the ids. */
  uids(condition: string): string
  /** Connections `c` of which few present at any moment, which a planner cannot know. */
  readonly presenting: string
}

/** Everything about the connections `c` that `source` yields, in one statement: one statement sees one instant. */
export const wholeConnections = ({ table, besides, siblings }: Dialect, source: string): string => `
  SELECT ${COLUMNS}, ${ACCESS_TOKEN_COLUMNS}, ${HELD_COLUMNS}, ${siblings} AS siblings, ${besides}
  FROM ${source}
  JOIN ${table('provider')} p ON p.id = c.provider
  JOIN ${table('client')} k ON k.id = c.client
  LEFT JOIN ${table('held_answer')} h ON h.uid = c.uid AND h.kind = 'successor'
  LEFT JOIN ${table('access_token')} a ON a.uid = c.uid`

/** The queries that differ in nothing but the names of tables. */
export interface ConnectionQueries {
  /** Whole connections `c` from any source, to be ended by a condition. */
  whole(source: string): string
  readonly byId: string
  readonly byUid: string
  /** Names alone: each second about all that others present. */
  readonly elsewhere: string
  readonly attempts: string
  readonly tombstone: string
  readonly twin: string
  readonly history: string
  /** All uids, page by page; none is empty. */
  readonly uids: string
}

export function connectionQueries(dialect: Dialect): ConnectionQueries {
  const connection = dialect.table('connection')
  const whole = (source: string): string => wholeConnections(dialect, source)
  return {
    whole,
    byId: `${whole(`${connection} c`)} WHERE c.id = ? AND c.status <> 'erased'`,
    byUid: `${whole(`${connection} c`)} WHERE c.uid = ?`,
    elsewhere: `
      SELECT c.uid, c.fence, ${dialect.heartbeat} AS heartbeat FROM ${dialect.presenting}
      WHERE c.status = 'presenting' AND c.attempt_owner IS NOT NULL AND c.attempt_owner <> ?`,
    attempts: `${whole(`${connection} c`)} WHERE c.attempt_owner = ?`,
    tombstone: `SELECT 1 AS found FROM ${connection} WHERE id = ? AND status = 'erased' LIMIT 1`,
    twin: `
      SELECT id FROM ${connection} WHERE client = ? AND refresh_token_fingerprint = ? AND uid <> ? LIMIT 1`,
    history: `
      SELECT ${PRESENTATION_COLUMNS} FROM ${connection} c JOIN ${dialect.table('presentation')} p ON p.uid = c.uid
      WHERE c.id = ? AND c.status <> 'erased' ORDER BY p.fence DESC LIMIT ?`,
    uids: `SELECT uid FROM ${connection} WHERE uid > ? ORDER BY uid LIMIT ?`,
  }
}

/** A query whose text depends on what is asked for; the values never stand in it. */
export interface Page {
  readonly text: string
  readonly values: readonly Cell[]
}

// The second half repeats the condition of a partial index, which is used only where the query says the same.
const STATUS_CONDITIONS: Record<Status, string> = {
  ready: `c.status = 'ready'`,
  presenting: `c.status = 'presenting' AND c.attempt_owner IS NOT NULL`,
  in_doubt: `c.status = 'in_doubt' AND c.status NOT IN ('ready', 'presenting', 'erased')`,
  suspect: `c.status = 'suspect' AND c.status NOT IN ('ready', 'presenting', 'erased')`,
  blocked: `c.status = 'blocked' AND c.status NOT IN ('ready', 'presenting', 'erased')`,
  needs_user: `c.status = 'needs_user' AND c.status NOT IN ('ready', 'presenting', 'erased')`,
  deleting: `c.status = 'deleting' AND c.status NOT IN ('ready', 'presenting', 'erased')`,
  erased: `c.status = 'erased'`,
}
export const statusCondition = (status: Status): string => STATUS_CONDITIONS[status]
/** That the connection of a uid has all of these labels. */
export const havingLabels = ({ table }: Dialect, labels: Readonly<Record<string, string>>, uid: string): Page => {
  const given = Object.entries(labels)
  const each = `EXISTS (SELECT 1 FROM ${table('label')} o WHERE o.uid = ${uid} AND o.name = ? AND o.value = ?)`
  return { text: given.length === 0 ? '1 = 1' : `(${given.map(() => each).join(' AND ')})`, values: given.flat() }
}
