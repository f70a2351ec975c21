/** The text of every query about connections. Whole ones come as one record for each of their access tokens. */
import type { SQLInputValue } from 'node:sqlite'
import type { ListQuery, Status, UnixMs } from '@tokenkeep/core'
import { CONNECTION_COLUMNS, CONNECTION_COLUMNS_FIXED } from './sqlite-codec.ts'

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

/** Everything about the connections `c` that `source` yields, in one statement: one statement sees one instant. */
const joined = (source: string): string => `
  SELECT ${COLUMNS}, ${ACCESS_TOKEN_COLUMNS}, ${HELD_COLUMNS},
    p.revision AS provider_revision, k.revision AS client_revision
  FROM ${source}
  JOIN provider p ON p.id = c.provider
  JOIN client k ON k.id = c.client
  LEFT JOIN held_answer h ON h.uid = c.uid AND h.kind = 'successor'
  LEFT JOIN access_token a ON a.uid = c.uid`

export const SELECT_BY_ID = `${joined('connection c')} WHERE c.id = ? AND c.status <> 'erased'`
export const SELECT_BY_UID = `${joined('connection c')} WHERE c.uid = ?`
/** Which of a JSON array of [uid, revision] were written since: each second about all that was used, so only their names. */
export const SELECT_NEWER = `
  SELECT c.uid FROM json_each(?) j CROSS JOIN connection c ON c.uid = j.value ->> 0 WHERE c.revision > j.value ->> 1`
export const SELECT_ATTEMPTS = `${joined('connection c')} WHERE c.attempt_owner = ?`

export const SELECT_TOMBSTONE = `SELECT 1 FROM connection WHERE id = ? AND status = 'erased' LIMIT 1`
export const SELECT_TWIN = `
  SELECT id FROM connection WHERE client = ? AND refresh_token_fingerprint = ? AND uid <> ? LIMIT 1`
/** Of one urgency, the longest due first; the third value is a JSON array of providers to leave out. */
export const SELECT_DUE = `
  SELECT uid FROM connection
  WHERE urgency = ? AND due_at <= ? AND provider NOT IN (SELECT value FROM json_each(?))
  ORDER BY due_at LIMIT ?`
export const SELECT_HISTORY = `
  SELECT p.* FROM connection c JOIN presentation p ON p.uid = c.uid
  WHERE c.id = ? AND c.status <> 'erased' ORDER BY p.fence DESC LIMIT ?`

/** One page of a list; the text depends on what is asked for, the values never stand in it. */
export interface Page {
  readonly text: string
  readonly values: readonly SQLInputValue[]
}

/**
 * The pages that together hold the answer. Two for `needs_user`: a connection without refresh token reads so from the
 * moment when it lapses, and no write says that.
 */
export function pagesOf(query: ListQuery, now: UnixMs): readonly Page[] {
  if (query.status === 'erased') return []
  if (query.status === 'needs_user') {
    return [
      pageOf(query, [inStatus('needs_user')]),
      pageOf(query, [{ text: `c.status = 'ready' AND c.lapses_at <= ?`, values: [now] }]),
    ]
  }
  if (query.status === 'ready') {
    const unlapsed = { text: `c.status = 'ready' AND (c.lapses_at IS NULL OR c.lapses_at > ?)`, values: [now] }
    return [pageOf(query, [unlapsed])]
  }
  return [pageOf(query, query.status === undefined ? [] : [inStatus(query.status)])]
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
const inStatus = (status: Status): Page => ({ text: STATUS_CONDITIONS[status], values: [] })

function pageOf({ provider, labels, limit, after, status }: ListQuery, asked: readonly Page[]): Page {
  const [first, ...others] = Object.entries(labels ?? {})
  const conditions: Page[] = [{ text: `c.status <> 'erased'`, values: [] }, ...asked]
  // A list by label walks the labels in the order of ids, and leaves the other connections alone.
  // Few present at any moment, which the planner cannot know.
  const plain = status === 'presenting' ? 'connection c INDEXED BY connection_attempt' : 'connection c'
  const source = first === undefined ? plain : 'label l CROSS JOIN connection c ON c.uid = l.uid'
  const order = first === undefined ? 'c.id' : 'l.id'
  if (first !== undefined) conditions.push({ text: 'l.name = ? AND l.value = ?', values: first })
  for (const label of others) {
    const text = 'EXISTS (SELECT 1 FROM label o WHERE o.uid = c.uid AND o.name = ? AND o.value = ?)'
    conditions.push({ text, values: label })
  }
  if (provider !== undefined) conditions.push({ text: 'c.provider = ?', values: [provider] })
  if (after !== undefined) conditions.push({ text: `${order} > ?`, values: [after] })
  const where = conditions.map(({ text }) => text).join(' AND ')
  return {
    text: `WITH page AS MATERIALIZED (SELECT c.uid FROM ${source} WHERE ${where} ORDER BY ${order} LIMIT ?)
      ${joined('page JOIN connection c ON c.uid = page.uid')} ORDER BY c.id`,
    values: [...conditions.flatMap(({ values }) => values), limit],
  }
}
