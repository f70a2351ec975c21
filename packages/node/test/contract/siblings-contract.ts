/** Answers that lost to a later one: every store keeps them, lends them and gives them up alike. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { At, End } from '@tokenkeep/core'
import {
  HOUR_MS,
  NOBODY,
  createWorld,
  leaveInDoubt,
  mustAcquire,
  mustRead,
  presented,
  silent,
  type MakeBackend,
  type World,
} from './store-world.ts'

const REJECTED: End = { kind: 'rejected', word: 'invalid_grant' }
const IN_DOUBT: End = { kind: 'in_doubt', because: 'reset', status: null, endSeen: true, retryAfterMs: null }

/** Connection `a`: `rt of a` was answered twice, `rt 2` is current, and `rt lost` came after it. */
async function withSibling(world: World): Promise<At> {
  const { at } = await world.connect('a', { client: 'grace' })
  const earlier = await leaveInDoubt(world, 'a')
  world.time.pass(1000)
  const later = await mustAcquire(world.one, (await mustRead(world.one, 'a')).at, 'in_doubt')
  const won = world.granted(at, { refreshToken: 'rt 2', accessToken: 'at 2' })
  assert.equal((await world.one.store.commit(later.lease, won)).kind, 'committed')
  const lost = world.granted(at, { refreshToken: 'rt lost', accessToken: 'at lost' })
  assert.equal((await world.one.store.commit(earlier.lease, lost)).kind, 'sibling')
  assert.equal((await world.one.store.commit(earlier.lease, lost)).kind, 'again')
  return at
}

async function refuse(world: World): Promise<void> {
  world.time.pass(HOUR_MS)
  const { lease } = await mustAcquire(world.one, (await mustRead(world.one, 'a')).at)
  assert.equal((await world.one.store.commit(lease, REJECTED)).view?.row.state.status, 'suspect')
}

export function siblingsContract(make: MakeBackend): void {
  test('an answer that lost to a later one is kept, and lent after a refusal, by another manager too', async () => {
    const world = await createWorld(make)
    await withSibling(world)
    await refuse(world)
    const other = await world.manager()
    const view = await mustRead(other, 'a')
    assert.equal(view.siblings.length, 1)
    const acquired = await mustAcquire(other, view.at, 'sibling')
    assert.equal(presented(acquired, world.time), 'rt lost')
    const done = await other.store.commit(acquired.lease, world.granted(view.at, { refreshToken: 'rt 3' }))
    assert.deepEqual([done.kind, done.view?.row.state.status, done.view?.siblings], ['committed', 'ready', []])
    const [entry] = await other.store.history(view.row.id, 1)
    assert.deepEqual([entry?.why, entry?.presented, entry?.outcome], ['sibling', acquired.lease.answers, 'granted'])
    await world.end()
  })

  test('the history says which answer was kept', async () => {
    const world = await createWorld(make)
    await withSibling(world)
    const entries = await world.one.store.history('a' as never, 10)
    assert.deepEqual(
      entries.map(({ outcome }) => outcome),
      ['granted', 'granted, sibling'],
    )
    await world.end()
  })

  test('refused, it stays and is not lent again; the current token is confirmed as before', async () => {
    const world = await createWorld(make)
    await withSibling(world)
    await refuse(world)
    const before = await mustRead(world.one, 'a')
    const { lease } = await mustAcquire(world.one, before.at, 'sibling')
    await world.one.store.commit(lease, REJECTED)
    const view = await mustRead(world.one, 'a')
    assert.deepEqual(view.row.state, before.row.state)
    assert.equal(view.siblings[0]?.spent, true)
    world.time.pass(15_000)
    assert.equal(presented(await mustAcquire(world.one, view.at, 'confirm'), world.time), 'rt 2')
    await world.end()
  })

  test('in doubt, it is the current token, and the one before is tried after it', async () => {
    const world = await createWorld(make)
    await withSibling(world)
    await refuse(world)
    const { lease } = await mustAcquire(world.one, (await mustRead(world.one, 'a')).at, 'sibling')
    await world.one.store.commit(lease, IN_DOUBT)
    world.time.pass(1000)
    const again = await mustAcquire(world.one, (await mustRead(world.one, 'a')).at, 'in_doubt')
    assert.equal(presented(again, world.time), 'rt lost')
    await world.one.store.commit(again.lease, REJECTED)
    const last = await mustAcquire(world.one, (await mustRead(world.one, 'a')).at, 'sibling')
    assert.equal(presented(last, world.time), 'rt 2')
    const { view } = await world.one.store.commit(last.lease, REJECTED)
    assert.equal(view?.row.state.status === 'needs_user' && view.row.state.reason, 'answer_lost')
    await world.end()
  })

  test('an attempt with a sibling whose owner falls silent is in doubt about the sibling', async () => {
    const world = await createWorld(make)
    await withSibling(world)
    await refuse(world)
    const before = await mustRead(world.one, 'a')
    const { lease } = await mustAcquire(world.one, before.at, 'sibling')
    world.time.pass(lease.leaseMs)
    const taken = await world.one.store.takeOver(before.at, silent(lease, lease.leaseMs))
    assert.ok(taken.kind === 'in_doubt')
    assert.equal(taken.view.refreshToken?.fingerprint, lease.answers)
    assert.equal(taken.view.at.generation, before.at.generation + 1)
    await world.end()
  })

  test('deleting revokes it together with the current token, and erases it', async () => {
    const world = await createWorld(make)
    const at = await withSibling(world)
    const deletion = await world.one.store.beginDelete(at)
    assert.ok(deletion.kind === 'deleting')
    assert.deepEqual(deletion.toRevoke.map((token) => token.reveal()).sort(), ['rt 2', 'rt lost'])
    assert.equal(await world.one.store.finishDelete(deletion, true), 'erased')
    await world.end()
  })

  test('a new sign-in leaves none', async () => {
    const world = await createWorld(make)
    const at = await withSibling(world)
    const done = await world.one.store.replaceGrant(at, world.sealed(at.uid, { refreshToken: 'rt new' }), NOBODY)
    assert.ok(!('kind' in done))
    assert.deepEqual((await mustRead(world.one, 'a')).siblings, [])
    await world.end()
  })
}
