/** The queries about connections as SQLite takes them. What it shares with the other engine is in `connection-select.ts`. */
import { connectionQueries, type Dialect } from './connection-select.ts'
import { walkQueries } from './connection-walk.ts'
import { overviewQueries } from './overview-select.ts'

const DIALECT: Dialect = {
  table: (name) => name,
  besides: 'p.revision AS provider_revision, k.revision AS client_revision',
  siblings: `(SELECT json_group_array(json_array(s.attempt, s.fence, json(s.sibling), json(s.refresh_token_facts),
      hex(s.refresh_token)) ORDER BY s.fence DESC)
    FROM held_answer s WHERE s.uid = c.uid AND s.kind = 'sibling')`,
  // SQLite keeps the order of a CROSS JOIN.
  labelled: 'label l CROSS JOIN connection c ON c.uid = l.uid',
  inOrder: 'CROSS JOIN',
  given: 'json_each(?) j',
  uids: (condition) => `json_group_array(c.uid ORDER BY c.id) FILTER (WHERE ${condition})`,
  presenting: 'connection c INDEXED BY connection_attempt',
  heartbeat: `c.state ->> '$.attempt.heartbeat'`,
}

export const {
  byId: SELECT_BY_ID,
  byUid: SELECT_BY_UID,
  attempts: SELECT_ATTEMPTS,
  elsewhere: SELECT_ELSEWHERE,
  tombstone: SELECT_TOMBSTONE,
  twin: SELECT_TWIN,
  history: SELECT_HISTORY,
  uids: SELECT_UIDS,
} = connectionQueries(DIALECT)

export const OVERVIEW = overviewQueries(DIALECT)
export const WALK = walkQueries(DIALECT)

/** Which of a JSON array of [uid, revision] have another one now: each second about all that was used, so only their names. */
export const SELECT_OTHER = `
  SELECT c.uid FROM json_each(?) j CROSS JOIN connection c ON c.uid = j.value ->> 0 WHERE c.revision <> j.value ->> 1`

/** Of one urgency, the longest due first; the third value is a JSON array of providers to leave out. */
export const SELECT_DUE = `
  SELECT uid FROM connection
  WHERE urgency = ? AND due_at <= ? AND provider NOT IN (SELECT value FROM json_each(?))
  ORDER BY due_at LIMIT ?`
/** What is in its last moment meanwhile, of the providers that are left out: refresh tokens that end before the fourth value. */
export const SELECT_DUE_ENDING = `
  SELECT uid FROM connection
  WHERE urgency = ? AND due_at <= ? AND provider IN (SELECT value FROM json_each(?)) AND refresh_token_ends_at <= ?
  ORDER BY due_at LIMIT ?`
