/** The overview of a store in memory: what the others count by their indexes, by looking at every row. */
import {
  EXPIRING_NAMED,
  EXPIRING_WITHIN_MS,
  TROUBLES,
  lapsesAt,
  later,
  overviewOf,
  type ConnectionRow,
  type Count,
  type Expiry,
  type Overview,
  type Trouble,
  type UnixMs,
} from '@tokenkeep/core'
import { expiringAt, reasonIn, statusAt } from './store-marks.ts'

/** @param living every row that is not erased */
export function memoryOverview(
  living: readonly ConnectionRow[],
  labels: Readonly<Record<string, string>>,
  now: UnixMs,
): Overview {
  const wanted = Object.entries(labels)
  const rows = living.filter((row) => wanted.every(([name, value]) => row.labels[name] === value))
  const until = later(now, EXPIRING_WITHIN_MS)
  const expiring = rows
    .map((row) => ({ row, at: expiringAt(row) }))
    .filter((each): each is { row: ConnectionRow; at: UnixMs } => each.at !== null && each.at > now && each.at <= until)
    .sort((a, b) => (a.at === b.at ? Buffer.compare(Buffer.from(a.row.id), Buffer.from(b.row.id)) : a.at - b.at))
  const inTrouble = rows.flatMap((row) => {
    const trouble = TROUBLES.find((each) => each === statusAt(row, now))
    return trouble === undefined ? [] : [{ trouble, row }]
  })
  return overviewOf({
    at: now,
    total: exactly(rows),
    living: wanted.length === 0 ? countBy(rows) : null,
    presenting: exactly(rows.filter(({ state }) => state.status === 'presenting')),
    troubled: Object.fromEntries(
      TROUBLES.map((trouble) => [trouble, exactly(inTrouble.filter((each) => each.trouble === trouble))]),
    ) as Record<Trouble, Count>,
    cut: new Set(),
    groups: inTrouble.map(({ trouble, row }) => ({
      provider: row.provider,
      trouble,
      reason: row.state.status === 'ready' ? 'no_refresh_token' : reasonIn(row),
      count: 1,
    })),
    expiring: exactly(expiring),
    expiringOf: countBy(expiring.map(({ row }) => row)),
    next: expiring.slice(0, EXPIRING_NAMED).map(({ row, at }): Expiry => ({
      connection: row.id,
      provider: row.provider,
      client: row.client,
      expiresAt: Math.round(at),
      because: lapsesAt(row) === null ? 'session_end' : 'no_refresh_token',
    })),
  })
}

const exactly = (rows: readonly unknown[]): Count => ({ count: rows.length, atLeast: false })

function countBy(rows: readonly ConnectionRow[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { provider } of rows) counts.set(provider, (counts.get(provider) ?? 0) + 1)
  return counts
}
