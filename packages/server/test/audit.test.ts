import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { OPERATIONS, type OperationId } from '../src/api/operations.ts'
import { openApiWorld, type Asking } from './api-world.ts'
import { readAnswer } from './contract.ts'

const api = await openApiWorld()
after(() => api[Symbol.asyncDispose]())
const { world, keep } = api

interface Line {
  readonly id: number
  readonly actor: { readonly kind: string; readonly id: string | null }
  readonly act: string
  readonly subject: string | null
  readonly details: Readonly<Record<string, unknown>>
  readonly outcome: string
}

async function lines(query = ''): Promise<readonly Line[]> {
  const answer = await api.ask('listAudit', { query })
  assert.equal(answer.status, 200, answer.text)
  return readAnswer(answer).body['lines'] as readonly Line[]
}
const newest = async (): Promise<number> => (await lines('limit=1'))[0]?.id ?? 0

/** What each operation that changes something is asked with here. */
const SEEN: { readonly [Id in OperationId]?: Asking } = {
  importConnection: { body: { id: 'never', client: 'none', refresh_token: 'rt' } },
  reconnectConnection: { ids: { id: 'nobody' }, body: { refresh_token: 'rt' } },
  resolveConnection: { ids: { id: 'nobody' } },
  labelConnection: { ids: { id: 'nobody' }, body: { labels: { team: 'sales' } } },
  deleteConnection: { ids: { id: 'nobody' } },
  createConnectSession: { body: { client: 'none' } },
  shareConnection: { ids: { id: 'nobody' }, body: { api_key: world.admin.id } },
  revokeLocalRefreshToken: {},
  putProvider: { ids: { id: 'spare' }, body: { token_endpoint: 'https://id.example.org/token' } },
  putClient: { ids: { id: 'spare' }, body: { provider: 'none', client_id: 'c' } },
  rotateClientKey: { ids: { id: 'none' }, body: {} },
  createApiKey: { body: { name: 'spare' } },
  revokeApiKey: {},
  setSource: { ids: { id: world.admin.id, provider: 'none' }, body: { connection: null } },
  trustIdentity: {
    ids: { id: world.admin.id },
    body: { issuer: 'https://issuer.example.org', subject: 's', audience: 'a' },
  },
  untrustIdentity: { ids: { id: world.admin.id, identity: 'idn_none' } },
  adopt: {},
}
/** These tell something, hand out, or begin and end a session of the page, in which each act has its line. */
const NO_ACTS: readonly OperationId[] = ['rejectToken', 'introspect', 'createSession', 'deleteSession']

test('every operation that is no question has its line, with the key that asked', async () => {
  const changing = (Object.keys(OPERATIONS) as OperationId[]).filter((id) => OPERATIONS[id].method !== 'GET')
  assert.deepEqual(
    changing.filter((id) => SEEN[id] === undefined && !NO_ACTS.includes(id)),
    [],
  )
  await world.connect('shared')
  const { id: ours } = (await keep.apiKeys.create({ name: 'spare' })).apiKey
  const { localRefreshToken } = await keep.localRefreshTokens.share('shared', { with: ours })
  for (const id of changing.filter((each) => !NO_ACTS.includes(each))) {
    const before = await newest()
    const ids =
      id === 'revokeApiKey' ? { id: ours } : id === 'revokeLocalRefreshToken' ? { id: localRefreshToken.id } : undefined
    await api.ask(id, { ...SEEN[id], ...(ids === undefined ? {} : { ids }) })
    const [line, ...others] = await lines(`after=${before}`)
    assert.deepEqual([line?.actor.id, others], [world.admin.id, []], id)
    assert.notEqual(line?.outcome, 'open', id)
  }
})

test('what a key has no scope for is refused and written down, once a minute', async () => {
  const before = await newest()
  const { key, id } = await api.key(['token:read'])
  for (let call = 0; call < 3; call += 1) {
    assert.equal(
      (await api.ask('putProvider', { ids: { id: 'x' }, body: { token_endpoint: 'https://x.example/' }, key })).status,
      403,
    )
    assert.equal((await api.ask('listAudit', { key })).status, 403)
  }
  const beyond = await api.key(['keys:write'])
  assert.equal(
    (await api.ask('createApiKey', { body: { name: 'more', scopes: ['admin'] }, key: beyond.key })).status,
    403,
  )
  const reader = await api.key(['connections:read'])
  assert.equal((await api.ask('getToken', { ids: { id: 'shared' }, key: reader.key })).status, 403)
  const found = (await lines(`after=${before}`)).filter(({ act }) => act === 'denied').toReversed()
  assert.deepEqual(
    found.map(({ actor, subject, details, outcome }) => [actor.id, details['operation'], subject, outcome]),
    [
      [id, 'putProvider', 'x', 'forbidden'],
      [id, 'listAudit', null, 'forbidden'],
      [beyond.id, 'createApiKey', null, 'forbidden'],
      [reader.id, 'getToken', 'shared', 'forbidden'],
    ],
  )
})

test('the log is read by keys with scope admin alone, and changed by nobody', async () => {
  const nearly = await api.key(['connections:read', 'connections:write', 'providers:write', 'keys:write'])
  assert.equal((await api.ask('listAudit', { key: nearly.key })).status, 403)
  const before = await newest()
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
    for (const target of ['/v1/audit', `/v1/audit/${before}`]) {
      const { status } = await api.send({ method, target, headers: { authorization: `Bearer ${world.admin.key}` } })
      assert.ok(status === 404 || status === 405, `${method} ${target}: ${status}`)
    }
  assert.equal(await newest(), before)
  assert.deepEqual(
    Object.values(OPERATIONS).filter(({ path, method }) => path.includes('audit') && method !== 'GET'),
    [],
  )
})

test('lines are found by subject and actor, page by page; scripts in them are text, and no secret is', async () => {
  const labels = { note: '<script>alert(1)</script>' }
  const body = { id: 'labelled', client: 'app', refresh_token: 'canary-refresh-token', labels }
  assert.equal((await api.ask('importConnection', { body })).status, 201)
  const [line] = await lines('subject=labelled')
  assert.deepEqual([line?.act, line?.outcome, line?.details['labels']], ['connection.import', 'done', labels])
  const whole = await lines(`actor=${world.admin.id}&limit=1000`)
  const found: Line[] = []
  let query = `actor=${world.admin.id}&limit=3`
  for (let page = 0; page < 30; page += 1) {
    const { body: answer } = readAnswer(await api.ask('listAudit', { query }))
    found.push(...(answer['lines'] as Line[]))
    if (answer['next_before'] === null) break
    query = `actor=${world.admin.id}&limit=3&before=${String(answer['next_before'])}`
  }
  assert.deepEqual(found, whole)
  const all = await api.ask('listAudit', { query: 'limit=1000' })
  assert.match(String(all.headers['content-type']), /^application\/json/)
  assert.doesNotMatch(all.text, /canary-refresh-token|tkk_|tkr_/)
  for (const wrong of ['limit=0', 'after=x', 'before=-1', 'actor=me', `actor=${world.admin.key}`, 'who=me']) {
    const answer = await api.ask('listAudit', { query: wrong })
    assert.equal(answer.status, 400, wrong)
    assert.doesNotMatch(answer.text, /tkk_/)
  }
})

test('a label of 10 MB never gets as far as the log', async () => {
  const before = await newest()
  const labels = { note: 'x'.repeat(10_000_000) }
  const answer = await api.ask('importConnection', { body: { id: 'big', client: 'app', refresh_token: 'rt', labels } })
  assert.equal(answer.status, 413)
  assert.equal(await newest(), before)
})
