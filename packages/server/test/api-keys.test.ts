/** What a key may do, what it may see, what it may pass on, and how it ends. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MonoMs } from '@tokenkeep/core'
import type { ApiKeyScope } from '@tokenkeep/node'
import type { OperationId } from '../src/api/operations.ts'
import type { Answer } from './any-request.ts'
import { openApiWorld, systemClock, type Asking } from './api-world.ts'
import { openDesk } from './command.ts'
import { readAnswer } from './contract.ts'

const api = await openApiWorld()
after(() => api[Symbol.asyncDispose]())
const { world, keep } = api

const SALES = { team: 'sales' }
const SUPPORT = { team: 'support' }
await world.connect('sale-1', {}, { labels: SALES })
await world.connect('sale-2', {}, { labels: { ...SALES, region: 'north' } })
await world.connect('case-1', {}, { labels: SUPPORT })
await world.connect('plain-1')

const codeOf = (answer: Answer): unknown => (answer.status < 400 ? 'ok' : readAnswer(answer).body['code'])
const idsIn = (answer: Answer, list: string): readonly unknown[] =>
  (readAnswer(answer).body[list] as readonly { readonly id: unknown }[]).map(({ id }) => id)
const idMade = (answer: Answer): string => {
  assert.equal(answer.status, 201, answer.text)
  return String(readAnswer(answer).body['id'])
}

// ---- scopes --------------------------------------------------------------------------------------------------------

const LOOK: readonly ApiKeyScope[] = ['providers:write', 'connections:read', 'connections:write']
/** The page is for every key: what is on it is what that key may see. */
const ANYBODY: readonly ApiKeyScope[] = [
  'token:read',
  'proxy',
  'connections:read',
  'connections:write',
  'providers:write',
  'keys:write',
]
/** Which scopes let an operation pass, beside `admin`. Written out here, not taken from the table that is proven. */
const LETS_PASS: Readonly<Record<OperationId, readonly ApiKeyScope[]>> = {
  getToken: ['token:read'],
  rejectToken: ['token:read'],
  introspect: ['token:read'],
  getOverview: ['connections:read'],
  listConnections: ['connections:read'],
  listEvents: ['connections:read'],
  getConnection: ['connections:read'],
  getHistory: ['connections:read'],
  createConnectSession: ['connections:write'],
  getConnectSession: ['connections:write', 'connections:read'],
  importConnection: ['connections:write'],
  labelConnection: ['connections:write'],
  reconnectConnection: ['connections:write'],
  resolveConnection: ['connections:write'],
  deleteConnection: ['connections:write'],
  listLocalRefreshTokens: ['connections:read', 'keys:write'],
  shareConnection: ['keys:write'],
  revokeLocalRefreshToken: ['keys:write'],
  listProviders: LOOK,
  getProvider: LOOK,
  putProvider: ['providers:write'],
  listClients: LOOK,
  getClient: LOOK,
  putClient: ['providers:write'],
  listClientKeys: LOOK,
  rotateClientKey: ['providers:write'],
  listApiKeys: ['keys:write'],
  createApiKey: ['keys:write'],
  revokeApiKey: ['keys:write'],
  setSource: ['keys:write'],
  trustIdentity: ['keys:write'],
  untrustIdentity: ['keys:write'],
  listHandOuts: ['connections:read'],
  getRefreshes: ['connections:read'],
  listAudit: [],
  getIncarnation: ['connections:read', 'connections:write'],
  adopt: [],
  createSession: ANYBODY,
  getSession: ANYBODY,
  deleteSession: ANYBODY,
}
const SCOPES = [
  'token:read',
  'proxy',
  'connections:read',
  'connections:write',
  'providers:write',
  'keys:write',
  'admin',
] as const

test('an operation is open to the scopes that are said to open it, and to no other', async () => {
  const wrong: string[] = []
  for (const scope of SCOPES) {
    const { key } = await api.key([scope])
    for (const id of Object.keys(LETS_PASS) as OperationId[]) {
      const body = id === 'createApiKey' ? { name: 'as i am', scopes: [scope] } : { nonsense: 1 }
      const bodiless = /^(get|list|delete|revoke|untrust|introspect|resolve)/.test(id)
      const answer = await api.ask(id, { key, headers: { 'tokenkeep-page': '1' }, ...(bodiless ? {} : { body }) })
      const passed = codeOf(answer) !== 'forbidden'
      if (passed !== (scope === 'admin' || LETS_PASS[id].includes(scope))) wrong.push(`${scope} ${id}: ${answer.text}`)
    }
  }
  assert.deepEqual(wrong, [])
})

// ---- labels --------------------------------------------------------------------------------------------------------

const ALL_BUT_SHARED: readonly ApiKeyScope[] = ['token:read', 'connections:read', 'connections:write', 'keys:write']

test('a key with labels sees the connections that have them, and for it there are no others', async () => {
  const { key } = await api.key(ALL_BUT_SHARED, SALES)
  assert.deepEqual(idsIn(await api.ask('listConnections', { key }), 'connections'), ['sale-1', 'sale-2'])
  const listed = async (query: string) => idsIn(await api.ask('listConnections', { key, query }), 'connections')
  assert.deepEqual(await listed('label=region=north'), ['sale-2'])
  assert.deepEqual(await listed('label=team=support'), [], 'a filter does not widen')
  assert.deepEqual(await listed('label=team=sales'), ['sale-1', 'sale-2'])
  for (const operation of ['getToken', 'getConnection', 'getHistory', 'listLocalRefreshTokens'] as const) {
    assert.equal(codeOf(await api.ask(operation, { key, ids: { id: 'sale-1' } })), 'ok')
    assert.equal(codeOf(await api.ask(operation, { key, ids: { id: 'case-1' } })), 'unknown_connection')
    assert.equal(codeOf(await api.ask(operation, { key, ids: { id: 'plain-1' } })), 'unknown_connection')
  }
  const { key: north } = await api.key(['connections:read'], { ...SALES, region: 'north' })
  assert.deepEqual(
    idsIn(await api.ask('listConnections', { key: north }), 'connections'),
    ['sale-2'],
    'all of its labels',
  )
})

test('a label may be called like a part of every object', async () => {
  const labels = { constructor: 'x' }
  const { key } = await api.key(ALL_BUT_SHARED, labels)
  const body = { id: 'odd-1', client: 'app', access_token: 'at-odd' }
  const imported = await api.ask('importConnection', { key, body })
  assert.deepEqual(readAnswer(imported).body['labels'], labels, imported.text)
  assert.deepEqual(idsIn(await api.ask('listConnections', { key }), 'connections'), ['odd-1'])
  await keep.connections.delete('odd-1')
})

/** Everything that a caller gets to know, but for the moment and the name it asked by. */
const told = ({ status, headers, text }: Answer, name: string): string => {
  const { date: _, ...rest } = headers
  return JSON.stringify([status, rest, text]).replaceAll(name, 'NAME')
}

test('what a key may not see is answered like what is not there, to the byte', async () => {
  const { key } = await api.key(ALL_BUT_SHARED, SALES)
  const { id: own } = await api.key(['token:read'], SALES)
  const { refreshToken } = await world.connect('mine-1', {}, { labels: SALES })
  const share = await keep.localRefreshTokens.share('case-1', { with: world.admin.id })
  const { id: admins } = world.admin
  const { id: supports } = await api.key(['token:read'], SUPPORT)
  const signIn = { refresh_token: 'rt-of-somebody' }
  // The hidden names have as many characters as those of nobody, for the length is in the headers.
  const asked: readonly (readonly [
    OperationId,
    hidden: readonly string[],
    absent: string,
    (name: string) => Asking,
  ])[] = [
    ['getToken', ['case-1'], 'none-1', (id) => ({ ids: { id } })],
    [
      'getToken',
      ['case-1'],
      'none-1',
      (id) => ({ ids: { id }, query: 'scope=dealer-api', headers: { prefer: 'wait=3' } }),
    ],
    ['rejectToken', ['case-1'], 'none-1', (id) => ({ ids: { id }, body: { access_token: 'at' } })],
    ['introspect', ['case-1'], 'none-1', (id) => ({ ids: { id } })],
    ['getConnection', ['case-1'], 'none-1', (id) => ({ ids: { id } })],
    ['getHistory', ['case-1'], 'none-1', (id) => ({ ids: { id } })],
    ['labelConnection', ['case-1'], 'none-1', (id) => ({ ids: { id }, body: { labels: { seen: 'yes' } } })],
    ['reconnectConnection', ['case-1'], 'none-1', (id) => ({ ids: { id }, body: signIn })],
    ['resolveConnection', ['case-1'], 'none-1', (id) => ({ ids: { id } })],
    ['deleteConnection', ['case-1'], 'none-1', (id) => ({ ids: { id } })],
    ['listLocalRefreshTokens', ['case-1'], 'none-1', (id) => ({ ids: { id } })],
    ['shareConnection', ['case-1'], 'none-1', (id) => ({ ids: { id }, body: { api_key: own } })],
    [
      'shareConnection',
      [admins, supports],
      'key_000000000000000000',
      (id) => ({ ids: { id: 'mine-1' }, body: { api_key: id } }),
    ],
    ['setSource', ['case-1'], 'none-1', (id) => ({ ids: { id: own, provider: 'external' }, body: { connection: id } })],
    [
      'setSource',
      [admins, supports],
      'key_000000000000000000',
      (id) => ({ ids: { id, provider: 'external' }, body: { connection: 'mine-1' } }),
    ],
    ['createApiKey', ['case-1'], 'none-1', (id) => ({ body: { name: 'x', sources: { external: id } } })],
    ['revokeApiKey', [admins, supports], 'key_000000000000000000', (id) => ({ ids: { id } })],
    ['trustIdentity', [admins, supports], 'key_000000000000000000', (id) => ({ ids: { id }, body: WORKER })],
    [
      'untrustIdentity',
      [admins, supports],
      'key_000000000000000000',
      (id) => ({ ids: { id, identity: 'idn_000000000000000000' } }),
    ],
    ['revokeLocalRefreshToken', [share.localRefreshToken.id], 'lrt_000000000000000000', (id) => ({ ids: { id } })],
  ]
  for (const [operation, hidden, absent, asking] of asked) {
    const nothing = await api.ask(operation, { key, ...asking(absent) })
    assert.equal(nothing.status, 404, `${operation}: ${nothing.text}`)
    for (const name of hidden) {
      const something = await api.ask(operation, { key, ...asking(name) })
      assert.equal(told(something, name), told(nothing, absent), operation)
    }
  }
  assert.equal((await keep.connections.get('case-1')).status, 'ready')
  assert.equal((await keep.localRefreshTokens.get(share.localRefreshToken.id)).revokedAt, null)
  assert.equal((await keep.apiKeys.get(supports)).revokedAt, null)

  const { refreshToken: heldByCase } = await world.connect('case-2', {}, { labels: SUPPORT })
  const twin = await api.ask('importConnection', {
    key,
    body: { id: 'twin', client: 'app', refresh_token: heldByCase },
  })
  assert.equal(codeOf(twin), 'refresh_token_held')
  assert.doesNotMatch(twin.text, /case-2/, 'who holds it is not said')
  assert.ok(refreshToken)
})

test('a connection that is being deleted, or was, is out of sight like any other', async () => {
  const { control } = world.upstream
  const { key } = await api.key(ALL_BUT_SHARED, SALES)
  await world.connect('case-3', {}, { labels: SUPPORT })
  await control.addFault({ fault: { kind: 'status', status: 503 }, when: 'before', times: 1, endpoint: 'revoke' })
  await keep.connections.delete('case-3')
  await world.connect('case-4', {}, { labels: SUPPORT })
  await keep.connections.delete('case-4')
  const nothing = told(await api.ask('getToken', { key, ids: { id: 'none-1' } }), 'none-1')
  for (const id of ['case-3', 'case-4'])
    assert.equal(told(await api.ask('getToken', { key, ids: { id } }), id), nothing)
})

test('a key with labels gives them to what it imports, and to the keys that it makes', async () => {
  const { key } = await api.key(ALL_BUT_SHARED, SALES)
  const body = { id: 'new-1', client: 'app', access_token: 'at-new', labels: { region: 'south' } }
  const imported = await api.ask('importConnection', { key, body })
  assert.deepEqual(readAnswer(imported).body['labels'], { team: 'sales', region: 'south' })
  const elsewhere = { ...body, id: 'new-2', access_token: 'at-new-2', labels: SUPPORT }
  assert.equal(codeOf(await api.ask('importConnection', { key, body: elsewhere })), 'forbidden')
  const made = await api.ask('createApiKey', { key, body: { name: 'narrow', labels: { region: 'south' } } })
  assert.deepEqual(readAnswer(made).body['labels'], { team: 'sales', region: 'south' })
})

// ---- what it may pass on -------------------------------------------------------------------------------------------

test('a key makes no key that may do more, sees more, or lives longer than itself', async () => {
  const end = Date.now() + 3_600_000
  const { key } = await world.makeKey({ scopes: ['token:read', 'keys:write'], labels: SALES, expiresAt: end })
  const expires_at = new Date(end).toISOString()
  const make = (more: object) => api.ask('createApiKey', { key, body: { name: 'x', expires_at, ...more } })
  for (const scopes of [['admin'], ['providers:write'], ['connections:read'], ['token:read', 'connections:write']])
    assert.equal(codeOf(await make({ scopes })), 'forbidden', scopes.join())
  assert.equal(codeOf(await make({ labels: SUPPORT })), 'forbidden')
  assert.deepEqual(readAnswer(await make({ labels: {} })).body['labels'], SALES, 'no labels are its own labels')
  for (const later of [null, undefined, new Date(end + 1).toISOString()])
    assert.equal(codeOf(await make({ expires_at: later })), 'forbidden', String(later))
  assert.equal(codeOf(await make({ scopes: ['token:read', 'keys:write'] })), 'ok')

  const { key: keysOnly } = await api.key(['keys:write'])
  assert.equal(
    codeOf(await api.ask('createApiKey', { key: keysOnly, body: { name: 'x' } })),
    'forbidden',
    'token:read is more',
  )
})

test('a key looks after keys that may and see at most what it may, and knows of no others', async () => {
  const { key, id } = await api.key(['token:read', 'keys:write'], SALES)
  const { id: less } = await api.key(['token:read'], { ...SALES, region: 'north' })
  const { id: more } = await api.key(['token:read', 'connections:read'], SALES)
  const { id: wider } = await api.key(['token:read'])
  const seen = idsIn(await api.ask('listApiKeys', { key }), 'api_keys')
  assert.ok(seen.includes(id) && seen.includes(less))
  assert.ok(![more, wider, world.admin.id].some((other) => seen.includes(other)))
  for (const other of [more, wider, world.admin.id])
    assert.equal(codeOf(await api.ask('revokeApiKey', { key, ids: { id: other } })), 'unknown_api_key')
  assert.equal(codeOf(await api.ask('revokeApiKey', { key, ids: { id: less } })), 'ok')
})

const WORKER = {
  issuer: 'https://issuer.example.org',
  subject: 'system:serviceaccount:prod:worker',
  audience: 'https://keep.example.org',
}

test('a key lets a JWT show a key that it may look after, and none that outlives it', async () => {
  const { key } = await world.makeKey({ scopes: ['token:read', 'keys:write'], expiresAt: Date.now() + 3_600_000 })
  const { id: shorter } = await world.makeKey({ expiresAt: Date.now() + 60_000 })
  const { id: endless } = await world.makeKey()
  const trust = (id: string, subject: string, by = key) =>
    api.ask('trustIdentity', { key: by, ids: { id }, body: { ...WORKER, subject } })
  assert.equal(codeOf(await trust(endless, 'a')), 'forbidden')
  const trusted = await trust(shorter, 'a')
  assert.equal(codeOf(trusted), 'ok')
  const [identity] = (await keep.apiKeys.get(shorter)).identities
  assert.equal(codeOf(await trust(endless, 'a', world.admin.key)), 'in_use')
  const ids = { id: shorter, identity: String(identity?.id) }
  assert.equal(codeOf(await api.ask('untrustIdentity', { key, ids })), 'ok')
  assert.equal(codeOf(await api.ask('untrustIdentity', { key, ids })), 'invalid_input')
  assert.equal(codeOf(await trust(endless, 'a', world.admin.key)), 'ok')
})

test('who may not say where providers are does not say that keys are in a private network, or on this machine', async () => {
  const { key, id } = await api.key(['token:read', 'keys:write'])
  const { key: both } = await api.key(['token:read', 'keys:write', 'providers:write'])
  const inside: readonly Readonly<Record<string, unknown>>[] = [
    { issuer: 'http://127.0.0.1:1/realm' },
    { issuer: 'https://localhost/realm' },
    { issuer: 'https://[::1]/realm' },
    { jwks_uri: 'http://127.1:1/keys' },
    { allow_private_network: true },
  ]
  for (const [at, part] of inside.entries()) {
    const asking = { ids: { id }, body: { ...WORKER, ...part, subject: `${at}` } }
    assert.equal(codeOf(await api.ask('trustIdentity', { ...asking, key })), 'forbidden', JSON.stringify(part))
    assert.equal(codeOf(await api.ask('trustIdentity', { ...asking, key: both })), 'ok', JSON.stringify(part))
  }
  const elsewhere = {
    ...WORKER,
    issuer: 'http://127.0.0.1:1',
    jwks_uri: 'https://issuer.example.org/keys',
    subject: 'x',
  }
  assert.equal(
    codeOf(await api.ask('trustIdentity', { key, ids: { id }, body: elsewhere })),
    'ok',
    'it is only compared',
  )
})

test('a connection is shared only with a key that may see it', async () => {
  const { key } = await api.key(['token:read', 'keys:write'], SALES)
  const { id: north } = await api.key(['token:read'], { ...SALES, region: 'north' })
  const share = (id: string, holder: string) =>
    api.ask('shareConnection', { key, ids: { id }, body: { api_key: holder } })
  assert.equal(
    codeOf(await share('sale-1', north)),
    'unknown_connection',
    'it has no region, so the holder cannot see it',
  )
  assert.equal(codeOf(await share('sale-2', north)), 'ok')
  assert.equal(codeOf(await share('case-1', north)), 'unknown_connection')
  const source = (connection: string) =>
    api.ask('setSource', { key, ids: { id: north, provider: 'external' }, body: { connection } })
  assert.equal(codeOf(await source('sale-1')), 'unknown_connection')
  assert.equal(codeOf(await source('sale-2')), 'ok')
})

test('a key with labels imports no client credentials: those are the access of a registration that all share', async () => {
  const { key } = await world.makeKey({ scopes: ['connections:write', 'token:read'], labels: SALES })
  const body = { id: 'machine-of-sales', client: 'app', grant_type: 'client_credentials' }
  assert.equal(codeOf(await api.ask('importConnection', { key, body })), 'forbidden')
  assert.equal(codeOf(await api.ask('getConnection', { ids: { id: 'machine-of-sales' } })), 'unknown_connection')
})

test('a local refresh token that is revoked through the API is refused at once', async () => {
  const key = await world.makeKey()
  const { body: made } = readAnswer(
    await api.ask('shareConnection', { ids: { id: 'plain-1' }, body: { api_key: key.id } }),
  )
  const refresh = async (): Promise<number> => {
    const form = { grant_type: 'refresh_token', client_id: key.id, client_secret: key.key }
    const body = new URLSearchParams({ ...form, refresh_token: String(made['refresh_token']) })
    return (await fetch(`${api.url}/realms/external/protocol/openid-connect/token`, { method: 'POST', body })).status
  }
  assert.equal(await refresh(), 200)
  await api.ask('revokeLocalRefreshToken', { ids: { id: String(made['id']) } })
  assert.equal(await refresh(), 400)
})

test('a local refresh token is revoked by whoever looks after its connection', async () => {
  const { key } = await api.key(['token:read', 'keys:write'], SALES)
  const { id: holder } = await api.key(['token:read'], SALES)
  const id = idMade(await api.ask('shareConnection', { key, ids: { id: 'sale-1' }, body: { api_key: holder } }))
  const { key: others } = await api.key(['keys:write'], SUPPORT)
  assert.equal(
    codeOf(await api.ask('revokeLocalRefreshToken', { key: others, ids: { id } })),
    'unknown_local_refresh_token',
  )
  const revoked = readAnswer(await api.ask('revokeLocalRefreshToken', { key, ids: { id } })).body
  assert.notEqual(revoked['revoked_at'], null)
  const again = readAnswer(await api.ask('revokeLocalRefreshToken', { key, ids: { id } })).body
  assert.deepEqual(again, revoked, 'repeating it changes nothing')
})

// ---- how it ends ---------------------------------------------------------------------------------------------------

test('who changed what is in the log, with the place that refresh tokens go to, and no key', async () => {
  const { id, key } = await world.makeKey({ name: 'operator', scopes: ['admin'] })
  const url = 'https://id.example.org/realms/new/token'
  await api.ask('putProvider', { key, ids: { id: 'moved' }, body: { token_endpoint: url } })
  const made = idMade(await api.ask('createApiKey', { key, body: { name: 'made by it' } }))
  await api.ask('getToken', { key, ids: { id: 'plain-1' } })
  const lines = api
    .logged()
    .split('\n')
    .filter((line) => line.includes(id))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ level }) => level === 'info')
  assert.deepEqual(
    lines.map(({ operation, apiKeyId, id: of, tokensFrom }) => ({ operation, apiKeyId, of, tokensFrom })),
    [
      { operation: 'putProvider', apiKeyId: id, of: 'moved', tokensFrom: 'id.example.org' },
      { operation: 'createApiKey', apiKeyId: id, of: made, tokensFrom: undefined },
    ],
  )
  assert.ok(!api.logged().includes(key))
})

test('a key that is revoked through the API is refused from then on, with everything it asks', async () => {
  const { key, id } = await api.key(['token:read', 'connections:read'])
  const use = async () => [
    codeOf(await api.ask('getToken', { key, ids: { id: 'plain-1' } })),
    codeOf(await api.ask('listConnections', { key })),
  ]
  assert.deepEqual(await use(), ['ok', 'ok'])
  await api.ask('revokeApiKey', { ids: { id } })
  assert.deepEqual(await use(), ['unauthorized', 'unauthorized'])
})

test('a key that another process revokes is refused within a second', async () => {
  let aheadMs = 0
  const clock = {
    now: () => {
      const { wall, mono } = systemClock.now()
      return { wall, mono: (mono + aheadMs) as MonoMs }
    },
  }
  const server = await api.serve({}, { clock })
  const { key, id } = await api.key(['token:read', 'connections:read'])
  const use = async () => [
    codeOf(await server.ask('getToken', { key, ids: { id: 'plain-1' } })),
    codeOf(await server.ask('listConnections', { key })),
  ]
  assert.deepEqual(await use(), ['ok', 'ok'])
  const desk = openDesk()
  const place = ['--data', join(api.folder, 'data'), '--key-file', join(api.folder, 'config', 'test.key')]
  const { code, err } = await desk.run(['key', 'revoke', id, ...place])
  desk.close()
  assert.equal(code, 0, err)
  aheadMs += 1000
  assert.deepEqual(await use(), ['unauthorized', 'unauthorized'])
})

test('a key is refused from its end on, however lately it was good', async () => {
  const expiresAt = Date.now() + 1500
  const { key } = await world.makeKey({ scopes: ['token:read'], expiresAt })
  const use = async () => codeOf(await api.ask('getToken', { key, ids: { id: 'plain-1' } }))
  assert.equal(await use(), 'ok')
  while (Date.now() < expiresAt) {
    await use()
    await sleep(40)
  }
  assert.equal(await use(), 'unauthorized')
})
