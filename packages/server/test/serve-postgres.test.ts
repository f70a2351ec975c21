/** `tokenkeep serve --database` as a process: killed, without its database, and on one that it must not touch. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { freePort, postgresMissing, startPostgres, type PostgresServer } from '@tokenkeep/testpostgres'
import { errorAnswer, openDesk, type Ended } from './command.ts'
import { apiStatus, eventually, lacksPostgres, openInstallation } from './installation.ts'

suite('tokenkeep serve on Postgres', () => {
  let postgres: PostgresServer
  before(async () => {
    if (postgresMissing() === null) postgres = await startPostgres({ fsync: false })
  })
  after(async () => {
    if (postgresMissing() === null) await postgres[Symbol.asyncDispose]()
  })

  test('what was imported is handed out, outlives a kill, and is refreshed once afterwards', async (t) => {
    if (lacksPostgres(t)) return
    const url = await postgres.createDatabase()
    await using here = await openInstallation({ postgres: url })
    const sessionId = await here.importSignIn('dealer-42')
    // By the option, as the variable says it to the commands.
    const first = await here.serve(['--database', url])
    const accessToken = await first.token('dealer-42')
    assert.equal(await apiStatus(here.provider, accessToken), 200)
    first.kill('SIGKILL')
    assert.equal((await first.ended).signal, 'SIGKILL')
    const second = await here.serve()
    assert.equal(await second.token('dealer-42'), accessToken)
    await second.rejected('dealer-42', accessToken)
    const next = await second.token('dealer-42')
    assert.notEqual(next, accessToken)
    assert.equal(await apiStatus(here.provider, next), 200)
    const { refreshes, secondPresentations } = await here.counters(sessionId)
    assert.deepEqual([refreshes, secondPresentations], [2, 0])
    assert.equal(await second.end(), 0)
  })

  test('without its database it hands out what lives, refreshes nothing and says so, until that is back', async (t) => {
    if (lacksPostgres(t)) return
    await using here = await openInstallation({ postgres: await postgres.createDatabase() })
    await here.importSignIn('living', ['--label', 'team=bikes'])
    const limited = await here.prepare<{ id: string; key: string }>([
      'key',
      'create',
      '--name',
      'x',
      '--label',
      'team=bikes',
    ])
    const shared = await here.prepare<{ refreshToken: string }>(['connection', 'share', 'living', '--with', limited.id])
    for (const secret of [limited.key, shared.refreshToken]) here.secrets.add(secret)
    const sessionId = await here.importSignIn('ended')
    const server = await here.serve()
    const accessToken = await server.token('living')
    /** As a program whose key has a label, and as an OAuth client that knows nothing of Tokenkeep. */
    const others = async (): Promise<readonly unknown[]> => {
      const byLabel = await fetch(`${server.url}/v1/connections/living/token`, {
        headers: { authorization: `Bearer ${limited.key}` },
      })
      const byDropIn = await fetch(`${server.url}/realms/ext/protocol/openid-connect/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'refresh_token',
          client_id: limited.id,
          client_secret: limited.key,
          refresh_token: shared.refreshToken,
        }),
      })
      const answers = await Promise.all([byLabel, byDropIn].map((each) => each.json() as Promise<object>))
      return answers.map((each) => ('access_token' in each ? each.access_token : each))
    }
    assert.deepEqual(await others(), [accessToken, accessToken])
    const readiness = async () => {
      const response = await server.ask('/readyz')
      return [response.status, await response.text()] as const
    }
    await postgres.stop('fast')
    try {
      await eventually('it is not ready', async () => (await readiness())[0] === 503)
      const [, problem] = await readiness()
      assert.match(problem, /"code":"store_unavailable"/)
      // Longer than a key is believed while the database answers.
      for (const until = performance.now() + 2_000; performance.now() < until;) {
        assert.equal(await server.token('living'), accessToken)
        assert.deepEqual(await others(), [accessToken, accessToken])
      }
      assert.equal(await server.refusedToken('ended'), 'store_unavailable')
      assert.equal((await server.ask('/healthz')).status, 200)
      assert.equal((await here.counters(sessionId)).arrivals, 0)
    } finally {
      await postgres.start()
    }
    await eventually('it is ready again', async () => (await readiness())[0] === 200)
    await server.token('ended')
    assert.equal(await server.token('living'), accessToken)
    assert.equal((await here.counters(sessionId)).arrivals, 1)
    assert.equal(await server.end(), 0)
  })

  test('a database that does not answer at the start is said in one sentence, and may be tried again', async (t) => {
    if (lacksPostgres(t)) return
    const desk = openDesk()
    t.after(() => desk.close())
    const port = await freePort()
    const database = `postgres://keeper:canary-pw@127.0.0.1:${port}/tokens`
    for (const args of [
      ['serve', '--port', '0'],
      ['connection', 'list'],
    ]) {
      const { code, out, err } = await desk.run([...args, '--database', database])
      assert.deepEqual([code, out], [5, ''])
      assert.equal(
        err,
        `tokenkeep: cannot open the database 127.0.0.1:${port}/tokens: nothing listens there. Is it running?\n`,
      )
      const asJson = await desk.run([...args, '--database', database, '--json'])
      const { code: name, retryable } = errorAnswer(asJson)
      assert.deepEqual([asJson.code, name, retryable], [5, 'store_unavailable', true])
    }
    assert.doesNotMatch(desk.printed(), /canary/)
  })

  const refused = ({ code, out, err }: Ended, says: RegExp): void => {
    assert.deepEqual([code, out], [6, ''])
    assert.match(err, /^tokenkeep: [^\n]+\n$/)
    assert.match(err, says)
  }

  test('a command that only reads makes nothing in an empty database, and says what does', async (t) => {
    if (lacksPostgres(t)) return
    const desk = openDesk()
    t.after(() => desk.close())
    const url = await postgres.createDatabase()
    refused(await desk.run(['connection', 'list', '--database', url]), /holds no Tokenkeep.*`tokenkeep provider add`/)
    const add = ['provider', 'add', 'x', '--token-endpoint', 'https://x.example/t', '--database', url]
    assert.equal((await desk.run(add)).code, 0)
    assert.equal((await desk.run(['connection', 'list', '--database', url])).code, 0)
  })

  test('a schema of another program and a newer database are left as they are', async (t) => {
    if (lacksPostgres(t)) return
    const url = await postgres.createDatabase()
    await using here = await openInstallation({ postgres: url })
    const { pathname, username } = new URL(url)
    const database = pathname.slice(1)
    await postgres.admin(
      `CREATE SCHEMA theirs AUTHORIZATION ${username}; CREATE TABLE theirs.invoice (id int); INSERT INTO theirs.invoice VALUES (7)`,
      database,
    )
    await postgres.admin('UPDATE tokenkeep.installation SET version = 1000', database)
    const serve = (at: string) =>
      here.desk.run(['serve', '--port', '0', '--database', at], {
        environment: here.environmentOf(),
      })
    refused(await serve(`${url}?schema=theirs`), /tables of another program/)
    refused(await serve(url), /newer/)
    const tables = await postgres.admin(
      `SELECT table_schema || '.' || table_name AS name FROM information_schema.tables WHERE table_schema = 'theirs'`,
      database,
    )
    assert.deepEqual(tables, [{ name: 'theirs.invoice' }])
    assert.deepEqual(await postgres.admin('SELECT id FROM theirs.invoice', database), [{ id: 7 }])
    assert.deepEqual(await postgres.admin('SELECT version FROM tokenkeep.installation', database), [{ version: 1000 }])
  })

  test('a second server with another master key is refused, and takes nothing from the first', async (t) => {
    if (lacksPostgres(t)) return
    await using here = await openInstallation({ postgres: await postgres.createDatabase() })
    const sessionId = await here.importSignIn('dealer-42')
    const first = await here.serve()
    const accessToken = await first.token('dealer-42')
    const other = join(here.desk.folder, 'keys', 'other.key')
    // The key of another installation, which is a whole one.
    const environment = { TOKENKEEP_DATA: join(here.desk.folder, 'elsewhere'), TOKENKEEP_KEY_FILE: other }
    const made = await here.desk.run(['provider', 'add', 'x', '--token-endpoint', 'https://x.example/t'], {
      environment,
    })
    assert.equal(made.code, 0, made.err)
    const second = await here.desk.run(['serve', '--port', '0'], {
      environment: here.environmentOf({ ...here.host, keyFile: other }),
    })
    refused(second, /key/)
    assert.equal((await first.ask('/readyz')).status, 200)
    assert.equal(await first.token('dealer-42'), accessToken)
    await first.rejected('dealer-42', accessToken)
    assert.notEqual(await first.token('dealer-42'), accessToken)
    const { refreshes, secondPresentations } = await here.counters(sessionId)
    assert.deepEqual([refreshes, secondPresentations], [2, 0])
    assert.equal(await first.end(), 0)
    t.diagnostic(second.err.trimEnd())
  })

  test('the password of the database is not in what a server tells people, nor in the command that it recommends', async (t) => {
    if (lacksPostgres(t)) return
    const url = await postgres.createDatabase()
    const { password, port, pathname } = new URL(url)
    const desk = openDesk()
    t.after(() => desk.close())
    const { child, line, ended } = desk.start(['serve', '--port', '0', '--database', url, '--log-level', 'debug'])
    const where = await line((text) => text.includes('database'))
    assert.match(where, new RegExp(`127\\.0\\.0\\.1:${port}${pathname}`))
    const command = await line((text) => text.includes('key create'))
    assert.equal(command.trim(), 'tokenkeep --database URL key create --name ops --scope admin')
    child.kill('SIGTERM')
    assert.equal((await ended).code, 0)
    assert.ok(!desk.printed().includes(password))
  })
})
