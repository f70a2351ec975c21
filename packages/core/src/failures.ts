import type { BlockedReason, NeedsUserReason } from './connection.ts'
import type { UnixMs } from './time.ts'

/** Every code that an error of ours can carry. Codes are stable; `docs/errors.md` lists them, and a test compares. */
export const FAILURE_CODES = [
  'unknown_connection',
  'unknown_client',
  'unknown_provider',
  'unknown_api_key',
  'unknown_local_refresh_token',
  'unknown_connect_session',
  'connection_exists',
  'sign_in_failed',
  'refresh_token_held',
  'needs_user',
  'blocked',
  'in_doubt',
  'suspect',
  'on_hold',
  'unavailable',
  'deleting',
  'unreadable',
  'variant_unsupported',
  'scope_refused',
  'invalid_input',
  'changed_meanwhile',
  'provider_refused',
  'in_use',
  'store_unavailable',
  'key_missing',
  'key_wrong',
  'newer_database',
  'folder_unusable',
  'database_unusable',
  'node_too_old',
  'unauthorized',
  'forbidden',
  'rate_limited',
  'server_unreachable',
  'closed',
] as const
export type FailureCode = (typeof FAILURE_CODES)[number]

/** Whether the same call can work later without anybody doing anything. */
const RETRYABLE = {
  unknown_connection: false,
  unknown_client: false,
  unknown_provider: false,
  unknown_api_key: false,
  unknown_local_refresh_token: false,
  unknown_connect_session: false,
  connection_exists: false,
  sign_in_failed: false,
  refresh_token_held: false,
  needs_user: false,
  blocked: true,
  in_doubt: true,
  suspect: true,
  on_hold: true,
  unavailable: true,
  deleting: false,
  unreadable: false,
  variant_unsupported: false,
  scope_refused: false,
  invalid_input: false,
  changed_meanwhile: false,
  provider_refused: false,
  in_use: false,
  store_unavailable: true,
  key_missing: false,
  key_wrong: false,
  newer_database: false,
  folder_unusable: false,
  database_unusable: false,
  node_too_old: false,
  unauthorized: false,
  forbidden: false,
  rate_limited: true,
  server_unreachable: true,
  closed: false,
} as const satisfies Record<FailureCode, boolean>

export interface FailureDetails {
  /** The connection, provider, client, API key or local refresh token that it is about. */
  readonly subject?: string | undefined
  /** With `needs_user`: why. */
  readonly reason?: NeedsUserReason | undefined
  /** With `blocked`: what the operator has to mend. */
  readonly blocked?: BlockedReason | undefined
  /** When the next try is made at the earliest, epoch milliseconds; null: not known. */
  readonly retryAt?: UnixMs | null | undefined
}

/**
 * The one error class of Tokenkeep.
 *
 * Switch on `code`; the message is for people, says what to do, and may change. There is never a `cause`: foreign errors
 * can hold tokens and stop at the adapter that met them.
 */
export class TokenError extends Error {
  override readonly name = 'TokenError'
  readonly code: FailureCode
  readonly retryable: boolean
  readonly subject: string | null
  readonly reason: NeedsUserReason | null
  readonly blocked: BlockedReason | null
  readonly retryAt: UnixMs | null

  constructor(code: FailureCode, message: string, details: FailureDetails = {}) {
    super(message)
    this.code = code
    this.retryable = RETRYABLE[code]
    this.subject = details.subject ?? null
    this.reason = details.reason ?? null
    this.blocked = details.blocked ?? null
    this.retryAt = details.retryAt ?? null
  }
}

/** Marks what the compiler has shown to be unreachable. */
export function assertNever(value: never): never {
  // The value is not printed: whatever got here was not expected, so nobody vouched that it holds no secret.
  throw new Error(`unhandled case of type ${typeof value}`)
}
