/** What goes wrong, as RFC 9457 problem details: one shape, a stable `code`, and never anything that was sent. */
import { STATUS_CODES } from 'node:http'
import { TokenError, type FailureCode } from '@tokenkeep/core'
import { HTTP_STATUS, PASSING, type HttpProblemCode, type ProblemCode } from '../api/problem-codes.ts'
import type { ProblemWire } from '../api/wire.ts'

export interface InputError {
  readonly in: 'path' | 'query' | 'header' | 'body'
  readonly name: string
  readonly detail: string
}

/** A refusal that is about HTTP; everything else is a `TokenError`. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem'
  readonly code: HttpProblemCode | 'invalid_input' | 'unauthorized' | 'forbidden'
  readonly headers: Readonly<Record<string, string>>
  readonly errors: readonly InputError[]

  constructor(
    code: HttpProblem['code'],
    detail: string,
    more: { readonly headers?: Readonly<Record<string, string>>; readonly errors?: readonly InputError[] } = {},
  ) {
    super(detail)
    this.code = code
    this.headers = more.headers ?? {}
    this.errors = more.errors ?? []
  }
}

export interface Refusal {
  readonly code: ProblemCode
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: ProblemWire
}

/**
 * What a failure is answered with.
 *
 * @param error a `TokenError` or `HttpProblem`; anything else is a mistake of ours, and nothing of it is told
 * @param nowMs epoch milliseconds, for `Retry-After` (RFC 9110 section 10.2.3)
 */
export function refusalOf(error: unknown, nowMs: number): Refusal {
  if (error instanceof HttpProblem) {
    const passing = PASSING.some((code) => code === error.code)
    const problem = problemOf(error.code, error.message, { retryable: passing })
    return {
      code: error.code,
      status: HTTP_STATUS[error.code],
      headers: { ...(passing ? { 'retry-after': '1' } : {}), ...error.headers },
      body: error.errors.length === 0 ? problem : { ...problem, errors: [...error.errors] },
    }
  }
  if (error instanceof TokenError) {
    const { code, retryable, retryAt, subject, reason, blocked } = error
    // To whom it is closed over HTTP, another server, or this one started again, is open.
    if (code === 'closed') return refusalOf(stopping(), nowMs)
    const message = OF_THE_OPERATOR[code] ?? error.message
    return {
      code,
      status: HTTP_STATUS[code],
      headers: retryAfter(code, retryAt, nowMs),
      body: problemOf(code, message, { retryable, retryAt, subject, reason, blocked }),
    }
  }
  const code = 'unexpected'
  const detail = 'something unexpected happened: this is a mistake in Tokenkeep, and its log says more.'
  return { code, status: HTTP_STATUS[code], headers: {}, body: problemOf(code, detail, { retryable: false }) }
}

export const stopping = (): HttpProblem =>
  new HttpProblem('stopping', 'this server is about to end: ask another one, or this one again soon.')

const AWAY = 'this server cannot read or write its database now: its log says why.'
const MISBUILT = 'this server is not set up as it must be: its log says why.'
/** Of these the library's words are for whoever runs the server: they name its files. */
const OF_THE_OPERATOR: Partial<Readonly<Record<FailureCode, string>>> = {
  store_unavailable: AWAY,
  key_missing: MISBUILT,
  key_wrong: MISBUILT,
  newer_database: MISBUILT,
  folder_unusable: MISBUILT,
  database_unusable: MISBUILT,
  node_too_old: MISBUILT,
}
/** Whether the answer says less than the error, so that a log has to say the rest. */
export const saysLess = (error: unknown): error is TokenError =>
  error instanceof TokenError && Object.hasOwn(OF_THE_OPERATOR, error.code)

function problemOf(
  code: ProblemCode,
  detail: string,
  of: Pick<TokenError, 'retryable'> & Partial<Pick<TokenError, 'retryAt' | 'subject' | 'reason' | 'blocked'>>,
): ProblemWire {
  const status = HTTP_STATUS[code]
  return {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail,
    code,
    retryable: of.retryable,
    retry_at: of.retryAt == null ? null : new Date(of.retryAt).toISOString(),
    subject: of.subject ?? null,
    reason: of.reason ?? null,
    blocked: of.blocked ?? null,
  }
}

const RETRY_SECONDS_MAX = 3600

/** Of what passes by itself: at least a second, at most an hour. */
export function retryAfter(code: ProblemCode, retryAt: number | null, nowMs: number): Readonly<Record<string, string>> {
  const status = HTTP_STATUS[code]
  if (status !== 503 && status !== 429) return {}
  const seconds = retryAt === null ? 1 : Math.ceil((retryAt - nowMs) / 1000)
  return { 'retry-after': String(Math.min(Math.max(1, seconds), RETRY_SECONDS_MAX)) }
}
