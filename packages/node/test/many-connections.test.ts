/** What is asked of more connections than one statement looks at. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { ClientId, Count, ProviderId } from '@tokenkeep/core'
import { writeMany } from './contract/many-connections.ts'
import { backendOn, newFolder } from './contract/sqlite-backend.ts'
import { createWorld, newKeyring, type World } from './contract/store-world.ts'

const exactly = (count: number): Count => ({ count, atLeast: false })

suite('twenty thousand connections', () => {
  let world: World
  before(async () => {
    const folder = await newFolder()
    const backend = await backendOn(folder.database, newKeyring(), folder.remove)
    world = await createWorld(async () => backend)
    const sql = backend.databases[0]?.sql ?? assert.fail('there is no database')
    sql.exec('BEGIN')
    writeMany(sql, { prefix: 'ready-', count: 6_000, subject: 'number one', labels: { team: 'blue', tier: '1' } })
    writeMany(sql, { prefix: 'doubt-a-', count: 6_000, status: 'in_doubt' })
    writeMany(sql, { prefix: 'doubt-b-', count: 6_001, status: 'in_doubt', provider: 'grace' })
    const revoked = { count: 600, status: 'needs_user', reason: 'revoked' } as const
    writeMany(sql, { ...revoked, prefix: 'revoked-a-', labels: { team: 'blue', tier: '1' } })
    writeMany(sql, { ...revoked, prefix: 'revoked-b-', provider: 'grace', labels: { team: 'blue', tier: '2' } })
    sql.exec('COMMIT')
  })
  after(() => world.end())

  test('an overview adds up what several statements counted', async () => {
    const { total, byStatus, needsUser, providers } = await world.one.store.overview({})
    assert.deepEqual(
      [total, byStatus.in_doubt, byStatus.ready, needsUser.revoked],
      [exactly(19_201), exactly(12_001), exactly(6_000), exactly(1_200)],
    )
    assert.deepEqual(
      providers.map((each) => [each.provider, each.total, each.in_doubt, each.needs_user]),
      [
        ['grace', exactly(6_601), exactly(6_001), exactly(600)],
        ['strict', exactly(12_600), exactly(6_000), exactly(600)],
      ],
    )
  })

  test('so it does of those with labels', async () => {
    const blue = await world.one.store.overview({ team: 'blue' })
    assert.deepEqual([blue.total, blue.needsUser.revoked], [exactly(7_200), exactly(1_200)])
    const both = await world.one.store.overview({ team: 'blue', tier: '2' })
    assert.deepEqual(
      [both.total, both.needsUser.revoked, both.byStatus.ready],
      [exactly(600), exactly(600), exactly(0)],
    )
    assert.deepEqual(
      both.providers.map(({ provider, total }) => [provider, total]),
      [
        ['grace', null],
        ['strict', null],
      ],
    )
  })

  test('a page ends after so many were looked at, says where to go on, and a list goes on by itself', async () => {
    const { store } = world.one
    const query = { provider: 'grace' as ProviderId, status: 'ready', limit: 10 } as const
    const { views, next } = await store.page(query)
    assert.deepEqual([views, next?.startsWith('doubt-b-')], [[], true])
    assert.deepEqual(await store.list(query), [])
    const rare = { ...query, status: 'needs_user' } as const
    assert.equal((await store.page(rare)).views.length, 10, 'the index of those in trouble is short')
    assert.equal((await store.list({ ...rare, limit: 1_000 })).length, 600)
  })

  test('what nothing begins with, and what nothing is of, is known at once', async () => {
    for (const query of [
      { search: 'x' },
      { labels: { team: 'blue' }, status: 'in_doubt' },
      { client: 'c' as ClientId },
    ] as const) {
      assert.deepEqual(await world.one.store.page({ ...query, limit: 10 }), { views: [], next: null })
    }
  })

  test('with labels, where a page ended names a connection that has them', async () => {
    const { next } = await world.one.store.page({ search: 'doubt', labels: { team: 'blue' }, limit: 10 })
    assert.match(next ?? '', /^(ready|revoked)-/)
  })

  test('a text that begins more subjects than are sorted is found in the order of the ids', async () => {
    const found = await world.one.store.list({ search: 'number', limit: 10 })
    assert.deepEqual(
      found.map(({ row }) => row.id),
      Array.from({ length: 10 }, (_, n) => `ready-00000${n}`),
    )
  })
})
