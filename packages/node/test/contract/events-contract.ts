/** Events are recorded in the write that they tell of, once, and read in one order. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ms,
  type AttemptId,
  type ClientId,
  type ConnectionId,
  type End,
  type NewEvent,
  type ProviderId,
  type UnixMs,
} from '@tokenkeep/core'
import type { EventQuery, StoredEvent } from '../../src/event-rows.ts'
import type { OpenStore } from '../../src/store-context.ts'
import {
  NOBODY,
  createWorld,
  dead,
  fingerprintOf,
  leaveInDoubt,
  mustAcquire,
  mustRead,
  type MakeBackend,
} from './store-world.ts'

const ALL: EventQuery = { from: null, newestFirst: false, notableOnly: false, connection: null, limit: 1000 }
const read = ({ events }: Pick<OpenStore, 'events'>, query: Partial<EventQuery> = {}) =>
  events.read({ ...ALL, ...query })
const typesOf = (events: readonly StoredEvent[]): string[] => events.map(({ type }) => type)
const told = async (by: Pick<OpenStore, 'events'>) => typesOf(await read(by))

const MISCONFIGURED: NewEvent = {
  uid: null,
  connection: null,
  provider: 'strict' as ProviderId,
  client: 'strict' as ClientId,
  labels: {},
  at: 1 as UnixMs,
  type: 'provider.misconfigured',
  data: { word: 'invalid_client', retryAt: 2 as UnixMs },
}
const UNAVAILABLE: End = { kind: 'unavailable', because: 'busy', status: 503, retryAfterMs: null }
const REJECTED: End = { kind: 'rejected', word: 'invalid_grant' }
const REUSED: End = { kind: 'rejected', word: 'reused' }

export function eventsContract(make: MakeBackend): void {
  test('a connection is told as created, with whose it is', async () => {
    const world = await createWorld(make)
    const { row } = await world.connect('a', { labels: { team: 'blue' } })
    const [event, ...others] = await read(world.one)
    assert.ok(event !== undefined && others.length === 0)
    const { position, id, ...rest } = event
    assert.equal(position, 1)
    assert.match(id, /^evt_[0-9a-f]{32}$/)
    assert.deepEqual(rest, {
      type: 'connection.created',
      at: row.createdAt,
      uid: row.uid,
      connection: 'a',
      provider: 'strict',
      client: 'strict',
      labels: { team: 'blue' },
      data: { grantType: 'refresh_token' },
    })
    await world.end()
  })

  test('a refresh is told with what it brought', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    const end = world.granted(at, { refreshToken: 'rt 2', accessToken: 'at 2', scope: 'offers' })
    await world.one.store.commit(lease, end)
    const [, event] = await read(world.one)
    const expiresAt = end.kind === 'granted' ? end.granted.accessToken?.expiresAt : undefined
    assert.equal(event?.type, 'connection.refreshed')
    assert.deepEqual(event.data, {
      generation: 2,
      fence: lease.fence,
      why: 'fresh',
      rotated: true,
      expiresAt,
      scope: 'offers',
    })
    await world.end()
  })

  test('the same commit again tells nothing again', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    const end = world.granted(at, { refreshToken: 'rt 2', accessToken: 'at 2' })
    await world.one.store.commit(lease, end)
    await world.one.store.commit(lease, end)
    assert.deepEqual(await told(world.one), ['connection.created', 'connection.refreshed'])
    await world.end()
  })

  for (const [what, end, type, data] of [
    ['is unavailable', UNAVAILABLE, 'connection.refresh_failed', { because: 'busy', status: 503 }],
    ['cannot be reached', { kind: 'not_sent', because: 'connect' }, 'connection.refresh_failed', { status: null }],
    ['refuses once', REJECTED, 'connection.suspect', { refusals: 1 }],
    ['names a reuse', REUSED, 'connection.needs_user', { reason: 'reused' }],
    [
      'refuses the client',
      { kind: 'misconfigured', reason: 'client', word: 'invalid_client' },
      'connection.blocked',
      { reason: 'client', word: 'invalid_client' },
    ],
    [
      'does not answer',
      { kind: 'in_doubt', because: 'cut', status: null, endSeen: true, retryAfterMs: null },
      'connection.in_doubt',
      { because: 'cut', status: null },
    ],
  ] as readonly (readonly [string, End, string, Readonly<Record<string, unknown>>])[]) {
    test(`a provider that ${what} is told as ${type}`, async () => {
      const world = await createWorld(make)
      const { at } = await world.connect('a')
      const { lease } = await mustAcquire(world.one, at)
      await world.one.store.commit(lease, end)
      const [, event, ...others] = await read(world.one)
      assert.deepEqual([event?.type, others], [type, []])
      for (const [member, value] of Object.entries(data)) assert.deepEqual(event?.data[member], value, member)
      const { row } = await mustRead(world.one, 'a')
      if (event?.data['retryAt'] !== undefined) assert.equal(typeof event.data['retryAt'], 'number')
      assert.equal(event?.at, row.updatedAt)
      await world.end()
    })
  }

  test('a scope that one caller asked for and was refused is nobody else’s business', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    await world.one.store.commit(lease, { kind: 'misconfigured', reason: 'asked', word: 'invalid_scope' })
    assert.deepEqual(await told(world.one), ['connection.created'])
    await world.end()
  })

  test('a takeover is told with its reason, and a commit that comes too late is not', async () => {
    const world = await createWorld(make)
    await world.connect('a')
    const { lease } = await leaveInDoubt(world, 'a')
    await world.one.store.commit(lease, UNAVAILABLE)
    await world.connect('b')
    const other = await world.manager()
    const acquired = await mustAcquire(other, (await mustRead(other, 'b')).at)
    await world.one.store.takeOver((await mustRead(world.one, 'b')).at, dead(acquired.lease.owner))
    const because = (await read(world.one, { notableOnly: true })).map(({ type, data }) => [type, data['because']])
    assert.deepEqual(because, [
      ['connection.created', undefined],
      ['connection.in_doubt', 'owner_silent'],
      ['connection.created', undefined],
      ['connection.in_doubt', 'owner_dead'],
    ])
    await world.end()
  })

  test('an answer that is replayed is told as a refresh', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    const end = world.granted(at, { refreshToken: 'rt 2', accessToken: 'at 2' })
    assert.ok(end.kind === 'granted')
    const { uid, grant, answers, fence, attempt } = lease
    await world.one.store.replay({ uid, grant, answers, fence, attempt, granted: end.granted })
    assert.deepEqual(await told(world.one), ['connection.created', 'connection.refreshed'])
    await world.end()
  })

  test('what people do is told: reconnect, a reported 401, a sign-out, deletion', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a', { labels: { team: 'blue' } })
    await world.one.store.replaceGrant(at, world.sealed(at.uid, { refreshToken: 'rt 2', accessToken: 'at 2' }), {
      subject: 'alice',
      sessionId: 's1',
    })
    await world.one.store.reject(at, fingerprintOf(world, 'access_token', 'at 2'))
    await world.one.store.reject(at, fingerprintOf(world, 'access_token', 'at 2'))
    const issuedAt = (world.time.moment().wall + 5_000) as UnixMs
    const logout = { of: { sessionId: 's1' }, issuedAt, revokesOfflineAccess: true }
    await world.one.store.signOut(at, logout)
    await world.one.store.signOut(at, logout)
    const deletion = await world.one.store.beginDelete(at)
    assert.ok(deletion.kind === 'deleting')
    await world.one.store.finishDelete(deletion, true)
    const events = await read(world.one)
    assert.deepEqual(typesOf(events), [
      'connection.created',
      'connection.reconnected',
      'connection.access_token_rejected',
      'connection.signed_out',
      'connection.revoked',
    ])
    assert.deepEqual(events.at(-1)?.data, { revokedUpstream: true })
    assert.deepEqual(events.at(-1)?.labels, { team: 'blue' }, 'whoever looks after it is told of its end, too')
    await world.end()
  })

  test('what is refused or changes nothing tells nothing', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const gone = { ...at, uid: world.draft('b').uid }
    await world.one.store.reject(gone, fingerprintOf(world, 'access_token', 'at of a'))
    await world.one.store.create(world.draft('a'))
    await world.one.store.replaceGrant({ ...at, grant: at.grant + 1 } as typeof at, world.sealed(at.uid, {}), NOBODY)
    const { lease } = await mustAcquire(world.one, at)
    await world.one.store.renew(lease)
    await world.one.store.presentNow(at)
    await world.one.store.commit({ ...lease, attempt: 'another' as AttemptId }, UNAVAILABLE)
    assert.deepEqual(await told(world.one), ['connection.created'])
    await world.end()
  })

  test('every store reads the same order, whoever wrote', async () => {
    const world = await createWorld(make)
    const other = await world.manager()
    const created = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        (index % 2 === 0 ? world.one : other).store.create(world.draft(`c${index}`)),
      ),
    )
    assert.ok(created.every((each) => !('kind' in each)))
    const events = await read(world.one)
    assert.deepEqual(await read(other), events)
    assert.deepEqual(
      events.map(({ position }) => position),
      Array.from({ length: 20 }, (_, index) => index + 1),
    )
    assert.equal(new Set(events.map(({ id }) => id)).size, 20)
    assert.equal(await other.events.newest(), 20)
    assert.equal(await other.events.idAt(7), events[6]?.id)
    assert.equal(await other.events.idAt(21), null)
    await world.end()
  })

  test('events are read from a position on, backwards, of one connection, and without routine', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const { lease } = await mustAcquire(world.one, at)
    await world.one.store.commit(lease, world.granted(at, { refreshToken: 'rt 2', accessToken: 'at 2' }))
    await world.connect('b')
    const [created, refreshed, other] = await read(world.one)
    assert.ok(created && refreshed && other)
    assert.deepEqual(await read(world.one, { from: created.position }), [refreshed, other])
    assert.deepEqual(await read(world.one, { from: created.position, limit: 1 }), [refreshed])
    assert.deepEqual(await read(world.one, { newestFirst: true, limit: 2 }), [other, refreshed])
    assert.deepEqual(await read(world.one, { newestFirst: true, from: refreshed.position }), [created])
    assert.deepEqual(await read(world.one, { notableOnly: true }), [created, other])
    assert.deepEqual(await read(world.one, { connection: 'a' as ConnectionId }), [created, refreshed])
    await world.end()
  })

  test('of several processes that see the same, the first alone records it', async () => {
    const world = await createWorld(make)
    const other = await world.manager()
    await Promise.all([world.one.events.record(MISCONFIGURED, 'x'), other.events.record(MISCONFIGURED, 'x')])
    await other.events.record(MISCONFIGURED, 'y')
    const events = await read(world.one)
    assert.deepEqual(typesOf(events), ['provider.misconfigured', 'provider.misconfigured'])
    assert.deepEqual(events[0]?.data, MISCONFIGURED.data)
    await world.end()
  })

  test('old events go, a few at a time, routine sooner than the rest', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const refresh = async (name: string): Promise<void> => {
      const { lease } = await mustAcquire(world.one, (await mustRead(world.one, 'a')).at)
      await world.one.store.commit(lease, world.granted(at, { refreshToken: `rt ${name}`, accessToken: `at ${name}` }))
      world.time.pass(60_000)
    }
    await refresh('2')
    await refresh('3')
    await world.connect('b')
    const events = await read(world.one)
    const [, first, second, last] = events
    assert.ok(first && second && last)
    const none = { routine: 0 as UnixMs, notable: 0 as UnixMs }
    assert.equal(await world.one.events.prune(0, none, 100), 0, 'nothing is old')
    const routine = { ...none, routine: (second.at + 1) as UnixMs }
    assert.equal(await world.one.events.prune(0, routine, 2), first.position, 'no more at once than asked for')
    assert.deepEqual(typesOf(await read(world.one)), [
      'connection.created',
      'connection.refreshed',
      'connection.created',
    ])
    assert.equal(await world.one.events.prune(first.position, routine, 100), second.position)
    assert.deepEqual(typesOf(await read(world.one)), ['connection.created', 'connection.created'])
    const all = { routine: (last.at + 1) as UnixMs, notable: (last.at + 1) as UnixMs }
    assert.equal(await world.one.events.prune(0, all, 1), 1)
    assert.equal(await world.one.events.prune(1, all, 100), last.position)
    assert.deepEqual(await read(world.one), [])
    assert.equal(await world.one.events.newest(), last.position, 'no position is used twice')
    await world.end()
  })

  test('a session whose end is near is told once', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a')
    const endsAt = world.time.moment().wall + 40 * 60_000
    for (const name of ['2', '3', '4', '5', '6', '7', '8']) {
      const { lease } = await mustAcquire(world.one, (await mustRead(world.one, 'a')).at)
      const given = { refreshToken: `rt ${name}`, accessToken: `at ${name}`, endsAt }
      await world.one.store.commit(lease, world.granted(at, given))
      world.time.pass(ms(6.4 * 60_000))
    }
    const expiring = (await read(world.one)).filter(({ type }) => type === 'connection.expiring')
    assert.deepEqual(
      expiring.map(({ data }) => data),
      [{ endsAt }],
    )
    await world.end()
  })

  test('a connection that cannot be refreshed is due when its access token ends, and then told to need its user, once', async () => {
    const world = await createWorld(make)
    const due = () => world.one.store.due({ limit: 10, except: [] })
    const { row } = await world.connect('a', { refreshToken: null, lifetimeMs: 60_000 })
    assert.equal(row.dueAt, row.createdAt + 60_000)
    world.time.pass(59_999)
    assert.deepEqual(await due(), [])
    world.time.pass(1)
    const [claimed, ...others] = await due()
    assert.deepEqual([claimed?.row.id, others], ['a', []])
    const { state, dueAt } = (await mustRead(world.one, 'a')).row
    assert.deepEqual(state, { status: 'needs_user', reason: 'no_refresh_token', since: row.createdAt + 60_000 })
    assert.equal(dueAt, null)
    world.time.pass(60_000)
    assert.deepEqual(await due(), [])
    const [, event, ...more] = await read(world.one)
    assert.deepEqual([event?.type, event?.data, more], ['connection.needs_user', { reason: 'no_refresh_token' }, []])
    await world.end()
  })

  test('where an API refused the only token of such a connection, it is due at once', async () => {
    const world = await createWorld(make)
    const { at } = await world.connect('a', { refreshToken: null })
    await world.one.store.reject(at, fingerprintOf(world, 'access_token', 'at of a'))
    assert.equal((await world.one.store.due({ limit: 10, except: [] })).length, 1)
    assert.deepEqual(await told(world.one), [
      'connection.created',
      'connection.access_token_rejected',
      'connection.needs_user',
    ])
    await world.end()
  })
}
