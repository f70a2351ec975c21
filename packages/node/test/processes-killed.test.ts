import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import type { ManagerProcess } from './fixtures/manager-process.ts'
import { eventually, openProcessesWorld, wordsOf, type ProcessesWorld } from './processes-world.ts'

/** Kills a holder in the moment between the server's commit and its answer. */
async function killAfterCommit(
  world: ProcessesWorld,
  holder: ManagerProcess,
  sessions: ReadonlyMap<string, string>,
): Promise<void> {
  const { control } = world.server
  await control.addFault({ fault: { kind: 'delay', ms: 60_000 }, when: 'after', times: sessions.size })
  const counted = async (): Promise<number> => {
    const all = await Promise.all([...sessions.values()].map((id) => control.counters('external', id)))
    return all.reduce((sum, { refreshes }) => sum + refreshes, 0)
  }
  const before = await counted()
  holder.tell({ do: 'token', ids: [...sessions.keys()] }).catch(() => undefined)
  await eventually('the server commits', async () => (await counted()) === before + sessions.size)
  await holder.kill()
}

async function connect(world: ProcessesWorld, count: number): Promise<ReadonlyMap<string, string>> {
  const sessions = new Map<string, string>()
  for (let n = 1; n <= count; n += 1) {
    const id = `dealer-${n}`
    sessions.set(id, (await world.connect(id)).sessionId)
  }
  return sessions
}

test('killed after the server committed and started again, with a grace of 10 s everybody is alive', async () => {
  await using world = await openProcessesWorld({
    realm: { accessTokenSeconds: 60, refreshTokenSeconds: 0, rotation: { kind: 'grace', seconds: 10 } },
    provider: { reuse: { kind: 'grace', seconds: 10, winner: 'any' } },
  })
  const sessions = await connect(world, 5)
  const [holder, successor] = await Promise.all([world.start(), world.start()])
  for (const manager of [holder, successor]) await manager.tell({ do: 'forward', ms: 61_000 })
  await killAfterCommit(world, holder, sessions)
  const calls = await successor.tell({ do: 'token', ids: [...sessions.keys()], api: world.server.demoApi })
  assert.deepEqual(wordsOf(calls), ['ok', 'ok', 'ok', 'ok', 'ok'])
  for (const { killed, answeredAgain } of await world.server.control.sessions('external')) {
    assert.deepEqual({ killed, answeredAgain }, { killed: false, answeredAgain: 1 })
  }
})

test('killed after the server committed, without grace: one more presentation, after the end of the access token, and the loss is said once', async () => {
  await using world = await openProcessesWorld({
    realm: { accessTokenSeconds: 300, refreshTokenSeconds: 0 },
    provider: { reuse: { kind: 'strict' } },
  })
  const sessions = await connect(world, 3)
  const ids = [...sessions.keys()]
  const start = (): Promise<ManagerProcess> => world.start({ background: true })
  const managers = await Promise.all([start(), start(), start()])
  const [holder, ...others] = managers
  // In the window in which a token is refreshed ahead, behind the back of whoever gets the old one.
  for (const manager of managers) await manager.tell({ do: 'forward', ms: 280_000 })
  await killAfterCommit(world, holder, sessions)
  const { control } = world.server
  const arrivals = async (): Promise<number> =>
    (await control.sessions('external')).reduce((sum, each) => sum + each.arrivals, 0)
  const said = (type: string): number =>
    managers.flatMap(({ events }) => events).filter(({ event }) => event.type === type).length
  await eventually('the death is noticed', () => said('in_doubt') === ids.length)
  for (const other of others) {
    const calls = await other.tell({ do: 'token', ids, api: world.server.demoApi })
    assert.deepEqual(wordsOf(calls), ['ok', 'ok', 'ok'])
  }
  assert.equal(await arrivals(), 3, 'the living token is handed out, and nothing presented')
  for (const other of others) await other.tell({ do: 'forward', ms: 21_000 })
  for (const other of [...others, ...others]) {
    const calls = await other.tell({ do: 'token', ids })
    assert.deepEqual(
      calls.map((call) => (call.ok ? 'ok' : `${call.code} ${call.reason}`)),
      ids.map(() => 'needs_user answer_lost'),
    )
  }
  assert.equal(await arrivals(), 6)
  assert.equal(said('needs_user'), ids.length)
})

test('killed while another program locks the database, it leaves the answers in its slots, and whoever lives commits them', async () => {
  await using world = await openProcessesWorld({
    realm: { accessTokenSeconds: 60, refreshTokenSeconds: 0 },
    provider: { reuse: { kind: 'strict' } },
  })
  const sessions = await connect(world, 5)
  const ids = [...sessions.keys()]
  const [holder, other] = await Promise.all([world.start(), world.start()])
  for (const manager of [holder, other]) await manager.tell({ do: 'forward', ms: 61_000 })
  const { control, demoApi } = world.server
  await control.addFault({ fault: { kind: 'delay', ms: 1_000 }, when: 'after', times: ids.length })
  const own = holder.tell({ do: 'token', ids, asked: { waitMs: 30_000 } })
  await eventually('the server commits', async () => {
    return (await control.sessions('external')).every(({ refreshes }) => refreshes === 1)
  })
  using lock = new DatabaseSync(world.path, { timeout: 5_000 })
  lock.exec('BEGIN IMMEDIATE')
  // Handed out from a slot: the database has nothing of it yet.
  assert.deepEqual(wordsOf(await own), ['ok', 'ok', 'ok', 'ok', 'ok'])
  await holder.kill()
  lock.exec('ROLLBACK')
  const calls = await other.tell({ do: 'token', ids, api: demoApi })
  assert.deepEqual(wordsOf(calls), ['ok', 'ok', 'ok', 'ok', 'ok'])
  const replayed = (): number => other.events.filter(({ event }) => event.type === 'replayed').length
  await eventually('each is told, after its slot is cleared', () => replayed() >= ids.length)
  assert.equal(replayed(), ids.length)
  for (const { arrivals, killed } of await control.sessions('external')) {
    assert.deepEqual({ arrivals, killed }, { arrivals: 1, killed: false })
  }
})

test('what the dead left in their slots is kept by whoever starts next, before anybody asks', async () => {
  await using world = await openProcessesWorld({
    realm: { accessTokenSeconds: 60, refreshTokenSeconds: 0 },
    provider: { reuse: { kind: 'strict' } },
  })
  const sessions = await connect(world, 2)
  const ids = [...sessions.keys()]
  const holder = await world.start()
  await holder.tell({ do: 'forward', ms: 61_000 })
  const { control } = world.server
  await control.addFault({ fault: { kind: 'delay', ms: 1_000 }, when: 'after', times: ids.length })
  const own = holder.tell({ do: 'token', ids, asked: { waitMs: 30_000 } })
  await eventually('the server commits', async () => {
    return (await control.sessions('external')).every(({ refreshes }) => refreshes === 1)
  })
  using lock = new DatabaseSync(world.path, { timeout: 5_000 })
  lock.exec('BEGIN IMMEDIATE')
  assert.deepEqual(wordsOf(await own), ['ok', 'ok'])
  await holder.kill()
  lock.exec('ROLLBACK')
  const next = await world.start()
  for (const id of ids) assert.equal((await world.keep.connections.get(id)).generation, 2)
  assert.equal(next.events.filter(({ event }) => event.type === 'replayed').length, ids.length)
})
