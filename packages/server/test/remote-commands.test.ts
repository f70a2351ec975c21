import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Client, ConnectionInfo, HistoryEntry, Provider } from '@tokenkeep/core'
import { openBothWays, REALM, WAYS, type BothWays, type Way } from './both-ways.ts'
import type { HereOptions } from './command-here.ts'
import { answer, errorAnswer, type Ended } from './command.ts'

interface TokenAnswer {
  readonly access_token: string
  readonly token_type: string
  readonly expires_in: number
  readonly scope: string
}

suite('every command asks a server as it asks a data folder', () => {
  let both: BothWays
  const secrets: string[] = []
  before(async () => {
    both = await openBothWays()
    secrets.push(both.key)
  })
  after(async () => {
    const printed = both.printed()
    await both.close()
    for (const secret of secrets) assert.ok(!printed.includes(secret), 'a secret was printed')
  })

  const on = (way: Way, args: readonly string[], options?: HereOptions): Promise<Ended> =>
    both.command(way, args, options)
  const remote = (args: readonly string[], options?: HereOptions): Promise<Ended> =>
    on('server', [...args, '--json'], options)
  /** What both ways print, which is the same to the letter. */
  const same = async (args: readonly string[]): Promise<Ended> => {
    const [folder, server] = [await on('folder', args), await on('server', args)]
    assert.deepEqual(server, folder, args.join(' '))
    return server
  }
  const sameJson = async <Shape>(...args: readonly string[]): Promise<Shape> => {
    const [folder, server] = [answer(await on('folder', [...args, '--json'])), answer<Shape>(await remote(args))]
    assert.deepEqual(server, folder, args.join(' '))
    return server
  }
  const seed = async (): ReturnType<BothWays['seed']> => {
    const session = await both.seed()
    secrets.push(session.refreshToken)
    return session
  }
  const offers = async (accessToken: string): Promise<number> =>
    (await fetch(both.provider.demoApi, { headers: { authorization: `Bearer ${accessToken}` } })).status

  test('hand-outs are listed for whom they were: the command on the folder, the key at the server', async () => {
    await both.keep('counted-1')
    const { id: key } = (await sameJson<{ id: string }[]>('key', 'list'))[0] ?? assert.fail('there is no key')
    for (const way of WAYS) assert.equal((await on(way, ['token', 'counted-1'])).code, 0)
    // What the server's process counted is written when it is asked.
    await remote(['hand-outs'])
    const found = await sameJson<{ caller: string; connection: string; count: number }[]>(
      ...['hand-outs', '--connection', 'counted-1'],
    )
    assert.deepEqual(found.map(({ caller, connection, count }) => [caller, connection, count]).toSorted(), [
      ['command', 'counted-1', 1],
      [key, 'counted-1', 1],
    ])
    const { out } = await same([
      'hand-outs',
      '--connection',
      'counted-1',
      '--caller',
      'command',
      '--from',
      '2020-01-01',
    ])
    assert.match(out, /MINUTE.*CALLER.*HAND-OUTS\n.*command +- +counted-1 +1\n$/)
    const [act, ...more] = await sameJson<{ act: string; outcome: string; actor: { kind: string } }[]>(
      ...['audit', '--subject', 'counted-1'],
    )
    assert.deepEqual([act?.act, act?.outcome, act?.actor.kind, more], ['connection.import', 'done', 'command', []])
    assert.match((await same(['audit', '--limit', '1'])).out, /^ID +AT +WHO +DID .*\n\d+ .*\n$/)
    assert.match((await same(['audit', '--subject', 'nobody'])).out, /no such acts/)
    for (const way of WAYS)
      assert.equal(errorAnswer(await on(way, ['audit', '--actor', both.key, '--json'])).code, 'invalid_input')
    assert.match((await same(['hand-outs', '--to', '2020-01-01T00:00:00Z'])).out, /no such hand-outs/)
    for (const args of [
      ['--from', 'yesterday'],
      ['--limit', '0'],
      ['--caller', both.key],
    ])
      for (const way of WAYS)
        assert.equal(errorAnswer(await on(way, ['hand-outs', ...args, '--json'])).code, 'invalid_input', args[0])
  })

  test('providers are added with every setting, listed and shown', async () => {
    const settings = [
      ...['--issuer', 'https://id.example.org/realms/x', '--token-endpoint', 'https://id.example.org/token'],
      ...['--revocation-endpoint', 'https://id.example.org/revoke'],
      ...['--introspection-endpoint', 'https://id.example.org/introspect', '--narrowing', 'sticks'],
      ...['--refresh-kills-access-token', '--access-token-lifetime', '90.5', '--refresh-token-idle', '86400'],
      ...['--refresh-endpoint', 'https://id.example.org/refresh', '--auth-method', 'client_secret_post'],
      ...['--refresh-token-absolute', '15552000', '--json-requests', '--parameter', 'a=b', '--header', 'X-V=1'],
      ...[
        '--sign',
        'rejected=gone',
        '--sign',
        'rejected=403:over',
        '--sign',
        'unavailable=403:',
        '--sign',
        'in-doubt=x',
      ],
      ...['--tokens-in', 'data', '--words-in', 'reason', '--requests-per-minute', '30', '--concurrency', '4'],
      ...['--api-base-url', 'https://api.example.org/v1', '--api-base-url', 'https://b.example.org'],
    ]
    for (const reuse of ['strict', 'reusable', 'unknown', 'counted:3', 'grace:1.5', 'grace:30', 'grace:30:any']) {
      const adding = ['provider', 'add', 'full', ...settings, '--reuse', reuse]
      const added = await remote(adding)
      if (reuse === 'grace:1.5') {
        assert.equal(added.code, 2)
        continue
      }
      assert.deepEqual(answer(added), await sameJson<Provider>('provider', 'show', 'full'))
      const { revision: _, ...byServer } = answer<Provider>(added)
      const { revision: __, ...byFolder } = answer<Provider>(await on('folder', [...adding, '--json']))
      assert.deepEqual(byServer, byFolder)
    }
    const full = await sameJson<Provider>('provider', 'show', 'full')
    assert.deepEqual(full.words.rejected, ['gone', { status: 403, word: 'over' }])
    assert.deepEqual([full.words.unavailable, full.words.inDoubt], [[{ status: 403 }], ['x']])
    assert.deepEqual([full.request.encoding, full.request.parameters], ['json', { a: 'b' }])
    assert.deepEqual([full.requestsPerMinute, full.concurrency], [30, 4])
    assert.deepEqual([full.answer.tokensIn, full.answer.words], [['data'], ['reason']])
    const listed = await sameJson<Provider[]>('provider', 'list')
    assert.deepEqual(
      listed.map(({ id }) => id),
      ['ext', 'full'],
    )
    assert.match((await same(['provider', 'show', 'full'])).out, /^access token lives +90 s$/m)
    assert.match((await same(['provider', 'list'])).out, /^full +- +https/m)
  })

  test('what is known about providers is listed, and all about one of them shown with its sources', async () => {
    const { out } = await same(['provider', 'presets'])
    assert.match(out, /^slack +Slack \(token rotation\) +ends the sign-in +documented$/m)
    assert.match((await same(['provider', 'presets', 'slack'])).out, /https:\/\/docs\.slack\.dev\//)
    const shown = await sameJson<{ reuse: { value: unknown; source: readonly string[] } }>(
      'provider',
      'presets',
      'xero',
    )
    assert.deepEqual(shown.reuse.value, { kind: 'grace', seconds: 1800, winner: 'newest' })
    assert.match((await same(['provider', 'presets', 'moon'])).err, /no such preset; there are atlassian, auth0/)
    for (const name of ['google', 'slack', 'github-app']) {
      const adding = ['provider', 'add', name, '--preset', name]
      assert.deepEqual(answer(await remote(adding)), await sameJson<Provider>('provider', 'show', name))
    }
    const entra = ['provider', 'add', 'entra', '--preset', 'entra', '--variable', 'tenant=example.org']
    assert.match(answer<Provider>(await remote(entra)).tokenEndpoint ?? '', /\/example\.org\/oauth2/)
    await remote(['client', 'add', 'google', '--provider', 'google', '--client-id', 'c', '--client-secret-stdin'], {
      input: 'canary-google-secret',
    })
    const clients = await sameJson<Client[]>('client', 'list')
    assert.equal(clients.find(({ id }) => id === 'google')?.tokenEndpointAuthMethod, 'client_secret_post')
  })

  test('a provider of which nothing but a preset is said gets what the preset says', async () => {
    const adding = ['provider', 'add', 'bare', '--preset', 'keycloak', '--issuer', 'https://id.example.org/realms/y']
    assert.deepEqual(answer(await remote(adding)), await sameJson<Provider>('provider', 'show', 'bare'))
  })

  test('clients are added and listed', async () => {
    const secret = 'canary-other-secret'
    secrets.push(secret)
    const adding = ['client', 'add', 'other', '--provider', 'ext', '--client-id', 'app']
    const method = ['--auth-method', 'client_secret_post', '--client-secret-stdin']
    const added = answer<Client>(await remote([...adding, ...method], { input: `${secret}\n` }))
    assert.equal(added.tokenEndpointAuthMethod, 'client_secret_post')
    assert.deepEqual(
      (await sameJson<Client[]>('client', 'list')).find(({ id }) => id === 'other'),
      added,
    )
    assert.match((await same(['client', 'list'])).out, /^other +ext +app +client_secret_post$/m)
  })

  test('a whole token response is imported, its token is handed out, narrowed and full', async () => {
    const { accessToken, expiresIn, refreshToken, refreshExpiresIn, scope } = await seed()
    const response = {
      access_token: accessToken,
      expires_in: expiresIn,
      refresh_token: refreshToken,
      refresh_expires_in: refreshExpiresIn,
      token_type: 'Bearer',
      scope,
    }
    const importing = ['connection', 'import', 'whole/ü', '--client', 'app', '--token-response-stdin']
    const said = ['--subject', 'someone', '--label', 'team=bikes', '--label', 'note=a=b c']
    const imported = answer<ConnectionInfo>(await remote([...importing, ...said], { input: JSON.stringify(response) }))
    assert.deepEqual(
      [imported.id, imported.status, imported.subject, imported.labels, imported.scope],
      ['whole/ü', 'ready', 'someone', { team: 'bikes', note: 'a=b c' }, scope],
    )
    assert.ok(Math.abs((imported.accessTokenExpiresAt ?? 0) - Date.now() - expiresIn * 1000) < 5000)
    assert.deepEqual(imported, await sameJson<ConnectionInfo>('connection', 'show', 'whole/ü'))
    assert.deepEqual((await same(['token', 'whole/ü'])).out, `${accessToken}\n`)

    const answers = new Map<Way, TokenAnswer>()
    for (const way of WAYS) {
      const asking = ['token', 'whole/ü', '--scope', 'dealer-api', '--min-ttl', '1', '--wait', '5', '--json']
      answers.set(way, answer<TokenAnswer>(await on(way, asking)))
    }
    const [folder, server] = [answers.get('folder'), answers.get('server')]
    assert.ok(folder !== undefined && server !== undefined)
    assert.deepEqual({ ...server, expires_in: 0 }, { ...folder, expires_in: 0 })
    assert.ok(Math.abs(server.expires_in - folder.expires_in) <= 2, 'rounded down once more, and a moment later')
    assert.deepEqual(Object.keys(server), Object.keys(folder))
    assert.equal(await offers((await on('server', ['token', 'whole/ü'])).out.trim()), 200)
  })

  test('history, introspection and a refused token', async () => {
    const { sessionId } = await both.keep('used')
    const { out: refused } = await on('server', ['token', 'used'])
    const history = await sameJson<HistoryEntry[]>('connection', 'history', 'used')
    assert.deepEqual(
      history.map(({ outcome, why }) => [outcome, why]),
      [['granted', 'fresh']],
    )
    await same(['connection', 'history', 'used', '--limit', '1'])
    assert.deepEqual(await sameJson('connection', 'introspect', 'used'), { id: 'used', result: 'active' })
    const rejecting = ['connection', 'rejected', 'used']
    assert.deepEqual(answer(await remote(rejecting, { input: refused })), {
      id: 'used',
      current: true,
      still_refused: false,
    })
    const { out: next } = await on('server', ['token', 'used'])
    assert.notEqual(next, refused)
    assert.deepEqual(answer(await remote(rejecting, { input: refused })), {
      id: 'used',
      current: false,
      still_refused: false,
    })
    await both.provider.control.revokeAccessToken(next.trim())
    assert.deepEqual(answer(await remote(['connection', 'introspect', 'used'])), { id: 'used', result: 'inactive' })
    assert.equal((await both.provider.control.counters(REALM, sessionId)).secondPresentations, 0)
  })

  test('a refused refresh token is presented once more at once where an operator says so', async () => {
    const { sessionId } = await both.keep('looked-at')
    await both.provider.control.addFault({ fault: { kind: 'invalid_grant' }, when: 'before', times: 1, sessionId })
    assert.equal(errorAnswer(await remote(['token', 'looked-at', '--wait', '1'])).code, 'suspect')
    const resolved = answer<ConnectionInfo>(await remote(['connection', 'resolve', 'looked-at']))
    assert.deepEqual([resolved.status, resolved.generation], ['ready', 2])
    assert.deepEqual(resolved, await sameJson<ConnectionInfo>('connection', 'show', 'looked-at'))
    assert.equal((await both.provider.control.counters(REALM, sessionId)).refreshes, 1)
    const { out } = await remote(['connection', 'resolve', 'looked-at'])
    assert.deepEqual(JSON.parse(out), resolved, 'there is nothing to resolve any more')
    const nobody = await same(['connection', 'resolve', 'nobody', '--json'])
    assert.deepEqual([nobody.code, errorAnswer(nobody).code], [3, 'unknown_connection'])
  })

  test('a dead sign-in is renewed, and a deleted one is revoked at the provider', async () => {
    const { sessionId } = await both.keep('full-life', ['team=bikes'])
    await both.provider.control.killSession(REALM, sessionId)
    const renewed = await seed()
    const reconnecting = ['connection', 'import', 'full-life', '--reconnect', '--refresh-token-stdin']
    const info = answer<ConnectionInfo>(await remote(reconnecting, { input: renewed.refreshToken }))
    assert.deepEqual([info.labels, info.status], [{ team: 'bikes' }, 'ready'])
    assert.equal(await offers((await on('server', ['token', 'full-life'])).out.trim()), 200)
    const other = await seed()
    const asking = [...reconnecting, '--subject', 'a', '--json']
    answer(await on('server', asking, { input: other.refreshToken }))
    const slip = await on('server', [...reconnecting, '--subject', 'b', '--json'], {
      input: (await seed()).refreshToken,
    })
    assert.deepEqual([slip.code, errorAnswer(slip).code], [2, 'invalid_input'])
    const meant = [...reconnecting, '--subject', 'b', '--other-account', '--json']
    answer(await on('server', meant, { input: (await seed()).refreshToken }))

    const deleted = await remote(['connection', 'delete', 'full-life'])
    assert.deepEqual(answer(deleted), { id: 'full-life', revokedUpstream: true })
    await same(['connection', 'show', 'full-life', '--json'])
  })

  test('the session that a sign-in belongs to is kept: a logout event finds the connection by it', async () => {
    const importing = ['connection', 'import', 'in-session', '--refresh-token-stdin']
    const [first, second] = [await seed(), await seed()]
    answer(await remote([...importing, '--client', 'app', '--session-id', 'sid-1'], { input: first.refreshToken }))
    assert.deepEqual(await both.logout('sid-1'), ['in-session'])
    answer(await remote([...importing, '--reconnect', '--session-id', 'sid-2'], { input: second.refreshToken }))
    assert.deepEqual(await both.logout('sid-1'), [])
    assert.deepEqual(await both.logout('sid-2'), ['in-session'])
  })

  test('client credentials need no token', async () => {
    const importing = ['connection', 'import', 'machine', '--client', 'app', '--client-credentials']
    answer(await remote([...importing, '--scope', 'dealer-api']))
    assert.equal(await offers((await on('server', ['token', 'machine'])).out.trim()), 200)
  })

  test('lists are filtered, begin where they are told to, and are the same', async () => {
    for (const id of ['list-a', 'list-b', 'list-ü']) await both.keep(id, ['set=list', 'eq=a=b'])
    const ids = async (...args: readonly string[]): Promise<string[]> =>
      (await sameJson<ConnectionInfo[]>('connection', 'list', '--label', 'set=list', ...args)).map(({ id }) => id)
    assert.deepEqual(await ids(), ['list-a', 'list-b', 'list-ü'])
    assert.deepEqual(await ids('--label', 'eq=a=b', '--status', 'ready', '--provider', 'ext'), await ids())
    assert.deepEqual(await ids('--label', 'eq=a'), [])
    assert.deepEqual(await ids('--limit', '2'), ['list-a', 'list-b'])
    assert.deepEqual(await ids('--after', 'list-b'), ['list-ü'])
    assert.deepEqual(await ids('--after', 'list-ü'), [])
    assert.match((await on('server', ['connection', 'list', '--label', 'set=list'])).out, /^list-ü +ready/m)
  })

  test('what goes wrong is told in the same words, with the same members and exit code', async () => {
    const { sessionId } = await both.keep('held')
    const { accessToken } = await seed()
    const ending = ['connection', 'import', 'ended', '--client', 'app', '--access-token-stdin', '--expires-in', '0.1']
    answer(await remote(ending, { input: accessToken }))
    for (const [args, code, exit] of [
      [['token', 'nobody'], 'unknown_connection', 3],
      [['connection', 'show', 'nobody'], 'unknown_connection', 3],
      [['connection', 'delete', 'nobody'], 'unknown_connection', 3],
      [['connection', 'history', 'nobody'], 'unknown_connection', 3],
      [['connection', 'introspect', 'nobody'], 'unknown_connection', 3],
      [['connection', 'shares', 'nobody'], 'unknown_connection', 3],
      [['provider', 'show', 'nobody'], 'unknown_provider', 3],
      [['connection', 'show', 'white space'], 'invalid_input', 2],
      [['provider', 'show', 'no/name'], 'invalid_input', 2],
      [['provider', 'add', 'p', '--issuer', 'http://id.example.org'], 'provider_refused', 2],
      [['provider', 'add', 'p', '--preset', 'moon'], 'invalid_input', 2],
      [['client', 'add', 'c', '--provider', 'nobody', '--client-id', 'c'], 'unknown_provider', 3],
      [['token', 'ended'], 'needs_user', 4],
    ] as const) {
      const ended = await same([...args, '--json'])
      assert.deepEqual([ended.code, errorAnswer(ended).code], [exit, code], args.join(' '))
    }

    const { refreshToken } = await seed()
    writeFileSync(join(both.desk.folder, 'rt'), refreshToken)
    const importing = (id: string, client: string) => [
      ...['connection', 'import', id, '--client', client, '--refresh-token-file', 'rt', '--json'],
    ]
    answer(await on('server', importing('holder', 'app')))
    for (const [args, code] of [
      [importing('holder', 'app'), 'connection_exists'],
      [importing('twin', 'app'), 'refresh_token_held'],
      [importing('x', 'nobody'), 'unknown_client'],
    ] as const) {
      assert.equal(errorAnswer(await same(args)).code, code)
    }

    const fault = { kind: 'status', status: 503, headers: { 'retry-after': '60' } } as const
    await both.provider.control.addFault({ fault, when: 'before', times: 1, sessionId })
    const waiting = await remote(['token', 'held', '--wait', '1'])
    const { code, retryable, retryAt } = errorAnswer(waiting)
    assert.deepEqual([waiting.code, code, retryable], [5, 'unavailable', true])
    assert.ok(retryAt !== null && retryAt > Date.now() + 30_000)
    assert.equal(errorAnswer(await on('folder', ['token', 'held', '--wait', '1', '--json'])).retryAt, retryAt)
  })

  test('a key that may not do it is told so', async () => {
    const made = answer<{ key: string }>(await remote(['key', 'create', '--name', 'reader']))
    const ended = await remote(['provider', 'list'], { environment: { TOKENKEEP_API_KEY: made.key } })
    assert.deepEqual([ended.code, errorAnswer(ended).code], [6, 'forbidden'])
    assert.match(errorAnswer(ended).message, /lacks the scope/)
    const unknown = { TOKENKEEP_API_KEY: `tkk_${'x'.repeat(43)}` }
    const refused = await remote(['provider', 'list'], { environment: unknown })
    assert.deepEqual([refused.code, errorAnswer(refused).code], [6, 'unauthorized'])
  })

  test('the command itself ends as soon as it has its answer, and takes its key from a file', async () => {
    await both.keep('spawned')
    writeFileSync(join(both.desk.folder, 'api-key'), `${both.key}\n`, { mode: 0o600 })
    const named = ['--url', both.url, '--api-key-file', 'api-key']
    const ended = await both.desk.run(['token', 'spawned', ...named])
    assert.deepEqual([ended.code, ended.err], [0, ''])
    assert.equal(await offers(ended.out.trim()), 200)
  })
})
