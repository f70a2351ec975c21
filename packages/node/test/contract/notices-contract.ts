/** How a store hears that others wrote: at once or soon, and of nothing that it wrote itself. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ms, type Listener, type Uid } from '@tokenkeep/core'
import { createWorld, mustAcquire, type MakeBackend, type World } from './store-world.ts'

const LOOK_EVERY_MS = ms(5)
/** No answer in time fails the test by its own limit: a bell keeps no process alive. */
const LIMIT = { timeout: 10_000 }

async function heard(listener: Listener): Promise<readonly Uid[] | 'unknown'> {
  const alive = setInterval(() => undefined, 1_000)
  await listener.bell(LOOK_EVERY_MS).rung
  clearInterval(alive)
  return listener.take()
}

/** Named, or not to be named; never a name alone that is another one's. */
function names(taken: readonly Uid[] | 'unknown', uid: Uid): void {
  if (taken !== 'unknown') assert.deepEqual(taken, [uid])
}

async function twoManagers(make: MakeBackend): Promise<World & { readonly listener: Listener }> {
  const world = await createWorld(make)
  const { notices } = await world.manager()
  return { ...world, listener: notices.listen() }
}

export function noticesContract(make: MakeBackend): void {
  test('a bell rings when another store has written, and says to which connection where it can', LIMIT, async () => {
    const world = await twoManagers(make)
    const { row } = await world.connect('a')
    names(await heard(world.listener), row.uid)
    await world.end()
  })

  test('a bell that waits rings', LIMIT, async () => {
    const world = await twoManagers(make)
    const waiting = heard(world.listener)
    const { row } = await world.connect('a')
    names(await waiting, row.uid)
    await world.end()
  })

  test('what is written between two bells is heard by the second', LIMIT, async () => {
    const world = await twoManagers(make)
    const view = await world.connect('a')
    await heard(world.listener)
    await mustAcquire(world.one, view.at)
    names(await heard(world.listener), view.row.uid)
    await world.end()
  })

  test('our own writes are not heard', LIMIT, async () => {
    const world = await createWorld(make)
    const listener = world.one.notices.listen()
    await world.connect('own')
    assert.deepEqual(listener.take(), [])
    const other = await world.manager()
    const created = await other.store.create(world.draft('theirs'))
    assert.ok(!('kind' in created))
    names(await heard(listener), created.row.uid)
    await world.end()
  })

  test('what was taken is not taken again', LIMIT, async () => {
    const world = await twoManagers(make)
    await world.connect('a')
    await heard(world.listener)
    assert.deepEqual(world.listener.take(), [])
    await world.end()
  })

  test('each listener hears for itself, and a closed one nothing more', LIMIT, async () => {
    const world = await createWorld(make)
    const { notices } = await world.manager()
    const [first, second, closed] = [notices.listen(), notices.listen(), notices.listen()]
    closed.close()
    const { row } = await world.connect('a')
    names(await heard(first), row.uid)
    names(await heard(second), row.uid)
    assert.deepEqual(closed.take(), [])
    await world.end()
  })

  test('a cancelled bell never rings, and takes nothing from the next one', LIMIT, async () => {
    const world = await twoManagers(make)
    let rang = false
    const { rung, cancel } = world.listener.bell(LOOK_EVERY_MS)
    void rung.then(() => (rang = true))
    cancel()
    const { row } = await world.connect('a')
    names(await heard(world.listener), row.uid)
    assert.ok(!rang)
    await world.end()
  })

  test('a listener of a store that is closed is silent and throws nothing', LIMIT, async () => {
    const world = await createWorld(make)
    const other = await world.manager()
    const listener = other.notices.listen()
    const bell = listener.bell(LOOK_EVERY_MS)
    await other.close()
    await world.connect('a')
    assert.deepEqual(listener.take(), [])
    bell.cancel()
    await world.end()
  })
}
