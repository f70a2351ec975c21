/** A database that is a copy or was put back: nothing is presented, revoked or taken over until it is adopted. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Hold, type Incarnation, type UnixMs, type View } from '@tokenkeep/core'
import {
  NOBODY,
  accessTokensOf,
  createWorld,
  dead,
  HOUR_MS,
  leaveInDoubt,
  mustAcquire,
  mustRead,
  newAttempt,
  presented,
  silent,
  tryAcquire,
  type MakeBackend,
  type Manager,
  type World,
} from './store-world.ts'

const HOLD: Hold = { since: 42 as UnixMs, because: 'another_place' }
const putOnHold = ({ incarnation }: Manager): Promise<Incarnation> =>
  incarnation.change((kept) => ({ ...kept, hold: HOLD }))

async function adopt({ store }: Manager, markers: Parameters<Manager['store']['adopt']>[1] = []) {
  return store.adopt(await store.incarnation(), markers)
}

const stateOf = async (world: World, id: string): Promise<View['row']['state']> =>
  (await mustRead(world.one, id)).row.state

export function holdContract(make: MakeBackend): void {
  test('a database is not on hold until it is said to be, and every store sees it at once', async () => {
    const world = await createWorld(make)
    const other = await world.manager()
    await world.connect('a')
    assert.equal((await other.store.incarnation()).hold, null)
    assert.equal((await mustRead(other, 'a')).hold, null)
    await putOnHold(world.one)
    assert.deepEqual((await other.store.incarnation()).hold, HOLD)
    assert.deepEqual((await mustRead(other, 'a')).hold, HOLD)
    await world.end()
  })

  test('in hold nothing is lent, by whatever store and from whatever view; what lives is read', async () => {
    const world = await createWorld(make)
    const other = await world.manager()
    const before = await world.connect('a')
    await putOnHold(world.one)
    for (const by of [world.one, other]) assert.deepEqual(await tryAcquire(by, before.at), { kind: 'on_hold' })
    const after = await mustRead(other, 'a')
    assert.equal(after.row.revision, before.row.revision, 'no intent was written')
    assert.deepEqual(accessTokensOf(after), ['at of a'])
    await world.end()
  })

  test('an attempt that was lent before is not lent again in hold, and its answer is kept all the same', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const attempt = newAttempt()
    const first = await tryAcquire(world.one, at, 'fresh', attempt)
    assert.ok(first.kind === 'acquired')
    await putOnHold(world.one)
    assert.equal((await tryAcquire(world.one, at, 'fresh', attempt)).kind, 'on_hold')
    const end = world.granted(at, { refreshToken: 'next', accessToken: 'its token' })
    assert.equal((await world.one.store.commit(first.lease, end)).kind, 'committed')
    assert.deepEqual(accessTokensOf(await mustRead(world.one, 'a')), ['its token'])
    await world.end()
  })

  test('in hold nothing is taken over, by time or by a proof that is about the copy of a lock', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    await putOnHold(world.one)
    world.time.pass(lease.leaseMs * 2)
    assert.equal((await world.one.store.takeOver(at, silent(lease, lease.leaseMs * 2))).kind, 'moved')
    assert.equal((await world.one.store.takeOver(at, dead(lease.owner))).kind, 'moved')
    assert.equal((await stateOf(world, 'a')).status, 'presenting')
    await world.end()
  })

  test('in hold nothing is due and nothing is deleted', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a', { endsAt: world.time.moment().wall + HOUR_MS })
    world.time.pass(HOUR_MS)
    await putOnHold(world.one)
    assert.deepEqual(await world.one.store.due({ limit: 10, except: [] }), [])
    assert.equal((await world.one.store.beginDelete(at)).kind, 'on_hold')
    assert.equal((await stateOf(world, 'a')).status, 'ready')
    const adopted = await adopt(world.one)
    assert.equal(adopted.inDoubt, 1)
    assert.equal((await world.one.store.due({ limit: 10, except: [] })).length, 1, 'the control')
    await world.end()
  })

  test('adoption leaves in doubt what is not reusable, and begins a new incarnation', async () => {
    const world = await createWorld(make)
    await world.connect('strict')
    await world.connect('grace', { client: 'grace' })
    await world.connect('reusable', { client: 'reusable' })
    await world.connect('machine', { grantType: 'client_credentials', refreshToken: null })
    await world.connect('access only', { refreshToken: null })
    await putOnHold(world.one)
    const old = await world.one.store.incarnation()
    const { incarnation, inDoubt } = await world.one.store.adopt(old, [
      { installation: old.installation, epoch: old.epoch + 7, branch: null },
    ])
    assert.equal(inDoubt, 2)
    assert.equal(incarnation.hold, null)
    assert.equal(incarnation.epoch, old.epoch + 8, 'higher than whatever a marker remembers')
    assert.notEqual(incarnation.branch, old.branch)
    assert.deepEqual(await world.one.store.incarnation(), incarnation)
    for (const id of ['strict', 'grace']) assert.equal((await stateOf(world, id)).status, 'in_doubt', id)
    for (const id of ['reusable', 'machine', 'access only'])
      assert.equal((await stateOf(world, id)).status, 'ready', id)
    await world.end()
  })

  test('after adoption a refresh token is presented once its access token has ended, in no window, and a refusal is answer_lost', async () => {
    const world = await createWorld(make)
    for (const client of ['strict', 'grace']) await world.connect(client, { client, lifetimeMs: HOUR_MS })
    // Of a window that is open: without adoption this one could be presented at once.
    await leaveInDoubt(world, 'grace')
    await putOnHold(world.one)
    await adopt(world.one)
    for (const id of ['strict', 'grace']) {
      assert.equal((await tryAcquire(world.one, (await mustRead(world.one, id)).at, 'in_doubt')).kind, 'not_yet', id)
    }
    world.time.pass(HOUR_MS)
    for (const id of ['strict', 'grace']) {
      const acquired = await mustAcquire(world.one, (await mustRead(world.one, id)).at, 'in_doubt')
      assert.equal(presented(acquired, world.time), `rt of ${id}`)
      await world.one.store.commit(acquired.lease, { kind: 'rejected', word: 'invalid_grant' })
      const state = await stateOf(world, id)
      assert.deepEqual([state.status, 'reason' in state && state.reason], ['needs_user', 'answer_lost'], id)
    }
    await world.end()
  })

  test('adoption ends what the copy shows as open, and a granted answer makes it ready as ever', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a', { lifetimeMs: 1_000 })
    await mustAcquire(world.one, at)
    await putOnHold(world.one)
    assert.equal((await adopt(world.one)).inDoubt, 1)
    world.time.pass(1_000)
    const seen = await mustRead(world.one, 'a')
    assert.ok(seen.row.dueAt !== null, 'something happens by itself')
    const { lease } = await mustAcquire(world.one, seen.at, 'in_doubt')
    await world.one.store.commit(lease, world.granted(at, { refreshToken: 'next', accessToken: 'its token' }))
    assert.deepEqual(await stateOf(world, 'a'), { status: 'ready', backOff: null })
    await world.end()
  })

  test('adoption leaves alone what only a person can revive, and what is on its way out', async () => {
    const world = await createWorld(make)
    const lost = await world.connect('lost')
    const acquired = await mustAcquire(world.one, lost.at)
    await world.one.store.commit(acquired.lease, { kind: 'rejected', word: 'reused' })
    await world.one.store.beginDelete((await world.connect('leaving')).at)
    await putOnHold(world.one)
    assert.equal((await adopt(world.one)).inDoubt, 0)
    assert.equal((await stateOf(world, 'lost')).status, 'needs_user')
    await world.end()
  })

  test('an adoption that was cut short goes on with the next call, and the hold lasts until it is done', async () => {
    const world = await createWorld(make)
    // More than one page.
    for (let count = 0; count < 300; count += 1) await world.connect(`c${count}`)
    await putOnHold(world.one)
    const { store } = world.one
    const old = await store.incarnation()
    const [first] = await Promise.allSettled([store.adopt(old, []), interrupt(world)])
    assert.equal(first.status, 'rejected')
    const second = await world.manager()
    assert.deepEqual((await second.store.incarnation()).hold, HOLD, 'the hold ends last')
    const before = await second.store.list({ limit: 1_000 })
    const done = before.filter(({ row }) => row.state.status === 'in_doubt')
    assert.ok(done.length > 0 && done.length < 300, `${done.length} were done`)
    assert.equal((await second.store.adopt(old, [])).inDoubt, 300)
    const after = new Map((await second.store.list({ limit: 1_000 })).map(({ row }) => [row.id, row]))
    assert.ok([...after.values()].every(({ state }) => state.status === 'in_doubt'))
    for (const { row } of done) assert.equal(after.get(row.id)?.revision, row.revision, 'nothing is written twice')
    await world.end()
  })

  test('of two that adopt at once one begins the new incarnation, and what was adopted is not adopted again', async () => {
    const world = await createWorld(make)
    const other = await world.manager()
    await world.connect('a')
    await putOnHold(world.one)
    const old = await world.one.store.incarnation()
    const [one, two] = await Promise.all([world.one.store.adopt(old, []), other.store.adopt(old, [])])
    assert.deepEqual(one.incarnation, two.incarnation)
    const revision = (await mustRead(world.one, 'a')).row.revision
    assert.deepEqual(await world.one.store.adopt(old, []), { incarnation: one.incarnation, inDoubt: 0 })
    assert.equal((await mustRead(world.one, 'a')).row.revision, revision)
    await world.end()
  })

  test('adoption of what is not on hold changes nothing', async () => {
    const world = await createWorld(make)
    await world.connect('a')
    const before = await world.one.store.incarnation()
    assert.deepEqual(await adopt(world.one), { incarnation: before, inDoubt: 0 })
    assert.equal((await stateOf(world, 'a')).status, 'ready')
    await world.end()
  })

  test('import and reconnect go on in hold: a new sign-in is nobody elses', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    await putOnHold(world.one)
    await world.connect('b')
    const reconnected = await world.one.store.replaceGrant(at, world.sealed(at.uid, { refreshToken: 'new' }), NOBODY)
    assert.ok(!('kind' in reconnected))
    assert.equal(reconnected.row.grant, 2)
    await world.end()
  })
}

/** Closes the first store as soon as its adoption has begun to write. */
async function interrupt(world: World): Promise<void> {
  const watcher = await world.manager()
  for (;;) {
    const views = await watcher.store.list({ limit: 1, status: 'in_doubt' })
    if (views.length > 0) break
    await new Promise((resolve) => setImmediate(resolve))
  }
  await world.one.close()
}
