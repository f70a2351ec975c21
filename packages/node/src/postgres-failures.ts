/** What Postgres and its driver say, in our words. Their own errors stop here: they can hold values, and the password. */
import { TokenError, type FailureCode } from '@tokenkeep/core'
import { systemErrorCode } from './system-error.ts'

/** A failure of the database, with what the store decides by. */
export class PostgresTrouble extends TokenError {
  /** SQLSTATE; null where the database said nothing. */
  readonly state: string | null

  constructor(code: FailureCode, message: string, state: string | null) {
    super(code, message)
    this.state = state
  }
}

/** Another transaction was in the way, and this one was undone: the same again can work at once. */
export const isConflict = (error: unknown): boolean =>
  error instanceof PostgresTrouble && error.state !== null && CONFLICTS.has(error.state)

/** A row of that name is there already. */
export const isDuplicate = (error: unknown): boolean => error instanceof PostgresTrouble && error.state === '23505'

/** Its user lacks a permission, in the words of whoever opens the database. */
export const notPermitted = (error: unknown): boolean => error instanceof PostgresTrouble && error.state === '42501'

/** The session broke before it said anything. */
export const isSilence = (error: unknown): boolean => error instanceof PostgresTrouble && error.state === null

/** The session is over with this answer, or with none: what it made durable last may be gone. */
export const isSessionEnd = ({ state }: PostgresTrouble): boolean =>
  state === null || state.startsWith('08') || SESSION_ENDS.has(state)

/** @see WHILE_IN_USE */
const SESSION_ENDS: ReadonlySet<string> = new Set(['25P03', '25P04', '57P01', '57P02', '57P03', '57P05'])
const CONFLICTS: ReadonlySet<string> = new Set(['40001', '40P01'])

/**
 * The failure of a database that was in use until now.
 *
 * @param error what the driver threw: nothing else
 * @param name of the database, for the message
 */
export function whileInUse(error: unknown, name: string): PostgresTrouble {
  const state = sqlState(error)
  const words =
    state === null ? brokenInWords(error) : (WHILE_IN_USE[state] ?? CLASSES[state.slice(0, 2)] ?? other(state))
  return new PostgresTrouble('store_unavailable', `the database ${name} cannot be used now: ${words}`, state)
}

/** The failure of a session that is being opened. */
export function atConnecting(error: unknown, name: string): PostgresTrouble {
  const state = sqlState(error)
  const [code, words] = connectingInWords(error, state)
  return new PostgresTrouble(code, `cannot open the database ${name}: ${words}`, state)
}

/** @see https://www.postgresql.org/docs/current/errcodes-appendix.html */
function sqlState(error: unknown): string | null {
  const code = error instanceof Error && 'severity' in error ? systemErrorCode(error) : ''
  return /^[0-9A-Z]{5}$/.test(code) ? code : null
}

const other = (state: string): string => `it reports its error ${state}`

const WHILE_IN_USE: Readonly<Record<string, string>> = {
  '25006': 'it takes no writes: it is a standby, or set to read-only',
  '25P03': 'it ended a transaction that stood still for too long',
  '25P04': 'it ended a transaction that took too long',
  '40001': 'other transactions are in the way again and again',
  '40P01': 'other transactions are in the way again and again',
  '42501': 'its user lacks a permission on our tables',
  '42P01': 'our tables are gone',
  '3F000': 'our schema is gone',
  '53100': 'its disk is full; make room, nothing that was stored is lost',
  '53200': 'it is out of memory',
  '53300': 'it has no session left for us: raise max_connections, or close what is not needed',
  '55P03': 'a row is locked by another program for too long',
  '57014': 'its statement_timeout, or a person, ended a statement of ours',
  '57P01': 'it is being shut down, or a person ended our session',
  '57P02': 'it crashed and recovers',
  '57P03': 'it is starting up',
  '57P05': 'it ended a session that was idle for too long',
}

const CLASSES: Readonly<Record<string, string>> = {
  '08': 'the connection to it broke',
  '58': 'its machine reports an error',
  XX: 'it is damaged, or has an error of its own',
}

const brokenInWords = (error: unknown): string => {
  const code = systemErrorCode(error)
  return SYSTEM[code] ?? 'the connection to it broke, or it did not answer in time'
}

const SYSTEM: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOENT: 'there is no such socket',
  ENOTFOUND: 'its host is not known',
  EAI_AGAIN: 'the name of its host cannot be looked up now',
  EHOSTUNREACH: 'its host cannot be reached',
  ENETUNREACH: 'its network cannot be reached',
  ETIMEDOUT: 'it did not answer in time',
}

function connectingInWords(error: unknown, state: string | null): readonly [FailureCode, string] {
  if (state !== null) {
    return (
      AT_CONNECTING[state] ?? ['store_unavailable', WHILE_IN_USE[state] ?? CLASSES[state.slice(0, 2)] ?? other(state)]
    )
  }
  const code = systemErrorCode(error)
  if (/CERT|SIGNATURE|^ERR_TLS|^ERR_SSL/.test(code)) {
    return ['database_unusable', `its TLS certificate is not trusted here (${code})`]
  }
  const said = error instanceof Error ? error.message : ''
  if (said.startsWith('SASL')) return ['database_unusable', 'it asks for a password, and none or a wrong one was given']
  if (said.includes('does not support SSL')) return ['database_unusable', 'it speaks no TLS, which its URL asks for']
  return [
    'store_unavailable',
    `${SYSTEM[code] ?? 'it did not answer in time, or broke the connection'}. Is it running?`,
  ]
}

const AT_CONNECTING: Readonly<Record<string, readonly [FailureCode, string]>> = {
  '28000': ['database_unusable', 'it refuses this user from here'],
  '28P01': ['database_unusable', 'it refuses the user or the password'],
  '3D000': ['database_unusable', 'there is no database of this name: make it first'],
  '3F000': ['database_unusable', 'there is no schema of this name, and its user may not make one'],
  '42501': ['database_unusable', 'its user may not connect to it'],
}

export const lacksPermission = (name: string): PostgresTrouble =>
  new PostgresTrouble(
    'database_unusable',
    `cannot open the database ${name}: its user lacks a permission. It needs CREATE on the database, or a schema that ` +
      'was made for it (CREATE SCHEMA tokenkeep AUTHORIZATION user). Nothing was changed.',
    '42501',
  )
