import type { EventType, TokenkeepEvent } from '@tokenkeep/core'
import type { Log } from '../http/log.ts'

/**
 * Events as lines. What is as it should be is `debug`, for metrics count it and the history has it; `warn` is what a
 * person may have to do something about.
 */
const LINES = {
  connection_imported: ['info', 'a connection was imported'],
  connection_reconnected: ['info', 'a connection was signed in again'],
  connection_deleted: ['info', 'a connection was deleted'],
  refreshed: ['debug', 'refreshed'],
  slow: ['info', 'no answer yet, still listening'],
  unavailable: ['info', 'not refreshed, nothing lost: tried again later'],
  in_doubt: ['warn', 'in doubt: perhaps presented, and no answer came'],
  suspect: ['warn', 'refused, to be confirmed'],
  blocked: ['warn', 'blocked: the operator has to mend the client or the provider'],
  signed_out: ['info', 'its user signed out at the provider: nothing is handed out until a presentation decides'],
  needs_user: ['warn', 'only its user can revive it'],
  expiring: ['warn', 'its session ends soon: its user has to sign in again before'],
  access_token_rejected: ['info', 'an API refused its access token'],
  answer_kept_for_history: ['info', 'an answer came too late to matter'],
  answer_kept_as_sibling: ['info', 'an answer lost to a later one, and is kept as a last resort'],
  replayed: ['info', 'an answer was found in a slot and kept'],
  circuit_opened: ['warn', 'a provider does not answer: what can wait is held back'],
  circuit_closed: ['info', 'a provider answers again'],
  rate_limited: ['info', 'a provider asks us to wait: what can wait is held back'],
  client_refused: ['error', 'a provider refuses our client: the operator has to mend it'],
  store_unavailable: ['error', 'the database does not answer'],
  slots_unreadable: [
    'error',
    'the slots of a process that died cannot be read: its refreshes wait until the file of that owner can be read, or is gone',
  ],
  on_hold: [
    'error',
    'on hold: this database is a copy or was put back, and nothing is presented until `tokenkeep adopt`',
  ],
  adopted: ['warn', 'adopted: the hold is over'],
} as const satisfies Record<EventType, readonly ['error' | 'warn' | 'info' | 'debug', string]>

/** @returns what writes an event into the log; its moment is that of the line */
export function eventLog(log: Log): (event: TokenkeepEvent) => void {
  return ({ at: _at, type, ...fields }) => {
    const [level, message] = LINES[type]
    log[level]({ event: type, ...fields }, message)
  }
}
