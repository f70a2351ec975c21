/** The master key changes by commands while servers run: every token stays readable, and none is presented twice. */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { startPostgres } from '@tokenkeep/testpostgres'
import { answer, errorAnswer } from './command.ts'
import {
  apiStatus,
  eventually,
  lacksPostgres,
  openInstallation,
  type Host,
  type Installation,
  type Serving,
} from './installation.ts'

const IDS = ['a', 'b', 'c', 'd', 'e', 'f'] as const

/** The name of a key and how many secrets it has sealed; first the one that seals. */
type Sealed = readonly (readonly [string, number])[]

async function sealedBy(here: Installation, host?: Host): Promise<Sealed> {
  type Listed = readonly { readonly name: string; readonly current: boolean; readonly sealed: number }[]
  const listed = answer<Listed>(await here.command(['master-key', 'list'], host && { host }))
  assert.equal(listed[0]?.current, true)
  return listed.map(({ name, sealed }) => [name, sealed])
}

/** Each is handed out as it was remembered, then said to be refused, and refreshed once by this server. */
async function refreshAll(server: Serving, before: ReadonlyMap<string, string>): Promise<Map<string, string>> {
  const after = new Map<string, string>()
  for (const [id, accessToken] of before) {
    assert.equal(await server.token(id), accessToken)
    await server.rejected(id, accessToken)
    const next = await server.token(id)
    assert.notEqual(next, accessToken)
    after.set(id, next)
  }
  return after
}

async function nothingLost(here: Installation, tokens: ReadonlyMap<string, string>): Promise<void> {
  for (const accessToken of tokens.values()) assert.equal(await apiStatus(here.provider, accessToken), 200)
  const sessions = await here.provider.control.sessions('external')
  assert.equal(sessions.length, IDS.length)
  for (const { killed, secondPresentations } of sessions) assert.deepEqual([killed, secondPresentations], [false, 0])
}

/** Asks for each of these for the first time, which refreshes it, while something else goes on. */
async function tokensOf(server: Serving, ids: readonly string[]): Promise<(readonly [string, string])[]> {
  return Promise.all(ids.map(async (id) => [id, await server.token(id)] as const))
}

test('on a data folder: rotated, sealed anew and taken out, while a server serves from it', async () => {
  await using here = await openInstallation()
  for (const id of IDS) await here.importSignIn(id)
  const server = await here.serve()
  const first = await tokensOf(server, IDS.slice(0, 3))
  const [rotated, ...more] = await Promise.all([
    here.command(['master-key', 'rotate']),
    ...IDS.slice(3).map(async (id) => [id, await server.token(id)] as const),
  ])
  const { name } = answer<{ name: string }>(rotated)
  const tokens = await refreshAll(server, new Map([...first, ...more]))
  // What was on its way when everything was sealed anew.
  answer(await here.command(['master-key', 'reseal']))
  const secrets = 2 * IDS.length + 1
  assert.deepEqual(await sealedBy(here), [
    [name, secrets],
    ['first', 0],
  ])
  const refused = await here.command(['master-key', 'remove', 'first'])
  assert.deepEqual([refused.code, errorAnswer(refused).code], [6, 'in_use'], 'the server may hold an answer')
  assert.equal(await server.end(), 0)
  answer(await here.command(['master-key', 'remove', 'first']))
  assert.deepEqual(await sealedBy(here), [[name, secrets]])

  const again = await here.serve()
  for (const [id, accessToken] of tokens) assert.equal(await again.token(id), accessToken)
  await nothingLost(here, tokens)
  assert.equal(await again.end(), 0)
})

test('on Postgres: two hosts, each with its own key file, go over to a new key one after the other', async (t) => {
  if (lacksPostgres(t)) return
  await using postgres = await startPostgres({ fsync: false })
  await using here = await openInstallation({ postgres: await postgres.createDatabase() })
  const other: Host = {
    keyFile: join(here.desk.folder, 'other', 'keys', 'master.key'),
    data: join(here.desk.folder, 'other', 'kept'),
  }
  const copyKeys = (): void => {
    mkdirSync(dirname(other.keyFile), { recursive: true, mode: 0o700 })
    cpSync(here.host.keyFile, other.keyFile)
  }
  copyKeys()
  for (const id of IDS) await here.importSignIn(id)
  const [one, two] = [await here.serve(), await here.serve([], other)]
  const first = await tokensOf(one, IDS.slice(0, 2))
  const alone = await here.command(['master-key', 'rotate'])
  assert.deepEqual([alone.code, errorAnswer(alone).code], [2, 'invalid_input'])
  const { name } = answer<{ name: string }>(await here.command(['master-key', 'add']))
  copyKeys()

  // The second host seals with the old key yet, and opens what the first seals.
  const [rotated, ...more] = await Promise.all([
    here.command(['master-key', 'rotate', name]),
    ...IDS.slice(2, 4).map(async (id) => [id, await one.token(id)] as const),
    ...IDS.slice(4).map(async (id) => [id, await two.token(id)] as const),
  ])
  answer(rotated)
  const tokens = await refreshAll(two, new Map([...first, ...more]))
  answer(await here.command(['master-key', 'rotate', name], { host: other }))
  const secrets = 2 * IDS.length + 1
  for (const host of [here.host, other]) {
    assert.deepEqual(await sealedBy(here, host), [
      [name, secrets],
      ['first', 0],
    ])
  }
  for (const server of [one, two]) {
    for (const [id, accessToken] of tokens) {
      await eventually('both hosts hold the new token', async () => (await server.token(id)) === accessToken)
    }
    assert.equal(await server.end(), 0)
  }
  for (const host of [here.host, other]) {
    answer(await here.command(['master-key', 'remove', 'first'], { host }))
    const again = await here.serve([], host)
    for (const [id, accessToken] of tokens) assert.equal(await again.token(id), accessToken)
    assert.equal(await again.end(), 0)
  }
  await nothingLost(here, tokens)
})
