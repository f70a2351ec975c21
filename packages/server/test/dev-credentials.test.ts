import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { TokenError } from '@tokenkeep/core'
import { spawnDevserver } from '@tokenkeep/devserver'
import { openTokenkeep, type Tokenkeep } from '@tokenkeep/node'
import { settleCredentials, type Credentials, type Settled } from '../src/dev/credentials.ts'
import { DEMO_CLIENT, MACHINE, REALM, seed, SHARED_CONNECTION } from '../src/dev/demo.ts'

suite('the credentials of tokenkeep dev', async () => {
  // One database for all, each test with a file of its own: to it, the credentials of the test before are lost ones.
  const folder = mkdtempSync(join(tmpdir(), 'tokenkeep-credentials-'))
  const server = await spawnDevserver({ realms: [{ name: REALM, clients: [DEMO_CLIENT] }] })
  const keep = await openKeep(join(folder, 'tokenkeep.db'))
  const seedAgain = (): Promise<void> => seed(keep, server, Date.now())
  await seedAgain()
  let files = 0
  const openDemo = (): Demo => {
    files += 1
    const place = join(folder, `test-${files}`)
    mkdirSync(place)
    return { keep, seedAgain, file: join(place, 'dev-credentials.json') }
  }
  after(async () => {
    await keep.close()
    await server.stop()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })

  test('are made once, kept in a file that only its owner can read, and the same ever after', async () => {
    const { keep, file } = openDemo()
    const first = await settleCredentials(keep, file)
    assert.equal(first.replacedBecause, null)
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), first.credentials)
    const second = await settleCredentials(keep, file)
    assert.deepEqual(second, first)
    assert.equal((await livingKeys(keep)).length, 2)
  })

  test('are an administrator, and an OAuth client with a source and a local refresh token of its own', async () => {
    const { keep, file } = openDemo()
    const { apiKey, clientId, clientSecret, refreshToken } = (await settleCredentials(keep, file)).credentials
    assert.deepEqual((await keep.callers.byKey(apiKey))?.scopes, ['admin'])
    const client = await keep.callers.byKey(clientSecret)
    assert.deepEqual([client?.id, client?.scopes, client?.sources], [clientId, ['token:read'], { external: MACHINE }])
    const shared = await keep.callers.byLocalRefreshToken(refreshToken)
    assert.deepEqual([shared?.connection, shared?.apiKey], [SHARED_CONNECTION, clientId])
  })

  const SPOILT: readonly (readonly [name: string, because: RegExp | null, spoil: (of: Demo & Settled) => unknown])[] = [
    ['the file is missing', null, ({ file }) => rmSync(file)],
    ['the file was cut in half', /not one that dev writes/, ({ file }) => cut(file)],
    ['the file lacks a member', /not one that dev writes/, ({ file }) => change(file, { refreshToken: undefined })],
    ['a member is no text', /not one that dev writes/, ({ file }) => change(file, { apiKey: 7 })],
    ['the file is far too long', /not one that dev writes/, ({ file }) => lengthen(file)],
    ['the file holds null', /not one that dev writes/, ({ file }) => writeFileSync(file, 'null')],
    ['others of the group can read the file', /other users/, ({ file }) => chmodSync(file, 0o640)],
    ['everybody can read the file', /other users/, ({ file }) => chmodSync(file, 0o604)],
    [
      'an unknown key stands in it',
      /does not know them/,
      ({ file }) => change(file, { apiKey: `tkk_${'x'.repeat(43)}` }),
    ],
    ['the client has the id of another', /does not know them/, ({ file }) => change(file, { clientId: 'key_00' })],
    [
      'the keys stand in each other’s place',
      /does not know them/,
      ({ file, credentials }) => change(file, { apiKey: credentials.clientSecret, clientSecret: credentials.apiKey }),
    ],
    [
      'the OAuth client may do more than read tokens',
      /does not know them/,
      async ({ keep, file }) => {
        const { apiKey, key } = await keep.apiKeys.create({ name: 'mine', scopes: ['token:read', 'connections:read'] })
        const { refreshToken } = await keep.localRefreshTokens.share(SHARED_CONNECTION, { with: apiKey.id })
        change(file, { clientId: apiKey.id, clientSecret: key, refreshToken })
      },
    ],
    [
      'the client and its local refresh token belong to another secret',
      /does not know them/,
      async ({ keep, file }) => {
        const { apiKey } = await keep.apiKeys.create({ name: 'mine' })
        const { refreshToken } = await keep.localRefreshTokens.share(SHARED_CONNECTION, { with: apiKey.id })
        change(file, { clientId: apiKey.id, refreshToken })
      },
    ],
    [
      'the local refresh token is that of another key',
      /does not know them/,
      async ({ keep, file }) => {
        const { apiKey } = await keep.apiKeys.create({ name: 'mine' })
        change(file, await keep.localRefreshTokens.share(SHARED_CONNECTION, { with: apiKey.id }))
      },
    ],
    [
      'the local refresh token stands for another connection',
      /does not know them/,
      async ({ keep, file, credentials }) =>
        change(file, await keep.localRefreshTokens.share('dealer-44', { with: credentials.clientId })),
    ],
    [
      'the administrator was revoked',
      /does not know them/,
      async ({ keep, credentials }) => keep.apiKeys.revoke((await keep.callers.byKey(credentials.apiKey))?.id ?? ''),
    ],
    [
      'the OAuth client was revoked',
      /does not know them/,
      ({ keep, credentials }) => keep.apiKeys.revoke(credentials.clientId),
    ],
    [
      'the local refresh token was revoked',
      /does not know them/,
      async ({ keep }) => {
        for (const { id } of await keep.localRefreshTokens.list(SHARED_CONNECTION))
          await keep.localRefreshTokens.revoke(id)
      },
    ],
    [
      'the connection behind it was deleted, and is there again',
      /does not know them/,
      async (demo) => {
        await demo.keep.connections.delete(SHARED_CONNECTION)
        await demo.seedAgain()
      },
    ],
  ]
  for (const [name, because, spoil] of SPOILT) {
    test(`are made anew, and the old ones end, where ${name}`, async () => {
      const demo = openDemo()
      const earlier = await settleCredentials(demo.keep, demo.file)
      await spoil({ ...demo, ...earlier })
      const later = await settleCredentials(demo.keep, demo.file)

      if (because === null) assert.equal(later.replacedBecause, null)
      else assert.match(later.replacedBecause ?? '', because)
      for (const member of Object.keys(earlier.credentials) as (keyof Credentials)[]) {
        assert.notEqual(later.credentials[member], earlier.credentials[member], member)
        assert.equal(later.replacedBecause?.includes(earlier.credentials[member]) ?? false, false, 'no secret is told')
      }
      assert.equal(await demo.keep.callers.byKey(earlier.credentials.apiKey), null)
      assert.equal(await demo.keep.callers.byKey(earlier.credentials.clientSecret), null)
      assert.equal(await demo.keep.callers.byLocalRefreshToken(earlier.credentials.refreshToken), null)
      assert.equal((await livingKeys(demo.keep)).length, 2)
      assert.equal(statSync(demo.file).mode & 0o777, 0o600)
      assert.deepEqual(await settleCredentials(demo.keep, demo.file), { ...later, replacedBecause: null })
    })
  }

  test('are made anew where the database is another one', async () => {
    const { file } = openDemo()
    const earlier = await settleCredentials(keep, file)
    const other = await openKeep(`${file}.db`)
    try {
      await seed(other, server, Date.now())
      const later = await settleCredentials(other, file)
      assert.match(later.replacedBecause ?? '', /does not know them/)
      assert.notEqual(later.credentials.apiKey, earlier.credentials.apiKey)
    } finally {
      await other.close()
    }
  })

  test('leave the keys alone that people made, also after they were made anew', async () => {
    const { keep, file } = openDemo()
    const { key } = await keep.apiKeys.create({ name: 'dev', scopes: ['admin'] })
    await settleCredentials(keep, file)
    rmSync(file)
    await settleCredentials(keep, file)
    assert.equal((await keep.callers.byKey(key))?.revokedAt, null)
  })

  test('of a dev that was killed before it wrote them down do not live on', async () => {
    const { keep, file } = openDemo()
    mkdirSync(file)
    await assert.rejects(settleCredentials(keep, file))
    assert.equal((await livingKeys(keep)).length, 2)
    rmSync(file, { recursive: true })
    writeFileSync(`${file}.new`, 'half')
    await settleCredentials(keep, file)
    assert.equal((await livingKeys(keep)).length, 2)
    assert.deepEqual(
      readdirSync(join(file, '..')).filter((name) => name.startsWith('dev-credentials')),
      ['dev-credentials.json'],
    )
  })

  test('name the machine as the source again where somebody took it away or deleted it', async () => {
    const { keep, file, seedAgain } = openDemo()
    const first = await settleCredentials(keep, file)
    const { clientId } = first.credentials
    await keep.apiKeys.setSource(clientId, 'external', null)
    assert.deepEqual(await settleCredentials(keep, file), first)
    assert.equal(await keep.callers.source(await keep.apiKeys.get(clientId), 'external'), MACHINE)
    await keep.connections.delete(MACHINE)
    await seedAgain()
    assert.deepEqual(await settleCredentials(keep, file), first)
    assert.equal(await keep.callers.source(await keep.apiKeys.get(clientId), 'external'), MACHINE)
  })

  test('replace a link of that name, and what it leads to stays as it is', async () => {
    const { keep, file } = openDemo()
    const elsewhere = `${file}.elsewhere`
    writeFileSync(elsewhere, 'mine', { mode: 0o600 })
    symlinkSync(elsewhere, file)
    await settleCredentials(keep, file)
    assert.equal(readFileSync(elsewhere, 'utf8'), 'mine')
    assert.equal((await settleCredentials(keep, file)).replacedBecause, null)
  })

  test('that cannot be written are told with the place and the way out, and without a secret', async () => {
    const { keep, file } = openDemo()
    mkdirSync(file)
    await assert.rejects(settleCredentials(keep, file), (error) => {
      assert.ok(error instanceof TokenError)
      assert.equal(error.code, 'folder_unusable')
      assert.match(error.message, /dev-credentials\.json cannot be written \(E[A-Z]+\).*--data/)
      assert.doesNotMatch(error.message, /tk[kr]_/)
      return true
    })
  })
})

// ---- steps ---------------------------------------------------------------------------------------------------------

interface Demo {
  readonly keep: Tokenkeep
  readonly file: string
  readonly seedAgain: () => Promise<void>
}

const openKeep = (path: string): Promise<Tokenkeep> =>
  openTokenkeep({ path, keyFile: `${path}.key`, keyBesideData: true, background: false })

/** Those of dev that were not revoked. */
const livingKeys = async (keep: Tokenkeep) =>
  (await keep.apiKeys.list()).filter(({ name, revokedAt }) => name.startsWith('tokenkeep dev') && revokedAt === null)

function cut(file: string): void {
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.slice(0, text.length / 2))
}

function lengthen(file: string): void {
  writeFileSync(file, readFileSync(file, 'utf8') + ' '.repeat(20_000))
}

function change(file: string, members: Readonly<Record<string, unknown>>): void {
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...members }))
}
