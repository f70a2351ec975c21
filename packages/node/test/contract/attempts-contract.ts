/** One attempt at a time: acquire, renew, take over. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ms, type At, type Cipher, type OwnerId, type UnixMs } from '@tokenkeep/core'
import {
  createWorld,
  dead,
  leaveInDoubt,
  mustAcquire,
  mustRead,
  newAttempt,
  presented,
  silent,
  tryAcquire,
  type MakeBackend,
} from './store-world.ts'

export function attemptsContract(make: MakeBackend): void {
  test('acquire lends the refresh token that is stored, once', async () => {
    const world = await createWorld(make)
    const before = await world.connect('a')
    const acquired = await mustAcquire(world.one, before.at)
    assert.equal(presented(acquired, world.time), 'rt of a')
    assert.throws(() => presented(acquired, world.time), /taken once/)
    assert.equal(acquired.lease.fence, 1)
    assert.equal(acquired.lease.owner, world.one.owner)
    assert.equal(acquired.lease.answers, before.refreshToken?.fingerprint)
    await world.end()
  })

  test('once acquire has answered, every other store sees the intent', async () => {
    const world = await createWorld(make)
    const other = await world.manager()
    const before = await world.connect('a')
    const { lease } = await mustAcquire(world.one, before.at)
    const seen = await mustRead(other, 'a')
    assert.equal(seen.row.state.status, 'presenting')
    assert.equal(seen.refreshToken?.presentations, 1)
    assert.equal(seen.row.revision, before.row.revision + 1)
    assert.deepEqual(await tryAcquire(other, seen.at), {
      kind: 'busy',
      owner: world.one.owner,
      fence: lease.fence,
      heartbeat: 0,
      leaseMs: lease.leaseMs,
      over: false,
    })
    await world.end()
  })

  test('of many that acquire at once in two stores, one does', async () => {
    const world = await createWorld(make)
    const other = await world.manager()
    const { at } = await world.connect('a')
    const all = await Promise.all(
      Array.from({ length: 16 }, (_, index) => tryAcquire(index % 2 === 0 ? world.one : other, at)),
    )
    const kinds = all.map(({ kind }) => kind).sort()
    assert.deepEqual(kinds, ['acquired', ...Array.from({ length: 15 }, () => 'busy')])
    assert.equal((await mustRead(other, 'a')).at.fence, 1)
    await world.end()
  })

  test('acquire with the same attempt id again writes nothing and lends no second time', async () => {
    const world = await createWorld(make)
    const before = await world.connect('a')
    const attempt = newAttempt()
    const first = await tryAcquire(world.one, before.at, 'fresh', attempt)
    const written = await mustRead(world.one, 'a')
    world.time.pass(10_000)
    const again = await tryAcquire(world.one, before.at, 'fresh', attempt)
    assert.ok(first.kind === 'acquired' && again.kind === 'acquired')
    assert.deepEqual(again.lease, first.lease, 'the send limit counts from the first call')
    assert.equal(presented(first, world.time), 'rt of a')
    assert.throws(() => presented(again, world.time), /taken once/)
    assert.equal((await mustRead(world.one, 'a')).row.revision, written.row.revision)
    await world.end()
  })

  test('all limits count from the moment when acquire was called', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const called = world.time.clock.now()
    const pending = mustAcquire(world.one, at)
    world.time.pass(1_000)
    assert.deepEqual((await pending).lease.t0, called)
    await world.end()
  })

  test('acquire remembers when a caller last wanted the connection', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const usedAt = (world.time.moment().wall - 5_000) as UnixMs
    await world.one.store.acquire(at, 'fresh', newAttempt(), { sealer: world.sealer, release: () => undefined }, usedAt)
    assert.equal((await mustRead(world.one, 'a')).row.usedAt, usedAt)
    await world.end()
  })

  for (const [what, change] of [
    ['fence', (at: At) => ({ ...at, fence: at.fence + 1 })],
    ['generation', (at: At) => ({ ...at, generation: at.generation - 1 })],
    ['grant', (at: At) => ({ ...at, grant: at.grant + 1 })],
  ] as const) {
    test(`acquire with another ${what} than the row has is refused as moved`, async () => {
      const world = await createWorld(make)
      const { at, row } = await world.connect('a')
      assert.deepEqual(await tryAcquire(world.one, change(at) as At), { kind: 'moved' })
      assert.equal((await mustRead(world.one, 'a')).row.revision, row.revision)
      await world.end()
    })
  }

  test('acquire for another reason than the row allows is refused as moved', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    assert.deepEqual(await tryAcquire(world.one, at, 'confirm'), { kind: 'moved' })
    await world.end()
  })

  test('acquire of an unknown uid says that it is gone', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const unknown = { ...at, uid: world.draft('b').uid }
    assert.deepEqual(await tryAcquire(world.one, unknown), { kind: 'gone', because: 'unknown' })
    await world.end()
  })

  test('a lease that is over never frees the refresh token', async () => {
    const world = await createWorld(make)
    const other = await world.manager()
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    world.time.pass(lease.leaseMs * 1_000)
    const busy = await tryAcquire(other, (await mustRead(other, 'a')).at)
    assert.ok(busy.kind === 'busy')
    assert.equal(busy.over, true)
    await world.end()
  })

  test('a takeover needs the lease to be over by the store clock and by the watch of one whole lease', async () => {
    const world = await createWorld(make)
    const other = await world.manager()
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    const leaseMs = Number(lease.leaseMs)
    const row = await mustRead(other, 'a')
    const tryOver = (watchedMs: number, given = lease) => other.store.takeOver(row.at, silent(given, watchedMs))

    world.time.pass(leaseMs - 1)
    assert.deepEqual(await tryOver(leaseMs), { kind: 'moved' }, 'not over by the store clock')
    world.time.pass(1)
    assert.deepEqual(await tryOver(leaseMs - 1), { kind: 'moved' }, 'not watched for long enough')
    assert.deepEqual(await tryOver(leaseMs, { ...lease, heartbeat: 1 }), { kind: 'moved' }, 'another heartbeat')
    assert.deepEqual(await other.store.takeOver(row.at, dead('x' as OwnerId)), { kind: 'moved' }, 'another owner died')
    assert.equal((await mustRead(other, 'a')).row.revision, row.row.revision)

    const taken = await tryOver(leaseMs)
    assert.ok(taken.kind === 'in_doubt')
    const { state } = taken.view.row
    assert.ok(state.status === 'in_doubt')
    assert.equal(state.since.at, world.time.moment().at - leaseMs, 'doubt counts from the first acquire')
    assert.deepEqual(await tryOver(leaseMs), { kind: 'moved' }, 'only once')
    await world.end()
  })

  test('a renewed lease is watched anew', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    world.time.pass(20_000)
    const renewed = await world.one.store.renew(lease)
    assert.ok(renewed !== 'lost')
    assert.equal(renewed.heartbeat, 1)
    assert.deepEqual(renewed.t0, world.time.clock.now())
    assert.deepEqual(renewed.acquiredAt, lease.acquiredAt)
    world.time.pass(20_000)
    assert.deepEqual(await world.one.store.takeOver(at, silent(lease, 30_000)), { kind: 'moved' })
    world.time.pass(10_000)
    assert.equal((await world.one.store.takeOver(at, silent(renewed, 30_000))).kind, 'in_doubt')
    assert.equal(await world.one.store.renew(renewed), 'lost')
    await world.end()
  })

  test('proof of death takes over at once', async () => {
    const world = await createWorld(make)
    const other = await world.manager()
    const { at } = await world.connect('a')
    await mustAcquire(world.one, at)
    const [open] = await other.store.openAttempts(world.one.owner)
    assert.equal(open?.row.id, 'a')
    assert.equal((await other.store.takeOver(open.at, dead(world.one.owner))).kind, 'in_doubt')
    assert.deepEqual(await other.store.openAttempts(world.one.owner), [])
    await world.end()
  })

  test('what others have open is told by name and by the signs of life of its owner, without what is ours or being deleted', async () => {
    const world = await createWorld(make)
    const other = await world.manager()
    await world.connect('resting')
    const [a, b, deleted] = [await world.connect('a'), await world.connect('b'), await world.connect('deleted')]
    const { lease } = await mustAcquire(world.one, a.at)
    await mustAcquire(world.one, deleted.at)
    await world.one.store.beginDelete((await mustRead(world.one, 'deleted')).at)
    await mustAcquire(other, b.at)
    const seenByOther = { uid: a.at.uid, fence: lease.fence, heartbeat: 0 }
    assert.deepEqual(await other.store.openElsewhere(), [seenByOther])
    assert.deepEqual(
      (await world.one.store.openElsewhere()).map(({ uid }) => uid),
      [b.at.uid],
    )
    assert.notEqual(await world.one.store.renew(lease), 'lost')
    const [renewed] = await other.store.openElsewhere()
    assert.deepEqual(renewed, { ...seenByOther, heartbeat: 1 }, 'a sign of life shows')
    world.time.pass(60_000)
    const claimed = await other.store.due({ limit: 10, except: [] })
    assert.ok(claimed.some(({ row }) => row.uid === a.at.uid))
    assert.deepEqual(await other.store.openElsewhere(), [renewed], 'what others write is none')
    await world.one.store.commit(lease, { kind: 'not_sent', because: 'refused' })
    assert.deepEqual(await other.store.openElsewhere(), [])
    await world.end()
  })

  test('a strict provider is presented to again only after the access token ended and the silent owner had its patience', async () => {
    const world = await createWorld(make)
    await world.connect('a', { lifetimeMs: 60_000 })
    await leaveInDoubt(world, 'a')
    const other = await world.manager()
    const early = await tryAcquire(other, (await mustRead(other, 'a')).at, 'in_doubt')
    assert.ok(early.kind === 'not_yet')
    assert.equal(early.at, world.time.moment().wall + 60_000, 'lease and patience after the last sign of life')
    world.time.pass(60_000)
    const { at } = await mustRead(other, 'a')
    assert.equal((await mustAcquire(other, at, 'in_doubt')).lease.fence, 2)
    await world.end()
  })

  for (const [what, harm, because] of [
    ['a tampered refresh token', 'tampered', 'tampered'],
    ['a refresh token whose key is missing', 'no_key', 'no_key'],
  ] as const) {
    test(`${what} is not presented, and nothing is in doubt`, async () => {
      const world = await createWorld(make)
      const { at, row } = await world.connect('a')
      const cipher: Cipher = {
        sealer: () => world.cipher.sealer(),
        open: (kind, sealed, place) => (kind === 'refresh_token' ? harm : world.cipher.open(kind, sealed, place)),
      }
      const blind = await world.manager({ cipher })
      assert.deepEqual(await tryAcquire(blind, at), { kind: 'unreadable', because })
      const after = await mustRead(blind, 'a')
      assert.equal(after.row.revision, row.revision)
      assert.equal(after.row.state.status, 'ready')
      assert.deepEqual(await world.one.store.history(row.id, 10), [])
      assert.equal((await mustAcquire(world.one, at)).kind, 'acquired', 'where the key is, it works')
      await world.end()
    })
  }

  test('refresh tokens swapped between two rows open in neither', async () => {
    const world = await createWorld(make)
    const a = await world.connect('a')
    const b = await world.connect('b')
    const c = await world.connect('c')
    await world.backend.swapRefreshTokens(a.at.uid, b.at.uid)
    assert.deepEqual(await tryAcquire(world.one, a.at), { kind: 'unreadable', because: 'tampered' })
    assert.deepEqual(await tryAcquire(world.one, b.at), { kind: 'unreadable', because: 'tampered' })
    assert.equal((await mustAcquire(world.one, c.at)).kind, 'acquired', 'the rest works')
    await world.end()
  })

  test('a verb that breaks fails alone, and leaves its row as it was', async () => {
    const world = await createWorld(make)
    const a = await world.connect('a')
    const b = await world.connect('b')
    const broken: Cipher = {
      sealer: () => world.cipher.sealer(),
      open: (kind, sealed, place) => {
        if (place.owner === a.at.uid && kind === 'refresh_token') throw new Error('broken')
        return world.cipher.open(kind, sealed, place)
      },
    }
    const manager = await world.manager({ cipher: broken })
    const [first, second] = await Promise.allSettled([tryAcquire(manager, a.at), tryAcquire(manager, b.at)])
    assert.equal(first.status, 'rejected')
    assert.ok(second.status === 'fulfilled' && second.value.kind === 'acquired')
    assert.equal((await mustRead(manager, 'a')).row.revision, a.row.revision)
    await world.end()
  })

  test('client credentials are lent as such, and presented again while in doubt', async () => {
    const world = await createWorld(make)
    await world.connect('machine', { grantType: 'client_credentials', refreshToken: null })
    await leaveInDoubt(world, 'machine')
    world.time.pass(ms(1_000))
    const again = await mustAcquire(world.one, (await mustRead(world.one, 'machine')).at, 'in_doubt')
    assert.equal(presented(again, world.time), 'client_credentials')
    await world.end()
  })

  test('a closed store refuses every verb', async () => {
    const world = await createWorld(make)
    const { at, row } = await world.connect('a')
    const manager = await world.manager()
    await manager.close()
    await assert.rejects(() => tryAcquire(manager, at), { code: 'closed' })
    await assert.rejects(() => manager.store.read(row.id), { code: 'closed' })
    await assert.rejects(() => manager.registry.providers(), { code: 'closed' })
    await world.end()
  })
}
