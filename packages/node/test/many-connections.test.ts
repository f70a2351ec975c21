/** What is asked of more connections than one statement looks at. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { Count } from '@tokenkeep/core'
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
    writeMany(sql, { prefix: 'ready-', count: 6_000, labels: { team: 'blue', tier: '1' } })
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
})
