import { CALLBACK_FAULTS, isCallbackFault, readCallbackFault, type CallbackFault } from './callback-fault.ts'
import { InvalidInput, members, oneOf, optional, positive, text, whole, type Members } from './json-shape.ts'

export const FAULTY_ENDPOINTS = ['token', 'revoke', 'introspect', 'par', 'device', 'demo-api', 'authorization'] as const
export type Endpoint = (typeof FAULTY_ENDPOINTS)[number]

/** One thing that can go wrong; an authorization answer has ways of its own. */
export type Fault = AnswerFault | CallbackFault

/** One thing that can go wrong with an answer. */
export type AnswerFault =
  /** The answer is late by so many milliseconds. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** The connection is reset; not one byte of an answer. */
  | { readonly kind: 'drop' }
  /** This answer instead: 429 with `Retry-After`, 500, 503, 302 with `Location`, ... */
  | {
      readonly kind: 'status'
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: string
    }
  /** A page for people, as a proxy in front would send it. Status 502 unless said otherwise. */
  | { readonly kind: 'html'; readonly status?: number }
  /** Status 200, JSON by its type, but not JSON; it holds no token. */
  | { readonly kind: 'broken_json' }
  /** `Content-Length` promises the whole answer; so many bytes (default half), or all up to the refresh token, arrive. */
  | { readonly kind: 'truncated'; readonly keepBytes?: number; readonly keep?: 'after_refresh_token' }
  /** Status 200 with an error body (RFC 6749 section 5.2 says 400; some servers do this). */
  | { readonly kind: 'error_in_200'; readonly error: string }
  /** The answer lacks a member. */
  | { readonly kind: 'omit'; readonly field: 'expires_in' | 'refresh_token' | 'token_type' }
  /** The answer says something else: `"3600"`, 0, a negative number. */
  | { readonly kind: 'replace'; readonly field: 'expires_in'; readonly value: string | number }
  /** Status 400 `invalid_grant`, although nothing is wrong with the session. */
  | { readonly kind: 'invalid_grant' }
  /**
   * Status 400 `use_dpop_nonce` with a good nonce, although the request was carried out: the refresh token is spent, and
   * the answer asks to send it again.
   */
  | { readonly kind: 'use_dpop_nonce' }
  /** Status 200 and a JSON text that does not end for so many bytes. */
  | { readonly kind: 'endless_body'; readonly bytes: number }
  /** The answer, so many bytes a second. */
  | { readonly kind: 'slow_body'; readonly bytesPerSecond: number }

export interface FaultOrder {
  readonly fault: Fault
  /**
   * `before`: nothing happens to the session. `after`: the request is carried out and committed, then its answer is
   * replaced or lost.
   */
  readonly when: 'before' | 'after'
  /** How many of the next matching requests meet it. */
  readonly times: number
  readonly realm?: string
  readonly sessionId?: string
  readonly grantType?: string
  /** Default `token`. */
  readonly endpoint?: Endpoint
}

/** A request as far as faults care. */
export interface FaultTarget {
  readonly endpoint: Endpoint
  readonly realm: string | null
  readonly sessionId: string | null
  readonly grantType: string | null
}

export interface StandingFault {
  readonly faultId: string
  readonly order: FaultOrder
  /** How many more requests will meet it. */
  readonly left: number
}

/** The faults ordered and not yet served, in the order in which they were ordered. */
export class FaultMenu {
  #next = 1
  #standing: StandingFault[] = []

  add(order: FaultOrder): string {
    const faultId = `fault-${this.#next++}`
    this.#standing.push({ faultId, order, left: order.times })
    return faultId
  }

  clear(): void {
    this.#standing = []
  }

  list(): readonly StandingFault[] {
    return [...this.#standing]
  }

  /** Takes what this request will meet: at most one fault before it is carried out, and one after, if it gets there. */
  take(target: FaultTarget): { readonly before: AnswerFault | null; readonly after: AnswerFault | null } {
    const before = this.#takeOne(target, 'before', isAnswerFault)
    if (before !== null && before.kind !== 'delay') return { before, after: null }
    return { before, after: this.#takeOne(target, 'after', isAnswerFault) }
  }

  /** Takes what the next authorization answer of a realm will meet. */
  takeCallback(realm: string): CallbackFault | null {
    const target = { endpoint: 'authorization', realm, sessionId: null, grantType: null } as const
    return this.#takeOne(target, 'after', isCallbackFault)
  }

  #takeOne<F extends Fault>(
    target: FaultTarget,
    when: FaultOrder['when'],
    wanted: (fault: Fault) => fault is F,
  ): F | null {
    const found = this.#standing.find(({ order }) => order.when === when && matches(order, target))
    if (!found || !wanted(found.order.fault)) return null
    const { fault } = found.order
    this.#standing = this.#standing.flatMap((it) => {
      if (it !== found) return it
      return it.left > 1 ? { ...it, left: it.left - 1 } : []
    })
    return fault
  }
}

function isAnswerFault(fault: Fault): fault is AnswerFault {
  return !isCallbackFault(fault)
}

function matches(order: FaultOrder, target: FaultTarget): boolean {
  return (
    (order.endpoint ?? 'token') === target.endpoint &&
    (order.realm === undefined || order.realm === target.realm) &&
    (order.sessionId === undefined || order.sessionId === target.sessionId) &&
    (order.grantType === undefined || order.grantType === target.grantType)
  )
}

export function readFaultOrder(value: unknown, path: string): FaultOrder {
  const from = members(value, path, ['fault', 'when', 'times', 'realm', 'sessionId', 'grantType', 'endpoint'])
  const order: FaultOrder = {
    fault: readFault(from.object['fault'], `${path}.fault`),
    when: oneOf(from, 'when', ['before', 'after']),
    times: whole(from, 'times', 1),
    ...optional(from, 'realm', text),
    ...optional(from, 'sessionId', text),
    ...optional(from, 'grantType', text),
    ...optional(from, 'endpoint', (it, key) => oneOf(it, key, FAULTY_ENDPOINTS)),
  }
  const { fault } = order
  const needsAnswer =
    fault.kind === 'omit' ||
    fault.kind === 'replace' ||
    fault.kind === 'use_dpop_nonce' ||
    isCallbackFault(fault) ||
    (fault.kind === 'truncated' && fault.keep !== undefined)
  if (order.when === 'before' && needsAnswer) {
    throw new InvalidInput(`${path}: ${fault.kind} changes a real answer, so it can only come 'after'`)
  }
  if (isCallbackFault(fault) !== (order.endpoint === 'authorization')) {
    throw new InvalidInput(
      `${path}: at the endpoint authorization there can be ${CALLBACK_FAULTS.join(', ')}, and only there`,
    )
  }
  return order
}

function readFault(value: unknown, path: string): Fault {
  const loose = members(value, path)
  const kind = oneOf(loose, 'kind', [
    'delay',
    'drop',
    'status',
    'html',
    'broken_json',
    'truncated',
    'error_in_200',
    'omit',
    'replace',
    'invalid_grant',
    'use_dpop_nonce',
    'endless_body',
    'slow_body',
    ...CALLBACK_FAULTS,
  ])
  const only = (...known: string[]) => members(value, path, ['kind', ...known])
  switch (kind) {
    case 'drop':
    case 'broken_json':
    case 'invalid_grant':
    case 'use_dpop_nonce':
      only()
      return { kind }
    case 'delay':
      return { kind, ms: positive(only('ms'), 'ms') }
    case 'status': {
      const from = only('status', 'headers', 'body')
      return {
        kind,
        status: statusCode(from, 'status'),
        ...optional(from, 'headers', headers),
        ...optional(from, 'body', anyText),
      }
    }
    case 'html':
      return { kind, ...optional(only('status'), 'status', statusCode) }
    case 'truncated': {
      const from = only('keepBytes', 'keep')
      return {
        kind,
        ...optional(from, 'keepBytes', (it, key) => whole(it, key, 0)),
        ...optional(from, 'keep', (it, key) => oneOf(it, key, ['after_refresh_token'])),
      }
    }
    case 'error_in_200':
      return { kind, error: text(only('error'), 'error') }
    case 'omit':
      return { kind, field: oneOf(only('field'), 'field', ['expires_in', 'refresh_token', 'token_type']) }
    case 'replace': {
      const from = only('field', 'value')
      return { kind, field: oneOf(from, 'field', ['expires_in']), value: textOrNumber(from, 'value') }
    }
    case 'wrong_state':
    case 'wrong_iss':
    case 'doubled_parameter':
    case 'authorization_error':
      return readCallbackFault(kind, only)
    case 'endless_body':
      return { kind, bytes: whole(only('bytes'), 'bytes', 1) }
    case 'slow_body':
      return { kind, bytesPerSecond: positive(only('bytesPerSecond'), 'bytesPerSecond') }
  }
}

function statusCode(from: Members, key: string): number {
  const status = whole(from, key, 200)
  if (status > 599) throw new InvalidInput(`${from.path}.${key} must be a status code from 200 to 599`)
  return status
}

function headers(from: Members, key: string): Record<string, string> {
  const inner = members(from.object[key], `${from.path}.${key}`)
  return Object.fromEntries(Object.keys(inner.object).map((name) => [name, text(inner, name)]))
}

function anyText(from: Members, key: string): string {
  const value = from.object[key]
  if (typeof value !== 'string') throw new InvalidInput(`${from.path}.${key} must be a text`)
  return value
}

function textOrNumber(from: Members, key: string): string | number {
  const value = from.object[key]
  if (typeof value !== 'string' && typeof value !== 'number') {
    throw new InvalidInput(`${from.path}.${key} must be a text or a number`)
  }
  return value
}
