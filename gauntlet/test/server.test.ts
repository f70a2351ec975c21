import assert from 'node:assert/strict'
import test from 'node:test'
import { startServer, type AuthorizationServer } from '../server.ts'

const IN_GRACE = { kind: 'grace', seconds: 60 } as const

async function present(server: AuthorizationServer, refreshToken: string): Promise<Response> {
  return fetch(server.tokenEndpoint, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: server.clientId,
      client_secret: server.clientSecret,
      refresh_token: refreshToken,
    }),
  })
}
const bodyOf = async (response: Response): Promise<Record<string, unknown>> =>
  (await response.json()) as Record<string, unknown>
const callApi = async ({ api }: AuthorizationServer, token: unknown): Promise<number> =>
  (await fetch(api, { headers: { authorization: `Bearer ${String(token)}` } })).status

test('a second presentation of a refresh token is counted and ends the login, with the tokens of the first', async () => {
  await using server = await startServer({ reuse: { kind: 'strict' }, accessTokenSeconds: 60, latencyMs: 0 })
  const { refreshToken } = server.logins.signIn('alice', 0)
  const granted = await bodyOf(await present(server, refreshToken))
  assert.equal(await callApi(server, granted['access_token']), 200)
  const again = await present(server, refreshToken)
  assert.equal(again.status, 400)
  assert.deepEqual(await bodyOf(again), { error: 'invalid_grant' })
  assert.deepEqual(server.logins.counters('alice'), { refreshes: 1, secondPresentations: 1, killed: true })
  assert.equal(await callApi(server, granted['access_token']), 401)
  assert.equal((await present(server, String(granted['refresh_token']))).status, 400)
})

test('of four presentations at one time one is granted, and the login is ended all the same', async () => {
  await using server = await startServer({ reuse: { kind: 'strict' }, accessTokenSeconds: 60, latencyMs: 5 })
  const { refreshToken } = server.logins.signIn('alice', 0)
  const answers = await Promise.all([1, 2, 3, 4].map(() => present(server, refreshToken)))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 400, 400, 400])
  assert.equal(server.logins.counters('alice').killed, true)
})

test('another login is not touched by it', async () => {
  await using server = await startServer({ reuse: { kind: 'strict' }, accessTokenSeconds: 60, latencyMs: 0 })
  const { refreshToken } = server.logins.signIn('alice', 0)
  const bob = server.logins.signIn('bob', 60_000)
  for (const status of [200, 400]) assert.equal((await present(server, refreshToken)).status, status)
  assert.equal(await callApi(server, bob.accessToken), 200)
  assert.equal((await present(server, bob.refreshToken)).status, 200)
})

test('within grace a second presentation is answered and counted, and both answers are good', async () => {
  await using server = await startServer({ reuse: IN_GRACE, accessTokenSeconds: 60, latencyMs: 0 })
  const { refreshToken } = server.logins.signIn('alice', 0)
  const answers = [await bodyOf(await present(server, refreshToken)), await bodyOf(await present(server, refreshToken))]
  assert.deepEqual(server.logins.counters('alice'), { refreshes: 2, secondPresentations: 1, killed: false })
  for (const answer of answers) {
    assert.equal(await callApi(server, answer['access_token']), 200)
    assert.equal((await present(server, String(answer['refresh_token']))).status, 200)
  }
})

test('an answer that is lost has spent the refresh token', async () => {
  await using server = await startServer({ reuse: { kind: 'strict' }, accessTokenSeconds: 60, latencyMs: 0 })
  const { refreshToken } = server.logins.signIn('alice', 0)
  server.order('alice', { kind: 'lost' })
  await assert.rejects(present(server, refreshToken))
  assert.equal(server.logins.counters('alice').refreshes, 1)
  assert.equal((await present(server, refreshToken)).status, 400)
})

test('a server that is out spends nothing, says when to come again, and is out once for each order', async () => {
  await using server = await startServer({ reuse: { kind: 'strict' }, accessTokenSeconds: 60, latencyMs: 0 })
  const { refreshToken } = server.logins.signIn('alice', 0)
  server.order('alice', { kind: 'refused', status: 429, retryAfterSeconds: 2 })
  server.order('alice', { kind: 'odd', how: 'html' })
  const refused = await present(server, refreshToken)
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [429, '2'])
  const page = await present(server, refreshToken)
  assert.deepEqual([page.status, page.headers.get('content-type')], [200, 'text/html'])
  assert.equal(server.logins.counters('alice').refreshes, 0)
  assert.equal((await present(server, refreshToken)).status, 200)
})

test('orders that are forgotten are not carried out', async () => {
  await using server = await startServer({ reuse: { kind: 'strict' }, accessTokenSeconds: 60, latencyMs: 0 })
  const { refreshToken } = server.logins.signIn('alice', 0)
  server.order('alice', { kind: 'refused', status: 503 })
  server.forgetOrders()
  assert.equal((await present(server, refreshToken)).status, 200)
})

test('an answer without a refresh token leaves the old one good', async () => {
  await using server = await startServer({ reuse: { kind: 'strict' }, accessTokenSeconds: 60, latencyMs: 0 })
  const { refreshToken } = server.logins.signIn('alice', 0)
  server.order('alice', { kind: 'odd', how: 'no_refresh_token' })
  assert.equal('refresh_token' in (await bodyOf(await present(server, refreshToken))), false)
  assert.equal((await present(server, refreshToken)).status, 200)
  assert.equal(server.logins.counters('alice').secondPresentations, 0)
})

test('whoever is not its client is refused, and so is what is too long', async () => {
  await using server = await startServer({ reuse: { kind: 'strict' }, accessTokenSeconds: 60, latencyMs: 0 })
  const { refreshToken } = server.logins.signIn('alice', 0)
  const send = async (form: Record<string, string>): Promise<unknown> =>
    bodyOf(await fetch(server.tokenEndpoint, { method: 'POST', body: new URLSearchParams(form) }))
  const form = { grant_type: 'refresh_token', refresh_token: refreshToken }
  assert.deepEqual(await send(form), { error: 'invalid_client' })
  assert.deepEqual(await send({ ...form, state: 'x'.repeat(20_000) }), { error: 'invalid_request' })
  assert.equal(server.logins.counters('alice').refreshes, 0)
})
