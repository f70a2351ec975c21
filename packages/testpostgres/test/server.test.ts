import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import process from 'node:process'
import { test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { postgresMissing, startPostgres, type PostgresServer } from '@tokenkeep/testpostgres'

function missing(t: TestContext): boolean {
  const reason = postgresMissing()
  if (reason !== null) t.diagnostic(`NOT RUN: ${reason}`)
  return reason !== null
}

async function ask(url: string, sql: string): Promise<unknown> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<Record<string, unknown>>(sql)
    return rows[0]?.['answer']
  } finally {
    await client.end()
  }
}

async function keeps(server: PostgresServer, url: string, end: () => Promise<void>): Promise<void> {
  await ask(url, `CREATE TABLE note AS SELECT 'kept' AS answer`)
  await end()
  await assert.rejects(() => ask(url, 'SELECT 1'))
  await server.start()
  assert.equal(await ask(url, 'SELECT answer FROM note'), 'kept')
  await ask(url, 'DROP TABLE note')
}

test('a server starts, keeps what was committed through every kind of end, and leaves nothing behind', async (t) => {
  if (missing(t)) return
  const server = await startPostgres()
  const url = await server.createDatabase()
  assert.match(String(await ask(url, 'SELECT version() AS answer')), /^PostgreSQL 18\./)
  assert.equal(await ask(url, `SELECT current_setting('fsync') AS answer`), 'on')
  await keeps(server, url, () => server.stop('fast'))
  await keeps(server, url, () => server.stop('immediate'))
  await keeps(server, url, () => server.kill())
  assert.ok(existsSync(server.socketFolder))
  await server[Symbol.asyncDispose]()
  assert.equal(existsSync(server.socketFolder), false)
})

test('each database has a role of its own, which cannot make others', async (t) => {
  if (missing(t)) return
  await using server = await startPostgres({ fsync: false })
  const [one, other] = [await server.createDatabase(), await server.createDatabase()]
  assert.notEqual(await ask(one, 'SELECT current_user AS answer'), await ask(other, 'SELECT current_user AS answer'))
  assert.equal(await ask(one, `SELECT rolsuper AS answer FROM pg_roles WHERE rolname = current_user`), false)
  await assert.rejects(() => ask(one, 'CREATE DATABASE another'), { code: '42501' })
  assert.equal(await ask(one, `SELECT current_setting('fsync') AS answer`), 'off')
})

test('a server whose starter was killed is gone as well', async (t) => {
  if (missing(t)) return
  const script = `
    import { startPostgres } from '@tokenkeep/testpostgres'
    const server = await startPostgres({ fsync: false })
    console.log(JSON.stringify({ folder: server.socketFolder, url: server.adminUrl }))
    setInterval(() => undefined, 1_000)`
  const args = [...process.execArgv, '--input-type=module-typescript', '--eval', script]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], cwd: import.meta.dirname })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const { folder, url } = JSON.parse(line.toString()) as { folder: string; url: string }
  assert.equal(await ask(url, `SELECT 'here' AS answer`), 'here')
  child.kill('SIGKILL')
  await once(child, 'exit')
  while (existsSync(folder)) await pause(20)
  await assert.rejects(() => ask(url, 'SELECT 1'), { code: 'ECONNREFUSED' })
})
