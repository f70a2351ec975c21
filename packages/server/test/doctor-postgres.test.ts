/** `tokenkeep doctor` on a real Postgres: as it should be, empty, behind nothing, gone. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { freePort, postgresMissing, startPostgres, type PostgresServer } from '@tokenkeep/testpostgres'
import { doctor, read } from './doctor-world.ts'
import { commandHere } from './command-here.ts'
import { lacksPostgres, openInstallation } from './installation.ts'

suite('tokenkeep doctor on Postgres', () => {
  let postgres: PostgresServer
  before(async () => {
    if (postgresMissing() === null) postgres = await startPostgres({ fsync: false })
  })
  after(async () => {
    if (postgresMissing() === null) await postgres[Symbol.asyncDispose]()
  })

  test('it tries LISTEN and locks, compares clocks, and tells of a server that forgets; then of one that is gone', async (t) => {
    if (lacksPostgres(t)) return
    const url = await postgres.createDatabase()
    await using here = await openInstallation({ postgres: url })
    await here.importSignIn('dealer-42')
    const found = await doctor(here)
    // This one runs without fsync, as tests may.
    assert.ok(
      found.wrongCodes.every((code) => code === 'postgres_forgets'),
      JSON.stringify(found.wrongCodes),
    )
    assert.match(found.findings.find(({ code }) => code === 'postgres_forgets')?.says ?? '', /fsync/)
    assert.match(found.the('postgres').says, /^Postgres \d+.*, on this machine, \d+ of \d+ sessions taken$/)
    assert.ok(!found.has('postgres_no_listen') && !found.has('postgres_no_locks') && !found.has('postgres_pooler'))
    assert.match(found.the('clock').says, /agrees with Postgres, ext/)
    assert.equal(found.the('key_opens').is, 'ok')
    assert.match(found.the('client').says, /^app: taken/)
    assert.match(found.the('connections').says, /^1 connections/)
    assert.equal(found.the('processes').facts['alive'], 0)
    const gone = new URL(url)
    gone.port = String(await freePort())
    const away = await doctor(here, [], { TOKENKEEP_DATABASE: gone.href })
    assert.match(away.the('database_unusable').says, /nothing listens there/)
    assert.equal(away.code, 6)
    const stranger = new URL(url)
    stranger.password = 'canary-wrong-password'
    here.secrets.add('canary-wrong-password')
    const refused = await doctor(here, [], { TOKENKEEP_DATABASE: stranger.href })
    assert.match(refused.the('database_unusable').says, /it refuses the user or the password/)
  })

  test('a database without our tables is a note, and none are made', async (t) => {
    if (lacksPostgres(t)) return
    const url = await postgres.createDatabase()
    for (const _ of [1, 2]) {
      const found = read(
        await commandHere(['doctor', '--json', '--offline'], { environment: { TOKENKEEP_DATABASE: url } }),
      )
      assert.equal(found.the('postgres_empty').is, 'note')
    }
  })
})
