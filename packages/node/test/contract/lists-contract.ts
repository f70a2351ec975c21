/** Lists by all that can be asked for together: what they name is what a reader of every connection would pick. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClientId, ConnectionId, ListQuery, ProviderId, View } from '@tokenkeep/core'
import { blue, inEveryStatus } from './every-status.ts'
import { HOUR_MS, createWorld, type MakeBackend, type World } from './store-world.ts'

type Asked = Omit<ListQuery, 'limit' | 'after'>

const reasonOf = ({ state }: View['row']): string | null =>
  state.status === 'needs_user' || state.status === 'blocked' ? state.reason : null

function fits({ row }: View, { provider, client, status, reason, labels = {}, search = '' }: Asked): boolean {
  return (
    (provider === undefined || row.provider === provider) &&
    (client === undefined || row.client === client) &&
    (status === undefined || [status].flat().includes(row.state.status)) &&
    (reason === undefined || reason.some((each) => each === reasonOf(row))) &&
    Object.entries(labels).every(([name, value]) => row.labels[name] === value) &&
    [row.id, row.subject, ...Object.values(row.labels)].some((text) => text?.startsWith(search) === true)
  )
}

const asked: readonly Asked[] = [
  { status: ['in_doubt', 'suspect', 'blocked'] },
  { status: ['ready', 'needs_user'] },
  { status: 'needs_user', provider: 'reusable' as ProviderId },
  { status: 'needs_user', provider: 'strict' as ProviderId },
  { status: [] },
  { status: 'erased' },
  { reason: ['interaction_required', 'client'] },
  { reason: ['no_refresh_token'] },
  { reason: ['endpoint'], status: ['blocked', 'ready'] },
  { reason: ['endpoint'], status: 'needs_user' },
  { client: 'grace' as ClientId },
  { client: 'grace' as ClientId, provider: 'strict' as ProviderId },
  { client: 'grace' as ClientId, status: 'blocked', labels: blue },
  { labels: blue, status: ['presenting', 'in_doubt', 'needs_user'] },
  { labels: blue, status: ['in_doubt', 'needs_user', 'deleting'] },
  { labels: { ...blue, tier: '1' } },
  { search: 'bl' },
  { search: 'blocked t' },
  { search: 'alice' },
  { search: 'Bl' },
  { search: 'nothing begins so' },
  { search: 'bl', status: ['blocked', 'deleting'], labels: blue },
  { search: '1', provider: 'strict' as ProviderId },
  { search: '%' },
  { search: '' },
]

async function withSubjects(world: World): Promise<void> {
  await inEveryStatus(world)
  for (const [id, subject] of [
    ['z', 'alice'],
    ['y', 'alice the other'],
    ['x', 'bob'],
  ] as const) {
    await world.one.store.create({ ...world.draft(id, { labels: { tier: '12' } }), subject })
  }
  await world.connect('lapsed', { refreshToken: null, lifetimeMs: HOUR_MS, labels: blue })
  await world.connect('lapses', { refreshToken: null, lifetimeMs: 2 * HOUR_MS, labels: blue })
  world.time.pass(HOUR_MS)
}

export function listsContract(make: MakeBackend): void {
  test('a list names what fits all that is asked for, and its pages name it once, in the same order', async () => {
    const world = await createWorld(make)
    await withSubjects(world)
    const { store } = world.one
    const all = await store.list({ limit: 1_000 })
    assert.equal(all.length, 13)
    for (const query of asked) {
      const expected = all.filter((view) => fits(view, query)).map(({ row }) => row.id)
      const listed = await store.list({ ...query, limit: 1_000 })
      assert.deepEqual(
        listed.map(({ row }) => row.id),
        expected,
        JSON.stringify(query),
      )
      const paged: ConnectionId[] = []
      let after: ConnectionId | undefined
      for (let pages = 0; pages < 30; pages += 1) {
        const { views, next } = await store.page({ ...query, limit: 2, after })
        paged.push(...views.map(({ row }) => row.id))
        if (next === null) break
        after = next
      }
      assert.deepEqual(paged, expected, JSON.stringify(query))
    }
    await world.end()
  })
}
