/**
 * Another process on the same database. Its order comes as JSON in the first argument; it answers with lines on stdout.
 *
 * `hold`: acquires connection `id`, says `acquired`, and never ends. `refresh`: acquires and commits connection `id` until
 * it did so `times` times, creating a connection of its own each time, then says how often it had to wait.
 */
import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { createWorld, keyringOf, mustAcquire, mustRead, tryAcquire, type World } from './store-world.ts'
import { masterKey } from '../../src/keyring.ts'
import { backendOn } from './sqlite-backend.ts'

export interface Order {
  readonly act: 'hold' | 'refresh'
  readonly path: string
  /** 32 bytes, hexadecimal. */
  readonly key: string
  readonly id: string
  readonly name: string
  readonly times: number
}

const order = JSON.parse(process.argv[2] ?? '') as Order
const keys = keyringOf(masterKey('first', Buffer.from(order.key, 'hex')))
const world = await createWorld(() => backendOn(order.path, keys, async () => undefined))

if (order.act === 'hold') {
  const { lease } = await mustAcquire(world.one, (await mustRead(world.one, order.id)).at)
  process.stdout.write(`acquired ${lease.fence}\n`)
  setInterval(() => undefined, 1_000)
} else {
  process.stdout.write(`waited ${await refreshOften(world)}\n`)
  await world.end()
}

async function refreshOften(world: World): Promise<number> {
  let waited = 0
  for (let done = 0; done < order.times;) {
    const { at } = await mustRead(world.one, order.id)
    const acquired = await tryAcquire(world.one, at)
    if (acquired.kind !== 'acquired') {
      waited += 1
      await pause(1)
      continue
    }
    done += 1
    const name = `${order.name}-${done}`
    const [result] = await Promise.all([
      world.one.store.commit(acquired.lease, world.granted(at, { refreshToken: name, accessToken: `at ${name}` })),
      world.connect(name),
    ])
    if (result.kind !== 'committed') throw new Error(`the commit came out as ${result.kind}`)
  }
  return waited
}
