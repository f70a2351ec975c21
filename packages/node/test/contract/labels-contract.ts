/** Labels that are changed by hand: one atomic change, also while others change them and the connection. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LABELS_MAX, type View } from '@tokenkeep/core'
import { createWorld, leaveInDoubt, mustAcquire, mustRead, type MakeBackend } from './store-world.ts'

const labelsOf = (done: View | { readonly kind: string }): unknown => ('kind' in done ? done.kind : done.row.labels)

export function labelsContract(make: MakeBackend): void {
  test('labels are set and taken away, the others stay, and lists find the connection by them at once', async () => {
    const world = await createWorld(make)
    const { store } = world.one
    const before = await world.connect('a', { labels: { team: 'blue', tier: '1' } })
    const done = await store.label(before.at, { team: 'red', tier: null, region: 'north' }, {})
    assert.deepEqual(labelsOf(done), { team: 'red', region: 'north' })
    const { row } = await mustRead(await world.manager(), 'a')
    assert.deepEqual([row.labels, row.revision], [{ team: 'red', region: 'north' }, before.row.revision + 1])
    assert.deepEqual([row.dueAt, row.state], [before.row.dueAt, before.row.state])
    for (const [labels, found] of [
      [{ team: 'red' }, 1],
      [{ team: 'blue' }, 0],
      [{ tier: '1' }, 0],
      [{ team: 'red', region: 'north' }, 1],
    ] as const) {
      assert.equal((await store.list({ labels, limit: 10 })).length, found, JSON.stringify(labels))
    }
    await world.end()
  })

  test('labels that are the same already are not written', async () => {
    const world = await createWorld(make)
    const { at, row } = await world.connect('a', { labels: { team: 'blue' } })
    const commits = world.one.committed()
    const done = await world.one.store.label(at, { team: 'blue', other: null }, {})
    assert.ok(!('kind' in done))
    assert.equal(done.row.revision, row.revision)
    if (commits > 0) assert.equal((await mustRead(world.one, 'a')).row.revision, row.revision)
    await world.end()
  })

  test('a connection that is labelled in trouble, and gets into trouble when labelled, is found by both', async () => {
    const world = await createWorld(make)
    const { store } = world.one
    await world.connect('a')
    await leaveInDoubt(world, 'a')
    await store.label((await mustRead(world.one, 'a')).at, { team: 'blue' }, {})
    const { at } = await world.connect('b')
    await store.label(at, { team: 'blue' }, {})
    await leaveInDoubt(world, 'b')
    const inDoubt = { labels: { team: 'blue' }, status: 'in_doubt', limit: 10 } as const
    assert.deepEqual(
      (await store.list(inDoubt)).map(({ row }) => row.id),
      ['a', 'b'],
    )
    assert.equal((await store.overview({ team: 'blue' })).byStatus.in_doubt.count, 2)
    await world.end()
  })

  test('an attempt that is open is not disturbed', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    await world.one.store.label(at, { team: 'blue' }, {})
    const result = await world.one.store.commit(lease, world.granted(at, { refreshToken: 'new', accessToken: 'new' }))
    assert.equal(result.kind, 'committed')
    assert.deepEqual((await mustRead(world.one, 'a')).row.labels, { team: 'blue' })
    await world.end()
  })

  test('of many who change labels at once none undoes what another did', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const other = await world.manager()
    const names = Array.from({ length: 12 }, (_, n) => `label-${n}`)
    await Promise.all(
      names.map((name, n) => (n % 2 === 0 ? world.one : other).store.label(at, { [name]: String(n) }, {})),
    )
    const { labels } = (await mustRead(world.one, 'a')).row
    assert.deepEqual(Object.keys(labels).sort(), names.toSorted())
    await world.end()
  })

  test('of two who saw the same labels one changes them, and the other is told', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a', { labels: { team: 'blue' } })
    const other = await world.manager()
    const unchangedFrom = { team: 'blue' }
    const done = await Promise.all([
      world.one.store.label(at, { team: 'red' }, { unchangedFrom }),
      other.store.label(at, { team: 'green' }, { unchangedFrom }),
    ])
    assert.equal(done.filter((each) => labelsOf(each) === 'changed').length, 1)
    // A refresh in between is no change of what was seen.
    const { row } = await mustRead(world.one, 'a')
    const { lease } = await mustAcquire(world.one, at)
    await world.one.store.commit(lease, world.granted(at, { refreshToken: 'new', accessToken: 'new' }))
    const after = await other.store.label(at, { team: 'black' }, { unchangedFrom: row.labels })
    assert.deepEqual(labelsOf(after), { team: 'black' })
    await world.end()
  })

  test('nobody who is limited to labels sees more by changing them, or loses sight', async () => {
    const world = await createWorld(make)
    const { store } = world.one
    const within = { team: 'blue' }
    const mine = await world.connect('mine', { labels: { team: 'blue' } })
    const other = await world.connect('other', { labels: { team: 'red' } })
    assert.equal(labelsOf(await store.label(mine.at, { team: 'red' }, { within })), 'outside')
    assert.equal(labelsOf(await store.label(mine.at, { team: null }, { within })), 'outside')
    assert.deepEqual(await store.label(other.at, { team: 'blue' }, { within }), { kind: 'gone', because: 'unknown' })
    assert.deepEqual(labelsOf(await store.label(mine.at, { team: 'blue', tier: '1' }, { within })), {
      team: 'blue',
      tier: '1',
    })
    assert.deepEqual((await mustRead(world.one, 'other')).row.labels, { team: 'red' })
    await world.end()
  })

  test('there are no more labels than a connection has, and none of one that is gone', async () => {
    const world = await createWorld(make)
    const { store } = world.one
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`n${n}`, 'x']))
    const { at } = await world.connect('a', { labels: many(LABELS_MAX) })
    assert.equal(labelsOf(await store.label(at, { another: 'x' }, {})), 'too_many')
    assert.equal(Object.keys((await mustRead(world.one, 'a')).row.labels).length, LABELS_MAX)
    const done = await store.label(at, { another: 'x', n0: null }, {})
    assert.ok(!('kind' in done) && Object.hasOwn(done.row.labels, 'another'))
    await store.beginDelete(at)
    assert.deepEqual(await store.label(at, { n1: null }, {}), { kind: 'gone', because: 'deleting' })
    await world.end()
  })
}
