import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { freshUrl, lacksPostgres, postgres } from './contract/postgres-backend.ts'
import { machineMono } from './fixtures/manager-process.ts'
import { eventually, openProcessesWorld, wordsOf, type ProcessesWorld } from './processes-world.ts'
import type { WorldOptions } from './world.ts'

const folder = mkdtempSync(join(tmpdir(), 'tokenkeep-processes-'))
after(() => rmSync(folder, { recursive: true, force: true }))

async function onPostgres(more: Pick<WorldOptions, 'realm' | 'provider'> = {}): Promise<ProcessesWorld> {
  return openProcessesWorld({
    realm: { accessTokenSeconds: 300, refreshTokenSeconds: 0 },
    provider: { reuse: { kind: 'strict' } },
    ...more,
    open: {
      path: undefined,
      postgres: await freshUrl(),
      stateFolder: join(folder, 'state'),
      keyFile: join(folder, 'config', 'test.key'),
    },
  })
}

test('on Postgres four processes that want the same new token in the same instant cause one refresh each time', async (t) => {
  if (lacksPostgres(t)) return
  await using world = await onPostgres()
  const { sessionId } = await world.connect('dealer-42')
  const managers = await Promise.all([1, 2, 3, 4].map(() => world.start()))
  const words: string[] = []
  for (let round = 1; round <= 10; round += 1) {
    // Never asked for before, so that what is remembered does not do.
    const asked = { resource: `https://api.example/${round}` }
    const at = machineMono() + 20
    const calls = await Promise.all(managers.map((each) => each.tell({ do: 'token', ids: ['dealer-42'], asked, at })))
    words.push(...wordsOf(calls.flat()))
  }
  const { arrivals, secondPresentations, killed } = await world.server.control.counters('external', sessionId)
  assert.deepEqual([...new Set(words)], ['ok'])
  assert.deepEqual({ arrivals, secondPresentations, killed }, { arrivals: 10, secondPresentations: 0, killed: false })
})

test('Postgres is stopped as by a crash in the middle of refreshes, and started again: nobody is lost, nothing is presented twice', async (t) => {
  if (lacksPostgres(t)) return
  await using world = await onPostgres()
  const ids = Array.from({ length: 20 }, (_, n) => `dealer-${n + 1}`)
  for (const id of ids) await world.connect(id)
  const managers = await Promise.all([1, 2, 3].map(() => world.start()))
  const { control } = world.server
  await control.addFault({ fault: { kind: 'delay', ms: 1_500 }, when: 'after', times: ids.length })
  const asked = { resource: 'https://api.example/during', waitMs: 30_000 }
  const during = managers.map((each) => each.tell({ do: 'token', ids, asked }))
  const sum = async (of: 'refreshes' | 'secondPresentations'): Promise<number> =>
    (await control.sessions('external')).reduce((total, each) => total + each[of], 0)
  await eventually('half of the rotations are committed', async () => (await sum('refreshes')) >= ids.length / 2)
  const { server } = await postgres()
  await server.stop('immediate')
  await eventually(
    'their answers have left the server',
    async () => (await control.requests()).length >= ids.length / 2,
  )
  await server.start()
  const meanwhile = (await Promise.all(during)).flat()
  assert.deepEqual(
    wordsOf(meanwhile).filter((word) => word !== 'ok' && word !== 'store_unavailable'),
    [],
  )
  const later = await world.start()
  const calls = await later.tell({ do: 'token', ids, asked: { ...asked, resource: 'https://api.example/afterwards' } })
  assert.deepEqual([...new Set(wordsOf(calls))], ['ok'])
  assert.equal(await sum('secondPresentations'), 0)
  assert.ok((await control.sessions('external')).every(({ killed }) => !killed))
})

/** Shorter than a lease, so that the timer alone would come too late. */
const GRACE_SECONDS = 20

for (const waits of ['where somebody waits for it', 'where nobody does']) {
  test(`the end of a process on another host is noticed inside of a grace window, also ${waits}`, async (t) => {
    if (lacksPostgres(t)) return
    await using world = await onPostgres({
      realm: { accessTokenSeconds: 300, refreshTokenSeconds: 0, rotation: { kind: 'grace', seconds: GRACE_SECONDS } },
      provider: { reuse: { kind: 'grace', seconds: GRACE_SECONDS, winner: 'any' } },
    })
    const ids = ['dealer-1', 'dealer-2', 'dealer-3']
    for (const id of ids) await world.connect(id)
    const background = waits === 'where nobody does'
    // A state folder of its own is what another host is to it: nothing there proves that anybody died.
    const holder = await world.start({ stateFolder: join(folder, `host-a-${background}`) })
    const other = await world.start({ stateFolder: join(folder, `host-b-${background}`), background })
    // Never asked for before, so that what is remembered does not do.
    const asked = { resource: 'https://api.example/one' }
    const { control, demoApi } = world.server
    await control.addFault({ fault: { kind: 'delay', ms: 60_000 }, when: 'after', times: ids.length })
    holder.tell({ do: 'token', ids, asked }).catch(() => undefined)
    await eventually('the server commits', async () =>
      (await control.sessions('external')).every(({ refreshes }) => refreshes === 1),
    )
    const waiting = background ? null : other.tell({ do: 'token', ids, asked, api: demoApi })
    await holder.kill()
    if (background) {
      await eventually('they are answered again', async () =>
        (await control.sessions('external')).every(({ answeredAgain }) => answeredAgain === 1),
      )
    }
    const calls = await (waiting ?? other.tell({ do: 'token', ids, api: demoApi }))
    assert.deepEqual(wordsOf(calls), ['ok', 'ok', 'ok'])
    const because = other.events.flatMap(({ event }) => (event.type === 'in_doubt' ? [event.because] : []))
    assert.deepEqual(because, ['owner_silent', 'owner_silent', 'owner_silent'])
    for (const { killed, answeredAgain } of await control.sessions('external')) {
      assert.deepEqual({ killed, answeredAgain }, { killed: false, answeredAgain: 1 })
    }
  })
}
