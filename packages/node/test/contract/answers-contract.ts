/** Commit and replay: a granted answer is taken by what it answers, every other outcome by the current fence. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keptFrom, ms, type End, type Kept } from '@tokenkeep/core'
import {
  HOUR_MS,
  accessTokensOf,
  NOBODY,
  createWorld,
  dead,
  fingerprintOf,
  leaveInDoubt,
  mustAcquire,
  mustRead,
  presented,
  provider,
  tryAcquire,
  type MakeBackend,
  type World,
} from './store-world.ts'

const REJECTED: End = { kind: 'rejected', word: 'invalid_grant' }
const NOT_SENT: End = { kind: 'not_sent', because: 'refused' }
const IN_DOUBT: End = { kind: 'in_doubt', because: 'reset', status: null, endSeen: true, retryAfterMs: null }
const BUSY: End = { kind: 'unavailable', because: 'busy', status: 503, retryAfterMs: ms(60_000) }
const WRONG_CLIENT: End = { kind: 'misconfigured', reason: 'client', word: 'invalid_client' }

/** What the next attempt would present. */
async function stored(world: World, id: string): Promise<string> {
  world.time.pass(HOUR_MS)
  const { at } = await mustRead(world.one, id)
  return presented(await mustAcquire(world.one, at), world.time)
}

const asKept = (end: End, lease: Parameters<typeof keptFrom>[0]): Kept => {
  if (end.kind !== 'granted') throw new Error('only a granted answer is kept')
  return keptFrom(lease, end.granted)
}

export function answersContract(make: MakeBackend): void {
  test('a granted answer replaces the pair, and the refresh token that is lent next is the new one', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    const done = await world.one.store.commit(lease, world.granted(at, { refreshToken: 'rt 2', accessToken: 'at 2' }))
    assert.equal(done.kind, 'committed')
    assert.deepEqual(accessTokensOf(done.view), ['at 2'])
    const view = await mustRead(await world.manager(), 'a')
    assert.equal(view.row.state.status, 'ready')
    assert.equal(view.at.generation, at.generation + 1)
    assert.equal(view.at.grant, at.grant)
    assert.equal(view.refreshToken?.presentations, 0)
    assert.equal(view.row.parent, fingerprintOf(world, 'refresh_token', 'rt of a'))
    assert.deepEqual(accessTokensOf(view), ['at 2'])
    assert.equal(await stored(world, 'a'), 'rt 2')
    await world.end()
  })

  test('a granted answer without a different refresh token keeps the old one and its generation', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    await world.one.store.commit(lease, world.granted(at, { accessToken: 'at 2' }))
    const view = await mustRead(world.one, 'a')
    assert.equal(view.at.generation, at.generation)
    assert.deepEqual(accessTokensOf(view), ['at 2'])
    assert.equal(await stored(world, 'a'), 'rt of a')
    await world.end()
  })

  test('each variant has an access token of its own', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    const narrow = { refreshToken: 'rt 2', accessToken: 'narrow', variant: 'offers\n\n' }
    await world.one.store.commit(lease, world.granted(at, narrow))
    assert.deepEqual(accessTokensOf(await mustRead(world.one, 'a')), ['at of a', 'narrow'])
    await world.end()
  })

  test('where a refresh kills the access tokens before it, they are gone with the commit', async () => {
    const world = await createWorld(make)
    await world.one.registry.putProvider({ ...provider('strict', { kind: 'strict' }), refreshKillsAccessToken: true })
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    const narrow = { refreshToken: 'rt 2', accessToken: 'narrow', variant: 'offers\n\n' }
    await world.one.store.commit(lease, world.granted(at, narrow))
    assert.deepEqual(accessTokensOf(await mustRead(world.one, 'a')), ['narrow'])
    await world.end()
  })

  test('the same answer again, by commit or replay, in either order, changes nothing', async () => {
    const world = await createWorld(make)
    const other = await world.manager()
    for (const first of ['commit', 'replay'] as const) {
      const { at } = await world.connect(first)
      const { lease } = await mustAcquire(world.one, at)
      const end = world.granted(at, { refreshToken: `rt 2 ${first}`, accessToken: 'at 2' })
      const kept = asKept(end, lease)
      const done = first === 'commit' ? await world.one.store.commit(lease, end) : await world.one.store.replay(kept)
      assert.equal(done.kind, 'committed')
      const { revision } = (await mustRead(world.one, first)).row
      assert.equal((await world.one.store.commit(lease, end)).kind, 'again')
      assert.equal((await other.store.replay(kept)).kind, 'again')
      assert.equal((await mustRead(world.one, first)).row.revision, revision)
    }
    await world.end()
  })

  test('an answer that is committed again after the next refresh stays in the history', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    const end = world.granted(at, { refreshToken: 'rt 2', accessToken: 'at 2' })
    await world.one.store.commit(lease, end)
    world.time.pass(HOUR_MS)
    const second = await mustAcquire(world.one, (await mustRead(world.one, 'a')).at)
    await world.one.store.commit(second.lease, world.granted(at, { refreshToken: 'rt 3', accessToken: 'at 3' }))
    assert.equal((await world.one.store.replay(asKept(end, lease))).kind, 'history')
    assert.equal(await stored(world, 'a'), 'rt 3')
    await world.end()
  })

  for (const [end, status] of [
    [REJECTED, 'suspect'],
    [NOT_SENT, 'ready'],
    [BUSY, 'ready'],
    [IN_DOUBT, 'in_doubt'],
    [WRONG_CLIENT, 'blocked'],
  ] as const) {
    test(`${end.kind} leaves ${status}, and the same end again changes nothing`, async () => {
      const world = await createWorld(make)
      const { at } = await world.connect('a')
      const { lease } = await mustAcquire(world.one, at)
      assert.equal((await world.one.store.commit(lease, end)).kind, 'committed')
      const view = await mustRead(world.one, 'a')
      assert.equal(view.row.state.status, status)
      assert.equal(view.refreshToken?.presentations, end.kind === 'not_sent' ? 0 : 1)
      assert.equal((await world.one.store.commit(lease, end)).kind, 'again')
      assert.equal((await mustRead(world.one, 'a')).row.revision, view.row.revision)
      await world.end()
    })
  }

  test('what the provider said about waiting is kept', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    await world.one.store.commit(lease, BUSY)
    const early = await tryAcquire(world.one, (await mustRead(world.one, 'a')).at)
    assert.deepEqual(early, { kind: 'not_yet', at: world.time.moment().wall + 60_000 })
    await world.end()
  })

  test('a third refusal is believed, and only a user or a granted answer revives the connection', async () => {
    const world = await createWorld(make)
    const before = await world.connect('a')
    for (const why of ['fresh', 'confirm', 'confirm'] as const) {
      const { lease } = await mustAcquire(world.one, (await mustRead(world.one, 'a')).at, why)
      await world.one.store.commit(lease, REJECTED)
      world.time.pass(60_000)
    }
    const view = await mustRead(world.one, 'a')
    assert.ok(view.row.state.status === 'needs_user')
    assert.equal(view.row.state.reason, 'revoked')
    assert.equal(view.row.dueAt, null)
    assert.deepEqual(await tryAcquire(world.one, view.at), { kind: 'not_yet', at: null })
    const late: Kept = {
      ...asKept(world.granted(before.at, { refreshToken: 'rt 2', accessToken: 'at 2' }), {
        ...(await lastLease(world, 'a')),
      }),
    }
    assert.equal((await world.one.store.replay(late)).kind, 'committed')
    assert.equal((await mustRead(world.one, 'a')).row.state.status, 'ready')
    await world.end()
  })

  test('a negative answer under an old fence changes nothing', async () => {
    for (const end of [REJECTED, NOT_SENT, BUSY, IN_DOUBT, WRONG_CLIENT]) {
      const world = await createWorld(make)
      await world.connect('a', { client: 'reusable' })
      const late = await leaveInDoubt(world, 'a')
      const inDoubt = await mustRead(world.one, 'a')
      assert.equal((await world.one.store.commit(late.lease, end)).kind, 'history')
      assert.equal((await mustRead(world.one, 'a')).row.revision, inDoubt.row.revision)
      world.time.pass(1_000)
      const current = await mustAcquire(world.one, inDoubt.at, 'in_doubt')
      assert.equal((await world.one.store.commit(late.lease, end)).kind, 'history')
      const view = await mustRead(world.one, 'a')
      assert.ok(view.row.state.status === 'presenting')
      assert.equal(view.row.state.attempt.fence, current.lease.fence)
      await world.end()
    }
  })

  test('a granted answer that comes after a takeover is committed', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const late = await leaveInDoubt(world, 'a')
    const done = await world.one.store.commit(late.lease, world.granted(at, { refreshToken: 'rt 2', accessToken: 'x' }))
    assert.equal(done.kind, 'committed')
    assert.equal((await mustRead(world.one, 'a')).row.state.status, 'ready')
    assert.equal(await stored(world, 'a'), 'rt 2')
    await world.end()
  })

  test('a granted answer that comes after a reconnect changes nothing', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    await world.one.store.replaceGrant(at, world.sealed(at.uid, { refreshToken: 'new', accessToken: 'new at' }), NOBODY)
    const done = await world.one.store.commit(lease, world.granted(at, { refreshToken: 'rt 2', accessToken: 'x' }))
    assert.equal(done.kind, 'history')
    assert.equal(await stored(world, 'a'), 'new')
    await world.end()
  })

  /** Two attempts for one refresh token: the first is late, the second is open. */
  async function twoAttempts(world: World) {
    const { at } = await world.connect('a', { client: 'reusable' })
    const first = await leaveInDoubt(world, 'a')
    world.time.pass(1_000)
    const second = await mustAcquire(world.one, (await mustRead(world.one, 'a')).at, 'in_doubt')
    return { at, first, second }
  }

  for (const end of [REJECTED, NOT_SENT, BUSY, IN_DOUBT, WRONG_CLIENT]) {
    test(`a granted answer is held while a later attempt is open, and stands after its ${end.kind}`, async () => {
      const world = await createWorld(make)
      const { at, first, second } = await twoAttempts(world)
      const answer = world.granted(at, { refreshToken: 'rt 2', accessToken: 'at 2' })
      assert.equal((await world.one.store.commit(first.lease, answer)).kind, 'successor')
      assert.equal((await world.one.store.commit(first.lease, answer)).kind, 'again')
      const held = await mustRead(await world.manager(), 'a')
      assert.equal(held.hasSuccessor, true)
      assert.equal(held.row.state.status, 'presenting')
      assert.equal((await world.one.store.commit(second.lease, end)).kind, 'committed')
      const view = await mustRead(world.one, 'a')
      assert.equal(view.row.state.status, 'ready')
      assert.equal(view.hasSuccessor, false)
      assert.deepEqual(accessTokensOf(view), ['at 2'])
      assert.equal(await stored(world, 'a'), 'rt 2')
      await world.end()
    })
  }

  test('a held answer stands after the death of the later attempt, too', async () => {
    const world = await createWorld(make)
    const { at, first } = await twoAttempts(world)
    await world.one.store.commit(first.lease, world.granted(at, { refreshToken: 'rt 2', accessToken: 'at 2' }))
    const other = await world.manager()
    await other.store.takeOver(at, dead(world.one.owner))
    assert.equal((await mustRead(other, 'a')).row.state.status, 'ready')
    assert.equal(await stored(world, 'a'), 'rt 2')
    await world.end()
  })

  test('a held answer gives way to the later attempt that is granted, too', async () => {
    const world = await createWorld(make)
    const { at, first, second } = await twoAttempts(world)
    await world.one.store.commit(first.lease, world.granted(at, { refreshToken: 'rt 2a', accessToken: 'at 2a' }))
    await world.one.store.commit(second.lease, world.granted(at, { refreshToken: 'rt 2b', accessToken: 'at 2b' }))
    const view = await mustRead(world.one, 'a')
    assert.equal(view.hasSuccessor, false)
    assert.equal(view.at.generation, at.generation + 1)
    assert.equal(await stored(world, 'a'), 'rt 2b')
    await world.end()
  })

  test('an answer to the parent replaces a pair that was never presented, if it was sent later', async () => {
    const world = await createWorld(make)
    const { at, first, second } = await twoAttempts(world)
    await world.one.store.takeOver(at, dead(world.one.owner))
    const early = world.granted(at, { refreshToken: 'rt 2a', accessToken: 'at 2a' })
    const later = world.granted(at, { refreshToken: 'rt 2b', accessToken: 'at 2b' })
    assert.equal((await world.one.store.commit(first.lease, early)).kind, 'committed')
    assert.equal((await world.one.store.replay(asKept(later, second.lease))).kind, 'committed')
    assert.equal((await world.one.store.replay(asKept(early, first.lease))).kind, 'again', 'it lost, and is kept')
    assert.equal(await stored(world, 'a'), 'rt 2b')
    await world.end()
  })

  test('an answer to the parent of a pair that was presented does not replace it', async () => {
    const world = await createWorld(make)
    const { at, first, second } = await twoAttempts(world)
    await world.one.store.takeOver(at, dead(world.one.owner))
    await world.one.store.commit(first.lease, world.granted(at, { refreshToken: 'rt 2a', accessToken: 'at 2a' }))
    assert.equal(await stored(world, 'a'), 'rt 2a')
    const later = world.granted(at, { refreshToken: 'rt 2b', accessToken: 'at 2b' })
    assert.equal((await world.one.store.commit(second.lease, later)).kind, 'sibling')
    await world.end()
  })

  test('an answer for a uid that nobody knows is to be revoked, and a negative one is nothing', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    const stray = { ...lease, uid: world.draft('b').uid }
    const granted = world.granted(stray, { refreshToken: 'rt 2', accessToken: 'x' })
    const unknown = { view: null, terms: null }
    assert.deepEqual(await world.one.store.commit(stray, granted), { kind: 'revoke', ...unknown })
    assert.deepEqual(await world.one.store.replay(asKept(granted, stray)), { kind: 'revoke', ...unknown })
    assert.deepEqual(await world.one.store.commit(stray, REJECTED), { kind: 'history', ...unknown })
    await world.end()
  })

  test('the history has a line for each attempt and says how it ended', async () => {
    const world = await createWorld(make)
    const { at, first, second } = await twoAttempts(world)
    const { id } = (await mustRead(world.one, 'a')).row
    const lines = async () =>
      (await world.one.store.history(id, 10)).map(({ fence, why, outcome }) => `${fence} ${why} ${outcome}`)
    assert.deepEqual(await lines(), ['2 in_doubt null', '1 fresh owner_silent'])
    await world.one.store.commit(first.lease, world.granted(at, { refreshToken: 'rt 2', accessToken: 'at 2' }))
    assert.deepEqual(await lines(), ['2 in_doubt null', '1 fresh granted, held'])
    await world.one.store.commit(second.lease, REJECTED)
    assert.deepEqual(await lines(), ['2 in_doubt rejected', '1 fresh granted'])
    await world.one.store.commit(second.lease, BUSY)
    assert.deepEqual(await lines(), ['2 in_doubt unavailable, late', '1 fresh granted'])
    const [, oldest] = await world.one.store.history(id, 10)
    assert.deepEqual(oldest, {
      fence: 1,
      attempt: first.lease.attempt,
      grant: 1,
      generation: 1,
      presented: fingerprintOf(world, 'refresh_token', 'rt of a'),
      owner: world.one.owner,
      host: 'a host',
      process: 'a program (1)',
      why: 'fresh',
      acquiredAt: oldest?.acquiredAt,
      endedAt: world.time.moment().wall,
      outcome: 'granted',
    })
    await world.end()
  })

  test('the history keeps the last hundred attempts', async () => {
    const world = await createWorld(make)
    const { row } = await world.connect('a')
    for (let round = 1; round <= 103; round += 1) {
      const { at } = await mustRead(world.one, 'a')
      const { lease } = await mustAcquire(world.one, at)
      await world.one.store.commit(lease, NOT_SENT)
      world.time.pass(30_000)
    }
    const fences = (await world.one.store.history(row.id, 1_000)).map(({ fence }) => Number(fence))
    assert.deepEqual([fences.length, fences[0], fences.at(-1)], [100, 103, 4])
    await world.end()
  })
}

/** The lease of the last attempt, as its holder would still have it. */
async function lastLease(world: World, id: string): Promise<Parameters<typeof keptFrom>[0]> {
  const view = await mustRead(world.one, id)
  const [last] = await world.one.store.history(view.row.id, 1)
  if (last === undefined) throw new Error('no attempt yet')
  const lease = {
    uid: view.at.uid,
    grant: last.grant,
    answers: last.presented,
    fence: last.fence,
    attempt: last.attempt,
  }
  return lease as Parameters<typeof keptFrom>[0]
}
