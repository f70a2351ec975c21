/** Providers and clients. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import {
  CLIENT_DEFAULTS,
  later,
  ms,
  rotated,
  Secret,
  type ClientId,
  type GivenClient,
  type ProviderId,
} from '@tokenkeep/core'
import { makeSigningKey } from '../../src/client-key-material.ts'
import { eraseRetiredKeys } from '../../src/erase-client-keys.ts'
import { createSystemClock } from '../../src/clock-system.ts'
import { createWorld, mustAcquire, mustRead, provider, tryAcquire, type MakeBackend } from './store-world.ts'

const client = (id: string, of: string, secret: string | null): GivenClient => ({
  ...CLIENT_DEFAULTS,
  tlsKey: null,
  signingKey: null,
  id: id as ClientId,
  provider: of as ProviderId,
  clientId: 'abc',
  tokenEndpointAuthMethod: secret === null ? 'none' : 'client_secret_basic',
  clientSecret: secret === null ? null : new Secret('client_secret', secret),
})

const signer = (changes: Partial<GivenClient>): GivenClient => ({
  ...client('signer', 'strict', null),
  tokenEndpointAuthMethod: 'private_key_jwt',
  tokenEndpointAuthSigningAlg: 'ES256',
  ...changes,
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

  test('a key that signs comes back opened in every store, and lists do not have it', async () => {
    const world = await createWorld(make)
    const { now } = createSystemClock()
    const first = { ...(await makeSigningKey('ES256', now().wall)), when: 'now' } as const
    const put = await world.one.registry.putClient(signer({ signingKey: first }))
    const other = await world.manager()
    const opened = await other.registry.client('signer' as ClientId)
    assert.ok(opened !== null && typeof opened !== 'string')
    assert.equal(opened.keys.signing?.kid, first.key.kid)
    assert.equal(opened.keys.signing.privateJwk.reveal(), first.privateJwk.reveal())
    assert.deepEqual(await other.registry.clientKeys('signer' as ClientId), [first.key])
    assert.equal(await other.registry.clientKeys('nobody' as ClientId), null)
    const { d } = JSON.parse(first.privateJwk.reveal()) as { d: string }
    const listed = inspect([await other.registry.clients(), opened, await other.registry.clientKeys(opened.id)], {
      depth: 9,
    })
    assert.equal(listed.includes(d), false)
    // The same again is no change, and neither is a first key where there is one.
    assert.equal((await other.registry.putClient(signer({ signingKey: first }))).revision, put.revision)
    const late = { ...(await makeSigningKey('ES256', now().wall)), when: 'none_is_there' } as const
    assert.equal((await other.registry.putClient(signer({ signingKey: late }))).revision, put.revision)
    assert.deepEqual(await other.registry.clientKeys(opened.id), [first.key])
    await world.end()
  })

  test('another key is a new revision, one that is over goes without one, and another method erases them all', async () => {
    const world = await createWorld(make)
    const clock = createSystemClock()
    const at = clock.now().wall
    const first = await makeSigningKey('ES256', at)
    const second = await makeSigningKey('ES384', at)
    const id = 'signer' as ClientId
    const put = await world.one.registry.putClient(signer({ signingKey: { ...first, when: 'now' } }))
    await world.one.registry.changeClientKeys(id, {
      added: second,
      raises: 'revision',
      decide: (keys) => rotated(keys, second.key, { signsFrom: later(at, ms(1)), keepMs: ms(1) }, at),
    })
    const other = await world.manager()
    const opened = await other.registry.client(id)
    assert.ok(opened !== null && typeof opened !== 'string')
    assert.equal(opened.revision, put.revision + 1)
    assert.equal(opened.tokenEndpointAuthSigningAlg, 'ES256')
    assert.equal((await other.registry.clientKeys(id))?.length, 2)
    const afterBoth = { now: () => ({ ...clock.now(), wall: later(at, ms(10)) }) }
    await eraseRetiredKeys({ registry: other.registry, clock: afterBoth })
    assert.deepEqual(
      (await world.one.registry.clientKeys(id))?.map(({ kid }) => kid),
      [second.key.kid],
    )
    assert.deepEqual((await world.one.registry.clients()).find((each) => each.id === id)?.revision, opened.revision)
    await other.registry.putClient({ ...signer({}), tokenEndpointAuthMethod: 'none' })
    assert.deepEqual(await world.one.registry.clientKeys(id), [])
    await assert.rejects(
      () =>
        world.one.registry.changeClientKeys('nobody' as ClientId, {
          added: null,
          raises: 'nothing',
          decide: () => null,
        }),
      { code: 'unknown_client' },
    )
    await world.end()
  })

  test('of many that add a key at once, in two stores, each is kept', async () => {
    const world = await createWorld(make)
    const at = createSystemClock().now().wall
    const id = 'signer' as ClientId
    const first = await makeSigningKey('EdDSA', at)
    await world.one.registry.putClient(signer({ signingKey: { ...first, when: 'now' } }))
    const other = await world.manager()
    const added = await Promise.all([1, 2, 3, 4].map(() => makeSigningKey('EdDSA', at)))
    await Promise.all(
      added.map((key, index) =>
        (index % 2 === 0 ? world.one : other).registry.changeClientKeys(id, {
          added: key,
          raises: 'revision',
          decide: (keys) => [...keys, key.key],
        }),
      ),
    )
    const kids = (await world.one.registry.clientKeys(id))?.map(({ kid }) => kid)
    assert.deepEqual(kids?.toSorted(), [first, ...added].map(({ key }) => key.kid).toSorted())
    await world.end()
  })

  test('a private key that does not open is named as such', async () => {
    const world = await createWorld(make)
    const first = await makeSigningKey('ES256', createSystemClock().now().wall)
    await world.one.registry.putClient(signer({ signingKey: { ...first, when: 'now' } }))
    const blind = await world.manager({ cipher: { sealer: () => world.cipher.sealer(), open: () => 'tampered' } })
    assert.equal(await blind.registry.client('signer' as ClientId), 'tampered')
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
