import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { DatabaseSync } from 'node:sqlite'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Actor } from '../src/actor.ts'
import type { AuditLine } from '../src/audit.ts'
import type { Tokenkeep } from '../src/tokenkeep.ts'
import { openWorld, type World } from './world.ts'

const CALLER: Actor = { kind: 'api_key', id: 'key_1', identity: null }

/** Of the last lines what was done, to what, and how it ended; oldest first. */
const brief = (lines: readonly AuditLine[]) =>
  lines.toReversed().map(({ act, subject, outcome }) => [act, subject, outcome])
const since = async (keep: Tokenkeep, after: number): Promise<readonly AuditLine[]> => keep.audit.list({ after })
const newest = async (keep: Tokenkeep): Promise<number> => (await keep.audit.list({ limit: 1 }))[0]?.id ?? 0

async function refreshTokenOf(world: World): Promise<string> {
  const { refreshToken } = await world.server.control.seedSession('external', { clientId: 'app' })
  assert.ok(refreshToken !== null)
  return refreshToken
}

suite('every act has its line', () => {
  test('what is done is written down with who did it, to what, and what changed', async () => {
    await using world = await openWorld()
    const { keep } = world
    const [client, provider] = await keep.audit.list()
    assert.deepEqual(
      [provider?.act, provider?.subject, provider?.outcome, provider?.actor],
      ['provider.put', 'external', 'done', { kind: 'library' }],
    )
    const { host } = new URL(world.server.issuer('external'))
    assert.deepEqual((provider?.details['hosts'] as Record<string, string>)['issuer'], host)
    assert.deepEqual(
      [client?.act, client?.details['clientId'], client?.details['tokenEndpointAuthMethod']],
      ['client.put', 'app', 'client_secret_post'],
    )

    const before = await newest(keep)
    const by = keep.by(CALLER)
    const imported = {
      id: 'dealer-42',
      client: 'app',
      refreshToken: await refreshTokenOf(world),
      labels: { team: 'sales', note: '<script>' },
    }
    await by.connections.import(imported)
    await by.connections.reconnect('dealer-42', { refreshToken: await refreshTokenOf(world) })
    const { apiKey } = await by.apiKeys.create({ name: 'reports', scopes: ['token:read'], labels: { team: 'sales' } })
    const { localRefreshToken } = await by.localRefreshTokens.share('dealer-42', { with: apiKey.id })
    await by.localRefreshTokens.revoke(localRefreshToken.id)
    await by.apiKeys.setSource(apiKey.id, 'external', 'dealer-42')
    const trusted = await by.apiKeys.trust(apiKey.id, { issuer: 'https://issuer.example', subject: 'w', audience: 'a' })
    await by.apiKeys.untrust(apiKey.id, trusted.identities[0]?.id ?? '')
    await by.apiKeys.revoke(apiKey.id)
    await by.connectSessions.create({ client: 'app', connection: 'person-1' })
    await by.backUp(join(world.folder, 'backup.db'))
    await by.masterKeys.rotate()
    await by.adopt()
    await by.connections.delete('dealer-42')
    const lines = await since(keep, before)
    assert.deepEqual(brief(lines), [
      ['connection.import', 'dealer-42', 'done'],
      ['connection.reconnect', 'dealer-42', 'done'],
      ['api_key.create', apiKey.id, 'done'],
      ['local_refresh_token.share', 'dealer-42', 'done'],
      ['local_refresh_token.revoke', localRefreshToken.id, 'done'],
      ['api_key.set_source', apiKey.id, 'done'],
      ['api_key.trust', apiKey.id, 'done'],
      ['api_key.untrust', apiKey.id, 'done'],
      ['api_key.revoke', apiKey.id, 'done'],
      ['connect_session.create', 'person-1', 'done'],
      ['backup', null, 'done'],
      ['master_key.rotate', lines.find(({ act }) => act === 'master_key.rotate')?.subject, 'done'],
      ['adopt', null, 'done'],
      ['connection.delete', 'dealer-42', 'done'],
    ])
    assert.ok(lines.every(({ actor, endedAt, at }) => actor.kind === 'api_key' && endedAt !== null && endedAt >= at))
    const details = (act: string) => lines.find((line) => line.act === act)?.details
    assert.deepEqual(details('connection.import')?.['labels'], imported.labels)
    assert.deepEqual(details('api_key.create')?.['scopes'], ['token:read'])
    assert.deepEqual(details('connection.delete'), { revokedUpstream: true })
    assert.deepEqual((await keep.audit.list({ subject: 'dealer-42', actor: 'key_1' })).length, 4)
    assert.deepEqual(await keep.audit.list({ actor: 'command' }), [])
  })

  test('whatever the library can do is an act with a line, or one of those that only read or hand out', () => {
    // Read from the source: a member that is added without a word here fails this.
    const source = readFileSync(new URL('../src/audited.ts', import.meta.url), 'utf8')
    const acts = [...source.matchAll(/\n {6}(\w+): act\(/g), ...source.matchAll(/\n {4}(\w+): act\(/g)].map(
      ([, name]) => name,
    )
    const without = {
      providers: ['get', 'list'],
      clients: ['get', 'list', 'keys', 'jwks'],
      // Of a provider's word, not of an administrator.
      connections: ['get', 'list', 'page', 'overview', 'history', 'logout'],
      // What people and their browsers do with the link that was made.
      connectSessions: ['get', 'byLink', 'begin', 'finish'],
      deviceSignIns: [],
      localRefreshTokens: ['list', 'get'],
      apiKeys: ['get', 'list'],
      masterKeys: ['list'],
    } satisfies Record<string, readonly string[]>
    return openWorld().then(async (world) => {
      await using _ = world
      for (const [part, reading] of Object.entries(without)) {
        const members = Object.keys(world.keep[part as keyof typeof without])
        const unnamed = members.filter((name) => !(reading as readonly string[]).includes(name) && !acts.includes(name))
        assert.deepEqual(unnamed, [], part)
      }
    })
  })

  test('an act that fails is written down with the code of its error', async () => {
    await using world = await openWorld()
    const { keep } = world
    const before = await newest(keep)
    await assert.rejects(() => keep.connections.delete('nobody'), { code: 'unknown_connection' })
    await assert.rejects(() => keep.connections.import({ id: 'a b', client: 'app' }), {
      code: 'invalid_input',
    })
    await assert.rejects(() => keep.connections.import(null as never))
    await assert.rejects(() => keep.masterKeys.remove('none'))
    const lines = await since(keep, before)
    assert.deepEqual(brief(lines).slice(0, 2), [
      ['connection.delete', 'nobody', 'unknown_connection'],
      ['connection.import', null, 'invalid_input'],
    ])
    assert.equal(lines.length, 4)
    assert.ok(lines.every(({ outcome }) => outcome !== 'open' && outcome !== 'done'))
  })

  test('a refusal for lack of a scope is one line a minute', async () => {
    await using world = await openWorld()
    const { keep, clocks } = world
    const before = await newest(keep)
    const { audit } = keep.by(CALLER)
    for (let call = 0; call < 5; call += 1) await audit.denied('putProvider', 'external')
    await audit.denied('listAudit')
    clocks.forward(61_000)
    await audit.denied('putProvider', 'external')
    assert.deepEqual(brief(await since(keep, before)), [
      ['denied', 'external', 'forbidden'],
      ['denied', null, 'forbidden'],
      ['denied', 'external', 'forbidden'],
    ])
  })

  test('a question that cannot be meant is refused', async () => {
    await using world = await openWorld()
    for (const [query, words] of [
      [{ limit: 0 }, /limit/],
      [{ after: -1 }, /after/],
      [{ before: 0.5 }, /before/],
      [{ actor: `tkk_${'canary'.repeat(7)}x` }, /actor/],
      [{ subject: 'x'.repeat(201) }, /subject/],
    ] as const)
      await assert.rejects(
        () => world.keep.audit.list(query),
        (error: unknown) => error instanceof Error && words.test(error.message) && !error.message.includes('canary'),
      )
  })
})

suite('no secret', () => {
  test('no token, key or secret is in a line, also where it was given in a wrong place', async () => {
    await using world = await openWorld()
    const { keep } = world
    const refreshToken = await refreshTokenOf(world)
    await keep.connections.import({ id: 'a', client: 'app', refreshToken })
    const { key, apiKey } = await keep.apiKeys.create({ name: 'x' })
    const { refreshToken: local } = await keep.localRefreshTokens.share('a', { with: apiKey.id })
    const { link } = await keep.connectSessions.create({ client: 'app', connection: 'b' })
    await assert.rejects(() => keep.apiKeys.revoke(key))
    await assert.rejects(() => keep.localRefreshTokens.revoke(local))
    await assert.rejects(() => keep.apiKeys.setSource(key, key, local))
    await keep.connections
      .import({ id: 'c', client: 'app', refreshToken: await refreshTokenOf(world), labels: { note: key } })
      .catch(() => undefined)
    await assert.rejects(() =>
      keep.providers.put({ id: 'x', tokenEndpoint: `https://user:${refreshToken}@example.org/` }),
    )
    const text = JSON.stringify(await keep.audit.list({ limit: 1000 }))
    for (const secret of [...world.secrets, refreshToken, key, local, link])
      assert.ok(!text.includes(secret), secret.slice(0, 5))
    const sql = new DatabaseSync(world.path)
    const stored = JSON.stringify(sql.prepare('SELECT * FROM audit').all())
    sql.close()
    for (const secret of [...world.secrets, refreshToken, key, local, link])
      assert.ok(!stored.includes(secret), secret.slice(0, 5))
  })

  test('a label of 10 MB is refused, and not repeated', async () => {
    await using world = await openWorld()
    const { keep } = world
    const labels = { note: 'x'.repeat(10_000_000) }
    await assert.rejects(
      async () =>
        keep.connections.import({ id: 'a', client: 'app', refreshToken: await refreshTokenOf(world), labels }),
      { code: 'invalid_input' },
    )
    const [line] = await keep.audit.list({ limit: 1 })
    assert.deepEqual([line?.outcome, Object.keys(line?.details ?? {})], ['invalid_input', ['too_long']])
  })
})

suite('no act without its line', () => {
  test('where the database does not take the line nothing is done', async () => {
    await using world = await openWorld()
    const { keep } = world
    await world.connect('a')
    const refuse = new DatabaseSync(world.path)
    refuse.exec(`CREATE TRIGGER no_lines BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END`)
    refuse.close()
    await assert.rejects(() => keep.connections.delete('a'))
    const again = new DatabaseSync(world.path)
    again.exec('DROP TRIGGER no_lines')
    again.close()
    assert.equal((await keep.connections.get('a')).status, 'ready', 'it was not deleted')
  })

  test('while somebody else holds the lock for too long, an act is refused with store_unavailable and was not done', async () => {
    await using world = await openWorld()
    const { keep } = world
    await world.connect('a')
    const other = new DatabaseSync(world.path)
    other.exec('BEGIN IMMEDIATE')
    await assert.rejects(() => keep.apiKeys.create({ name: 'x' }), {
      code: 'store_unavailable',
      message: /^nothing was done, because the audit log cannot be written: .*lock for too long/,
    })
    other.exec('COMMIT')
    other.close()
    assert.deepEqual(await keep.apiKeys.list(), [])
    assert.ok((await keep.token('a')).accessToken !== '')
  })

  test('after a close an act is refused as everything else is', async () => {
    await using world = await openWorld()
    const another = await world.reopen()
    await another.close()
    await assert.rejects(() => another.apiKeys.create({ name: 'x' }), { code: 'closed' })
  })

  test('the line of a process that was killed in the middle of an act says that it is open', async () => {
    await using world = await openWorld()
    await world.connect('a')
    await world.server.control.addFault({
      fault: { kind: 'delay', ms: 20_000 },
      when: 'before',
      times: 1,
      endpoint: 'revoke',
    })
    const script = fileURLToPath(new URL('audit-child.ts', import.meta.url))
    const child = spawn(
      process.execPath,
      ['--conditions=tokenkeep-source', '--disable-warning=ExperimentalWarning', script],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    )
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    const keyFile = join(world.folder, 'config', 'test.key')
    // The provider does not answer, so that it is killed in the middle of it.
    child.stdin.end(`${JSON.stringify({ path: world.path, keyFile, id: 'a' })}\n`)
    let line: AuditLine | undefined
    for (let look = 0; look < 2_000 && line === undefined; look += 1) {
      await new Promise((resolve) => setTimeout(resolve, 5))
      line = (await world.keep.audit.list({ limit: 1, actor: 'library', subject: 'a' })).find(
        ({ act }) => act === 'connection.delete',
      )
    }
    child.kill('SIGKILL')
    await gone
    assert.ok(line !== undefined)
    const [after] = await world.keep.audit.list({ limit: 1 })
    assert.equal(after?.act, 'connection.delete')
    assert.equal(after.outcome, 'open')
    assert.equal(after.endedAt, null)
  })
})
