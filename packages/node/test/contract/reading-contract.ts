/** Reading, lists, due work, changes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ms, type ConnectionId, type ListQuery, type ProviderId, type Revision, type Uid } from '@tokenkeep/core'
import {
  HOUR_MS,
  createWorld,
  leaveInDoubt,
  mustAcquire,
  mustRead,
  provider,
  type MakeBackend,
  type World,
} from './store-world.ts'

const listed = async (world: World, query: Partial<ListQuery>): Promise<string[]> =>
  (await world.one.store.list({ limit: 100, ...query })).map(({ row }) => row.id)

export function readingContract(make: MakeBackend): void {
  test('an id that never was is gone as unknown', async () => {
    const world = await createWorld(make)
    assert.deepEqual(await world.one.store.read('nobody' as ConnectionId), { kind: 'gone', because: 'unknown' })
    assert.deepEqual(await world.one.store.history('nobody' as ConnectionId, 10), [])
    await world.end()
  })

  test('an access token that does not open is left out, and the view says so', async () => {
    const world = await createWorld(make)
    await world.connect('a')
    const blind = await world.manager({ cipher: { sealer: () => world.cipher.sealer(), open: () => 'no_key' } })
    const view = await mustRead(blind, 'a')
    assert.deepEqual(view.accessTokens, [])
    assert.equal(view.unreadable, 'no_key')
    await world.end()
  })

  test('a list is in the order of the UTF-8 bytes of its ids, and goes on after a cursor', async () => {
    const world = await createWorld(make)
    // By UTF-16 code units the last two would stand the other way round.
    const ids = ['B', 'a', 'é', '\uffee', '\u{1f600}']
    for (const id of [...ids].reverse()) await world.connect(id)
    assert.deepEqual(await listed(world, {}), ids)
    assert.deepEqual(await listed(world, { limit: 2 }), ids.slice(0, 2))
    assert.deepEqual(await listed(world, { limit: 2, after: 'a' as ConnectionId }), ids.slice(2, 4))
    assert.deepEqual(await listed(world, { after: '\u{1f600}' as ConnectionId }), [])
    assert.deepEqual(await listed(world, { after: 'b' as ConnectionId }), ids.slice(2), 'a cursor need not exist')
    await world.end()
  })

  test('a list is limited by provider, status and labels, all at once', async () => {
    const world = await createWorld(make)
    await world.connect('a', { labels: { team: 'blue', tier: '1' } })
    await world.connect('b', { labels: { team: 'blue', tier: '2' }, client: 'reusable' })
    await world.connect('c', { labels: { team: 'red', tier: '1' } })
    await world.connect('d', { client: 'reusable' })
    await leaveInDoubt(world, 'b')
    const strict = 'strict' as ProviderId
    assert.deepEqual(await listed(world, { provider: strict }), ['a', 'c'])
    assert.deepEqual(await listed(world, { status: 'in_doubt' }), ['b'])
    assert.deepEqual(await listed(world, { status: 'ready' }), ['a', 'c', 'd'])
    assert.deepEqual(await listed(world, { labels: { team: 'blue' } }), ['a', 'b'])
    assert.deepEqual(await listed(world, { labels: { team: 'blue', tier: '2' } }), ['b'])
    assert.deepEqual(await listed(world, { labels: { team: 'blue' }, after: 'a' as ConnectionId }), ['b'])
    assert.deepEqual(await listed(world, { labels: { team: 'blue' }, provider: strict, status: 'ready' }), ['a'])
    assert.deepEqual(await listed(world, { labels: { team: 'green' } }), [])
    assert.deepEqual(await listed(world, { status: 'erased' }), [])
    await world.end()
  })

  test('every status can be listed', async () => {
    const world = await createWorld(make)
    const ready = await world.connect('ready')
    const presenting = await world.connect('presenting')
    await mustAcquire(world.one, presenting.at)
    const blocked = await world.connect('blocked')
    const { lease } = await mustAcquire(world.one, blocked.at)
    await world.one.store.commit(lease, { kind: 'misconfigured', reason: 'client', word: null })
    const suspect = await world.connect('suspect')
    const refused = await mustAcquire(world.one, suspect.at)
    await world.one.store.commit(refused.lease, { kind: 'rejected', word: 'invalid_grant' })
    const needsUser = await world.connect('needs_user')
    const asked = await mustAcquire(world.one, needsUser.at)
    await world.one.store.commit(asked.lease, { kind: 'rejected', word: 'interaction_required' })
    const deleting = await world.connect('deleting')
    await world.one.store.beginDelete(deleting.at)
    for (const status of ['ready', 'presenting', 'blocked', 'suspect', 'needs_user', 'deleting'] as const) {
      assert.deepEqual(await listed(world, { status }), [status])
    }
    assert.equal(ready.row.state.status, 'ready')
    await world.end()
  })

  test('a connection that never had a refresh token is listed as readers see it', async () => {
    const world = await createWorld(make)
    await world.connect('a', { refreshToken: null, lifetimeMs: 1_000 })
    await world.connect('b', { refreshToken: null, lifetimeMs: HOUR_MS })
    const asked = await world.connect('c')
    const { lease } = await mustAcquire(world.one, asked.at)
    await world.one.store.commit(lease, { kind: 'rejected', word: 'interaction_required' })
    assert.deepEqual(await listed(world, { status: 'ready' }), ['a', 'b'])
    assert.deepEqual(await listed(world, { status: 'needs_user' }), ['c'])
    world.time.pass(1_000)
    assert.deepEqual(await listed(world, { status: 'ready' }), ['b'])
    assert.deepEqual(await listed(world, { status: 'needs_user' }), ['a', 'c'])
    assert.deepEqual(await listed(world, { status: 'needs_user', limit: 1 }), ['a'])
    await world.end()
  })

  test('due work is claimed once by two that ask at the same time', async () => {
    const world = await createWorld(make)
    const other = await world.manager()
    const ids = ['a', 'b', 'c', 'd', 'e']
    for (const id of ids) await leaveInDoubtAt(world, id)
    world.time.pass(HOUR_MS)
    const [first, second] = await Promise.all([
      world.one.store.due({ limit: 3, except: [] }),
      other.store.due({ limit: 3, except: [] }),
    ])
    assert.deepEqual([first.length, second.length].sort(), [2, 3])
    assert.deepEqual([...first, ...second].map(({ row }) => row.id).sort(), ids)
    assert.deepEqual(await world.one.store.due({ limit: 9, except: [] }), [])
    world.time.pass(29_999)
    assert.deepEqual(await world.one.store.due({ limit: 9, except: [] }), [], 'claimed for one lease')
    world.time.pass(1)
    assert.equal((await world.one.store.due({ limit: 9, except: [] })).length, 5, 'whoever claimed it did nothing')
    await world.end()
  })

  test('in a window that closes a claim is for two seconds, and for a lease once it is closed', async () => {
    const world = await createWorld(make)
    const other = await world.manager()
    await world.connect('a', { client: 'grace', accessToken: null })
    await leaveInDoubt(world, 'a')
    world.time.pass(500)
    const query = { limit: 9, except: [] }
    assert.equal((await world.one.store.due(query)).length, 1)
    world.time.pass(1_999)
    assert.deepEqual(await other.store.due(query), [])
    world.time.pass(1)
    assert.equal((await other.store.due(query)).length, 1, 'whoever claimed it did nothing')
    world.time.pass(60_000)
    assert.equal((await other.store.due(query)).length, 1)
    world.time.pass(2_000)
    assert.deepEqual(await world.one.store.due(query), [])
    await world.end()
  })

  test('a prompt retry is left for one lease to the only process that may make it', async () => {
    const world = await createWorld(make)
    const other = await world.manager()
    await world.one.registry.putProvider(provider('strict', { kind: 'unknown' }))
    const { at } = await world.connect('a', { accessToken: null })
    const { lease } = await mustAcquire(world.one, at)
    const seen = { kind: 'in_doubt', because: 'closed', status: null, endSeen: true, retryAfterMs: null } as const
    await world.one.store.commit(lease, seen)
    world.time.pass(5_000)
    const query = { limit: 9, except: [] }
    assert.deepEqual(await other.store.due(query), [])
    assert.equal((await world.one.store.due(query)).length, 1)
    world.time.pass(30_000)
    assert.equal((await other.store.due(query)).length, 1, 'its owner may be gone')
    await world.end()
  })

  test('a claim raises the revision like every write, and leaves fence and state alone', async () => {
    const world = await createWorld(make)
    await leaveInDoubtAt(world, 'a')
    world.time.pass(HOUR_MS)
    const before = await mustRead(world.one, 'a')
    const [claimed] = await world.one.store.due({ limit: 1, except: [] })
    assert.equal(claimed?.row.revision, before.row.revision + 1)
    assert.deepEqual(claimed?.at, before.at)
    assert.deepEqual(claimed?.row.state, before.row.state)
    assert.equal(claimed?.row.dueAt, world.time.moment().wall + 30_000)
    await world.end()
  })

  test('what could be lost comes first, and of excepted providers nothing else comes', async () => {
    const world = await createWorld(make)
    const keptAlive = { ...provider('strict', { kind: 'strict' }), refreshTokenIdleMs: ms(HOUR_MS) }
    await world.one.registry.putProvider(keptAlive)
    await world.connect('idle', { accessToken: null })
    await world.connect('ending', { accessToken: null, endsAt: world.time.moment().wall + HOUR_MS / 2 })
    world.time.pass(HOUR_MS)
    await world.connect('doubtful', { client: 'reusable' })
    await leaveInDoubt(world, 'doubtful')
    await world.connect('closing', { client: 'grace', accessToken: null })
    await leaveInDoubt(world, 'closing')
    const { at } = await world.connect('deleted')
    await world.one.store.beginDelete(at)
    world.time.pass(5_000)
    const names = async (except: readonly string[]) =>
      (await world.one.store.due({ limit: 9, except: except as ProviderId[] })).map(({ row }) => row.id)
    assert.deepEqual(await names(['strict', 'reusable', 'grace']), ['closing', 'ending'])
    assert.deepEqual(await names(['reusable']), ['idle'])
    assert.deepEqual(await names([]), ['doubtful'])
    world.time.pass(30_000)
    const again = await names(['strict', 'reusable', 'grace'])
    assert.deepEqual(again, ['closing', 'ending', 'deleted'], 'claimed and not done; and a deletion presents nothing')
    await world.end()
  })

  test('what was held back comes in the last moment of its refresh token', async () => {
    const world = await createWorld(make)
    await world.connect('a', { accessToken: null, endsAt: world.time.moment().wall + HOUR_MS })
    const count = async (except: readonly string[]) =>
      (await world.one.store.due({ limit: 9, except: except as ProviderId[] })).length
    world.time.pass(HOUR_MS * 0.75 - 1)
    assert.equal(await count([]), 0)
    world.time.pass(HOUR_MS * 0.25 - 30_000)
    assert.equal(await count(['strict']), 0, 'kept alive, and held back')
    world.time.pass(1)
    assert.equal(await count(['strict']), 1)
    await world.end()
  })

  test('nothing is due that waits for nothing', async () => {
    const world = await createWorld(make)
    await world.connect('unused')
    world.time.pass(24 * HOUR_MS)
    assert.deepEqual(await world.one.store.due({ limit: 9, except: [] }), [])
    await world.end()
  })

  test('changes tells the rows that were written since, those of which more was seen than is here, and no others', async () => {
    const world = await createWorld(make)
    const a = await world.connect('a')
    const b = await world.connect('b')
    const known: (readonly [Uid, Revision])[] = [
      [a.at.uid, a.row.revision],
      [b.at.uid, b.row.revision],
      [world.draft('c').uid, 0 as Revision],
    ]
    assert.deepEqual(await world.one.store.changes(known), [])
    await mustAcquire(await world.manager(), b.at)
    const changed = await world.one.store.changes(known)
    assert.deepEqual(
      changed.map(({ row }) => [row.id, row.revision]),
      [['b', b.row.revision + 1]],
    )
    const forgotten = await world.one.store.changes([[a.at.uid, (a.row.revision + 1) as Revision]])
    assert.deepEqual(
      forgotten.map(({ row }) => row.id),
      ['a'],
    )
    assert.deepEqual(await world.one.store.changes([]), [])
    await world.end()
  })
}

async function leaveInDoubtAt(world: World, id: string): Promise<void> {
  await world.connect(id)
  await leaveInDoubt(world, id)
}
