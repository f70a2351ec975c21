import assert from 'node:assert/strict'
import { chmod, copyFile, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { DatabaseSync } from 'node:sqlite'
import test from 'node:test'
import { inspect } from 'node:util'
import { ms, TokenError, type FailureCode } from '@tokenkeep/core'
import { openTokenkeep, refuseOldNode } from '../src/open.ts'
import { openWorld } from './world.ts'

/** Refused with this code, and a message that says all of these. */
async function refused(
  action: Promise<unknown>,
  code: FailureCode,
  ...says: readonly (string | RegExp)[]
): Promise<void> {
  await assert.rejects(action, (error: unknown) => {
    assert.ok(error instanceof TokenError, String(error))
    assert.equal(error.code, code, error.message)
    for (const part of says)
      assert.match(
        error.message,
        typeof part === 'string' ? new RegExp(part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')) : part,
      )
    return true
  })
}

test('an unknown connection is named, and where to look', async () => {
  await using world = await openWorld()
  await refused(world.keep.token('nobody'), 'unknown_connection', '"nobody"', 'import')
  await refused(world.keep.connections.get('nobody'), 'unknown_connection')
  await refused(world.keep.connections.delete('nobody'), 'unknown_connection')
})

test('a dead connection says why, and how to reconnect; reconnecting revives it', async () => {
  await using world = await openWorld()
  const { sessionId } = await world.connect('dealer-42')
  await world.server.control.killSession('external', sessionId)
  world.clocks.forward(3_600_000)
  const asking = world.keep.token('dealer-42', { waitMs: 5_000 })
  await refused(asking, 'suspect', 'confirmed')
  world.clocks.forward(16_000)
  await refused(world.keep.token('dealer-42', { waitMs: 5_000 }), 'suspect')
  world.clocks.forward(50_000)
  await refused(world.keep.token('dealer-42'), 'needs_user', 'revoked', 'reconnect')
  assert.equal((await world.keep.connections.get('dealer-42')).reason, 'revoked')
  const session = await world.server.control.seedSession('external', { clientId: 'app' })
  await world.keep.connections.reconnect('dealer-42', { refreshToken: session.refreshToken ?? '' })
  const { accessToken } = await world.keep.token('dealer-42')
  assert.equal((await fetch(world.server.demoApi, { headers: { authorization: `Bearer ${accessToken}` } })).status, 200)
})

test('a refresh token that another connection holds is refused, and the holder is named', async () => {
  await using world = await openWorld()
  const { refreshToken } = await world.connect('dealer-42')
  await refused(
    world.keep.connections.import({ id: 'twin', client: 'app', refreshToken }),
    'refresh_token_held',
    '"dealer-42"',
  )
  await refused(world.keep.connections.get('twin'), 'unknown_connection')
})

test('an import over an existing id changes nothing', async () => {
  await using world = await openWorld()
  const { accessToken } = await world.connect('dealer-42')
  await refused(
    world.keep.connections.import({ id: 'dealer-42', client: 'app', refreshToken: 'another' }),
    'connection_exists',
    '"dealer-42"',
    'reconnect',
  )
  assert.equal((await world.keep.token('dealer-42')).accessToken, accessToken)
})

for (const { what, refreshToken, says } of [
  { what: 'empty', refreshToken: '', says: 'empty' },
  { what: 'absurdly long', refreshToken: 'canary'.repeat(200_000), says: 'longer' },
  { what: 'with a line break at its end', refreshToken: 'canary\n', says: 'line break' },
  { what: 'with a control character', refreshToken: 'canary\u0000c', says: 'control characters' },
  { what: 'not ASCII', refreshToken: 'canary-töken', says: 'ASCII' },
]) {
  test(`a refresh token that is ${what} is refused without being shown`, async () => {
    await using world = await openWorld()
    const importing = world.keep.connections.import({ id: 'dealer-1', client: 'app', refreshToken })
    await assert.rejects(importing, (error: unknown) => {
      assert.ok(error instanceof TokenError)
      assert.equal(error.code, 'invalid_input')
      assert.match(error.message, new RegExp(says))
      assert.ok(!inspect(error, { showHidden: true, depth: 10 }).includes('canary'), 'the token is shown')
      return true
    })
    await refused(world.keep.connections.get('dealer-1'), 'unknown_connection')
  })
}

for (const id of [
  '',
  'a'.repeat(201),
  'with space',
  'tab\there',
  'null\u0000',
  '-option',
  '..',
  'zero\u200bwidth',
  7 as unknown as string,
]) {
  test(`the connection id ${JSON.stringify(id).slice(0, 30)} is refused`, async () => {
    await using world = await openWorld()
    await refused(
      world.keep.connections.import({ id, client: 'app', refreshToken: 'abc' }),
      'invalid_input',
      'connection id',
    )
    await refused(world.keep.token(id), 'invalid_input', 'connection id')
  })
}

test('a reconnect with the sign-in of another subject is refused unless it is meant', async () => {
  await using world = await openWorld()
  await world.keep.connections.import({ id: 'dealer-1', client: 'app', refreshToken: 'abc', subject: 'alice' })
  const other = { refreshToken: 'def', subject: 'bob' }
  await refused(world.keep.connections.reconnect('dealer-1', other), 'invalid_input', 'otherAccount')
  assert.equal((await world.keep.connections.get('dealer-1')).subject, 'alice')
  await world.keep.connections.reconnect('dealer-1', { refreshToken: 'ghi', subject: 'alice' })
  const { subject } = await world.keep.connections.reconnect('dealer-1', { ...other, otherAccount: true })
  assert.equal(subject, 'bob')
})

test('an old Node is refused by name, with the one that is needed', () => {
  for (const old of ['18.20.4', '20.20.2', '22.18.0']) {
    assert.throws(() => refuseOldNode(old), { code: 'node_too_old', message: new RegExp(`Node ${old},.* 22\\.19`) })
  }
  for (const enough of ['22.19.0', '22.20.1', '24.0.0', '26.1.0']) refuseOldNode(enough)
})

test('client credentials of a client that has none are refused', async () => {
  await using world = await openWorld()
  await world.keep.clients.put({ id: 'spa', provider: 'external', clientId: 'spa', tokenEndpointAuthMethod: 'none' })
  const machine = { id: 'machine', client: 'spa', grantType: 'client_credentials' } as const
  await refused(world.keep.connections.import(machine), 'invalid_input', 'proves itself by nothing')
  assert.deepEqual(await world.keep.connections.list(), [])
})

test('moments in seconds, unknown grant types, and refresh tokens beside client credentials are refused', async () => {
  await using world = await openWorld()
  const input = { id: 'dealer-1', client: 'app', refreshToken: 'abc' }
  await refused(
    world.keep.connections.import({ ...input, accessToken: 'at', expiresAt: 1_790_000_000 }),
    'invalid_input',
    'milliseconds',
  )
  await refused(
    world.keep.connections.import({ ...input, grantType: 'password' as 'refresh_token' }),
    'invalid_input',
    'grantType',
  )
  await refused(
    world.keep.connections.import({ ...input, grantType: 'client_credentials' }),
    'invalid_input',
    'refresh token',
  )
  await refused(world.keep.connections.import({ id: 'dealer-1', client: 'app' }), 'invalid_input', 'nothing to keep')
  await refused(world.keep.connections.import({ ...input, client: 'nobody' }), 'unknown_client', '"nobody"')
  await world.connect('dealer-7')
  await world.keep.token('dealer-7')
  await refused(world.keep.token('dealer-7', { waitMs: -1 }), 'invalid_input', 'waitMs')
  await refused(world.keep.token('dealer-1', { minTtlMs: -1 }), 'invalid_input', 'minTtlMs')
  await refused(world.keep.token('dealer-1', { waitMs: Number.NaN }), 'invalid_input', 'waitMs')
  await refused(world.keep.token('dealer-1', { scope: 'a"b' }), 'invalid_input', 'scope')
  await refused(world.keep.token('dealer-1', { resource: 'not a uri' }), 'invalid_input', 'resource')
})

for (const { what, settings, says } of [
  { what: 'over http', settings: { tokenEndpoint: 'http://id.example.org/token' }, says: /https/ },
  { what: 'in a private network', settings: { tokenEndpoint: 'https://10.1.2.3/token' }, says: /allowPrivateNetwork/ },
  {
    what: 'at the metadata address',
    settings: { tokenEndpoint: 'https://169.254.169.254/token' },
    says: /allowPrivateNetwork/,
  },
  {
    what: 'with credentials in it',
    settings: { tokenEndpoint: 'https://me:pw@id.example.org/token' },
    says: /credentials|user|password/,
  },
]) {
  test(`a provider URL ${what} is refused, and the message says what to do`, async () => {
    await using world = await openWorld()
    await assert.rejects(world.keep.providers.put({ id: 'bad', ...settings }), (error: unknown) => {
      assert.ok(error instanceof TokenError)
      assert.equal(error.code, 'provider_refused')
      assert.match(error.message, says)
      return true
    })
    await refused(world.keep.providers.get('bad'), 'unknown_provider')
  })
}

test("a provider that redirects is the operator's to mend, and no sign-in is hurt by it", async () => {
  await using world = await openWorld()
  const { sessionId } = await world.connect('dealer-42')
  await world.server.control.addFault({
    fault: { kind: 'status', status: 302, headers: { location: 'http://127.0.0.1:9/' } },
    when: 'before',
    times: 1,
  })
  world.clocks.forward(3_600_000)
  await refused(world.keep.token('dealer-42'), 'blocked', 'operator')
  world.clocks.forward(61_000)
  await world.keep.token('dealer-42')
  assert.equal((await world.server.control.counters('external', sessionId)).killed, false)
})

test("a wrong client secret is the operator's fault, and putting it right is noticed at once", async () => {
  await using world = await openWorld()
  const { sessionId } = await world.connect('dealer-42')
  const client = {
    id: 'app',
    provider: 'external',
    clientId: 'app',
    tokenEndpointAuthMethod: 'client_secret_post',
  } as const
  await world.keep.clients.put({ ...client, clientSecret: 'wrong' })
  world.clocks.forward(3_600_000)
  await refused(world.keep.token('dealer-42'), 'blocked', 'operator', 'client secret')
  assert.equal((await world.keep.connections.get('dealer-42')).status, 'blocked')
  await world.keep.clients.put({ ...client, clientSecret: 'client-secret-canary-7f3a' })
  await world.keep.token('dealer-42')
  const counters = await world.server.control.counters('external', sessionId)
  assert.equal(counters.killed, false)
  assert.equal(counters.secondPresentations, 0)
})

test('a database without its key is refused and left as it is, and the message says which key', async () => {
  await using world = await openWorld()
  await world.connect('dealer-42')
  await world.keep.close()
  const before = await readFile(world.path)
  const keyFile = join(world.folder, 'elsewhere', 'other.key')
  await refused(world.reopen({ keyFile }), 'key_missing', keyFile)
  assert.deepEqual(await readFile(world.path), before)
})

test('a database with the wrong key is refused and left as it is', async () => {
  await using world = await openWorld()
  await world.connect('dealer-42')
  await world.keep.close()
  const other = join(world.folder, 'other.db')
  const otherKey = join(world.folder, 'config', 'other.key')
  await (await openTokenkeep({ path: other, keyFile: otherKey, keyBesideData: true })).close()
  const before = await readFile(world.path)
  await refused(world.reopen({ keyFile: otherKey }), 'key_wrong', otherKey, 'Nothing was changed')
  assert.deepEqual(await readFile(world.path), before)
})

test('a database of a newer version is refused and left as it is', async () => {
  await using world = await openWorld()
  await world.keep.close()
  const sql = new DatabaseSync(world.path)
  sql.exec('PRAGMA user_version = 999')
  sql.close()
  const before = await readFile(world.path)
  await refused(world.reopen(), 'newer_database', '999')
  assert.deepEqual(await readFile(world.path), before)
})

test('a file that is no database of ours is refused and left as it is', async () => {
  await using world = await openWorld()
  const path = join(world.folder, 'notes.txt')
  await writeFile(path, 'these are my notes, and they are longer than a header of a database would be, are they not?')
  await refused(world.reopen({ path }), 'folder_unusable', path)
  assert.match(await readFile(path, 'utf8'), /^these are my notes/)
})

test('a folder that cannot be written is named', async (t) => {
  await using world = await openWorld()
  if (process.getuid?.() === 0) {
    // Root may write anywhere; a file where a folder should be stops root as well.
    const file = join(world.folder, 'a-file')
    await writeFile(file, '')
    await refused(world.reopen({ path: join(file, 'tokens.db') }), 'folder_unusable', file)
    t.diagnostic('run as root: tried with a file in the place of the folder')
    return
  }
  const folder = join(world.folder, 'read-only')
  await copyFile(world.path, join(world.folder, 'copy.db'))
  await (await import('node:fs/promises')).mkdir(folder)
  await chmod(folder, 0o500)
  await refused(world.reopen({ path: join(folder, 'tokens.db') }), 'folder_unusable', folder)
  await chmod(folder, 0o700)
  await rm(folder, { recursive: true })
})

test('the folder of locks and slots is looked at as the folder of the database is', async () => {
  await using world = await openWorld()
  const state = `${world.path}.state`
  await chmod(state, 0o777)
  await refused(world.reopen(), 'folder_unusable', state)
  await chmod(state, 0o700)
  await (await world.reopen()).close()
})

test('a swapped or tampered ciphertext fails its own connection, which is named, and nobody else', async () => {
  await using world = await openWorld()
  for (const id of ['dealer-1', 'dealer-2', 'dealer-3']) await world.connect(id)
  await world.keep.close()
  const sql = new DatabaseSync(world.path)
  sql.exec(`
    UPDATE connection SET refresh_token = (SELECT refresh_token FROM connection WHERE id = 'dealer-2') WHERE id = 'dealer-1';
    UPDATE connection SET refresh_token = zeroblob(60) WHERE id = 'dealer-3';
  `)
  sql.close()
  const keep = await world.reopen()
  world.clocks.forward(3_600_000)
  await refused(keep.token('dealer-1'), 'unreadable', '"dealer-1"')
  await refused(keep.token('dealer-3'), 'unreadable', '"dealer-3"')
  await keep.token('dealer-2')
})

test('an answer of 1 GiB on an expired token is cut, and the next try succeeds', async () => {
  await using world = await openWorld()
  const { sessionId } = await world.connect('dealer-42')
  await world.server.control.addFault({ fault: { kind: 'endless_body', bytes: 1024 ** 3 }, when: 'before', times: 1 })
  world.clocks.forward(3_600_000)
  const before = process.memoryUsage().rss
  await world.keep.token('dealer-42')
  assert.ok(process.memoryUsage().rss - before < 200 * 1024 * 1024)
  assert.equal((await world.server.control.counters('external', sessionId)).killed, false)
})

test('an answer of one byte a second fails the caller within its own time, and nothing is lost', async () => {
  await using world = await openWorld({
    provider: { reuse: { kind: 'grace', seconds: 3, winner: 'any' } },
    realm: { rotation: { kind: 'grace', seconds: 3 } },
  })
  await world.connect('dealer-42')
  await world.server.control.addFault({ fault: { kind: 'slow_body', bytesPerSecond: 1 }, when: 'before', times: 1 })
  world.clocks.forward(3_600_000)
  await refused(world.keep.token('dealer-42', { waitMs: 200 }), 'unavailable', '"dealer-42"')
  await world.keep.token('dealer-42')
})

test('what is closed says so', async () => {
  await using world = await openWorld()
  await world.connect('dealer-42')
  const keep = await world.reopen()
  await keep.token('dealer-42')
  await keep.close()
  await refused(keep.token('dealer-42'), 'closed')
  await refused(keep.connections.list(), 'closed')
  await keep.close()
  await refused(openTokenkeep({}), 'invalid_input', 'path')
})

test('what is no option is refused by its name, and never taken for trouble of the database', async () => {
  await using world = await openWorld()
  await world.connect('dealer-42')
  const { connections, token } = world.keep
  const as = (value: unknown): never => value as never
  const asked: readonly (readonly [Promise<unknown>, string | RegExp])[] = [
    [connections.list({ status: as('bogus') }), 'status'],
    [connections.list({ labels: as({ team: {} }) }), 'label "team"'],
    [connections.list({ labels: as('team') }), 'labels'],
    [connections.list({ provider: as({}) }), 'provider'],
    [connections.list({ after: as({}) }), 'after'],
    [connections.history('dealer-42', 2.5), 'limit'],
    [connections.history('dealer-42', Number.NaN), 'limit'],
    [token('dealer-42', { scope: as(5) }), 'scope'],
    [token('dealer-42', { resource: as(5) }), 'resource'],
    [connections.import(as(undefined)), 'object'],
    [connections.reconnect('dealer-42', as(undefined)), 'object'],
    [connections.reconnect('dealer-42', as({ refreshToken: 'rt', client: 'app' })), '"client"'],
  ]
  for (const [action, says] of asked) await refused(action, 'invalid_input', says)
  const signIn = { id: 'other', client: 'app', accessToken: 'at' }
  const imports: readonly (readonly [object, string])[] = [
    [{ refresh_token: 'rt' }, '"refresh_token"'],
    [{ tokenType: 5 }, 'tokenType'],
    [{ tokenType: 'Bearer\r\nHost: elsewhere' }, 'tokenType'],
    [{ scope: 5 }, 'scope'],
    [{ labels: 'team' }, 'labels'],
  ]
  for (const [members, says] of imports) {
    await refused(connections.import(as({ ...signIn, ...members })), 'invalid_input', says)
  }
  await refused(connections.get('other'), 'unknown_connection')
})

test('numbers that do not fit each other are refused before anything is opened', async () => {
  await using world = await openWorld()
  await refused(world.reopen({ numbers: { leaseMs: ms(5_000) } }), 'invalid_input', 'lease')
  await refused(world.reopen({ numbers: { grantDeadlineMs: 'x' as never } }), 'invalid_input', 'grant')
})
