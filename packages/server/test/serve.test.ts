import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startDevserver, type Devserver } from '@tokenkeep/devserver'
import { openTokenkeep } from '@tokenkeep/node'
import { errorAnswer, openDesk, type Desk, type Ended } from './command.ts'

const REALM = 'external'
const CLIENT_SECRET = 'canary-client-secret'
const fixture = (name: string): string => fileURLToPath(new URL(`../../node/test/fixtures/${name}`, import.meta.url))

interface Serving {
  readonly url: string
  readonly data: string
  readonly ended: Promise<Ended>
  kill(signal: NodeJS.Signals): void
  /** Waits for a line of the log with this message. */
  logged(message: string): Promise<void>
}

suite('tokenkeep serve', { concurrency: 2 }, () => {
  let server: Devserver
  let desk: Desk
  let key: string
  /** What no line of any server may hold. */
  const secrets: string[] = [CLIENT_SECRET]

  before(async () => {
    desk = openDesk()
    server = await startDevserver({
      realms: [{ name: REALM, clients: [{ clientId: 'app', clientSecret: CLIENT_SECRET }] }],
    })
    await using keep = await open()
    await keep.providers.put({ id: 'ext', preset: 'keycloak', issuer: server.issuer(REALM), reuse: { kind: 'strict' } })
    await keep.clients.put({ id: 'app', provider: 'ext', clientId: 'app', clientSecret: CLIENT_SECRET })
    key = (await keep.apiKeys.create({ name: 'test', scopes: ['admin'] })).key
    secrets.push(key)
  })

  after(async () => {
    await server.close()
    desk.close()
    for (const secret of secrets) assert.ok(!desk.printed().includes(secret), 'a secret was printed')
  })

  const place = (): { data: string; keyFile: string } => ({
    data: join(desk.folder, 'kept'),
    keyFile: join(desk.folder, 'master.key'),
  })
  const open = () =>
    openTokenkeep({ path: join(place().data, 'tokenkeep.db'), keyFile: place().keyFile, background: false })

  const serve = async (...args: readonly string[]): Promise<Serving> => {
    const { data, keyFile } = place()
    const where = ['--data', data, '--key-file', keyFile]
    const { child, line, ended } = desk.start(['serve', '--port', '0', '--json', ...where, ...args])
    let log = ''
    child.stderr?.on('data', (text: string) => (log += text))
    const ready = JSON.parse(await line(() => true)) as { ready: boolean; url: string; data: string }
    assert.equal(ready.ready, true)
    return {
      url: ready.url,
      data: ready.data,
      ended,
      kill: (signal) => void child.kill(signal),
      logged: async (message) => {
        while (!log.includes(`"msg":"${message}"`)) await once(child.stderr!, 'data')
      },
    }
  }

  const ask = (url: string, path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`${url}${path}`, { ...init, headers: { authorization: `Bearer ${key}`, ...init.headers } })

  /** A connection that has to be refreshed before it can be handed out. */
  const importSignIn = async (id: string): Promise<string> => {
    const { refreshToken, sessionId } = await server.control.seedSession(REALM, { clientId: 'app' })
    assert.ok(refreshToken)
    secrets.push(refreshToken)
    await using keep = await open()
    await keep.connections.import({ id, client: 'app', refreshToken })
    return sessionId
  }

  const lines = ({ err }: Ended): readonly Record<string, unknown>[] =>
    err
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)

  test('a signal: who waits for a refresh that is on its way is answered, then it ends with 0', async () => {
    const sessionId = await importSignIn('on-its-way')
    const { url, kill, logged, ended, data } = await serve()
    assert.equal(data, place().data)
    assert.equal((await ask(url, '/readyz')).status, 200)
    await server.control.addFault({ fault: { kind: 'delay', ms: 1500 }, when: 'after', times: 1, sessionId })
    const waiting = [1, 2, 3].map(() => ask(url, '/v1/connections/on-its-way/token'))
    while ((await server.control.counters(REALM, sessionId)).arrivals === 0) await new Promise((r) => setTimeout(r, 20))
    kill('SIGTERM')
    await logged('stopping')
    const answers = await Promise.all(waiting)
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200],
    )
    for (const answer of answers) {
      const { access_token } = (await answer.json()) as { access_token: string }
      secrets.push(access_token)
      const { status } = await fetch(server.demoApi, { headers: { authorization: `Bearer ${access_token}` } })
      assert.equal(status, 200)
    }
    const { code, signal } = await ended
    assert.deepEqual([code, signal], [0, null])
    const { refreshes, secondPresentations } = await server.control.counters(REALM, sessionId)
    assert.deepEqual([refreshes, secondPresentations], [1, 0])
    await using keep = await open()
    assert.deepEqual((await keep.connections.get('on-its-way')).status, 'ready')
  })

  test('after a signal nobody new is let in, and SIGINT is as orderly as SIGTERM', async () => {
    const sessionId = await importSignIn('nobody-new')
    const { url, kill, logged, ended } = await serve()
    await server.control.addFault({ fault: { kind: 'delay', ms: 1500 }, when: 'after', times: 1, sessionId })
    const waiting = ask(url, '/v1/connections/nobody-new/token')
    while ((await server.control.counters(REALM, sessionId)).arrivals === 0) await new Promise((r) => setTimeout(r, 20))
    kill('SIGINT')
    await logged('stopping')
    const { hostname, port } = new URL(url)
    const isOpen = async (): Promise<boolean> => {
      const socket = connect(Number(port), hostname)
      try {
        await once(socket, 'connect')
        return true
      } catch (error) {
        // Reset: it stood in the queue of the kernel when the socket that listened was closed.
        assert.match((error as { code?: string }).code ?? '', /^ECONN(REFUSED|RESET)$/)
        return false
      } finally {
        socket.destroy()
      }
    }
    while (await isOpen()) await new Promise((r) => setTimeout(r, 10))
    assert.equal((await waiting).status, 200)
    assert.equal((await ended).code, 0)
  })

  test('while it drains what lives is handed out and no refresh begins, and a second signal ends it at once', async () => {
    await importSignIn('drained')
    const sessionId = await importSignIn('too-late')
    const { url, kill, logged, ended } = await serve('--drain-seconds', '60')
    assert.equal((await ask(url, '/v1/connections/drained/token')).status, 200)
    kill('SIGTERM')
    await logged('stopping')
    assert.equal((await ask(url, '/readyz')).status, 503)
    assert.equal((await ask(url, '/healthz')).status, 200)
    assert.equal((await ask(url, '/v1/connections/drained/token')).status, 200)
    assert.equal((await ask(url, '/v1/connections/too-late/token')).status, 503)
    assert.equal((await server.control.counters(REALM, sessionId)).arrivals, 0)
    kill('SIGTERM')
    const { code, signal } = await ended
    assert.deepEqual([code, signal], [null, 'SIGTERM'])
  })

  test('a second signal does not wait for a provider that hangs', async () => {
    const sessionId = await importSignIn('hanging')
    const { url, kill, logged, ended } = await serve()
    await server.control.addFault({ fault: { kind: 'delay', ms: 20_000 }, when: 'before', times: 1, sessionId })
    const waiting = ask(url, '/v1/connections/hanging/token')
    waiting.catch(() => undefined)
    while ((await server.control.counters(REALM, sessionId)).arrivals === 0) await new Promise((r) => setTimeout(r, 20))
    kill('SIGTERM')
    await logged('stopping')
    kill('SIGTERM')
    assert.equal((await ended).signal, 'SIGTERM')
    await assert.rejects(waiting)
  })

  test('calls that waited while the server was frozen are answered when it goes on, and so are the next ones', async () => {
    await importSignIn('frozen')
    const { url, kill, ended } = await serve()
    const call = async (): Promise<number> => (await ask(url, '/v1/connections/frozen/token')).status
    assert.equal(await call(), 200)
    kill('SIGSTOP')
    const waiting = Array.from({ length: 20 }, call)
    // Twice the delay of the event loop that is too much.
    await new Promise((r) => setTimeout(r, 2_000))
    kill('SIGCONT')
    const statuses = new Set(await Promise.all(waiting))
    const until = Date.now() + 1_000
    while (Date.now() < until) statuses.add(await call())
    assert.deepEqual([...statuses], [200])
    kill('SIGTERM')
    assert.equal((await ended).code, 0)
  })

  test('an empty folder becomes a database, and the first key is explained', async () => {
    const data = join(desk.folder, 'made here')
    const environment = { TOKENKEEP_DATA: data, TOKENKEEP_PORT: '0' }
    const { child, line, ended } = desk.start(['serve'], { environment })
    const first = await line((text) => text.startsWith('Tokenkeep serves at '))
    const command = await line((text) => text.includes('key create'))
    assert.equal(command.trim(), 'tokenkeep key create --name ops --scope admin')
    assert.ok(existsSync(join(data, 'tokenkeep.db')))
    const url = first.slice('Tokenkeep serves at '.length)
    assert.equal((await ask(url, '/v1/providers')).status, 401)
    child.kill('SIGTERM')
    const { code, out } = await ended
    assert.equal(code, 0)
    assert.match(out, /The database was made just now\. Keep a copy of its key/)
  })

  test('a port in use is said, with the way out', async () => {
    const { url, kill, ended } = await serve()
    const { data, keyFile } = place()
    const args = ['serve', '--port', new URL(url).port, '--json', '--data', data, '--key-file', keyFile]
    const second = await desk.run([...args, '--log-level', 'silent'])
    const { code, message } = errorAnswer(second)
    assert.deepEqual([second.code, code], [6, 'in_use'])
    assert.match(message, /--port/)
    kill('SIGTERM')
    assert.equal((await ended).code, 0)
  })

  test('mistakes in the configuration are told together, and nothing is made', async () => {
    const data = join(desk.folder, 'never made')
    writeFileSync(join(desk.folder, 'wrong.json'), '{"secret": "canary-in-file", "cacheBytes": "much"}')
    const args = ['serve', '--data', data, '--config', 'wrong.json', '--host', '0.0.0.0', '--port', 'canary-port']
    const environment = { TOKENKEEP_LOG_LEVEL: 'canary-level' }
    const { code, out, err } = await desk.run(args, { environment })
    assert.deepEqual([code, out], [2, ''])
    const [head, ...mistakes] = err.trimEnd().split('\n')
    assert.equal(head, 'tokenkeep: the configuration has 5 mistakes, so nothing was started:')
    for (const [at, says] of [
      /^- "secret" in .*wrong\.json is refused/,
      /^- --port must be/,
      /^- "cacheBytes" in .*wrong\.json must be/,
      /^- TOKENKEEP_LOG_LEVEL must be/,
      /^- --host opens the server/,
    ].entries()) {
      assert.match(mistakes[at] ?? '', says)
    }
    assert.doesNotMatch(err, /canary/)
    assert.ok(!existsSync(data))
    const asJson = await desk.run([...args, '--json'], { environment })
    assert.equal(errorAnswer(asJson).code, 'invalid_input')
    const elsewhere = await desk.run(['serve', '--data', data, '--url', 'http://127.0.0.1:1', '--json'])
    assert.deepEqual([elsewhere.code, errorAnswer(elsewhere).code], [2, 'invalid_input'])
    const one = await desk.run(['serve', '--data', data, '--port', '-1'])
    assert.equal(one.err, 'tokenkeep: --port must be a whole number from 0 to 65535.\n')
  })

  test('with a certificate it speaks https', async () => {
    const tls = [
      '--tls-cert-file',
      fixture('localhost-certificate.pem'),
      '--tls-key-file',
      fixture('localhost-key.pem'),
    ]
    const { url, kill, ended } = await serve(...tls)
    assert.match(url, /^https:/)
    const ca = readFileSync(fixture('localhost-certificate.pem'))
    const { port } = new URL(url)
    const asking = request({ host: '127.0.0.1', servername: 'localhost', port, path: '/healthz', ca }).end()
    const [response] = (await once(asking, 'response')) as [import('node:http').IncomingMessage]
    assert.equal(response.statusCode, 200)
    response.resume()
    kill('SIGTERM')
    assert.equal((await ended).code, 0)
  })

  test('plain http beyond this machine is warned of, unless https is spoken before it', async () => {
    for (const [args, warned] of [
      [['--host', '0.0.0.0', '--allowed-host', 'keep.local'], true],
      [['--host', '0.0.0.0', '--public-url', 'https://keep.example.org'], false],
      [[], false],
    ] as const) {
      const { kill, ended } = await serve(...args)
      kill('SIGTERM')
      const log = lines(await ended)
      assert.equal(
        log.some(({ level, msg }) => level === 'warn' && String(msg).startsWith('plain http')),
        warned,
      )
    }
  })

  test('the log is JSON, tells what a person may have to do something about, and holds no secret at any level', async () => {
    const sessionId = await importSignIn('logged')
    const { url, kill, logged, ended } = await serve('--log-level', 'debug')
    const wrong = `tkk_${'canarywrongkey'.padEnd(43, '0')}`
    secrets.push(wrong, 'canary-in-query', 'canary-in-body')
    const first = await ask(url, '/v1/connections/logged/token')
    const { access_token } = (await first.json()) as { access_token: string }
    secrets.push(access_token)
    await logged('refreshed')
    await ask(url, '/v1/connections/logged/token', { headers: { authorization: `Bearer ${wrong}` } })
    await ask(url, '/v1/connections?cursor=canary-in-query')
    await ask(url, '/v1/connections', {
      method: 'POST',
      body: '{"canary-in-body',
      headers: { 'content-type': 'application/json' },
    })
    await server.control.killSession(REALM, sessionId)
    await ask(url, '/v1/connections/logged/rejected', {
      method: 'POST',
      body: JSON.stringify({ access_token }),
      headers: { 'content-type': 'application/json' },
    })
    await logged('an API refused its access token')
    await ask(url, '/v1/connections/logged/token', { headers: { prefer: 'wait=1' } })
    await logged('refused, to be confirmed')
    kill('SIGTERM')
    const log = lines(await ended)
    assert.deepEqual(log.map(({ level, msg, event, connection }) => [level, msg, event, connection]).slice(0, 2), [
      ['info', 'serving', undefined, undefined],
      ['debug', 'refreshed', 'refreshed', 'logged'],
    ])
    const suspected = log.find(({ event }) => event === 'suspect')
    assert.deepEqual([suspected?.['level'], suspected?.['provider']], ['warn', 'ext'])
    assert.deepEqual(
      log.slice(-2).map(({ msg }) => msg),
      ['stopping', 'stopped'],
    )
  })
})
