/** Providers and clients. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import { Secret, type ClientId, type OpenedClient, type ProviderId } from '@tokenkeep/core'
import { createWorld, mustAcquire, mustRead, provider, tryAcquire, type MakeBackend } from './store-world.ts'

const client = (id: string, of: string, secret: string | null): Omit<OpenedClient, 'revision'> => ({
  id: id as ClientId,
  provider: of as ProviderId,
  clientId: 'abc',
  tokenEndpointAuthMethod: secret === null ? 'none' : 'client_secret_basic',
  clientSecret: secret === null ? null : new Secret('client_secret', secret),
})

export function registryContract(make: MakeBackend): void {
  test('a provider comes back as it was put, also in another store', async () => {
    const world = await createWorld(make)
    const put = await world.one.registry.putProvider(provider('one', { kind: 'counted', n: 2 }))
    assert.deepEqual(put, { ...provider('one', { kind: 'counted', n: 2 }), revision: 1 })
    const other = await world.manager()
    assert.deepEqual(await other.registry.provider('one' as ProviderId), put)
    assert.equal(await other.registry.provider('nobody' as ProviderId), null)
    assert.deepEqual(
      (await other.registry.providers()).map(({ id }) => id),
      ['grace', 'one', 'reusable', 'strict'],
    )
    await world.end()
  })

  test('a changed provider has a new revision, the same again has not', async () => {
    const world = await createWorld(make)
    const first = await world.one.registry.putProvider(provider('one', { kind: 'strict' }))
    const again = await (await world.manager()).registry.putProvider(provider('one', { kind: 'strict' }))
    assert.equal(again.revision, first.revision)
    const changed = await world.one.registry.putProvider(provider('one', { kind: 'unknown' }))
    assert.equal(changed.revision, first.revision + 1)
    await world.end()
  })

  test('a view is judged by its provider as it is now, whoever changed it', async () => {
    const world = await createWorld(make)
    await world.connect('a')
    const other = await world.manager()
    assert.equal((await mustRead(world.one, 'a')).terms.policy.reuse.kind, 'strict')
    await other.registry.putProvider(provider('strict', { kind: 'unknown' }))
    const view = await mustRead(world.one, 'a')
    assert.equal(view.terms.policy.reuse.kind, 'unknown')
    assert.equal(view.terms.provider.revision, 2)
    await world.end()
  })

  test('a client comes back with its secret opened, and lists do not have it', async () => {
    const world = await createWorld(make)
    await world.one.registry.putClient(client('app', 'strict', 'hush'))
    const opened = await (await world.manager()).registry.client('app' as ClientId)
    assert.ok(opened !== null && typeof opened !== 'string')
    assert.equal(opened.clientSecret?.reveal(), 'hush')
    assert.equal(inspect(await world.one.registry.clients(), { depth: 9 }).includes('hush'), false)
    assert.equal('clientSecret' in ((await world.one.registry.clients())[0] ?? {}), false)
    await world.one.registry.putClient(client('public', 'strict', null))
    const open = await world.one.registry.client('public' as ClientId)
    assert.ok(open !== null && typeof open !== 'string')
    assert.equal(open.clientSecret, null)
    assert.equal(await world.one.registry.client('nobody' as ClientId), null)
    await world.end()
  })

  test('a changed secret is a new revision, the same secret is not', async () => {
    const world = await createWorld(make)
    const first = await world.one.registry.putClient(client('app', 'strict', 'hush'))
    assert.equal((await world.one.registry.putClient(client('app', 'strict', 'hush'))).revision, first.revision)
    assert.equal((await world.one.registry.putClient(client('app', 'strict', 'hush!'))).revision, first.revision + 1)
    await world.end()
  })

  test('a mended client ends the block of its connections', async () => {
    const world = await createWorld(make)
    await world.one.registry.putClient(client('app', 'strict', 'wrong'))
    const { at } = await world.connect('a', { client: 'app' })
    const { lease } = await mustAcquire(world.one, at)
    await world.one.store.commit(lease, { kind: 'misconfigured', reason: 'client', word: 'invalid_client' })
    const blocked = await mustRead(world.one, 'a')
    assert.equal((await tryAcquire(world.one, blocked.at)).kind, 'not_yet')
    await world.one.registry.putClient(client('app', 'strict', 'right'))
    assert.equal((await mustAcquire(world.one, blocked.at)).kind, 'acquired')
    await world.end()
  })

  test('a client secret that does not open is named as such', async () => {
    const world = await createWorld(make)
    const blind = await world.manager({ cipher: { sealer: () => world.cipher.sealer(), open: () => 'tampered' } })
    assert.equal(await blind.registry.client('strict' as ClientId), 'tampered')
    await world.end()
  })

  test('a client of an unknown provider, or moved to another one, is refused', async () => {
    const world = await createWorld(make)
    await assert.rejects(() => world.one.registry.putClient(client('app', 'nobody', null)), {
      code: 'unknown_provider',
      subject: 'nobody',
    })
    await assert.rejects(() => world.one.registry.putClient(client('strict', 'grace', null)), { code: 'invalid_input' })
    await world.end()
  })
}
