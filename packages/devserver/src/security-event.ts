import { randomUUID } from 'node:crypto'
import { InvalidInput, members, oneOf, optional, text, type JsonObject } from './json-shape.ts'
import { jsonObject, makeJwt, without, type JwtOrder } from './made-jwt.ts'
import { webAddress } from './options-shape.ts'
import type { Realm } from './realm.ts'

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'
const PATIENCE_MS = 10_000 // A receiver answers once the event is stored; a test that waits longer has found something.

/** A Security Event Token to make and to push. */
export interface SecurityEventOrder {
  /** The receiver's URL. */
  readonly to: string
  /** `Authorization` header of the push, as it is. */
  readonly authorization?: string
  readonly audience: string
  readonly event: 'session-revoked' | 'credential-change'
  /** Who or what it is about (RFC 9493), `{ format: 'iss_sub', iss, sub }`, `{ format: 'complex', user, session }`, ... */
  readonly subjectId: JsonObject
  /** Laid over the event's own members. */
  readonly details?: JsonObject
  /** Laid over the token's claims; null leaves one out. A `jti` that was sent before makes it a repetition. */
  readonly claims?: JsonObject
  readonly header?: JsonObject
  readonly key?: JwtOrder['key']
}

/** A push, and the receiver's answer to it. */
export interface PushedEvent {
  /** The Security Event Token. */
  readonly token: string
  readonly status: number
  readonly body: string
}

export function readSecurityEventOrder(value: unknown, path: string): SecurityEventOrder {
  const from = members(value, path, [
    'to',
    'authorization',
    'audience',
    'event',
    'subjectId',
    'details',
    'claims',
    'header',
    'key',
  ])
  return {
    to: webAddress(from, 'to'),
    ...optional(from, 'authorization', text),
    audience: text(from, 'audience'),
    event: oneOf(from, 'event', ['session-revoked', 'credential-change']),
    subjectId: jsonObject(from, 'subjectId'),
    ...optional(from, 'details', jsonObject),
    ...optional(from, 'claims', jsonObject),
    ...optional(from, 'header', jsonObject),
    ...optional(from, 'key', (it, key) => oneOf(it, key, ['realm', 'other'])),
  }
}

/**
 * Signs a Security Event Token as a Shared Signals transmitter does, and pushes it once.
 *
 * @throws {InvalidInput} the receiver did not answer
 * @see RFC 8417 (token), RFC 8935 (push), RFC 9493 (subjects), OpenID CAEP 1.0 (events)
 */
export async function pushEvent(realm: Realm, order: SecurityEventOrder): Promise<PushedEvent> {
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    iss: realm.issuer,
    aud: order.audience,
    iat: now,
    jti: randomUUID(),
    sub_id: order.subjectId,
    events: { [`${CAEP}${order.event}`]: { ...detailsOf(order.event, now), ...order.details } },
    ...order.claims,
  }
  const token = makeJwt(realm.keys, {
    claims: without(claims),
    header: { typ: 'secevent+jwt', ...order.header },
    ...(order.key === undefined ? {} : { key: order.key }),
  })
  const response = await fetch(order.to, {
    method: 'POST',
    body: token,
    redirect: 'manual',
    headers: {
      'content-type': 'application/secevent+jwt',
      accept: 'application/json',
      ...(order.authorization === undefined ? {} : { authorization: order.authorization }),
    },
    signal: AbortSignal.timeout(PATIENCE_MS),
  }).catch((error: unknown) => {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    throw new InvalidInput(`${order.to} did not answer: ${cause instanceof Error ? cause.message : String(cause)}`)
  })
  return { token, status: response.status, body: await response.text() }
}

function detailsOf(event: SecurityEventOrder['event'], now: number): JsonObject {
  const common = { event_timestamp: now, initiating_entity: 'admin' }
  return event === 'session-revoked' ? common : { ...common, credential_type: 'password', change_type: 'update' }
}
