/** Secrets come out of a server in the bodies of the answers that hand them out, and nowhere else. */
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Fault } from '@tokenkeep/devserver'
import { OPERATIONS, type OperationId } from '../src/api/operations.ts'
import type { Answer, Sent } from './any-request.ts'
import { openApiWorld, type ApiWorld } from './api-world.ts'
import { readAnswer } from './contract.ts'
import { asClient, CLIENT_SECRET } from './served-world.ts'
import { openTokenRelay, type TokenRelay } from './token-relay.ts'

const FAULTS: readonly { readonly fault: Fault; readonly when: 'before' | 'after' }[] = [
  { fault: { kind: 'truncated', keep: 'after_refresh_token' }, when: 'after' },
  { fault: { kind: 'omit', field: 'token_type' }, when: 'after' },
  { fault: { kind: 'error_in_200', error: CLIENT_SECRET }, when: 'before' },
  { fault: { kind: 'html' }, when: 'after' },
  {
    fault: { kind: 'status', status: 400, body: `{"error":"invalid_scope","error_description":"${CLIENT_SECRET}"}` },
    when: 'before',
  },
  { fault: { kind: 'status', status: 500, body: CLIENT_SECRET }, when: 'before' },
]

interface Secrets {
  readonly accessTokens: ReadonlySet<string>
  /** Of the provider, and what nobody ever gets: client secrets, the master key, digests. */
  readonly never: ReadonlySet<string>
  readonly keys: ReadonlySet<string>
  readonly localRefreshTokens: ReadonlySet<string>
}

const DROP_IN = '/realms/external/protocol/openid-connect/token'
const REFRESH = 'grant_type=refresh_token&refresh_token='

/** What may stand in the body of a good answer to this request. */
function handedOut({ method = 'GET', target }: Sent, { status }: Answer, secrets: Secrets): ReadonlySet<string> {
  const nothing = new Set<string>()
  if (status >= 300) return nothing
  const [path = ''] = target.split('?', 1)
  if (method === 'GET' && /^\/v1\/connections\/[^/]+\/token$/.test(path)) return secrets.accessTokens
  if (method === 'POST' && path === '/v1/keys') return secrets.keys
  if (method === 'POST' && /^\/v1\/connections\/[^/]+\/local-refresh-tokens$/.test(path))
    return secrets.localRefreshTokens
  if (method === 'POST' && path === DROP_IN) return new Set([...secrets.accessTokens, ...secrets.localRefreshTokens])
  return nothing
}

function hitsIn(api: ApiWorld, secrets: Secrets) {
  const all = [...secrets.accessTokens, ...secrets.never, ...secrets.keys, ...secrets.localRefreshTokens]
  const wrong: string[] = []
  const right = { accessTokens: 0, keys: 0, localRefreshTokens: 0 }
  for (const { sent, answer } of api.heard) {
    const allowed = handedOut(sent, answer, secrets)
    const headers = JSON.stringify(answer.headers)
    for (const secret of all) {
      const where = `${sent.method ?? 'GET'} ${sent.target.split('?', 1)[0] ?? ''} ${answer.status}`
      if (headers.includes(secret)) wrong.push(`in a header of ${where}`)
      if (!answer.text.includes(secret)) continue
      if (!allowed.has(secret)) wrong.push(`in the body of ${where}: ${answer.text}`)
      for (const kind of ['accessTokens', 'keys', 'localRefreshTokens'] as const)
        if (secrets[kind].has(secret)) right[kind] += 1
    }
  }
  const logged = api.logged() + JSON.stringify(api.world.logged)
  for (const secret of all) if (logged.includes(secret)) wrong.push('in the log')
  return { wrong, right }
}

/** Everything that can be asked, right and wrong, with secrets where they belong and where they do not. */
async function askAll(
  api: ApiWorld,
  relay: TokenRelay,
): Promise<{ keys: Set<string>; localRefreshTokens: Set<string> }> {
  const { world, keep } = api
  const { control } = world.upstream
  const keys = new Set([world.admin.key])
  const localRefreshTokens = new Set<string>()
  await keep.providers.put({
    id: 'external',
    tokenEndpoint: world.upstream.tokenEndpoint('external').replace(world.upstream.origin, relay.origin),
    introspectionEndpoint: `${relay.origin}/realms/external/protocol/openid-connect/token/introspect`,
    revocationEndpoint: `${relay.origin}/realms/external/protocol/openid-connect/revoke`,
    narrowing: 'token_only',
    reuse: { kind: 'grace', seconds: 10, winner: 'any' },
  })
  await control.updateRealm('external', { rotation: { kind: 'grace', seconds: 10 } })
  const ids = { id: 'dealer-1' }
  const impatient = { headers: { prefer: 'wait=0' } }
  const session = await world.connect('dealer-1')
  const held = session.refreshToken ?? ''

  await api.ask('getToken', { ids })
  await api.ask('getToken', { ids, query: 'scope=dealer-api' })
  await api.ask('rejectToken', { ids, body: { access_token: session.accessToken } })
  await api.ask('getToken', { ids })
  const made = await api.ask('createApiKey', { body: { name: 'shop', scopes: ['token:read'] } })
  const { id: client, key } = readAnswer(made).body
  keys.add(String(key))
  const shared = readAnswer(await api.ask('shareConnection', { ids, body: { api_key: client } })).body
  localRefreshTokens.add(String(shared['refresh_token']))
  await api.ask('setSource', { ids: { id: String(client), provider: 'external' }, body: { connection: 'dealer-1' } })

  const form = (fields: Record<string, string>) =>
    api.send({
      method: 'POST',
      target: DROP_IN,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(fields).toString(),
    })
  const known = asClient({ id: String(client), key: String(key) })
  const granted = await form({ ...known, grant_type: 'refresh_token', refresh_token: String(shared['refresh_token']) })
  assert.equal(granted.status, 200, granted.text)
  assert.equal((await form({ ...known, grant_type: 'client_credentials' })).status, 200)
  await form({ ...known, grant_type: 'refresh_token', refresh_token: held })
  await form({ ...known, grant_type: held, client_secret: held })
  await api.send({ target: `${DROP_IN}?${REFRESH}${held}`, method: 'POST' })

  for (const [at, order] of FAULTS.entries()) {
    const id = `faulty-${at}`
    await world.connectExpired(id)
    await control.addFault({ ...order, times: 1 })
    await api.ask('getToken', { ids: { id }, ...impatient })
    await api.ask('getToken', { ids: { id }, headers: { prefer: 'wait=2' } })
    await api.ask('getConnection', { ids: { id } })
    await control.clearFaults()
  }

  // In the wrong place: as a name, with a line feed, as a value where it is none, in a header, in a query.
  const secrets = [held, session.accessToken, String(key), String(shared['refresh_token']), CLIENT_SECRET]
  for (const secret of secrets) {
    const inside = { id: 'wrong', client: 'app' }
    await api.ask('importConnection', { body: { ...inside, refresh_token: `${secret}\n` } })
    await api.ask('importConnection', { body: { ...inside, [secret]: 'x' } })
    await api.ask('importConnection', {
      body: { ...inside, refresh_token: 'rt', labels: { [secret]: 5, team: [secret] } },
    })
    await api.ask('importConnection', {
      body: { ...inside, refresh_token: 'rt', expires_in: secret, grant_type: secret },
    })
    await api.ask('importConnection', { body: { ...inside, client: `${secret} `, refresh_token: 'rt' } })
    await api.ask('reconnectConnection', {
      ids,
      body: { refresh_token: held, subject: `${secret}\n`, [secret]: secret },
    })
    await api.ask('putClient', {
      ids: { id: 'app' },
      body: { provider: 'external', client_id: `${secret}\n`, client_secret: secret },
    })
    await api.ask('putProvider', {
      ids: { id: 'p' },
      body: { issuer: `https://${secret}:${secret}@x.example/?${secret}`, narrowing: secret },
    })
    await api.ask('putProvider', {
      ids: { id: 'p' },
      body: { token_endpoint: `http://x.example/${secret}`, [secret]: 1 },
    })
    await api.ask('createApiKey', { body: { name: `${secret}\n`, scopes: [secret], expires_at: secret } })
    await api.ask('shareConnection', { ids, body: { api_key: secret } })
    await api.ask('revokeApiKey', { ids: { id: secret } })
    await api.ask('revokeLocalRefreshToken', { ids: { id: secret } })
    await api.ask('rejectToken', { ids, body: { access_token: `${secret} ` } })
    await api.ask('listConnections', { query: `cursor=${secret}&status=${secret}&${secret}=1&label=${secret}` })
    await api.ask('getToken', { ids, query: `scope=%22${secret}&resource=${secret}` })
    await api.ask('getToken', { ids, key: `${secret}x` })
    await api.send({
      target: `/v1/${secret}?${secret}`,
      headers: { authorization: secret, cookie: secret, prefer: secret },
    })
    await api.send({ target: `/v1/keys`, headers: { host: `${secret.slice(0, 30)}.example`, origin: secret } })
    await api.send({ target: `/v1/connections/${secret}%zz/token`, headers: { authorization: `Bearer ${secret}` } })
    await api.send({
      method: 'POST',
      target: '/v1/keys',
      headers: { authorization: `Bearer ${world.admin.key}`, 'content-type': secret },
      body: secret,
    })
    await api.send({
      method: 'POST',
      target: '/v1/keys',
      headers: { authorization: `Bearer ${world.admin.key}`, 'content-type': 'application/json' },
      body: secret,
    })
  }
  await world.connect('dealer-2')
  await api.ask('importConnection', { body: { id: 'twin', client: 'app', refresh_token: held } })
  for (const id of Object.keys(OPERATIONS) as OperationId[]) {
    if (OPERATIONS[id].method === 'GET' && id !== 'getToken') await api.ask(id, { ids: { id: 'dealer-1' } })
  }
  await api.ask('getProvider', { ids: { id: 'external' } })
  await api.ask('getClient', { ids: { id: 'app' } })
  await api.ask('introspect', { ids })
  await api.ask('deleteConnection', { ids: { id: 'dealer-2' } })
  await api.ask('revokeApiKey', { ids: { id: String(client) } })
  for (const target of [
    '/metrics',
    '/openapi.json',
    '/healthz',
    '/readyz',
    '/realms/external/.well-known/openid-configuration',
  ])
    assert.equal((await api.send({ target })).status, 200, target)
  return { keys, localRefreshTokens }
}

test('tokens are in the bodies of the answers that hand them out; no secret is in another, in a header, a metric or the log', async () => {
  await using api = await openApiWorld()
  await using relay = await openTokenRelay(api.world.upstream.origin)
  const { keys, localRefreshTokens } = await askAll(api, relay)
  const tokens = new Set([...relay.tokens, ...api.world.secrets].filter((each) => !keys.has(each)))
  const accessTokens = new Set([...tokens].filter((token) => token.startsWith('eyJ')))
  const masterKey = await readFile(join(api.folder, 'config', 'test.key'), 'utf8')
  const never = new Set([
    ...[...tokens].filter((token) => !accessTokens.has(token)),
    ...[...keys, ...localRefreshTokens].map((secret) => hash('sha256', secret, 'base64url')),
    ...masterKey.split(/\s/).filter((word) => word.length > 30),
  ])
  assert.ok(
    accessTokens.size >= 5 && never.size >= 12,
    `${accessTokens.size} and ${never.size}: the scan would prove nothing`,
  )
  const { wrong, right } = hitsIn(api, { accessTokens, never, keys, localRefreshTokens })
  assert.deepEqual(wrong, [])
  assert.ok(
    right.accessTokens >= 5 && right.keys >= 1 && right.localRefreshTokens >= 1,
    `the scan finds what is there: ${JSON.stringify(right)}`,
  )
})
