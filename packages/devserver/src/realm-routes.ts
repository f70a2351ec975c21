import type { IncomingMessage, ServerResponse } from 'node:http'
import { jsonAnswer, send, type Answer } from './answer.ts'
import { changeCallback } from './callback.ts'
import { spoilCallback } from './callback-fault.ts'
import { judgePoll } from './device-polls.ts'
import { BY_NAME, DEVICE_GRANT } from './engine-adapter.ts'
import { Exchange } from './exchange.ts'
import type { Endpoint } from './fault.ts'
import { fingerprint } from './fingerprint.ts'
import type { Realm } from './realm.ts'
import { readBody } from './request-body.ts'
import { serveSignIn } from './sign-in-page.ts'
import { serveVisit } from './visit.ts'
import type { World } from './world.ts'

const BASE = '/protocol/openid-connect'
const EXCHANGES: ReadonlyMap<string, Endpoint> = new Map([
  [`${BASE}/token`, 'token'],
  [`${BASE}/revoke`, 'revoke'],
  [`${BASE}/token/introspect`, 'introspect'],
  [`${BASE}/ext/par/request`, 'par'],
  [`${BASE}/auth/device`, 'device'],
])

/** A request below `/realms/{realm}`; `path` is what follows, without the query. */
export interface RealmRequest {
  readonly realm: Realm
  readonly path: string
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

export async function serveRealm(world: World, asked: RealmRequest): Promise<void> {
  const { realm, path, request, response } = asked
  const endpoint = EXCHANGES.get(path)
  if (endpoint && request.method === 'POST') return serveExchange(world, endpoint, asked)
  if (path.startsWith('/interaction/')) {
    const body = request.method === 'POST' ? await readBody(request) : ''
    const form = new URLSearchParams(body ?? '')
    return serveSignIn({ provider: realm.provider, realmName: realm.name, request, response, form })
  }
  if (path === `${BASE}/auth` || path.startsWith(`${BASE}/auth/`)) {
    changeCallback(request, (callback) => answerAuthorization(world, realm, callback))
  }
  if (path === `${BASE}/userinfo`) refuseRecordName(request)
  await engine(realm, request, response)
}

async function serveExchange(world: World, endpoint: Endpoint, asked: RealmRequest): Promise<void> {
  const { realm, request, response, path } = asked
  const body = await readBody(request)
  if (body === null) {
    send(response, jsonAnswer(413, { error: 'invalid_request', error_description: 'request body too large' }))
    return
  }
  const form = new URLSearchParams(body)
  const shown = form.get(endpoint === 'token' ? 'refresh_token' : 'token')
  const sessionId = shown === null ? null : sessionOf(realm, shown)
  if (endpoint === 'token' && sessionId !== null) realm.sessions.arrived(sessionId)

  const carryOut = async (): Promise<Answer | null> => {
    decodeRawBasic(realm, request)
    const exchange = new Exchange(request, { endpoint, url: path, body: engineBody(realm, endpoint, body) })
    // Without a session the code is what must not be spent twice at once; anything else needs no turn.
    const turn =
      sessionId ?? form.get('code') ?? form.get('device_code') ?? form.get('assertion') ?? crypto.randomUUID()
    return world.turns.take(`${realm.name} ${turn}`, async () => {
      if (endpoint === 'token' && asksTooSoon(realm, form)) return jsonAnswer(400, { error: 'slow_down' })
      await engine(realm, exchange, response)
      return exchange.answer
    })
  }
  await serveVisit(world, {
    target: { endpoint, realm: realm.name, sessionId, grantType: form.get('grant_type') },
    clientId: form.get('client_id') ?? basicUser(request),
    tokenFingerprint: shown === null ? null : fingerprint(shown),
    scope: form.get('scope'),
    response,
    carryOut,
  })
}

/** Counts and logs an authorization answer that leaves for the client, and spoils it if that was ordered. */
function answerAuthorization(world: World, realm: Realm, callback: URL): URL {
  const fault = world.faults.takeCallback(realm.name)
  const seen = 303
  world.tally.count({ endpoint: 'authorization', realm: realm.name, grantType: null, seen })
  world.log.add({
    at: Date.now(),
    endpoint: 'authorization',
    realm: realm.name,
    grantType: null,
    clientId: null,
    clientPort: null,
    sessionId: null,
    tokenFingerprint: null,
    scope: null,
    seen,
    faultBefore: null,
    faultAfter: fault?.kind ?? null,
    tookMs: 0,
  })
  return fault === null ? callback : spoilCallback(fault, callback)
}

function asksTooSoon(realm: Realm, form: URLSearchParams): boolean {
  const deviceCode = form.get('grant_type') === DEVICE_GRANT ? form.get('device_code') : null
  return deviceCode !== null && judgePoll(realm, deviceCode, Date.now()) === 'too_soon'
}

/** What the engine is to read: it knows an access token by its record, and must not be told of records by others. */
function engineBody(realm: Realm, endpoint: Endpoint, body: string): string {
  const form = new URLSearchParams(body)
  if (endpoint === 'token') {
    // Whoever sends the name of a record knows a hash, not a code.
    const named = ['code', 'device_code'].filter((member) => form.get(member)?.startsWith(BY_NAME) === true)
    for (const member of named) form.set(member, '')
    return named.length === 0 ? body : form.toString()
  }
  const shown = endpoint === 'revoke' || endpoint === 'introspect' ? form.get('token') : null
  if (shown === null) return body
  form.set('token', realm.recordId(shown))
  return form.toString()
}

function sessionOf(realm: Realm, shown: string): string | null {
  const known = realm.sessions.refreshToken(shown)
  if (known) return known.sessionId
  const seen = realm.standing(shown, Date.now())
  return seen.standing === 'unknown' ? null : seen.sessionId
}

/** Whoever shows the name of a record knows a hash, not a token. */
function refuseRecordName(request: IncomingMessage): void {
  const [scheme, shown] = request.headers.authorization?.split(' ') ?? []
  if (scheme !== undefined && shown?.startsWith(BY_NAME) === true) request.headers.authorization = `${scheme} unknown`
}

/**
 * A client that sends id and secret as they are: the engine decodes both as RFC 6749 has it, so they are encoded here. What was
 * encoded already is encoded twice, and so does not match.
 */
function decodeRawBasic(realm: Realm, request: IncomingMessage): void {
  const [scheme, credentials] = request.headers.authorization?.split(' ') ?? []
  if (scheme?.toLowerCase() !== 'basic' || credentials === undefined) return
  const [id = '', ...rest] = Buffer.from(credentials, 'base64').toString().split(':')
  if (realm.client(id)?.basicCredentials !== 'raw') return
  const encoded = [id, rest.join(':')].map(encodeURIComponent).join(':')
  request.headers.authorization = `Basic ${Buffer.from(encoded).toString('base64')}`
}

function basicUser(request: IncomingMessage): string | null {
  const [scheme, credentials] = request.headers.authorization?.split(' ') ?? []
  if (scheme?.toLowerCase() !== 'basic' || credentials === undefined) return null
  const user = Buffer.from(credentials, 'base64').toString().split(':')[0] ?? ''
  return URL.canParse(`http://${user}@host`) ? decodeURIComponent(new URL(`http://${user}@host`).username) : user
}

async function engine(realm: Realm, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = request.url ?? '/'
  const mount = `/realms/${realm.name}`
  if (url.startsWith(mount)) Object.assign(request, { originalUrl: url, url: url.slice(mount.length) || '/' })
  await realm.handle(request, response)
}
