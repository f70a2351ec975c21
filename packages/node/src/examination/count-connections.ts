/** How many connections are in trouble, with bounded work: a database may have a million rows. */
import { EXPIRING_WITHIN_MS, TROUBLES, type Trouble, type UnixMs } from '@tokenkeep/core'
import { text, type Cell, type CellRecord } from '../cells.ts'
import type { Reading } from './reading.ts'
import type { ConnectionsSeen, CountedConnections } from './seen.ts'

const COUNTED_MOST = 1_000
const ALL_MOST = 100_000
const EXAMPLES = 3
const DAY_MS = 24 * 3600 * 1000

/** A database of an earlier version has neither the totals nor the ends: then less is said. */
export async function countConnections(
  { all, table, seen }: Pick<Reading, 'all' | 'table' | 'seen'>,
  now: UnixMs,
): Promise<ConnectionsSeen> {
  const connection = table('connection')
  const isNewest = seen.version === seen.newest
  const counted = async (rows: string, values: readonly Cell[]): Promise<CountedConnections> => {
    const found = await all(`SELECT count(*) AS count FROM (${rows} LIMIT ${COUNTED_MOST}) counted`, values)
    const first = await all(`SELECT id FROM (${rows} LIMIT ${EXAMPLES}) examples`, values)
    return { count: numberIn(found, 'count'), most: COUNTED_MOST, examples: first.map((row) => text(row, 'id')) }
  }
  // The second condition is that of a partial index, which is used only where the query says the same.
  const inStatus = (status: Trouble): string =>
    `SELECT id FROM ${connection} WHERE status = '${status}' AND status NOT IN ('ready', 'presenting', 'erased')`
  // No write says that a connection without a refresh token has come to its end.
  const lapsed = `SELECT id FROM ${connection} WHERE expiring_at <= ? AND lapses_at <= ? AND status = 'ready'`
  const byStatus: Partial<Record<Trouble, CountedConnections>> = {}
  for (const status of TROUBLES) {
    byStatus[status] =
      status === 'needs_user' && isNewest
        ? await counted(`SELECT id FROM (${inStatus(status)} UNION ALL ${lapsed}) needing`, [now, now])
        : await counted(inStatus(status), [])
  }
  const soon = now + EXPIRING_WITHIN_MS
  const ending = `SELECT id FROM ${connection} WHERE expiring_at > ? AND expiring_at <= ?
    AND status NOT IN ('needs_user', 'deleting', 'erased')`
  return {
    all: await everybody(),
    byStatus: byStatus as Record<Trouble, CountedConnections>,
    ending: isNewest ? { ...(await counted(ending, [now, soon])), withinDays: EXPIRING_WITHIN_MS / DAY_MS } : null,
  }

  async function everybody(): Promise<Pick<CountedConnections, 'count' | 'most'>> {
    if (isNewest) {
      const found = await all(`SELECT coalesce(sum(living), 0) AS count FROM ${table('connection_total')}`, [])
      return { count: numberIn(found, 'count'), most: Infinity }
    }
    const living = `SELECT id FROM ${connection} WHERE status <> 'erased' LIMIT ${ALL_MOST}`
    return {
      count: numberIn(await all(`SELECT count(*) AS count FROM (${living}) counted`, []), 'count'),
      most: ALL_MOST,
    }
  }
}

const numberIn = ([row]: readonly CellRecord[], column: string): number => Number(row?.[column] ?? 0)
