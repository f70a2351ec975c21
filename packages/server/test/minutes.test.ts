import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { openApiWorld } from './api-world.ts'
import { readAnswer } from './contract.ts'

const api = await openApiWorld()
after(() => api[Symbol.asyncDispose]())
const { world, keep } = api

await world.connect('sale-1', {}, { labels: { team: 'sales' } })
await world.connect('case-1', {}, { labels: { team: 'support', note: '<script>alert(1)</script>' } })

interface HandOut {
  readonly minute: string
  readonly api_key: string
  readonly identity: string | null
  readonly connection: string | null
  readonly count: number
}

async function handOuts(query = '', key?: string): Promise<readonly HandOut[]> {
  const answer = await api.ask('listHandOuts', { query, ...(key === undefined ? {} : { key }) })
  assert.equal(answer.status, 200, answer.text)
  return readAnswer(answer).body['hand_outs'] as readonly HandOut[]
}
const inAll = (found: readonly HandOut[], apiKey: string, connection: string): number =>
  found
    .filter((each) => each.api_key === apiKey && each.connection === connection)
    .reduce((sum, { count }) => sum + count, 0)

test('each way to a token counts for the key that asked: the API, the proxy, the drop-in; and no refusal counts', async () => {
  const reader = await api.key(['token:read', 'proxy'])
  for (let call = 0; call < 3; call += 1) await api.ask('getToken', { ids: { id: 'sale-1' }, key: reader.key })
  const limited = await api.key(['token:read'], { team: 'sales' })
  await api.ask('getToken', { ids: { id: 'sale-1' }, key: limited.key })
  await api.ask('getToken', { ids: { id: 'case-1' }, key: limited.key })
  const shared = await world.share('case-1', reader)
  assert.equal((await world.refresh(reader, shared)).status, 200)
  const proxied = await api.send({
    target: '/v1/proxy/case-1/x',
    headers: { authorization: `Bearer ${reader.key}`, 'tokenkeep-base-url': 'https://nowhere.example' },
  })
  assert.ok(proxied.status >= 400, 'without a base URL of the provider nothing is sent')
  await keep.token('case-1')

  const found = await handOuts()
  assert.equal(inAll(found, reader.id, 'sale-1'), 3)
  assert.equal(inAll(found, reader.id, 'case-1'), 1)
  assert.equal(inAll(found, limited.id, 'sale-1'), 1)
  assert.equal(inAll(found, limited.id, 'case-1'), 0)
  assert.equal(inAll(found, 'library', 'case-1'), 1)
  assert.equal(inAll(await handOuts(`api_key=${reader.id}&connection=case-1`), reader.id, 'case-1'), 1)
  assert.deepEqual(
    (await handOuts(`api_key=${limited.id}`)).map(({ api_key, connection }) => [api_key, connection]),
    [[limited.id, 'sale-1']],
  )
})

test('a key that is limited by labels sees the hand-outs of its connections, and of no other', async () => {
  const seer = await api.key(['connections:read', 'token:read'], { team: 'sales' })
  await api.ask('getToken', { ids: { id: 'sale-1' } })
  await api.ask('getToken', { ids: { id: 'case-1' } })
  const found = await handOuts('', seer.key)
  assert.ok(found.length > 0)
  assert.deepEqual([...new Set(found.map(({ connection }) => connection))], ['sale-1'])
  const other = await api.ask('listHandOuts', { query: 'connection=case-1', key: seer.key })
  const none = await api.ask('listHandOuts', { query: 'connection=never-there', key: seer.key })
  assert.deepEqual([other.status, none.status], [404, 404])
  assert.equal(other.text.replaceAll('case-1', 'never-there'), none.text)
  const refreshes = await api.ask('getRefreshes', { key: seer.key })
  assert.equal(refreshes.status, 403)
  assert.match(refreshes.text, /all connections of a provider/)
})

test('pages of hand-outs follow each other by their cursor', async () => {
  const all = await handOuts()
  const found: HandOut[] = []
  let cursor = ''
  for (let page = 0; page < 20; page += 1) {
    const { body } = readAnswer(await api.ask('listHandOuts', { query: `limit=1${cursor}` }))
    found.push(...(body['hand_outs'] as HandOut[]))
    if (body['next_cursor'] === null) break
    cursor = `&cursor=${String(body['next_cursor'])}`
  }
  assert.deepEqual(found, all)
})

test('refreshes are told as series of one length, with zeros where there were none', async () => {
  await world.connectExpired('expired-1')
  await api.ask('getToken', { ids: { id: 'expired-1' } })
  const to = new Date(Date.now() + 3_600_000).toISOString()
  const from = new Date(Date.now() - 3_600_000).toISOString()
  const { body } = readAnswer(await api.ask('getRefreshes', { query: `from=${from}&to=${to}&step=300` }))
  const starts = body['starts'] as readonly string[]
  const [of] = body['providers'] as readonly Readonly<Record<string, readonly (number | null)[]>>[]
  assert.ok(starts.length === 24 || starts.length === 25, String(starts.length))
  for (const name of ['granted', 'unavailable', 'refused', 'in_doubt', 'blocked', 'needs_user', 'p50_ms', 'p95_ms'])
    assert.equal(of?.[name]?.length, starts.length, name)
  assert.equal(of?.['provider'], 'external')
  assert.ok((of?.['granted'] ?? []).some((count) => Number(count) > 0))
  assert.equal((of?.['granted'] ?? [])[0], 0)
  assert.equal((of?.['p95_ms'] ?? [])[0], null)
  const nobody = readAnswer(await api.ask('getRefreshes', { query: 'provider=nobody' }))
  assert.deepEqual([nobody.body['providers'], (nobody.body['starts'] as string[]).length], [[], 60])
})

test('a query that cannot be meant is refused, and says which part is wrong', async () => {
  for (const [operation, query, words] of [
    ['listHandOuts', 'limit=0', /limit/],
    ['listHandOuts', 'limit=1001', /limit/],
    ['listHandOuts', 'from=yesterday', /from/],
    ['listHandOuts', 'api_key=%3Cscript%3E', /api_key is the id of an API key/],
    ['listHandOuts', `api_key=${world.admin.key}`, /api_key/],
    ['listHandOuts', 'cursor=x', /cursor/],
    ['listHandOuts', `connection=${'x'.repeat(201)}`, /connection/],
    ['listHandOuts', 'who=me', /who/],
    ['listHandOuts', 'from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', /from is before to/],
    ['getRefreshes', 'step=61', /step/],
    ['getRefreshes', 'step=0', /step/],
    ['getRefreshes', 'from=2020-01-01T00:00:00Z&step=60', /1500 at most/],
    ['getRefreshes', 'provider=..%2F..', /provider/],
  ] as const) {
    const answer = await api.ask(operation, { query })
    assert.equal(answer.status, 400, `${query}: ${answer.text}`)
    assert.match(answer.text, words)
    assert.doesNotMatch(answer.text, /script|tkk_/)
  }
})
