/** The overview: whatever happened, it says what a reader of every connection would count. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LIVING, TROUBLES, type Overview, type View } from '@tokenkeep/core'
import { blue, inEveryStatus } from './every-status.ts'
import { HOUR_MS, NOBODY, createWorld, mustAcquire, mustRead, type MakeBackend, type World } from './store-world.ts'

type Labels = Readonly<Record<string, string>>

/** What is wrong with each connection is counted from its view, and compared. */
async function assertTrue(world: World, labels: Labels = {}): Promise<Overview> {
  const { store } = world.one
  const overview = await store.overview(labels)
  const views = await store.list({ limit: 1_000, labels })
  const counted = (of: (view: View) => boolean) => ({ count: views.filter(of).length, atLeast: false })
  assert.deepEqual(
    overview.total,
    counted(() => true),
  )
  for (const status of LIVING) {
    assert.deepEqual(
      overview.byStatus[status],
      counted(({ row }) => row.state.status === status),
      status,
    )
  }
  for (const [reason, count] of Object.entries(overview.needsUser)) {
    assert.deepEqual(
      count,
      counted(({ row }) => row.state.status === 'needs_user' && row.state.reason === reason),
      reason,
    )
  }
  for (const [reason, count] of Object.entries(overview.blocked)) {
    assert.deepEqual(
      count,
      counted(({ row }) => row.state.status === 'blocked' && row.state.reason === reason),
      reason,
    )
  }
  for (const { provider, total, expiring: _, ...of } of overview.providers) {
    const ofProvider = ({ row }: View): boolean => row.provider === provider
    assert.deepEqual(total, Object.keys(labels).length === 0 ? counted(ofProvider) : null, provider)
    for (const trouble of TROUBLES) {
      const here = counted((view) => ofProvider(view) && view.row.state.status === trouble)
      assert.deepEqual(of[trouble], here, `${provider} ${trouble}`)
    }
  }
  return overview
}

export function overviewContract(make: MakeBackend): void {
  test('an overview of nothing counts nothing', async () => {
    const world = await createWorld(make)
    const { total, byStatus, providers, expiring } = await assertTrue(world)
    assert.deepEqual([total, byStatus.ready, providers, expiring.next], [NONE, NONE, [], []])
    await world.end()
  })

  test('an overview counts every status, reason and provider, of all connections and of those with labels', async () => {
    const world = await createWorld(make)
    await inEveryStatus(world)
    const all = await assertTrue(world)
    assert.deepEqual([all.total.count, all.blocked.endpoint.count, all.needsUser.interaction_required.count], [8, 1, 1])
    assert.deepEqual((await assertTrue(world, blue)).total.count, 6)
    assert.deepEqual((await assertTrue(world, { ...blue, tier: '1' })).byStatus.in_doubt.count, 1)
    assert.deepEqual((await assertTrue(world, { team: 'red' })).total, NONE)
    await world.end()
  })

  test('what was wrong and is right again is counted no more', async () => {
    const world = await createWorld(make)
    await inEveryStatus(world)
    for (const id of ['doubted', 'asked', 'blocked']) {
      const granted = world.sealed((await mustRead(world.one, id)).row.uid, {
        refreshToken: `new ${id}`,
        accessToken: 'x',
      })
      await world.one.store.replaceGrant((await mustRead(world.one, id)).at, granted, NOBODY)
    }
    const { byStatus } = await assertTrue(world)
    assert.deepEqual([byStatus.in_doubt, byStatus.needs_user, byStatus.blocked.count], [NONE, NONE, 1])
    await assertTrue(world, blue)
    await world.end()
  })

  test('a connection without refresh token expires soon, and needs its user from the moment when its access token ends', async () => {
    const world = await createWorld(make)
    await world.connect('short', { refreshToken: null, lifetimeMs: HOUR_MS, labels: blue })
    await world.connect('shorter', { refreshToken: null, lifetimeMs: HOUR_MS / 2, client: 'grace' })
    await world.connect('long', { refreshToken: null, lifetimeMs: 24 * 30 * HOUR_MS, labels: blue })
    const { expiring, providers } = await assertTrue(world)
    assert.deepEqual(expiring.count, { count: 2, atLeast: false })
    assert.deepEqual(
      expiring.next.map(({ connection, because }) => [connection, because]),
      [
        ['shorter', 'no_refresh_token'],
        ['short', 'no_refresh_token'],
      ],
    )
    assert.deepEqual(
      providers.map(({ provider, expiring: { count } }) => [provider, count]),
      [
        ['grace', 1],
        ['strict', 1],
      ],
    )
    assert.deepEqual(
      (await assertTrue(world, blue)).expiring.next.map(({ connection }) => connection),
      ['short'],
    )
    world.time.pass(HOUR_MS)
    const later = await assertTrue(world)
    assert.deepEqual([later.needsUser.no_refresh_token.count, later.expiring.count], [2, NONE])
    assert.equal((await assertTrue(world, blue)).needsUser.no_refresh_token.count, 1)
    await world.end()
  })

  test('a session whose end was announced expires soon, and one whose end is known but far does not', async () => {
    const world = await createWorld(make)
    const endsAt = world.time.moment().wall + HOUR_MS
    let { at } = await world.connect('session', { endsAt, labels: blue })
    const refresh = async (): Promise<void> => {
      const { lease } = await mustAcquire(world.one, at)
      const tokens = { refreshToken: `rt ${world.time.moment().wall}`, accessToken: 'at', endsAt }
      await world.one.store.commit(lease, world.granted(at, tokens))
      at = (await mustRead(world.one, 'session')).at
    }
    world.time.pass(HOUR_MS / 12)
    await refresh()
    assert.deepEqual((await assertTrue(world)).expiring.count, NONE, 'known')
    world.time.pass(HOUR_MS * (9 / 12))
    await refresh()
    const { expiring } = await assertTrue(world, blue)
    assert.deepEqual(expiring.next, [
      { connection: 'session', provider: 'strict', client: 'strict', expiresAt: endsAt, because: 'session_end' },
    ])
    await world.one.store.beginDelete(at)
    assert.deepEqual((await assertTrue(world)).expiring.count, NONE, 'on its way out')
    await world.end()
  })
}

const NONE = { count: 0, atLeast: false }
