import type { FailureCode } from '@tokenkeep/core'

/** What the command tells the shell. `docs/cli.md` lists them, and a test compares. */
export const EXIT = {
  ok: 0,
  unexpected: 1,
  input: 2,
  unknown: 3,
  needsUser: 4,
  later: 5,
  operator: 6,
} as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export const EXIT_MEANINGS = {
  0: 'done',
  1: 'something unexpected happened',
  2: 'wrong usage or input',
  3: 'no such connection, client, provider, API key or local refresh token',
  4: 'only the user can go on: sign in, or sign in again',
  5: 'try later; nothing is lost',
  6: 'the operator has to mend something: registration, key, folder, version, API key, a copy to adopt',
} as const satisfies Record<ExitCode, string>

const BY_FAILURE = {
  unknown_connection: EXIT.unknown,
  unknown_client: EXIT.unknown,
  unknown_provider: EXIT.unknown,
  unknown_api_key: EXIT.unknown,
  unknown_local_refresh_token: EXIT.unknown,
  unknown_connect_session: EXIT.unknown,
  connection_exists: EXIT.input,
  sign_in_failed: EXIT.needsUser,
  refresh_token_held: EXIT.input,
  needs_user: EXIT.needsUser,
  blocked: EXIT.operator,
  in_doubt: EXIT.later,
  suspect: EXIT.later,
  on_hold: EXIT.operator,
  unavailable: EXIT.later,
  deleting: EXIT.unknown,
  unreadable: EXIT.operator,
  variant_unsupported: EXIT.input,
  scope_refused: EXIT.input,
  invalid_input: EXIT.input,
  changed_meanwhile: EXIT.input,
  provider_refused: EXIT.input,
  in_use: EXIT.operator,
  store_unavailable: EXIT.later,
  key_missing: EXIT.operator,
  key_wrong: EXIT.operator,
  newer_database: EXIT.operator,
  folder_unusable: EXIT.operator,
  database_unusable: EXIT.operator,
  node_too_old: EXIT.operator,
  unauthorized: EXIT.operator,
  forbidden: EXIT.operator,
  rate_limited: EXIT.later,
  server_unreachable: EXIT.later,
  closed: EXIT.unexpected,
} as const satisfies Record<FailureCode, ExitCode>

export const exitCodeOf = (code: FailureCode): ExitCode => BY_FAILURE[code]

const SIGNAL_NUMBERS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const
export type EndingSignal = keyof typeof SIGNAL_NUMBERS

/** What a shell reports for a process that a signal ended. */
export const exitCodeAfter = (signal: EndingSignal): number => 128 + SIGNAL_NUMBERS[signal]
