import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ms } from '@tokenkeep/core'
import type { ManagerProcess } from './fixtures/manager-process.ts'
import { eventually, openProcessesWorld, wordsOf, type ProcessesWorld } from './processes-world.ts'

/** As in `policy.ts`, ten times faster, so that a lease passes while a test waits. */
const FASTER = {
  leaseMs: ms(3_000),
  grantDeadlineMs: ms(1_000),
  commitDeadlineMs: ms(300),
  connectDeadlineMs: ms(500),
  callerDeadlineMs: ms(2_500),
  signOutTakesMs: ms(1_000),
  replayCapMs: ms(500),
  confirmAfterMs: [ms(1_000), ms(2_000)] as const,
  patienceMs: ms(6_000),
  listeningLimitMs: ms(9_000),
}

const STRICT = {
  realm: { accessTokenSeconds: 300, refreshTokenSeconds: 0 },
  provider: { reuse: { kind: 'strict' } },
} as const

const PATIENT = { waitMs: 60_000 }

async function twoManagers(world: ProcessesWorld): Promise<[ManagerProcess, ManagerProcess]> {
  const managers = await Promise.all([world.start({ numbers: FASTER }), world.start({ numbers: FASTER })])
  for (const manager of managers) await manager.tell({ do: 'forward', ms: 301_000 })
  return managers
}

for (const { name, untilTakenOver } of [
  { name: 'and thawed within its lease', untilTakenOver: false },
  { name: 'and thawed after it was taken for silent', untilTakenOver: true },
]) {
  test(`frozen right after the server committed ${name}, it reads the answer, and everybody gets the new token`, async () => {
    await using world = await openProcessesWorld(STRICT)
    const { sessionId } = await world.connect('dealer-42')
    const { control, demoApi } = world.server
    const [holder, other] = await twoManagers(world)
    await control.addFault({ fault: { kind: 'delay', ms: 300 }, when: 'after', times: 1 })
    const own = holder.tell({ do: 'token', ids: ['dealer-42'], asked: PATIENT, api: demoApi })
    await eventually('the server commits', async () => {
      return (await control.counters('external', sessionId)).refreshes === 1
    })
    await holder.freeze()
    const others = other.tell({ do: 'token', ids: ['dealer-42'], asked: PATIENT, api: demoApi })
    await eventually('the answer has left the server', async () => (await control.requests()).length > 0)
    if (untilTakenOver) {
      await eventually('the other one puts it in doubt', () => {
        return other.events.some(({ event }) => event.type === 'in_doubt' && event.because === 'owner_silent')
      })
    }
    holder.thaw()
    const calls = [...(await own), ...(await others)]
    assert.deepEqual(wordsOf(calls), ['ok', 'ok'])
    const { arrivals, secondPresentations, killed } = await control.counters('external', sessionId)
    assert.deepEqual({ arrivals, secondPresentations, killed }, { arrivals: 1, secondPresentations: 0, killed: false })
  })
}

test('frozen before it sent anything and woken after its lease, it sends nothing', async () => {
  await using world = await openProcessesWorld(STRICT)
  const { sessionId } = await world.connect('dealer-42')
  const { control, demoApi } = world.server
  const [holder, other] = await twoManagers(world)
  await holder.tell({ do: 'freeze_when_connected', port: Number(new URL(world.server.origin).port) })
  const own = holder.tell({ do: 'token', ids: ['dealer-42'], asked: PATIENT })
  await holder.frozen()
  const others = other.tell({ do: 'token', ids: ['dealer-42'], asked: PATIENT, api: demoApi })
  await eventually('the other one puts it in doubt', () => {
    return other.events.some(({ event }) => event.type === 'in_doubt' && event.because === 'owner_silent')
  })
  holder.thaw()
  // The one presentation that arrived is a later one, when patience is over, and it is granted: the first never left.
  const calls = [...(await own), ...(await others)]
  assert.deepEqual(wordsOf(calls), ['ok', 'ok'])
  const { arrivals, secondPresentations, killed } = await control.counters('external', sessionId)
  assert.deepEqual({ arrivals, secondPresentations, killed }, { arrivals: 1, secondPresentations: 0, killed: false })
  const history = await world.keep.connections.history('dealer-42')
  assert.deepEqual(history.map(({ outcome }) => outcome).sort(), ['granted', 'not_sent, late'])
})

test('an answer that comes when every caller has given up is kept, by the process that listens on', async () => {
  await using world = await openProcessesWorld(STRICT)
  const { sessionId } = await world.connect('dealer-42')
  const { control, demoApi } = world.server
  const [holder, other] = await twoManagers(world)
  await control.addFault({ fault: { kind: 'delay', ms: 4_000 }, when: 'after', times: 1 })
  const waits = await Promise.all([
    holder.tell({ do: 'token', ids: ['dealer-42'], asked: { waitMs: 1_000 } }),
    other.tell({ do: 'token', ids: ['dealer-42'], asked: { waitMs: 1_000 } }),
  ])
  assert.deepEqual(wordsOf(waits.flat()), ['unavailable', 'unavailable'])
  await eventually('the answer is kept', () => {
    return [...holder.events, ...other.events].some(({ event }) => event.type === 'refreshed')
  })
  for (const manager of [holder, other]) {
    assert.deepEqual(wordsOf(await manager.tell({ do: 'token', ids: ['dealer-42'], api: demoApi })), ['ok'])
  }
  assert.equal((await control.counters('external', sessionId)).arrivals, 1)
})
