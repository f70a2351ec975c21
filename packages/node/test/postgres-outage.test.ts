import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { TokenError, type HandOut } from '@tokenkeep/core'
import { freshUrl, lacksPostgres, postgres, postgresBackend } from './contract/postgres-backend.ts'
import { readPostgresUrl } from '../src/postgres-address.ts'
import { openPostgresSession } from '../src/postgres-session.ts'
import { createWorld, mustAcquire, mustRead, presented } from './contract/store-world.ts'
import { openWorld, type World } from './world.ts'

async function worldOnPostgres(t: TestContext, url?: string): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'tokenkeep-outage-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const world = await openWorld({
    realm: { accessTokenSeconds: 300, rotation: { kind: 'strict' } },
    provider: { reuse: { kind: 'strict' } },
    open: {
      path: undefined,
      postgres: url ?? (await freshUrl()),
      stateFolder: join(folder, 'state'),
      keyFile: join(folder, 'config', 'test.key'),
    },
  })
  return world
}

/** Asks until it is answered: what a program does with an error that says that it can. */
async function persistently(act: () => Promise<HandOut>): Promise<HandOut> {
  for (;;) {
    try {
      return await act()
    } catch (error) {
      if (!(error instanceof TokenError) || !error.retryable) throw error
      await pause(50)
    }
  }
}

test('a database that restarts between acquire and send keeps the refresh token at home', async (t) => {
  if (lacksPostgres(t)) return
  const { server } = await postgres()
  const world = await createWorld(postgresBackend)
  const { at } = await world.connect('a')
  const acquired = await mustAcquire(world.one, at)
  await server.stop('immediate')
  await server.start()
  assert.equal(presented(acquired, world.time), 'over')
  assert.equal((await mustRead(world.one, 'a')).row.state.status, 'presenting', 'the intent was durable')
  await world.end()
})

test('what lives is handed out while the database is away, and all is well when it is back', async (t) => {
  if (lacksPostgres(t)) return
  const { server } = await postgres()
  await using world = await worldOnPostgres(t)
  const { accessToken } = await world.connect('a')
  assert.equal((await world.keep.token('a')).accessToken, accessToken)
  await server.stop('immediate')
  assert.equal((await world.keep.token('a')).accessToken, accessToken)
  await assert.rejects(() => world.keep.connections.get('a'), { code: 'store_unavailable', retryable: true })
  await server.start()
  assert.equal((await world.keep.connections.get('a')).status, 'ready')
})

test('a statement_timeout that ends our writes keeps a token at home, and an answer that came in its slot', async (t) => {
  if (lacksPostgres(t)) return
  const url = await freshUrl()
  await using world = await worldOnPostgres(t, `${url}&options=-c%20statement_timeout%3D200`)
  const { accessToken } = await world.connect('a')
  const { control } = world.server
  const [connectionString = ''] = url.split('?')
  const holder = await openPostgresSession({ connectionString, name: 'the holder' })
  t.after(() => holder.close())
  const lock = (): Promise<unknown> =>
    holder.ask(`BEGIN; LOCK TABLE ${readPostgresUrl(url).schema}.connection IN SHARE MODE`)
  await lock()
  // Never asked for before, so that what is remembered does not do.
  const asked = { resource: 'https://api.example/one', waitMs: 20_000 }
  await assert.rejects(() => world.keep.token('a', { ...asked, waitMs: 2_000 }), {
    code: 'store_unavailable',
    message: /statement_timeout/,
  })
  assert.equal((await control.totals()).token.requests, 0, 'nothing was sent')
  await holder.ask('ROLLBACK')

  await control.addFault({ fault: { kind: 'delay', ms: 500 }, when: 'after', times: 1 })
  const refreshed = world.keep.token('a', asked)
  const session = async () => (await control.sessions('external'))[0] ?? assert.fail('there is no session')
  while ((await session()).refreshes < 1) await pause(1)
  await lock()
  const given = await refreshed
  assert.notEqual(given.accessToken, accessToken)
  assert.equal((await world.keep.connections.history('a', 1))[0]?.outcome, null, 'the store has nothing of it yet')
  await holder.ask('ROLLBACK')
  while ((await world.keep.connections.history('a', 1))[0]?.outcome !== 'granted') await pause(10)
  assert.equal((await world.keep.token('a', asked)).accessToken, given.accessToken)
  const { arrivals, secondPresentations, killed } = await session()
  assert.deepEqual({ arrivals, secondPresentations, killed }, { arrivals: 1, secondPresentations: 0, killed: false })
})

test(
  '50 refreshes through a crash of the database lose no sign-in, and present nothing twice',
  { timeout: 110_000 },
  async (t) => {
    if (lacksPostgres(t)) return
    const { server } = await postgres()
    await using world = await worldOnPostgres(t)
    const ids = Array.from({ length: 50 }, (_, index) => `dealer-${index}`)
    const before = await Promise.all(ids.map((id) => world.connect(id)))
    for (const [index, id] of ids.entries()) await world.keep.rejected(id, before[index]!.accessToken)
    const refreshes = ids.map((id) => persistently(() => world.keep.token(id)))
    // In the middle: some are answered, others are not.
    while ((await world.server.control.totals()).token.requests < 10) await pause(1)
    await server.stop('immediate')
    await pause(300)
    await server.start()
    const after = await Promise.all(refreshes)
    for (const [index, { accessToken }] of after.entries()) assert.notEqual(accessToken, before[index]?.accessToken)
    const sessions = await world.server.control.sessions('external')
    assert.deepEqual(
      sessions.filter(({ killed, secondPresentations }) => killed || secondPresentations > 0),
      [],
    )
  },
)
