/** The key that the tokens of a sign-in are bound to: written with it, and ended with it (RFC 9449). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Revision, View } from '@tokenkeep/core'
import { createWorld, mustAcquire, mustRead, NOBODY, type MakeBackend } from './store-world.ts'

const shown = ({ dpopKey }: View): string | null =>
  dpopKey === null ? null : typeof dpopKey === 'string' ? dpopKey : `${dpopKey.key.reveal()}, ${dpopKey.jkt}`

export function dpopKeysContract(make: MakeBackend): void {
  test('the key of a sign-in is opened for every reader, and stays through refreshes', async () => {
    const world = await createWorld(make)
    const created = await world.connect('a', { dpopKey: 'key' })
    assert.equal(shown(created), 'key, thumbprint of key')
    const other = await world.manager()
    assert.equal(shown(await mustRead(other, 'a')), 'key, thumbprint of key')
    const { lease } = await mustAcquire(other, created.at)
    await other.store.commit(lease, world.granted(created.at, { refreshToken: 'rt 2', accessToken: 'at 2' }))
    assert.equal(shown(await mustRead(world.one, 'a')), 'key, thumbprint of key')
    assert.equal(shown(await world.connect('b')), null)
    await world.end()
  })

  test('a new sign-in has the key that it brings, or none', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a', { dpopKey: 'first' })
    const second = world.sealed(at.uid, { refreshToken: 'rt 2', dpopKey: 'second' })
    const bound = await world.one.store.replaceGrant(at, second, NOBODY)
    assert.ok(!('kind' in bound))
    assert.equal(shown(bound), 'second, thumbprint of second')
    assert.equal(shown(await mustRead(world.one, 'a')), 'second, thumbprint of second')
    const third = world.sealed(at.uid, { refreshToken: 'rt 3' })
    const unbound = await world.one.store.replaceGrant(bound.at, third, NOBODY)
    assert.ok(!('kind' in unbound))
    assert.equal(shown(await mustRead(world.one, 'a')), null)
    await world.end()
  })

  test('nothing of the key is left when its connection is erased', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a', { dpopKey: 'key' })
    const deletion = await world.one.store.beginDelete(at)
    assert.ok(deletion.kind === 'deleting')
    assert.equal(await world.one.store.finishDelete(deletion, true), 'erased')
    const [tombstone] = await world.one.store.changes([[at.uid, 0 as Revision]])
    assert.ok(tombstone !== undefined)
    assert.deepEqual([tombstone.row.state.status, shown(tombstone)], ['erased', null])
    await world.end()
  })
}
