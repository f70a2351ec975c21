/** A world with connections in every status. */
import assert from 'node:assert/strict'
import { leaveInDoubt, mustAcquire, type DraftGiven, type World } from './store-world.ts'

export const blue = { team: 'blue' }

/** One connection in every status, half of them with a label. */
export async function inEveryStatus(world: World): Promise<void> {
  const { store } = world.one
  const end = async (id: string, how: Parameters<typeof store.commit>[1], given?: DraftGiven): Promise<void> => {
    const { lease } = await mustAcquire(world.one, (await world.connect(id, given)).at)
    await store.commit(lease, how)
  }
  await world.connect('ready', { labels: blue })
  await mustAcquire(world.one, (await world.connect('presenting', { labels: blue })).at)
  await world.connect('doubted', { labels: { ...blue, tier: '1' } })
  await leaveInDoubt(world, 'doubted')
  await end('blocked', { kind: 'misconfigured', reason: 'client', word: null })
  await end('blocked too', { kind: 'misconfigured', reason: 'endpoint', word: null }, { client: 'grace', labels: blue })
  await end('suspect', { kind: 'rejected', word: 'invalid_grant' })
  await end('asked', { kind: 'rejected', word: 'interaction_required' }, { labels: blue, client: 'reusable' })
  await store.beginDelete((await world.connect('deleting', { labels: blue })).at)
  const gone = await store.beginDelete((await world.connect('gone', { labels: blue })).at)
  assert.ok(gone.kind === 'deleting')
  await store.finishDelete(gone, true)
}
