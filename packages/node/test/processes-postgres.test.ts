import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { freshUrl, lacksPostgres, postgres } from './contract/postgres-backend.ts'
import { machineMono } from './fixtures/manager-process.ts'
import { eventually, openProcessesWorld, wordsOf, type ProcessesWorld } from './processes-world.ts'

const folder = mkdtempSync(join(tmpdir(), 'tokenkeep-processes-'))
after(() => rmSync(folder, { recursive: true, force: true }))

async function onPostgres(): Promise<ProcessesWorld> {
  return openProcessesWorld({
    realm: { accessTokenSeconds: 300, refreshTokenSeconds: 0 },
    provider: { reuse: { kind: 'strict' } },
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
