import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { API_KEY_SCOPES, type ApiKey, type LocalRefreshToken } from '@tokenkeep/node'
import { openBothWays, WAYS, type BothWays, type Way } from './both-ways.ts'
import { commandHere } from './command-here.ts'
import { answer, errorAnswer } from './command.ts'

type Made = ApiKey & { readonly key: string }
type Shared = LocalRefreshToken & { readonly refreshToken: string; readonly tokenEndpoint: string | null }

suite('API keys and local refresh tokens', () => {
  let both: BothWays
  before(async () => {
    both = await openBothWays()
    await both.keep('dealer-42', ['team=bikes'])
    await both.keep('dealer-43')
  })
  after(() => both.close())

  for (const way of WAYS) {
    const on = (args: readonly string[]) => both.command(way, args)
    const create = async (...args: readonly string[]): Promise<Made> =>
      answer<Made>(await on(['key', 'create', '--name', `test-${way}`, ...args, '--json']))
    const share = async (id: string, holder: string): Promise<Shared> =>
      answer<Shared>(await on(['connection', 'share', id, '--with', holder, '--json']))

    suite(`over a ${way}`, () => {
      test('a key is made with all that was said, and shown this once', async () => {
        const limits = ['--label', 'team=bikes', '--source', 'ext=dealer-42', '--expires-in', '3600']
        const made = await create('--scope', 'connections:read', '--scope', 'token:read', ...limits)
        const { key, ...apiKey } = made
        assert.match(key, /^tkk_[\w-]{43}$/)
        assert.match(apiKey.id, /^key_[0-9a-f]+$/)
        assert.deepEqual(
          [apiKey.name, apiKey.scopes, apiKey.labels, apiKey.sources, apiKey.revokedAt],
          [`test-${way}`, ['token:read', 'connections:read'], { team: 'bikes' }, { ext: 'dealer-42' }, null],
        )
        assert.ok(Math.abs((apiKey.expiresAt ?? 0) - apiKey.createdAt - 3_600_000) < 10_000)

        const listed = await on(['key', 'list', '--json'])
        assert.deepEqual(
          answer<ApiKey[]>(listed).find(({ id }) => id === apiKey.id),
          apiKey,
        )
        assert.ok(!(listed.out + (await on(['key', 'list'])).out).includes(key), 'the key was shown again')
      })

      test('what is made works at the server, as far as it may', async () => {
        const { key } = await create('--label', 'team=bikes')
        const environment = { TOKENKEEP_API_KEY: key }
        assert.equal((await both.command('server', ['token', 'dealer-42'], { environment })).code, 0)
        const hidden = await both.command('server', ['token', 'dealer-43', '--json'], { environment })
        assert.deepEqual([hidden.code, errorAnswer(hidden).code], [3, 'unknown_connection'])
        const listing = await both.command('server', ['connection', 'list', '--json'], { environment })
        assert.deepEqual([listing.code, errorAnswer(listing).code], [6, 'forbidden'])
      })

      test('people see the key once, and what it is for', async () => {
        const { out } = await on(['key', 'create', '--name', 'for people'])
        assert.match(out, /^scopes +token:read$/m)
        assert.match(out, /^lives +no end$/m)
        assert.match(out, /^key +tkk_[\w-]{43}$/m)
        assert.match(out, /shown now and never again/)
        assert.match((await on(['key', 'list'])).out, /^ID +NAME +SCOPES +ONLY WITH +SOURCES +TRUSTS +MADE +LIVES$/m)
      })

      test('a revoked key is refused, stays listed, and revoking it again changes nothing', async () => {
        const { id, key } = await create()
        const revoked = answer<ApiKey>(await on(['key', 'revoke', id, '--json']))
        assert.ok(revoked.revokedAt !== null)
        assert.deepEqual(answer(await on(['key', 'revoke', id, '--json'])), revoked)
        const refused = await both.command('server', ['token', 'dealer-42', '--json'], {
          environment: { TOKENKEEP_API_KEY: key },
        })
        assert.deepEqual([refused.code, errorAnswer(refused).code], [6, 'unauthorized'])
        assert.match((await on(['key', 'list'])).out, new RegExp(`^${id} .* revoked (now|\\d+ s ago)$`, 'm'))
        assert.match((await on(['key', 'revoke', id])).out, /is revoked: it is refused from now on/)
      })

      test('a source is named, changed and taken away', async () => {
        const { id } = await create()
        const named = answer<ApiKey>(await on(['key', 'source', id, 'ext', 'dealer-42', '--json']))
        assert.deepEqual(named.sources, { ext: 'dealer-42' })
        const changed = await on(['key', 'source', id, 'ext', 'dealer-43'])
        assert.match(changed.out, /^client credentials from +ext=dealer-43$/m)
        assert.deepEqual(answer<ApiKey>(await on(['key', 'source', id, 'ext', '--json'])).sources, {})

        const identity = ['--issuer', 'https://issuer.example.org', '--subject', `worker-${id}`, '--audience', 'us']
        const trusting = answer<ApiKey>(await on(['key', 'trust', id, ...identity, '--json'])).identities
        assert.equal(trusting[0]?.subject, `worker-${id}`)
        assert.match((await on(['key', 'list'])).out, new RegExp(`${trusting[0]?.id}=worker-${id}`))
        const untrusted = await on(['key', 'untrust', id, trusting[0]?.id, '--json'])
        assert.deepEqual(answer<ApiKey>(untrusted).identities, [])
      })

      test('a connection is shared with one key, listed, and taken back', async () => {
        const { id: holder } = await create()
        const { refreshToken, tokenEndpoint, ...shared } = await share('dealer-42', holder)
        assert.match(refreshToken, /^tkr_[\w-]{43}$/)
        assert.deepEqual([shared.connection, shared.apiKey, shared.revokedAt], ['dealer-42', holder, null])
        const endpoint = `${both.url}/realms/ext/protocol/openid-connect/token`
        assert.equal(tokenEndpoint, way === 'server' ? endpoint : null)

        const listed = await on(['connection', 'shares', 'dealer-42', '--json'])
        assert.deepEqual(answer<LocalRefreshToken[]>(listed).at(-1), shared)
        assert.ok(!listed.out.includes(refreshToken), 'the local refresh token was shown again')
        const back = answer<LocalRefreshToken>(await on(['connection', 'unshare', shared.id, '--json']))
        assert.deepEqual({ ...back, revokedAt: null }, shared)
        assert.ok(back.revokedAt !== null)
        assert.match(
          (await on(['connection', 'shares', 'dealer-42'])).out,
          new RegExp(`^${shared.id} +${holder} `, 'm'),
        )
        assert.match((await on(['connection', 'unshare', shared.id])).out, /of dealer-42 is refused from now on/)
      })

      test('people are shown all that an OAuth client needs', async () => {
        const { id: holder } = await create()
        const { out } = await on(['connection', 'share', 'dealer-42', '--with', holder])
        const server = way === 'server' ? both.url : 'SERVER'
        assert.ok(out.includes(`${server}/realms/ext/protocol/openid-connect/token\n`))
        assert.match(out, new RegExp(`^client_id +${holder}$`, 'm'))
        assert.match(out, /^refresh_token +tkr_[\w-]{43}$/m)
      })

      test('what is not there is told with exit code 3', async () => {
        const { id: gone } = await create()
        answer(await on(['key', 'revoke', gone, '--json']))
        const { id } = await create()
        for (const [args, code] of [
          [['key', 'revoke', 'key_0000'], 'unknown_api_key'],
          [['key', 'revoke', 'canary'], 'unknown_api_key'],
          [['key', 'source', 'key_0000', 'ext', 'dealer-42'], 'unknown_api_key'],
          [['key', 'source', id, 'ext', 'nobody'], 'unknown_connection'],
          [['key', 'source', id, 'nobody', 'dealer-42'], 'unknown_provider'],
          [['connection', 'share', 'nobody', '--with', id], 'unknown_connection'],
          [['connection', 'share', 'dealer-42', '--with', gone], 'unknown_api_key'],
          [['connection', 'share', 'dealer-42', '--with', 'canary'], 'unknown_api_key'],
          [['connection', 'shares', 'nobody'], 'unknown_connection'],
          [['connection', 'unshare', 'lrt_0000'], 'unknown_local_refresh_token'],
          [['connection', 'unshare', 'canary'], 'unknown_local_refresh_token'],
        ] as const) {
          const ended = await on([...args, '--json'])
          assert.deepEqual([ended.code, errorAnswer(ended).code], [3, code], args.join(' '))
          assert.doesNotMatch(ended.err, /canary/)
        }
      })

      test('a key that nobody could mean is refused with exit code 2', async () => {
        for (const [args, says] of [
          [['--name', ''], /name/],
          [['--name', 'n', '--scope', 'everything'], /each --scope is one of token:read, /],
          [['--name', 'n', '--scope', 'admin', '--label', 'team=bikes'], /cannot be limited by labels/],
          [['--name', 'n', '--expires-in', '0'], /expires/i],
          [['--name', 'n', '--expires-in', '99999999999999'], /expiresAt|expires_at/],
        ] as const) {
          const ended = await on(['key', 'create', ...args, '--json'])
          assert.deepEqual([ended.code, errorAnswer(ended).code], [2, 'invalid_input'], args.join(' '))
          assert.match(errorAnswer(ended).message, says)
        }
      })
    })
  }

  test('both ways list the same', async () => {
    const list = async (way: Way, ...args: readonly string[]) => (await both.command(way, [...args, '--json'])).out
    assert.equal(await list('server', 'key', 'list'), await list('folder', 'key', 'list'))
    const shares = ['connection', 'shares', 'dealer-42']
    assert.equal(await list('server', ...shares), await list('folder', ...shares))
  })
})

test('key create makes no database where there is none', async () => {
  const folder = join('no', 'such', 'folder')
  const ended = await commandHere(['key', 'create', '--name', 'n', '--data', folder, '--json'])
  assert.deepEqual([ended.code, errorAnswer(ended).code], [6, 'folder_unusable'])
  assert.ok(!existsSync(folder))
})

test('missing and malformed arguments are named', async () => {
  for (const [args, says] of [
    [['key', 'create'], /--name/],
    [['key', 'create', '--name', 'n', '--label', 'bikes'], /NAME=VALUE/],
    [['key', 'create', '--name', 'n', '--source', 'ext'], /PROVIDER=CONNECTION/],
    [['key', 'create', '--name', 'n', '--expires-in', 'soon'], /number of seconds/],
    [['key', 'revoke'], /missing required argument 'id'/],
    [['key', 'source', 'key_0'], /missing required argument 'provider'/],
    [['connection', 'share', 'x'], /--with/],
    [['connection', 'unshare'], /missing required argument/],
  ] as const) {
    const { code, out, err } = await commandHere(args)
    assert.deepEqual([code, out], [2, ''], args.join(' '))
    assert.match(err, says)
  }
})

test('the help of key create names every scope', async () => {
  const { out } = await commandHere(['key', 'create', '--help'])
  for (const scope of API_KEY_SCOPES) assert.ok(out.replaceAll(/\s+/g, ' ').includes(scope), scope)
})
