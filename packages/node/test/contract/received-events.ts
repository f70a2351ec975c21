/** What was received once is known, whoever asks, until it is forgotten for its age. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProviderId, UnixMs } from '@tokenkeep/core'
import { digestOf, type ReceivedEventRows } from '../../src/received-events.ts'
import { createWorld, type Backend } from './store-world.ts'

export interface ReceivedEventsBackend extends Backend {
  /** Each opens the database anew, as another process would. */
  openReceivedEvents(): Promise<{ readonly rows: ReceivedEventRows; close(): Promise<void> }>
}

const at = (n: number): UnixMs => n as UnixMs

export function receivedEventsContract(make: () => Promise<ReceivedEventsBackend>): void {
  test('what was received is known to every process, for its provider alone, and adding it again changes nothing', async () => {
    const backend = await make()
    // Its providers are the ones that the events are of.
    const world = await createWorld(async () => backend)
    const [provider, other] = (await world.one.registry.providers()).map(({ id }) => id) as [ProviderId, ProviderId]
    const one = await backend.openReceivedEvents()
    const two = await backend.openReceivedEvents()
    const jti = digestOf('\0 any text, of any length'.repeat(100))
    assert.equal(await one.rows.has(provider, jti), false)
    await Promise.all([one, two].map(({ rows }) => rows.add(provider, jti, at(1_000), at(0))))
    for (const { rows } of [one, two]) {
      assert.equal(await rows.has(provider, jti), true)
      assert.equal(await rows.has(other, jti), false)
      assert.equal(await rows.has(provider, digestOf('another')), false)
    }
    for (const { close } of [one, two]) await close()
    await world.end()
  })

  test('what is past its time is forgotten, a few with each that is added', async () => {
    const backend = await make()
    const world = await createWorld(async () => backend)
    const [provider] = (await world.one.registry.providers()).map(({ id }) => id) as [ProviderId]
    const { rows, close } = await backend.openReceivedEvents()
    const names = Array.from({ length: 25 }, (_, n) => digestOf(`event ${n}`))
    for (const [n, jti] of names.entries()) await rows.add(provider, jti, at(1_000 + n), at(0))
    const known = async (): Promise<number> => {
      const found = await Promise.all(names.map((jti) => rows.has(provider, jti)))
      return found.filter(Boolean).length
    }
    assert.equal(await known(), 25)
    await rows.add(provider, digestOf('later'), at(9_000), at(1_020))
    assert.equal(await known(), 15, 'ten at once, the oldest first')
    for (const n of [1, 2]) await rows.add(provider, digestOf(`later ${n}`), at(9_000), at(1_020))
    assert.equal(await known(), 5, 'those whose time is not over stay')
    await close()
    await world.end()
  })
}
