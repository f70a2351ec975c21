/** Local refresh tokens: each stands for one connection in the hands of one caller, as long as both last. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import { callersWorld, refusal, untyped, type CallersWorld, type MakeCallersBackend } from './callers-world.ts'
import { HOUR_MS, NOBODY, mustRead } from './store-world.ts'

/** A connection `erp`, a key, and the local refresh token by which that key uses it. */
async function shared(make: MakeCallersBackend, input: Parameters<CallersWorld['key']>[0] = {}) {
  const world = await callersWorld(make)
  await world.store.connect('erp', { scope: 'dealer-api', labels: { team: 'sales' } })
  const { apiKey } = await world.key(input)
  const { localRefreshToken, refreshToken } = await world.one.localRefreshTokens.share('erp', { with: apiKey.id })
  const isKnown = async (): Promise<boolean> => {
    const [here, there] = await Promise.all(
      [world.one, world.other].map(({ callers }) => callers.byLocalRefreshToken(refreshToken)),
    )
    assert.deepEqual(here, there)
    return here !== null
  }
  assert.equal(await isKnown(), true)
  const { [Symbol.asyncDispose]: dispose } = world
  return { world, apiKey, localRefreshToken, refreshToken, isKnown, [Symbol.asyncDispose]: dispose }
}

export function localRefreshTokensContract(make: MakeCallersBackend): void {
  test('a local refresh token stands for its connection at once, also to another process', async () => {
    await using made = await shared(make)
    const { world, apiKey, localRefreshToken, refreshToken } = made
    assert.match(refreshToken, /^tkr_[A-Za-z0-9_-]{43}$/)
    assert.match(localRefreshToken.id, /^lrt_[0-9a-f]{18}$/)
    assert.deepEqual(localRefreshToken, {
      id: localRefreshToken.id,
      connection: 'erp',
      apiKey: apiKey.id,
      createdAt: world.store.time.moment().wall,
      revokedAt: null,
    })
    for (const { callers, localRefreshTokens } of [world.one, world.other]) {
      assert.deepEqual(await callers.byLocalRefreshToken(refreshToken), {
        ...localRefreshToken,
        provider: 'strict',
        subject: null,
        scope: 'dealer-api',
        renewable: true,
      })
      assert.deepEqual(await localRefreshTokens.get(localRefreshToken.id), localRefreshToken)
      assert.deepEqual(await localRefreshTokens.list('erp'), [localRefreshToken])
    }
  })

  test('what it stands for is what the connection is now', async () => {
    await using made = await shared(make)
    const { world, refreshToken } = made
    const { at, row } = await mustRead(world.store.one, 'erp')
    const granted = world.store.sealed(row.uid, { refreshToken: 'newer', accessToken: 'newer at', scope: 'less' })
    await world.store.one.store.replaceGrant(at, granted, { ...NOBODY, subject: 'somebody' })
    const now = await world.other.callers.byLocalRefreshToken(refreshToken)
    assert.deepEqual([now?.scope, now?.subject, now?.renewable], ['less', 'somebody', true])
  })

  test('a connection without refresh token is not renewable, and client credentials always are', async () => {
    await using world = await callersWorld(make)
    const { apiKey } = await world.key()
    const renewable = async (id: string): Promise<boolean | undefined> => {
      const { refreshToken } = await world.one.localRefreshTokens.share(id, { with: apiKey.id })
      return (await world.other.callers.byLocalRefreshToken(refreshToken))?.renewable
    }
    await world.store.connect('once', { refreshToken: null })
    await world.store.connect('machine', { refreshToken: null, accessToken: null, grantType: 'client_credentials' })
    assert.equal(await renewable('once'), false)
    assert.equal(await renewable('machine'), true)
  })

  test('each caller has its own, and one revoked leaves the others', async () => {
    await using made = await shared(make)
    const { world, apiKey, isKnown, localRefreshToken } = made
    const { apiKey: second } = await world.key()
    world.store.time.pass(1)
    const another = await world.one.localRefreshTokens.share('erp', { with: second.id })
    world.store.time.pass(1)
    const again = await world.other.localRefreshTokens.share('erp', { with: apiKey.id })
    const listed = await world.one.localRefreshTokens.list('erp')
    assert.deepEqual(listed, [localRefreshToken, another.localRefreshToken, again.localRefreshToken], 'oldest first')
    assert.equal((await world.one.callers.byLocalRefreshToken(another.refreshToken))?.apiKey, second.id)
    await world.one.localRefreshTokens.revoke(another.localRefreshToken.id)
    assert.equal(await world.other.callers.byLocalRefreshToken(another.refreshToken), null)
    assert.equal(await isKnown(), true)
    assert.ok((await world.one.callers.byLocalRefreshToken(again.refreshToken)) !== null)
  })

  test('nobody is served for anything but the whole token', async () => {
    await using made = await shared(make)
    const { world, refreshToken, localRefreshToken } = made
    for (const wrong of [
      ...[refreshToken.slice(0, -1), `${refreshToken}A`, `${refreshToken}\n`, refreshToken.replace('tkr_', 'tkk_')],
      ...[`tkr_${'A'.repeat(43)}`, localRefreshToken.id, localRefreshToken.apiKey, 'erp', '', 'rt of erp'],
      'A'.repeat(1_000_000),
    ]) {
      assert.equal(await world.one.callers.byLocalRefreshToken(wrong), null, inspect(wrong.slice(0, 60)))
      assert.equal(await world.one.callers.byKey(wrong), null, inspect(wrong.slice(0, 60)))
    }
    assert.equal(await world.one.callers.byKey(refreshToken), null, 'it is no key')
    const { key } = await world.key()
    assert.equal(await world.one.callers.byLocalRefreshToken(key), null, 'nor is a key one of these')
  })

  test('revoked it is refused at once, and revoking again changes nothing', async () => {
    await using made = await shared(make)
    const { world, localRefreshToken, isKnown } = made
    world.store.time.pass(5_000)
    const both = await Promise.all(
      [world.one, world.other].map(({ localRefreshTokens }) => localRefreshTokens.revoke(localRefreshToken.id)),
    )
    assert.equal(await isKnown(), false)
    world.store.time.pass(5_000)
    const again = await world.other.localRefreshTokens.revoke(localRefreshToken.id)
    assert.deepEqual(again, { ...localRefreshToken, revokedAt: localRefreshToken.createdAt + 5_000 })
    assert.deepEqual(both, [again, again])
    assert.deepEqual(await world.one.localRefreshTokens.list('erp'), [again])
  })

  test('it ends with its key: revoked', async () => {
    await using made = await shared(make)
    await made.world.one.apiKeys.revoke(made.apiKey.id)
    assert.equal(await made.isKnown(), false)
  })

  test('it ends with its key: past its end', async () => {
    const expiresAt = Date.UTC(2026, 0, 15, 13)
    await using made = await shared(make, { expiresAt })
    made.world.store.time.pass(expiresAt - made.world.store.time.moment().wall - 1)
    assert.equal(await made.isKnown(), true)
    made.world.store.time.pass(1)
    assert.equal(await made.isKnown(), false)
  })

  test('it ends with its connection, and stays dead when another of that id is imported', async () => {
    await using made = await shared(make)
    const { world, apiKey, isKnown, localRefreshToken } = made
    await world.beginDelete('erp')
    assert.equal(await isKnown(), false, 'while it is being deleted')
    assert.deepEqual(await world.one.localRefreshTokens.list('erp'), [localRefreshToken])
    await world.erase('erp')
    assert.equal(await isKnown(), false, 'when it is erased')
    assert.equal((await refusal(() => world.one.localRefreshTokens.list('erp'))).code, 'unknown_connection')
    await world.store.connect('erp', { labels: { team: 'sales' } })
    assert.equal(await isKnown(), false, 'it stood for another connection')
    assert.deepEqual(await world.one.localRefreshTokens.list('erp'), [])
    const { refreshToken } = await world.one.localRefreshTokens.share('erp', { with: apiKey.id })
    assert.ok((await world.other.callers.byLocalRefreshToken(refreshToken)) !== null)
    assert.equal(await isKnown(), false)
  })

  test('it goes on when its connection gets a new sign-in', async () => {
    await using made = await shared(make)
    const { store } = made.world
    const { at, row } = await mustRead(store.one, 'erp')
    const granted = store.sealed(row.uid, { refreshToken: 'a new sign-in', accessToken: 'its token' })
    await store.one.store.replaceGrant(at, granted, NOBODY)
    assert.equal(await made.isKnown(), true)
  })

  test('only a living connection is shared, with a key that lives and sees it', async () => {
    await using world = await callersWorld(make)
    const { wall } = world.store.time.moment()
    await world.store.connect('erp', { labels: { team: 'sales', place: 'bonn' } })
    await world.store.connect('going')
    await world.beginDelete('going')
    await world.store.connect('gone')
    await world.erase('gone')
    const key = async (input?: Parameters<CallersWorld['key']>[0]) => (await world.key(input)).apiKey.id
    const [good, limited] = [await key(), await key({ labels: { team: 'sales', place: 'bonn' } })]
    const stranger = await key({ labels: { team: 'sales', place: 'ulm' } })
    const revoked = await key()
    await world.one.apiKeys.revoke(revoked)
    const ended = await key({ expiresAt: wall + HOUR_MS })
    world.store.time.pass(HOUR_MS)
    for (const [connection, holder, code, subject] of [
      ['nobody', good, 'unknown_connection', 'nobody'],
      ['going', good, 'unknown_connection', 'going'],
      ['gone', good, 'unknown_connection', 'gone'],
      ['erp', stranger, 'unknown_connection', 'erp'],
      ['going', limited, 'unknown_connection', 'going'],
      ['erp', 'key_00', 'unknown_api_key', 'key_00'],
      ['erp', revoked, 'unknown_api_key', revoked],
      ['erp', ended, 'unknown_api_key', ended],
    ] as const) {
      const error = await refusal(() => world.one.localRefreshTokens.share(connection, { with: holder }))
      assert.deepEqual([error.code, error.subject], [code, subject])
    }
    assert.deepEqual(await world.one.localRefreshTokens.list('erp'), [])
    for (const holder of [good, limited]) await world.one.localRefreshTokens.share('erp', { with: holder })
    assert.equal((await world.one.localRefreshTokens.list('erp')).length, 2)
  })

  test('nobody to share with is an unknown key', async () => {
    await using world = await callersWorld(make)
    await world.store.connect('erp')
    for (const to of [undefined, null, {}, 'key_00', []]) {
      const error = await refusal(() => world.one.localRefreshTokens.share('erp', untyped(to)))
      assert.equal(error.code, 'unknown_api_key', inspect(to))
    }
  })

  test('an id that is none is an unknown one, and the token in its place is not repeated', async () => {
    await using made = await shared(make)
    const { world, localRefreshToken, refreshToken, isKnown } = made
    const { get, revoke } = world.one.localRefreshTokens
    for (const act of [get, revoke]) {
      const odd = [undefined, null, 7, {}, [localRefreshToken.id]].map(untyped)
      for (const id of [refreshToken, refreshToken.slice(4), `lrt_${refreshToken}`, '', ...odd]) {
        const error = await refusal(() => act(id))
        assert.equal(error.code, 'unknown_local_refresh_token')
        assert.equal(error.subject, null)
        assert.equal(inspect(error, { showHidden: true }).includes(refreshToken.slice(4)), false)
      }
      assert.equal((await refusal(() => act('lrt_00'))).subject, 'lrt_00')
    }
    assert.equal(await isKnown(), true, 'nothing was revoked')
  })

  test('many shared at once by two processes are all good, and all different', async () => {
    await using world = await callersWorld(make)
    await world.store.connect('erp')
    const { apiKey } = await world.key()
    const made = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        (index % 2 === 0 ? world.one : world.other).localRefreshTokens.share('erp', { with: apiKey.id }),
      ),
    )
    const known = await Promise.all(made.map(({ refreshToken }) => world.one.callers.byLocalRefreshToken(refreshToken)))
    assert.deepEqual(
      known.map((each) => each?.id),
      made.map(({ localRefreshToken }) => localRefreshToken.id),
    )
    assert.equal(new Set(made.map(({ refreshToken }) => refreshToken)).size, 40)
  })

  test('shared while its key is revoked, a token is refused or dead, never good', async () => {
    await using world = await callersWorld(make)
    await world.store.connect('erp')
    for (let round = 0; round < 10; round += 1) {
      const { apiKey } = await world.key()
      const [share] = await Promise.allSettled([
        world.one.localRefreshTokens.share('erp', { with: apiKey.id }),
        world.other.apiKeys.revoke(apiKey.id),
      ])
      if (share.status === 'rejected') assert.equal((share.reason as { code: string }).code, 'unknown_api_key')
      else assert.equal(await world.other.callers.byLocalRefreshToken(share.value.refreshToken), null)
    }
  })
}
