/** Import, reconnect, reports of a 401, deletion. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { At, Revision, View } from '@tokenkeep/core'
import {
  HOUR_MS,
  accessTokensOf,
  NOBODY,
  createWorld,
  dead,
  fingerprintOf,
  mustAcquire,
  mustRead,
  presented,
  tryAcquire,
  type MakeBackend,
} from './store-world.ts'

const DAY_MS = 24 * HOUR_MS
const revealed = (tokens: readonly { reveal(): string }[]): string[] => tokens.map((token) => token.reveal())

export function actsContract(make: MakeBackend): void {
  test('create writes a connection that another store reads', async () => {
    const world = await createWorld(make)
    const created = await world.connect('a', { labels: { team: 'blue' }, scope: 'offers' })
    const read = await mustRead(await world.manager(), 'a')
    assert.deepEqual(read.row, created.row)
    assert.equal(read.row.scope, 'offers')
    assert.deepEqual(read.row.labels, { team: 'blue' })
    assert.equal(read.terms.client.clientId, 'strict-app')
    assert.equal(read.unreadable, null)
    assert.deepEqual(accessTokensOf(read), ['at of a'])
    await world.end()
  })

  test('a view holds neither the refresh token nor a ciphertext', async () => {
    const world = await createWorld(make)
    const view = await world.connect('a')
    const holds = (value: unknown): boolean =>
      value instanceof Uint8Array ||
      (typeof value === 'object' && value !== null && Object.values(value).some((member) => holds(member)))
    assert.equal(holds(view), false)
    assert.equal(JSON.stringify(view).includes('rt of a'), false)
    await world.end()
  })

  test('an id is taken as long as its connection is not erased', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const again = world.draft('a', { refreshToken: 'another', accessToken: 'another' })
    assert.deepEqual(await world.one.store.create(again), { kind: 'exists' })
    await world.one.store.beginDelete(at)
    assert.deepEqual(await world.one.store.create(again), { kind: 'exists' })
    assert.equal((await mustRead(world.one, 'a')).at.uid, at.uid)
    await world.end()
  })

  test('the same draft again is the same connection', async () => {
    const world = await createWorld(make)
    const draft = world.draft('a')
    const first = await world.one.store.create(draft)
    const again = await world.one.store.create(draft)
    assert.ok(!('kind' in first) && !('kind' in again))
    assert.deepEqual(again.row, first.row)
    await world.end()
  })

  test('a refresh token that another connection of the client holds is refused, and the other is named', async () => {
    const world = await createWorld(make)
    await world.connect('a', { refreshToken: 'shared' })
    assert.deepEqual(await world.one.store.create(world.draft('b', { refreshToken: 'shared' })), {
      kind: 'twin',
      id: 'a',
    })
    const elsewhere = await world.one.store.create(world.draft('c', { refreshToken: 'shared', client: 'grace' }))
    assert.ok(!('kind' in elsewhere), 'another client cannot use it')
    await world.end()
  })

  test('of two that import one refresh token at once, one does', async () => {
    const world = await createWorld(make)
    const other = await world.manager()
    const [first, second] = await Promise.all([
      world.one.store.create(world.draft('a', { refreshToken: 'shared' })),
      other.store.create(world.draft('b', { refreshToken: 'shared' })),
    ])
    assert.equal(['kind' in first, 'kind' in second].filter(Boolean).length, 1)
    await world.end()
  })

  test('a reusable refresh token may be held twice', async () => {
    const world = await createWorld(make)
    await world.connect('a', { refreshToken: 'shared', client: 'reusable' })
    const second = await world.one.store.create(world.draft('b', { refreshToken: 'shared', client: 'reusable' }))
    assert.ok(!('kind' in second))
    await world.end()
  })

  test('a connection of an unknown client is refused', async () => {
    const world = await createWorld(make)
    await assert.rejects(() => world.one.store.create(world.draft('a', { client: 'nobody' })), {
      code: 'unknown_client',
      subject: 'nobody',
    })
    await world.end()
  })

  test('reconnect is one write: grant + 1, a new pair, and the open attempt is over', async () => {
    const world = await createWorld(make)
    const { at, row } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    const pair = world.sealed(at.uid, { refreshToken: 'new', accessToken: 'new at' })
    const view = await world.one.store.replaceGrant(at, pair, { ...NOBODY, subject: 'ada' })
    assert.ok(!('kind' in view))
    assert.deepEqual(
      [view.at.grant, view.at.generation, view.row.state.status, view.row.subject, view.row.revision],
      [at.grant + 1, at.generation + 1, 'ready', 'ada', row.revision + 2],
    )
    assert.deepEqual(accessTokensOf(view), ['new at'])
    assert.equal(await world.one.store.renew(lease), 'lost')
    const [line] = await world.one.store.history(row.id, 1)
    assert.equal(line?.outcome, 'reconnected')
    assert.equal(presented(await mustAcquire(world.one, view.at), world.time), 'new')
    await world.end()
  })

  test('a reconnect that another reconnect overtook is refused as moved', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const pair = (name: string) => world.sealed(at.uid, { refreshToken: name, accessToken: null })
    await world.one.store.replaceGrant(at, pair('first'), NOBODY)
    assert.deepEqual(await world.one.store.replaceGrant(at, pair('second'), NOBODY), { kind: 'moved' })
    await world.end()
  })

  test('a reconnect goes through although refreshes went on', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    await world.one.store.commit(lease, world.granted(at, { refreshToken: 'rt 2', accessToken: 'at 2' }))
    const view = await world.one.store.replaceGrant(at, world.sealed(at.uid, { refreshToken: 'new' }), NOBODY)
    assert.ok(!('kind' in view))
    await world.end()
  })

  test('reconnect with the refresh token of another connection is refused, with its own it is not', async () => {
    const world = await createWorld(make)
    await world.connect('a')
    const { at } = await world.connect('b')
    const held = world.sealed(at.uid, { refreshToken: 'rt of a' })
    assert.deepEqual(await world.one.store.replaceGrant(at, held, NOBODY), { kind: 'twin', id: 'a' })
    assert.equal((await mustRead(world.one, 'b')).at.grant, 1)
    const own = await world.one.store.replaceGrant(at, world.sealed(at.uid, { refreshToken: 'rt of b' }), NOBODY)
    assert.ok(!('kind' in own))
    await world.end()
  })

  test('a refused access token is marked once, and only where it is the current one', async () => {
    const world = await createWorld(make)
    const { at, row } = await world.connect('a')
    const stranger = await world.one.store.reject(at, fingerprintOf(world, 'access_token', 'unknown'))
    assert.ok(!('kind' in stranger))
    assert.equal(stranger.current, false)
    assert.equal(stranger.view.row.revision, row.revision)
    const current = fingerprintOf(world, 'access_token', 'at of a')
    const first = await world.one.store.reject(at, current)
    const again = await world.one.store.reject(at, current)
    assert.ok(!('kind' in first) && !('kind' in again))
    assert.equal(first.current, true)
    assert.equal(first.view.accessTokens[0]?.refusedAt, world.time.moment().wall)
    assert.deepEqual(again.view.row, first.view.row)
    await world.end()
  })

  test('an access token that came from a forced refresh and is refused, too, waits 5 minutes for the next', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const report = async (token: string) => {
      const done = await world.one.store.reject(at, fingerprintOf(world, 'access_token', token))
      assert.ok(!('kind' in done))
      return done.view
    }
    await report('at of a')
    const { lease } = await mustAcquire(world.one, at)
    await world.one.store.commit(lease, world.granted(at, { refreshToken: 'rt 2', accessToken: 'at 2' }))
    world.time.pass(9_999)
    assert.equal((await report('at 2')).accessTokens[0]?.refusedAt, null, '10 s apart')
    world.time.pass(1)
    const holding = await report('at 2')
    assert.equal(holding.accessTokens[0]?.refusedAt, null)
    assert.equal(holding.row.forced?.notBefore, world.time.moment().wall + 300_000)
    world.time.pass(299_999)
    assert.equal((await report('at 2')).accessTokens[0]?.refusedAt, null, 'held for 5 minutes')
    world.time.pass(1)
    assert.equal((await report('at 2')).accessTokens[0]?.refusedAt, world.time.moment().wall)
    await world.end()
  })

  test('a connection that is being deleted stays readable, says so, and begins no attempt', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const deletion = await world.one.store.beginDelete(at)
    assert.ok(deletion.kind === 'deleting')
    assert.deepEqual(revealed(deletion.toRevoke), ['rt of a'])
    assert.equal(deletion.open, null)
    const view = await mustRead(world.one, 'a')
    assert.equal(view.row.state.status, 'deleting')
    // Whoever began it goes on with it; nobody else does so within a lease.
    assert.equal(view.row.dueAt, world.time.moment().wall + 30_000)
    const gone = { kind: 'gone', because: 'deleting' }
    assert.deepEqual(await tryAcquire(world.one, view.at), gone)
    assert.deepEqual(await world.one.store.replaceGrant(at, world.sealed(at.uid, { refreshToken: 'x' }), NOBODY), gone)
    assert.deepEqual(await world.one.store.reject(at, fingerprintOf(world, 'access_token', 'at of a')), gone)
    const again = await world.one.store.beginDelete(view.at)
    assert.ok(again.kind === 'deleting')
    assert.equal(again.view.row.revision, view.row.revision)
    await world.end()
  })

  test('a deletion awaits the open attempt, and what it is granted is revoked, too', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    const deletion = await world.one.store.beginDelete(at)
    assert.ok(deletion.kind === 'deleting')
    assert.equal(deletion.open?.fence, lease.fence)
    const granted = world.granted(at, { refreshToken: 'rt 2', accessToken: 'at 2' })
    assert.equal((await world.one.store.commit(lease, granted)).kind, 'committed')
    const after = await world.one.store.beginDelete(at)
    assert.ok(after.kind === 'deleting')
    assert.equal(after.open, null)
    assert.deepEqual(revealed(after.toRevoke), ['rt 2'])
    await world.end()
  })

  test('an attempt that was open when deletion began is taken over, too', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    await mustAcquire(world.one, at)
    await world.one.store.beginDelete(at)
    assert.equal((await world.one.store.openAttempts(world.one.owner)).length, 1)
    await world.one.store.takeOver(at, dead(world.one.owner))
    const after = await world.one.store.beginDelete(at)
    assert.ok(after.kind === 'deleting')
    assert.equal(after.open, null)
    await world.end()
  })

  test('what a late answer brings while a deletion revokes is revoked, too, before anything is erased', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    await world.one.store.commit(lease, {
      kind: 'in_doubt',
      because: 'reset',
      status: null,
      endSeen: true,
      retryAfterMs: null,
    })
    const deletion = await world.one.store.beginDelete(at)
    assert.ok(deletion.kind === 'deleting')
    await world.one.store.commit(lease, world.granted(at, { refreshToken: 'rt 2', accessToken: 'at 2' }))
    assert.equal(await world.one.store.finishDelete(deletion, true), 'changed')
    const again = await world.one.store.beginDelete(at)
    assert.ok(again.kind === 'deleting')
    assert.deepEqual(revealed(again.toRevoke), ['rt 2'])
    assert.equal(await world.one.store.finishDelete(again, true), 'erased')
    await world.end()
  })

  test('a finished deletion leaves a tombstone: late answers are recognised, the id is free', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a', { labels: { team: 'blue' } })
    const { lease } = await mustAcquire(world.one, at)
    const deletion = await world.one.store.beginDelete(at)
    assert.ok(deletion.kind === 'deleting')
    await world.one.store.finishDelete(deletion, true)
    await world.one.store.finishDelete(deletion, true)
    assert.deepEqual(await world.one.store.read(deletion.view.row.id), { kind: 'gone', because: 'erased' })
    assert.deepEqual(await world.one.store.beginDelete(at), { kind: 'gone', because: 'erased' })
    assert.deepEqual(await world.one.store.list({ limit: 10 }), [])
    assert.deepEqual(await world.one.store.list({ limit: 10, labels: { team: 'blue' } }), [])
    const late = await world.one.store.commit(lease, world.granted(at, { refreshToken: 'rt 2', accessToken: 'x' }))
    assert.deepEqual([late.kind, late.view, late.terms?.client.id], ['revoke', null, 'strict'])

    const reborn = await world.connect('a', { refreshToken: 'rt of a' })
    assert.notEqual(reborn.at.uid, at.uid)
    assert.equal(reborn.at.grant, 1)
    assert.equal((await mustRead(world.one, 'a')).at.uid, reborn.at.uid)
    await world.end()
  })

  test('a deletion that was not begun finishes nothing', async () => {
    const world = await createWorld(make)
    const view = await world.connect('a')
    await world.one.store.finishDelete({ kind: 'deleting', uid: view.at.uid, view, toRevoke: [], open: null }, true)
    assert.equal((await mustRead(world.one, 'a')).row.state.status, 'ready')
    await world.end()
  })

  test('a tombstone is forgotten after 30 days', async () => {
    const world = await createWorld(make)
    const erase = async (id: string): Promise<At> => {
      const { at } = await world.connect(id)
      const deletion = await world.one.store.beginDelete(at)
      assert.ok(deletion.kind === 'deleting')
      await world.one.store.finishDelete(deletion, true)
      return at
    }
    const stillKnown = async ({ uid }: At): Promise<View | undefined> =>
      (await world.one.store.changes([[uid, 0 as Revision]]))[0]
    const first = await erase('a')
    world.time.pass(30 * DAY_MS)
    await erase('b')
    assert.equal((await stillKnown(first))?.row.state.status, 'erased', 'in its 30 days')
    world.time.pass(1)
    await erase('c')
    assert.equal(await stillKnown(first), undefined)
    assert.deepEqual(
      await world.one.store.read((await world.connect('d')).row.id).then((view) => 'kind' in view),
      false,
    )
    await world.end()
  })
}
