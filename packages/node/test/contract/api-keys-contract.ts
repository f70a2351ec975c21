/** API keys: made, known, ended, and nobody else's. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import { API_KEY_SCOPES, type ApiKeyInput } from '../../src/api-key-input.ts'
import { callersWorld, refusal, untyped, type MakeCallersBackend } from './callers-world.ts'
import { HOUR_MS } from './store-world.ts'

export function apiKeysContract(make: MakeCallersBackend): void {
  test('a new key is known at once, also to another process, and the same wherever it is asked for', async () => {
    await using world = await callersWorld(make)
    const { apiKey, key } = await world.one.apiKeys.create({ name: 'the billing job' })
    assert.match(key, /^tkk_[A-Za-z0-9_-]{43}$/)
    assert.match(apiKey.id, /^key_[0-9a-f]{18}$/)
    assert.deepEqual(apiKey, {
      id: apiKey.id,
      name: 'the billing job',
      scopes: ['token:read'],
      labels: {},
      sources: {},
      identities: [],
      createdAt: world.store.time.moment().wall,
      expiresAt: null,
      revokedAt: null,
    })
    for (const desk of [world.one, world.other]) {
      assert.deepEqual(await desk.callers.byKey(key), apiKey)
      assert.deepEqual(await desk.apiKeys.get(apiKey.id), apiKey)
      assert.deepEqual(await desk.apiKeys.list(), [apiKey])
    }
  })

  test('a key keeps all that it was given', async () => {
    await using world = await callersWorld(make)
    await world.store.connect('erp', { labels: { team: 'sales', 'of/whom': 'ä "b" \\ \u{1f511}', none: '' } })
    const input = {
      name: 'ü "quoted" \\ \u{1f511}',
      scopes: ['connections:read', 'token:read'],
      labels: { team: 'sales', 'of/whom': 'ä "b" \\ \u{1f511}', none: '' },
      sources: { strict: 'erp' },
      expiresAt: world.store.time.moment().wall + HOUR_MS,
    } as const
    const { apiKey, key } = await world.one.apiKeys.create(input)
    const { name, labels, sources, expiresAt } = apiKey
    assert.deepEqual({ name, labels, sources, expiresAt, scopes: input.scopes }, input)
    assert.deepEqual(apiKey.scopes, ['token:read', 'connections:read'], 'in the order in which they are known')
    assert.deepEqual(await world.other.callers.byKey(key), apiKey)
    assert.equal(await world.other.callers.admits('erp', labels), true)
  })

  test('keys come oldest first, the revoked ones too, and no two are alike', async () => {
    await using world = await callersWorld(make)
    const ids: string[] = []
    const keys = new Set<string>()
    for (let made = 0; made < 12; made += 1) {
      const { apiKey, key } = await world.key({ name: `${made}` })
      ids.push(apiKey.id)
      keys.add(key).add(apiKey.id)
      world.store.time.pass(1)
    }
    assert.equal(keys.size, 24)
    await world.one.apiKeys.revoke(ids[5] ?? '')
    assert.deepEqual(
      (await world.other.apiKeys.list()).map(({ id }) => id),
      ids,
    )
  })

  test('nobody is known by anything but the whole key', async () => {
    await using world = await callersWorld(make)
    const { apiKey, key } = await world.key()
    const wrong = [
      ...[key.slice(0, -1), `${key}A`, ` ${key}`, `${key}\n`, key.toUpperCase(), key.replace('tkk_', 'tkr_')],
      ...[
        `${key.slice(0, -2)}${key.at(-2) === 'A' ? 'B' : 'A'}${key.at(-1)}`,
        key.replace('tkk_', 'tkk_\0').slice(0, 47),
      ],
      ...[apiKey.id, apiKey.name, '', 'tkk_', 'tkk_%', `tkk_${'%'.repeat(43)}`, `tkk_${'\ud800'.repeat(43)}`],
      'A'.repeat(1_000_000),
    ]
    for (const each of wrong) assert.equal(await world.one.callers.byKey(each), null, inspect(each.slice(0, 60)))
    for (const each of [
      undefined,
      null,
      0,
      true,
      {},
      [key],
      Buffer.from(key),
      { length: 47, startsWith: () => true },
    ]) {
      assert.equal(await world.one.callers.byKey(untyped(each)), null, inspect(each))
      assert.equal(await world.one.callers.byLocalRefreshToken(untyped(each)), null, inspect(each))
    }
    assert.ok((await world.one.callers.byKey(key)) !== null, 'the control')
  })

  test('a revoked key is unknown at once, also to another process, and its end is noted', async () => {
    await using world = await callersWorld(make)
    const unharmed = await Promise.all(Array.from({ length: 8 }, () => world.key()))
    const { apiKey, key } = await world.key()
    assert.ok((await world.other.callers.byKey(key)) !== null)
    world.store.time.pass(5_000)
    const revoked = await world.one.apiKeys.revoke(apiKey.id)
    assert.deepEqual(revoked, { ...apiKey, revokedAt: apiKey.createdAt + 5_000 })
    assert.equal(await world.other.callers.byKey(key), null)
    assert.equal(await world.one.callers.byKey(key), null)
    assert.deepEqual(await world.other.apiKeys.get(apiKey.id), revoked)
    for (const each of unharmed) assert.deepEqual(await world.other.callers.byKey(each.key), each.apiKey)
  })

  test('revoking again changes nothing, not even two at once', async () => {
    await using world = await callersWorld(make)
    const { apiKey } = await world.key()
    const both = await Promise.all([world.one.apiKeys.revoke(apiKey.id), world.other.apiKeys.revoke(apiKey.id)])
    world.store.time.pass(5_000)
    const again = await world.other.apiKeys.revoke(apiKey.id)
    assert.equal(again.revokedAt, apiKey.createdAt)
    assert.deepEqual(both, [again, again])
  })

  test('a key ends at its moment, also to another process, and can still be looked at', async () => {
    await using world = await callersWorld(make)
    const { wall } = world.store.time.moment()
    const { apiKey, key } = await world.key({ expiresAt: wall + HOUR_MS })
    world.store.time.pass(HOUR_MS - 1)
    assert.deepEqual(await world.other.callers.byKey(key), apiKey)
    world.store.time.pass(1)
    for (const desk of [world.one, world.other]) {
      assert.equal(await desk.callers.byKey(key), null)
      assert.deepEqual(await desk.apiKeys.get(apiKey.id), apiKey)
    }
  })

  test('many keys made at once by two processes are all there', async () => {
    await using world = await callersWorld(make)
    const made = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        (index % 2 === 0 ? world.one : world.other).apiKeys.create({ name: `${index}` }),
      ),
    )
    const known = await Promise.all(made.map(({ key }) => world.other.callers.byKey(key)))
    assert.deepEqual(
      known,
      made.map(({ apiKey }) => apiKey),
    )
  })

  test('what is at the edge of what a key may be is taken', async () => {
    await using world = await callersWorld(make)
    const labels = Object.fromEntries(Array.from({ length: 32 }, (_, n) => [`${n}`.padStart(64, 'n'), 'v'.repeat(200)]))
    const { wall } = world.store.time.moment()
    for (const input of [
      { name: 'n'.repeat(100) },
      { scopes: API_KEY_SCOPES },
      { scopes: ['admin'], labels: {}, sources: {}, expiresAt: null },
      { labels },
      { labels: untyped(Object.assign(Object.create(null), { team: 'sales' })) },
      { expiresAt: wall + 1 },
      { scopes: undefined, labels: undefined, sources: undefined, expiresAt: undefined },
    ] satisfies Partial<ApiKeyInput>[]) {
      const { apiKey, key } = await world.key(input)
      assert.deepEqual(await world.other.callers.byKey(key), apiKey)
    }
  })

  for (const [what, input] of [
    ['nothing', undefined],
    ['null', null],
    ['a list', []],
    ['a text', 'CANARY'],
    ['an unknown member', { CANARY: 1 }],
    ['an unknown member that is nearly one', { name: 'n', label: { team: 'CANARY' } }],
    ['no name', {}],
    ['an empty name', { name: '' }],
    ['a name that is no text', { name: 42 }],
    ['a name that is too long', { name: `CANARY${'n'.repeat(100)}` }],
    ['a name with a line feed', { name: 'CANARY\n' }],
    ['a name of broken Unicode', { name: 'CANARY\ud800' }],
    ['scopes that are no list', { name: 'n', scopes: 'token:read' }],
    ['scopes that are null', { name: 'n', scopes: null }],
    ['no scope', { name: 'n', scopes: [] }],
    ['a gap among scopes', { name: 'n', scopes: Array(1) }],
    ['an unknown scope', { name: 'n', scopes: ['token:read', 'CANARY'] }],
    ['a scope that is no text', { name: 'n', scopes: [['token:read']] }],
    ['several scopes in one text', { name: 'n', scopes: ['token:read connections:read'] }],
    ['labels that are a list', { name: 'n', labels: ['CANARY'] }],
    ['labels that are a text', { name: 'n', labels: 'CANARY' }],
    ['labels in a Map, which would be no limit', { name: 'n', labels: new Map([['team', 'CANARY']]) }],
    ['labels in a query, which would be no limit', { name: 'n', labels: new URLSearchParams('team=CANARY') }],
    ['inherited labels, which would be no limit', { name: 'n', labels: Object.create({ team: 'CANARY' }) as object }],
    ['33 labels', { name: 'n', labels: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`l${n}`, ''])) }],
    ['a label name with a space', { name: 'n', labels: { 'CANARY x': 'v' } }],
    ['an empty label name', { name: 'n', labels: { '': 'v' } }],
    ['a label name that is too long', { name: 'n', labels: { [`CANARY${'n'.repeat(60)}`]: 'v' } }],
    ['a label value that is no text', { name: 'n', labels: { team: 1 } }],
    ['a label value that is undefined', { name: 'n', labels: { team: undefined } }],
    ['a label value that is too long', { name: 'n', labels: { team: `CANARY${'v'.repeat(200)}` } }],
    ['a label value with a control character', { name: 'n', labels: { team: 'CANARY\0' } }],
    ['a label value of broken Unicode', { name: 'n', labels: { team: 'CANARY\udfff' } }],
    ['an end in seconds', { name: 'n', expiresAt: 1_900_000_000 }],
    ['an end that is a text', { name: 'n', expiresAt: '2030-01-01' }],
    ['an end that is a Date', { name: 'n', expiresAt: new Date(4e12) }],
    ['an end that is no number', { name: 'n', expiresAt: NaN }],
    ['an endless end', { name: 'n', expiresAt: Infinity }],
    ['an end beyond the calendar', { name: 'n', expiresAt: 1e15 }],
    ['sources that are a list', { name: 'n', sources: ['CANARY'] }],
    ['sources in a Map', { name: 'n', sources: new Map([['strict', 'CANARY']]) }],
    ['a source of a provider that has no name', { name: 'n', sources: { 'CANARY x': 'erp' } }],
    ['a source that is no text', { name: 'n', sources: { strict: 1 } }],
    ['a source that no connection can be', { name: 'n', sources: { strict: 'CANARY x' } }],
    ['a source that is too long', { name: 'n', sources: { strict: `CANARY${'n'.repeat(200)}` } }],
    ['101 sources', { name: 'n', sources: Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`p${n}`, 'a'])) }],
    ['a limit together with admin', { name: 'n', scopes: ['admin'], labels: { team: 'CANARY' } }],
    ['a limit together with providers:write', { name: 'n', scopes: ['providers:write'], labels: { team: 'CANARY' } }],
  ] satisfies readonly (readonly [string, unknown])[]) {
    test(`a key from ${what} is refused, and what was given is not repeated`, async () => {
      await using world = await callersWorld(make)
      const error = await refusal(() => world.one.apiKeys.create(untyped(input)))
      assert.equal(error.code, 'invalid_input')
      assert.deepEqual(await world.one.apiKeys.list(), [])
      // A member's name of one plain word may be said: it is how people find their slip.
      if (what !== 'an unknown member') assert.equal(inspect(error, { showHidden: true }).includes('CANARY'), false)
    })
  }

  test('an end in seconds is refused by saying what is wrong with it', async () => {
    await using world = await callersWorld(make)
    const { code, message } = await refusal(() => world.key({ expiresAt: 4_000_000_000 }))
    assert.equal(code, 'invalid_input')
    assert.match(message, /milliseconds.*not seconds/)
  })

  test('an end that has passed, or is now, is refused', async () => {
    await using world = await callersWorld(make)
    const { wall } = world.store.time.moment()
    for (const expiresAt of [wall - HOUR_MS, wall]) {
      assert.equal((await refusal(() => world.key({ expiresAt }))).code, 'invalid_input')
    }
    assert.deepEqual(await world.one.apiKeys.list(), [])
  })

  test('an id that is none is an unknown key, and the key in its place is not repeated', async () => {
    await using world = await callersWorld(make)
    const { apiKey, key } = await world.key()
    const acts = [
      (id: string) => world.one.apiKeys.get(id),
      (id: string) => world.one.apiKeys.revoke(id),
      (id: string) => world.one.apiKeys.setSource(id, 'strict', null),
      (id: string) => world.one.localRefreshTokens.share('erp', { with: id }),
    ]
    for (const act of acts) {
      for (const id of [key, key.slice(4), `key_${key}`, ...[undefined, null, 7, {}, [apiKey.id]].map(untyped)]) {
        const error = await refusal(() => act(id))
        assert.equal(error.code, 'unknown_api_key')
        assert.equal(error.subject, null)
        assert.equal(inspect(error, { showHidden: true }).includes(key.slice(4)), false)
      }
      const { code, subject } = await refusal(() => act('key_00'))
      assert.deepEqual({ code, subject }, { code: 'unknown_api_key', subject: 'key_00' })
    }
    assert.ok((await world.one.callers.byKey(key)) !== null, 'nothing was revoked')
  })

  test('a closed database says so to every question', async () => {
    await using world = await callersWorld(make)
    await world.store.connect('erp')
    const { apiKey, key } = await world.key()
    const { localRefreshToken, refreshToken } = await world.one.localRefreshTokens.share('erp', { with: apiKey.id })
    await world.closeOne()
    const { apiKeys, localRefreshTokens, callers } = world.one
    const acts: Record<string, () => Promise<unknown>> = {
      create: () => apiKeys.create({ name: 'n' }),
      get: () => apiKeys.get(apiKey.id),
      list: () => apiKeys.list(),
      revoke: () => apiKeys.revoke(apiKey.id),
      setSource: () => apiKeys.setSource(apiKey.id, 'strict', null),
      share: () => localRefreshTokens.share('erp', { with: apiKey.id }),
      shares: () => localRefreshTokens.list('erp'),
      token: () => localRefreshTokens.get(localRefreshToken.id),
      revokeToken: () => localRefreshTokens.revoke(localRefreshToken.id),
      byKey: () => callers.byKey(key),
      byLocalRefreshToken: () => callers.byLocalRefreshToken(refreshToken),
      admits: () => callers.admits('erp', {}),
      source: () => callers.source(apiKey, 'strict'),
    }
    for (const [name, act] of Object.entries(acts)) assert.equal((await refusal(act)).code, 'closed', name)
  })
}
