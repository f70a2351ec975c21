/** Every code of a problem that the HTTP API answers, with its status: the failures of the library, and those of HTTP. */
import type { FailureCode } from '@tokenkeep/core'

/** What goes wrong before the library is asked. `docs/errors.md` lists them, and a test compares. */
export const HTTP_PROBLEM_CODES = [
  'malformed_request',
  'unknown_route',
  'method_not_allowed',
  'unsupported_media_type',
  'body_too_large',
  'headers_too_large',
  'request_timeout',
  'host_refused',
  'origin_refused',
  'overloaded',
  'stopping',
  'api_unreachable',
  'api_no_answer',
  'api_timeout',
  'unexpected',
] as const
export type HttpProblemCode = (typeof HTTP_PROBLEM_CODES)[number]
export type ProblemCode = FailureCode | HttpProblemCode

/** RFC 9110 section 15; RFC 6585 sections 4 and 5 for 429 and 431. */
export const HTTP_STATUS = {
  unknown_connection: 404,
  unknown_client: 404,
  unknown_provider: 404,
  unknown_api_key: 404,
  unknown_local_refresh_token: 404,
  unknown_connect_session: 404,
  connection_exists: 409,
  sign_in_failed: 409,
  refresh_token_held: 409,
  needs_user: 409,
  blocked: 503,
  in_doubt: 503,
  suspect: 503,
  on_hold: 503,
  unavailable: 503,
  deleting: 404,
  unreadable: 500,
  variant_unsupported: 422,
  scope_refused: 422,
  invalid_input: 400,
  provider_refused: 400,
  in_use: 409,
  store_unavailable: 503,
  key_missing: 500,
  key_wrong: 500,
  newer_database: 500,
  folder_unusable: 500,
  database_unusable: 500,
  node_too_old: 500,
  unauthorized: 401,
  forbidden: 403,
  rate_limited: 429,
  server_unreachable: 502,
  closed: 503,
  malformed_request: 400,
  unknown_route: 404,
  method_not_allowed: 405,
  unsupported_media_type: 415,
  body_too_large: 413,
  headers_too_large: 431,
  request_timeout: 408,
  host_refused: 421,
  origin_refused: 403,
  overloaded: 503,
  stopping: 503,
  api_unreachable: 502,
  api_no_answer: 502,
  api_timeout: 504,
  unexpected: 500,
} as const satisfies Record<ProblemCode, number>

/** Those of HTTP that pass by themselves. */
export const PASSING: readonly HttpProblemCode[] = ['request_timeout', 'overloaded', 'stopping', 'api_unreachable']
