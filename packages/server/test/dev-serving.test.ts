import assert from 'node:assert/strict'
import { readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import type { TokenkeepEvent } from '@tokenkeep/core'
import { createControlClient } from '@tokenkeep/devserver'
import { answer, errorAnswer, type Started } from './command.ts'
import { deskFor, DEV, eventOf, readyOf, type ReadyLine } from './dev-desk.ts'

const CREDENTIALS = ['apiKey', 'clientId', 'clientSecret', 'refreshToken'] as const
const FIVE_FIELDS = ['access_token', 'expires_in', 'refresh_token', 'token_type', 'scope']

// Each of them mostly waits, but for its start.
suite('tokenkeep dev over HTTP', { concurrency: 3 }, () => {
  test('the two requests that dev prints first are answered as they stand, as often as they are sent', async (t) => {
    const dev = deskFor(t).start([...DEV])
    const printed = await firstCommand(dev)
    assert.match(printed, /^curl -X POST http:\/\/127\.0\.0\.1:\d+\/realms\/external\/protocol\/openid-connect\/token /)
    const form = new URLSearchParams()
    for (const [, name = '', value = ''] of printed.matchAll(/-d (\w+)=(\S+)/g)) form.append(name, value)
    assert.deepEqual([...form.keys()], ['grant_type', 'client_id', 'client_secret', 'refresh_token'])
    const line = await dev.line((each) => each.startsWith('  curl '))
    const [, key = '', oneLine = ''] = /^ {2}curl -H 'Authorization: Bearer (tkk_\S+)' (\S+)$/.exec(line) ?? []
    assert.match(oneLine, /^http:\/\/127\.0\.0\.1:\d+\/v1\/connections\/dealer-42\/token$/)
    const demoApi = /http\S+/.exec(await dev.line((each) => each.startsWith('  API ')))?.[0] ?? ''

    const url = /http\S+/.exec(printed)?.[0] ?? ''
    const answers = await Promise.all([1, 2, 3].map(() => ask(url, form)))
    for (const { status, body } of answers) {
      assert.equal(status, 200)
      assert.deepEqual(Object.keys(body).sort(), [...FIVE_FIELDS].sort())
      assert.equal(body['refresh_token'], form.get('refresh_token'))
      assert.equal(await statusOf(demoApi, String(body['access_token'])), 200)
    }
    const response = await fetch(oneLine, bearer(key))
    assert.equal(response.status, 200)
    assert.equal(((await response.json()) as { token_type: string }).token_type, 'Bearer')
  })

  test('the ready line has what a program needs, and its two keys may as much as they should', async (t) => {
    const dev = deskFor(t).start([...DEV, '--json'])
    const ready = await readyOf(dev)
    assert.equal(ready.tokenEndpoint, `${ready.url}/realms/external/protocol/openid-connect/token`)
    const shared = await ask(ready.tokenEndpoint, formOf(ready))
    assert.deepEqual([shared.status, shared.body['refresh_token']], [200, ready.refreshToken])
    const own = await ask(ready.tokenEndpoint, formOf(ready, 'client_credentials'))
    assert.equal(own.status, 200)
    assert.ok(!('refresh_token' in own.body))
    assert.equal(await statusOf(ready.demoApi, String(own.body['access_token'])), 200)

    assert.equal(await statusOf(`${ready.url}/v1/keys`, ready.apiKey), 200)
    assert.equal(await statusOf(`${ready.url}/v1/connections/dealer-42/token`, ready.clientSecret), 200)
    assert.equal(await statusOf(`${ready.url}/v1/connections`, ready.clientSecret), 403)
    assert.equal(await statusOf(`${ready.url}/v1/connections`, `${ready.apiKey.slice(0, -1)}-`), 401)
    const metrics = await (await fetch(`${ready.url}/metrics`)).text()
    assert.match(metrics, /tokenkeep_hand_outs_total\{by="drop_in",outcome="ok"\} 2/)
    assert.match(metrics, /tokenkeep_refreshes_total\{provider="external",outcome="granted"\} \d/)
    for (const secret of CREDENTIALS) assert.ok(!metrics.includes(ready[secret]), secret)

    // What a program imports and uses is kept alive as well, ahead of the next time that it asks.
    await importSleeper(ready, { accessTokenSeconds: 4 })
    assert.equal(await statusOf(`${ready.url}/v1/connections/sleeper/token`, ready.clientSecret), 200)
    const isRefresh = (event: TokenkeepEvent): boolean => event.type === 'refreshed' && event.connection === 'sleeper'
    await eventOf(dev, isRefresh)
    await eventOf(dev, isRefresh)
  })

  test('a restart prints the same, on other ports, and whoever used it goes on', async (t) => {
    const desk = deskFor(t)
    const first = desk.start([...DEV, '--json'])
    const before = await readyOf(first)
    first.child.kill('SIGKILL')
    await first.ended

    const second = desk.start([...DEV, '--json'])
    const after = await readyOf(second)
    assert.notEqual(after.tokenEndpoint, before.tokenEndpoint)
    for (const member of CREDENTIALS) assert.equal(after[member], before[member], member)
    const { status, body } = await ask(after.tokenEndpoint, formOf(before))
    assert.equal(status, 200)
    assert.equal(await statusOf(after.demoApi, String(body['access_token'])), 200)
    const file = join(desk.folder, '.tokenkeep', 'dev-credentials.json')
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.deepEqual(
      JSON.parse(readFileSync(file, 'utf8')),
      Object.fromEntries(CREDENTIALS.map((name) => [name, after[name]])),
    )
  })

  test('a restart after the data were deleted prints new ones, and the server knows the old ones no more', async (t) => {
    const desk = deskFor(t)
    const first = desk.start([...DEV, '--json'])
    const before = await readyOf(first)
    first.child.kill('SIGTERM')
    await first.ended
    for (const name of ['tokenkeep.db', 'dev.key']) rmSync(join(desk.folder, '.tokenkeep', name))

    const second = desk.start([...DEV, '--json'])
    const after = await readyOf(second)
    for (const member of CREDENTIALS) assert.notEqual(after[member], before[member], member)
    assert.equal((await ask(after.tokenEndpoint, formOf(before))).status, 401)
    assert.equal((await ask(after.tokenEndpoint, formOf(after))).status, 200)
    second.child.kill('SIGTERM')
    assert.deepEqual([(await second.ended).code, (await second.ended).err], [0, ''])
  })

  test('a port in use is told with the way out, and nothing of dev stays behind', async (t) => {
    const desk = deskFor(t)
    const squatter = createServer().listen(0, '127.0.0.1')
    t.after(() => squatter.close())
    await new Promise((resolve) => squatter.once('listening', resolve))
    const address = squatter.address()
    assert.ok(typeof address === 'object' && address !== null)
    const taken = await desk.run(['dev', '--port', String(address.port), '--as-port', '0', '--json'])
    assert.deepEqual([taken.code, errorAnswer(taken).code], [6, 'in_use'])
    assert.match(errorAnswer(taken).message, new RegExp(`port ${address.port} is in use.*--port`))
    // Its authorization server would hold the folder.
    const next = desk.start([...DEV, '--json'])
    assert.equal((await readyOf(next)).ready, true)
  })

  test('a request that waits for a refresh when dev is asked to end gets its token', async (t) => {
    const desk = deskFor(t)
    const dev = desk.start([...DEV, '--json'])
    const ready = await readyOf(dev)
    const { sessionId, control } = await importSleeper(ready, { accessTokenSeconds: 300 })
    const order = { fault: { kind: 'delay', ms: 1500 }, when: 'after', times: 1, sessionId } as const
    await control.addFault(order)
    const waiting = fetch(`${ready.url}/v1/connections/sleeper/token`, bearer(ready.apiKey))
    while ((await control.counters('external', sessionId)).arrivals === 0) await soon()
    dev.child.kill('SIGINT')

    const response = await waiting
    assert.equal(response.status, 200)
    const { access_token: accessToken } = (await response.json()) as { access_token: string }
    assert.ok(accessToken.length > 20)
    assert.deepEqual([(await dev.ended).code, (await dev.ended).err], [0, ''])
    await assert.rejects(fetch(ready.url))

    // The answer was kept, too: it held the only living refresh token.
    const again = desk.start([...DEV, '--json'])
    const { demoApi } = await readyOf(again)
    const { out } = await desk.run(['token', 'sleeper'])
    assert.equal(await statusOf(demoApi, out.trim()), 200)
    const shown = answer<{ generation: number }>(await desk.run(['connection', 'show', 'sleeper', '--json']))
    assert.equal(shown.generation, 2)
  })

  test('a request that waits when the authorization server ends by itself is answered, and dev ends', async (t) => {
    const dev = deskFor(t).start([...DEV, '--json'])
    const ready = await readyOf(dev)
    const { sessionId, control } = await importSleeper(ready, { accessTokenSeconds: 300 })
    await control.addFault({ fault: { kind: 'status', status: 503 }, when: 'before', times: 1000, sessionId })
    // It would wait longer than dev does.
    const headers = { ...bearer(ready.apiKey).headers, prefer: 'wait=100' }
    const waiting = fetch(`${ready.url}/v1/connections/sleeper/token`, { headers })
    while ((await control.counters('external', sessionId)).arrivals === 0) await soon()
    await control.shutdown()

    const response = await waiting
    assert.equal(response.status, 503)
    assert.ok(response.headers.has('retry-after'))
    const ended = await dev.ended
    assert.equal(ended.code, 5)
    assert.match(ended.err, /^[^\n]*authorization server ended by itself[^\n]*\n$/)
    await assert.rejects(fetch(ready.url))
  })
})

// ---- steps ---------------------------------------------------------------------------------------------------------

/** As a shell reads it: lines that end in a backslash go on. */
async function firstCommand(dev: Started): Promise<string> {
  const lines = [await dev.line((line) => line.startsWith('  curl '))]
  while (lines.at(-1)?.endsWith('\\') === true) lines.push(await dev.line(() => true))
  return lines.map((line) => line.replace(/\\$/, '').trim()).join(' ')
}

function formOf({ clientId, clientSecret, refreshToken }: ReadyLine, grantType = 'refresh_token'): URLSearchParams {
  const form = { grant_type: grantType, client_id: clientId, client_secret: clientSecret }
  return new URLSearchParams(grantType === 'refresh_token' ? { ...form, refresh_token: refreshToken } : form)
}

async function ask(url: string, form: URLSearchParams): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(url, { method: 'POST', body: form })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

async function statusOf(url: string, token: string): Promise<number> {
  const response = await fetch(url, bearer(token))
  await response.text()
  return response.status
}

/** A connection that nobody uses but the test. Its first access token has to be fetched. */
async function importSleeper(
  { url, apiKey, controlUrl }: ReadyLine,
  { accessTokenSeconds }: { readonly accessTokenSeconds: number },
) {
  const control = createControlClient(controlUrl)
  const seed = { clientId: 'dealer-app', accessTokenSeconds }
  const { sessionId, refreshToken } = await control.seedSession('external', seed)
  const response = await fetch(`${url}/v1/connections`, {
    method: 'POST',
    headers: { ...bearer(apiKey).headers, 'content-type': 'application/json' },
    body: JSON.stringify({ id: 'sleeper', client: 'dealer-app', refresh_token: refreshToken }),
  })
  assert.equal(response.status, 201, await response.text())
  return { sessionId, control }
}

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20))
