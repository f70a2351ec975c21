/** What a key may see, and whose token serves its `client_credentials`. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import { callersWorld, refusal, untyped, type MakeCallersBackend } from './callers-world.ts'

export function sourcesContract(make: MakeCallersBackend): void {
  test('a connection is admitted where every label matches', async () => {
    await using world = await callersWorld(make)
    await world.store.connect('erp', { labels: { team: 'sales', place: 'berlin' } })
    await world.store.connect('plain')
    for (const [labels, admitted] of [
      [{}, true],
      [{ team: 'sales' }, true],
      [{ place: 'berlin', team: 'sales' }, true],
      [{ team: 'sales', place: 'bonn' }, false],
      [{ team: 'sales', more: '' }, false],
      [{ team: 'Sales' }, false],
      [{ team: 'sale' }, false],
      [{ team: '' }, false],
      [{ sales: 'team' }, false],
    ] as const) {
      for (const { callers } of [world.one, world.other]) {
        assert.equal(await callers.admits('erp', labels), admitted, inspect(labels))
      }
      assert.equal(await world.one.callers.admits('plain', labels), Object.keys(labels).length === 0, inspect(labels))
      assert.equal(await world.one.callers.admits('nobody', labels), false, inspect(labels))
    }
    assert.equal(await world.one.callers.admits('erp', untyped({ team: undefined })), false, 'no limit got lost')
  })

  test('a connection is admitted until it is erased, and by its own labels when it is there again', async () => {
    await using world = await callersWorld(make)
    const [sales, service] = [{ team: 'sales' }, { team: 'service' }]
    await world.store.connect('erp', { labels: sales })
    await world.beginDelete('erp')
    for (const labels of [{}, sales]) assert.equal(await world.other.callers.admits('erp', labels), true)
    await world.erase('erp')
    for (const labels of [{}, sales]) assert.equal(await world.other.callers.admits('erp', labels), false)
    await world.store.connect('erp', { labels: service, refreshToken: 'another' })
    assert.equal(await world.other.callers.admits('erp', sales), false)
    assert.equal(await world.other.callers.admits('erp', service), true)
  })

  test('a connection id is the same however its accents are composed', async () => {
    await using world = await callersWorld(make)
    const [composed, decomposed] = ['m\u00fcller', 'mu\u0308ller']
    await world.store.connect(composed, { labels: { team: 'sales' } })
    for (const id of [composed, decomposed]) {
      assert.equal(await world.one.callers.admits(id, { team: 'sales' }), true)
      const { apiKey } = await world.key({ sources: { strict: id } })
      assert.deepEqual(apiKey.sources, { strict: composed })
      await world.one.apiKeys.setSource(apiKey.id, 'strict', null)
      assert.deepEqual((await world.one.apiKeys.setSource(apiKey.id, 'strict', id)).sources, { strict: composed })
      const { localRefreshToken } = await world.one.localRefreshTokens.share(id, { with: apiKey.id })
      assert.equal(localRefreshToken.connection, composed)
      assert.equal((await world.one.localRefreshTokens.list(id)).length, id === composed ? 1 : 2)
    }
  })

  test('what no connection can be called is refused, and not looked for', async () => {
    await using world = await callersWorld(make)
    const { apiKey } = await world.key()
    const canary = 'CANARY'
    for (const id of [
      '',
      `${canary} `,
      `${canary}\0`,
      `-${canary}`,
      canary.repeat(40),
      ...[undefined, 7, {}].map(untyped),
    ]) {
      for (const act of [
        () => world.one.callers.admits(id, {}),
        () => world.one.apiKeys.setSource(apiKey.id, 'strict', id),
        () => world.one.localRefreshTokens.share(id, { with: apiKey.id }),
        () => world.one.localRefreshTokens.list(id),
      ]) {
        const error = await refusal(act)
        assert.equal(error.code, 'invalid_input', inspect(id))
        assert.equal(inspect(error).includes(canary), false)
      }
    }
    for (const provider of ['', 'a b', '__proto__', canary.repeat(11), ...[undefined, null, 7].map(untyped)]) {
      assert.equal(await world.one.callers.source(apiKey, provider), null, inspect(provider))
      const error = await refusal(() => world.one.apiKeys.setSource(apiKey.id, provider, null))
      assert.equal(error.code, 'invalid_input', inspect(provider))
    }
  })

  test('a source serves its key at its provider, and nobody else', async () => {
    await using world = await callersWorld(make)
    await world.store.connect('erp')
    await world.store.connect('crm', { client: 'grace' })
    const { apiKey } = await world.key({ sources: { strict: 'erp', grace: 'crm' } })
    const { apiKey: stranger } = await world.key()
    assert.equal(await world.other.callers.source(apiKey, 'strict'), 'erp')
    assert.equal(await world.other.callers.source(apiKey, 'grace'), 'crm')
    assert.equal(await world.other.callers.source(apiKey, 'reusable'), null)
    assert.equal(await world.other.callers.source(apiKey, 'nobody'), null)
    assert.equal(await world.other.callers.source(stranger, 'strict'), null)
  })

  test('a source is set, replaced and removed, at once for another process, and the others stay', async () => {
    await using world = await callersWorld(make)
    await world.store.connect('erp')
    await world.store.connect('erp-2')
    await world.store.connect('crm', { client: 'grace' })
    const { apiKey, key } = await world.key({ sources: { grace: 'crm' } })
    const steps = [
      ['erp', { strict: 'erp', grace: 'crm' }],
      ['erp-2', { strict: 'erp-2', grace: 'crm' }],
      ['erp-2', { strict: 'erp-2', grace: 'crm' }],
      [null, { grace: 'crm' }],
      [null, { grace: 'crm' }],
    ] as const
    for (const [connection, sources] of steps) {
      assert.deepEqual(await world.one.apiKeys.setSource(apiKey.id, 'strict', connection), { ...apiKey, sources })
      assert.deepEqual((await world.other.callers.byKey(key))?.sources, sources)
      assert.equal(await world.other.callers.source(apiKey, 'strict'), connection)
      assert.equal(await world.other.callers.source(apiKey, 'grace'), 'crm')
    }
  })

  test('of two who set a source at once one prevails, whole', async () => {
    await using world = await callersWorld(make)
    await world.store.connect('erp')
    await world.store.connect('erp-2')
    const { apiKey } = await world.key()
    await Promise.all([
      world.one.apiKeys.setSource(apiKey.id, 'strict', 'erp'),
      world.other.apiKeys.setSource(apiKey.id, 'strict', 'erp-2'),
    ])
    const { sources } = await world.one.apiKeys.get(apiKey.id)
    assert.ok(['erp', 'erp-2'].includes(sources['strict'] ?? ''))
    assert.equal(await world.other.callers.source(apiKey, 'strict'), sources['strict'])
  })

  test('a key with one wrong source is not made at all', async () => {
    await using world = await callersWorld(make)
    await world.store.connect('erp')
    await world.store.connect('crm', { client: 'grace', labels: { team: 'service' } })
    for (const [input, code, subject] of [
      [{ sources: { strict: 'erp', grace: 'erp' } }, 'unknown_connection', 'erp'],
      [{ sources: { strict: 'erp', grace: 'nobody' } }, 'unknown_connection', 'nobody'],
      [{ sources: { strict: 'erp', nobody: 'erp' } }, 'unknown_provider', 'nobody'],
      [{ sources: { grace: 'crm' }, labels: { team: 'sales' } }, 'unknown_connection', 'crm'],
      [{ sources: { grace: 'crm' }, labels: { team: 'service', place: 'bonn' } }, 'unknown_connection', 'crm'],
    ] as const) {
      const error = await refusal(() => world.key(input))
      assert.deepEqual([error.code, error.subject], [code, subject])
      assert.deepEqual(await world.other.apiKeys.list(), [])
    }
    const { apiKey } = await world.key({ sources: { strict: 'erp', grace: 'crm' } })
    assert.deepEqual(apiKey.sources, { strict: 'erp', grace: 'crm' })
  })

  test('a connection that a key may not use, one of another provider, and none are refused in the same words', async () => {
    await using world = await callersWorld(make)
    await world.store.connect('forbidden', { labels: { team: 'service' } })
    await world.store.connect('misnamed', { labels: { group: 'sales', team: '' } })
    await world.store.connect('elsewhere', { client: 'grace', labels: { team: 'sales' } })
    await world.store.connect('going', { labels: { team: 'sales' } })
    await world.beginDelete('going')
    await world.store.connect('erp', { labels: { team: 'sales' } })
    const labels = { team: 'sales' }
    const { apiKey } = await world.key({ labels, sources: { strict: 'erp' } })
    const acts = [
      (id: string) => world.one.apiKeys.setSource(apiKey.id, 'strict', id),
      (id: string) => world.key({ labels, sources: { strict: id } }),
    ]
    for (const act of acts) {
      const said = new Set<string>()
      for (const id of ['forbidden', 'misnamed', 'elsewhere', 'going', 'nobody']) {
        const { code, message, subject } = await refusal(() => act(id))
        assert.deepEqual([code, subject], ['unknown_connection', id])
        said.add(message.replaceAll(id, 'ID'))
      }
      assert.equal(said.size, 1, [...said].join('\n'))
    }
    assert.deepEqual((await world.one.apiKeys.get(apiKey.id)).sources, { strict: 'erp' }, 'the old one stays')
    for (const connection of ['erp', null]) {
      const error = await refusal(() => world.one.apiKeys.setSource(apiKey.id, 'nobody', connection))
      assert.deepEqual([error.code, error.subject], ['unknown_provider', 'nobody'])
    }
  })

  test('a secret in the place of a connection or provider is not repeated', async () => {
    await using world = await callersWorld(make)
    await world.store.connect('erp')
    const { apiKey, key } = await world.key()
    const { refreshToken } = await world.one.localRefreshTokens.share('erp', { with: apiKey.id })
    for (const secret of [key, refreshToken]) {
      for (const act of [
        () => world.one.apiKeys.setSource(apiKey.id, 'strict', secret),
        () => world.one.apiKeys.setSource(apiKey.id, secret, 'erp'),
        () => world.one.apiKeys.setSource(apiKey.id, secret, null),
        () => world.key({ sources: { strict: secret } }),
        () => world.key({ sources: { [secret]: 'erp' } }),
        () => world.one.localRefreshTokens.share(secret, { with: apiKey.id }),
        () => world.one.localRefreshTokens.list(secret),
      ]) {
        const error = await refusal(act)
        assert.match(error.code, /^(unknown_provider|invalid_input)$/)
        assert.equal(inspect(error, { showHidden: true }).includes(secret), false, error.message)
      }
    }
  })

  test('a source names a connection by its id: gone with it, and there again only where provider and labels fit', async () => {
    await using world = await callersWorld(make)
    const labels = { team: 'sales' }
    await world.store.connect('erp', { labels })
    const { apiKey } = await world.key({ labels, sources: { strict: 'erp' } })
    const serves = async (expected: string | null, why: string): Promise<void> => {
      for (const { callers } of [world.one, world.other]) {
        assert.equal(await callers.source(apiKey, 'strict'), expected, why)
      }
    }
    await serves('erp', 'the control')
    await world.beginDelete('erp')
    await serves(null, 'while it is being deleted')
    await world.erase('erp')
    await serves(null, 'when it is erased')
    await world.store.connect('erp', { labels, client: 'grace' })
    await serves(null, 'imported again at another provider')
    await world.erase('erp')
    await world.store.connect('erp', { labels: { team: 'service' }, refreshToken: 'a second' })
    await serves(null, 'imported again with other labels')
    await world.erase('erp')
    await world.store.connect('erp', { labels: { ...labels, place: 'bonn' }, refreshToken: 'a third' })
    await serves('erp', 'imported again as it was')
    assert.deepEqual((await world.one.apiKeys.get(apiKey.id)).sources, { strict: 'erp' })
  })
}
