/** The epoch is raised while commits happen, in the database first, then in the marker. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { TokenError, type Alarm, type Clock, type Incarnation, type Marker } from '@tokenkeep/core'
import { keepLife } from '../src/life.ts'
import type { Markers } from '../src/markers.ts'
import { createMemory, createMemoryStore } from '../src/store-memory.ts'
import { createSystemRandom } from '../src/random-system.ts'
import { createWorld, newKeyring } from './contract/store-world.ts'

/** A life over a store in memory, whose minutes pass by hand. */
async function openLife() {
  const world = await createWorld(async () => {
    const memory = createMemory()
    return {
      installation: memory.incarnation.installation,
      keys: newKeyring(),
      open: async (parts, bootNow) => createMemoryStore({ ...parts, memory, bootNow }),
      swapRefreshTokens: async () => undefined,
      end: async () => undefined,
    }
  })
  const { store, incarnation: rows } = world.one
  let commits = 0
  let ring: () => void = () => undefined
  const background: Clock = {
    ...world.time.clock,
    alarm: (): Alarm => ({ rung: new Promise((resolve) => (ring = resolve)), cancel: () => undefined }),
  }
  const order: string[] = []
  let marked: Marker | null = null
  const markers: Markers = {
    read: () => (marked === null ? [] : [marked]),
    async write({ installation, epoch, branch }) {
      order.push(`marker ${epoch}, database ${(await rows.read()).epoch}`)
      marked = { installation, epoch, branch }
    },
  }
  const settled = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn += 1) await setImmediate()
  }
  const opened: Incarnation = await rows.change((kept) => ({ ...kept, branch: 'first' }))
  const life = keepLife({
    store,
    rows,
    committed: () => commits,
    markers,
    opened,
    background,
    random: createSystemRandom(),
  })
  await settled()
  return {
    world,
    life,
    rows,
    order,
    write: () => void (commits += 1),
    setMarker: (marker: Marker) => void (marked = marker),
    async minute() {
      ring()
      await settled()
    },
    async end() {
      await life.close()
      await world.end()
    },
  }
}

test('the marker is written at once, and after the database in each minute in which something was written', async () => {
  const { write, minute, order, end, rows } = await openLife()
  await minute()
  assert.deepEqual(order, ['marker 1, database 1'])
  write()
  await minute()
  await minute()
  assert.deepEqual(order, ['marker 1, database 1', 'marker 2, database 2'])
  assert.equal((await rows.read()).hold, null)
  await end()
})

test('at its end a process raises the epoch once more where it wrote anything', async () => {
  const { write, order, end } = await openLife()
  write()
  await end()
  await end()
  assert.deepEqual(order, ['marker 1, database 1', 'marker 2, database 2'])
})

test('a running original is held within a minute when another life of it went on, and its marker is left alone', async () => {
  const { write, minute, order, end, rows, setMarker } = await openLife()
  setMarker({ installation: 'in memory', epoch: 7, branch: 'of the copy' })
  write()
  await minute()
  assert.equal((await rows.read()).hold?.because, 'older_epoch')
  write()
  await minute()
  assert.equal(order.length, 1)
  await end()
})

test('a store that is away raises nothing, and the next minute does', async () => {
  const { write, minute, end, rows, order } = await openLife()
  const { change } = rows
  Object.assign(rows, {
    change: () => Promise.reject(new TokenError('store_unavailable', 'away')),
  })
  write()
  await minute()
  Object.assign(rows, { change })
  await minute()
  assert.deepEqual(order, ['marker 1, database 1', 'marker 2, database 2'])
  await end()
})

test('adoption goes beyond what the marker remembers, and writes it', async () => {
  const { end, rows, order, life, setMarker } = await openLife()
  await rows.change((kept) => ({ ...kept, hold: { since: 0 as never, because: 'older_epoch' } }))
  setMarker({ installation: 'in memory', epoch: 7, branch: 'of the original' })
  const { wasOnHold, incarnation } = await life.adopt()
  assert.deepEqual([wasOnHold, incarnation.epoch], [true, 8])
  assert.deepEqual(order, ['marker 1, database 1', 'marker 8, database 8'])
  await end()
})
