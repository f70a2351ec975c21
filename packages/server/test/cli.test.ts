import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { startDevserver, type Devserver, type SeededSession, type SessionSeed } from '@tokenkeep/devserver'
import type { Client, ConnectionInfo, HistoryEntry, Provider } from '@tokenkeep/core'
import { answer, errorAnswer, openDesk, type Desk } from './command.ts'

const SECRET = 'canary-client-secret'
const REALM = 'external'

interface TokenAnswer {
  readonly access_token: string
  readonly token_type: string
  readonly expires_in: number
  readonly scope: string
}

suite('the command on a data folder', { concurrency: 2 }, () => {
  let server: Devserver
  let desk: Desk
  /** Everything that no command may print; access tokens are what `token` is for. */
  const secrets: string[] = [SECRET]

  before(async () => {
    desk = openDesk()
    server = await startDevserver({ realms: [{ name: REALM, clients: [{ clientId: 'app', clientSecret: SECRET }] }] })
    const provider = ['provider', 'add', 'ext', '--preset', 'keycloak', '--issuer', server.issuer(REALM)]
    answer<Provider>(await desk.run([...provider, '--reuse', 'strict', '--narrowing', 'token_only', '--json']))
    const client = ['client', 'add', 'app', '--provider', 'ext', '--client-id', 'app', '--client-secret-stdin']
    answer<Client>(await desk.run([...client, '--json'], { input: `${SECRET}\n` }))
  })

  after(async () => {
    await server.close()
    desk.close()
    for (const secret of secrets) assert.ok(!desk.printed().includes(secret), 'a secret was printed')
  })

  const seed = async (more: Partial<SessionSeed> = {}): Promise<SeededSession & { refreshToken: string }> => {
    const session = await server.control.seedSession(REALM, { clientId: 'app', ...more })
    assert.ok(session.refreshToken)
    secrets.push(session.refreshToken)
    return { ...session, refreshToken: session.refreshToken }
  }
  const keep = async (id: string, more: Partial<SessionSeed> = {}): Promise<SeededSession> => {
    const session = await seed(more)
    const importing = ['connection', 'import', id, '--client', 'app', '--refresh-token-stdin', '--json']
    answer<ConnectionInfo>(await desk.run(importing, { input: session.refreshToken }))
    return session
  }
  const offers = async (accessToken: string): Promise<number> =>
    (await fetch(server.demoApi, { headers: { authorization: `Bearer ${accessToken}` } })).status

  test('the data and the key lie in the folders of the user, apart from each other', () => {
    assert.ok(existsSync(join(desk.folder, 'data', 'tokenkeep', 'tokenkeep.db')))
    assert.ok(existsSync(join(desk.folder, 'config', 'tokenkeep', 'tokenkeep.key')))
  })

  test('a whole token response is imported, and token prints a token that the API takes, and nothing else', async () => {
    const { accessToken, expiresIn, refreshToken, refreshExpiresIn, scope } = await seed()
    const response = {
      access_token: accessToken,
      expires_in: expiresIn,
      refresh_token: refreshToken,
      refresh_expires_in: refreshExpiresIn,
      token_type: 'Bearer',
      scope,
    }
    const importing = ['connection', 'import', 'whole', '--client', 'app', '--token-response-stdin']
    const labelled = [...importing, '--subject', 'someone', '--label', 'team=bikes', '--label', 'env=test']
    const imported = await desk.run(labelled, { input: JSON.stringify(response) })
    assert.equal(imported.code, 0, imported.err)
    assert.match(imported.out, /^status +ready$/m)

    const printed = await desk.run(['token', 'whole'])
    assert.deepEqual(printed, { code: 0, signal: null, out: `${accessToken}\n`, err: '' })
    assert.equal(await offers(printed.out.trim()), 200)

    const shown = answer<ConnectionInfo>(await desk.run(['connection', 'show', 'whole', '--json']))
    assert.deepEqual(
      [shown.id, shown.status, shown.subject, shown.labels, shown.scope, shown.generation],
      ['whole', 'ready', 'someone', { team: 'bikes', env: 'test' }, scope, 1],
    )
    const found = await desk.run(['connection', 'list', '--label', 'team=bikes', '--status', 'ready', '--json'])
    assert.deepEqual(answer<ConnectionInfo[]>(found), [shown])
    assert.deepEqual(answer(await desk.run(['connection', 'list', '--label', 'team=cars', '--json'])), [])
  })

  test('token --json has the members of a token response; a scope narrows that one token', async () => {
    const { scope, sessionId } = await keep('narrowed')
    const narrow = answer<TokenAnswer>(await desk.run(['token', 'narrowed', '--scope', 'dealer-api', '--json']))
    assert.deepEqual([narrow.token_type, narrow.scope], ['Bearer', 'dealer-api'])
    assert.ok(narrow.expires_in > 250 && narrow.expires_in <= 300)
    const full = answer<TokenAnswer>(await desk.run(['token', 'narrowed', '--min-ttl', '60', '--wait', '5', '--json']))
    assert.deepEqual(new Set(full.scope.split(' ')), new Set(scope.split(' ')))
    assert.equal(await offers(full.access_token), 200)
    const history = answer<HistoryEntry[]>(await desk.run(['connection', 'history', 'narrowed', '--json']))
    assert.deepEqual(
      history.map(({ outcome, generation }) => [outcome, generation]),
      [
        ['granted', 2],
        ['granted', 1],
      ],
    )
    const { refreshes, secondPresentations } = await server.control.counters(REALM, sessionId)
    assert.deepEqual([refreshes, secondPresentations], [2, 0])
  })

  test('a secret comes from a file or a variable, too, and its last line break is no part of it', async () => {
    const [one, two] = [await seed(), await seed()]
    writeFileSync(join(desk.folder, 'refresh-token'), `${one.refreshToken}\r\n`, { mode: 0o600 })
    const importing = (id: string, ...how: readonly string[]) => ['connection', 'import', id, '--client', 'app', ...how]
    const fromFile = await desk.run(importing('from-file', '--refresh-token-file', 'refresh-token'))
    assert.equal(fromFile.code, 0, fromFile.err)
    const fromVariable = await desk.run(importing('from-variable', '--refresh-token-env', 'MINE'), {
      environment: { MINE: two.refreshToken },
    })
    assert.equal(fromVariable.code, 0, fromVariable.err)
    for (const id of ['from-file', 'from-variable']) assert.equal((await desk.run(['token', id])).code, 0)
  })

  test('client credentials need no token', async () => {
    const importing = ['connection', 'import', 'machine', '--client', 'app', '--client-credentials']
    assert.equal((await desk.run([...importing, '--scope', 'dealer-api'])).code, 0)
    const { out } = await desk.run(['token', 'machine'])
    assert.equal(await offers(out.trim()), 200)
  })

  test('a refused token is replaced, a dead sign-in is renewed, and a deleted one is revoked at the provider', async () => {
    const { sessionId } = await keep('full-life')
    const { out: refused } = await desk.run(['token', 'full-life'])
    await server.control.revokeAccessToken(refused.trim())
    assert.deepEqual(answer(await desk.run(['connection', 'introspect', 'full-life', '--json'])), {
      id: 'full-life',
      result: 'inactive',
    })
    const replaced = await desk.run(['token', 'full-life'])
    assert.notEqual(replaced.out, refused)
    assert.equal(await offers(replaced.out.trim()), 200)
    const rejecting = await desk.run(['connection', 'rejected', 'full-life', '--json'], { input: refused })
    assert.deepEqual(answer(rejecting), { id: 'full-life', current: false, still_refused: false })

    await server.control.killSession(REALM, sessionId)
    const renewed = await seed()
    const reconnecting = ['connection', 'import', 'full-life', '--reconnect', '--refresh-token-stdin', '--json']
    answer(await desk.run(reconnecting, { input: renewed.refreshToken }))
    assert.equal(await offers((await desk.run(['token', 'full-life'])).out.trim()), 200)

    const deleted = await desk.run(['connection', 'delete', 'full-life', '--json'])
    assert.deepEqual(answer(deleted), { id: 'full-life', revokedUpstream: true })
    assert.equal((await server.control.counters(REALM, renewed.sessionId)).killedBecause, 'revoked_by_client')
    assert.equal((await desk.run(['connection', 'show', 'full-life'])).code, 3)
  })

  test('lists are tables for people and arrays for programs', async () => {
    const providers = await desk.run(['provider', 'list'])
    assert.match(
      providers.out,
      /^ID +PRESET +ISSUER OR TOKEN ENDPOINT +REUSE\next +keycloak +http\S+ +ends the sign-in\n$/,
    )
    assert.deepEqual(
      answer<Provider[]>(await desk.run(['provider', 'list', '--json'])).map(({ id }) => id),
      ['ext'],
    )
    assert.equal(answer<Provider>(await desk.run(['provider', 'show', 'ext', '--json'])).issuer, server.issuer(REALM))
    const clients = answer<Client[]>(await desk.run(['client', 'list', '--json']))
    assert.deepEqual(
      clients.map(({ id, provider, clientId }) => [id, provider, clientId]),
      [['app', 'ext', 'app']],
    )
    assert.match((await desk.run(['client', 'list'])).out, /^ID +PROVIDER +CLIENT ID/)
  })

  suite('exit codes and errors', { concurrency: 2 }, () => {
    test('3: what is not there', async () => {
      for (const [args, code] of [
        [['token', 'nobody'], 'unknown_connection'],
        [['connection', 'show', 'nobody'], 'unknown_connection'],
        [['connection', 'delete', 'nobody'], 'unknown_connection'],
        [['provider', 'show', 'nobody'], 'unknown_provider'],
        [['connection', 'import', 'x', '--client', 'nobody', '--refresh-token-stdin'], 'unknown_client'],
      ] as const) {
        const ended = await desk.run([...args, '--json'], { input: 'canary' })
        assert.deepEqual([ended.code, errorAnswer(ended).code], [3, code], args.join(' '))
      }
    })

    test('4: only the user can help, and the list says how', async () => {
      const { accessToken } = await seed()
      const importing = [
        'connection',
        'import',
        'ended',
        '--client',
        'app',
        '--access-token-stdin',
        '--expires-in',
        '0.1',
      ]
      assert.equal((await desk.run(importing, { input: accessToken })).code, 0)
      const ended = await desk.run(['token', 'ended', '--json'])
      const { code, reason, retryable } = errorAnswer(ended)
      assert.deepEqual([ended.code, code, reason, retryable], [4, 'needs_user', 'no_refresh_token', false])
      const { out } = await desk.run(['connection', 'list', '--status', 'needs_user'])
      assert.match(out, /^ended +needs its user \(no_refresh_token\)/m)
      assert.match(out, /tokenkeep connection import ended --reconnect --refresh-token-stdin/)
    })

    test('5: the provider asks to wait, and the error says until when', async () => {
      const { sessionId } = await keep('waiting')
      const fault = { kind: 'status', status: 503, headers: { 'retry-after': '60' } } as const
      await server.control.addFault({ fault, when: 'before', times: 1, sessionId })
      const ended = await desk.run(['token', 'waiting', '--wait', '2', '--json'])
      const { code, retryable, retryAt } = errorAnswer(ended)
      assert.deepEqual([ended.code, code, retryable], [5, 'unavailable', true])
      assert.ok(retryAt !== null && retryAt > Date.now() + 30_000)
      assert.match(errorAnswer(ended).message, /At the last try the provider answered with status 503\.$/)
    })

    test('5: a provider that nobody answers for is told apart from one that answers', async () => {
      const closed = createServer().listen(0, '127.0.0.1')
      await once(closed, 'listening')
      const address = closed.address()
      assert.ok(typeof address === 'object' && address !== null)
      closed.close()
      await once(closed, 'close')
      const tokenEndpoint = `http://127.0.0.1:${address.port}/token`
      assert.equal((await desk.run(['provider', 'add', 'gone', '--token-endpoint', tokenEndpoint])).code, 0)
      assert.equal((await desk.run(['client', 'add', 'gone', '--provider', 'gone', '--client-id', 'app'])).code, 0)
      const importing = ['connection', 'import', 'nobody-there', '--client', 'gone', '--refresh-token-stdin']
      assert.equal((await desk.run(importing, { input: 'canary-nobody-there' })).code, 0)
      secrets.push('canary-nobody-there')
      const ended = await desk.run(['token', 'nobody-there', '--wait', '3'])
      assert.equal(ended.code, 5)
      assert.match(ended.err, /At the last try its host refused the connection or was not reached\./)
    })

    test("6: a wrong client secret is the operator's", async () => {
      const client = [
        'client',
        'add',
        'wrong',
        '--provider',
        'ext',
        '--client-id',
        'app',
        '--client-secret-env',
        'WRONG',
      ]
      assert.equal((await desk.run(client, { environment: { WRONG: 'canary-wrong-secret' } })).code, 0)
      const { refreshToken } = await seed()
      const importing = ['connection', 'import', 'blocked', '--client', 'wrong', '--refresh-token-stdin']
      assert.equal((await desk.run(importing, { input: refreshToken })).code, 0)
      const ended = await desk.run(['token', 'blocked'])
      assert.equal(ended.code, 6)
      assert.match(ended.err, /operator/)
      assert.match(ended.err, /At the last try the provider said invalid_client\./)
      secrets.push('canary-wrong-secret')
    })

    test('6: without its key a database is refused, and a wrong folder makes none', async () => {
      for (const [environment, code] of [
        [{ TOKENKEEP_KEY: Buffer.alloc(32, 7).toString('base64') }, 'key_wrong'],
        [{ TOKENKEEP_KEY_FILE: join(desk.folder, 'no.key') }, 'key_missing'],
        [{ TOKENKEEP_DATA: join(desk.folder, 'mistyped') }, 'folder_unusable'],
      ] as const) {
        const ended = await desk.run(['connection', 'list', '--json'], { environment })
        assert.deepEqual([ended.code, errorAnswer(ended).code], [6, code])
      }
      assert.ok(!existsSync(join(desk.folder, 'mistyped')))
    })

    test('6: a database that lost its content is not listed as an empty one, and one out of reach is not called missing', async () => {
      const emptied = join(desk.folder, 'emptied')
      mkdirSync(emptied)
      writeFileSync(join(emptied, 'tokenkeep.db'), '')
      const listed = await desk.run(['connection', 'list', '--json', '--data', emptied])
      assert.deepEqual([listed.code, errorAnswer(listed).code], [6, 'folder_unusable'])
      assert.match(errorAnswer(listed).message, /no Tokenkeep database/)
      assert.equal(statSync(join(emptied, 'tokenkeep.db')).size, 0)

      // Stands for a folder of another user, which root could read.
      const unreachable = join(desk.folder, 'unreachable')
      symlinkSync(unreachable, unreachable)
      const unseen = await desk.run(['connection', 'list', '--json', '--data', unreachable])
      assert.deepEqual([unseen.code, errorAnswer(unseen).code], [6, 'folder_unusable'])
      assert.match(errorAnswer(unseen).message, /cannot be looked into \(ELOOP\)/)
    })

    test('2: an id that exists and a refresh token that is held are refused, and the holder is named', async () => {
      const session = await seed()
      const importing = (id: string) => [
        'connection',
        'import',
        id,
        '--client',
        'app',
        '--refresh-token-stdin',
        '--json',
      ]
      answer(await desk.run(importing('holder'), { input: session.refreshToken }))
      const same = await desk.run(importing('holder'), { input: (await seed()).refreshToken })
      assert.deepEqual([same.code, errorAnswer(same).code], [2, 'connection_exists'])
      const twin = await desk.run(importing('twin'), { input: session.refreshToken })
      assert.deepEqual([twin.code, errorAnswer(twin).code], [2, 'refresh_token_held'])
      assert.match(errorAnswer(twin).message, /"holder"/)
    })
  })

  test('a secret as an argument is refused before anything is opened, and not repeated', async () => {
    secrets.push('canary-argument')
    const args = ['connection', 'import', 'x', '--client', 'app', '--refresh-token', 'canary-argument', '--json']
    const ended = await desk.run(args)
    assert.deepEqual([ended.code, errorAnswer(ended).code], [2, 'invalid_input'])
  })

  test('a reader that has seen enough is no error', async () => {
    const { child, ended } = desk.start(['connection', 'list', '--json'])
    child.stdout?.destroy()
    const { code, err } = await ended
    assert.deepEqual([code, err], [0, ''])
  })

  test('an answer that cannot be written is an error', async () => {
    if (!existsSync('/dev/full')) return // Linux alone has a disk that is always full.
    const { code, err } = await desk.run(['provider', 'list'], { outputTo: '/dev/full' })
    assert.equal(code, 1)
    assert.match(err, /could not be written \(ENOSPC\)/)
  })

  test('a signal ends the waiting, and the refresh on its way is heard out', async () => {
    const { sessionId } = await keep('interrupted')
    const late = { kind: 'delay', ms: 1500 } as const
    await server.control.addFault({ fault: late, when: 'after', times: 1, sessionId })
    const { child, ended } = desk.start(['token', 'interrupted'])
    while ((await server.control.counters(REALM, sessionId)).arrivals === 0) await new Promise((r) => setTimeout(r, 20))
    child.kill('SIGINT')
    const { code, out, err } = await ended
    assert.deepEqual([code, out, err], [130, '', ''])
    const shown = answer<ConnectionInfo>(await desk.run(['connection', 'show', 'interrupted', '--json']))
    assert.deepEqual([shown.status, shown.generation], ['ready', 2])
    assert.equal((await server.control.counters(REALM, sessionId)).secondPresentations, 0)
  })

  test('a second signal ends the command at once', async () => {
    const { sessionId } = await keep('impatient')
    const late = { kind: 'delay', ms: 10_000 } as const
    await server.control.addFault({ fault: late, when: 'before', times: 1, sessionId })
    const { child, ended } = desk.start(['token', 'impatient'])
    while ((await server.control.counters(REALM, sessionId)).arrivals === 0) await new Promise((r) => setTimeout(r, 20))
    child.kill('SIGINT')
    // Both at once would be one: the first must have been heard.
    await new Promise((resolve) => setTimeout(resolve, 200))
    child.kill('SIGINT')
    assert.equal((await ended).signal, 'SIGINT')
  })

  test('help goes to standard output, lists the exit codes, and no option takes a secret', async () => {
    const { code, out } = await desk.run(['--help'])
    assert.equal(code, 0)
    assert.match(out, /4 {2}only the user can go on/)
    const importing = await desk.run(['help', 'connection', 'import'])
    const importHelp = (await desk.run(['connection', 'import', '--help'])).out
    assert.equal(importing.code, 0)
    assert.match(importHelp, /--refresh-token-stdin/)
    assert.doesNotMatch(importHelp, /--(refresh-token|access-token|token-response) </)
    assert.match((await desk.run(['--version'])).out, /^\d+\.\d+\.\d+\n$/)
  })
})
