/** What a process does about events in the background: it records what it sees, and forgets what is old. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import {
  TokenError,
  later,
  ms,
  type Clock,
  type ConnectionId,
  type MonoMs,
  type NewEvent,
  type TokenkeepEvent,
  type UnixMs,
} from '@tokenkeep/core'
import { NOTABLE_KEPT_MS, ROUTINE_KEPT_MS, keepPruning } from '../src/event-pruning.ts'
import { tellEvents } from '../src/event-telling.ts'
import { createMemoryEvents, memoryEvents, tellMemory } from '../src/memory-events.ts'

const NOW = 1_800_000_000_000 as UnixMs
const DAY_MS = 86_400_000

/** Its alarms ring when a test lets time pass. */
function manualClock() {
  let passed = 0
  const set: { readonly at: number; ring: () => void }[] = []
  const clock: Clock = {
    now: () => ({ wall: later(NOW, ms(passed)), mono: passed as MonoMs }),
    tick: async () => undefined,
    alarm(afterMs) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const entry = { at: passed + afterMs, ring: resolve }
      set.push(entry)
      return { rung: promise, cancel: () => void set.splice(set.indexOf(entry), 1) }
    },
  }
  return {
    clock,
    /** Rings what is due, one after the other, as often as something new is set meanwhile. */
    async pass(elapsedMs: number): Promise<void> {
      const until = passed + elapsedMs
      for (;;) {
        for (let turns = 0; turns < 5; turns += 1) await turn()
        const next = set.toSorted((a, b) => a.at - b.at)[0]
        if (next === undefined || next.at > until) break
        set.splice(set.indexOf(next), 1)
        passed = Math.max(passed, next.at)
        next.ring()
      }
      passed = until
    },
  }
}

function events(...ages: readonly (readonly [NewEvent['type'] & `connection.${'refreshed' | 'updated'}`, number])[]) {
  const kept = createMemoryEvents()
  for (const [type, ageMs] of ages) {
    const at = later(NOW, ms(-ageMs))
    const of = { uid: null, connection: 'a' as ConnectionId, provider: null, client: null, labels: {}, at }
    tellMemory(kept, { ...of, type, data: {} } as NewEvent)
  }
  return { kept, rows: memoryEvents(kept, () => undefined) }
}
const typesIn = ({ kept }: ReturnType<typeof createMemoryEvents>): string[] => kept.map(({ type }) => type)

test('what is old goes within a minute: refreshes after an hour, the rest after thirty days', async () => {
  const { kept, rows } = events(
    ['connection.updated', NOTABLE_KEPT_MS + 1000],
    ['connection.refreshed', ROUTINE_KEPT_MS + 1000],
    ['connection.updated', ROUTINE_KEPT_MS + 1000],
    ['connection.refreshed', 1000],
  )
  const { clock, pass } = manualClock()
  const pruning = keepPruning({ rows, clock })
  await pass(59_999)
  assert.equal(kept.kept.length, 4)
  await pass(1_000)
  assert.deepEqual(typesIn(kept), ['connection.updated', 'connection.refreshed'])
  pruning.stop()
  await pass(DAY_MS)
  assert.equal(kept.kept.length, 2, 'nobody looks any more')
})

test('what was too young when it was passed goes when its time has come', async () => {
  const { kept, rows } = events(['connection.updated', NOTABLE_KEPT_MS - DAY_MS])
  const { clock, pass } = manualClock()
  const pruning = keepPruning({ rows, clock })
  await pass(DAY_MS - 60_000)
  assert.equal(kept.kept.length, 1)
  await pass(2 * DAY_MS)
  assert.equal(kept.kept.length, 0)
  pruning.stop()
})

test('a store that is away is asked again a minute later', async () => {
  const { kept, rows } = events(['connection.refreshed', ROUTINE_KEPT_MS + 1000])
  const { clock, pass } = manualClock()
  let away = true
  const prune: typeof rows.prune = async (...given) => {
    if (away) throw new TokenError('store_unavailable', 'the database is away')
    return rows.prune(...given)
  }
  const pruning = keepPruning({ rows: { prune }, clock })
  await pass(61_000)
  assert.equal(kept.kept.length, 1)
  away = false
  await pass(60_000)
  assert.equal(kept.kept.length, 0)
  pruning.stop()
})

const REFUSED = {
  type: 'client_refused',
  at: NOW,
  provider: 'idp',
  client: 'app',
  word: 'invalid_client',
  retryAt: NOW,
} as unknown as TokenkeepEvent

test('what a process sees while the store is away is recorded when it is back', async () => {
  const { kept, rows } = events()
  const { clock, pass } = manualClock()
  let failures = 3
  const tell = tellEvents({
    rows: {
      async record(...given) {
        failures -= 1
        if (failures >= 0) throw new TokenError('store_unavailable', 'the database is away')
        await rows.record(...given)
      },
    },
    clock,
  })
  tell(REFUSED)
  await pass(6_999)
  assert.deepEqual(typesIn(kept), [])
  await pass(1)
  assert.deepEqual(typesIn(kept), ['provider.misconfigured'])
})

test('what the write of a connection tells is not told a second time', async () => {
  const { kept, rows } = events()
  const { clock, pass } = manualClock()
  const tell = tellEvents({ rows, clock })
  const of = { at: NOW, connection: 'a', uid: 'u', provider: 'idp' }
  tell({ ...of, type: 'needs_user', reason: 'revoked' } as unknown as TokenkeepEvent)
  tell({ ...of, type: 'connection_imported' } as unknown as TokenkeepEvent)
  await pass(60_000)
  assert.deepEqual(typesIn(kept), [])
})
