/** Logout events, what an operator allows, and who presented: every store writes them down alike. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogoutEvent, UnixMs } from '@tokenkeep/core'
import {
  HOUR_MS,
  NOBODY,
  createWorld,
  leaveInDoubt,
  mustAcquire,
  mustRead,
  tryAcquire,
  type MakeBackend,
  type World,
} from './store-world.ts'

const at = (world: World): UnixMs => world.time.moment().wall
const logout = (world: World, sessionId: string): LogoutEvent => ({
  of: { sessionId },
  issuedAt: (at(world) + 1_000) as UnixMs,
  revokesOfflineAccess: false,
})

async function signedIn(world: World, id: string, sessionId: string | null) {
  const created = await world.one.store.create({ ...world.draft(id), sessionId })
  if ('kind' in created) throw new Error(`${id} was not created: ${created.kind}`)
  return created
}

export function sessionsContract(make: MakeBackend): void {
  test('the connections of a session are found by it, and by no other', async () => {
    const world = await createWorld(make)
    for (const id of ['a', 'c']) await signedIn(world, id, 'one')
    await signedIn(world, 'b', 'other')
    await signedIn(world, 'd', null)
    const list = (sessionId: string) => world.one.store.list({ sessionId, limit: 10 })
    assert.deepEqual(
      (await list('one')).map(({ row }) => row.id),
      ['a', 'c'],
    )
    assert.equal((await list('none')).length, 0)
    await world.end()
  })

  test('the connections of a subject are found by it, page by page, and by no other', async () => {
    const world = await createWorld(make)
    for (const id of ['a', 'c', 'd']) {
      const created = await world.one.store.create({ ...world.draft(id), subject: 'alice' })
      assert.ok(!('kind' in created))
    }
    await world.one.store.create({ ...world.draft('b'), subject: 'bob' })
    await world.one.store.create({ ...world.draft('e'), subject: null })
    const list = async (of: { subject: string; limit: number; after?: string }) =>
      (await world.one.store.list({ ...of, after: of.after as never })).map(({ row }) => row.id)
    assert.deepEqual(await list({ subject: 'alice', limit: 2 }), ['a', 'c'])
    assert.deepEqual(await list({ subject: 'alice', limit: 2, after: 'c' }), ['d'])
    assert.deepEqual(await list({ subject: 'nobody', limit: 2 }), [])
    await world.end()
  })

  test('a logout event marks its sign-in, is known again, and is seen by another manager', async () => {
    const world = await createWorld(make)
    const view = await signedIn(world, 'a', 'one')
    assert.equal((await world.one.store.signOut(view.at, logout(world, 'other'))).kind, 'not_ours')
    assert.equal((await world.one.store.signOut(view.at, logout(world, 'one'))).kind, 'marked')
    const other = await world.manager()
    const marked = await mustRead(other, 'a')
    assert.deepEqual([marked.row.state.status, marked.row.signedOutAt !== null], ['suspect', true])
    const again = await other.store.signOut(view.at, logout(world, 'one'))
    assert.equal(again.kind === 'known' && again.view.row.revision, marked.row.revision, 'nothing is written')
    // The provider may end the session after it told us: what is asked before that says nothing.
    assert.equal((await tryAcquire(other, marked.at, 'confirm')).kind, 'not_yet')
    world.time.pass(10_001)
    await mustAcquire(other, marked.at, 'confirm')
    await world.end()
  })

  test('a new sign-in has a session of its own, and one that nobody told has none', async () => {
    const world = await createWorld(make)
    const view = await signedIn(world, 'a', 'one')
    world.time.pass(5_000)
    await world.one.store.replaceGrant(view.at, world.sealed(view.at.uid, { refreshToken: 'rt new' }), {
      ...NOBODY,
      sessionId: 'two',
    })
    const { at: now, row } = await mustRead(world.one, 'a')
    assert.deepEqual([row.sessionId, row.signedInAt], ['two', at(world)])
    assert.equal((await world.one.store.signOut(now, logout(world, 'one'))).kind, 'not_ours')
    const old = { ...logout(world, 'two'), issuedAt: (at(world) - 2_000) as UnixMs }
    assert.equal((await world.one.store.signOut(now, old)).kind, 'not_ours', 'it is from before this sign-in')
    await world.end()
  })

  test('what an operator allows is one presentation', async () => {
    const world = await createWorld(make)
    await world.connect('a')
    await leaveInDoubt(world, 'a')
    const view = await mustRead(world.one, 'a')
    assert.equal((await tryAcquire(world.one, view.at, 'in_doubt')).kind, 'not_yet')
    const allowed = await world.one.store.presentNow(view.at)
    assert.ok(!('kind' in allowed))
    assert.notEqual((await mustRead(await world.manager(), 'a')).row.presentNow, null)
    const { lease } = await mustAcquire(world.one, allowed.at, 'in_doubt')
    const doubt = { kind: 'in_doubt', because: 'reset', status: null, endSeen: true, retryAfterMs: null } as const
    const after = await world.one.store.commit(lease, doubt)
    assert.equal(after.view?.row.presentNow, null)
    assert.equal((await tryAcquire(world.one, after.view?.at ?? view.at, 'in_doubt')).kind, 'not_yet')
    await world.end()
  })

  test('the history names the program, the owner and the token of each presentation', async () => {
    const world = await createWorld(make)
    const other = await world.manager({ process: 'worker (pid 7)', host: 'another host' })
    const { at: first } = await world.connect('a')
    const one = await mustAcquire(world.one, first)
    await world.one.store.commit(one.lease, world.granted(first, { refreshToken: 'rt 2', accessToken: 'at 2' }))
    world.time.pass(HOUR_MS)
    const two = await mustAcquire(other, (await mustRead(other, 'a')).at)
    const entries = await world.one.store.history('a' as never, 10)
    assert.deepEqual(
      entries.map(({ process, host, owner, presented }) => [process, host, owner, presented]),
      [
        ['worker (pid 7)', 'another host', other.owner, two.lease.answers],
        ['a program (1)', 'a host', world.one.owner, one.lease.answers],
      ],
    )
    await world.end()
  })
}
