/** What was recorded of a connection and what it is agree: nothing happens that is not told. Worked out from outside. */
import { assertNever, type ConnectionRow, type RecordedEventType } from '@tokenkeep/core'
import type { StoredEvent } from '../packages/node/src/event-rows.ts'
import type { Memory } from '../packages/node/src/store-memory.ts'

/** Those that say what it is from then on. */
const STANDINGS: readonly RecordedEventType[] = [
  'connection.created',
  'connection.refreshed',
  'connection.reconnected',
  'connection.in_doubt',
  'connection.suspect',
  'connection.blocked',
  'connection.needs_user',
  'connection.signed_out',
  'connection.revoked',
]

/**
 * Compares at each write what the row was before it with all that was told until then.
 *
 * @param applies false from when on the store has forgotten writes: with them it forgot their events, which this model of it
 *   does not
 */
export function watchTelling(
  { rows, events }: Pick<Memory, 'rows' | 'events'>,
  { broken, applies }: { readonly broken: string[]; readonly applies: () => boolean },
): void {
  const set = rows.set.bind(rows)
  rows.set = (uid, row) => {
    const before = rows.get(uid)
    if (before !== undefined && broken.length === 0 && applies()) broken.push(...untold(before, events.kept))
    return set(uid, row)
  }
}

/** @returns sentences; empty: all of it was told, once */
function untold(row: ConnectionRow, events: readonly StoredEvent[]): readonly string[] {
  const told = events.filter(({ uid }) => uid === row.uid)
  const [first] = told
  const broken: string[] = []
  if (first?.type !== 'connection.created') broken.push(`${row.id} was first told as ${first?.type ?? 'nothing'}`)
  const refreshes = told.filter(({ type }) => type === 'connection.refreshed').map(({ data }) => data['fence'])
  if (new Set(refreshes).size !== refreshes.length) broken.push(`one refresh of ${row.id} was told twice`)
  const stands = told.findLastIndex(({ type }) => STANDINGS.includes(type))
  const last = told[stands]?.type
  const failed = told.slice(stands + 1).some(({ type }) => type === 'connection.refresh_failed')
  if (last === undefined || !isToldAs(row, last, failed))
    broken.push(`${row.id} is ${row.state.status}, and was last told as ${last ?? 'nothing'}`)
  return broken
}

function isToldAs(row: ConnectionRow, last: RecordedEventType, failed: boolean): boolean {
  const { state } = row
  // What was announced stands beside whatever else is true of it.
  const signedOut = row.signedOutAt !== null
  switch (state.status) {
    case 'ready':
      return (
        ['connection.created', 'connection.refreshed', 'connection.reconnected'].includes(last) ||
        // A block ends with a try that says nothing about the registration.
        (failed && last === 'connection.blocked')
      )
    case 'in_doubt':
      return last === 'connection.in_doubt' || signedOut || state.adopted === true || (failed && isBlocked(last))
    case 'suspect':
      return last === 'connection.suspect' || signedOut || (failed && isBlocked(last))
    case 'blocked':
      return last === 'connection.blocked' || signedOut
    case 'needs_user':
      return last === 'connection.needs_user'
    case 'erased':
      return last === 'connection.revoked'
    case 'presenting':
    case 'deleting':
      return true
    default:
      return assertNever(state)
  }
}

const isBlocked = (type: RecordedEventType): boolean => type === 'connection.blocked'
