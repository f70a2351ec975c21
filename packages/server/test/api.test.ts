/**
 * Every operation, with everything that can come of it: each answer is compared with the published document, and what the
 * document announces is reached, or cannot be, for a reason that stands here.
 */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { TokenError } from '@tokenkeep/core'
import { openTokenkeep, type Tokenkeep } from '@tokenkeep/node'
import { OPERATIONS, type Operation, type OperationId } from '../src/api/operations.ts'
import { answersIn, speak, type Answer } from './any-request.ts'
import { askUntil, busyLoop, openApiWorld, sentBy, type ApiServer, type Asking } from './api-world.ts'
import { readAnswer } from './contract.ts'

interface Listed {
  readonly connections: readonly { readonly id: string }[]
  readonly next_cursor: string | null
}

/** Outcomes that no test can reach, each with the reason. */
const UNREACHED: Readonly<Record<string, string>> = {
  'introspect deleting': 'the library asks the provider about a connection that is being deleted, too',
}

const IDS = Object.keys(OPERATIONS) as readonly OperationId[]
const operationOf = (id: OperationId): Operation => OPERATIONS[id]

const api = await openApiWorld()
after(() => api[Symbol.asyncDispose]())
const { world, keep } = api
const { control } = world.upstream

const reached = async (answer: Promise<Answer>, status: number, code?: string): Promise<Answer> => {
  const { status: got, text } = await answer
  assert.equal(got, status, text)
  if (code !== undefined) assert.equal((JSON.parse(text) as { code: string }).code, code, text)
  return answer
}

/** What each operation can be asked without being wrong, so that only what a test adds is. */
const RIGHT: Readonly<Partial<Record<OperationId, Asking>>> = {
  rejectToken: { body: { access_token: 'nobody' } },
  importConnection: { body: { id: 'never', client: 'none', refresh_token: 'rt' } },
  labelConnection: { body: { labels: {} } },
  reconnectConnection: { body: { refresh_token: 'rt' } },
  createConnectSession: { body: { client: 'none' } },
  shareConnection: { body: { api_key: 'key_00' } },
  putProvider: { ids: { id: 'spare' }, body: { token_endpoint: 'https://id.example.org/token' } },
  putClient: { ids: { id: 'spare' }, body: { provider: 'none', client_id: 'c' } },
  rotateClientKey: { body: {} },
  createApiKey: { body: { name: 'spare', scopes: ['token:read'] } },
  setSource: { body: { connection: null } },
  trustIdentity: { body: { issuer: 'https://issuer.example.org', subject: 's', audience: 'a' } },
}
/** Of the page, which shows a session instead of a key. */
const SESSIONS: readonly OperationId[] = ['createSession', 'getSession', 'deleteSession']
const { secret: sessionSecret } = await keep.pageSessions.create(world.admin.id)
const fromPage = { cookie: `tokenkeep-session=${sessionSecret}`, 'tokenkeep-page': '1' }
const right = (id: OperationId): Asking =>
  SESSIONS.includes(id)
    ? { key: null, headers: fromPage, ...(id === 'createSession' ? { body: { api_key: world.admin.key } } : {}) }
    : (RIGHT[id] ?? {})

test('the document is a valid OpenAPI document', async () => {
  const document: unknown = JSON.parse((await api.send({ target: '/openapi.json' })).text)
  const { valid, errors } = await new Validator().validate(document as Record<string, unknown>)
  assert.ok(valid, JSON.stringify(errors))
})

test('the document announces every operation of the table, and no other', () => {
  const announced = new Set([...api.contract.announced].map((outcome) => outcome.split(' ', 1)[0]))
  assert.deepEqual([...announced].sort(), [...IDS].sort())
})

test('every operation says yes', async () => {
  await world.connect('dealer-1', { subject: 'anna' })
  await world.connect('dealer-2')
  const of = { ids: { id: 'dealer-1' } }
  const { access_token } = readAnswer(await reached(api.ask('getToken', of), 200)).body
  await reached(
    api.ask('getToken', { ...of, query: 'scope=dealer-api&min_ttl=10&resource=https%3A%2F%2Fa.example' }),
    200,
  )
  await reached(api.ask('introspect', of), 200)
  await reached(api.ask('rejectToken', { ...of, body: { access_token } }), 200)
  await reached(api.ask('listConnections', { query: 'limit=1&status=ready&provider=external' }), 200)
  await reached(api.ask('getOverview'), 200)
  await reached(api.ask('labelConnection', { ...of, body: { labels: { team: 'sales' } } }), 200)
  await reached(api.ask('getConnection', of), 200)
  await reached(api.ask('getHistory', { ...of, query: 'limit=5' }), 200)
  const session = await control.seedSession('external', { clientId: 'app' })
  const signIn = { refresh_token: session.refreshToken, access_token: session.accessToken, expires_in: 300 }
  const imported = { id: 'dealer-3', client: 'app', ...signIn, refresh_expires_in: 1800, labels: { team: 'sales' } }
  await reached(api.ask('importConnection', { body: imported }), 201)
  const again = await control.seedSession('external', { clientId: 'app' })
  const fresh = { refresh_token: again.refreshToken, scope: again.scope, subject: again.subject, token_type: 'Bearer' }
  await reached(api.ask('reconnectConnection', { ids: { id: 'dealer-3' }, body: fresh }), 200)

  const made = await reached(api.ask('createApiKey', { body: { name: 'shop', scopes: ['token:read'] } }), 201)
  const apiKey = String(readAnswer(made).body['id'])
  await reached(api.ask('listApiKeys'), 200)
  const shared = await reached(api.ask('shareConnection', { ...of, body: { api_key: apiKey } }), 201)
  await reached(api.ask('listLocalRefreshTokens', of), 200)
  await reached(api.ask('revokeLocalRefreshToken', { ids: { id: String(readAnswer(shared).body['id']) } }), 200)
  const source = { ids: { id: apiKey, provider: 'external' } }
  await reached(api.ask('setSource', { ...source, body: { connection: 'dealer-1' } }), 200)
  await reached(api.ask('listApiKeys'), 200)
  await reached(api.ask('setSource', { ...source, body: { connection: null } }), 200)
  const body = { issuer: 'https://issuer.example.org', subject: 's', audience: 'a', jwks_uri: null }
  const trusting = await reached(api.ask('trustIdentity', { ids: { id: apiKey }, body }), 200)
  const another = String(readAnswer(await api.ask('createApiKey', { body: { name: 'another' } })).body['id'])
  await reached(api.ask('trustIdentity', { ids: { id: another }, body }), 409)
  const [identity] = readAnswer(trusting).body['identities'] as { readonly id: string }[]
  await reached(api.ask('listApiKeys'), 200)
  await reached(api.ask('untrustIdentity', { ids: { id: apiKey, identity: String(identity?.id) } }), 200)
  await reached(api.ask('revokeApiKey', { ids: { id: apiKey } }), 200)

  const settings = {
    issuer: 'https://id.example.org',
    reuse: { kind: 'grace', seconds: 10, winner: 'any' },
    words: { reused: ['seen_twice'] },
    access_token_lifetime: 600,
    api_base_urls: ['https://api.example.org/v1'],
  }
  await reached(api.ask('putProvider', { ids: { id: 'elsewhere' }, body: settings }), 200)
  await reached(
    api.ask('putProvider', { ids: { id: 'counted' }, body: { ...settings, reuse: { kind: 'counted', n: 2 } } }),
    200,
  )
  await reached(api.ask('getProvider', { ids: { id: 'elsewhere' } }), 200)
  await reached(api.ask('listProviders'), 200)
  const client = { provider: 'elsewhere', client_id: 'us', client_secret: 'c0nfidential' }
  await reached(api.ask('putClient', { ids: { id: 'us' }, body: client }), 200)
  const signs = { provider: 'external', client_id: 'signer', token_endpoint_auth_method: 'private_key_jwt' }
  await reached(api.ask('putClient', { ids: { id: 'signer' }, body: signs }), 200)
  await reached(api.ask('listClientKeys', { ids: { id: 'signer' } }), 200)
  await reached(api.ask('rotateClientKey', { ids: { id: 'signer' }, body: {} }), 200)
  await reached(api.ask('getClient', { ids: { id: 'us' } }), 200)
  await reached(api.ask('listClients'), 200)
  await reached(api.ask('resolveConnection', of), 200)
  await reached(api.ask('deleteConnection', of), 200)
  await reached(api.ask('deleteConnection', { ids: { id: 'dealer-2' } }), 200)
})

test('a list comes in pages, to the last one', async () => {
  for (const id of ['page-a', 'page-b', 'page-c']) {
    await keep.connections.import({ id, client: 'app', accessToken: `at-${id}`, labels: { list: 'paged' } })
  }
  const page = async (query: string): Promise<Listed> => {
    const answer = await reached(api.ask('listConnections', { query: `label=list=paged&${query}` }), 200)
    return JSON.parse(answer.text) as Listed
  }
  const first = await page('limit=2')
  assert.deepEqual(
    first.connections.map(({ id }) => id),
    ['page-a', 'page-b'],
  )
  const second = await page(`limit=2&cursor=${first.next_cursor ?? ''}`)
  assert.deepEqual(
    second.connections.map(({ id }) => id),
    ['page-c'],
  )
  assert.equal(second.next_cursor, null)
  assert.deepEqual((await page('label=__proto__=x')).connections, [], 'a label of any name is a condition')
  assert.deepEqual((await page('label=constructor=x')).connections, [])
})

test('a token that cannot be handed out is refused with the reason, and with a time where it may pass', async () => {
  const token = (id: string, more: Asking = {}) => api.ask('getToken', { ids: { id }, ...more })
  const impatient = { headers: { prefer: 'wait=3' } }
  await keep.connections.import({ id: 'ended', client: 'app', accessToken: 'at', expiresAt: Date.now() - 1000 })
  const ended = await reached(token('ended'), 409, 'needs_user')
  await reached(api.ask('resolveConnection', { ids: { id: 'ended' } }), 409, 'needs_user')
  assert.deepEqual(readAnswer(ended).body['reason'], 'no_refresh_token')

  await world.connectExpired('refused')
  await control.addFault({ fault: { kind: 'invalid_grant' }, when: 'before', times: 1 })
  const suspect = await reached(token('refused', impatient), 503, 'suspect')
  const seconds = Number(suspect.headers['retry-after'])
  assert.ok(seconds > 5 && seconds <= 15, 'it is confirmed after 15 s')
  assert.equal(readAnswer(suspect).body['retryable'], true)

  await world.connectExpired('lost')
  await control.addFault({ fault: { kind: 'status', status: 500 }, when: 'before', times: 20 })
  await reached(token('lost', impatient), 503, 'in_doubt')
  await control.clearFaults()

  await world.connectExpired('away')
  await control.addFault({
    fault: { kind: 'status', status: 503, headers: { 'retry-after': '40' } },
    when: 'before',
    times: 1,
  })
  const away = await reached(token('away', impatient), 503, 'unavailable')
  assert.ok(Number(away.headers['retry-after']) > 30)

  const { clientSecret } = await control.rotateClientSecret('external', 'app')
  await world.connectExpired('locked')
  const blocked = await reached(token('locked', impatient), 503, 'blocked')
  assert.equal(readAnswer(blocked).body['blocked'], 'client')
  await keep.clients.put({
    id: 'app',
    provider: 'external',
    clientId: 'app',
    clientSecret,
    tokenEndpointAuthMethod: 'client_secret_post',
  })

  await world.connect('narrow')
  await reached(token('narrow', { query: 'scope=beyond' }), 422, 'scope_refused')
  await keep.providers.put({ id: 'careful', tokenEndpoint: world.upstream.tokenEndpoint('external') })
  await keep.clients.put({ id: 'careful', provider: 'careful', clientId: 'app', clientSecret })
  await keep.connections.import({
    id: 'wide',
    client: 'careful',
    refreshToken: 'rt-wide',
    accessToken: 'at',
    scope: 'a b',
  })
  await reached(token('wide', { query: 'scope=a' }), 422, 'variant_unsupported')
})

test('a connection that is being deleted is gone for whoever uses it', async () => {
  const { accessToken } = await world.connect('going')
  await control.addFault({ fault: { kind: 'status', status: 503 }, when: 'before', times: 1, endpoint: 'revoke' })
  const deleted = await reached(api.ask('deleteConnection', { ids: { id: 'going' } }), 200)
  assert.equal(readAnswer(deleted).body['revoked_upstream'], false)
  const ids = { id: 'going' }
  await reached(api.ask('getConnection', { ids }), 200)
  await reached(api.ask('getToken', { ids }), 404, 'deleting')
  await reached(api.ask('resolveConnection', { ids }), 404, 'deleting')
  await reached(api.ask('rejectToken', { ids, body: { access_token: accessToken } }), 404, 'deleting')
  await reached(api.ask('reconnectConnection', { ids, body: { refresh_token: 'rt-other' } }), 404, 'deleting')
  await reached(api.ask('labelConnection', { ids, body: { labels: { team: 'sales' } } }), 404, 'deleting')
})

test('what the database no longer holds as it was sealed is unreadable, and said so', async () => {
  await world.connectExpired('damaged')
  const other = new DatabaseSync(api.path)
  other.exec(`UPDATE connection SET refresh_token = zeroblob(length(refresh_token)) WHERE id = 'damaged'`)
  other.exec(
    `UPDATE access_token SET sealed = zeroblob(length(sealed)) WHERE uid = (SELECT uid FROM connection WHERE id = 'damaged')`,
  )
  await reached(api.ask('getToken', { ids: { id: 'damaged' } }), 500, 'unreadable')
  await world.connect('whole')
  const [secret] = other.prepare(`SELECT hex(secret) AS secret FROM client WHERE id = 'app'`).all()
  other.exec(`UPDATE client SET secret = zeroblob(length(secret)) WHERE id = 'app'`)
  await reached(api.ask('introspect', { ids: { id: 'whole' } }), 500, 'unreadable')
  const body = { id: 'another', client: 'app', refresh_token: 'rt-another' }
  await reached(api.ask('importConnection', { body }), 500, 'unreadable')
  other.exec(`UPDATE client SET secret = x'${String(secret?.['secret'])}' WHERE id = 'app'`)
  other.close()
})

test('whoever names what is not there is told so', async () => {
  const ids = { id: 'nobody' }
  for (const id of IDS) {
    const { path, problems } = operationOf(id)
    if (path.startsWith('/v1/connections/{id}') && id !== 'shareConnection')
      await reached(api.ask(id, { ...right(id), ids }), 404, 'unknown_connection')
    if (problems.includes('unknown_api_key') && id !== 'shareConnection')
      await reached(api.ask(id, { ...right(id), ids: { id: 'key_00', provider: 'external' } }), 404, 'unknown_api_key')
  }
  await world.connect('shared')
  await reached(
    api.ask('shareConnection', { ids: { id: 'shared' }, body: { api_key: 'key_00' } }),
    404,
    'unknown_api_key',
  )
  const key = await api.key(['token:read'])
  await reached(api.ask('shareConnection', { ids, body: { api_key: key.id } }), 404, 'unknown_connection')
  await reached(api.ask('revokeLocalRefreshToken', { ids: { id: 'lrt_00' } }), 404, 'unknown_local_refresh_token')
  await reached(api.ask('getProvider', { ids }), 404, 'unknown_provider')
  await reached(api.ask('getClient', { ids }), 404, 'unknown_client')
  await reached(api.ask('putClient', { ids, body: { provider: 'nobody', client_id: 'c' } }), 404, 'unknown_provider')
  await reached(api.ask('rotateClientKey', { ids: { id: 'signer' }, body: {} }), 409, 'in_use')
  for (const id of ['listClientKeys', 'rotateClientKey'] as const) {
    await reached(
      api.ask(id, { ids: { id: 'nobody' }, ...(id === 'rotateClientKey' ? { body: {} } : {}) }),
      404,
      'unknown_client',
    )
    await reached(
      api.ask(id, { ids: { id: 'a b' }, ...(id === 'rotateClientKey' ? { body: {} } : {}) }),
      400,
      'invalid_input',
    )
  }
  await reached(api.ask('importConnection', right('importConnection')), 404, 'unknown_client')
  await reached(api.ask('createConnectSession', right('createConnectSession')), 404, 'unknown_client')
  await reached(api.ask('createConnectSession', { body: { provider: 'nobody' } }), 404, 'unknown_provider')
  await reached(api.ask('getConnectSession', { ids }), 404, 'unknown_connect_session')
  const source = (provider: string, connection: string) =>
    api.ask('setSource', { ids: { id: key.id, provider }, body: { connection } })
  await reached(source('nobody', 'shared'), 404, 'unknown_provider')
  await reached(source('external', 'nobody'), 404, 'unknown_connection')
  const made = (sources: object) => api.ask('createApiKey', { body: { name: 'x', scopes: ['token:read'], sources } })
  await reached(made({ external: 'nobody' }), 404, 'unknown_connection')
  await reached(made({ nobody: 'shared' }), 404, 'unknown_provider')
})

test('what contradicts what is kept is refused', async () => {
  const { refreshToken } = await world.connect('kept')
  const body = { id: 'kept', client: 'app', refresh_token: 'rt-new' }
  await reached(api.ask('importConnection', { body }), 409, 'connection_exists')
  const { key } = await api.key(['connections:write'], { team: 'of nobody' })
  const session = { client: 'app', connection: body.id }
  await reached(api.ask('createConnectSession', { body: session, key }), 409, 'connection_exists')
  const made = await reached(api.ask('createConnectSession', { body: { ...session, connection: 'to-come' } }), 201)
  const { id: madeId } = JSON.parse(made.text) as { id: string }
  await reached(api.ask('getConnectSession', { ids: { id: madeId } }), 200)
  const late = { headers: { 'if-match': '"another-state"' } }
  for (const [operation, asking] of [
    ['labelConnection', { ids: { id: 'kept' }, body: { labels: {} } }],
    ['putProvider', { ids: { id: 'external' }, body: { issuer: 'https://id.example.org' } }],
    ['putClient', { ids: { id: 'app' }, body: { provider: 'external', client_id: 'another' } }],
  ] as const) {
    await reached(api.ask(operation, { ...asking, ...late }), 412, 'changed_meanwhile')
  }
  const held = { refresh_token: refreshToken }
  const twin = await reached(
    api.ask('importConnection', { body: { ...body, id: 'twin', ...held } }),
    409,
    'refresh_token_held',
  )
  assert.equal(readAnswer(twin).body['subject'], 'kept')
  await world.connect('kept-2')
  await reached(api.ask('reconnectConnection', { ids: { id: 'kept-2' }, body: held }), 409, 'refresh_token_held')
  const body2 = { token_endpoint: 'http://id.example.org/token' }
  await reached(api.ask('putProvider', { ids: { id: 'open' }, body: body2 }), 400, 'provider_refused')
})

test('a wrong request is refused the same way by every operation, before anything is done', async () => {
  const under = await api.key(['token:read'])
  const other = await api.key(['providers:write'])
  for (const id of IDS) {
    const { scopes, method } = operationOf(id)
    const ask = (more: Asking) => api.ask(id, { ...right(id), ...more })
    if (!SESSIONS.includes(id)) {
      await reached(ask({ key: null }), 401, 'unauthorized')
      await reached(ask({ key: `tkk_${'A'.repeat(43)}` }), 401, 'unauthorized')
      await reached(ask({ key: (scopes.includes('token:read') ? other : under).key }), 403, 'forbidden')
    }
    await reached(ask({ headers: { host: 'evil.example' } }), 421, 'host_refused')
    await reached(ask({ headers: { origin: 'https://evil.example' } }), 403, 'origin_refused')
    await reached(ask({ query: 'unheard=of' }), 400, 'invalid_input')
    await reached(
      api.send({ ...sentBy(id, right(id)), headers: { host: ['127.0.0.1', '127.0.0.1'] } }),
      400,
      'malformed_request',
    )
    if (method === 'GET') continue
    await reached(ask({ body: { big: 'x'.repeat(70_000) } }), 413, 'body_too_large')
    await reached(
      ask({ body: {}, headers: { ...right(id).headers, 'content-type': 'text/plain' } }),
      415,
      'unsupported_media_type',
    )
  }
})

test('what was counted is answered, and of a connection that a key does not see nothing is said', async () => {
  await reached(api.ask('listHandOuts'), 200)
  await reached(api.ask('getRefreshes'), 200)
  await reached(api.ask('listAudit'), 200)
  const { key } = await api.key(['connections:read'], { team: 'nobody' })
  await reached(api.ask('listHandOuts', { query: 'connection=copied', key }), 404, 'unknown_connection')
})

test('who is not signed in is told so, and who is can sign out', async () => {
  const page = { key: null, headers: { 'tokenkeep-page': '1' } }
  await reached(api.ask('createSession', { ...page, body: { api_key: `tkk_${'A'.repeat(43)}` } }), 401, 'unauthorized')
  await reached(api.ask('createSession', { ...page, body: {} }), 400, 'invalid_input')
  await reached(api.ask('getSession', { key: null }), 401, 'unauthorized')
  await reached(api.ask('deleteSession', page), 401, 'unauthorized')
  const { secret } = await keep.pageSessions.create(world.admin.id)
  const headers = { ...fromPage, cookie: `tokenkeep-session=${secret}` }
  await reached(api.ask('getSession', { key: null, headers }), 200)
  await reached(api.ask('deleteSession', { key: null, headers }), 200)
  await reached(api.ask('getSession', { key: null, headers }), 401, 'unauthorized')
  await reached(api.ask('createSession', { ...page, body: { api_key: world.admin.key } }), 201)
})

test('a server that is overloaded, at its limit, without its database or about to end says so for every operation', async () => {
  const all = (server: ApiServer, status: number, code: string) =>
    Promise.all(IDS.map((id) => reached(server.ask(id, right(id)), status, code)))

  const scarce = await api.serve({ callerRequestsPer10s: 1 })
  await scarce.ask('listProviders')
  await all(scarce, 429, 'rate_limited')

  const ending = await api.reopen()
  const late = await api.serve({}, { keep: ending })
  await late.ask('listProviders')
  await ending.close()
  await all(late, 503, 'stopping')

  const away = new TokenError('store_unavailable', `the database ${api.path} cannot be used now: the disk is full`)
  await all(await api.serve({}, { keep: failing(keep, away) }), 503, 'store_unavailable')
  await all(await api.serve({}, { keep: failing(keep, new Error('a slip of ours')) }), 500, 'unexpected')
  assert.ok(api.heard.every(({ answer: { text } }) => !text.includes(api.folder) && !text.includes('slip')))
  assert.match(api.logged(), /the disk is full/, 'whoever runs the server reads what it was')

  const busy = await api.serve({ eventLoopDelayMsMax: 50 })
  using _busy = busyLoop()
  await askUntil(503, () => busy.ask('listProviders'))
  await all(busy, 503, 'overloaded')
})

test('what happened is listed, and goes on from a cursor', async () => {
  const listed = async (query = ''): Promise<{ events: readonly unknown[]; next_cursor: string; more: boolean }> =>
    JSON.parse((await reached(api.ask('listEvents', { query }), 200)).text) as Awaited<ReturnType<typeof listed>>
  const { events, next_cursor: cursor } = await listed('?order=newest&limit=1')
  assert.equal(events.length, 1)
  await world.connect('told')
  assert.equal((await listed(`?after=${cursor}`)).events.length, 1)
})

test('a copy of the database presents nothing, and says so', async () => {
  const { refreshToken } = await world.connect('copied')
  await keep.connections.import({ id: 'bare', client: 'app', refreshToken: `${refreshToken}-another` })
  const path = join(api.folder, 'copy', 'tokenkeep.db')
  await mkdir(dirname(path))
  const original = new DatabaseSync(api.path)
  original.prepare('VACUUM INTO ?').run(path)
  original.close()
  await using copy = await openTokenkeep({ path, keyFile: api.keyFile, background: false })
  const server = await api.serve({}, { keep: copy })
  await reached(server.ask('getToken', { ids: { id: 'copied' } }), 200)
  await reached(server.ask('getToken', { ids: { id: 'bare' }, headers: { prefer: 'wait=1' } }), 503, 'on_hold')
  await reached(server.ask('deleteConnection', { ids: { id: 'bare' } }), 503, 'on_hold')
  const { text } = await reached(server.ask('getIncarnation'), 200)
  assert.equal((JSON.parse(text) as { hold: { because: string } }).hold.because, 'another_place')
  const adopted = await reached(server.ask('adopt'), 200)
  assert.equal((JSON.parse(adopted.text) as { was_on_hold: boolean }).was_on_hold, true)
  assert.equal((JSON.parse((await server.ask('getIncarnation')).text) as { hold: unknown }).hold, null)
})

test('a request that does not arrive whole is answered as such, whatever it asks for', async () => {
  const strict = await api.serve({ requestTimeoutMs: 200 })
  await Promise.all(
    IDS.map(async (id) => {
      const sent = sentBy(id, right(id))
      const { text } = await speak(strict.port, [
        `${sent.method ?? 'GET'} ${sent.target} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 9\r\n`,
      ])
      const [answer] = answersIn(text)
      assert.ok(answer)
      assert.equal(answer.status, 408, text)
      api.contract.check(sent, answer)
    }),
  )
})

test('everything that the document announces has been reached, or cannot be, for a reason', () => {
  const missing = [...api.contract.announced].filter((outcome) => !api.contract.reached.has(outcome))
  assert.deepEqual(missing.sort(), Object.keys(UNREACHED).sort())
})

/** The same Tokenkeep with one misfortune in every verb; who a caller is, it knows all the same. */
function failing(whole: Tokenkeep, misfortune: Error): Tokenkeep {
  const fails = async (): Promise<never> => {
    throw misfortune
  }
  const parts = (part: object): object =>
    new Proxy(part, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? fails : value
      },
    })
  return {
    ...whole,
    providers: parts(whole.providers) as Tokenkeep['providers'],
    clients: parts(whole.clients) as Tokenkeep['clients'],
    connections: parts(whole.connections) as Tokenkeep['connections'],
    connectSessions: parts(whole.connectSessions) as Tokenkeep['connectSessions'],
    events: parts(whole.events) as Tokenkeep['events'],
    apiKeys: parts(whole.apiKeys) as Tokenkeep['apiKeys'],
    pageSessions: parts(whole.pageSessions) as Tokenkeep['pageSessions'],
    localRefreshTokens: parts(whole.localRefreshTokens) as Tokenkeep['localRefreshTokens'],
    handOuts: parts(whole.handOuts) as Tokenkeep['handOuts'],
    refreshes: parts(whole.refreshes) as Tokenkeep['refreshes'],
    audit: parts(whole.audit) as Tokenkeep['audit'],
    by: (actor) => failing(whole.by(actor), misfortune),
    token: fails,
    rejected: fails,
    introspect: fails,
    incarnation: fails,
    adopt: fails,
  }
}
