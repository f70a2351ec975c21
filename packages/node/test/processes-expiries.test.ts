import assert from 'node:assert/strict'
import { test } from 'node:test'
import { machineMono } from './fixtures/manager-process.ts'
import { openProcessesWorld, wordsOf } from './processes-world.ts'

const PROCESSES = 4

for (const { name, expiries, spreadMs, latencyMs } of [
  { name: 'at the same instant', expiries: 25, spreadMs: 0, latencyMs: 0 },
  { name: 'spread over 200 ms at a server that takes 20 ms', expiries: 10, spreadMs: 200, latencyMs: 20 },
]) {
  test(`four processes that call ${expiries} times when the token has ended, ${name}, cause one refresh each time`, async () => {
    await using world = await openProcessesWorld({
      realm: { accessTokenSeconds: 60, refreshTokenSeconds: 0 },
      provider: { reuse: { kind: 'strict' } },
    })
    const { control, demoApi } = world.server
    const { sessionId } = await world.connect('dealer-42')
    if (latencyMs > 0) await control.addFault({ fault: { kind: 'delay', ms: latencyMs }, when: 'before', times: 1000 })
    const managers = await Promise.all(Array.from({ length: PROCESSES }, () => world.start()))
    const words = new Map<string, number>()
    for (let expiry = 1; expiry <= expiries; expiry += 1) {
      await Promise.all(managers.map((manager) => manager.tell({ do: 'forward', ms: 61_000 })))
      const together = machineMono() + 20
      const at = (): number => together + Math.random() * spreadMs
      const calls = await Promise.all(
        managers.map((manager) => manager.tell({ do: 'token', ids: ['dealer-42'], api: demoApi, at: at() })),
      )
      for (const word of wordsOf(calls.flat())) words.set(word, (words.get(word) ?? 0) + 1)
    }
    const { refreshes, presentations, secondPresentations, killed } = await control.counters('external', sessionId)
    assert.deepEqual([...words], [['ok', PROCESSES * expiries]])
    assert.deepEqual(
      { refreshes, presentations, secondPresentations, killed },
      { refreshes: expiries, presentations: expiries, secondPresentations: 0, killed: false },
    )
  })
}
