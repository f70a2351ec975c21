/** Rows of connections written by SQL, as many as a test wants: what the store reads, without an import for each. */
import type { DatabaseSync } from 'node:sqlite'

export interface Many {
  readonly prefix: string
  readonly count: number
  readonly provider?: string
  readonly client?: string
  readonly status?: 'ready' | 'in_doubt' | 'needs_user' | 'deleting'
  readonly reason?: string
  readonly subject?: string
  readonly labels?: Readonly<Record<string, string>>
}

const STATES = {
  ready: { backOff: null },
  in_doubt: { since: { boot: 'b', at: 0, wall: 0 }, promptRetry: null, silentSince: null, backOff: null },
  needs_user: { since: 0 },
  deleting: { since: 0, attempt: null },
}

/** Ids are the prefix and a number of six digits; a provider and client that are named have to be there. */
export function writeMany(sql: DatabaseSync, many: Many): void {
  const { prefix, count, provider = 'strict', client = provider, status = 'ready', labels = {} } = many
  const reason = many.reason ?? null
  const state = { ...STATES[status], ...(reason === null ? {} : { reason }) }
  sql
    .prepare(
      `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
       INSERT INTO connection (uid, id, provider, client, grant_type, subject, labels, grant_no, generation, revision, fence,
         status, reason, state, due_at, urgency, signed_in_at, created_at, updated_at)
       SELECT 'u-' || ?2 || printf('%06d', i), ?2 || printf('%06d', i), ?, ?, 'client_credentials', ?, ?, 1, 1, 1, 0, ?, ?, ?,
         9000000000000, 4, 0, 0, 0 FROM n`,
    )
    .run(
      count,
      prefix,
      provider,
      client,
      many.subject ?? null,
      JSON.stringify(labels),
      status,
      reason,
      JSON.stringify(state),
    )
  for (const [name, value] of Object.entries(labels)) {
    sql
      .prepare(
        `INSERT INTO label (uid, name, value, id, trouble)
         SELECT uid, ?, ?, id, ? FROM connection WHERE id >= ? AND id < ? || 'x'`,
      )
      .run(name, value, status === 'ready' ? null : status, prefix, prefix)
  }
  sql
    .prepare(
      `INSERT INTO connection_total VALUES (?, 0, ?) ON CONFLICT DO UPDATE SET living = living + excluded.living`,
    )
    .run(provider, count)
}
