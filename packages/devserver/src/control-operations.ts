import type { Control } from './control.ts'

/**
 * The control API over HTTP: `POST {controlUrl}/{operation}` with the arguments as one JSON object, named as here, in the
 * order of the method's parameters. One table serves both sides, so that they cannot differ.
 */
export const OPERATIONS = {
  putRealm: ['options'],
  updateRealm: ['realm', 'change'],
  putClient: ['realm', 'client'],
  rotateClientSecret: ['realm', 'clientId', 'secret'],
  seedSession: ['realm', 'seed'],
  addFault: ['order'],
  clearFaults: [],
  faults: [],
  counters: ['realm', 'sessionId'],
  sessions: ['realm'],
  totals: [],
  requests: [],
  resetCounters: [],
  revokeAccessToken: ['token'],
  killSession: ['realm', 'sessionId'],
  signOut: ['realm', 'sessionId'],
  logoutPosts: ['realm'],
  approveDevice: ['realm', 'userCode', 'person'],
  denyDevice: ['realm', 'userCode'],
  renewDpopNonces: ['realm'],
  sign: ['realm', 'order'],
  pushEvent: ['realm', 'order'],
  shutdown: [],
} as const satisfies Record<keyof Control, readonly string[]>

export type Operation = keyof typeof OPERATIONS

/** Operations that only read; they answer GET too, arguments in the query, for a look with a browser or curl. */
export const READING: readonly Operation[] = ['faults', 'counters', 'sessions', 'totals', 'requests', 'logoutPosts']

export function isOperation(name: string): name is Operation {
  return Object.hasOwn(OPERATIONS, name)
}
