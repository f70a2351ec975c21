import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { createControlClient } from '@tokenkeep/devserver'
import type { ConnectionInfo } from '@tokenkeep/core'
import { answer, errorAnswer, type Desk, type Started } from './command.ts'
import { deskFor, DEV, eventOf, readyOf } from './dev-desk.ts'

const READY_MS_MAX = 10_000
const IDS = ['dealer-42', 'dealer-43', 'dealer-44']

interface Line {
  readonly ready?: true
  readonly type?: string
  readonly name?: string
  readonly ok?: boolean
  readonly detail?: string
}

// With nothing of this file beside it: what others take of the machine says nothing about it.
test('dev is ready within 10 s', async (t) => {
  const desk = deskFor(t)
  const began = Date.now()
  const dev = desk.start([...DEV, '--json'])
  await readyOf(dev)
  assert.ok(Date.now() - began < READY_MS_MAX)
  dev.child.kill('SIGTERM')
  assert.equal((await dev.ended).code, 0)
})

// Each of them mostly waits, but for its start.
suite('tokenkeep dev', { concurrency: 3 }, () => {
  test('dev serves a second terminal, ends without a trace, and goes on where it was', async (t) => {
    const desk = deskFor(t)
    const first = desk.start([...DEV, '--json'])
    const ready = await readyOf(first)
    assert.deepEqual(Object.keys(ready), [
      'ready',
      'authorizationServer',
      'controlUrl',
      'demoApi',
      'data',
      'connections',
      'url',
      'page',
      'tokenEndpoint',
      'apiKey',
      'clientId',
      'clientSecret',
      'refreshToken',
    ])
    assert.deepEqual(ready.connections, IDS)
    assert.match(ready.authorizationServer, /^http:\/\/127\.0\.0\.1:\d+\/realms\/external$/)
    assert.ok(existsSync(join(desk.folder, '.tokenkeep', 'dev.key')))

    // A second terminal: no option, no variable.
    const { out, err } = await desk.run(['token', 'dealer-42'])
    assert.equal(err, '')
    const offers = await fetch(ready.demoApi, { headers: { authorization: `Bearer ${out.trim()}` } })
    assert.equal(offers.status, 200)
    const before = await list(desk)
    assert.deepEqual(
      before.map(({ id, status }) => [id, status]),
      [...IDS, 'machine'].map((id) => [id, 'ready']),
    )

    const refreshed = await eventOf(first, (event) => event.type === 'refreshed' && event.connection === 'dealer-42')
    assert.ok(refreshed.type === 'refreshed' && refreshed.rotated)
    const status = JSON.parse(await first.line((line) => line.includes('"type":"status"'))) as {
      connection: string
      calls: { ok: number; failed: number }
    }
    assert.ok(status.calls.ok > 0)
    assert.equal(status.calls.failed, 0)

    const children = childrenOf(first)
    first.child.kill('SIGTERM')
    const ended = await first.ended
    assert.deepEqual([ended.code, ended.err], [0, ''])
    await gone(ready.controlUrl, children)

    const second = desk.start([...DEV, '--json'])
    const again = await readyOf(second)
    const after = await list(desk)
    for (const [at, { uid, generation }] of after.entries()) {
      assert.equal(uid, before[at]?.uid)
      assert.ok(generation >= (before[at]?.generation ?? Infinity))
    }
    await eventOf(second, (event) => event.type === 'refreshed' && event.connection === 'dealer-42')
    const counted = await createControlClient(again.controlUrl).sessions('external')
    for (const { subject, secondPresentations, killed } of counted) {
      assert.deepEqual([secondPresentations, killed], [0, false], subject)
    }

    // However dev ends, the authorization server ends with it.
    const childrenAgain = childrenOf(second)
    second.child.kill('SIGKILL')
    await second.ended
    await gone(again.controlUrl, childrenAgain)
  })

  test('dev tells people what to try, and the request by hand works and disturbs none of the three', async (t) => {
    const desk = deskFor(t)
    const dev = desk.start([...DEV, '--data', 'my data'])
    const curl = await dev.line((line) => line.includes('token dealer-42'))
    assert.match(curl, /npx --no -- tokenkeep --data '\.\/my data' token dealer-42/)
    await dev.line((line) => line.startsWith('What Tokenkeep does for you, by hand'))
    const url = /curl (\S+) \\/.exec(await dev.line((line) => line.startsWith('  curl http')))?.[1] ?? ''
    const form = new URLSearchParams()
    for (const name of ['grant_type', 'client_id', 'scope']) {
      const line = await dev.line((each) => each.includes(`-d ${name}=`))
      for (const [, key = '', value = ''] of line.matchAll(/-d (\w+)=(\S+)/g)) form.set(key, value)
    }
    assert.deepEqual([...form.keys()], ['grant_type', 'client_id', 'client_secret', 'scope', 'refresh_token'])
    const response = await fetch(url, { method: 'POST', body: form })
    assert.equal(response.status, 200)
    assert.equal(((await response.json()) as { scope: string }).scope, 'dealer-api')
    await dev.line((line) => /dealer-44 +ready +token ends in .* [1-9]\d* calls ok +0 failed/.test(line))
    // Whoever reads its output is gone.
    dev.child.stdout?.destroy()
    const ended = await dev.ended
    assert.deepEqual([ended.code, ended.err], [0, ''])
  })

  test('dev ends and says so when its authorization server ends by itself', async (t) => {
    const desk = deskFor(t)
    const dev = desk.start([...DEV, '--json'])
    const { controlUrl } = await readyOf(dev)
    await dev.line((line) => line.includes('"type":"status"'))
    await createControlClient(controlUrl).shutdown()
    const ended = await dev.ended
    assert.equal(ended.code, 5)
    assert.match(ended.err, /"code":"unavailable".*authorization server ended by itself/)
  })

  test('a sign-in that ended at the server is renewed when dev starts again', async (t) => {
    const desk = deskFor(t)
    const first = desk.start([...DEV, '--json'])
    const control = createControlClient((await readyOf(first)).controlUrl)
    const sessions = await control.sessions('external')
    const dealer = sessions.find(({ subject }) => subject === 'dealer-43')
    await control.killSession('external', dealer?.sessionId ?? '')
    first.child.kill('SIGINT')
    assert.equal((await first.ended).code, 0)

    const second = desk.start([...DEV, '--json'])
    await readyOf(second)
    const event = await eventOf(second, ({ type }) => type === 'connection_reconnected')
    assert.equal('connection' in event && event.connection, 'dealer-43')
    second.child.kill('SIGTERM')
    assert.equal((await second.ended).code, 0)
  })

  test('a port in use, a folder that cannot be made, and a missing devserver are told with the way out', async (t) => {
    const desk = deskFor(t)
    const squatter = createServer().listen(0, '127.0.0.1')
    t.after(() => squatter.close())
    await new Promise((resolve) => squatter.once('listening', resolve))
    const address = squatter.address()
    assert.ok(typeof address === 'object' && address !== null)
    const taken = await desk.run(['dev', '--port', '0', '--as-port', String(address.port), '--json'])
    assert.deepEqual([taken.code, errorAnswer(taken).code], [6, 'in_use'])
    assert.match(errorAnswer(taken).message, new RegExp(`port ${address.port} on 127.0.0.1 is in use.*--as-port`))

    const unusable = await desk.run([...DEV, '--json', '--data', '/dev/null/x'])
    assert.deepEqual([unusable.code, errorAnswer(unusable).code], [6, 'folder_unusable'])

    const hide =
      `import{registerHooks}from'node:module';registerHooks({resolve(s,c,n){` +
      `if(s==='@tokenkeep/devserver')throw Object.assign(new Error(),{code:'ERR_MODULE_NOT_FOUND'});return n(s,c)}})`
    const environment = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hide)}` }
    const missing = await desk.run([...DEV, '--json'], { environment })
    assert.deepEqual([missing.code, errorAnswer(missing).code], [2, 'invalid_input'])
    assert.match(errorAnswer(missing).message, /npm install --save-dev @tokenkeep\/devserver/)
  })

  test('the tour of dev --once proves each step by what the server counted, and ends with 0', async (t) => {
    const desk = deskFor(t)
    const { code, out, err } = await desk.run([...DEV, '--once', '--json'])
    assert.deepEqual([code, err], [0, ''], out)
    const lines = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line)
    assert.equal(lines[0]?.ready, true)
    const steps = lines.filter(({ type }) => type === 'step')
    assert.deepEqual(
      steps.map(({ name, ok }) => [name, ok]),
      ['token', 'API call', 'refresh', 'kill -9 and restart', 'reduced scope', 'drop-in', 'delete'].map((name) => [
        name,
        true,
      ]),
    )
    for (const { name, detail } of steps.slice(2, 6)) {
      assert.match(detail ?? '', /the server counted \d+ refresh(es)? and 0 second presentations/, name)
    }
    assert.deepEqual([lines.at(-1)?.type, lines.at(-1)?.ok], ['tour', true])
  })
})

// ---- steps ---------------------------------------------------------------------------------------------------------

const list = async (desk: Desk): Promise<readonly ConnectionInfo[]> =>
  answer<ConnectionInfo[]>(await desk.run(['connection', 'list', '--json']))

/** Process ids, where the system tells them. */
function childrenOf({ child }: Started): readonly number[] {
  const path = `/proc/${child.pid}/task/${child.pid}/children`
  if (!existsSync(path)) return []
  const children = readFileSync(path, 'utf8').trim().split(' ').map(Number)
  assert.ok(children.length > 0)
  return children
}

/** Waits until nobody answers there and the processes are gone. */
async function gone(url: string, processes: readonly number[]): Promise<void> {
  const answers = async (): Promise<boolean> => {
    try {
      await fetch(url)
      return true
    } catch {
      return false
    }
  }
  while ((await answers()) || processes.some((pid) => existsSync(`/proc/${pid}/exe`))) {
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
