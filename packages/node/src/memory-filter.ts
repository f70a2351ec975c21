/** Which rows of a store in memory a list asks for: what the others find by walking an index. */
import type { ConnectionRow, ListQuery, UnixMs } from '@tokenkeep/core'
import { reasonIn, statusAt } from './store-marks.ts'

export function memoryFilter(query: ListQuery, now: UnixMs): (row: ConnectionRow) => boolean {
  const { provider, client, sessionId, subject, reason, search = '', after } = query
  const wanted = Object.entries(query.labels ?? {})
  const statuses = query.status === undefined ? null : [query.status].flat()
  const equals = <Value>(value: Value, asked: Value | undefined): boolean => asked === undefined || value === asked
  const reasonAt = (row: ConnectionRow): string | null =>
    row.state.status === 'ready' && statusAt(row, now) === 'needs_user' ? 'no_refresh_token' : reasonIn(row)
  const isFound = (row: ConnectionRow): boolean =>
    [row.id, row.subject, ...Object.values(row.labels)].some((text) => text?.startsWith(search) === true)

  return (row) =>
    equals(row.provider, provider) &&
    equals(row.client, client) &&
    equals(row.sessionId, sessionId) &&
    equals(row.subject, subject) &&
    (statuses === null || statuses.includes(statusAt(row, now))) &&
    (reason === undefined || reason.some((word) => word === reasonAt(row))) &&
    wanted.every(([name, value]) => row.labels[name] === value) &&
    (search === '' || isFound(row)) &&
    (after === undefined || Buffer.compare(Buffer.from(row.id), Buffer.from(after)) > 0)
}
